//! Runs of the command line: what is typed, and what comes of it.

use crate::requests::{Check, List, Program, Run};
use racefuzz_cli::installed::{TOOL, beside};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Seconds that a run may take where nothing else was said.
const PATIENCE: u32 = 60;

/// One run of the command line.
#[derive(Debug)]
pub(crate) struct Command {
    program: OsString,
    arguments: Vec<String>,
    folder: Option<PathBuf>,
    /// Why it is not run.
    refused: Option<Failed>,
}

/// Why a command line has come to nothing, in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed(pub(crate) String);

impl Command {
    pub(crate) fn list(request: &List) -> Self {
        let mut command = Self::scenarios("list");
        request.filter.iter().for_each(|filter| command.positional(filter));
        command.json()
    }

    pub(crate) fn run(request: &Run) -> Self {
        let mut command = Self::of("run", &request.program);
        command.option("--seed", request.seed);
        command.option("--iterations", request.iterations);
        command.option("--strategy", request.strategy.as_ref());
        command.option("--max-time", Some(format!("{}s", request.max_seconds.unwrap_or(PATIENCE))));
        command.json()
    }

    pub(crate) fn check(request: &Check) -> Self {
        let mut command = Self::of("check", &request.program);
        command.option("--preemptions", request.preemptions);
        command.option("--max-time", Some(format!("{}s", request.max_seconds.unwrap_or(PATIENCE))));
        command.json()
    }

    pub(crate) fn fix(program: &Program) -> Self {
        Self::of("fix", program).json()
    }

    /// The schedule of a token once more.
    pub(crate) fn replay(token: &str, package: Option<&String>) -> Self {
        let mut command = match package {
            Some(package) => Self::cargo("replay", package),
            None => Self::scenarios("replay"),
        };
        command.positional(token);
        command.json()
    }

    fn of(verb: &str, program: &Program) -> Self {
        let mut command = match &program.package {
            Some(package) => Self::cargo(verb, package),
            None => Self::scenarios(verb),
        };
        command.option("--memory", program.memory.as_ref());
        for (name, value) in &program.params {
            command.option("--param", Some(format!("{name}={value}")));
        }
        command.positional(&program.name);
        command
    }

    fn positional(&mut self, name: &str) {
        self.refused = self.refused.take().or(not_an_option(name).err());
        self.arguments.push(name.to_owned());
    }

    fn scenarios(verb: &str) -> Self {
        let program = std::env::var_os(TOOL).unwrap_or_else(|| beside("racefuzz"));
        Self { program, arguments: vec![verb.to_owned()], folder: None, refused: None }
    }

    fn cargo(verb: &str, package: &str) -> Self {
        let arguments = vec!["racefuzz".to_owned(), verb.to_owned()];
        Self { program: beside("cargo-racefuzz"), arguments, folder: Some(package.into()), refused: None }
    }

    fn option(&mut self, name: &str, value: Option<impl ToString>) {
        // One argument: a value that begins with a dash is none of its own.
        self.arguments.extend(value.map(|value| format!("{name}={}", value.to_string())));
    }

    fn json(mut self) -> Self {
        self.option("--format", Some("json"));
        self
    }

    /// The folder that names of files are relative to.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap_or(Path::new("."))
    }

    /// Runs it: what it prints.
    ///
    /// # Errors
    /// If it cannot be run, was used wrongly, or is about something that does not build.
    pub(crate) async fn output(&self) -> Result<String, Failed> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let program = Path::new(&self.program).display();
        let folder = self.folder();
        if !folder.is_dir() {
            return Err(Failed(format!("`{}` is no folder", folder.display())));
        }
        let output = tokio::process::Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(folder)
            .env("NO_COLOR", "1")
            .env_remove("CLICOLOR_FORCE")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| Failed(format!("cannot run {program}: {error}")))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.code() {
            // No bug, a bug, and incomplete are all results.
            Some(0 | 1 | 3) if !printed.is_empty() => Ok(printed),
            _ => Err(Failed(last_words(&String::from_utf8_lossy(&output.stderr), &printed))),
        }
    }
}

/// Whether a name is one, and not taken for an option.
///
/// # Errors
/// If it is an option.
pub(crate) fn not_an_option(name: &str) -> Result<(), Failed> {
    if name.starts_with('-') { Err(Failed(format!("`{name}` is no name"))) } else { Ok(()) }
}

/// What a command said at its end: the lines behind its error, or its last ones.
fn last_words(errors: &str, printed: &str) -> String {
    const MOST: usize = 20;
    let said = if errors.trim().is_empty() { printed } else { errors };
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let first = lines.iter().rposition(|line| line.starts_with("error")).unwrap_or(0);
    let first = first.max(lines.len().saturating_sub(MOST));
    let words = lines[first..].join("\n");
    let words = words.strip_prefix("error: ").map_or(words.clone(), str::to_owned);
    if words.is_empty() { "the command ended without a word".to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed() {
        let program = Program {
            name: "counter".to_owned(),
            package: None,
            params: [("threads".to_owned(), 3)].into(),
            memory: Some("sc".to_owned()),
        };
        let run = Run { program, seed: Some(42), iterations: None, strategy: None, max_seconds: None };
        let words = "run --memory=sc --param=threads=3 counter --seed=42 --max-time=60s --format=json";
        assert_eq!(Command::run(&run).arguments.join(" "), words);
        let replay = Command::replay("tests::counts:2Xp", Some(&"../mine".to_owned()));
        assert_eq!(replay.arguments.join(" "), "racefuzz replay tests::counts:2Xp --format=json");
        assert_eq!(replay.folder(), Path::new("../mine"));
    }

    #[test]
    fn the_last_words_are_those_of_the_error() {
        assert_eq!(last_words("   Compiling a\nerror: no scenario `x`\n", ""), "no scenario `x`");
        assert_eq!(last_words("", ""), "the command ended without a word");
    }
}
