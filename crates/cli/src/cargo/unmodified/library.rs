//! The library of `racefuzz-hooks`, built once for each toolchain.
//!
//! Cargo installs binaries only, so the library is built where it is used: as the only thing in a package that
//! is written into the target directory and depends on `racefuzz-hooks`, from the checkout that this command
//! was built in, if that is there, else from the registry in the command's own version.

use super::super::drive::{cannot, cargo};
use crate::error::Failure;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A library that is there already: for those who work on racefuzz.
pub(super) const GIVEN: &str = "RACEFUZZ_HOOKS_LIBRARY";

/// The file of the library, after building it if need be; `folder` is for what racefuzz builds.
pub(super) fn library(folder: &Path) -> Result<PathBuf, Failure> {
    if let Some(given) = std::env::var_os(GIVEN) {
        return Ok(given.into());
    }
    let toolchain = Toolchain::find()?;
    let package = folder.join("library").join(&toolchain.release);
    let manifest = package.join("Cargo.toml");
    write(&manifest, &manifest_text())?;
    write(
        &package.join("src/lib.rs"),
        "//! Nothing but what it depends on.\nextern crate racefuzz_hooks;\n",
    )?;
    let target = package.join("target");
    let file = target.join("release/libracefuzz_hooks_library.so");
    if !file.exists() {
        let text = format!(
            "building racefuzz's library for rustc {}, once for this target directory",
            toolchain.release
        );
        crate::output::note_line(&text).map_err(Failure::Output)?;
    }
    let mut build = cargo();
    build.args(["build", "--release", "--quiet", "--manifest-path"]).arg(&manifest);
    build.arg("--target-dir").arg(&target);
    // What is meant for the package under test is not meant for it.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER"] {
        build.env_remove(name);
    }
    let status = build.status().map_err(|error| cannot(&error))?;
    if !status.success() || !file.exists() {
        return Err(Failure::Cargo(
            "racefuzz's library does not build; see cargo's messages above".to_owned(),
        ));
    }
    Ok(file)
}

fn manifest_text() -> String {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("hooks");
    let source = match checkout.join("Cargo.toml").is_file() {
        true => format!("path = {:?}", checkout.display().to_string()),
        false => format!("version = \"={}\"", env!("CARGO_PKG_VERSION")),
    };
    format!(
        "[package]\nname = \"racefuzz-hooks-library\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [lib]\ncrate-type = [\"cdylib\"]\n\n\
         [dependencies]\nracefuzz-hooks = {{ {source}, features = [\"interpose\"] }}\n\n\
         [profile.release]\ndebug = \"line-tables-only\"\n\n[workspace]\n"
    )
}

/// Writes a file, unless it is there as it should be: cargo looks at the time of the last change.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    if fs::read_to_string(file).is_ok_and(|known| known == text) {
        return Ok(());
    }
    let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| fs::write(file, text))
        .map_err(|error| Failure::Write { file: file.to_owned(), error })
}

/// The compiler that cargo uses here.
pub(super) struct Toolchain {
    /// Such as `1.95.0` or `1.97.0-nightly-e50aa6f`.
    release: String,
    /// Such as `x86_64-unknown-linux-gnu`.
    pub(super) host: String,
}

impl Toolchain {
    /// Asks it.
    pub(super) fn find() -> Result<Self, Failure> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let said = Command::new(rustc).arg("-vV").stderr(Stdio::null()).output();
        let said = said.map_err(|error| Failure::Cargo(format!("cannot run rustc: {error}")))?;
        let said = String::from_utf8_lossy(&said.stdout);
        let field = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().to_owned())
        };
        let (Some(release), Some(host)) = (field("release:"), field("host:")) else {
            return Err(Failure::Cargo("rustc does not say what it is".to_owned()));
        };
        // Two nightlies may be of one release.
        let hash = field("commit-hash:").filter(|_| release.contains('-'));
        let hash = hash.map_or(String::new(), |hash| format!("-{}", &hash[..hash.len().min(7)]));
        Ok(Self { release: format!("{release}{hash}"), host })
    }
}
