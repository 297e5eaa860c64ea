//! What was taken given back on a way out, as text.
//!
//! It is written where the way out is a block behind the taking, on the way on which something has been taken.
//! Nothing of it was explored; what is said of it is said once it is typed in and checked.

use super::calls::call_at;
use super::guard::path_before;
use super::law::closing;
use super::lines::{braces, code, indent, statement_start};
use super::way_out::{function, way_out};
use super::{Changes, Names, order_name, push};
use crate::Sources;
use racefuzz_trace::{MemoryOrder, Site, Value};
use std::collections::BTreeMap;

/// Writes it, if it can be written.
pub(super) fn write(
    taken: &Site,
    was: &Value,
    looked: &Site,
    sources: &dyn Sources,
    names: Names,
    files: &mut BTreeMap<String, Changes>,
) -> bool {
    let Some(text) = sources.text(&taken.file).filter(|_| taken.file == looked.file) else { return false };
    let named = |order: MemoryOrder| order_name(order, &text, names);
    let Some((line, statement)) = given_back(&text, taken, was, looked, &named) else { return false };
    push(&mut files.entry(taken.file.clone()).or_default().before, line, statement);
    true
}

/// The line in front of which it is given back, and the statement that does so.
fn given_back(
    text: &str,
    taken: &Site,
    was: &Value,
    looked: &Site,
    named: &dyn Fn(MemoryOrder) -> String,
) -> Option<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let (at, looked) = (taken.line as usize, looked.line as usize);
    if looked == 0 || at == 0 || looked > lines.len() || at >= looked {
        return None;
    }
    let out = way_out(&lines, looked)?;
    let one_function = function(&lines, at) == function(&lines, looked);
    let leads = is_taken_at(&lines, text, taken, was, out.head)?;
    let statement = inverse(text, taken, was, named)?;
    (one_function && leads).then(|| (out.leaves, format!("{}{statement};", indent(lines[out.leaves - 1]))))
}

/// Whether something is taken whenever control comes from the taking to a later line.
fn is_taken_at(lines: &[&str], text: &str, taken: &Site, was: &Value, later: usize) -> Option<bool> {
    let at = taken.line as usize;
    let start = statement_start(lines, at);
    let call = call_at(text, taken.line, taken.column)?;
    let rest = code(text[call.end + 1..].lines().next()?);
    let head = code(lines[start - 1]).trim_start();
    let below = |from: usize, to: usize| {
        let mut depth = 0;
        lines[from..to - 1].iter().flat_map(|line| braces(line)).all(|brace| {
            depth += brace;
            depth >= 0
        })
    };
    let Some(test) = head.strip_prefix("if ") else {
        let plain = !["while ", "match ", "for ", "}"].iter().any(|word| head.starts_with(word));
        // Whether an exchange has succeeded is not known where nothing tests it.
        let known = !text[call.name].starts_with("compare_exchange");
        return Some(plain && known && rest.ends_with(';') && below(at, later));
    };
    let negated = test.starts_with('!');
    let holds = match (rest.trim(), was) {
        (".is_ok() {", _) => true,
        (".is_err() {", _) => false,
        ("{", Value::Bool(was)) => *was,
        _ => return None,
    } != negated;
    let end = closing(lines, start);
    Some(match holds {
        true => start < later && later < end && below(at, later),
        // Where nothing was to be taken, the function is left.
        false => way_out(lines, at).is_some_and(|out| out.end < later) && below(end, later),
    })
}

/// The statement that gives back what a call takes.
fn inverse(text: &str, taken: &Site, was: &Value, named: &dyn Fn(MemoryOrder) -> String) -> Option<String> {
    let call = call_at(text, taken.line, taken.column)?;
    let path = &text[path_before(text, call.name.start)?];
    let argument = |at: usize| call.arguments.get(at).map(|range| &text[range.clone()]);
    let strongest = [1, 2].into_iter().filter_map(argument).any(|order| order.ends_with("SeqCst"));
    let order = named(if strongest { MemoryOrder::SeqCst } else { MemoryOrder::Release });
    let value = argument(0)?;
    Some(match &text[call.name.clone()] {
        "swap" => match was {
            Value::Bool(_) | Value::Int(_) => format!("{path}.store({was}, {order})"),
            _ => return None,
        },
        "compare_exchange" | "compare_exchange_weak" => format!("{path}.store({value}, {order})"),
        "fetch_add" => format!("{path}.fetch_sub({value}, {order})"),
        "fetch_sub" => format!("{path}.fetch_add({value}, {order})"),
        "fetch_or" => format!("{path}.fetch_and(!{value}, {order})"),
        "fetch_and" => format!("{path}.fetch_or({}, {order})", value.strip_prefix('!')?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, call: &str, was: Value, looked: &str) -> Option<String> {
        let site = |call: &str| {
            let at = text.find(call).expect("it stands there");
            let line = text[..at].matches('\n').count() as u32 + 1;
            let begins = text[..at].rfind('\n').map_or(0, |at| at + 1);
            let column = (at - begins + call.rfind('.').map_or(0, |dot| dot + 1)) as u32 + 1;
            Site { file: "f.rs".into(), line, column }
        };
        let named = |order: MemoryOrder| order.name().to_owned();
        let (line, statement) = given_back(text, &site(call), &was, &site(looked), &named)?;
        assert!(text.lines().nth(line - 1).unwrap().contains("return"), "{line}");
        Some(statement.trim().to_owned())
    }

    const FLAG: &str = "fn f(&self) {\n    if !self.due.swap(false, AcqRel) {\n        return;\n    }\n    \
                        if self.paused.load(Acquire) {\n        // Later.\n        return;\n    }\n    g();\n}\n";

    #[test]
    fn a_flag_is_set_again_where_it_was_taken_for_nothing() {
        let back =
            |text: &str, was: bool| written(text, "self.due.swap", Value::Bool(was), "self.paused.load");
        assert_eq!(back(FLAG, true).as_deref(), Some("self.due.store(true, Release);"));
        assert_eq!(back(FLAG, false), None, "there was nothing to be taken, and the function was left");
        let inside = FLAG.replace("if !self.due", "if self.due").replacen("        return;\n    }\n", "", 1);
        let inside = inside.replace("    g();\n", "    }\n");
        assert_eq!(back(&inside, true).as_deref(), Some("self.due.store(true, Release);"));
        assert_eq!(back(&FLAG.replace("if self.paused", "while self.paused"), true), None);
        assert_eq!(back(&FLAG.replacen("return;", "log();", 1), true), None, "it goes on without it");
    }

    #[test]
    fn a_count_goes_back_to_what_it_was() {
        let text = "fn f(&self) {\n    self.calls.fetch_add(1, SeqCst);\n    if self.closed.load(SeqCst) {\n        \
                    return;\n    }\n}\n";
        let back = |text: &str, call: &str| written(text, call, Value::Int(0), "self.closed.load");
        let one = back(text, "self.calls.fetch_add");
        assert_eq!(one.as_deref(), Some("self.calls.fetch_sub(1, SeqCst);"));
        let sub = text.replace("fetch_add", "fetch_sub").replace("SeqCst", "Acquire");
        let one = back(&sub, "self.calls.fetch_sub");
        assert_eq!(one.as_deref(), Some("self.calls.fetch_add(1, Release);"));
        let mask = text.replace("fetch_add(1", "fetch_and(!BUSY");
        let one = back(&mask, "self.calls.fetch_and");
        assert_eq!(one.as_deref(), Some("self.calls.fetch_or(BUSY, SeqCst);"));
        let nested = text.replace("    self.calls", "    {\n    self.calls").replacen(";\n", ";\n    }\n", 1);
        assert_eq!(back(&nested, "self.calls.fetch_add"), None, "in a block of its own");
    }
}
