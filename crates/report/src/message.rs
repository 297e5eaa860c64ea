//! What an assertion's message says: what was expected, and what was found.

use crate::words::{clean, short};
use racefuzz_trace::Value;

/// The parts of a panic message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// `assert_eq!`, `assert_ne!`: the operator, the message of the user's own, both sides.
    Compared { operator: &'a str, own: &'a str, left: &'a str, right: &'a str },
    /// `assert!` without a message: the condition.
    Condition(&'a str),
    /// A message in the user's own words.
    Own(&'a str),
}

/// Splits a panic message as the standard library writes it, in one line or in several.
pub(crate) fn parse(text: &str) -> Message<'_> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("assertion `left ")
        && let Some((operator, rest)) = rest.split_once(" right` failed")
        && let Some((own, sides)) = rest.rsplit_once("left: ")
        && let Some((left, right)) = sides.split_once("right: ")
    {
        let own = own.trim_start_matches(':').trim();
        return Message::Compared { operator, own, left: left.trim(), right: right.trim() };
    }
    match text.strip_prefix("assertion failed: ") {
        Some(condition) => Message::Condition(condition.trim()),
        None => Message::Own(text),
    }
}

/// What the message says went wrong, in one clause. `seen` are the values the failing check saw:
/// they tell which side of an `assert_eq!` is what was found.
pub(crate) fn outcome(text: &str, seen: &[&Value]) -> String {
    let clause = match parse(text) {
        Message::Compared { operator: "==", own, left, right } => {
            let is_seen = |side: &str| seen.iter().any(|value| value.to_string() == side);
            let expected = match (is_seen(left), is_seen(right)) {
                // Two things the program computed are compared; none is what must be.
                (true, true) => format!("{} is not {}", side(left), side(right)),
                (false, true) => format!("expected {}, found {}", side(left), side(right)),
                // `assert_eq!(actual, expected)` is the commoner order.
                _ => format!("expected {}, found {}", side(right), side(left)),
            };
            if own.is_empty() || says(own, left) && says(own, right) {
                if own.is_empty() { expected } else { own.to_owned() }
            } else {
                format!("{own} ({expected})")
            }
        }
        Message::Compared { own: "", left, .. } => format!("both sides are {}", side(left)),
        Message::Compared { own, .. } => own.to_owned(),
        Message::Condition(condition) => format!("`{condition}` does not hold"),
        Message::Own(own) => own.to_owned(),
    };
    let clause = clean(&clause.split_whitespace().collect::<Vec<_>>().join(" "));
    match clause.trim_end_matches('.') {
        "" => "no message".to_owned(),
        clause => short(clause, 160),
    }
}

/// Whether a failed assertion, rather than any other panic, speaks.
pub(crate) fn is_assertion(text: &str) -> bool {
    !matches!(parse(text), Message::Own(_))
}

fn says(own: &str, value: &str) -> bool {
    own.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == value)
}

fn side(value: &str) -> String {
    short(value, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_of_assert_eq_are_understood() {
        let text = "assertion `left == right` failed\n  left: 6\n right: 7";
        assert_eq!(outcome(text, &[&Value::Int(6)]), "expected 7, found 6");
        assert_eq!(outcome(text, &[&Value::Int(7)]), "expected 6, found 7");
        assert_eq!(outcome(text, &[]), "expected 7, found 6");
        assert_eq!(outcome(text, &[&Value::Int(6), &Value::Int(7)]), "6 is not 7");
        let own = "assertion `left == right` failed: all money left: 6 right: 7";
        assert_eq!(outcome(own, &[]), "all money (expected 7, found 6)");
        let full = "assertion `left == right` failed: expected 7 references, found 6\n left: 6\n right: 7";
        assert_eq!(outcome(full, &[]), "expected 7 references, found 6");
    }

    #[test]
    fn other_messages() {
        assert_eq!(outcome("assertion failed: a < b", &[]), "`a < b` does not hold");
        assert_eq!(
            outcome("assertion `left != right` failed\n  left: 1\n right: 1", &[]),
            "both sides are 1"
        );
        assert_eq!(outcome("boom.", &[]), "boom");
        assert!(!is_assertion("boom") && is_assertion("assertion failed: x"));
    }
}
