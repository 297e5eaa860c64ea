//! Ways out: the block of a test in which a function, or a turn of a loop, is left early.

use super::law::closing;
use super::lines::{code, has_word, opens_block, statement_start};

/// A block that is left early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WayOut {
    /// The line on which its test begins.
    pub(super) head: usize,
    /// The line of the statement that leaves.
    pub(super) leaves: usize,
    /// The line of its last brace.
    pub(super) end: usize,
}

/// The way out whose test stands on a line.
pub(super) fn way_out(lines: &[&str], at: usize) -> Option<WayOut> {
    let head = statement_start(lines, at);
    let opens =
        (at..=lines.len()).find(|number| !code(lines[number - 1]).ends_with([',', '(', ')', '&', '|']))?;
    let text: String = lines[head - 1..opens].iter().map(|line| code(line)).collect();
    let tests = text.trim_start().starts_with("if ") || text.trim_end().ends_with("else {");
    if !tests || !opens_block(lines[opens - 1]) {
        return None;
    }
    let end = closing(lines, opens);
    // Nothing else is in the block but statements; the last one leaves.
    let inside: Vec<usize> =
        (opens + 1..end).filter(|number| !code(lines[number - 1]).trim().is_empty()).collect();
    let leaves = *inside.last()?;
    let word = code(lines[leaves - 1]).trim_start().split([' ', ';']).next().unwrap_or_default();
    let simple = matches!(word, "return" | "break" | "continue") && code(lines[leaves - 1]).ends_with(';');
    let nested = inside.iter().any(|number| code(lines[number - 1]).contains(['{', '}']));
    let last = code(lines[end - 1]).trim() == "}" || code(lines[end - 1]).trim() == "};";
    (simple && !nested && last).then_some(WayOut { head, leaves, end })
}

/// The first line of the function around a line.
pub(crate) fn function(lines: &[&str], at: usize) -> Option<usize> {
    let around = |start: &usize| has_word(code(lines[start - 1]), "fn") && closing(lines, *start) >= at;
    (1..=at).rev().find(around)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_out_is_a_block_that_ends_with_leaving() {
        let lines = ["fn f() {", "    if a.load() {", "        b();", "        return None;", "    }", "}"];
        assert_eq!(way_out(&lines, 2), Some(WayOut { head: 2, leaves: 4, end: 5 }));
        let lines = ["let Some(x) = a.pop() else {", "    continue;", "};"];
        assert_eq!(way_out(&lines, 1), Some(WayOut { head: 1, leaves: 2, end: 3 }));
        for lines in [
            ["if a.load() {", "    b();", "}"],
            ["while a.load() {", "    break;", "}"],
            ["if a.load() {", "    return;", "} else {"],
            ["let x = a.load();", "    return;", "}"],
        ] {
            assert_eq!(way_out(&lines, 1), None, "{lines:?}");
        }
        let nested = ["if a.load() {", "    if b {", "        c();", "    }", "    return;", "}"];
        assert_eq!(way_out(&nested, 1), None);
    }
}
