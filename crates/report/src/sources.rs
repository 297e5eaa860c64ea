//! Where source text comes from: embedded by the caller, or looked up on disk.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Source text by the file names that stand in [`Site::file`](racefuzz_trace::Site::file).
///
/// A report stays useful without any source: names fall back to places, excerpts to `file:line`.
pub trait Sources {
    /// The text of `file`, if it is known.
    fn text(&self, file: &str) -> Option<Cow<'_, str>>;
}

/// No sources at all.
impl Sources for () {
    fn text(&self, _file: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// Sources by name and text, as embedded with `include_str!`.
impl Sources for [(&str, &str)] {
    fn text(&self, file: &str) -> Option<Cow<'_, str>> {
        self.iter().find(|(name, _)| *name == file).map(|(_, text)| Cow::Borrowed(*text))
    }
}

/// Sources by name and text, as embedded with `include_str!`.
impl<const N: usize> Sources for [(&str, &str); N] {
    fn text(&self, file: &str) -> Option<Cow<'_, str>> {
        self.iter().find(|(name, _)| *name == file).map(|(_, text)| Cow::Borrowed(*text))
    }
}

/// Sources found on disk, relative to the current directory, to `CARGO_MANIFEST_DIR` and to the
/// ancestors of both.
///
/// Sites are written relative to a workspace or package, and a test may run in either, so each
/// ancestor is tried, the nearest first. Every file is read once.
#[derive(Debug)]
pub struct DiskSources {
    roots: Vec<PathBuf>,
    read: RefCell<HashMap<String, Option<String>>>,
}

impl DiskSources {
    /// Looks in the current directory, in `CARGO_MANIFEST_DIR`, and in their ancestors.
    pub fn new() -> Self {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        Self::in_directories(std::env::current_dir().ok().into_iter().chain(manifest))
    }

    /// Looks in the given directories and in their ancestors.
    pub fn in_directories(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut roots: Vec<PathBuf> = Vec::new();
        for directory in directories {
            for root in directory.ancestors() {
                if !roots.iter().any(|known| known == root) {
                    roots.push(root.to_owned());
                }
            }
        }
        Self { roots, read: RefCell::default() }
    }

    fn read(&self, file: &str) -> Option<String> {
        let path = Path::new(file);
        if path.is_absolute() {
            return std::fs::read_to_string(path).ok();
        }
        self.roots.iter().find_map(|root| std::fs::read_to_string(root.join(path)).ok())
    }
}

impl Default for DiskSources {
    fn default() -> Self {
        Self::new()
    }
}

impl Sources for DiskSources {
    fn text(&self, file: &str) -> Option<Cow<'_, str>> {
        let mut read = self.read.borrow_mut();
        let text = read.entry(file.to_owned()).or_insert_with(|| self.read(file));
        text.clone().map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_workspace_is_found_from_a_directory_below() {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let sources = DiskSources::in_directories([here.join("src").join("format")]);
        assert!(sources.text("src/sources.rs").unwrap().contains("DiskSources"));
        assert!(sources.text("crates/report/src/sources.rs").is_some());
        assert!(sources.text("no/such/file.rs").is_none());
    }
}
