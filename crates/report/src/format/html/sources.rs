//! The source files on a page: whole ones where they are short, else what is near the steps.

use crate::Sources;
use racefuzz_trace::Site;
use serde::Serialize;
use std::collections::BTreeSet;

/// A file as the page holds it.
#[derive(Serialize)]
pub(super) struct SourceFile {
    name: String,
    /// Stretches of lines in order: the number of the first line, and the lines.
    parts: Vec<(u32, String)>,
}

/// Longer files are cut to what is near the lines that are used.
const LONGEST: usize = 24_000;
/// So many lines around each of them.
const AROUND: u32 = 30;

/// The files that places on the page are in, and which lines of them are used.
pub(in crate::format) struct Files<'a> {
    sources: &'a dyn Sources,
    files: Vec<(String, BTreeSet<u32>)>,
}

impl<'a> Files<'a> {
    pub(in crate::format) fn new(sources: &'a dyn Sources) -> Self {
        Self { sources, files: Vec::new() }
    }

    /// A place as the page names it: the index of its file, the line, the column.
    pub(super) fn place(&mut self, site: &Site) -> (usize, u32, u32) {
        let known = self.files.iter().position(|(name, _)| *name == site.file);
        let file = known.unwrap_or_else(|| {
            self.files.push((site.file.clone(), BTreeSet::new()));
            self.files.len() - 1
        });
        self.files[file].1.insert(site.line);
        (file, site.line, site.column)
    }

    /// All files, in the order of their indices. One whose text is not known has no lines.
    pub(super) fn into_list(self) -> Vec<SourceFile> {
        let sources = self.sources;
        let file = |(name, used): (String, BTreeSet<u32>)| {
            let parts = sources.text(&name).map_or_else(Vec::new, |text| parts(&text, &used));
            SourceFile { name, parts }
        };
        self.files.into_iter().map(file).collect()
    }
}

fn parts(text: &str, used: &BTreeSet<u32>) -> Vec<(u32, String)> {
    if text.len() <= LONGEST {
        return vec![(1, text.trim_end().to_owned())];
    }
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for line in used {
        let (from, to) = (line.saturating_sub(AROUND).max(1), line + AROUND);
        match parts.last_mut() {
            Some((_, last)) if from <= *last + 1 => *last = to,
            _ => parts.push((from, to)),
        }
    }
    let lines: Vec<&str> = text.lines().collect();
    let cut = |(from, to): (u32, u32)| {
        let lines = lines.iter().take(to as usize).skip(from as usize - 1);
        (from, lines.copied().collect::<Vec<_>>().join("\n"))
    };
    parts.into_iter().map(cut).filter(|(_, text)| !text.is_empty()).collect()
}
