//! Patches typed into a copy of a package, and checked there.

use crate::command::{Failed, not_an_option};
use crate::requests::VerifyPatch;
use crate::results::Patched;
use racefuzz_cli::confirm::{Check, Confirmed, Repair, Scratch};
use std::path::{Path, PathBuf};

/// Checks the tests of a package with a patch; its files stay as they are.
///
/// # Errors
/// If the patch does not fit, or nothing can be run.
pub(crate) fn verify(request: &VerifyPatch) -> Result<Patched, Failed> {
    let folder = Path::new(&request.package);
    let package = folder.canonicalize().ok().filter(|path| path.join("Cargo.toml").is_file());
    let package =
        package.ok_or_else(|| Failed(format!("`{}` is no folder of a package", folder.display())))?;
    not_an_option(&request.name)?;
    let workspace = racefuzz_cli::confirm::workspace_of(&package).unwrap_or_else(|| package.clone());
    let files = patched(&request.patch, &[&package, &workspace])?;
    let manifest = package.join("Cargo.toml");
    let manifest = manifest.strip_prefix(&workspace).unwrap_or(&manifest).display().to_string();
    let check = ["racefuzz", "check", &request.name, "--", "--manifest-path", &manifest];
    let repair = Repair {
        name: request.name.clone(),
        files,
        folders: vec![package, workspace.clone()],
        // The check compiles it.
        build: vec!["--version".to_owned()],
        check: Check::Cargo(check.map(str::to_owned).to_vec()),
        variables: path_with_own_folder().into_iter().collect(),
        ..Repair::default()
    };
    let failed = |error: racefuzz_cli::confirm::Error| Failed(error.to_string());
    let mut scratch = Scratch::new(&workspace, Path::new("target")).map_err(failed)?;
    let confirmed = scratch.confirm(&[repair]).map_err(failed)?;
    Ok(match confirmed.into_iter().next() {
        Some(Confirmed::Holds) => Patched { holds: true, compiles: true, said: None },
        Some(Confirmed::Fails(said) | Confirmed::NotCompiled(said)) => {
            let compiles = !said.contains("could not compile");
            Patched { holds: false, compiles, said: Some(end_of(&said)) }
        }
        None => return Err(Failed("nothing was checked".to_owned())),
    })
}

/// Cargo finds its subcommand beside this program.
fn path_with_own_folder() -> Option<(String, String)> {
    let own = std::env::current_exe().ok()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = own.parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&path));
    let joined = std::env::join_paths(folders).ok()?;
    Some(("PATH".to_owned(), joined.into_string().ok()?))
}

/// Each file that a patch changes, with its new text.
fn patched(patch: &str, folders: &[&PathBuf]) -> Result<Vec<(String, String)>, Failed> {
    let mut files = Vec::new();
    for part in parts(patch) {
        let diff =
            diffy::Patch::from_str(&part).map_err(|error| Failed(format!("not a unified diff: {error}")))?;
        let name = diff.modified().filter(|name| *name != "/dev/null");
        let Some(name) = name else {
            return Err(Failed("a patch that deletes a file is not checked".to_owned()));
        };
        let name = name.strip_prefix("b/").unwrap_or(name).to_owned();
        let found = folders.iter().map(|folder| folder.join(&name)).find(|path| path.is_file());
        let Some(path) = found else { return Err(Failed(format!("there is no file `{name}` to patch"))) };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failed(format!("cannot read `{name}`: {error}")))?;
        let text = diffy::apply(&text, &diff)
            .map_err(|error| Failed(format!("`{name}`: the patch does not fit: {error}")))?;
        files.push((name, text));
    }
    if files.is_empty() {
        Err(Failed("not a unified diff: there is no file in it".to_owned()))
    } else {
        Ok(files)
    }
}

/// The part of a patch for each file: a line `---` with a line `+++` behind it, and the hunks.
fn parts(patch: &str) -> Vec<String> {
    let lines: Vec<&str> = patch.lines().collect();
    let mut parts: Vec<String> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let begins =
            line.starts_with("--- ") && lines.get(at + 1).is_some_and(|next| next.starts_with("+++ "));
        // What git says between two files is no part of either.
        let is_hunk = line.is_empty() || line.starts_with(['@', ' ', '+', '-', '\\']);
        match parts.last_mut() {
            _ if begins => parts.push(format!("{line}\n")),
            Some(part) if is_hunk => part.extend([line, "\n"]),
            _ => {}
        }
    }
    parts
}

/// The last lines of what was said.
fn end_of(said: &str) -> String {
    const MOST: usize = 40;
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(MOST)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_of_two_files_has_two_parts() {
        let patch = "diff --git a/one b/one\n--- a/one\n+++ b/one\n@@ -1 +1 @@\n-a\n+b\n\
                     diff --git a/two b/two\nindex 1..2\n--- a/two\n+++ b/two\n@@ -1 +1 @@\n-c\n+d\n";
        let parts = parts(patch);
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0], "--- a/one\n+++ b/one\n@@ -1 +1 @@\n-a\n+b\n");
        assert!(diffy::Patch::from_str(&parts[1]).is_ok());
    }

    #[test]
    fn what_is_no_patch_is_said() {
        let said = |patch: &str| patched(patch, &[]).unwrap_err().0;
        assert_eq!(said("hello"), "not a unified diff: there is no file in it");
        assert_eq!(said("--- a/x.rs\n+++ b/x.rs\n@@ -1 +1 @@\n-a\n+b\n"), "there is no file `x.rs` to patch");
        assert_eq!(
            said("--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"),
            "a patch that deletes a file is not checked"
        );
    }
}
