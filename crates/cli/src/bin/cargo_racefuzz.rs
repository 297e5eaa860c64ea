//! `cargo racefuzz`: drives the `#[racefuzz::test]`s of any package through cargo.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    racefuzz_cli::cargo_main()
}
