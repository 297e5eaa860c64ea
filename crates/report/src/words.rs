//! Small matters of wording: numbers, lists, text of unknown origin.

use std::fmt;

/// Text of the user without control characters, so that nothing it holds can reach the terminal.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else if !is_private(c) {
            out.push(c);
        }
    }
    out
}

/// Text of several lines in one.
#[cfg(feature = "fix")]
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text` cut to `length` characters, with an ellipsis where something is missing.
pub(crate) fn short(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(length.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// A number with separators between thousands.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 step`, `2 steps`.
pub(crate) fn count(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [init @ .., last] => {
            let init: Vec<_> = init.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", init.join(", "), last.as_ref())
        }
    }
}

/// A reference to an event inside a text that is written before the rows are numbered.
///
/// Which rows are shown depends on the story, and the story is told in row numbers; so it is
/// written with references, and [`resolve`] puts the numbers in. The marks are characters of a
/// private-use area, which [`clean`] keeps out of any other text.
#[derive(Clone, Copy)]
pub(crate) struct StepRef(pub(crate) u32);

const OPEN: char = '\u{f8f0}';
const CLOSE: char = '\u{f8f1}';

fn is_private(c: char) -> bool {
    c == OPEN || c == CLOSE
}

impl fmt::Display for StepRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OPEN}{}{CLOSE}", self.0)
    }
}

/// The events a text refers to.
pub(crate) fn references(text: &str) -> Vec<u32> {
    text.split(OPEN).skip(1).filter_map(|part| part.split(CLOSE).next()?.parse().ok()).collect()
}

/// The text with row numbers in place of references.
pub(crate) fn resolve(text: &str, number: impl Fn(u32) -> Option<u32>) -> String {
    let mut parts = text.split(OPEN);
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (step, rest) = part.split_once(CLOSE).unwrap_or((part, ""));
        match step.parse().ok().and_then(&number) {
            Some(row) => out.push_str(&row.to_string()),
            None => out.push('?'),
        }
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(10_000), "10,000");
        assert_eq!(number(1_234_567), "1,234,567");
    }

    #[test]
    fn no_control_character_passes() {
        assert_eq!(clean("a\u{1b}[31m\n\u{f8f0}"), "a\\u{1b}[31m\\n");
    }

    #[test]
    fn references_become_numbers() {
        let text = format!("step {} and {}", StepRef(7), StepRef(12));
        assert_eq!(references(&text), [7, 12]);
        assert_eq!(resolve(&text, |step| (step == 7).then_some(1)), "step 1 and ?");
    }
}
