//! Runs the binary as a user does, without the habits of the machine the tests run on.

pub mod markdown;
pub mod package;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a command left.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    /// The token behind `replay`.
    pub fn token(&self) -> &str {
        let (_, rest) = self.stdout.split_once(" replay ").expect("a replay command");
        rest.split_whitespace().nth(2).expect("a token")
    }

    /// The rows of the trace and what stands around them: all but the first block and the last.
    pub fn trace(&self) -> &str {
        let (_, rest) = self.stdout.split_once("\n\n").expect("a block before the trace");
        rest.rsplit_once("\n\n").expect("a block after the trace").0
    }
}

/// Whether cargo-nextest is installed here.
pub fn has_nextest() -> bool {
    let mut version = Command::new(env!("CARGO"));
    version.args(["nextest", "--version"]);
    version.output().is_ok_and(|output| output.status.success())
}

/// The command, with arguments.
pub fn racefuzz(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_racefuzz"));
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "RACEFUZZ_LOG", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the command to its end.
pub fn run(arguments: &[&str]) -> Ran {
    racefuzz(arguments).output().expect("racefuzz runs").into()
}

/// Runs a command line that is written with blanks.
pub fn line(line: &str) -> Ran {
    run(&line.split_whitespace().collect::<Vec<_>>())
}

/// Compares with `snapshots/NAME.snap`.
pub fn snapshot(name: &str, content: &str) {
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/../../snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, content);
    });
}

/// A folder that is gone at the end.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A path as an argument.
pub fn argument(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The scenarios as `list --format json` tells of them.
pub fn scenarios() -> Vec<serde_json::Value> {
    let list: serde_json::Value = serde_json::from_str(&line("list --format json").stdout).expect("JSON");
    list["scenarios"].as_array().expect("a list").clone()
}

/// The columns of the widest line.
pub fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}
