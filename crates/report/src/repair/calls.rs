//! Reading calls in source text: the call that stands at a place, and its arguments.

use std::ops::Range;

/// A call as it stands in a text; all places are in bytes from the beginning of the text.
pub(super) struct Call {
    /// The function or method, without its path.
    pub(super) name: Range<usize>,
    /// Its arguments, without the white space around them.
    pub(super) arguments: Vec<Range<usize>>,
    /// Where its last parenthesis stands.
    pub(super) end: usize,
}

/// Where the place at a line and a column (in characters) stands; both are counted from 1.
fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let start = match line.checked_sub(2) {
        None => 0,
        Some(before) => text.match_indices('\n').nth(before)?.0 + 1,
    };
    let rest = text[start..].lines().next()?;
    let within = rest.char_indices().nth(column.checked_sub(1)?)?.0;
    Some(start + within)
}

/// The call whose name, or path and name, begins at a place.
pub(super) fn call_at(text: &str, line: u32, column: u32) -> Option<Call> {
    let start = offset(text, line as usize, column as usize)?;
    let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
    let open = start + text[start..].find(|c: char| !is_path(c))?;
    if !text[open..].starts_with('(') {
        return None;
    }
    let name = text[start..open].rfind(['.', ':']).map_or(start, |at| start + at + 1)..open;
    let (arguments, end) = arguments(text, open)?;
    (!name.is_empty()).then_some(Call { name, arguments, end })
}

/// The arguments between the parenthesis that opens at `open` and the one that closes it, and where that
/// one stands.
fn arguments(text: &str, open: usize) -> Option<(Vec<Range<usize>>, usize)> {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    let (mut found, mut from) = (Vec::new(), open + 1);
    let mut add = |range: Range<usize>| {
        let argument = &text[range.clone()];
        let start = range.start + (argument.len() - argument.trim_start().len());
        let trimmed = start..start + argument.trim().len();
        if !trimmed.is_empty() {
            found.push(trimmed);
        }
    };
    for (at, c) in text[open..].char_indices().map(|(at, c)| (open + at, c)) {
        if quoted {
            (quoted, escaped) = (escaped || c != '"', !escaped && c == '\\');
            continue;
        }
        match c {
            '"' => quoted = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth -= 1;
                if depth == 0 {
                    add(from..at);
                    return Some((found, at));
                }
            }
            ',' if depth == 1 => {
                add(from..at);
                from = at + 1;
            }
            _ => {}
        }
    }
    None
}

/// The names that some lines call, each with whether it is called as a method or by a path.
pub(super) fn called(lines: &[&str]) -> Vec<(String, bool)> {
    let mut names = Vec::new();
    for line in lines {
        let line = super::lines::code(line);
        for (at, _) in line.match_indices('(') {
            let before = &line[..at];
            let start = before.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
            if start < at {
                names.push((before[start..].to_owned(), before[..start].ends_with(['.', ':'])));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_over_lines() {
        let text =
            "fn f() {\n    x.compare_exchange(\n        \"a, (\", g(1, 2),\n        AcqRel,\n    );\n}\n";
        let call = call_at(text, 2, 7).expect("a call");
        assert_eq!(&text[call.name], "compare_exchange");
        let arguments: Vec<&str> = call.arguments.iter().map(|range| &text[range.clone()]).collect();
        assert_eq!(arguments, ["\"a, (\"", "g(1, 2)", "AcqRel"]);
        assert!(text[call.end..].starts_with(");"));
        assert!(call_at(text, 1, 1).is_none());
    }

    #[test]
    fn what_is_called_is_told_from_what_is_not() {
        let lines = ["a.store(f(x), g::h(1)); // i()", "if (y) {"];
        let names: Vec<String> = called(&lines).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["store", "f", "h"]);
    }
}
