//! Changes of single places as text: orderings, fences, notifications, what is dropped or waited for.

use super::calls::{Call, call_at};
use super::lines::{binding, imports, indent, statement_start};
use super::{Changes, Names, atomic, law, order_name, push};
use crate::Sources;
use racefuzz_trace::{Edit, Fix, MemoryOrder, Site};
use std::ops::Range;

/// An edit, and where it is to be written.
pub(super) struct Place<'a> {
    pub(super) fix: &'a Fix,
    pub(super) edit: &'a Edit,
    pub(super) site: &'a Site,
    pub(super) text: &'a str,
    pub(super) names: Names,
    pub(super) sources: &'a dyn Sources,
}

/// Writes what an edit changes at its place.
pub(super) fn write(place: &Place<'_>, changes: &mut Changes) {
    let Place { fix, edit, site, text, names, sources } = *place;
    let lines: Vec<&str> = text.lines().collect();
    let at = site.line as usize;
    if lines.get(at.wrapping_sub(1)).is_none() {
        changes.by_hand = true;
        return;
    }
    let start = statement_start(&lines, at);
    let indent = indent(lines[start - 1]);
    match edit {
        Edit::Order { order, .. } => ordering(place, *order, false, changes),
        Edit::FailureOrder { order, .. } => ordering(place, *order, true, changes),
        Edit::Swap { .. } => swap(place, changes),
        Edit::WakeAll { .. } => match call_at(text, site.line, site.column) {
            Some(call) if text[call.name.clone()] == *"notify_one" => {
                replace(text, call.name, "notify_all", changes);
            }
            _ => changes.by_hand = true,
        },
        Edit::Fence { order, .. } => {
            let known = names == Names::Short || imports(text, "fence");
            let call = if known { "fence".to_owned() } else { atomic(text, "fence") };
            push(&mut changes.before, start, format!("{indent}{call}({});", order_name(*order, text, names)));
            changes.by_hand |= !law::stands_before(fix, site, &lines, sources);
        }
        Edit::Join { spawned, .. } => {
            let text = format!("{indent}// join here every thread spawned on line {}", spawned.line);
            changes.comment(start, text);
        }
        Edit::Await { first, .. } => {
            let text =
                format!("{indent}// wait here until line {} is done: a join, a flag, a channel", first.line);
            changes.comment(start, text);
        }
        Edit::LetGo { guards, .. } => {
            let taken = guards.first().filter(|taken| taken.file == site.file && guards.len() == 1);
            let taken = taken.filter(|taken| law::in_scope(&lines, taken.line as usize, start));
            let guard = taken.and_then(|taken| binding(lines.get((taken.line as usize).wrapping_sub(1))?));
            let guard = guard.filter(|_| law::stands_before(fix, site, &lines, sources));
            let made = taken.map_or(0, |taken| taken.line as usize);
            let guard = guard.filter(|guard| !law::lends_on(&lines, made, start, guard));
            match guard.and_then(|guard| Some((guard, law::given_up_later(&lines, start, guard)?))) {
                Some((guard, later)) => {
                    push(&mut changes.before, start, format!("{indent}drop({guard});"));
                    changes.gone.extend(later);
                }
                None => changes.comment(start, format!("{indent}// give the lock back here")),
            }
        }
        Edit::UnparkSelf { wait } => match law::waiting_loop(fix, wait, &lines, sources)
            .or_else(|| law::lone_park(wait, &lines))
        {
            Some(stretch) => {
                let thread = match names == Names::Short || imports(text, "thread") {
                    true => "thread",
                    false if text.contains("racefuzz::") => "racefuzz::thread",
                    false => "std::thread",
                };
                let indent = super::lines::indent(lines[stretch.start - 1]);
                push(&mut changes.behind, stretch.end, format!("{indent}{thread}::current().unpark();"));
            }
            None => changes.comment(start, format!("{indent}// unpark the thread itself behind this wait")),
        },
        _ => changes.by_hand = true,
    }
}

/// An ordering in the arguments of the access at a place.
fn ordering(place: &Place<'_>, order: MemoryOrder, failure: bool, changes: &mut Changes) {
    let Place { site, text, names, .. } = *place;
    let argument =
        call_at(text, site.line, site.column).and_then(|call| order_argument(&call, text, failure));
    match argument {
        Some(argument) => replace(text, argument, &order_name(order, text, names), changes),
        None => changes.by_hand = true,
    }
}

/// Where the ordering stands, without its path if it has one.
fn order_argument(call: &Call, text: &str, failure: bool) -> Option<Range<usize>> {
    const ORDERS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
    let (at, of) = match (&text[call.name.clone()], failure) {
        ("compare_exchange" | "compare_exchange_weak", false) => (2, 4),
        ("compare_exchange" | "compare_exchange_weak", true) => (3, 4),
        ("load", false) => (0, 1),
        ("fence", false) => (0, 1),
        // Two orderings, of which one access has the one and one the other.
        ("fetch_update" | "try_update" | "update", _) | (_, true) => return None,
        (_, false) => (1, 2),
    };
    let argument = call.arguments.get(at).filter(|_| call.arguments.len() == of)?;
    let name = text[argument.clone()].rfind("::").map_or(argument.start, |path| argument.start + path + 2);
    ORDERS.contains(&&text[name..argument.end]).then_some(name..argument.end)
}

/// A store as a swap whose result nobody looks at.
fn swap(place: &Place<'_>, changes: &mut Changes) {
    let Place { site, text, .. } = *place;
    let call = call_at(text, site.line, site.column).filter(|call| text[call.name.clone()] == *"store");
    match call {
        Some(call) if text[call.end + 1..].starts_with(';') => replace(text, call.name, "swap", changes),
        _ => changes.by_hand = true,
    }
}

/// Replaces a part of one line, besides the parts that are replaced there already.
pub(super) fn replace(text: &str, part: Range<usize>, new: &str, changes: &mut Changes) {
    let number = text[..part.start].matches('\n').count() + 1;
    let begin = text[..part.start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    let within = part.start - begin..part.end - begin;
    let tokens = changes.tokens.entry(number).or_default();
    let new = new.rsplit("::").next().filter(|_| line[..within.start].ends_with("::")).unwrap_or(new);
    if !tokens.iter().any(|(known, _)| *known == within) {
        tokens.push((within, new.to_owned()));
    }
    tokens.sort_by_key(|(within, _)| std::cmp::Reverse(within.start));
    let mut changed = line.to_owned();
    for (within, new) in tokens.iter() {
        changed.replace_range(within.clone(), new);
    }
    changes.instead.insert(number, changed);
}
