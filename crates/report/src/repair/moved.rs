//! A statement in front of another one, as text.
//!
//! It is written where the statement is whole lines directly behind the other one, or the first in the block
//! that the other one opens, and uses nothing that the other one makes. Nothing of it was explored; what is
//! said of it is said once it is typed in and checked.

use super::lines::{binding, code, has_word, indent, statement_start};
use super::{Changes, push};
use crate::Sources;
use racefuzz_trace::Site;
use std::collections::BTreeMap;

/// Writes it, if it can be written.
pub(super) fn write(
    statement: &Site,
    before: &Site,
    sources: &dyn Sources,
    files: &mut BTreeMap<String, Changes>,
) -> bool {
    let Some(text) = sources.text(&statement.file).filter(|_| statement.file == before.file) else {
        return false;
    };
    let lines: Vec<&str> = text.lines().collect();
    let Some(moved) = moved(&lines, statement.line as usize, before.line as usize) else { return false };
    let changes = files.entry(statement.file.clone()).or_default();
    let white = indent(lines[moved.to - 1]);
    let own = indent(lines[moved.first - 1]);
    for number in moved.first..=moved.last {
        let line = lines[number - 1];
        push(&mut changes.before, moved.to, format!("{white}{}", line.strip_prefix(own).unwrap_or(line)));
        changes.gone.insert(number);
    }
    true
}

/// The lines of the statement, and the line that they go in front of.
#[derive(Debug, PartialEq, Eq)]
struct Moved {
    first: usize,
    last: usize,
    to: usize,
}

fn moved(lines: &[&str], statement: usize, before: usize) -> Option<Moved> {
    if statement <= before || statement > lines.len() {
        return None;
    }
    let start = statement_start(lines, statement);
    let last = (start..=lines.len()).find(|at| code(lines[at - 1]).ends_with([';', '{', '}']))?;
    let to = statement_start(lines, before);
    let own = &lines[start - 1..last];
    // One statement that leaves nothing and makes nothing; a block in it ends in it.
    let text: String = own.iter().map(|line| code(line)).collect();
    let simple = code(own.last()?).ends_with(';')
        && !text.contains('?')
        && text.matches('{').count() == text.matches('}').count()
        && !["let", "return", "break", "continue", "await"].iter().any(|word| has_word(&text, word));
    // What is said about it goes with it.
    let comments = lines[to..start - 1].iter().rev().take_while(|line| line.trim_start().starts_with("//"));
    let first = start - comments.count();
    // In between there is only the end of the other statement, or the beginning of its block.
    let other: Vec<&str> =
        (to..first).map(|at| code(lines[at - 1])).filter(|line| !line.is_empty()).collect();
    let (end, others) = other.split_last()?;
    let adjacent = end.ends_with([';', '{']) && !others.iter().any(|line| line.ends_with([';', '{', '}']));
    let head = other.first()?.trim_start();
    let conditional = end.ends_with('{');
    let opens = !conditional || head.starts_with("if ") && !has_word(head, "let");
    let made = binding(head).is_some_and(|name| has_word(&text, name));
    let bound = head.starts_with("let ") && binding(head).is_none();
    (simple && adjacent && opens && !made && !bound).then_some(Moved { first, last, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_goes_in_front_of_the_one_before_it_or_around_it() {
        let lines = ["fn f() {", "    a.store(1);", "    b.set(2);", "}"];
        assert_eq!(moved(&lines, 3, 2), Some(Moved { first: 3, last: 3, to: 2 }));
        let lines =
            ["fn f() {", "    if !ready.load() {", "        *slot.lock() =", "            me();", "    }"];
        assert_eq!(moved(&lines, 3, 2), Some(Moved { first: 3, last: 4, to: 2 }));
        let lines = ["let x = a.load();", "b.set(2);"];
        assert_eq!(moved(&lines, 2, 1), Some(Moved { first: 2, last: 2, to: 1 }));
        let lines = ["a.store(1);", "// SAFETY: ours.", "b.with_mut(|b| unsafe { *b = 2 });"];
        assert_eq!(moved(&lines, 3, 1), Some(Moved { first: 2, last: 3, to: 1 }));
    }

    #[test]
    fn a_statement_that_needs_the_other_or_stands_apart_stays() {
        for lines in [
            ["let x = a.load();", "b.set(x);", ""],
            ["let (x, y) = a.load();", "b.set(2);", ""],
            ["a.store(1);", "let b = c();", ""],
            ["a.store(1);", "b.set(c()?);", ""],
            ["while a.load() {", "b.set(2);", "}"],
            ["if let Some(x) = a.load() {", "b.set(2);", "}"],
        ] {
            assert_eq!(moved(&lines, 2, 1), None, "{lines:?}");
        }
        assert_eq!(moved(&["a.store(1);", "c();", "b.set(2);"], 3, 1), None, "another one in between");
        assert_eq!(moved(&["a.store(1);", "b.set(2);"], 1, 2), None, "it is there already");
    }
}
