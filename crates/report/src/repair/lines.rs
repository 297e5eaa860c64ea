//! Reading source lines: statements and blocks, as far as that goes without a parser.

/// The white space in front of a line.
pub(super) fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// A line without its comment.
pub(super) fn code(line: &str) -> &str {
    let comment = bare(line).find("//").unwrap_or(line.len());
    line[..comment].trim_end()
}

/// A line of the same length with a space for whatever stands in quotes: what looks like a brace, a comment or
/// a word there is none.
pub(super) fn bare(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let (mut quoted, mut escaped) = (false, false);
    let mut rest = line.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let blank = |out: &mut String, text: &str| out.extend(std::iter::repeat_n(' ', text.len()));
        if quoted {
            (quoted, escaped) = (escaped || c != '"', !escaped && c == '\\');
            blank(&mut out, &line[at..at + c.len_utf8()]);
        } else if let Some(end) = (c == '\'').then(|| character(&line[at..])).flatten() {
            while rest.next_if(|(next, _)| *next < at + end).is_some() {}
            blank(&mut out, &line[at..at + end]);
        } else if c == '"' {
            quoted = true;
            out.push(' ');
        } else {
            out.push(c);
        }
    }
    out
}

/// The length of the character literal that a text begins with, which may also be a lifetime.
fn character(text: &str) -> Option<usize> {
    let inside = &text[1..];
    let first = inside.chars().next()?;
    let end = if first == '\\' { 1 + inside[1..].chars().next()?.len_utf8() } else { first.len_utf8() };
    let close = end + inside[end..].find('\'')?;
    (first == '\\' || close == end).then_some(close + 2)
}

/// How far a line opens blocks, brace by brace.
pub(super) fn braces(line: &str) -> impl Iterator<Item = i32> {
    let signs: Vec<i32> =
        bare(code(line)).chars().map(|c| i32::from(c == '{') - i32::from(c == '}')).collect();
    signs.into_iter().filter(|sign| *sign != 0)
}

/// Whether the statement that ends on a line is the last of its block, and may be the block's value.
pub(super) fn is_value(lines: &[&str], at: usize) -> bool {
    let next = lines[at..].iter().map(|line| code(line).trim()).find(|line| !line.is_empty());
    !code(lines[at - 1]).ends_with(';') && next.is_none_or(|next| next.starts_with('}'))
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
        for brace in braces(line) {
            depth += brace;
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
    fn the_last_expression_of_a_block_is_its_value() {
        let lines = [
            "fn f() -> u32 {",
            "    g();",
            "    if h() {",
            "        1",
            "    } else {",
            "        2",
            "    }",
            "",
            "}",
        ];
        assert_eq!([2, 4, 7].map(|at| is_value(&lines, at)), [false, true, true]);
        assert!(!is_value(&["if x {", "    y();", "}", "z();"], 3));
    }

    #[test]
    fn imports_are_found_in_lists() {
        let text = "use a::b;\nuse std::sync::atomic::{\n    AtomicBool,\n    Ordering::{Acquire, Relaxed},\n};\nfn f() { Release }\n";
        assert!(imports(text, "Acquire"));
        assert!(!imports(text, "Release"));
        assert!(!imports(text, "Ordering"), "only what is in it");
    }

    #[test]
    fn what_stands_in_quotes_is_no_code() {
        assert_eq!(code("let url = \"http://a\"; // it"), "let url = \"http://a\";");
        assert_eq!(code(r#"f("\"//", '"', '\'', b'/'); //"#), r#"f("\"//", '"', '\'', b'/');"#);
        assert_eq!(code("fn f<'a>(x: &'a str) {} // 'a"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(braces("if x { panic!(\"{{ {x}\", '}') // {").sum::<i32>(), 1);
        let lines = ["fn f() {", "    let n = a();", "    g(\"}} {\");", "    b(n);", "}"];
        assert!(one_block(&lines, 2, 4));
    }

    #[test]
    fn a_binding_is_a_name() {
        assert_eq!(binding("    let mut guard = m.lock();"), Some("guard"));
        assert_eq!(binding("    let _ = m.lock();"), None);
        assert_eq!(binding("    m.lock();"), None);
    }
}
