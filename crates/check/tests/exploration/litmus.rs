//! The litmus files: exactly the stated number of complete graphs, under every model.

use racefuzz_check::{Options, check};
use racefuzz_oracle::{Program, Sharing, litmus, observed};
use racefuzz_trace::MemoryModel;

fn count(program: &Program, memory: MemoryModel, sharing: Sharing) -> u64 {
    let mut options = Options::default();
    options.settings.memory = memory;
    let report = check(&options, &observed(program, sharing, |_| {}), &());
    assert!(report.failures().is_empty(), "{}: {}", program.name, report.failures()[0].message);
    report.executions()
}

fn check_all(memory: MemoryModel, sharing: Sharing, expected: impl Fn(&Program) -> u64) {
    let programs = litmus();
    assert!(programs.len() > 200);
    let wrong: Vec<String> = programs
        .iter()
        .filter_map(|program| {
            let (expected, counted) = (expected(program), count(program, memory, sharing));
            (counted != expected).then(|| format!("{}: {counted} instead of {expected}", program.name))
        })
        .collect();
    assert!(wrong.is_empty(), "under {memory}:\n{}", wrong.join("\n"));
}

#[test]
fn every_test_has_the_stated_number_of_graphs_under_sc() {
    check_all(MemoryModel::Sc, Sharing::Free, |program| program.stated("sc").expect("stated"));
}

#[test]
fn every_test_has_the_stated_number_of_graphs_under_rc11() {
    check_all(MemoryModel::Rc11, Sharing::Free, |program| program.stated("rc11").expect("stated"));
}

#[test]
fn every_test_has_the_derived_number_of_graphs_under_tso() {
    let counts = include_str!("../../../../tests/litmus/tso.counts");
    let of = |name: &str| {
        let line = counts.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.and_then(|line| line.split_whitespace().last()?.parse().ok()).expect("derived")
    };
    check_all(MemoryModel::Tso, Sharing::Free, |program| of(&program.name));
}

#[test]
fn reference_counts_do_not_multiply_graphs() {
    check_all(MemoryModel::Rc11, Sharing::Counted, |program| program.stated("rc11").expect("stated"));
}
