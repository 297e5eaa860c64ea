//! rust#110001, crossbeam#972: the first block of an unbounded channel is installed in two steps, tail
//! and head; the receiver's drop takes `head != tail` to mean that the head has its block.

use crate::{fails, holds};
use racefuzz_tests::defects::channel::{list_channel, list_channel_repaired};

#[test]
fn a_head_without_a_block() {
    let reports = fails("order violation", list_channel);
    reports.iter().for_each(|text| assert!(text.contains("the head has no block"), "{text}"));
}

#[test]
fn a_head_that_is_waited_for() {
    holds(list_channel_repaired);
}
