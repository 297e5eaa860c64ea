//! `racefuzz`: the command line over the scenarios that come with it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    racefuzz_cli::main(racefuzz_scenarios::registry())
}
