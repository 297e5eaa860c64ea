//! `cargo racefuzz init`: the dependency, the switch for imports, and a first test.

use super::drive::{cannot, cargo};
use crate::args::CargoInitArgs;
use crate::confirm::sorted;
use crate::error::Failure;
use crate::{exit, output};
use std::fs;
use std::path::{Path, PathBuf};

/// How a package tells a build under racefuzz from an ordinary one.
#[derive(Clone, Copy)]
enum Switch {
    /// By `--cfg racefuzz`, which `cargo racefuzz` passes to the compiler.
    Cfg,
    /// By a feature of the package.
    Feature,
}

impl Switch {
    /// The condition, as it stands in `#[cfg(..)]`.
    fn condition(self) -> &'static str {
        match self {
            Self::Cfg => "racefuzz",
            Self::Feature => "feature = \"racefuzz\"",
        }
    }

    /// How the tests are run.
    fn command(self) -> &'static str {
        match self {
            Self::Cfg => "cargo racefuzz run",
            Self::Feature => "cargo racefuzz run -- --features racefuzz",
        }
    }

    /// The module that the package imports from.
    fn module(self) -> String {
        let condition = self.condition();
        format!(
            "//! What threads share: std's types, and racefuzz's where the package is tested under racefuzz.\n\
             //! Import from here what would come from `std::sync` and `std::thread`.\n\
             #![allow(unused_imports)]\n\n\
             #[cfg({condition})]\n\
             pub(crate) use racefuzz::{{sync::*, thread}};\n\
             #[cfg(not({condition}))]\n\
             pub(crate) use std::{{sync::*, thread}};\n"
        )
    }

    /// The first test.
    fn test(self) -> String {
        format!(
            "//! Tests under many thread schedules: `{}`.\n\
             #![cfg({})]\n\n{}",
            self.command(),
            self.condition(),
            FIRST_TEST
        )
    }
}

const FIRST_TEST: &str = "\
use racefuzz::sync::{Arc, Mutex};
use racefuzz::thread;

/// Put a type of this package in the place of the mutex: share it, use it in both threads, and assert
/// what has to be true in every schedule.
#[racefuzz::test]
fn two_threads() {
    let shared = Arc::new(Mutex::new(0));
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || *other.lock().unwrap() += 1);
    *shared.lock().unwrap() += 1;
    thread.join().unwrap();
    assert_eq!(*shared.lock().unwrap(), 2);
}
";

/// Tells the compiler that `cfg(racefuzz)` is meant.
const EXPECTED: &str =
    "\n[lints.rust]\nunexpected_cfgs = { level = \"warn\", check-cfg = ['cfg(racefuzz)'] }\n";

pub(super) fn init(args: &CargoInitArgs) -> Result<u8, Failure> {
    let switch = if args.feature { Switch::Feature } else { Switch::Cfg };
    let manifest = manifest()?;
    let package = manifest.parent().unwrap_or(Path::new(".")).to_owned();
    let library = package.join("src/lib.rs");
    if !library.is_file() {
        let text =
            "src/lib.rs is needed: tests of a binary cannot reach what they test; move it to a library";
        return Err(Failure::Cargo(text.to_owned()));
    }
    let mut done = Done::default();
    depend(args, switch, &manifest, &mut done)?;
    if matches!(switch, Switch::Cfg) {
        expect(&manifest, &mut done)?;
    }
    done.write(&package, "src/sync.rs", &switch.module())?;
    declare(&library, &mut done)?;
    done.write(&package, "tests/racefuzz.rs", &switch.test())?;
    let lines = to_switch(&package).map_err(|error| Failure::Read { file: package.join("src"), error })?;
    output::print(&(done.text + &next(&lines, switch)))?;
    Ok(exit::OK)
}

/// What is left to do by hand.
fn next(lines: &[String], switch: Switch) -> String {
    const SHOWN: usize = 20;
    let mut text =
        "\nNext: import from `crate::sync` what comes from `std::sync` and `std::thread`".to_owned();
    if lines.is_empty() {
        text.push_str(",\nput");
    } else {
        text.push_str(" here:\n\n");
        lines.iter().take(SHOWN).for_each(|line| text.push_str(&format!("    {line}\n")));
        if lines.len() > SHOWN {
            text.push_str(&format!("    and in {} more lines\n", lines.len() - SHOWN));
        }
        text.push_str("\nThen put");
    }
    text + &format!(" a type of yours into tests/racefuzz.rs, and type\n\n    {}\n", switch.command())
}

/// The lines of the package's sources that name std's types for threads: by an import, or where they are used.
fn to_switch(package: &Path) -> std::io::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut folders = vec![PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for file in sorted(&package.join(&folder))? {
            let name = folder.join(file.file_name().unwrap_or_default());
            if file.is_dir() {
                folders.push(name);
            } else if name.extension().is_some_and(|ending| ending == "rs")
                && name != Path::new("src/sync.rs")
            {
                let text = fs::read_to_string(&file)?;
                for (number, line) in text.lines().enumerate().filter(|(_, line)| names_threads(line)) {
                    lines.push(format!("{}:{}  {}", name.display(), number + 1, line.trim()));
                }
            }
        }
    }
    Ok(lines)
}

/// Whether a line of a source is one that is to be switched.
fn names_threads(line: &str) -> bool {
    let has = |part| line.contains(part);
    let is_comment = line.trim_start().starts_with("//");
    let is_group = has("use std::{") && (has("sync") || has("thread") || line.trim_end().ends_with('{'));
    !is_comment && (has("std::sync") || has("std::thread") || is_group)
}

/// What was done, a line each.
#[derive(Default)]
struct Done {
    text: String,
}

impl Done {
    fn say(&mut self, verb: &str, what: &str) {
        self.text.push_str(&format!("{verb:>8} {what}\n"));
    }

    /// Writes a file that is not there yet.
    fn write(&mut self, package: &Path, name: &str, text: &str) -> Result<(), Failure> {
        let file = package.join(name);
        if file.exists() {
            self.say("kept", name);
            return Ok(());
        }
        let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
        folder.and_then(|()| fs::write(&file, text)).map_err(|error| Failure::Write { file, error })?;
        self.say("wrote", name);
        Ok(())
    }
}

/// The manifest of the package around the current folder.
fn manifest() -> Result<PathBuf, Failure> {
    let mut locate = cargo();
    locate.args(["locate-project", "--message-format", "plain"]);
    let located = locate.output().map_err(|error| cannot(&error))?;
    let path = String::from_utf8_lossy(&located.stdout).trim().to_owned();
    if located.status.success() && !path.is_empty() {
        return Ok(path.into());
    }
    Err(Failure::Cargo("no Cargo.toml here or above; `cargo new --lib NAME` makes a package".to_owned()))
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| Failure::Read { file: file.to_owned(), error })
}

/// Has cargo add the dependency.
fn depend(args: &CargoInitArgs, switch: Switch, manifest: &Path, done: &mut Done) -> Result<(), Failure> {
    let depends =
        |line: &str| line.trim_start().starts_with("racefuzz ") || line.contains("dependencies.racefuzz]");
    if read(manifest)?.lines().any(depends) {
        done.say("kept", "Cargo.toml: it depends on racefuzz");
        return Ok(());
    }
    let mut add = cargo();
    add.args(["add", "--quiet", "racefuzz", "--manifest-path"]).arg(manifest);
    match switch {
        Switch::Cfg => _ = add.args(["--target", "cfg(racefuzz)"]),
        Switch::Feature => _ = add.arg("--optional"),
    }
    if let Some(path) = &args.path {
        add.arg("--path").arg(path);
    }
    if !add.status().map_err(|error| cannot(&error))?.success() {
        let text = "the dependency was not added; see cargo's messages above (from a checkout: --path DIR)";
        return Err(Failure::Cargo(text.to_owned()));
    }
    done.say("added", "racefuzz to Cargo.toml");
    Ok(())
}

/// Tells the compiler about the switch, where the manifest has no lints that would have to be changed.
fn expect(manifest: &Path, done: &mut Done) -> Result<(), Failure> {
    let text = read(manifest)?;
    if text.contains("check-cfg") && text.contains("'cfg(racefuzz)'") {
        return Ok(());
    }
    if text.lines().any(|line| line.trim_start().starts_with("[lints")) {
        done.say("to do", &format!("add to the lints of the package or workspace:{}", EXPECTED.trim_end()));
        return Ok(());
    }
    let text = format!("{}\n{EXPECTED}", text.trim_end());
    fs::write(manifest, text).map_err(|error| Failure::Write { file: manifest.to_owned(), error })?;
    done.say("added", "`cfg(racefuzz)` to the lints in Cargo.toml");
    Ok(())
}

/// Declares the module in front of the library's first item.
fn declare(library: &Path, done: &mut Done) -> Result<(), Failure> {
    let text = read(library)?;
    if text.lines().any(|line| line.trim_end().ends_with("mod sync;") || line.contains("mod sync {")) {
        done.say("kept", "src/lib.rs: it has a module `sync`");
        return Ok(());
    }
    let is_front = |line: &str| line.is_empty() || line.starts_with("//!") || line.starts_with("#![");
    let front: usize =
        text.split_inclusive('\n').take_while(|line| is_front(line.trim())).map(str::len).sum();
    let (front, items) = text.split_at(front);
    let text = format!("{front}mod sync;\n{}{items}", if items.is_empty() { "" } else { "\n" });
    fs::write(library, text).map_err(|error| Failure::Write { file: library.to_owned(), error })?;
    done.say("added", "`mod sync;` to src/lib.rs");
    Ok(())
}
