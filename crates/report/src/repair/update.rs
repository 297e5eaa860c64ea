//! A load and the store behind it as one read-modify-write, as text.
//!
//! Explored is the read-modify-write in place of the load, and no store. The text does that where the two are
//! statements of a line each with nothing but the test of what was loaded in between, on the same path of
//! fields, and where what is compared and stored takes no step to compute. What a load tests becomes what the
//! call returns: the way that the store was on is the way of success.

use super::lines::{binding, braces, code, has_word, indent};
use super::{Changes, Names, order_name};
use crate::Sources;
use racefuzz_trace::{Edit, MemoryOrder, Site};
use std::collections::BTreeMap;

/// Writes it, if it can be written.
pub(super) fn write(
    edit: &Edit,
    sources: &dyn Sources,
    names: Names,
    files: &mut BTreeMap<String, Changes>,
) -> bool {
    let Edit::Update { load, store, order, failure, .. } = edit else { return false };
    let Some(text) = sources.text(&load.file).filter(|_| load.file == store.file) else { return false };
    let lines: Vec<&str> = text.lines().collect();
    let path = lines.get((load.line as usize).wrapping_sub(1)).and_then(|line| order_path(line));
    let named = |order: MemoryOrder| match path {
        Some(path) => format!("{path}{}", order.name()),
        None => order_name(order, &text, names),
    };
    let orders = (named(*order), named(*failure));
    let Some(new) = merged(&lines, load, store, &orders) else { return false };
    let changes = files.entry(load.file.clone()).or_default();
    for (number, line) in new.instead {
        changes.instead.insert(number, line);
    }
    changes.gone.extend(new.gone);
    true
}

/// The path before the ordering of a line's load, which leads to other orderings as well.
fn order_path(line: &str) -> Option<&str> {
    let (_, order) = line.split_once(".load(")?;
    let (order, _) = order.split_once(')')?;
    order.rfind("::").map(|end| &order[..end + 2])
}

/// The lines that are replaced, and those that go.
#[derive(Debug, Default, PartialEq, Eq)]
struct Merged {
    instead: Vec<(usize, String)>,
    gone: Vec<usize>,
}

/// A load as its line has it.
struct Load<'l> {
    /// What it is called on.
    place: &'l str,
    /// What comes before that on the line, and behind the call.
    before: &'l str,
    behind: &'l str,
}

fn merged(lines: &[&str], load: &Site, store: &Site, orders: &(String, String)) -> Option<Merged> {
    let (at, to) = (load.line as usize, store.line as usize);
    let line = code(lines.get(at.checked_sub(1)?)?);
    // What begins on the line before is more than what is read here.
    let above = lines[..at - 1].iter().rev().map(|line| code(line).trim()).find(|line| !line.is_empty());
    if !matches!(above.and_then(|line| line.chars().last()), None | Some(';' | '{' | '}')) {
        return None;
    }
    let load = load_in(line)?;
    let value = stored(code(lines.get(to.checked_sub(1)?)?), load.place)?;
    let inside: Vec<usize> =
        (at + 1..to).filter(|number| !code(lines[number - 1]).trim().is_empty()).collect();
    match load.before.trim() {
        "if" | "if !" => tested(lines, at, to, &load, value, &inside, orders),
        _ => bound(lines, at, to, &load, value, &inside, orders),
    }
}

/// `if place.load(..) == A { place.store(B) ..`, and the same with a way out in place of the block.
fn tested(
    lines: &[&str],
    at: usize,
    to: usize,
    load: &Load<'_>,
    value: &str,
    inside: &[usize],
    (order, failure): &(String, String),
) -> Option<Merged> {
    let (in_block, how) = match inside {
        [] => (true, "is_ok"),
        [way_out, closing] if leaves(lines, *way_out, *closing) => (false, "is_err"),
        _ => return None,
    };
    let expected = expected(load, in_block).filter(|_| is_plain(value))?;
    let exchange = format!("{}.compare_exchange({expected}, {value}, {order}, {failure})", load.place);
    let instead = (at, format!("{}if {exchange}.{how}() {{", indent(lines[at - 1])));
    Some(Merged { instead: vec![instead], gone: vec![to] })
}

/// `let name = place.load(..);` with a store of something made of the name.
fn bound(
    lines: &[&str],
    at: usize,
    to: usize,
    load: &Load<'_>,
    value: &str,
    inside: &[usize],
    (order, failure): &(String, String),
) -> Option<Merged> {
    let line = code(lines[at - 1]);
    let name = binding(line)?;
    let is_let = load.before.trim().strip_prefix("let ")?.strip_suffix('=')?.trim() == name;
    if !is_let || load.behind.trim() != ";" {
        return None;
    }
    let place = load.place;
    // The name goes where nothing needs it: neither behind the store nor, then, in the way out.
    let used = is_used(lines, at, to + 1, name);
    let white = indent(line);
    match inside {
        [] => {
            let call = always(place, name, value, order, failure)?;
            let bind = if used { format!("let {name} = ") } else { String::new() };
            let unused = if !used && call.contains("fetch_update") { "let _ = " } else { "" };
            let got = if used && call.contains("fetch_update") { ".unwrap()" } else { "" };
            let new = format!("{white}{bind}{unused}{call}{got};");
            Some(Merged { instead: vec![(at, new)], gone: vec![to] })
        }
        [test] => {
            let condition = condition(lines[*test - 1])?;
            let update = conditional(place, name, condition, true, value, (order, failure))?;
            let new = match (used, update) {
                (false, (exchange, _)) => format!("{white}if {exchange}.is_ok() {{"),
                // Behind the block, or where the test fails, there is none.
                (true, (update, false)) if !is_used(lines, at, closing_of(lines, *test)?, name) => {
                    format!("{white}if let Ok({name}) = {update} {{")
                }
                _ => return None,
            };
            Some(Merged { instead: vec![(*test, new)], gone: vec![at, to] })
        }
        [test, way_out, closing] if leaves(lines, *way_out, *closing) => {
            let condition = condition(lines[*test - 1])?;
            let update = conditional(place, name, condition, false, value, (order, failure))?;
            let no_use = !used && !has_word(code(lines[*way_out - 1]), name);
            let new = format!("{white}if {}.is_err() {{", update.0);
            no_use.then(|| Merged { instead: vec![(*test, new)], gone: vec![at, to] })
        }
        _ => None,
    }
}

/// The call for a store that always comes.
fn always(place: &str, name: &str, value: &str, order: &str, failure: &str) -> Option<String> {
    if !has_word(value, name) {
        return is_plain(value).then(|| format!("{place}.swap({value}, {order})"));
    }
    let rest = value.strip_prefix(name).map(str::trim_start).filter(|rest| !has_word(rest, name));
    let number = |rest: &str| Some(rest.trim().to_owned()).filter(|number| is_plain(number));
    let wraps = |method: &str| {
        let argument = rest?.strip_prefix(method)?.strip_prefix('(')?.strip_suffix(')')?;
        number(argument)
    };
    if let Some(number) = rest.and_then(|rest| rest.strip_prefix('+')).and_then(number) {
        return Some(format!("{place}.fetch_add({number}, {order})"));
    }
    if let Some(number) = wraps(".wrapping_add") {
        return Some(format!("{place}.fetch_add({number}, {order})"));
    }
    if let Some(number) = rest.and_then(|rest| rest.strip_prefix('-')).and_then(number) {
        return Some(format!("{place}.fetch_sub({number}, {order})"));
    }
    if let Some(number) = wraps(".wrapping_sub") {
        return Some(format!("{place}.fetch_sub({number}, {order})"));
    }
    is_pure(value).then(|| format!("{place}.fetch_update({order}, {failure}, |{name}| Some({value}))"))
}

/// The call for a store that comes where a condition holds, or where it does not, and whether it is an
/// exchange, which does without the name.
fn conditional(
    place: &str,
    name: &str,
    condition: &str,
    holds: bool,
    value: &str,
    (order, failure): (&str, &str),
) -> Option<(String, bool)> {
    let test = if holds { "==" } else { "!=" };
    let expected = condition.strip_prefix(name).map(str::trim_start).and_then(|rest| rest.strip_prefix(test));
    if let Some(expected) = expected.map(str::trim).filter(|expected| is_plain(expected))
        && is_plain(value)
        && !has_word(value, name)
        && !has_word(expected, name)
    {
        return Some((format!("{place}.compare_exchange({expected}, {value}, {order}, {failure})"), true));
    }
    // A truth value is what is compared itself.
    let is = match condition.strip_prefix('!').unwrap_or(condition).trim() == name {
        true => Some(holds != condition.starts_with('!')),
        false => None,
    };
    if let Some(expected) = is.filter(|_| is_plain(value) && !has_word(value, name)) {
        return Some((format!("{place}.compare_exchange({expected}, {value}, {order}, {failure})"), true));
    }
    let condition = match (holds, negated(condition)) {
        (true, _) => condition.to_owned(),
        (false, Some(negated)) => negated,
        (false, None) => format!("!({condition})"),
    };
    let pure = is_pure(&condition) && is_pure(value) && has_word(&condition, name);
    pure.then(|| {
        let call =
            format!("{place}.fetch_update({order}, {failure}, |{name}| ({condition}).then(|| {value}))");
        (call, false)
    })
}

/// A comparison turned round.
fn negated(condition: &str) -> Option<String> {
    const PAIRS: [(&str, &str); 6] = [
        (" == ", " != "),
        (" != ", " == "),
        (" <= ", " > "),
        (" >= ", " < "),
        (" < ", " >= "),
        (" > ", " <= "),
    ];
    let parts = |(test, _): &&(&str, &str)| condition.matches(test).count() == 1;
    let (test, other) = PAIRS.iter().find(parts)?;
    let alone = !condition.contains("&&") && !condition.contains("||");
    alone.then(|| condition.replacen(test, other, 1))
}

/// What is loaded where the store comes: in the block of the test, or behind a block that leaves.
fn expected<'l>(load: &Load<'l>, in_block: bool) -> Option<&'l str> {
    let test = load.behind.trim().strip_suffix('{')?.trim();
    match (load.before.trim(), test) {
        ("if", "") => Some(if in_block { "true" } else { "false" }),
        ("if !", "") => Some(if in_block { "false" } else { "true" }),
        ("if", test) => {
            let expected = test.strip_prefix(if in_block { "==" } else { "!=" })?.trim();
            is_plain(expected).then_some(expected)
        }
        _ => None,
    }
}

/// The condition of a line that is an `if` and the beginning of its block.
fn condition(line: &str) -> Option<&str> {
    let condition = code(line).trim().strip_prefix("if ")?.strip_suffix('{')?.trim();
    (!condition.starts_with("let ") && !condition.contains('{')).then_some(condition)
}

/// Whether a block does no more than leave: the way out, and its end.
fn leaves(lines: &[&str], way_out: usize, closing: usize) -> bool {
    let out = code(lines[way_out - 1]).trim();
    let word = out.split([' ', ';']).next().unwrap_or_default();
    matches!(word, "return" | "break" | "continue")
        && out.ends_with(';')
        && code(lines[closing - 1]).trim() == "}"
}

/// The load of a line.
fn load_in(line: &str) -> Option<Load<'_>> {
    let (head, rest) = line.split_once(".load(")?;
    let (order, behind) = rest.split_once(')')?;
    let start = head.rfind(|c: char| !is_path(c)).map_or(0, |at| at + 1);
    let (before, place) = head.split_at(start);
    let whole = is_order(order) && !place.is_empty() && !behind.contains(".load(");
    // The path goes on behind its beginning only if nothing else ends where it begins.
    let begins = before.is_empty() || before.ends_with([' ', '!', '(']);
    (whole && begins && is_balanced(place)).then_some(Load { place, before: before.trim_start(), behind })
}

/// What a line stores to the same place, and nothing else.
fn stored<'l>(line: &'l str, place: &str) -> Option<&'l str> {
    let call = line.trim().strip_prefix(place)?.strip_prefix(".store(")?.strip_suffix(");")?;
    let (value, order) = call.rsplit_once(',')?;
    is_order(order.trim()).then_some(value.trim())
}

fn is_path(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']')
}

fn is_balanced(place: &str) -> bool {
    place.matches('[').count() == place.matches(']').count()
}

/// The name of an ordering, with or without a path.
fn is_order(text: &str) -> bool {
    let path = text.chars().all(|c| c.is_alphanumeric() || c == ':');
    path && matches!(text.rsplit(':').next(), Some("Relaxed" | "Acquire" | "Release" | "AcqRel" | "SeqCst"))
}

/// Whether nothing happens when a value is computed: a name, a field, a literal, a null pointer.
fn is_plain(text: &str) -> bool {
    let text = text.strip_suffix("null_mut()").unwrap_or(text);
    let text = text.strip_prefix('-').unwrap_or(text);
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '.'))
}

/// Whether nothing happens when an expression is computed but arithmetic: names, numbers, operators, and
/// methods of numbers.
fn is_pure(text: &str) -> bool {
    const METHODS: [&str; 14] = [
        "min",
        "max",
        "wrapping_add",
        "wrapping_sub",
        "wrapping_mul",
        "saturating_add",
        "saturating_sub",
        "saturating_mul",
        "pow",
        "count_ones",
        "leading_zeros",
        "trailing_zeros",
        "rotate_left",
        "rotate_right",
    ];
    let plain = |c: char| c.is_alphanumeric() || " _+-*/%&|^<>=!().,".contains(c);
    let known = |(at, _): (usize, &str)| {
        let before = text[..at].trim_end();
        let start = before.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
        start == before.len() || METHODS.contains(&&before[start..]) && text[..start].ends_with('.')
    };
    // A field of something may be an atomic; a method of a number has its parenthesis.
    text.chars().all(plain) && text.match_indices('(').all(known)
}

/// Whether a name is used from a line on, in the block that it is made in on another line.
fn is_used(lines: &[&str], made: usize, from: usize, name: &str) -> bool {
    let mut depth = 0i32;
    for (number, line) in (made..).zip(&lines[made - 1..]) {
        depth += braces(line).sum::<i32>();
        if depth < 0 {
            return false;
        }
        if number >= from && has_word(code(line), name) {
            return true;
        }
    }
    false
}

/// The line behind the block that a line opens, if nothing comes of it where the test fails.
fn closing_of(lines: &[&str], test: usize) -> Option<usize> {
    let white = indent(lines[test - 1]);
    let ends = |line: &&&str| indent(line) == white && line.trim_start().starts_with('}');
    let closing = lines[test..].iter().position(|line| ends(&line))? + test + 1;
    (code(lines[closing - 1]).trim() == "}").then_some(closing + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a function with its load and its store as one, or `None`.
    fn one(body: &[&str]) -> Option<Vec<String>> {
        let mut lines = vec!["fn f() {"];
        let body: Vec<String> = body.iter().map(|line| format!("    {}", line.trim())).collect();
        lines.extend(body.iter().map(String::as_str));
        lines.push("}");
        let line = |what: &str| lines.iter().position(|line| line.contains(what)).map(|at| at as u32 + 1);
        let site = |line| Site { file: "f.rs".into(), line, column: 9 };
        let orders = ("AcqRel".to_owned(), "Acquire".to_owned());
        let merged = merged(&lines, &site(line(".load(")?), &site(line(".store(")?), &orders)?;
        let mut out = Vec::new();
        for (number, line) in (1..).zip(&lines) {
            let new = merged.instead.iter().find(|(at, _)| *at == number).map(|(_, new)| new.as_str());
            if !merged.gone.contains(&number) {
                out.push(new.unwrap_or(line).trim().to_owned());
            }
        }
        Some(out[1..out.len() - 1].to_vec())
    }

    #[test]
    fn a_store_that_always_comes_is_a_swap_an_addition_or_an_update() {
        let load = "    let n = a.b.load(Relaxed);";
        for (store, call) in [
            ("a.b.store(n + 1, Relaxed);", "a.b.fetch_add(1, AcqRel);"),
            ("a.b.store(n - STEP, Relaxed);", "a.b.fetch_sub(STEP, AcqRel);"),
            ("a.b.store(n.wrapping_add(2), Relaxed);", "a.b.fetch_add(2, AcqRel);"),
            ("a.b.store(ptr::null_mut(), Relaxed);", "a.b.swap(ptr::null_mut(), AcqRel);"),
            ("a.b.store(n * 2, Relaxed);", "let _ = a.b.fetch_update(AcqRel, Acquire, |n| Some(n * 2));"),
            (
                "a.b.store((n + 1).min(9), Relaxed);",
                "let _ = a.b.fetch_update(AcqRel, Acquire, |n| Some((n + 1).min(9)));",
            ),
        ] {
            assert_eq!(one(&[load, store]).unwrap(), [call], "{store}");
        }
        assert_eq!(
            one(&[load, "    a.b.store(n * 2, Relaxed);", "    n"]).unwrap(),
            ["let n = a.b.fetch_update(AcqRel, Acquire, |n| Some(n * 2)).unwrap();", "n"]
        );
    }

    #[test]
    fn a_store_behind_a_test_is_an_exchange() {
        let exchange = "if x.compare_exchange(FREE, TAKEN, AcqRel, Acquire).is_ok() {";
        let rest = ["    x.store(TAKEN, Relaxed);", "    go();", "}"];
        let body = |first: &'static str| [&[first], &rest[..]].concat();
        assert_eq!(one(&body("if x.load(Relaxed) == FREE {")).unwrap(), [exchange, "go();", "}"]);
        assert_eq!(
            one(&["let n = x.load(Relaxed);", "if n == FREE {", rest[0], "go();", "}"]).unwrap(),
            [exchange, "go();", "}"]
        );
        assert_eq!(
            one(&["if !x.load(Acquire) {", "x.store(true, Release);", "}"]).unwrap(),
            ["if x.compare_exchange(false, true, AcqRel, Acquire).is_ok() {", "}"]
        );
        assert_eq!(
            one(&["if x.load(Acquire) {", "return;", "}", "x.store(true, Release);"]).unwrap(),
            ["if x.compare_exchange(false, true, AcqRel, Acquire).is_err() {", "return;", "}"]
        );
        assert_eq!(
            one(&["let n = x.load(Acquire);", "if n {", "return;", "}", "x.store(true, Release);"]).unwrap(),
            ["if x.compare_exchange(false, true, AcqRel, Acquire).is_err() {", "return;", "}"]
        );
        assert_eq!(
            one(&["let n = x.load(Acquire);", "if !n {", "x.store(true, Release);", "}"]).unwrap(),
            ["if x.compare_exchange(false, true, AcqRel, Acquire).is_ok() {", "}"]
        );
        assert_eq!(
            one(&["if x.load(Acquire) != 0 {", "return false;", "}", "x.store(1, Release);", "true"])
                .unwrap(),
            ["if x.compare_exchange(0, 1, AcqRel, Acquire).is_err() {", "return false;", "}", "true"]
        );
    }

    #[test]
    fn a_store_of_what_was_tested_is_an_update() {
        assert_eq!(
            one(&["let n = x.load(Relaxed);", "if n < MAX {", "x.store(n + 1, Relaxed);", "}"]).unwrap(),
            ["if x.fetch_update(AcqRel, Acquire, |n| (n < MAX).then(|| n + 1)).is_ok() {", "}"]
        );
        assert_eq!(
            one(&["let n = x.load(Relaxed);", "if n < 4 {", "x.store(n + 1, Relaxed);", "take(n);", "}"])
                .unwrap(),
            ["if let Ok(n) = x.fetch_update(AcqRel, Acquire, |n| (n < 4).then(|| n + 1)) {", "take(n);", "}"]
        );
        assert_eq!(
            one(&["let n = x.load(Relaxed);", "if n == 0 {", "return;", "}", "x.store(n - 1, Relaxed);"])
                .unwrap(),
            ["if x.fetch_update(AcqRel, Acquire, |n| (n != 0).then(|| n - 1)).is_err() {", "return;", "}"]
        );
    }

    #[test]
    fn an_ordering_keeps_the_path_that_the_load_has() {
        assert_eq!(order_path("if x.load(atomic::Ordering::Acquire) == 0 {"), Some("atomic::Ordering::"));
        assert_eq!(order_path("let n = x.load(Relaxed);"), None);
    }

    #[test]
    fn anything_else_is_left_to_people() {
        let load = "let n = x.load(Relaxed);";
        for body in [
            &[load, "y.store(n + 1, Relaxed);"][..],
            &[load, "x.store(compute(), Relaxed);"],
            &[load, "x.store(f(n), Relaxed);"],
            &[load, "x.store(n + y.load(Relaxed), Relaxed);"],
            &[load, "look();", "x.store(n + 1, Relaxed);"],
            &[load, "if x.store(1, Relaxed);"],
            &[load, "x.store(1, order);"],
            &[load, "if n == FREE {", "x.store(1, Relaxed);", "}", "n"],
            &[load, "if n < 4 {", "x.store(n + 1, Relaxed);", "} else {", "take(n);", "}"],
            &[load, "if ready() {", "x.store(n + 1, Relaxed);", "}"],
            &["let mut n = x.load(Relaxed);", "x.store(1, Relaxed);"],
            &["let n = x.load(Relaxed) + 1;", "x.store(n, Relaxed);"],
            &["let n = at(0).load(Relaxed);", "at(0).store(1, Relaxed);"],
            &["if x.load(Relaxed) == 0 && ready() {", "x.store(1, Relaxed);", "}"],
            &["if x.load(Relaxed) == other() {", "x.store(1, Relaxed);", "}"],
            &["if x.load(Relaxed) == 0 {", "return;", "}", "x.store(1, Relaxed);"],
            &["if x.load(Relaxed) == 0 {", "log();", "x.store(1, Relaxed);", "}"],
            &["while x.load(Relaxed) == 0 {", "x.store(1, Relaxed);", "}"],
            &["} else if x.load(Relaxed) == 0 {", "x.store(1, Relaxed);", "}"],
        ] {
            assert_eq!(one(body), None, "{body:?}");
        }
    }
}
