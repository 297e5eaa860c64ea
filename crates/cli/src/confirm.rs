//! Repairs typed into a copy of the source, compiled by cargo and checked again.

use crate::error::Failure;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// A copy of a workspace that repairs are typed into, one after the other. The user's files and what
/// cargo has built of them stay as they are: it lies, and is built, in a folder of its own in the target
/// folder, and is kept there, so that the next repair compiles only what it changes.
pub(crate) struct Scratch {
    workspace: PathBuf,
    source: PathBuf,
    target: PathBuf,
    /// Files of the copy that hold a repair.
    changed: Vec<PathBuf>,
}

/// What came of a repair that was typed in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// It compiles, and no execution fails.
    Holds,
    /// It compiles, and is not verified: what was said instead.
    Fails(String),
    /// It does not compile: cargo's messages.
    NotCompiled(String),
}

impl Scratch {
    /// Copies the workspace, but for what cargo and git keep in it.
    pub(crate) fn new(workspace: &Path) -> Result<Self, Failure> {
        let workspace =
            workspace.canonicalize().map_err(|error| Failure::Read { file: workspace.to_owned(), error })?;
        let built = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = built.map_or_else(|| workspace.join("target"), |target| workspace.join(target));
        let folder = target.join("racefuzz-confirm");
        let name = workspace.file_name().unwrap_or(OsStr::new("workspace"));
        let source = folder.join("source").join(name);
        let copied = refresh(&workspace, &source, &workspace);
        copied.map_err(|error| Failure::Write { file: source.clone(), error })?;
        Ok(Self { workspace, source, target: folder.join("target"), changed: Vec::new() })
    }

    /// Types a repair in, in place of the one before: files, named from one of the folders given, with
    /// their new text.
    pub(crate) fn type_in(&mut self, files: &[(String, String)], folders: &[&Path]) -> Result<(), Failure> {
        for changed in std::mem::take(&mut self.changed) {
            let original = self.workspace.join(changed.strip_prefix(&self.source).unwrap_or(&changed));
            fs::copy(&original, &changed).map_err(|error| Failure::Write { file: changed, error })?;
        }
        for (file, text) in files {
            let original = folders.iter().map(|folder| folder.join(file)).find(|path| path.is_file());
            let inside = original.as_ref().and_then(|path| {
                let path = path.canonicalize().ok()?;
                path.strip_prefix(&self.workspace).ok().map(Path::to_owned)
            });
            let Some(inside) = inside else {
                return Err(Failure::Setting(format!(
                    "`{file}` is not below {}: the repair cannot be typed in there",
                    self.workspace.display()
                )));
            };
            let path = self.source.join(inside);
            fs::write(&path, text).map_err(|error| Failure::Write { file: path.clone(), error })?;
            self.changed.push(path);
        }
        Ok(())
    }

    /// Runs cargo in the copy: first what only builds, then what checks.
    pub(crate) fn check(
        &self,
        build: &[&str],
        check: &[&str],
        variables: &[(&str, String)],
    ) -> Result<Confirmed, Failure> {
        let built = self.run(build, &[])?;
        if built.0 != Some(0) {
            return Ok(Confirmed::NotCompiled(built.1));
        }
        let (code, said) = self.run(check, variables)?;
        Ok(if code == Some(0) { Confirmed::Holds } else { Confirmed::Fails(said) })
    }

    fn run(
        &self,
        arguments: &[&str],
        variables: &[(&str, String)],
    ) -> Result<(Option<i32>, String), Failure> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if ["CARGO_PKG", "CARGO_BIN", "CARGO_MANIFEST", "CARGO_CRATE", "RACEFUZZ"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                cargo.env_remove(&variable);
            }
        }
        let output = cargo
            .args(arguments)
            .current_dir(&self.source)
            .env("CARGO_TARGET_DIR", &self.target)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .output()
            .map_err(|error| Failure::Cargo(format!("cannot run cargo: {error}")))?;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok((output.status.code(), said))
    }
}

/// A repair that a test has left to be typed in.
pub(crate) struct TypedRepair {
    /// Its number in the report.
    pub(crate) number: String,
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
                    package: fs::read_to_string(repair.join("package"))?,
                    manifest: fs::read_to_string(repair.join("manifest"))?,
                    files,
                });
            }
        }
        Ok(all)
    }
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The outermost folder around this one that has a `Cargo.lock`.
pub(crate) fn workspace_of(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().filter(|folder| folder.join("Cargo.lock").is_file()).last().map(Path::to_owned)
}

/// Makes one folder like another, and writes only the files that differ: what has not changed is not
/// compiled again.
fn refresh(from: &Path, to: &Path, workspace: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let copy = to.join(&name);
        names.push(name.clone());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let is_built = path.join("CACHEDIR.TAG").is_file() || name == "target";
            if !is_built && name != ".git" {
                refresh(&path, &copy, workspace)?;
            }
        } else if kind.is_file() {
            let mut text = fs::read(&path)?;
            if name == "Cargo.toml"
                && let Ok(manifest) = std::str::from_utf8(&text)
            {
                text = absolute(manifest, from, workspace).into_bytes();
            }
            if fs::read(&copy).ok().as_ref() != Some(&text) {
                fs::write(&copy, text)?;
            }
        }
    }
    // A file that is gone might be compiled otherwise.
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !names.contains(&entry.file_name()) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A manifest of which each path that leads out of the workspace is absolute: the copy lies elsewhere.
fn absolute(manifest: &str, folder: &Path, workspace: &Path) -> String {
    const KEY: &str = "path = \"";
    let mut parts = manifest.split(KEY);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(KEY);
        let (path, rest) = part.split_at(part.find('"').unwrap_or(part.len()));
        let whole = normal(&folder.join(path));
        match whole.to_str() {
            Some(whole) if !Path::new(whole).starts_with(workspace) => out.push_str(whole),
            _ => out.push_str(path),
        }
        out.push_str(rest);
    }
    out
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => _ = out.pop(),
            part => out.push(part),
        }
    }
    out
}

/// What is said of the repairs that were typed in; and whether all of them hold.
pub(crate) fn said(confirmed: &[(String, Confirmed)], advice: usize) -> (String, bool) {
    let mut text = String::from("\n");
    for (repair, confirmed) in confirmed {
        match confirmed {
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
    let holding = confirmed.iter().filter(|(_, confirmed)| *confirmed == Confirmed::Holds).count();
    let of = match confirmed.len() {
        1 => "1 repair that is verified as text".to_owned(),
        repairs => format!("{repairs} repairs that are verified as text"),
    };
    text.push_str(&format!(" confirmed: {holding} of {of}"));
    match advice {
        0 => {}
        1 => text.push_str("; 1 is advice, which is not typed in"),
        advice => text.push_str(&format!("; {advice} are advice, which is not typed in")),
    }
    text.push('\n');
    (text, holding == confirmed.len())
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
    fn paths_that_lead_out_of_the_workspace_stay_what_they_were() {
        let manifest = "a = { path = \"../b\" }\nc = { path = \"../../c\", version = \"1\" }\n[lib]\npath = \"src/x.rs\"\n";
        assert_eq!(
            absolute(manifest, Path::new("/src/w/a"), Path::new("/src/w")),
            manifest.replace("../../c", "/src/c")
        );
    }

    #[test]
    fn a_repair_is_typed_into_a_copy_and_taken_out_again() {
        let folder = std::env::temp_dir().join(format!("racefuzz-confirm-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(from.join("src")).unwrap();
        fs::create_dir_all(from.join("target")).unwrap();
        fs::write(from.join("src/lib.rs"), "old").unwrap();
        fs::write(from.join("target/built"), "").unwrap();
        refresh(&from, &to, &from).unwrap();
        assert!(!to.join("target").exists());
        fs::write(to.join("src/gone.rs"), "").unwrap();
        refresh(&from, &to, &from).unwrap();
        assert!(!to.join("src/gone.rs").exists());
        let workspace = from.canonicalize().unwrap();
        let mut scratch = Scratch { workspace, source: to.clone(), target: to.clone(), changed: Vec::new() };
        scratch.type_in(&[("src/lib.rs".to_owned(), "new".to_owned())], &[&from]).unwrap();
        assert_eq!(fs::read_to_string(to.join("src/lib.rs")).unwrap(), "new");
        assert_eq!(fs::read_to_string(from.join("src/lib.rs")).unwrap(), "old");
        scratch.type_in(&[], &[&from]).unwrap();
        assert_eq!(fs::read_to_string(to.join("src/lib.rs")).unwrap(), "old");
        assert!(scratch.type_in(&[("src/main.rs".to_owned(), String::new())], &[&from]).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_repair_that_disagrees_is_said_to() {
        let confirmed = [
            ("repair 1".to_owned(), Confirmed::Holds),
            ("repair 3".to_owned(), Confirmed::Fails("bug\n".to_owned())),
        ];
        let (text, agree) = said(&confirmed, 1);
        assert!(!agree);
        assert_eq!(
            text,
            "\n repair 1 typed in: it compiles and holds, verified\n repair 3 typed in: DISAGREES, it is not verified\n   \
             | bug\n confirmed: 1 of 2 repairs that are verified as text; 1 is advice, which is not typed in\n"
        );
        assert!(said(&confirmed[..1], 0).1);
    }
}
