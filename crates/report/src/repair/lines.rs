//! Reading source lines: statements and blocks, as far as that goes without a parser.

/// The white space in front of a line.
pub(super) fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// A line without its comment.
pub(super) fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line).trim_end()
}

pub(super) fn ends_statement(line: &str) -> bool {
    matches!(code(line).chars().last(), Some(';' | '}'))
}

/// The first line of the statement that a line belongs to; lines are counted from 1.
pub(super) fn statement_start(lines: &[&str], mut at: usize) -> usize {
    while at > 1 {
        let above = code(lines[at - 2]);
        let comment = lines[at - 2].trim_start().starts_with("//");
        if above.is_empty() || comment || matches!(above.chars().last(), Some(';' | '{' | '}')) {
            break;
        }
        at -= 1;
    }
    at
}

/// The last line of the statement that a line belongs to, and of the block that it opens, if it does
/// no more than that.
pub(super) fn statement_end(lines: &[&str], mut at: usize) -> usize {
    while at < lines.len() && !matches!(code(lines[at - 1]).chars().last(), Some(';' | '}')) {
        if lines[at].trim_start().starts_with('}') {
            break;
        }
        at += 1;
    }
    at
}

/// Whether a line opens a block: what follows it is inside.
pub(super) fn opens_block(line: &str) -> bool {
    code(line).ends_with('{')
}

/// Whether two lines stand in one block, with no way out of it in between: a variable made in front
/// of the first is there until behind the last, on every path.
pub(super) fn one_block(lines: &[&str], first: usize, last: usize) -> bool {
    let mut depth = 0i32;
    for (number, line) in (first..).zip(&lines[first - 1..last]) {
        for c in code(line).chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth < 0 {
                return false;
            }
        }
        let leaves = |word: &str| has_word(code(line), word);
        if number < last && (leaves("return") || leaves("break") || leaves("continue")) {
            return false;
        }
    }
    depth == 0
}

/// Whether a place lies in a closure that another thread runs, or that is kept for later, on the same
/// line: what stands in front of the statement is then not in front of the place.
pub(super) fn in_other_closure(lines: &[&str], start: usize, line: usize, column: usize) -> bool {
    let mut before: String = lines[start - 1..line - 1].iter().map(|line| code(line)).collect();
    before.extend(lines[line - 1].chars().take(column.saturating_sub(1)));
    let Some(bar) = before.find('|') else { return false };
    let head = before[..bar].trim_end().trim_end_matches("move").trim_end();
    head.ends_with('=') || has_word(head, "spawn")
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a text has a word.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !is_name(c)).any(|other| other == word)
}

/// Whether a name is imported by some `use` of a file.
pub(super) fn imports(text: &str, name: &str) -> bool {
    let statements = text.split("\nuse ").skip(usize::from(!text.starts_with("use ")));
    // `Ordering::{Acquire}` imports no `Ordering`.
    let itself = |statement: &str| {
        statement.match_indices(name).any(|(at, _)| {
            let (before, behind) = (&statement[..at], &statement[at + name.len()..]);
            !before.ends_with(is_name) && !behind.starts_with(is_name) && !behind.starts_with("::")
        })
    };
    statements.filter_map(|rest| rest.split(';').next()).any(itself)
}

/// The variable that a line binds with `let`.
pub(super) fn binding(line: &str) -> Option<&str> {
    let pattern = line.trim_start().strip_prefix("let ")?.trim_start();
    let pattern = pattern.strip_prefix("mut ").unwrap_or(pattern);
    let end = pattern.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    Some(&pattern[..end]).filter(|name| !name.is_empty() && *name != "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str =
        "fn f() {\n    if a.load(Relaxed) {\n        return;\n    }\n    b();\n}\n\nfn g() {\n    c();\n}\n";

    #[test]
    fn a_block_ends_with_its_brace_and_with_what_leaves_it() {
        let lines: Vec<&str> = SOURCE.lines().collect();
        assert!(one_block(&lines, 5, 5));
        assert!(!one_block(&lines, 5, 9), "the end of a function");
        assert!(!one_block(&lines, 2, 5), "an early return");
        assert!(!one_block(&lines, 2, 2), "half a block");
    }

    #[test]
    fn a_closure_of_another_thread_is_told_from_one_that_is_called() {
        let lines =
            ["let t = thread::spawn(move || n.set(1));", "lock.with(|n| n.set(1));", "let f = || n.set(1);"];
        assert!(in_other_closure(&lines, 1, 1, 31));
        assert!(!in_other_closure(&lines, 2, 2, 15));
        assert!(in_other_closure(&lines, 3, 3, 12));
    }

    #[test]
    fn imports_are_found_in_lists() {
        let text = "use a::b;\nuse std::sync::atomic::{\n    AtomicBool,\n    Ordering::{Acquire, Relaxed},\n};\nfn f() { Release }\n";
        assert!(imports(text, "Acquire"));
        assert!(!imports(text, "Release"));
        assert!(!imports(text, "Ordering"), "only what is in it");
    }

    #[test]
    fn a_binding_is_a_name() {
        assert_eq!(binding("    let mut guard = m.lock();"), Some("guard"));
        assert_eq!(binding("    let _ = m.lock();"), None);
        assert_eq!(binding("    m.lock();"), None);
    }
}
