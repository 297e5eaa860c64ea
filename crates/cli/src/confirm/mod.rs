//! Repairs typed into a copy of the source, compiled by cargo and checked again: one way to do it, for
//! `racefuzz fix --confirm`, for `cargo racefuzz fix --confirm` and for whoever tests repairs.

mod copy;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// A copy of a workspace that repairs are typed into. The user's files and what cargo has built of them
/// stay as they are: it lies, and is built, in a folder of its own, and is kept there, so that the next
/// repair compiles only what it changes.
pub struct Scratch {
    workspace: PathBuf,
    source: PathBuf,
    target: PathBuf,
    /// Files of the copy that hold a repair.
    changed: Vec<PathBuf>,
}

/// A repair as text, and how it is checked when it is typed in.
#[derive(Clone, Debug, Default)]
pub struct Repair {
    /// What it is called where the result is told.
    pub name: String,
    /// Whether it is a proposal: nobody has said that it repairs.
    pub proposal: bool,
    /// Each changed file with its new text.
    pub files: Vec<(String, String)>,
    /// The folders that the files may be named from.
    pub folders: Vec<PathBuf>,
    /// Cargo's arguments that only build.
    pub build: Vec<String>,
    /// What checks then.
    pub check: Check,
    /// Environment variables of the check.
    pub variables: Vec<(String, String)>,
}

/// A command that succeeds if no execution fails.
#[derive(Clone, Debug)]
pub enum Check {
    /// Cargo, with these arguments.
    Cargo(Vec<String>),
    /// A binary of the debug profile, with these arguments.
    Binary(String, Vec<String>),
    /// The running command, with these arguments.
    Own(Vec<String>),
}

impl Default for Check {
    fn default() -> Self {
        Self::Cargo(Vec::new())
    }
}

/// What came of a repair that was typed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// It compiles, and no execution fails.
    Holds,
    /// It compiles, and is not verified: what was said instead.
    Fails(String),
    /// It does not compile: cargo's messages.
    NotCompiled(String),
}

/// Why nothing can be typed in.
#[derive(Debug)]
pub enum Error {
    /// A file that cannot be read.
    Read {
        /// Its path.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file that cannot be written.
    Write {
        /// Its path.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A changed file that is not one of the workspace.
    Outside {
        /// Its path, as the repair has it.
        file: String,
        /// The workspace.
        workspace: PathBuf,
    },
    /// A program that cannot be run.
    Run {
        /// The program.
        program: String,
        /// What the system says.
        error: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, error } => write!(f, "cannot read {}: {error}", file.display()),
            Self::Write { file, error } => write!(f, "cannot write {}: {error}", file.display()),
            Self::Outside { file, workspace } => {
                write!(
                    f,
                    "`{file}` is not below {}: the repair cannot be typed in there",
                    workspace.display()
                )
            }
            Self::Run { program, error } => write!(f, "cannot run {program}: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl Scratch {
    /// Copies the workspace, but for what cargo and git keep in it, into a folder below `target`.
    ///
    /// # Errors
    /// If the workspace cannot be read, or the copy not be written.
    pub fn new(workspace: &Path, target: &Path) -> Result<Self, Error> {
        let workspace =
            workspace.canonicalize().map_err(|error| Error::Read { file: workspace.to_owned(), error })?;
        let folder = workspace.join(target).join("racefuzz-confirm");
        let name = workspace.file_name().unwrap_or(OsStr::new("workspace"));
        let source = folder.join("source").join(name);
        let copied = copy::refresh(&workspace, &source, &workspace);
        copied.map_err(|error| Error::Write { file: source.clone(), error })?;
        Ok(Self { workspace, source, target: folder.join("target"), changed: Vec::new() })
    }

    /// The same below the workspace's target folder.
    pub(crate) fn in_target_of(workspace: &Path) -> Result<Self, Error> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        Self::new(workspace, &target)
    }

    /// Types in, builds and checks every repair; what came of each. Those that change different files
    /// are built at once.
    ///
    /// # Errors
    /// If a changed file is not one of the workspace, or cannot be written; if a command cannot be run.
    pub fn confirm(&mut self, repairs: &[Repair]) -> Result<Vec<Confirmed>, Error> {
        let mut confirmed = vec![None; repairs.len()];
        let mut rounds = rounds(repairs);
        // More of them come where several do not compile together.
        while let Some(round) = rounds.pop() {
            let files = round.iter().map(|at| &repairs[*at]);
            self.type_in(&files.collect::<Vec<_>>())?;
            let mut said = None;
            let mut built: Vec<&[String]> = Vec::new();
            for at in &round {
                let build = &repairs[*at].build[..];
                if !built.contains(&build) {
                    built.push(build);
                    let (ok, text) = self.run(&Check::Cargo(build.to_vec()), &[])?;
                    said = said.or((!ok).then_some(text));
                }
            }
            match (said, &round[..]) {
                (Some(said), [at]) => confirmed[*at] = Some(Confirmed::NotCompiled(said)),
                (Some(_), _) => {
                    let (one, other) = round.split_at(round.len() / 2);
                    rounds.extend([one.to_vec(), other.to_vec()]);
                }
                (None, _) => {
                    for at in round {
                        let (ok, said) = self.run(&repairs[at].check, &repairs[at].variables)?;
                        confirmed[at] = Some(if ok { Confirmed::Holds } else { Confirmed::Fails(said) });
                    }
                }
            }
        }
        // Each was in a round, and stays in one until something has come of it.
        Ok(confirmed.into_iter().flatten().collect())
    }

    /// Types repairs in, in place of those before.
    fn type_in(&mut self, repairs: &[&Repair]) -> Result<(), Error> {
        for changed in std::mem::take(&mut self.changed) {
            let original = self.workspace.join(changed.strip_prefix(&self.source).unwrap_or(&changed));
            fs::copy(&original, &changed).map_err(|error| Error::Write { file: changed, error })?;
        }
        for repair in repairs {
            for (file, text) in &repair.files {
                let original =
                    repair.folders.iter().map(|folder| folder.join(file)).find(|path| path.is_file());
                let inside = original.as_ref().and_then(|path| {
                    let path = path.canonicalize().ok()?;
                    path.strip_prefix(&self.workspace).ok().map(Path::to_owned)
                });
                let Some(inside) = inside else {
                    return Err(Error::Outside { file: file.clone(), workspace: self.workspace.clone() });
                };
                let path = self.source.join(inside);
                fs::write(&path, text).map_err(|error| Error::Write { file: path.clone(), error })?;
                self.changed.push(path);
            }
        }
        Ok(())
    }

    /// Runs a command in the copy: whether it succeeds, and what it says.
    fn run(&self, check: &Check, variables: &[(String, String)]) -> Result<(bool, String), Error> {
        let (program, arguments) = match check {
            Check::Cargo(arguments) => {
                (PathBuf::from(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())), arguments)
            }
            Check::Binary(name, arguments) => (self.target.join("debug").join(name), arguments),
            Check::Own(arguments) => (own()?, arguments),
        };
        let mut command = Command::new(&program);
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if ["CARGO_PKG", "CARGO_BIN", "CARGO_MANIFEST", "CARGO_CRATE", "RACEFUZZ"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                command.env_remove(&variable);
            }
        }
        let output = command
            .args(arguments)
            .current_dir(&self.source)
            .env("CARGO_TARGET_DIR", &self.target)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .output()
            .map_err(|error| Error::Run { program: program.display().to_string(), error })?;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), said))
    }
}

/// The running command.
fn own() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|error| Error::Run { program: "the command itself".to_owned(), error })
}

/// Repairs that can be typed in together, by their places: no two of a round change one file.
fn rounds(repairs: &[Repair]) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let share = |one: &Repair, other: &Repair| {
        one.files.iter().any(|(file, _)| other.files.iter().any(|(changed, _)| changed == file))
    };
    for (at, repair) in repairs.iter().enumerate() {
        match rounds.iter_mut().find(|round| !round.iter().any(|other| share(repair, &repairs[*other]))) {
            Some(round) => round.push(at),
            None => rounds.push(vec![at]),
        }
    }
    rounds
}

/// A repair that a test has left to be typed in.
pub(crate) struct TypedRepair {
    /// Its number in the report.
    pub(crate) number: String,
    /// Whether it is a proposal.
    pub(crate) proposal: bool,
    /// The test's package, and its folder.
    pub(crate) package: String,
    pub(crate) manifest: String,
    /// Each changed file with its new text.
    pub(crate) files: Vec<(String, String)>,
}

impl TypedRepair {
    /// Those of a folder, by test: `TEST/NUMBER` holds `package`, `manifest` and, in `files`, the files.
    pub(crate) fn read_all(folder: &Path) -> io::Result<BTreeMap<String, Vec<Self>>> {
        let mut all: BTreeMap<String, Vec<Self>> = BTreeMap::new();
        for test in sorted(folder)? {
            let name = fs::read_to_string(test.join("name"))?;
            for repair in sorted(&test)?.into_iter().filter(|path| path.is_dir()) {
                let mut files = Vec::new();
                for file in sorted(&repair.join("files"))? {
                    let text = fs::read_to_string(&file)?;
                    let (path, text) = text.split_once('\n').unwrap_or_default();
                    files.push((path.to_owned(), text.to_owned()));
                }
                all.entry(name.clone()).or_default().push(Self {
                    number: repair.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                    proposal: repair.join("proposal").is_file(),
                    package: fs::read_to_string(repair.join("package"))?,
                    manifest: fs::read_to_string(repair.join("manifest"))?,
                    files,
                });
            }
        }
        Ok(all)
    }
}

/// What a folder holds, in the order of names: the same on every machine.
pub(crate) fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The outermost folder around this one that has a `Cargo.lock`.
pub fn workspace_of(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().filter(|folder| folder.join("Cargo.lock").is_file()).last().map(Path::to_owned)
}

/// What is said of repairs that were typed in, and of others that are advice; and whether all hold that were
/// said to: of a proposal it is found out.
pub fn said<'r>(
    confirmed: impl IntoIterator<Item = (&'r Repair, &'r Confirmed)>,
    advice: usize,
) -> (String, bool) {
    let mut text = String::from("\n");
    let (mut holding, mut all) = (0, 0);
    let (mut good, mut proposals) = (0, 0);
    for (Repair { name: repair, proposal, .. }, confirmed) in confirmed {
        let holds = usize::from(*confirmed == Confirmed::Holds);
        if *proposal {
            (proposals, good) = (proposals + 1, good + holds);
        } else {
            (all, holding) = (all + 1, holding + holds);
        }
        match confirmed {
            Confirmed::Fails(_) if *proposal => {
                text.push_str(&format!(" {repair}, a proposal, typed in: it compiles and does not repair\n"));
            }
            Confirmed::NotCompiled(_) if *proposal => {
                text.push_str(&format!(" {repair}, a proposal, typed in: it does not compile\n"));
            }
            Confirmed::Holds => {
                text.push_str(&format!(" {repair} typed in: it compiles and holds, verified\n"))
            }
            Confirmed::Fails(said) => {
                text.push_str(&format!(
                    " {repair} typed in: DISAGREES, it is not verified\n{}\n",
                    indented(said)
                ));
            }
            Confirmed::NotCompiled(said) => {
                text.push_str(&format!(
                    " {repair} typed in: DISAGREES, it does not compile\n{}\n",
                    indented(said)
                ));
            }
        }
    }
    text.push_str(&match all {
        0 => " no repair is verified as text".to_owned(),
        1 => format!(" confirmed: {holding} of 1 repair that is verified as text"),
        all => format!(" confirmed: {holding} of {all} repairs that are verified as text"),
    });
    match proposals {
        0 => {}
        1 => text.push_str(&format!("; {good} of 1 proposal repairs")),
        proposals => text.push_str(&format!("; {good} of {proposals} proposals repair")),
    }
    match advice {
        0 => {}
        1 => text.push_str("; 1 is advice, which is not typed in"),
        advice => text.push_str(&format!("; {advice} are advice, which is not typed in")),
    }
    text.push('\n');
    (text, holding == all)
}

/// The first lines of a tool's output, shown as such.
fn indented(text: &str) -> String {
    const LINES: usize = 40;
    let lines = text.lines().take(LINES).map(|line| format!("   | {line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_is_typed_into_a_copy_and_taken_out_again() {
        let folder = std::env::temp_dir().join(format!("racefuzz-confirm-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(from.join("src")).unwrap();
        fs::create_dir_all(from.join("target")).unwrap();
        fs::write(from.join("src/lib.rs"), "old").unwrap();
        fs::write(from.join("target/built"), "").unwrap();
        copy::refresh(&from, &to, &from).unwrap();
        assert!(!to.join("target").exists());
        fs::write(to.join("src/gone.rs"), "").unwrap();
        copy::refresh(&from, &to, &from).unwrap();
        assert!(!to.join("src/gone.rs").exists());
        let workspace = from.canonicalize().unwrap();
        let mut scratch = Scratch { workspace, source: to.clone(), target: to.clone(), changed: Vec::new() };
        let repair = |file: &str| Repair {
            files: vec![(file.to_owned(), "new".to_owned())],
            folders: vec![from.clone()],
            ..Repair::default()
        };
        scratch.type_in(&[&repair("src/lib.rs")]).unwrap();
        assert_eq!(fs::read_to_string(to.join("src/lib.rs")).unwrap(), "new");
        assert_eq!(fs::read_to_string(from.join("src/lib.rs")).unwrap(), "old");
        scratch.type_in(&[]).unwrap();
        assert_eq!(fs::read_to_string(to.join("src/lib.rs")).unwrap(), "old");
        assert!(matches!(scratch.type_in(&[&repair("src/main.rs")]), Err(Error::Outside { .. })));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn repairs_of_different_files_are_typed_in_together() {
        let changes = |files: &[&str]| Repair {
            files: files.iter().map(|file| ((*file).to_owned(), String::new())).collect(),
            ..Repair::default()
        };
        let repairs = [changes(&["a"]), changes(&["a", "b"]), changes(&["b"]), changes(&["c"])];
        assert_eq!(rounds(&repairs), [vec![0, 2, 3], vec![1]]);
    }

    #[test]
    fn a_repair_that_disagrees_is_said_to() {
        let repairs =
            ["repair 1", "repair 3"].map(|name| Repair { name: name.to_owned(), ..Repair::default() });
        let confirmed = [Confirmed::Holds, Confirmed::Fails("bug\n".to_owned())];
        let (text, agree) = said(repairs.iter().zip(&confirmed), 1);
        assert!(!agree);
        assert_eq!(
            text,
            "\n repair 1 typed in: it compiles and holds, verified\n repair 3 typed in: DISAGREES, it is not verified\n   \
             | bug\n confirmed: 1 of 2 repairs that are verified as text; 1 is advice, which is not typed in\n"
        );
        assert!(said(repairs.iter().zip(&confirmed[..1]), 0).1);
        let nothing = " no repair is verified as text; 2 are advice, which is not typed in\n";
        assert_eq!(said([], 2), (format!("\n{nothing}"), true));
    }

    #[test]
    fn a_proposal_may_turn_out_not_to_repair() {
        let repairs = [("repair 1", false), ("repair 2", true), ("repair 3", true), ("repair 4", true)]
            .map(|(name, proposal)| Repair { name: name.to_owned(), proposal, ..Repair::default() });
        let fails = Confirmed::Fails("bug\n".to_owned());
        let refused = Confirmed::NotCompiled("error\n".to_owned());
        let confirmed = [Confirmed::Holds, Confirmed::Holds, fails, refused];
        let (text, agree) = said(repairs.iter().zip(&confirmed), 0);
        assert!(agree);
        assert_eq!(
            text,
            "\n repair 1 typed in: it compiles and holds, verified\n repair 2 typed in: it compiles and holds, \
             verified\n repair 3, a proposal, typed in: it compiles and does not repair\n repair 4, a proposal, \
             typed in: it does not compile\n confirmed: 1 of 1 repair that is verified as text; 1 of 3 proposals repair\n"
        );
    }
}
