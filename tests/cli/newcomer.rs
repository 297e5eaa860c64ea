//! Plays somebody who has nothing but README, or the book: in an empty home, files are written and commands typed into a
//! shell in the order of the text, and what is printed is compared.
//!
//! What is there beside the home is a Rust toolchain, crates that were downloaded before, and a checkout. Two commands
//! are not typed as they stand: what `cargo install` and `cargo run` build is what cargo built for these tests.

use crate::support::Ran;
use crate::support::markdown::{Block, Document, contents, document};
use crate::support::package::{repository, share_features};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A home, and where its owner is.
struct Newcomer {
    home: tempfile::TempDir,
    /// The package that a document is about, from where it is first spoken of.
    package: Option<PathBuf>,
    /// Commands that were typed.
    typed: usize,
}

impl Newcomer {
    fn new() -> Self {
        let newcomer = Self { home: crate::support::folder(), package: None, typed: 0 };
        fs::create_dir(newcomer.path("bin")).unwrap();
        symlink(repository(), newcomer.path("racefuzz")).unwrap();
        newcomer
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    /// Types a command. Only what was installed before is found, beside the toolchain and the system.
    fn types(&self, command: &str, folder: &Path) -> Ran {
        let toolchain = Path::new(env!("CARGO")).parent().unwrap();
        let path = format!("{}:{}:/usr/bin:/bin", self.path("bin").display(), toolchain.display());
        // Crates that were downloaded before are there, and what else was installed is not.
        let cargo = std::env::var_os("CARGO_HOME")
            .map_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cargo"), PathBuf::from);
        let command = match command.strip_prefix("cargo racefuzz ") {
            Some(arguments) if cargo.join("bin/cargo-racefuzz").exists() => {
                format!("cargo-racefuzz racefuzz {arguments}")
            }
            _ => command.to_owned(),
        };
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &command]).current_dir(folder).stdin(Stdio::null());
        shell.env_clear().env("HOME", self.home.path()).env("CARGO_HOME", cargo).env("PATH", path);
        // What other tests build, too, is built once.
        shell
            .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("elsewhere"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TERM_COLOR", "never");
        #[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
        if command.ends_with(" racefuzz test") {
            shell.env("RACEFUZZ_HOOKS_LIBRARY", crate::unmodified::library()).env_remove("CARGO_TARGET_DIR");
            shell.env_remove("CARGO_PROFILE_DEV_DEBUG").env("RUST_BACKTRACE", "1");
        }
        shell.output().expect("a shell").into()
    }

    fn does(&self, command: &str, folder: &Path) {
        let ran = self.types(command, folder);
        assert_eq!(ran.code, Some(0), "{command}: {}{}", ran.stdout, ran.stderr);
    }

    /// The package that a document speaks of without a command that makes it.
    fn enter(&mut self, name: &str) -> PathBuf {
        if let Some(package) = &self.package {
            return package.clone();
        }
        let package = self.path(name);
        self.does(&format!("cargo new --quiet --lib {name}"), self.home.path());
        self.package = Some(package.clone());
        package
    }

    fn reads(&mut self, mut document: Document) {
        self.package = None;
        let name = document.path().file_name().unwrap().to_str().unwrap().to_owned();
        for block in document.blocks() {
            let implied = match &*name {
                "README.md" => Some("permits"),
                "unmodified.md" => Some("unmodified/permits"),
                _ => None,
            };
            // Elsewhere a file is an illustration.
            if let (Some(file), true) = (block.file(), self.package.is_some() || implied.is_some()) {
                let file = self.enter(implied.unwrap_or_default()).join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, block.lines.join("\n")).unwrap();
            }
            for command in block.commands() {
                self.carries_out(command, &block, &mut document, &name);
                self.typed += 1;
            }
        }
    }

    fn carries_out(&mut self, command: &str, block: &Block, document: &mut Document, name: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let folder = self.package.clone().unwrap_or_else(|| self.home.path().to_owned());
        match words[..] {
            ["cargo", "new", "--lib", package] => {
                self.does(command, self.home.path());
                self.package = Some(self.path(package));
            }
            ["cargo", "install", "--path", package] => {
                let binaries = [env!("CARGO_BIN_EXE_racefuzz"), env!("CARGO_BIN_EXE_cargo-racefuzz")];
                let manifest = repository().join(package).join("Cargo.toml");
                assert!(fs::read_to_string(manifest).unwrap().contains("name = \"cargo-racefuzz\""));
                for binary in binaries.map(Path::new) {
                    let link = self.path("bin").join(binary.file_name().unwrap());
                    symlink(binary, link).unwrap();
                }
            }
            ["cargo", "run", ..] => {
                let arguments = command.split_once(" -- ").expect("arguments").1;
                let ran = self.types(&format!("{} {arguments}", env!("CARGO_BIN_EXE_racefuzz")), &folder);
                document.compare(block, &ran.stdout);
            }
            ["cargo", "racefuzz", "init", ..] => {
                // The versions that are here already.
                fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
                let ran = self.types(command, &folder);
                assert_eq!(ran.code, Some(0), "{}", ran.stderr);
                document.compare(block, &ran.stdout);
                share_features(&folder.join("Cargo.toml"));
                share_library(&folder);
                // "The only line that changes."
                let library = fs::read_to_string(folder.join("src/lib.rs")).unwrap();
                fs::write(folder.join("src/lib.rs"), library.replace("use std::sync::", "use crate::sync::"))
                    .unwrap();
            }
            ["cargo", "racefuzz", "test"] if cfg!(not(all(target_arch = "x86_64", target_env = "gnu"))) => {}
            ["cargo", "racefuzz", "test"] => {
                // README shows it for the package of the book's chapter.
                let package = if name == "README.md" { self.first_package() } else { folder };
                let ran = self.types(command, &package);
                assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
                document.compare(block, ran.stdout.trim_start());
            }
            ["cargo", "racefuzz", ..] => {
                let ran =
                    self.types(&format!("{} --no-nextest", command.split(" #").next().unwrap()), &folder);
                assert!(matches!(ran.code, Some(0 | 1)), "{command}: {}{}", ran.stdout, ran.stderr);
                if block.command().is_some() {
                    document.compare(block, &report(&(ran.stdout + &ran.stderr)));
                }
            }
            ["racefuzz", ..] => {
                let ran = self.types(command, &folder);
                assert!(matches!(ran.code, Some(0 | 1)), "{command}: {}{}", ran.stdout, ran.stderr);
                document.compare(block, &ran.stdout);
                for file in words.windows(2).filter(|pair| pair[0] == "--report").map(|pair| pair[1]) {
                    assert!(folder.join(file).is_file(), "{command} writes {file}");
                }
            }
            _ => panic!("{name}: nobody has typed `{command}`: a text that is no console, or new here"),
        }
    }

    /// The package that the book's chapter on unmodified crates begins with.
    fn first_package(&self) -> PathBuf {
        let folder = self.path("first/permits");
        let source = document("unmodified.md").blocks().into_iter().find(|block| block.file().is_some());
        self.does("cargo new --quiet --lib first/permits", self.home.path());
        fs::write(folder.join("src/lib.rs"), source.expect("a source").lines.join("\n")).unwrap();
        folder
    }
}

/// Compiles the library once for all packages: cargo takes it for another one where the way to it is another.
fn share_library(package: &Path) {
    let manifest = package.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let line = text.lines().find(|line| line.starts_with("racefuzz = ")).expect("a dependency");
    let path = line.split_once("path = \"").expect("a path").1.split('"').next().unwrap();
    let library = package.join(path).canonicalize().unwrap();
    assert_eq!(library, repository().join("crates/racefuzz"));
    fs::write(manifest, text.replace(path, library.to_str().unwrap())).unwrap();
}

/// The report in the output of cargo's test harness.
fn report(output: &str) -> String {
    let begins =
        |line: &&str| ["bug  ", "ok   ", "fix  "].iter().any(|word| line.trim_start().starts_with(word));
    let ends = |line: &&str| {
        ["failures:", "test result:", "test ", "error:"].iter().any(|word| line.starts_with(word))
            || line.contains("panicked at")
    };
    let lines: Vec<&str> =
        output.lines().skip_while(|line| !begins(line)).take_while(|line| !ends(line)).collect();
    lines.join("\n").trim_end().to_owned()
}

#[test]
fn readme_leads_to_the_first_bug() {
    let mut newcomer = Newcomer::new();
    newcomer.reads(document("README.md"));
    assert!(newcomer.typed >= 9, "{}", newcomer.typed);
}

#[test]
fn the_book_is_followed_from_the_first_chapter_to_the_last() {
    let mut newcomer = Newcomer::new();
    for document in contents() {
        newcomer.reads(document);
    }
    assert!(newcomer.typed >= 16, "{}", newcomer.typed);
}
