//! rust#145816: a `OnceLock` that waits by `thread::park` takes the token that the program meant for a
//! park of its own.

use crate::{fails, holds};
use racefuzz_tests::defects::waking::{eaten_token, eaten_token_repaired};

#[test]
fn a_token_that_another_wait_took() {
    for text in fails("lost wake-up", eaten_token) {
        let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("took the token that main had left"), "{text}");
    }
}

#[test]
fn a_token_that_is_given_back() {
    holds(eaten_token_repaired);
}
