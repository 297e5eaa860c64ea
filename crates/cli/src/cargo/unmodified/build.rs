//! Building the tests of a package, or an executable, with the compiler's hooks, and listing what there is to run.

use super::super::drive::{cannot, cargo};
use super::library::{Toolchain, library};
use super::name::Name;
use super::{nextest, roots};
use crate::args::BuildArgs;
use crate::error::Failure;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A test, or the `main` of an executable.
pub(super) struct Runnable {
    /// The executable.
    pub(super) binary: PathBuf,
    pub(super) entry: Entry,
    /// `PACKAGE/TARGET::path` of a test, `PACKAGE/TARGET` of a `main`: its name in reports and tokens.
    pub(super) program: String,
    /// The folder of its package.
    pub(super) package: PathBuf,
    /// Folders that paths in reports are shown relative to.
    pub(super) roots: Vec<String>,
}

/// What of an executable is run.
pub(super) enum Entry {
    /// The test of that path, by the standard library's harness.
    Test(String),
    /// `main`, with these arguments.
    Main(Vec<String>),
}

/// The name of an executable whose `main` is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cargo) enum Main {
    Bin(String),
    Example(String),
}

impl Main {
    /// Cargo's option for it, and its name.
    pub(super) fn option(&self) -> [&str; 2] {
        match self {
            Self::Bin(name) => ["--bin", name],
            Self::Example(name) => ["--example", name],
        }
    }

    /// The one that a program's name in a report stands for.
    pub(super) fn of_program(program: &str) -> Option<Self> {
        let (_, target) = program.split_once('/').filter(|(_, target)| !target.contains("::"))?;
        match target.split_once('/')? {
            ("bin", name) => Some(Self::Bin(name.to_owned())),
            ("examples", name) => Some(Self::Example(name.to_owned())),
            _ => None,
        }
    }
}

/// An executable.
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

/// How cargo builds with the hooks.
pub(super) struct Hooked {
    host: String,
    folder: PathBuf,
    flags: String,
    /// What programs under test are linked to.
    pub(super) library: PathBuf,
    workspace: PathBuf,
}

impl Hooked {
    /// Builds what programs under test are linked to, if need be.
    pub(super) fn prepare() -> Result<Self, Failure> {
        let (workspace, target) = folders()?;
        let folder = target.join("racefuzz-hooks");
        let host = Toolchain::find()?.host;
        let library = library(&folder)?;
        let flags = flags(&library);
        Ok(Self { host, folder, flags, library, workspace })
    }

    /// The same for programs that repairs are tried on. What is read and written back then has a hook where it is read,
    /// too: a lock around it is to be taken before that.
    pub(super) fn for_repairs() -> Result<Self, Failure> {
        let mut hooked = Self::prepare()?;
        hooked.folder.push("repairs");
        hooked.flags.push_str("\x1f-Cllvm-args=-tsan-instrument-read-before-write=1");
        Ok(hooked)
    }

    /// A command of cargo's that builds with the hooks.
    pub(super) fn cargo(&self, command: &[&str], args: &BuildArgs) -> Command {
        let mut build = cargo();
        // Build scripts and procedural macros are compiled for the host, without the hooks.
        build.args(command).args(["--target", &self.host]).arg("--target-dir").arg(&self.folder);
        // The hooks are the compiler's, but not yet for everybody to switch on: for this build, and no other.
        build.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", &self.flags);
        build.args(args.arguments());
        // Optimised as one, what of the standard library comes compiled has other arguments than those that are known.
        for profile in profiles(args) {
            build.env(format!("CARGO_PROFILE_{profile}_LTO"), "false");
        }
        build
    }

    /// Builds the tests.
    pub(super) fn tests(&self, args: &BuildArgs) -> Result<Built, Failure> {
        // All that `cargo test` builds: a test may run an example.
        let build = self.cargo(&["test", "--no-run", FORMAT], args);
        self.build(build, "the tests do not build", is_test)
    }

    /// Builds an executable.
    pub(super) fn main(&self, main: &Main, args: &BuildArgs) -> Result<Built, Failure> {
        let [option, name] = main.option();
        let build = self.cargo(&["build", FORMAT, option, name], args);
        self.build(build, "the program does not build", |message| is_main(message, main))
    }

    fn build(
        &self,
        mut build: Command,
        fails: &str,
        which: impl Fn(&Value) -> bool,
    ) -> Result<Built, Failure> {
        build.stderr(Stdio::inherit());
        let built = build.output().map_err(|error| cannot(&error))?;
        if !built.status.success() {
            return Err(Failure::Cargo(format!("{fails}; see cargo's messages above")));
        }
        let messages = String::from_utf8_lossy(&built.stdout);
        let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let binaries = messages.filter(which).filter_map(|message| binary(&message));
        let (macros, binaries) = binaries.partition::<Vec<Binary>, _>(|binary| binary.is_macro);
        let macros = macros.into_iter().map(|binary| binary.name).collect();
        Ok(Built { binaries, macros, workspace: self.workspace.clone() })
    }
}

/// How cargo says what it has built.
const FORMAT: &str = "--message-format=json-render-diagnostics";

/// Whether a message of cargo's tells of a test binary.
fn is_test(message: &Value) -> bool {
    message["profile"]["test"] == true
}

/// Whether a message of cargo's tells of this executable.
fn is_main(message: &Value, main: &Main) -> bool {
    let (kind, name) = match main {
        Main::Bin(name) => ("bin", name),
        Main::Example(name) => ("example", name),
    };
    let target = &message["target"];
    !is_test(message) && target["kind"][0] == kind && target["name"].as_str() == Some(name)
}

/// The profiles that may be built, as cargo has them in names of variables: its own ones, and one that is asked for.
fn profiles(args: &BuildArgs) -> impl Iterator<Item = String> {
    let mut rest = args.rest.iter();
    let named = rest.find_map(|argument| match argument.strip_prefix("--profile=") {
        Some(name) => Some(name.to_owned()),
        None if argument == "--profile" => Some(String::new()),
        None => None,
    });
    let named =
        named.map(|name| if name.is_empty() { rest.next().cloned().unwrap_or_default() } else { name });
    let own = ["DEV", "TEST", "RELEASE", "BENCH"].map(str::to_owned);
    own.into_iter().chain(named.map(|name| name.to_uppercase().replace('-', "_")))
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
        // Else what of the standard library is generic would be the library's where that has an instance, too.
        "-Zshare-generics=no",
        // Of two operations that are made one, nobody can say which of the library's functions asks for it.
        "-Cllvm-args=-sink-common-insts=false",
        "-Cllvm-args=-hoist-common-insts=false",
        "-Cllvm-args=-enable-tail-merge=false",
        // What is as long as several registers has no hook.
        "-Cno-vectorize-loops",
        "-Cno-vectorize-slp",
        // Places, and which operations are the standard library's own: on this rests what is known of code that is
        // not instrumented. A profile may leave it out, as `release` does.
        "-Cdebuginfo=1",
        "-Cstrip=none",
        "-Csplit-debuginfo=off",
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

/// The executable that a message of cargo's tells of.
fn binary(message: &Value) -> Option<Binary> {
    if message["reason"] != "compiler-artifact" {
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
    /// The executables as what is run, by their `main` with these arguments.
    pub(super) fn mains(&self, arguments: &[String]) -> Vec<Runnable> {
        let main = |binary: &Binary| Runnable {
            binary: binary.file.clone(),
            entry: Entry::Main(arguments.to_vec()),
            program: binary.name.clone(),
            package: binary.package.clone(),
            roots: roots(&binary.package, &self.workspace),
        };
        self.binaries.iter().map(main).collect()
    }

    /// The tests that are named, of those that a filter lets pass.
    pub(super) fn tests(
        &self,
        name: Option<Name<'_>>,
        filter: Option<&nextest::Matches>,
    ) -> Result<Vec<Runnable>, Failure> {
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
            let selected = selected.filter(|path| {
                name.is_none_or(|name| name.is_of(&binary.name, path))
                    && filter.is_none_or(|filter| filter.has(&binary.file, path))
            });
            tests.extend(selected.map(|path| Runnable {
                binary: binary.file.clone(),
                program: format!("{}::{path}", binary.name),
                entry: Entry::Test(path),
                package: binary.package.clone(),
                roots: roots(&binary.package, &self.workspace),
            }));
        }
        match (tests.is_empty(), name) {
            (false, _) => Ok(tests),
            (true, _) if filter.is_some() => {
                Err(Failure::Cargo("no test matches the expression and the name".to_owned()))
            }
            (true, Some(Name { text, .. })) => Err(Failure::Cargo(format!("no test matches `{text}`"))),
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
        assert!(is_test(&message("lib")));
        let unnamed = json!({ "reason": "compiler-artifact", "profile": { "test": false } });
        assert!(binary(&unnamed).is_none() && !is_test(&unnamed));
    }

    #[test]
    fn an_executable_goes_by_package_and_target() {
        for main in [Main::Bin("it".to_owned()), Main::Example("it".to_owned())] {
            let (kind, folder) = match main {
                Main::Bin(_) => ("bin", "bin"),
                Main::Example(_) => ("example", "examples"),
            };
            let message = json!({ "target": { "kind": [kind], "name": "it" }, "profile": { "test": false } });
            assert!(is_main(&message, &main));
            assert_eq!(Main::of_program(&format!("mine/{folder}/it")), Some(main));
        }
        assert_eq!(Main::of_program("mine/lib::tests::it"), None);
        assert_eq!(Main::of_program("mine/bin/it::tests::it"), None);
    }

    #[test]
    fn an_identifier_without_a_name_has_none() {
        assert_eq!(package_name("path+file:///home/a/crate#0.1.0"), None);
    }
}
