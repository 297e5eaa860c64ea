//! Floor 7: racefuzz's commands as tools of the Model Context Protocol, for agents.
//!
//! In come calls of tools, on standard input; out go structured results, each with a short text. Every call is one
//! run of the command line: `racefuzz` for scenarios, `cargo racefuzz` for the tests of a package. So a program that
//! crashes or hangs takes nothing with it, and an agent sees what a person sees.
//!
//! `requests` are the arguments, `results` what is made of the documents that the command line prints (`document`),
//! `command` runs it, `patched` types a patch into a copy of a package, `server` is the list of tools.
//!
//! ```no_run
//! # fn main() -> Result<(), racefuzz_mcp::ServeError> {
//! racefuzz_mcp::serve()
//! # }
//! ```
#![forbid(unsafe_code)]

mod command;
mod document;
mod patched;
mod requests;
mod results;
mod server;

use rmcp::ServiceExt;
use std::fmt;

/// Why nothing can be served.
#[derive(Debug)]
pub struct ServeError(String);

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot serve: {}", self.0)
    }
}

impl std::error::Error for ServeError {}

/// Serves the tools on standard input and output, until the client closes it.
///
/// # Errors
/// If the client does not speak the protocol.
pub fn serve() -> Result<(), ServeError> {
    let failed = |error: &dyn fmt::Display| ServeError(error.to_string());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let service = server::Server.serve(rmcp::transport::stdio()).await.map_err(|error| failed(&error))?;
        service.waiting().await.map_err(|error| failed(&error))?;
        Ok(())
    })
}
