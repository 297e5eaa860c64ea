//! Building the tests of a package with the compiler's hooks, and listing them.

use super::super::drive::{cannot, cargo};
use super::library::{Toolchain, library};
use super::roots;
use crate::args::BuildArgs;
use crate::error::Failure;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A test.
pub(super) struct Test {
    /// The test binary.
    pub(super) binary: PathBuf,
    /// Its path within the binary.
    pub(super) path: String,
    /// `PACKAGE/TARGET::path`: its name in reports and tokens.
    pub(super) program: String,
    /// The folder of its package.
    pub(super) package: PathBuf,
    /// Folders that paths in reports are shown relative to.
    pub(super) roots: Vec<String>,
}

/// A test binary.
struct Binary {
    file: PathBuf,
    /// `PACKAGE/TARGET`.
    name: String,
    package: PathBuf,
    /// It is that of a procedural macro.
    is_macro: bool,
}

/// What was built.
pub(super) struct Built {
    binaries: Vec<Binary>,
    /// Packages of procedural macros whose own tests were built.
    macros: Vec<String>,
    workspace: PathBuf,
}

/// Builds the tests, and what they run on.
pub(super) fn build(args: &BuildArgs) -> Result<Built, Failure> {
    let (workspace, target) = folders()?;
    let folder = target.join("racefuzz-hooks");
    let host = Toolchain::find()?.host;
    let library = library(&folder)?;
    let mut build = cargo();
    build.args(["test", "--no-run", "--message-format=json-render-diagnostics"]);
    // All that `cargo test` builds: a test may run an example. Build scripts and procedural macros are compiled for the host, without the hooks.
    build.args(["--target", &host]).arg("--target-dir").arg(&folder).args(args.arguments());
    // The hooks are the compiler's, but not yet for everybody to switch on: for this build, and no other.
    build.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags(&library));
    let built = build.stderr(Stdio::inherit()).output().map_err(|error| cannot(&error))?;
    if !built.status.success() {
        return Err(Failure::Cargo("the tests do not build; see cargo's messages above".to_owned()));
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let messages: Vec<Value> = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let (macros, binaries) =
        messages.iter().filter_map(binary).partition::<Vec<Binary>, _>(|binary| binary.is_macro);
    let macros = macros.into_iter().map(|binary| binary.name).collect();
    Ok(Built { binaries, macros, workspace })
}

/// The compiler's flags: the user's, and the hooks.
fn flags(library: &Path) -> String {
    let encoded = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_else(|_| {
        let plain = std::env::var("RUSTFLAGS").unwrap_or_default();
        plain.split_whitespace().collect::<Vec<&str>>().join("\x1f")
    });
    let linked = format!("-Zpre-link-args={}", library.display());
    let own = [
        "-Zsanitizer=thread",
        // Its own runtime is not linked: ours takes its place.
        "-Zexternal-clangrt",
        "-Cunsafe-allow-abi-mismatch=sanitizer",
        "-Cforce-frame-pointers=yes",
        "-Cllvm-args=-tsan-distinguish-volatile=1",
        &linked,
    ];
    let all = encoded.split('\x1f').filter(|flag| !flag.is_empty()).chain(own);
    all.collect::<Vec<&str>>().join("\x1f")
}

/// The workspace's folder, and that for what is built.
fn folders() -> Result<(PathBuf, PathBuf), Failure> {
    let mut metadata = cargo();
    metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata = metadata.output().map_err(|error| cannot(&error))?;
    let found = serde_json::from_slice::<Value>(&metadata.stdout).ok().and_then(|metadata| {
        Some((metadata["workspace_root"].as_str()?.into(), metadata["target_directory"].as_str()?.into()))
    });
    found.ok_or_else(|| {
        let said = String::from_utf8_lossy(&metadata.stderr);
        let said =
            said.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or("it does not say why");
        Failure::Cargo(format!("no package here that cargo can read: {said}"))
    })
}

/// The test binary that a message of cargo's tells of.
fn binary(message: &Value) -> Option<Binary> {
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let file = PathBuf::from(message["executable"].as_str()?);
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let target = &message["target"];
    let name = target["name"].as_str()?;
    let package = manifest.parent()?.to_owned();
    let folder = package.file_name()?.to_string_lossy().into_owned();
    let package_name = package_name(message["package_id"].as_str().unwrap_or_default()).unwrap_or(folder);
    let kind = match target["kind"][0].as_str()? {
        "test" => format!("tests/{name}"),
        "bin" => format!("bin/{name}"),
        "example" => format!("examples/{name}"),
        "bench" => format!("benches/{name}"),
        _ => "lib".to_owned(),
    };
    let is_macro = target["kind"][0] == "proc-macro";
    Some(Binary { file, name: format!("{package_name}/{kind}"), package, is_macro })
}

/// The name in an identifier such as `path+file:///home/a/crate#name@0.1.0`, if it has one.
fn package_name(id: &str) -> Option<String> {
    let (_, behind) = id.rsplit_once('#')?;
    let (name, _) = behind.split_once('@')?;
    Some(name.to_owned())
}

impl Built {
    /// The tests that have a text in their path.
    pub(super) fn tests(&self, name: Option<&str>) -> Result<Vec<Test>, Failure> {
        let mut tests = Vec::new();
        for name in &self.macros {
            let text = format!(
                "{name} is a procedural macro's: its own tests run in the compiler's place, without \
                                the hooks, and are not run"
            );
            crate::output::note_line(&text).map_err(Failure::Output)?;
        }
        for binary in &self.binaries {
            let Some(paths) = list(binary, &[])? else { continue };
            let ignored = list(binary, &["--ignored"])?.unwrap_or_default();
            let selected = paths.into_iter().filter(|path| !ignored.contains(path));
            let selected = selected.filter(|path| name.is_none_or(|name| path.contains(name)));
            tests.extend(selected.map(|path| Test {
                binary: binary.file.clone(),
                program: format!("{}::{path}", binary.name),
                path,
                package: binary.package.clone(),
                roots: roots(&binary.package, &self.workspace),
            }));
        }
        match (tests.is_empty(), name) {
            (false, _) => Ok(tests),
            (true, Some(name)) => Err(Failure::Cargo(format!("no test matches `{name}`"))),
            (true, None) => Err(Failure::Cargo("there is no test".to_owned())),
        }
    }
}

/// The paths of a binary's tests; none, after a note, if its harness is not the standard library's.
fn list(binary: &Binary, more: &[&str]) -> Result<Option<Vec<String>>, Failure> {
    let mut list = Command::new(&binary.file);
    list.args(["--list", "--format", "terse"]).args(more).current_dir(&binary.package);
    let listed = list.stderr(Stdio::null()).stdin(Stdio::null()).output();
    let listed =
        listed.map_err(|error| Failure::Cargo(format!("cannot run {}: {error}", binary.file.display())))?;
    let text = String::from_utf8_lossy(&listed.stdout);
    let lines = || text.lines().filter(|line| !line.is_empty());
    if !listed.status.success()
        || lines().any(|line| !line.ends_with(": test") && !line.ends_with(": benchmark"))
    {
        if more.is_empty() {
            let text = format!("{} has a harness of its own: its tests are not run", binary.name);
            crate::output::note_line(&text).map_err(Failure::Output)?;
        }
        return Ok(None);
    }
    Ok(Some(lines().filter_map(|line| line.strip_suffix(": test").map(str::to_owned)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_test_binary_goes_by_package_and_target() {
        let message = |kind: &str| {
            json!({
                "reason": "compiler-artifact",
                "package_id": "path+file:///home/a/folder#my-crate@0.1.0",
                "manifest_path": "/home/a/folder/Cargo.toml",
                "target": { "kind": [kind], "name": "it" },
                "profile": { "test": true },
                "executable": "/home/a/folder/target/debug/deps/it-1",
            })
        };
        assert_eq!(binary(&message("test")).unwrap().name, "my-crate/tests/it");
        assert_eq!(binary(&message("lib")).unwrap().name, "my-crate/lib");
        let unnamed = json!({ "reason": "compiler-artifact", "profile": { "test": false } });
        assert!(binary(&unnamed).is_none());
    }

    #[test]
    fn an_identifier_without_a_name_has_none() {
        assert_eq!(package_name("path+file:///home/a/crate#0.1.0"), None);
    }
}
