//! Source locations, written the same way on every machine.

use std::fmt;

/// A source location.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Site {
    /// The file, as [`normalize_path`] writes it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Writes a path as the compiler recorded it without anything that belongs to one machine.
///
/// A path inside a package registry becomes `name-version/src/...`; a path inside the standard
/// library becomes `std/...`; an absolute path is cut to what follows `roots` (the workspace, the
/// package); a relative one stays.
///
/// ```
/// use racefuzz_trace::normalize_path;
/// let path = "/home/a/.cargo/registry/src/mirror-1949cf8c6b5b557f/oneshot-0.1.11/src/lib.rs";
/// assert_eq!(normalize_path(path, &[]), "oneshot-0.1.11/src/lib.rs");
/// assert_eq!(normalize_path("/home/a/app/src/main.rs", &["/home/a/app"]), "src/main.rs");
/// assert_eq!(normalize_path("src/lib.rs", &[]), "src/lib.rs");
/// ```
pub fn normalize_path(path: &str, roots: &[&str]) -> String {
    let path = path.replace('\\', "/");
    if let Some((_, rest)) = path.split_once("/registry/src/")
        && let Some((_, inside)) = rest.split_once('/')
    {
        return inside.to_owned();
    }
    if let Some((_, rest)) = path.split_once("/library/")
        && (path.starts_with("/rustc/") || path.contains("/rustlib/"))
    {
        return format!("std/{rest}");
    }
    let best = roots
        .iter()
        .map(|root| root.trim_end_matches('/'))
        .filter(|root| !root.is_empty())
        .filter_map(|root| path.strip_prefix(root)?.strip_prefix('/'))
        .min_by_key(|rest| rest.len());
    match best {
        Some(rest) => rest.to_owned(),
        None => path.strip_prefix("./").unwrap_or(&path).to_owned(),
    }
}
