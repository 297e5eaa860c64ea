//! When a change of the source does what was explored: the law that each change as text has to keep.
//!
//! A repair is explored as an overlay, which acts at events; its text acts where control gets to a
//! statement. The two are the same only if nothing is there that the one sees and the other does not: a
//! loop, a way out of the block, a wait, a call of code with events of its own, another access in the
//! same statement. Where there is doubt the change is described and not written, and the repair counts as
//! advice.

use super::calls::{call_at, called};
use super::lines::{
    bare, braces, code, has_word, in_other_closure, is_value, one_block, statement_end, statement_start,
};
use crate::Sources;
use racefuzz_trace::{Fix, Region, Site};
use std::collections::BTreeSet;

/// Lines of a file, from 1, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Stretch {
    pub(super) fn has(self, line: usize) -> bool {
        (self.start..=self.end).contains(&line)
    }

    fn within(self, other: Self) -> bool {
        other.has(self.start) && other.has(self.end)
    }

    pub(super) fn of<'l>(self, lines: &'l [&'l str]) -> &'l [&'l str] {
        &lines[self.start - 1..self.end]
    }
}

/// Every place that executions under the repair pass.
fn passed(fix: &Fix) -> impl Iterator<Item = &Site> {
    fix.unguarded.iter().chain(fix.regions.iter().flat_map(|region| &region.sites))
}

/// Whether a guard over these lines is held exactly where the lock of a region was.
pub(super) fn guard_holds(
    fix: &Fix,
    region: &Region,
    lines: &[&str],
    stretch: Stretch,
    sources: &dyn Sources,
) -> bool {
    let file = &region.first.file;
    let own = |site: &Site| site.file == *file && stretch.has(site.line as usize);
    let body = stretch.of(lines);
    let elsewhere = |site: &Site| {
        let (line, column) = (site.line as usize, site.column as usize);
        in_other_closure(lines, statement_start(lines, line), line, column)
    };
    let all_inside = region.sites.iter().all(|site| own(site) && !elsewhere(site));
    let held =
        |site: &Site| fix.regions.iter().any(|other| other.lock == region.lock && other.sites.contains(site));
    let none_besides = passed(fix).filter(|site| own(site)).all(held);
    !region.repeats
        && all_inside
        && none_besides
        && ends_with_stretch(region, lines, stretch)
        && !outlives_others(fix, lines, stretch, sources)
        && !waits(body)
        && !body.iter().any(|line| code(line).contains('?') || code(line).contains("=>"))
        && !calls_events(fix, file, body, sources)
}

/// Whether the last thing done under the lock is part of the last statement: a lock of the program's that
/// is taken before it and given back behind it would be given back behind the guard.
fn ends_with_stretch(region: &Region, lines: &[&str], stretch: Stretch) -> bool {
    let last = statement_start(lines, region.last.line as usize);
    let statement = |line: usize| statement_start(lines, line);
    region.ends.iter().all(|site| {
        let line = site.line as usize;
        let binds = code(lines[statement(line) - 1]).trim_start().starts_with("let ");
        match *site == region.last {
            true => !binds || !names_guard(lines, site),
            false => statement(line) == last && statement_end(lines, line) == stretch.end && !binds,
        }
    })
}

/// Whether what is taken at a place is a lock whose guard is what the statement names.
fn names_guard(lines: &[&str], site: &Site) -> bool {
    let text = lines[site.line as usize - 1..].join("\n");
    let Some(call) = call_at(&text, 1, site.column) else { return false };
    let rest = code(text[call.end + 1..].lines().next().unwrap_or_default());
    matches!(&text[call.name], "lock" | "read" | "write" | "try_lock" | "try_read" | "try_write")
        && !rest.strip_prefix(".unwrap()").is_some_and(|rest| rest.starts_with('.'))
        && !has_star(lines[site.line as usize - 1])
}

/// Whether what a line binds is what a pointer leads to.
fn has_star(line: &str) -> bool {
    code(line).split_once('=').is_some_and(|(_, made)| made.trim_start().starts_with('*'))
}

/// Whether a guard goes with its block, behind variables that are made after it and whose destructors do
/// something.
fn outlives_others(fix: &Fix, lines: &[&str], stretch: Stretch, sources: &dyn Sources) -> bool {
    let makes = |line: &&str| has_word(&bare(code(line)), "let");
    let acts = |site: &Site| {
        sources.text(&site.file).is_some_and(|text| {
            let all: Vec<&str> = text.lines().collect();
            bodies(&all, "drop").iter().any(|body| body.has(site.line as usize))
        })
    };
    is_value(lines, stretch.end) && stretch.of(lines).iter().any(makes) && passed(fix).any(acts)
}

/// Whether somebody may wait in these lines, with whatever is held around them.
fn waits(lines: &[&str]) -> bool {
    const WAITS: [&str; 14] = [
        "while",
        "loop",
        "for",
        "await",
        "wait",
        "wait_while",
        "wait_timeout",
        "park",
        "park_timeout",
        "recv",
        "join",
        "spin_loop",
        "yield_now",
        "sleep",
    ];
    lines.iter().any(|line| WAITS.iter().any(|word| has_word(code(line), word)))
}

/// Whether lines call functions of the program in which something happens, or that are not known.
pub(super) fn calls_events(fix: &Fix, file: &str, lines: &[&str], sources: &dyn Sources) -> bool {
    let mut files: BTreeSet<&str> = passed(fix).map(|site| site.file.as_str()).collect();
    files.insert(file);
    let texts: Vec<(&str, String)> =
        files.iter().filter_map(|file| Some((*file, sources.text(file)?.into_owned()))).collect();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut open = called(lines);
    while let Some((name, qualified)) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let mut known = qualified || KNOWN.contains(&name.as_str()) || name.starts_with(char::is_uppercase);
        for (file, text) in &texts {
            let all: Vec<&str> = text.lines().collect();
            for body in bodies(&all, &name) {
                known = true;
                let here = |site: &&Site| site.file == *file && body.has(site.line as usize);
                if passed(fix).any(|site| here(&site)) {
                    return true;
                }
                open.extend(called(body.of(&all)));
            }
        }
        // A closure that was passed in.
        if !known {
            return true;
        }
    }
    false
}

/// Functions of the prelude, and what looks like a call and is none.
const KNOWN: [&str; 9] = ["drop", "if", "match", "in", "return", "let", "as", "unsafe", "move"];

/// The bodies of the functions of a name.
fn bodies(lines: &[&str], name: &str) -> Vec<Stretch> {
    let head = format!("fn {name}");
    let mut found = Vec::new();
    for (start, line) in (1..).zip(lines) {
        let line = code(line);
        let Some(at) = line.find(&head) else { continue };
        if !line[at + head.len()..].starts_with(['(', '<']) {
            continue;
        }
        let end = closing(lines, start);
        found.push(Stretch { start: start + 1, end: end.max(start + 1).min(lines.len()) });
    }
    found
}

/// The line where the blocks that are opened from `start` on are closed, `end` at the earliest: as far as a
/// region has to last to end where it began.
pub(super) fn block_end(lines: &[&str], start: usize, end: usize) -> usize {
    let mut depth = 0i32;
    for (number, line) in (start..).zip(&lines[start - 1..]) {
        depth += braces(line).sum::<i32>();
        if depth < 0 {
            break;
        }
        if number >= end && depth == 0 {
            return number;
        }
    }
    end
}

/// The line with the brace that closes the first one opened at or behind a line.
pub(super) fn closing(lines: &[&str], start: usize) -> usize {
    let (mut depth, mut opened) = (0i32, false);
    for (number, line) in (start..).zip(&lines[start - 1..]) {
        for brace in braces(line) {
            (depth, opened) = (depth + brace, opened || brace > 0);
        }
        if opened && depth <= 0 {
            return number;
        }
    }
    lines.len()
}

/// Whether what is put in front of the statement of a place comes right before its event each time: the
/// statement is no loop, and nothing else happens in it before.
pub(super) fn stands_before(fix: &Fix, site: &Site, lines: &[&str], sources: &dyn Sources) -> bool {
    let (line, column) = (site.line as usize, site.column as usize);
    let start = statement_start(lines, line);
    let stretch = Stretch { start, end: line };
    let first = code(lines[start - 1]).trim_start();
    let words = ["while", "for", "loop", "else", "match"];
    let mut before: String = lines[start - 1..line - 1].iter().map(|line| code(line)).collect();
    before.extend(lines[line - 1].chars().take(column.saturating_sub(1)));
    let others = passed(fix).filter(|other| other.file == site.file && stretch.has(other.line as usize));
    !first.starts_with(['}', '.', '|', ')'])
        && !words.iter().any(|word| has_word(&before, word))
        && !before.contains('|')
        && !before.contains("&&")
        && !before.contains("=>")
        && others.into_iter().all(|other| other == site)
        && !calls_events(fix, &site.file, &[&before], sources)
}

/// The loop that a thread waits in at some places, if nothing else happens in it and its end is the only
/// way out.
pub(super) fn waiting_loop(
    fix: &Fix,
    wait: &[Site],
    lines: &[&str],
    sources: &dyn Sources,
) -> Option<Stretch> {
    let first = wait.iter().map(|site| site.line as usize).min()?;
    let start = statement_start(lines, first);
    let stretch = Stretch { start, end: closing(lines, start) };
    let is_loop = ["while", "loop"].iter().any(|word| has_word(code(lines[start - 1]), word));
    let file = &wait.first()?.file;
    let inside = |site: &Site| site.file == *file && stretch.has(site.line as usize);
    let leaves = |line: &&str| {
        let line = code(line);
        line.contains('?') || ["return", "break", "continue"].iter().any(|word| has_word(line, word))
    };
    let alone = passed(fix).filter(|site| inside(site)).all(|site| wait.contains(site));
    let holds = is_loop
        && wait.iter().all(inside)
        && alone
        && !stretch.of(lines).iter().any(leaves)
        && !calls_events(fix, file, stretch.of(lines), sources);
    holds.then_some(stretch)
}

/// The statement that is a park alone, which is passed once whenever control comes there: no loop is around
/// it in its function.
pub(super) fn lone_park(wait: &[Site], lines: &[&str]) -> Option<Stretch> {
    let [park] = wait else { return None };
    let at = park.line as usize;
    let text = code(lines.get(at.checked_sub(1)?)?).trim();
    let alone = matches!(text, "thread::park();" | "park();" | "std::thread::park();")
        && statement_start(lines, at) == at;
    (alone && !in_loop(lines, at)).then_some(Stretch { start: at, end: at })
}

/// Whether a loop of its function is around a line.
pub(super) fn in_loop(lines: &[&str], at: usize) -> bool {
    let mut depth = 0i32;
    for line in lines[..at - 1].iter().rev() {
        depth += braces(line).sum::<i32>();
        let line = code(line);
        // A block around the line begins here.
        if depth > 0 {
            depth = 0;
            if ["loop", "while", "for"].iter().any(|word| has_word(line, word)) {
                return true;
            }
            if has_word(line, "fn") {
                break;
            }
        }
    }
    false
}

/// Where a guard is given up behind a line on which it is to end, so that this can go; `None` if it is used
/// for anything else there.
pub(super) fn given_up_later(lines: &[&str], from: usize, guard: &str) -> Option<Option<usize>> {
    let mut later = None;
    for (number, line) in (from..).zip(&lines[from - 1..]) {
        let line = code(line);
        if line.starts_with('}') || has_word(line, "fn") {
            break;
        }
        if !has_word(line, guard) {
            continue;
        }
        if super::lines::binding(line) == Some(guard) {
            // Another one of the same name.
            let made = line.split_once('=').map_or("", |(_, made)| made);
            if has_word(made, guard) {
                return None;
            }
            break;
        }
        if line.trim() != format!("drop({guard});") || later.is_some() {
            return None;
        }
        later = Some(number);
    }
    Some(later)
}

/// Whether something that borrows from a guard, made between these lines, is used from the second on.
pub(super) fn lends_on(lines: &[&str], made: usize, from: usize, guard: &str) -> bool {
    const COPIES: [&str; 8] = [
        ".len();",
        ".is_empty();",
        ".clone();",
        ".cloned();",
        ".copied();",
        ".to_owned();",
        ".to_string();",
        ".get();",
    ];
    (made + 1..from).any(|number| {
        let line = code(lines[number - 1]);
        let Some((_, value)) = line.split_once('=').filter(|_| line.trim_start().starts_with("let ")) else {
            return false;
        };
        let end = statement_end(lines, number);
        let statement: String = lines[number - 1..end].iter().map(|line| code(line)).collect();
        let pointee = value.trim_start().starts_with('*') && !value.contains(['.', '&']);
        // A closure that copies does so later.
        let copies =
            !statement.contains('|') && (pointee || COPIES.iter().any(|call| statement.ends_with(call)));
        let later = |name: &str| {
            lines[from - 1..]
                .iter()
                .take_while(|line| !line.starts_with('}'))
                .any(|line| has_word(code(line), name))
        };
        has_word(&statement, guard) && !copies && super::lines::binding(line).is_none_or(later)
    })
}

/// Whether a variable made on one line is there on another one: both stand in one function, and the
/// block that the one is made in lasts.
pub(super) fn in_scope(lines: &[&str], made: usize, used: usize) -> bool {
    let mut depth = 0i32;
    if made == 0 || used > lines.len() || made >= used || code(lines[used - 1]).contains("fn ") {
        return false;
    }
    for line in &lines[made - 1..used - 1] {
        if has_word(code(line), "fn") || has_word(code(line), "while") || has_word(code(line), "for") {
            return false;
        }
        for brace in braces(line) {
            depth += brace;
            if depth < 0 {
                return false;
            }
        }
    }
    true
}

/// The stretches of one lock that are no part of another one; `None` if two overlap.
pub(super) fn outermost(stretches: &[Stretch]) -> Option<Vec<Stretch>> {
    let mut kept: Vec<Stretch> = Vec::new();
    for stretch in stretches {
        if kept.iter().any(|other| stretch.within(*other)) {
            continue;
        }
        kept.retain(|other| !other.within(*stretch));
        if kept.iter().any(|other| other.has(stretch.start) || other.has(stretch.end)) {
            return None;
        }
        kept.push(*stretch);
    }
    Some(kept)
}

/// Whether lines stand in one block and are whole statements.
pub(super) fn is_whole(lines: &[&str], stretch: Stretch) -> bool {
    stretch.start <= stretch.end
        && one_block(lines, stretch.start, stretch.end)
        && !super::lines::opens_block(lines[stretch.end - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn park(lines: &[&str]) -> Option<usize> {
        let line = lines.iter().position(|line| line.contains("park();")).unwrap() as u32 + 1;
        let site = Site { file: "f.rs".into(), line, column: 5 };
        lone_park(&[site], lines).map(|stretch| stretch.end)
    }

    #[test]
    fn a_park_alone_is_passed_once() {
        assert_eq!(park(&["fn f() {", "    if ready() {", "        thread::park();", "    }", "}"]), Some(3));
        assert_eq!(park(&["while g() {", "}", "fn f() {", "    thread::park();", "}"]), Some(4));
        for loops in ["    while !ready() {", "    loop {", "    for _ in 0..2 {"] {
            assert_eq!(park(&["fn f() {", loops, "        thread::park();", "    }", "}"]), None, "{loops}");
        }
        assert_eq!(park(&["fn f() {", "    while ready() { thread::park(); }", "}"]), None);
    }

    #[test]
    fn a_guard_that_something_borrows_from_stays() {
        for (made, lends) in [
            ("let n = g.len();", false),
            ("let n = *g;", false),
            ("let n = g.iter();", true),
            ("let n = || g.len();", true),
            ("let n = &*g;", true),
            ("let n = other();", false),
        ] {
            let lines = ["fn f() {", "    let g = lock();", made, "    wait();", "    n();", "}"];
            assert_eq!(lends_on(&lines, 2, 4, "g"), lends, "{made}");
            assert!(!lends_on(&[&lines[..4], &lines[5..]].concat(), 2, 4, "g"), "{made}, not used");
        }
    }

    #[test]
    fn a_guard_ends_earlier_only_if_nothing_needs_it_later() {
        let later = |lines: &[&str]| given_up_later(lines, 1, "guard");
        assert_eq!(later(&["    wait();", "    other();", "}", "fn g() { guard }"]), Some(None));
        assert_eq!(later(&["    wait();", "    drop(guard);", "}"]), Some(Some(2)));
        assert_eq!(later(&["    let guard = lock();", "    guard.push(1);", "}"]), Some(None), "another one");
        assert_eq!(later(&["    guard.push(wait());", "}"]), None);
        assert_eq!(later(&["    wait();", "    *guard += 1;", "    drop(guard);", "}"]), None);
        assert_eq!(later(&["    let guard = relock(guard);", "}"]), None);
    }
}
