//! A package of somebody else's, set up for racefuzz.

use super::Ran;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    command.output().expect("it runs").into()
}
