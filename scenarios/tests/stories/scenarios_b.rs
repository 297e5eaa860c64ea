//! The racy scenarios of `atomics` are found, their repaired twins are not reported, and the report
//! gives each failure the name that the scenario declares.

use racefuzz::scenario::{Expected, Scenario};
use racefuzz::{Fuzzer, Outcome, Strategy};
use racefuzz_scenarios::atomics::SCENARIOS;

fn fuzzer(scenario: &Scenario) -> (Fuzzer, racefuzz::scenario::Params) {
    let params = scenario.params(&[]).unwrap();
    // Enough for all of them, and a livelock need not be watched for longer.
    (scenario.fuzzer(&params).max_steps(5_000), params)
}

#[test]
fn the_default_strategy_finds_every_racy_scenario_with_every_seed() {
    for scenario in SCENARIOS {
        let Expected::Fails { kind, anomaly } = scenario.expected else { continue };
        let (fuzzer, params) = fuzzer(scenario);
        let mut executions = 0;
        for seed in 1..=20 {
            let report = fuzzer.clone().seed(seed).iterations(10_000).fuzz(scenario.program(&params));
            assert_eq!(report.outcome(), Outcome::Failed, "{} with seed {seed}", scenario.name);
            let text = racefuzz::render(&report);
            assert_eq!(report.failures()[0].kind(), kind, "{} with seed {seed}\n{text}", scenario.name);
            assert!(
                text.lines().take(3).any(|line| line.contains(anomaly)),
                "{} with seed {seed}: {anomaly}?\n{text}",
                scenario.name
            );
            executions += report.executions();
        }
        println!("{}: first failure in execution {:.1} on average", scenario.name, executions as f64 / 20.0);
    }
}

#[test]
fn no_repaired_twin_is_reported() {
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.expected == Expected::Holds) {
        let (fuzzer, params) = fuzzer(scenario);
        for (strategy, iterations) in
            [(Strategy::Portfolio, 100_000), (Strategy::Random, 20_000), (Strategy::Pos, 20_000)]
        {
            let report = fuzzer
                .clone()
                .seed(1)
                .strategy(strategy)
                .iterations(iterations)
                .fuzz(scenario.program(&params));
            assert_eq!(report.outcome(), Outcome::Passed, "{}\n{}", scenario.name, racefuzz::render(&report));
        }
    }
}

#[test]
fn twins_name_each_other() {
    for scenario in SCENARIOS {
        let twin = SCENARIOS.iter().find(|other| Some(other.name) == scenario.twin).unwrap();
        assert_eq!(twin.twin, Some(scenario.name));
        assert_ne!(
            twin.expected == Expected::Holds,
            scenario.expected == Expected::Holds,
            "{}",
            scenario.name
        );
    }
}

#[test]
fn threads_that_spin_do_not_keep_back_the_one_they_wait_for() {
    for (name, param) in
        [("ticket-lock-fixed", "threads"), ("spin-lock-fixed", "threads"), ("spsc-ring-fixed", "items")]
    {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        let params = scenario.params(&[(param.to_owned(), "4".to_owned())]).unwrap();
        for strategy in [Strategy::Portfolio, Strategy::Surw, Strategy::Pos] {
            let report = scenario
                .fuzzer(&params)
                .seed(3)
                .strategy(strategy)
                .iterations(1_000)
                .fuzz(scenario.program(&params));
            assert_eq!(report.outcome(), Outcome::Passed, "{name}\n{}", racefuzz::render(&report));
        }
    }
}
