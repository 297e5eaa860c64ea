//! `while` in place of `if` around a wait on a condition variable, as text.
//!
//! It is written where the wait alone is what the `if` is for: then the block, repeated, tests and waits, and
//! nothing else. Nothing of it was explored; what is said of it is said once it is typed in and checked.

use super::Changes;
use super::calls::call_at;
use super::law::{closing, in_loop};
use super::lines::{code, has_word};
use crate::Sources;
use racefuzz_trace::Site;
use std::collections::BTreeMap;

/// Writes it, if it can be written.
pub(super) fn write(wait: &Site, sources: &dyn Sources, files: &mut BTreeMap<String, Changes>) -> bool {
    let Some(text) = sources.text(&wait.file) else { return false };
    let waits = call_at(&text, wait.line, wait.column)
        .is_some_and(|call| matches!(&text[call.name], "wait" | "wait_timeout"));
    let lines: Vec<&str> = text.lines().collect();
    let Some(test) = tested_once(&lines, wait.line as usize).filter(|_| waits) else { return false };
    let line = lines[test - 1].replacen("if ", "while ", 1);
    files.entry(wait.file.clone()).or_default().instead.insert(test, line);
    true
}

/// What is said where it cannot be written, unless the source shows a loop around the wait.
pub(super) fn in_words(wait: &Site, sources: &dyn Sources) -> Option<String> {
    let text = sources.text(&wait.file);
    let loops = text.is_some_and(|text| {
        let lines: Vec<&str> = text.lines().collect();
        let call = call_at(&text, wait.line, wait.column);
        let waits = |call: super::calls::Call| matches!(&text[call.name], "wait" | "wait_timeout");
        !call.is_some_and(waits) || in_loop(&lines, wait.line as usize)
    });
    (!loops).then(|| {
        format!(
            "do this instead: test the condition again after waking, `while` and not `if` around the wait on \
             line {}",
            wait.line
        )
    })
}

/// The line of the `if` whose block is a wait and no more, and that nothing follows.
fn tested_once(lines: &[&str], wait: usize) -> Option<usize> {
    let is_code = |number: &usize| !code(lines[number - 1]).trim().is_empty();
    let test = (1..wait).rev().find(is_code)?;
    let opens = code(lines[test - 1]).trim();
    let assigns = code(lines.get(wait.checked_sub(1)?)?).trim();
    let (guard, _) = assigns.split_once(" = ")?;
    let is_name = guard.chars().all(|c| c.is_alphanumeric() || c == '_');
    let end = (wait + 1..=lines.len()).find(is_code)?;
    let whole = opens.starts_with("if ")
        && opens.ends_with('{')
        && !has_word(opens, "let")
        && assigns.ends_with(';')
        && is_name
        && code(lines[end - 1]).trim() == "}"
        && closing(lines, test) == end;
    whole.then_some(test)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_alone_in_an_if_is_what_is_repeated() {
        let lines = ["fn f() {", "if !*g {", "// for it", "g = c.wait(g).unwrap();", "}", "}"];
        assert_eq!(tested_once(&lines, 4), Some(2));
        for (first, last) in [("while !*g {", "}"), ("if let Some(x) = *g {", "}"), ("if !*g {", "} else {")]
        {
            let lines = ["fn f() {", first, "g = c.wait(g).unwrap();", last, "}", "}"];
            assert_eq!(tested_once(&lines, 3), None, "{first} {last}");
        }
        let more = ["if !*g {", "g = c.wait(g).unwrap();", "take(&mut g);", "}"];
        assert_eq!(tested_once(&more, 2), None, "what else stands there would be repeated, too");
        let moved = ["if !*g {", "let g = c.wait(g).unwrap();", "}"];
        assert_eq!(tested_once(&moved, 2), None);
    }
}
