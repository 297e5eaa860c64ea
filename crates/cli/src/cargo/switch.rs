//! What the manifests of the tested packages ask of a build: the compiler's `--cfg racefuzz` where imports are switched
//! with it, and features of racefuzz that they leave out.

use super::drive::{cannot, cargo};
use crate::error::Failure;
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

/// What a manifest says that switches imports by it: in `[target.'cfg(racefuzz)'.dependencies]` or among
/// the names that the compiler is told to expect.
const SWITCH: &str = "cfg(racefuzz)";
const FLAG: &str = "--cfg racefuzz";

/// Cargo's arguments that switch the imports of the packages that are tested; none where no manifest
/// asks for it, so that nothing is built twice.
///
/// Flags in `RUSTFLAGS` hide those of any configuration: then the flag is expected to be among them.
pub(super) fn arguments(package: Option<&str>) -> Result<Vec<String>, Failure> {
    if !is_switched(package)? {
        return Ok(Vec::new());
    }
    if let Some(flags) = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|flags| !flags.is_empty()))
    {
        if flags.replace('\x1f', " ").contains(FLAG) {
            return Ok(Vec::new());
        }
        let text = format!("this package switches its imports by `cfg(racefuzz)`: add `{FLAG}` to RUSTFLAGS");
        return Err(Failure::Cargo(text));
    }
    let flags = "target.'cfg(all())'.rustflags=['--cfg', 'racefuzz']";
    Ok(vec!["--config".to_owned(), flags.to_owned()])
}

/// Whether the manifest of the package, or of any package of the workspace, speaks of the switch.
fn is_switched(package: Option<&str>) -> Result<bool, Failure> {
    Ok(described(package)?
        .iter()
        .filter_map(|known| known["manifest_path"].as_str())
        .any(|manifest| std::fs::read_to_string(Path::new(manifest)).is_ok_and(|text| text.contains(SWITCH))))
}

/// Whether the package, or any package of the workspace, depends on racefuzz without one of its features that are on
/// by default. A dependency under another name is left as it is.
pub(super) fn leaves_out(package: Option<&str>, feature: &str) -> Result<bool, Failure> {
    let is_without = |dependency: &Value| {
        dependency["name"] == "racefuzz"
            && dependency["rename"].is_null()
            && dependency["uses_default_features"] == false
            && !dependency["features"].as_array().into_iter().flatten().any(|asked| asked == feature)
    };
    Ok(described(package)?
        .iter()
        .any(|known| known["dependencies"].as_array().into_iter().flatten().any(is_without)))
}

/// Whether a package has tests over types that stand for the standard library's.
pub(super) fn is_modelled(package: &Value) -> bool {
    package["dependencies"].as_array().into_iter().flatten().any(|dependency| {
        let name = dependency["name"].as_str().unwrap_or_default();
        name.starts_with("racefuzz") || name == "loom" || name == "shuttle"
    })
}

/// What cargo says of all packages, those that others depend on included.
pub(super) fn all_described() -> Result<Vec<Value>, Failure> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1"]).stderr(Stdio::null());
    let metadata = command.output().map_err(|error| cannot(&error))?;
    let Ok(metadata) = serde_json::from_slice::<Value>(&metadata.stdout) else { return Ok(Vec::new()) };
    Ok(selected(&metadata, None))
}

/// What cargo says of the package, or of all packages of the workspace.
pub(super) fn described(package: Option<&str>) -> Result<Vec<Value>, Failure> {
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]).stderr(Stdio::null());
    let metadata = command.output().map_err(|error| cannot(&error))?;
    // Without a package cargo says so itself, when it is asked for its tests.
    let Ok(metadata) = serde_json::from_slice::<Value>(&metadata.stdout) else { return Ok(Vec::new()) };
    Ok(selected(&metadata, package))
}

/// The package of that name, or all packages of the workspace, in what cargo says.
pub(super) fn selected(metadata: &Value, package: Option<&str>) -> Vec<Value> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages.filter(|known| package.is_none_or(|package| known["name"] == package)).cloned().collect()
}
