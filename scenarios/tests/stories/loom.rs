//! Every scenario on both engines: they agree, or one of the tables below has to say why not. An
//! entry that is not needed any more fails the test too.

use racefuzz::Outcome;
use racefuzz::scenario::Scenario;
use racefuzz_loom_engine::{Exception, Options, Verdict, agree_despite, check_watched};
use racefuzz_scenarios::registry;

/// Where loom's verdict is wrong, and the limitation that makes it so.
const WRONG: &[(&str, Exception)] = &[
    ("peterson-fixed", Exception::SeqCst),
    ("iriw-fixed", Exception::SeqCst),
    ("hazard-pointer-fixed", Exception::SeqCst),
    ("read-copy-update-fixed", Exception::SeqCst),
];

/// What loom cannot run.
const REFUSED: &[(&str, Exception)] = &[
    ("async-counter", Exception::Tasks),
    ("async-counter-await", Exception::Tasks),
    ("poisoned-state", Exception::Poison),
    ("poisoned-state-fixed", Exception::Poison),
    ("spin-lock-fixed", Exception::Branches),
    ("mcs-lock", Exception::Branches),
];

/// What loom needs more iterations for than this test has time.
const TOO_LONG: &[&str] = &[
    "message-passing",
    "condvar-if-instead-of-while",
    "condvar-if-instead-of-while-fixed",
    "bounded-buffer-fixed",
];

/// Iterations of loom, and executions of the graph engine.
const LIMIT: u64 = 5_000;

/// Small values, as loom needs many executions: 2 where that is allowed, and not more than the
/// default.
fn small(scenario: &Scenario) -> Vec<(String, String)> {
    let value = |param: &racefuzz::scenario::Param| param.default.min(2).max(param.min);
    scenario.params.iter().map(|param| (param.name.to_owned(), value(param).to_string())).collect()
}

#[test]
fn both_engines_agree_on_every_scenario_that_loom_can_run() {
    let registry = registry();
    let known = WRONG.iter().chain(REFUSED).map(|(name, _)| name).chain(TOO_LONG);
    for name in known {
        assert!(registry.find(name).is_some(), "a table names `{name}`, which is no scenario");
    }
    let mut agreed = 0;
    for scenario in registry.iter() {
        let name = scenario.name;
        let params = scenario.params(&small(scenario)).unwrap();
        let program = scenario.program(&params);
        let options = Options { max_executions: Some(LIMIT), minimise: false, ..Options::default() };
        let graph = racefuzz_check::check(&options, &program, &());
        let loom = check_watched(&options, &program, &());
        let agreement = agree_despite(&graph, &loom);
        let entry = |table: &[(&str, Exception)]| {
            table.iter().find(|(known, _)| *known == name).map(|(_, exception)| *exception)
        };
        if let Some(exception) = entry(WRONG) {
            match &agreement.verdict {
                Verdict::Excused(excuses) => assert!(excuses.contains(&exception), "{name}: {agreement}"),
                _ => panic!("{name}: the table says that loom is wrong: {agreement}"),
            }
        } else if let Some(exception) = entry(REFUSED) {
            assert_eq!(loom.report.outcome(), Outcome::Incomplete, "{name}: {agreement}");
            assert_eq!(loom.exceptions[0], exception, "{name}: {agreement}");
        } else if TOO_LONG.contains(&name) {
            assert_eq!(agreement.verdict, Verdict::Undecided, "{name}: {agreement}");
            assert_eq!(loom.report.executions(), LIMIT, "{name}: {agreement}");
        } else {
            assert!(agreement.holds(), "{name}: {agreement}");
            agreed += 1;
        }
    }
    assert!(agreed >= 60, "{agreed} scenarios are compared");
}

#[test]
fn a_checker_runs_loom_where_it_is_provided() {
    racefuzz::provide_loom(|options, program, observer| check_watched(options, program, observer).report);
    let registry = registry();
    let refcount = registry.find("refcount").unwrap();
    let params = refcount.params(&[]).unwrap();
    let report = refcount.checker(&params).engine(racefuzz::Engine::Loom).check(refcount.program(&params));
    assert_eq!(report.outcome(), Outcome::Failed);
    assert_eq!(report.proof.unwrap().engine, racefuzz::Engine::Loom);
    // It can be shown, though loom gives no trace.
    let shown = racefuzz::render(&report);
    assert!(shown.contains("rc11, loom") && shown.contains("loom does not tell the schedule"), "{shown}");
}
