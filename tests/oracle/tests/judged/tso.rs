//! `tso`: the enumerator that knows the axioms and the one that runs store buffers find the same
//! graphs, and `tests/litmus/tso.counts` states how many.

use racefuzz_oracle::{Model, enumerate, graphs, litmus, on_one_memory, parse, with_store_buffers};
use std::collections::BTreeMap;

const MOST: usize = 2_000_000;

fn counts() -> BTreeMap<&'static str, u64> {
    let lines = include_str!("../../../litmus/tso.counts").lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once(' ').expect("NAME count"));
    pairs.map(|(name, count)| (name, count.parse().expect("a number"))).collect()
}

#[test]
fn the_stated_counts_are_those_of_axioms_and_of_store_buffers() {
    let stated = counts();
    let tests = litmus();
    assert_eq!(stated.len(), tests.len());
    for test in tests {
        let found = enumerate(&test, Model::Tso);
        assert_eq!(found.complete, stated[test.name.as_str()], "{test}");
        let (machine_graphs, machine_counts) = with_store_buffers(&test, MOST).expect("small enough");
        assert_eq!(machine_counts, found, "{test}");
        assert_eq!(machine_graphs, graphs(&test, Model::Tso), "{test}");
    }
}

#[test]
fn under_sc_axioms_and_interleavings_agree() {
    for test in litmus() {
        let (machine_graphs, machine_counts) = on_one_memory(&test, MOST).expect("small enough");
        assert_eq!(machine_counts, enumerate(&test, Model::Sc), "{test}");
        assert_eq!(machine_graphs, graphs(&test, Model::Sc), "{test}");
    }
}

/// Whether both sides of a store buffering test can miss each other's store.
fn both_miss(between: &str) -> bool {
    let side = |x, y| format!("T: x{x} = 1 rlx; {between}; a := x{y} rlx\n");
    let program = parse(&format!("SB\n{}{}", side(0, 1), side(1, 0))).unwrap().remove(0);
    let (machine_graphs, counts) = with_store_buffers(&program, MOST).unwrap();
    assert_eq!(machine_graphs, graphs(&program, Model::Tso), "{program}");
    let names = program.state_names();
    let missed =
        |state: &Vec<i64>| names.iter().zip(state).all(|(name, value)| !name.ends_with(":a") || *value == 0);
    counts.finals.iter().any(missed)
}

#[test]
fn what_drains_the_store_buffer() {
    for drains in ["fence sc", "r := fadd z 1 rlx", "r := cas z 7 8 rlx rlx", "z = 1 sc", "lock m; unlock m"]
    {
        assert!(!both_miss(drains), "{drains}");
    }
    assert!(!both_miss("r := trylock m"));
    for keeps in ["fence ar", "r := z sc", "z = 1 rel", "await z == 0 acq"] {
        assert!(both_miss(keeps), "{keeps}");
    }
}
