//! Locks as text: a guard in front of a region's first statement, dropped behind its last one.

use super::calls::call_at;
use super::law::{self, Stretch};
use super::lines::{ends_statement, indent, statement_end, statement_start};
use super::{Changes, first_line, guard_name, push, static_name, whole_regions};
use crate::Sources;
use racefuzz_trace::{Fix, LockName, Region, Site};
use std::collections::BTreeMap;

/// The expression for the lock of a region, if it can be named there.
fn lock_expression(fix: &Fix, region: &Region, text: &str) -> Option<String> {
    match &region.lock {
        LockName::New(number) => Some(static_name(*number)),
        LockName::Beside(..) => None,
        LockName::Own(_) => {
            let taken = fix.taken.iter().find(|taken| taken.file == region.first.file)?;
            own_lock(text, taken, &region.first)
        }
    }
}

/// The lock that is taken at one place, as an expression at another: the same path from the variable that
/// the two have in common, or from the one that stands for the same there.
fn own_lock(text: &str, taken: &Site, here: &Site) -> Option<String> {
    let lock = receiver(text, taken)?;
    let other = receiver(text, here)?;
    let (root, path) = lock.split_once('.')?;
    let (here, field) = other.split_once('.')?;
    // Both have the field.
    let same = root == here || text.contains(&format!("{root}.{field}"));
    same.then(|| format!("{here}.{path}"))
}

/// What a method is called on at a place, if that is a path of fields.
fn receiver<'t>(text: &'t str, site: &Site) -> Option<&'t str> {
    let call = call_at(text, site.line, site.column)?;
    let before = text[..call.name.start].strip_suffix('.')?;
    let start =
        before.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).map_or(0, |at| at + 1);
    let whole = !before[..start].ends_with([')', ']', '}', '?']);
    Some(&before[start..]).filter(|path| whole && path.contains('.'))
}

/// How a region's lock is taken: one that some share for reading or for writing.
fn call(fix: &Fix, region: &Region) -> &'static str {
    let shared = fix.regions.iter().any(|other| other.lock == region.lock && other.shared);
    match (shared, region.shared) {
        (true, true) => "read",
        (true, false) => "write",
        (false, _) => "lock",
    }
}

/// How a lock is taken for a region, as an expression or in words.
fn taking(fix: &Fix, region: &Region, sources: &dyn Sources) -> String {
    let call = call(fix, region);
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
                let take = format!("{opens}let {guard} = {lock}.{}().unwrap();", call(fix, region));
                push(&mut changes.before, stretch.start, take);
                // A block's last expression is its value: the guard goes with the block.
                if ends_statement(lines[stretch.end - 1]) {
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
