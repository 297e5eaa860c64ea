//! Floor 6: arguments in, exit code out.
//!
//! [`main`] is the whole command line for a set of scenarios; `racefuzz` itself is that over the
//! scenarios it comes with, and a crate with scenarios of its own gets the same in a few lines:
//!
//! ```no_run
//! use racefuzz::scenario::{Expected, Registry, Scenario, Source};
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     racefuzz_cli::main(Registry::new([Scenario {
//!         name: "mine",
//!         summary: "what I want to know about my code",
//!         teaches: "",
//!         expected: Expected::Holds,
//!         twin: None,
//!         params: &[],
//!         source: Source { file: file!(), text: "" },
//!         run: |_| { /* spawn threads, assert */ },
//!     }]))
//! }
//! ```
//!
//! Exit codes: 0 no bug, 1 a bug, 2 wrong usage or input, 3 incomplete. The report goes to standard
//! output and depends on the arguments alone; everything else goes to standard error.
#![forbid(unsafe_code)]

mod args;
mod cargo;
mod command;
pub mod confirm;
mod error;
pub mod installed;
mod manual;
mod output;
mod progress;
mod reporting;
mod terminal;

use clap::{CommandFactory, FromArgMatches};
use error::Failure;
use racefuzz::scenario::Registry;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Exit codes, the same for every command.
pub(crate) mod exit {
    pub(crate) const OK: u8 = 0;
    pub(crate) const BUG: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const INCOMPLETE: u8 = 3;
}

/// Runs the command line of the process over these scenarios.
pub fn main(registry: Registry) -> ExitCode {
    ExitCode::from(run(&registry, std::env::args_os()))
}

/// Runs `cargo racefuzz` with the arguments of the process.
pub fn cargo_main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    // As a subcommand of cargo the first argument is its own name.
    if arguments.get(1).is_some_and(|argument| argument == "racefuzz") {
        arguments.remove(1);
    }
    let outcome = parse::<args::CargoCli>("cargo racefuzz", &arguments).and_then(|cli| match cli {
        Parsed::Cli(cli) => cargo::run(&cli),
        Parsed::Done => Ok(exit::OK),
    });
    ExitCode::from(finish(outcome))
}

fn run(registry: &Registry, arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let tool = Tool { name: own_name(arguments.first()), registry };
    let outcome = parse::<args::Cli>(&tool.name, &arguments).and_then(|cli| match cli {
        Parsed::Cli(cli) => command::dispatch(&tool, &cli),
        Parsed::Done => Ok(exit::OK),
    });
    finish(outcome)
}

/// What the commands work on.
pub(crate) struct Tool<'a> {
    /// What a user types to run it.
    pub(crate) name: String,
    pub(crate) registry: &'a Registry,
}

/// The name of the command, from its path.
fn own_name(path: Option<&OsString>) -> String {
    let stem = path.and_then(|path| Path::new(path).file_stem()).and_then(|stem| stem.to_str());
    stem.filter(|stem| !stem.is_empty()).unwrap_or("racefuzz").to_owned()
}

fn finish(outcome: Result<u8, Failure>) -> u8 {
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            // Standard error may be closed, too; then nobody is there to tell.
            let _ = output::error_line(&failure);
            exit::USAGE
        }
    }
}

enum Parsed<T> {
    Cli(T),
    /// Help or version was printed.
    Done,
}

fn parse<T: CommandFactory + FromArgMatches>(
    tool: &str,
    arguments: &[OsString],
) -> Result<Parsed<T>, Failure> {
    let parsed =
        T::command().try_get_matches_from(arguments).and_then(|matches| T::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => Ok(Parsed::Cli(cli)),
        Err(error) if !error.use_stderr() => {
            output::print(&error.render().to_string())?;
            Ok(Parsed::Done)
        }
        Err(error) => {
            let mut words = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
            let subcommand = words.find(|word| T::command().find_subcommand(word).is_some());
            let command = subcommand.map_or(tool.to_owned(), |subcommand| format!("{tool} {subcommand}"));
            Err(Failure::Usage(error::one_line(&error, &command)))
        }
    }
}
