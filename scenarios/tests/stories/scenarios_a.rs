//! The article's scenarios and the classics with locks keep what they promise.

use racefuzz::Outcome;
use racefuzz::scenario::{Expected, Registry, Scenario};
use racefuzz_scenarios::{article, locks, registry};
use std::collections::HashSet;

fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    article::SCENARIOS.iter().chain(locks::SCENARIOS)
}

/// What this one shows first depends on the seed: it has more than one bug, on purpose.
const SEVERAL_BUGS: &str = "counter";

#[test]
fn every_race_is_found_and_named() {
    let registry = registry();
    let sources = registry.sources();
    for scenario in scenarios() {
        let Expected::Fails { kind, anomaly } = scenario.expected else { continue };
        let params = scenario.params(&[]).unwrap();
        for seed in 1..=20 {
            let name = scenario.name;
            let mut fuzzer = scenario.fuzzer(&params).seed(seed).iterations(10_000);
            if name == SEVERAL_BUGS {
                fuzzer = fuzzer.iterations(50).keep_going(true);
            }
            let report = fuzzer.fuzz(scenario.program(&params));
            assert_eq!(report.outcome(), Outcome::Failed, "{name}, seed {seed}: nothing found");
            let explained: Vec<_> =
                report.failures().iter().map(|failure| racefuzz_report::explain(failure, &sources)).collect();
            let kinds: HashSet<_> = report.failures().iter().map(|failure| failure.kind()).collect();
            let headlines: Vec<_> = explained.iter().map(|explained| &explained.headline).collect();
            assert_eq!(kinds, HashSet::from([kind]), "{name}, seed {seed}: {headlines:?}");
            assert!(
                explained.iter().any(|explained| explained.anomaly.name() == anomaly),
                "{name}, seed {seed}: {anomaly} expected, found {headlines:?}"
            );
        }
    }
}

/// Each of the article's complaints about the counter is found, under its own name.
#[test]
fn the_counter_shows_all_its_bugs() {
    let registry = registry();
    let counter = registry.find(SEVERAL_BUGS).unwrap();
    let params = counter.params(&[]).unwrap();
    let report =
        counter.fuzzer(&params).seed(42).iterations(2_000).keep_going(true).fuzz(counter.program(&params));
    let headlines: Vec<_> = report
        .failures()
        .iter()
        .map(|failure| racefuzz_report::explain(failure, &registry.sources()).headline)
        .collect();
    for part in [
        "lost update on `counter`",
        "\"Finished\" must be the last line",
        "is due, but",
        "is printed before the separator of",
    ] {
        assert!(headlines.iter().any(|headline| headline.contains(part)), "{part}: {headlines:#?}");
    }
}

#[test]
fn what_holds_is_never_reported() {
    for scenario in scenarios().filter(|scenario| scenario.expected == Expected::Holds) {
        let params = scenario.params(&[]).unwrap();
        let report = scenario.fuzzer(&params).seed(42).iterations(100_000).fuzz(scenario.program(&params));
        assert_eq!(report.outcome(), Outcome::Passed, "{}\n{}", scenario.name, racefuzz::render(&report));
        assert_eq!(report.executions(), 100_000, "{}: every execution completes", scenario.name);
    }
}

#[test]
fn every_parameter_can_be_small_and_large() {
    for scenario in scenarios() {
        for param in scenario.params {
            for value in [param.min, param.max] {
                let params = scenario.params(&[(param.name.into(), value.to_string())]).unwrap();
                let report = scenario.fuzzer(&params).seed(7).iterations(200).fuzz(scenario.program(&params));
                let what = format!("{} with {}={value}", scenario.name, param.name);
                match scenario.expected {
                    Expected::Holds => assert_eq!(report.outcome(), Outcome::Passed, "{what}"),
                    Expected::Fails { kind, .. } => {
                        let kinds: HashSet<_> = report.failures().iter().map(|f| f.kind()).collect();
                        assert!(kinds.iter().all(|found| *found == kind), "{what}: {kinds:?}");
                    }
                }
            }
        }
    }
}

/// A lost increment between two threads is told in two columns and at most eight rows.
#[test]
fn the_lost_increment_fits_on_a_card() {
    let registry = registry();
    let refcount = registry.find("refcount").unwrap();
    let params = refcount.params(&[]).unwrap();
    for seed in 1..=20 {
        let report = refcount.fuzzer(&params).seed(seed).fuzz(refcount.program(&params));
        let explained = racefuzz_report::explain(&report.failures()[0], &registry.sources());
        assert_eq!(explained.threads().len(), 2, "seed {seed}");
        assert!(explained.rows.len() <= 8, "seed {seed}: {} rows", explained.rows.len());
        assert_eq!(explained.headline, "lost update on `references`: expected 7, found 6");
    }
}

#[test]
fn every_scenario_tells_what_it_is() {
    let registry: Registry = registry();
    for scenario in scenarios() {
        let name = scenario.name;
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        assert!(!scenario.summary.contains('\n') && scenario.summary.len() <= 90, "{name}: one line");
        let sentences = format!("{} ", scenario.teaches).replace(".)", ".").matches(". ").count();
        assert!((2..=4).contains(&sentences), "{name}: {sentences} sentences");
        assert!(scenario.source.text.starts_with("//! "), "{name}: the source tells the story first");
        let file = scenario.source.file.rsplit('/').next().unwrap();
        assert!(scenario.source.text.contains(&format!("include_str!(\"{file}\")")), "{name}: its own text");
        if let Some(twin) = scenario.twin {
            assert!(registry.find(twin).is_some_and(|twin| twin.name != name), "{name}: twin {twin}");
        }
    }
}
