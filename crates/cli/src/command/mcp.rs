//! `mcp`: the server for agents, which is a program of its own, as most people need none.

use crate::error::Failure;
use crate::installed::{TOOL, beside};
use std::io;
use std::process::Command;

/// What serves.
const SERVER: &str = "racefuzz-mcp";

pub(super) fn run() -> Result<u8, Failure> {
    let mut command = Command::new(beside(SERVER));
    if let Ok(own) = std::env::current_exe() {
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
