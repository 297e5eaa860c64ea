//! A repair as a unified diff.

use super::{Changes, Names, Typed, changes, push, static_name};
use crate::Sources;
use racefuzz_trace::{Certainty, Fix, FixReport, LockName};
use std::fmt::Write;

/// A unified diff against the source, for `patch -p1`.
///
/// It is complete if it is the whole repair: the result compiles and is what was tried. Otherwise
/// comments in it say what is left to be done by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The diff.
    pub text: String,
    /// Whether nothing is left to be done by hand.
    pub complete: bool,
    /// The number of the repair in the report, from 1.
    pub number: usize,
    /// Whether nobody has explored what it does: it is a proposal, and no repair as yet.
    pub proposal: bool,
    /// Each file that it changes, with its new text.
    pub files: Vec<(String, String)>,
}

/// The best repair that can be written down as a whole, else the best one as far as it can; `None` if
/// there is none, or its places do not say how.
pub fn patch(report: &FixReport, sources: &dyn Sources) -> Option<Patch> {
    let mut partial = None;
    let explored = |fix: &&Fix| fix.verdict.certainty != Certainty::Untried;
    for (number, fix) in (1..).zip(&report.fixes).filter(|(_, fix)| explored(fix)) {
        let Some(patch) = diff(fix, number, sources) else { continue };
        if patch.complete {
            return Some(patch);
        }
        partial.get_or_insert(patch);
    }
    partial
}

/// All repairs that are verified and can be written down as a whole, best first: what is typed in is what
/// was explored.
pub fn patches(report: &FixReport, sources: &dyn Sources) -> Vec<Patch> {
    whole(report, sources, Certainty::Verified)
}

/// All changes that nobody has explored, because they have to be written down for that, and that can be
/// written down as a whole: whether one repairs is known when it is typed in and checked.
pub fn proposals(report: &FixReport, sources: &dyn Sources) -> Vec<Patch> {
    whole(report, sources, Certainty::Untried)
}

fn whole(report: &FixReport, sources: &dyn Sources, certainty: Certainty) -> Vec<Patch> {
    let asked = (1..).zip(&report.fixes).filter(|(_, fix)| fix.verdict.certainty == certainty);
    let all = asked.filter_map(|(number, fix)| diff(fix, number, sources));
    all.filter(|patch| patch.complete).collect()
}

/// Lines around a change.
const CONTEXT: usize = 3;

fn diff(fix: &Fix, number: usize, sources: &dyn Sources) -> Option<Patch> {
    let mut out = String::new();
    let mut texts = Vec::new();
    let Typed { files, complete } = changes(fix, sources, Names::Paths);
    for (file, mut changes) in files {
        let text = sources.text(&file)?;
        if text.contains('\r') || !text.ends_with('\n') {
            return None;
        }
        let lines: Vec<&str> = text.lines().collect();
        declare_locks(fix, &text, lines.len(), &mut changes);
        texts.push((file.clone(), applied(&lines, &changes)));
        // Writing to a string cannot fail.
        let _ = write!(out, "--- a/{file}\n+++ b/{file}\n");
        let (mut added, mut removed) = (0usize, 0usize);
        for (first, last) in groups(&changes.touched()) {
            let (from, to) = (first.saturating_sub(CONTEXT).max(1), (last + CONTEXT).min(lines.len()));
            let (body, new) = body(&lines, from, to, &changes);
            let old = to - from + 1;
            let _ = write!(out, "@@ -{from},{old} +{},{new} @@\n{body}", from + added - removed);
            (added, removed) = (added + new, removed + old);
        }
    }
    let proposal = fix.verdict.certainty == Certainty::Untried;
    (!out.is_empty()).then_some(Patch { text: out, complete, number, proposal, files: texts })
}

/// A file as it is then.
fn applied(lines: &[&str], changes: &Changes) -> String {
    let mut text = String::new();
    for (number, line) in (1..).zip(lines) {
        let before = changes.before.get(&number).into_iter().flatten().map(String::as_str);
        let here = changes.instead.get(&number).map_or(*line, String::as_str);
        let here = (!changes.gone.contains(&number)).then_some(here);
        let behind = changes.behind.get(&number).into_iter().flatten().map(String::as_str);
        for line in before.chain(here).chain(behind) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The lines of one hunk, and how many there are when it is applied.
fn body(lines: &[&str], from: usize, to: usize, changes: &Changes) -> (String, usize) {
    let (mut body, mut new) = (String::new(), 0);
    let mut add = |body: &mut String, mark: char, text: &str| {
        let _ = writeln!(body, "{mark}{text}");
        new += usize::from(mark != '-');
    };
    for number in from..=to {
        let line = lines[number - 1];
        for added in changes.before.get(&number).into_iter().flatten() {
            add(&mut body, '+', added);
        }
        match changes.instead.get(&number) {
            Some(replaced) => {
                add(&mut body, '-', line);
                add(&mut body, '+', replaced);
            }
            None if changes.gone.contains(&number) => add(&mut body, '-', line),
            None => add(&mut body, ' ', line),
        }
        for added in changes.behind.get(&number).into_iter().flatten() {
            add(&mut body, '+', added);
        }
    }
    (body, new)
}

/// New locks are statics at the end of the file.
fn declare_locks(fix: &Fix, text: &str, last: usize, changes: &mut Changes) {
    let of = if text.contains("racefuzz::") { "racefuzz" } else { "std" };
    let mut declared = Vec::new();
    for region in &fix.regions {
        let LockName::New(number) = region.lock else { continue };
        if declared.contains(&number) {
            continue;
        }
        declared.push(number);
        let shared = fix.regions.iter().any(|other| other.lock == region.lock && other.shared);
        let kind = if shared { "RwLock" } else { "Mutex" };
        let (name, lock) = (static_name(number), format!("{of}::sync::{kind}"));
        push(&mut changes.behind, last, String::new());
        changes.behind.entry(last).or_default().push(format!("static {name}: {lock}<()> = {lock}::new(());"));
    }
}

/// Touched lines that one hunk of a diff holds together: first and last.
fn groups(touched: &[usize]) -> Vec<(usize, usize)> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for at in touched {
        match groups.last_mut() {
            Some((_, last)) if at - *last <= 2 * CONTEXT => *last = *at,
            _ => groups.push((*at, *at)),
        }
    }
    groups
}
