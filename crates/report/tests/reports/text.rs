//! Every kind of text report, as people see it.

use crate::fixture::stories;
use racefuzz_report::{Style, text};
use racefuzz_trace::{Outcome, RunReport, Settings, Stats, Strategy};

fn snapshot(name: &str, content: &str) {
    insta::with_settings!({
        snapshot_path => "../../../../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(format!("report__{name}"), content);
    });
}

#[test]
fn every_kind_of_failure() {
    for (name, (fixture, failure)) in stories::all() {
        snapshot(name, &fixture.text(failure, &Style::default()));
    }
}

#[test]
fn narrow_ascii_and_coloured() {
    for width in [80, 60, 40] {
        for (name, (fixture, failure)) in stories::all() {
            if matches!(name, "lost_update" | "lost_update_atomic" | "deadlock_cycle" | "unsafe_publication")
            {
                let style = Style { width, ..Style::default() };
                snapshot(&format!("{name}_{width}"), &fixture.text(failure, &style));
            }
        }
    }
    let (fixture, failure) = stories::refcount();
    let ascii = Style { ascii: true, ..Style::default() };
    snapshot("lost_update_ascii", &fixture.text(failure.clone(), &ascii));
    let color = Style { color: true, ..Style::default() };
    snapshot("lost_update_color", &fixture.text(failure, &color).replace('\u{1b}', "␛"));
}

#[test]
fn the_article_needs_no_more_than_eight_rows() {
    let (fixture, failure) = stories::refcount();
    let story = racefuzz_report::explain(&failure, &fixture);
    assert!(story.rows.len() <= 8, "{:#?}", story.rows);
    assert_eq!(story.threads().len(), 2);
}

fn run(outcome: Outcome, stats: Stats, stopped: Option<&str>) -> RunReport {
    RunReport {
        version: racefuzz_trace::FORMAT_VERSION,
        program: "refcount-locked".into(),
        outcome,
        seed: 42,
        strategy: Strategy::Portfolio,
        settings: Settings::default(),
        iterations: 10_000,
        stats,
        failures: Vec::new(),
        stopped: stopped.map(str::to_owned),
        warnings: Vec::new(),
        proof: None,
        expectations: Vec::new(),
    }
}

#[test]
fn runs_without_a_bug() {
    let stats = Stats {
        executions: 10_000,
        classes: 12,
        singletons: 3,
        outcomes: 2,
        steps: 120_000,
        ..Stats::default()
    };
    let style = Style::default();
    let passed = run(Outcome::Passed, stats.clone(), None);
    let stopped = run(Outcome::Incomplete, Stats { executions: 812, ..stats }, Some("interrupted"));
    let stuck = Stats { blocked: 10_000, ..Stats::default() };
    let blocked = run(Outcome::Incomplete, stuck.clone(), None);
    let placed = run(Outcome::Incomplete, stuck, Some("every execution blocks at src/lib.rs:12 (assume)"));
    let all: Vec<_> =
        [passed, stopped, blocked, placed].iter().map(|run| text(run, &(), &style, &[])).collect();
    snapshot("without_a_bug", &all.join("\n"));
}

#[test]
fn a_run_that_stops_at_the_first_failure_and_one_that_goes_on() {
    let (fixture, failure) = stories::refcount();
    let mut first = fixture.report(failure.clone());
    first.stats = Stats { executions: 3, failing: 1, classes: 3, singletons: 3, ..Stats::default() };
    let head = text(&first, &fixture, &Style::default(), &[]);
    let mut all = fixture.report(failure.clone());
    all.failures = vec![failure.clone(), failure.clone(), failure];
    let (_, mut other) = stories::all().into_iter().find(|(name, _)| *name == "deadlock_cycle").unwrap().1;
    other.iteration = 1_234;
    all.failures.push(other);
    snapshot("stops_or_goes_on", &format!("{head}\n{}", text(&all, &fixture, &Style::default(), &[])));
}
