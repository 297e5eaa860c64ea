//! A package of somebody else's, set up for racefuzz.

use super::Ran;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package, new for each test.
pub struct Package {
    folder: tempfile::TempDir,
}

impl Package {
    /// Cargo tells packages in one target folder apart by their names, wherever they lie.
    pub fn new(name: &str, tests: &str) -> Self {
        let package = Self { folder: super::folder() };
        let top = repository();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [workspace]\n"
        );
        fs::create_dir(package.path("src")).unwrap();
        fs::create_dir(package.path("tests")).unwrap();
        fs::write(package.path("Cargo.toml"), manifest).unwrap();
        // The versions that are here already.
        fs::copy(top.join("Cargo.lock"), package.path("Cargo.lock")).unwrap();
        fs::write(package.path("src/lib.rs"), "//! A package that uses racefuzz in its tests.\n").unwrap();
        fs::write(package.path("tests/races.rs"), tests).unwrap();
        let library = top.join("crates/racefuzz");
        let set_up = package.run(&["init", "--path", library.to_str().unwrap()]);
        assert_eq!(set_up.code, Some(0), "{}", set_up.stdout);
        share_features(&package.path("Cargo.toml"));
        // Its first test is not what these tests are about.
        fs::remove_file(package.path("tests/racefuzz.rs")).unwrap();
        package
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut ran = self.ran(env!("CARGO_BIN_EXE_cargo-racefuzz"), arguments, "0");
        // Of cargo's messages and the tests' no matter which stream carries what.
        ran.stdout.push_str(&ran.stderr);
        ran
    }

    /// The command in a terminal, in which keys are typed as soon as it shows a text; what it shows, and its exit
    /// code.
    #[cfg(target_os = "linux")]
    pub fn typed_at(&self, command: &str, shown: &str, keys: &str) -> (String, Option<i32>) {
        use std::io::{Read, Write};
        let arguments = ["300", "script", "-qec", command, "/dev/null"];
        let mut terminal = command_in(self.folder.path(), "timeout", &arguments, "0");
        terminal.env("TERM", "xterm").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut terminal = terminal.spawn().expect("it runs");
        let (mut typed, mut output) = (terminal.stdin.take(), terminal.stdout.take().unwrap());
        let (mut screen, mut bytes, mut kept) = (Vec::new(), [0; 4096], None);
        while let Ok(read @ 1..) = output.read(&mut bytes) {
            screen.extend_from_slice(&bytes[..read]);
            if String::from_utf8_lossy(&screen).contains(shown)
                && let Some(mut typed) = typed.take()
            {
                typed.write_all(keys.as_bytes()).unwrap();
                // What ends the input of a terminal may end what runs there, too: it stays open.
                kept = Some(typed);
            }
        }
        let code = terminal.wait().unwrap().code();
        drop(kept);
        (String::from_utf8_lossy(&screen).into_owned(), code)
    }

    /// A program in the package's folder, with `RUST_BACKTRACE` as given.
    pub fn ran(&self, program: &str, arguments: &[&str], backtrace: &str) -> Ran {
        ran_in(self.folder.path(), program, arguments, backtrace)
    }
}

/// The folder of this repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Compiles the library once for all packages: one of them asks for reports as JSON.
pub fn share_features(manifest: &Path) {
    let text = fs::read_to_string(manifest).unwrap();
    fs::write(manifest, text.replace("racefuzz = { ", "racefuzz = { features = [\"json\"], ")).unwrap();
}

/// A program in a folder, without the habits of what runs the tests.
pub fn ran_in(folder: &Path, program: &str, arguments: &[&str], backtrace: &str) -> Ran {
    command_in(folder, program, arguments, backtrace).output().expect("it runs").into()
}

fn command_in(folder: &Path, program: &str, arguments: &[&str], backtrace: &str) -> Command {
    let mut command = Command::new(program);
    // `cargo racefuzz` switches the imports; cargo has to be told to.
    let flags = (program == env!("CARGO")).then_some(("RUSTFLAGS", "--cfg racefuzz"));
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if [
            "NEXTEST",
            "RACEFUZZ",
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_PKG",
            "CARGO_BIN",
            "CARGO_MANIFEST",
            "INSTA",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(&variable);
        }
    }
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("elsewhere"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TERM_COLOR", "never")
        .env("RUST_BACKTRACE", backtrace)
        .envs(flags)
        .args(arguments);
    command
}
