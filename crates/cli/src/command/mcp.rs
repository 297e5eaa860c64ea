//! `mcp`: the server for agents, which is a program of its own, as most people need none.

use crate::error::Failure;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;

/// What serves.
const SERVER: &str = "racefuzz-mcp";
/// Tells the server which command line it serves.
const TOOL: &str = "RACEFUZZ_TOOL";

pub(super) fn run() -> Result<u8, Failure> {
    let own = std::env::current_exe().ok();
    let beside =
        own.as_ref().map(|own| own.with_file_name(format!("{SERVER}{}", std::env::consts::EXE_SUFFIX)));
    let server =
        beside.filter(|path| path.is_file()).map_or_else(|| OsString::from(SERVER), PathBuf::into_os_string);
    let mut command = Command::new(server);
    if let Some(own) = own {
        command.env(TOOL, own);
    }
    match command.status() {
        Ok(status) => {
            Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(crate::exit::USAGE))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::Usage(format!("there is no `{SERVER}`; `cargo install {SERVER}` installs it")))
        }
        Err(error) => Err(Failure::Usage(format!("cannot run `{SERVER}`: {error}"))),
    }
}
