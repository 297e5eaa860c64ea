//! Locks as text: a guard in front of a region's first statement, dropped behind its last one. Where the region
//! takes that lock already, again and again, those guards become the one that lasts.

use super::calls::call_at;
use super::edits::replace;
use super::law::{self, Stretch};
use super::lines::{indent, is_value, statement_end, statement_start};
use super::{Changes, first_line, guard_name, push, static_name, whole_regions};
use crate::Sources;
use racefuzz_trace::{Fix, LockName, Region, Site};
use std::collections::BTreeMap;
use std::ops::Range;

/// The expression for the lock of a region, if it can be named there.
fn lock_expression(fix: &Fix, region: &Region, text: &str) -> Option<String> {
    match &region.lock {
        LockName::New(number) => Some(static_name(*number)),
        LockName::Beside(..) => None,
        LockName::Own(_) if !fix.retaken.is_empty() => {
            let mut inside = fix.retaken.iter().filter(|site| region.sites.contains(site));
            let lock = Retaken::at(text, inside.next()?)?.lock(text);
            let same = |site| Retaken::at(text, site).is_some_and(|other| other.lock(text) == lock);
            inside.all(same).then(|| lock.to_owned())
        }
        LockName::Own(_) => {
            let taken = fix.taken.iter().find(|taken| taken.file == region.first.file)?;
            own_path(text, taken, &region.first)
        }
    }
}

/// What is called on at one place, as an expression at another: the same path from the variable that the two
/// have in common, or from the one that stands for the same there.
pub(super) fn own_path(text: &str, taken: &Site, here: &Site) -> Option<String> {
    let lock = receiver(text, taken)?;
    let other = receiver(text, here)?;
    let (root, path) = lock.split_once('.')?;
    let (here, field) = other.split_once('.')?;
    // Both have the field.
    let same = root == here || text.contains(&format!("{root}.{field}"));
    same.then(|| format!("{here}.{path}"))
}

/// A guard of a region's own lock that is used where it is taken: all of its expression.
struct Retaken {
    lock: Range<usize>,
    whole: Range<usize>,
}

impl Retaken {
    fn at(text: &str, site: &Site) -> Option<Self> {
        let call = call_at(text, site.line, site.column)?;
        let path = path_before(text, call.name.start)?;
        let takes =
            matches!(&text[call.name.clone()], "lock" | "read" | "write") && call.arguments.is_empty();
        let rest = &text[call.end + 1..];
        let unwrapped = match (rest.strip_prefix(".unwrap()"), rest.strip_prefix(".expect(")) {
            (Some(rest), _) => rest,
            (None, Some(rest)) => rest.split_once("\")").map(|(_, rest)| rest)?,
            (None, None) => return None,
        };
        let whole = path.start..text.len() - unwrapped.len();
        let before = &text[..path.start];
        // A guard that is given a name, or away, is not this one.
        let used_here = unwrapped.starts_with('.') || before.ends_with('*') || before.ends_with("&mut ");
        let one_line = !text[whole.clone()].contains('\n');
        (takes && used_here && one_line).then_some(Self { lock: path, whole })
    }

    fn lock<'t>(&self, text: &'t str) -> &'t str {
        &text[self.lock.clone()]
    }
}

/// The path of fields in front of the name of a method.
pub(super) fn path_before(text: &str, name: usize) -> Option<Range<usize>> {
    let before = text[..name].strip_suffix('.')?;
    let start =
        before.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).map_or(0, |at| at + 1);
    let whole = start < before.len() && !before[..start].ends_with([')', ']', '}', '?', '$']);
    whole.then_some(start..before.len())
}

/// What a method is called on at a place, if that is a path of fields.
fn receiver<'t>(text: &'t str, site: &Site) -> Option<&'t str> {
    let call = call_at(text, site.line, site.column)?;
    let path = &text[path_before(text, call.name.start)?];
    Some(path).filter(|path| path.contains('.'))
}

/// How a region's lock is taken: one that some share for reading or for writing.
fn call(fix: &Fix, region: &Region, text: &str) -> &'static str {
    let own = fix.taken.iter().chain(&fix.retaken).filter(|site| site.file == region.first.file);
    let taken = own.filter_map(|site| Some(&text[call_at(text, site.line, site.column)?.name]));
    if taken.into_iter().any(|name| matches!(name, "read" | "write")) {
        return "write";
    }
    let shared = fix.regions.iter().any(|other| other.lock == region.lock && other.shared);
    match (shared, region.shared) {
        (true, true) => "read",
        (true, false) => "write",
        (false, _) => "lock",
    }
}

/// How a lock is taken for a region, as an expression or in words.
fn taking(fix: &Fix, region: &Region, sources: &dyn Sources) -> String {
    let call = call(fix, region, "");
    match &region.lock {
        LockName::New(number) => format!("{}.{call}().unwrap()", static_name(*number)),
        LockName::Beside(..) => format!("the new lock of this object (`{call}`)"),
        // Part of the region has it already, and a lock cannot be taken twice.
        LockName::Own(created) => {
            let name = sources
                .text(&created.file)
                .and_then(|text| crate::names::name_at(&text, created.line, created.column));
            format!("`{}`", name.as_deref().unwrap_or("the lock"))
        }
    }
}

/// The lines of whole statements that a region lies in, if there are such; `whole` with the blocks closed
/// that it opens.
fn stretch_of(region: &Region, lines: &[&str], whole: bool) -> Option<Stretch> {
    let (first, last) = (first_line(region, lines), region.last.line as usize);
    if first == 0 || first > lines.len() || last > lines.len() || region.first.file != region.last.file {
        return None;
    }
    let ends = region.ends.iter().filter(|site| site.file == region.last.file).map(|site| site.line as usize);
    let last = ends.chain([last]).max().filter(|last| *last <= lines.len())?;
    let start = statement_start(lines, first);
    let end = statement_end(lines, last);
    Some(Stretch { start, end: if whole { law::block_end(lines, start, end) } else { end } })
}

/// Whether every region of a repair can be written as guards that are held where its lock was.
fn are_literal(fix: &Fix, sources: &dyn Sources) -> bool {
    let mut by_lock: BTreeMap<(&LockName, &str), Vec<Stretch>> = BTreeMap::new();
    for region in &fix.regions {
        let Some(text) = sources.text(&region.first.file) else { return false };
        let lines: Vec<&str> = text.lines().collect();
        let Some(stretch) = stretch_of(region, &lines, true) else { return false };
        if lock_expression(fix, region, &text).is_none()
            || !law::is_whole(&lines, stretch)
            || !law::guard_holds(fix, region, &lines, stretch, sources)
        {
            return false;
        }
        by_lock.entry((&region.lock, &region.first.file)).or_default().push(stretch);
    }
    // One lock cannot be taken by who has it.
    by_lock.values().all(|stretches| law::outermost(stretches).is_some())
}

/// Writes all guards of a repair.
pub(super) fn guards(fix: &Fix, sources: &dyn Sources, files: &mut BTreeMap<String, Changes>) {
    let literal = are_literal(fix, sources);
    for region in whole_regions(fix) {
        let Some(text) = sources.text(&region.first.file) else { continue };
        let lines: Vec<&str> = text.lines().collect();
        let Some(stretch) = stretch_of(region, &lines, literal) else { continue };
        let changes = files.entry(region.first.file.clone()).or_default();
        let opens = indent(lines[stretch.start - 1]);
        let number = match region.lock {
            LockName::New(number) => number,
            _ => 0,
        };
        match lock_expression(fix, region, &text).filter(|_| literal) {
            Some(lock) => {
                let inside = |other: &Region| {
                    other.lock == region.lock
                        && other.first.file == region.first.file
                        && stretch_of(other, &lines, literal).is_some_and(|other| {
                            other != stretch && other.has(stretch.start) && other.has(stretch.end)
                        })
                };
                if fix.regions.iter().any(inside) {
                    continue;
                }
                let guard = guard_name(number, &text);
                let inside = fix.retaken.iter().filter(|site| region.sites.contains(site));
                let inside: Vec<Retaken> = inside.filter_map(|site| Retaken::at(&text, site)).collect();
                let mutable = if inside.is_empty() { "" } else { "mut " };
                let call = call(fix, region, &text);
                let take = format!("{opens}let {mutable}{guard} = {lock}.{call}().unwrap();");
                inside.into_iter().for_each(|taken| replace(&text, taken.whole, &guard, changes));
                push(&mut changes.before, stretch.start, take);
                // A block's last expression is its value: the guard goes with the block.
                if !is_value(&lines, stretch.end) {
                    push(&mut changes.behind, stretch.end, format!("{opens}drop({guard});"));
                }
            }
            None => {
                let take = taking(fix, region, sources);
                changes.comment(stretch.start, format!("{opens}// from here: hold {take}"));
                push(&mut changes.behind, stretch.end, format!("{opens}// to here"));
            }
        }
    }
}
