//! A repair as changes of source lines, as far as its places allow that.

use crate::Sources;
use racefuzz_trace::{Edit, Fix, FixKind, FixReport, LockName, Region};
use std::collections::BTreeMap;
use std::fmt::Write;

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
}

/// The suggestion of a repair, one hunk a file; empty where the source is not known.
pub(crate) fn hunks(fix: &Fix, sources: &dyn Sources) -> Vec<Hunk> {
    changes(fix, sources)
        .into_iter()
        .filter_map(|(file, changes)| Some(hunk(&file, &sources.text(&file)?, &changes)))
        .collect()
}

fn changes(fix: &Fix, sources: &dyn Sources) -> BTreeMap<String, Changes> {
    let mut files: BTreeMap<String, Changes> = BTreeMap::new();
    if fix.kind != FixKind::OneStep {
        for region in &fix.regions {
            guard(region, sources, files.entry(region.first.file.clone()).or_default());
        }
    }
    for edit in fix.overlay.edits.iter().chain(&fix.besides) {
        let site = match edit {
            Edit::Order { site, .. } | Edit::WakeAll { site } => site,
            Edit::Fence { before, .. } | Edit::Join { before, .. } | Edit::Await { before, .. } => before,
            _ => continue,
        };
        let Some(text) = sources.text(&site.file) else { continue };
        let lines: Vec<&str> = text.lines().collect();
        let at = site.line as usize;
        let Some(line) = lines.get(at.wrapping_sub(1)) else { continue };
        let changes = files.entry(site.file.clone()).or_default();
        let start = statement_start(&lines, at);
        let indent = indent(lines[start - 1]);
        match edit {
            Edit::Order { order, .. } => {
                let line = changes.instead.get(&at).cloned().unwrap_or_else(|| (*line).to_owned());
                if let Some(new) = with_order(&line, site.column as usize, order.name()) {
                    changes.instead.insert(at, new);
                }
            }
            Edit::WakeAll { .. } => {
                changes.instead.insert(at, line.replace("notify_one", "notify_all"));
            }
            Edit::Fence { order, .. } => {
                let fence = format!("{indent}fence({});", order.name());
                push(&mut changes.before, start, fence);
            }
            Edit::Join { spawned, .. } => {
                let join = format!("{indent}// join here every thread spawned on line {}", spawned.line);
                push(&mut changes.before, start, join);
            }
            Edit::Await { first, .. } => {
                let wait = format!(
                    "{indent}// wait here until line {} is done: a join, a flag, a channel",
                    first.line
                );
                push(&mut changes.before, start, wait);
            }
            _ => {}
        }
    }
    files.retain(|_, changes| {
        !(changes.before.is_empty() && changes.behind.is_empty() && changes.instead.is_empty())
    });
    files
}

fn push(lines: &mut BTreeMap<usize, Vec<String>>, at: usize, text: String) {
    let here = lines.entry(at).or_default();
    if !here.contains(&text) {
        here.push(text);
    }
}

/// The name of a lock, and of its guard, in the source.
fn lock_names(lock: &LockName, shared: bool, sources: &dyn Sources) -> (String, String) {
    let call = if shared { "read" } else { "lock" };
    match lock {
        LockName::New(number) => {
            let suffix = if *number == 0 { String::new() } else { format!("_{}", number + 1) };
            (format!("NEW_LOCK{suffix}.{call}().unwrap()"), format!("guard{suffix}"))
        }
        LockName::Beside(..) => (format!("object.new_lock.{call}().unwrap()"), "guard".to_owned()),
        LockName::Own(created) => {
            let name = sources
                .text(&created.file)
                .and_then(|text| crate::names::name_at(&text, created.line, created.column));
            (format!("{}.{call}().unwrap()", name.as_deref().unwrap_or("lock")), "guard".to_owned())
        }
    }
}

fn guard(region: &Region, sources: &dyn Sources, changes: &mut Changes) {
    let Some(text) = sources.text(&region.first.file) else { return };
    let lines: Vec<&str> = text.lines().collect();
    let (first, last) = (region.first.line as usize, region.last.line as usize);
    if first == 0 || first > lines.len() || last > lines.len() || region.first.file != region.last.file {
        return;
    }
    let (take, guard) = lock_names(&region.lock, region.shared, sources);
    let start = statement_start(&lines, first);
    let end = statement_end(&lines, last);
    let (opens, closes) = (indent(lines[start - 1]), indent(lines[statement_start(&lines, last) - 1]));
    if opens == closes && start <= end {
        push(&mut changes.before, start, format!("{opens}let {guard} = {take};"));
        if ends_statement(lines[end - 1]) {
            push(&mut changes.behind, end, format!("{closes}drop({guard});"));
        }
    } else {
        let (opens, closes) = (opens.to_owned(), closes.to_owned());
        push(&mut changes.before, start, format!("{opens}// from here: hold {take}"));
        push(&mut changes.behind, end, format!("{closes}// to here"));
    }
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line).trim_end()
}

fn ends_statement(line: &str) -> bool {
    matches!(code(line).chars().last(), Some(';' | '}'))
}

/// The first line of the statement that a line belongs to.
fn statement_start(lines: &[&str], mut at: usize) -> usize {
    while at > 1 {
        let above = code(lines[at - 2]);
        let comment = lines[at - 2].trim_start().starts_with("//");
        if above.is_empty() || comment || matches!(above.chars().last(), Some(';' | '{' | '}')) {
            break;
        }
        at -= 1;
    }
    at
}

/// The last line of the statement that a line belongs to.
fn statement_end(lines: &[&str], mut at: usize) -> usize {
    while at < lines.len() && !matches!(code(lines[at - 1]).chars().last(), Some(';' | '}')) {
        if lines[at].trim_start().starts_with('}') {
            break;
        }
        at += 1;
    }
    at
}

/// The line with the first ordering behind a column replaced.
fn with_order(line: &str, column: usize, order: &str) -> Option<String> {
    const ORDERS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
    let from = line.char_indices().nth(column.saturating_sub(1))?.0;
    let (at, old) = ORDERS.iter().filter_map(|name| Some((line[from..].find(name)?, *name))).min()?;
    let at = from + at;
    Some(format!("{}{order}{}", &line[..at], &line[at + old.len()..]))
}

fn hunk(file: &str, text: &str, changes: &Changes) -> Hunk {
    let touched: Vec<usize> =
        changes.before.keys().chain(changes.behind.keys()).chain(changes.instead.keys()).copied().collect();
    let (first, last) =
        (touched.iter().min().copied().unwrap_or(1), touched.iter().max().copied().unwrap_or(1));
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

/// The best repair as a unified diff against the source; `None` if there is none, or its places do
/// not say how to write it.
pub fn patch(report: &FixReport, sources: &dyn Sources) -> Option<String> {
    let fix = report.fixes.first()?;
    let mut out = String::new();
    for (file, mut changes) in changes(fix, sources) {
        let text = sources.text(&file)?;
        let lines: Vec<&str> = text.lines().collect();
        declare_locks(fix, &text, lines.len(), &mut changes);
        let mut touched: Vec<usize> = changes
            .before
            .keys()
            .chain(changes.behind.keys())
            .chain(changes.instead.keys())
            .copied()
            .collect();
        touched.sort_unstable();
        touched.dedup();
        // Writing to a string cannot fail.
        let _ = write!(out, "--- a/{file}\n+++ b/{file}\n");
        let mut grown = 0usize;
        for group in groups(&touched) {
            let from = group.0.saturating_sub(3).max(1);
            let to = (group.1 + 3).min(lines.len());
            let (mut body, mut new) = (String::new(), 0);
            for number in from..=to {
                let line = lines[number - 1];
                for added in changes.before.get(&number).into_iter().flatten() {
                    let _ = writeln!(body, "+{added}");
                    new += 1;
                }
                match changes.instead.get(&number) {
                    Some(replaced) => {
                        let _ = write!(body, "-{line}\n+{replaced}\n");
                    }
                    None => {
                        let _ = writeln!(body, " {line}");
                    }
                }
                new += 1;
                for added in changes.behind.get(&number).into_iter().flatten() {
                    let _ = writeln!(body, "+{added}");
                    new += 1;
                }
            }
            let old = to - from + 1;
            let _ = write!(out, "@@ -{from},{old} +{},{new} @@\n{body}", from + grown);
            grown += new - old;
        }
    }
    (!out.is_empty()).then_some(out)
}

/// New locks are statics at the end of the file.
fn declare_locks(fix: &Fix, text: &str, last: usize, changes: &mut Changes) {
    let mutex = if text.contains("racefuzz::") { "racefuzz::sync::Mutex" } else { "std::sync::Mutex" };
    let mut names: Vec<u32> = fix
        .regions
        .iter()
        .filter_map(|region| match region.lock {
            LockName::New(number) => Some(number),
            _ => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    for number in names {
        let suffix = if number == 0 { String::new() } else { format!("_{}", number + 1) };
        push(&mut changes.behind, last, String::new());
        push(&mut changes.behind, last, format!("static NEW_LOCK{suffix}: {mutex}<()> = {mutex}::new(());"));
    }
}

/// Touched lines that one hunk of a diff holds together: first and last.
fn groups(touched: &[usize]) -> Vec<(usize, usize)> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for at in touched {
        match groups.last_mut() {
            Some((_, last)) if at - *last <= 6 => *last = *at,
            _ => groups.push((*at, *at)),
        }
    }
    groups
}
