//! A repair as changes of source lines, as far as its places allow that.

mod lines;
mod patch;

pub use patch::{Patch, patch};

use crate::Sources;
use lines::{
    binding, ends_statement, has_word, imports, in_other_closure, indent, one_block, opens_block,
    statement_end, statement_start,
};
use racefuzz_trace::{Edit, Fix, FixKind, LockName, MemoryOrder, Region, Site};
use std::collections::BTreeMap;

/// What happens to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Keep,
    Add,
    Remove,
}

/// One line of a suggestion.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) number: Option<usize>,
    pub(crate) mark: Mark,
    pub(crate) text: String,
}

/// Lines of one file.
#[derive(Clone, Debug)]
pub(crate) struct Hunk {
    pub(crate) file: String,
    pub(crate) lines: Vec<Line>,
}

/// Changes of one file: what goes in front of a line, what comes behind it, what replaces it.
#[derive(Default)]
struct Changes {
    before: BTreeMap<usize, Vec<String>>,
    behind: BTreeMap<usize, Vec<String>>,
    instead: BTreeMap<usize, String>,
    /// Something is only described in a comment.
    by_hand: bool,
}

impl Changes {
    /// The lines that something happens at.
    fn touched(&self) -> Vec<usize> {
        let all = self.before.keys().chain(self.behind.keys()).chain(self.instead.keys());
        let mut touched: Vec<usize> = all.copied().collect();
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    fn comment(&mut self, at: usize, text: String) {
        push(&mut self.before, at, text);
        self.by_hand = true;
    }
}

/// The suggestion of a repair, one hunk a file; empty where the source is not known.
pub(crate) fn hunks(fix: &Fix, sources: &dyn Sources) -> Vec<Hunk> {
    changes(fix, sources, Names::Short)
        .into_iter()
        .filter_map(|(file, changes)| Some(hunk(&file, &sources.text(&file)?, &changes)))
        .collect()
}

/// How items of the library are named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// So that people see at once what is meant.
    Short,
    /// So that the compiler finds them: with their path where the file does not import them.
    Paths,
}

fn changes(fix: &Fix, sources: &dyn Sources, names: Names) -> BTreeMap<String, Changes> {
    let mut files: BTreeMap<String, Changes> = BTreeMap::new();
    if fix.kind != FixKind::OneStep {
        for region in whole_regions(fix) {
            // A lock that some share is taken for reading or for writing.
            let shared = fix.regions.iter().any(|other| other.lock == region.lock && other.shared);
            let call = match (shared, region.shared) {
                (true, true) => "read",
                (true, false) => "write",
                (false, _) => "lock",
            };
            guard(region, call, sources, files.entry(region.first.file.clone()).or_default());
        }
    }
    for edit in fix.overlay.edits.iter().chain(&fix.besides) {
        let site = match edit {
            Edit::Order { site, .. } | Edit::WakeAll { site } => site,
            Edit::Fence { before, .. }
            | Edit::Join { before, .. }
            | Edit::Await { before, .. }
            | Edit::LetGo { before, .. } => before,
            _ => continue,
        };
        if let Some(text) = sources.text(&site.file) {
            one(edit, site, &text, names, files.entry(site.file.clone()).or_default());
        }
    }
    files.retain(|_, changes| !changes.touched().is_empty());
    files
}

/// What one edit changes at its place.
fn one(edit: &Edit, site: &Site, text: &str, names: Names, changes: &mut Changes) {
    let lines: Vec<&str> = text.lines().collect();
    let at = site.line as usize;
    let Some(line) = lines.get(at.wrapping_sub(1)) else { return };
    let start = statement_start(&lines, at);
    let indent = indent(lines[start - 1]);
    match edit {
        Edit::Order { order, .. } => {
            let line = changes.instead.get(&at).cloned().unwrap_or_else(|| (*line).to_owned());
            if let Some(new) = with_order(&line, site.column as usize, &order_name(*order, text, names)) {
                changes.instead.insert(at, new);
            }
        }
        Edit::WakeAll { .. } => {
            changes.instead.insert(at, line.replace("notify_one", "notify_all"));
        }
        Edit::Fence { order, .. } => {
            let known = names == Names::Short || imports(text, "fence");
            let call = if known { "fence".to_owned() } else { atomic(text, "fence") };
            push(&mut changes.before, start, format!("{indent}{call}({});", order_name(*order, text, names)));
        }
        Edit::Join { spawned, .. } => {
            changes.comment(
                start,
                format!("{indent}// join here every thread spawned on line {}", spawned.line),
            );
        }
        Edit::Await { first, .. } => {
            changes.comment(
                start,
                format!("{indent}// wait here until line {} is done: a join, a flag, a channel", first.line),
            );
        }
        Edit::LetGo { guards, .. } => {
            let taken = guards.first().filter(|taken| taken.file == site.file);
            let guard = taken.and_then(|taken| binding(lines.get((taken.line as usize).wrapping_sub(1))?));
            match guard {
                Some(guard) => push(&mut changes.before, start, format!("{indent}drop({guard});")),
                None => changes.comment(start, format!("{indent}// give the lock back here")),
            }
        }
        _ => {}
    }
}

fn push(lines: &mut BTreeMap<usize, Vec<String>>, at: usize, text: String) {
    let here = lines.entry(at).or_default();
    if !here.contains(&text) {
        here.push(text);
    }
}

/// A name of `sync::atomic` with its path.
fn atomic(text: &str, name: &str) -> String {
    let of = if text.contains("racefuzz::") { "racefuzz" } else { "std" };
    format!("{of}::sync::atomic::{name}")
}

/// An ordering as the file can name it.
fn order_name(order: MemoryOrder, text: &str, names: Names) -> String {
    match names == Names::Short || imports(text, order.name()) {
        true => order.name().to_owned(),
        false if imports(text, "Ordering") => format!("Ordering::{}", order.name()),
        false => format!("{}::{}", atomic(text, "Ordering"), order.name()),
    }
}

/// The variable for the guard of a new lock: one that the file does not use for anything else.
fn guard_name(number: u32, text: &str) -> String {
    let name = if has_word(text, "guard") { "new_guard" } else { "guard" };
    if number == 0 { name.to_owned() } else { format!("{name}_{}", number + 1) }
}

/// The static of a new lock.
fn static_name(number: u32) -> String {
    if number == 0 { "NEW_LOCK".to_owned() } else { format!("NEW_LOCK_{}", number + 1) }
}

/// How a lock is taken for a region, and whether that can be written down.
fn taking(region: &Region, call: &str, sources: &dyn Sources) -> (String, bool) {
    match &region.lock {
        LockName::New(number) => (format!("{}.{call}().unwrap()", static_name(*number)), true),
        LockName::Beside(..) => (format!("the new lock of this object (`{call}`)"), false),
        // Part of the region has it already, and a lock cannot be taken twice.
        LockName::Own(created) => {
            let name = sources
                .text(&created.file)
                .and_then(|text| crate::names::name_at(&text, created.line, created.column));
            (format!("`{}`", name.as_deref().unwrap_or("the lock")), false)
        }
    }
}

/// The line of a region's first step, or of a lock taken before it in the same block: a lock that is
/// taken behind that one would be taken in the other order.
pub(crate) fn first_line(region: &Region, lines: &[&str]) -> usize {
    let (first, begins) = (region.first.line as usize, region.begins.line as usize);
    let known = 0 < begins && begins < first && first <= lines.len();
    if known && region.begins.file == region.first.file && one_block(lines, begins, first - 1) {
        return begins;
    }
    first
}

/// The regions that are not the beginning of another one, where a thread turns off early.
pub(crate) fn whole_regions(fix: &Fix) -> impl Iterator<Item = &Region> {
    let is_part = |at: usize, region: &Region| {
        fix.regions.iter().enumerate().any(|(other_at, other)| {
            let longer = (other.sites.len(), &other.last, at) > (region.sites.len(), &region.last, other_at);
            longer
                && (&other.lock, &other.first, other.shared) == (&region.lock, &region.first, region.shared)
                && region.sites.iter().all(|site| other.sites.contains(site))
        })
    };
    fix.regions.iter().enumerate().filter(move |(at, region)| !is_part(*at, region)).map(|(_, region)| region)
}

fn guard(region: &Region, call: &str, sources: &dyn Sources, changes: &mut Changes) {
    let Some(text) = sources.text(&region.first.file) else { return };
    let lines: Vec<&str> = text.lines().collect();
    let (first, last) = (first_line(region, &lines), region.last.line as usize);
    if first == 0 || first > lines.len() || last > lines.len() || region.first.file != region.last.file {
        return;
    }
    let (take, literal) = taking(region, call, sources);
    let start = statement_start(&lines, first);
    let end = statement_end(&lines, last);
    let elsewhere = |site: &Site| {
        let (line, column) = (site.line as usize, site.column as usize);
        in_other_closure(&lines, statement_start(&lines, line), line, column)
    };
    let plain = start <= end && one_block(&lines, start, end) && !opens_block(lines[end - 1]);
    let literal = literal && plain && !elsewhere(&region.first) && !elsewhere(&region.last);
    let (opens, closes) = (indent(lines[start - 1]), indent(lines[statement_start(&lines, last) - 1]));
    if let (true, LockName::New(number)) = (literal, &region.lock) {
        let guard = guard_name(*number, &text);
        push(&mut changes.before, start, format!("{opens}let {guard} = {take};"));
        // A block's last expression is its value: the guard goes with the block.
        if ends_statement(lines[end - 1]) {
            push(&mut changes.behind, end, format!("{closes}drop({guard});"));
        }
    } else {
        changes.comment(start, format!("{opens}// from here: hold {take}"));
        push(&mut changes.behind, end, format!("{closes}// to here"));
    }
}

/// The line with the first ordering behind a column replaced.
fn with_order(line: &str, column: usize, name: &str) -> Option<String> {
    const ORDERS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
    let from = line.char_indices().nth(column.saturating_sub(1))?.0;
    let (at, old) = ORDERS.iter().filter_map(|name| Some((line[from..].find(name)?, *name))).min()?;
    let at = from + at;
    // What stands there may have a path already.
    let name = if line[..at].ends_with("::") { name.rsplit("::").next().unwrap_or(name) } else { name };
    Some(format!("{}{name}{}", &line[..at], &line[at + old.len()..]))
}

fn hunk(file: &str, text: &str, changes: &Changes) -> Hunk {
    let touched = changes.touched();
    let (first, last) = (touched.first().copied().unwrap_or(1), touched.last().copied().unwrap_or(1));
    let mut lines = Vec::new();
    let mut skipped = false;
    for (number, text) in (1..).zip(text.lines()).filter(|(number, _)| (first..=last).contains(number)) {
        let near = touched.iter().any(|at| at.abs_diff(number) <= 2);
        if !near {
            if !std::mem::replace(&mut skipped, true) {
                lines.push(Line { number: None, mark: Mark::Keep, text: "...".to_owned() });
            }
            continue;
        }
        skipped = false;
        let add = |text: &String| Line { number: None, mark: Mark::Add, text: text.clone() };
        lines.extend(changes.before.get(&number).into_iter().flatten().map(add));
        match changes.instead.get(&number) {
            Some(new) => {
                lines.push(Line { number: Some(number), mark: Mark::Remove, text: text.to_owned() });
                lines.push(add(new));
            }
            None => lines.push(Line { number: Some(number), mark: Mark::Keep, text: text.to_owned() }),
        }
        lines.extend(changes.behind.get(&number).into_iter().flatten().map(add));
    }
    Hunk { file: file.to_owned(), lines }
}
