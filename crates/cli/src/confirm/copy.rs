//! A copy of a workspace that cargo takes for one of its own.

use std::path::{Component, Path, PathBuf};
use std::{fs, io};

/// Makes one folder like another, and writes only the files that differ: what has not changed is not
/// compiled again.
pub(super) fn refresh(from: &Path, to: &Path, workspace: &Path) -> io::Result<()> {
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
}
