//! The litmus files: the enumerator finds the counts that they state.

use racefuzz_oracle::{Model, enumerate, graphs, in_any_order, litmus, parse};

#[test]
fn the_stated_counts_are_those_of_the_models() {
    let mut wrong = Vec::new();
    for test in litmus() {
        for (model, blocked) in [(Model::Sc, "bsc"), (Model::Rc11, "brc11")] {
            let counts = enumerate(&test, model);
            let found = (counts.complete, counts.blocked + counts.deadlocks);
            let stated = (test.stated(model.name()).unwrap(), test.stated(blocked).unwrap_or(0));
            if found != stated {
                wrong.push(format!("{} {}: {found:?}, stated {stated:?}", test.name, model.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_order_of_events_suffices() {
    for test in litmus().iter().filter(|test| test.stated("rc11").unwrap() < 40) {
        for model in Model::ALL {
            if let Some(all) = in_any_order(test, model, 20_000) {
                assert_eq!(graphs(test, model), all, "{test}");
            }
        }
    }
}

#[test]
fn a_program_survives_being_written_and_read() {
    for test in litmus() {
        assert_eq!(parse(&test.to_string()).unwrap(), std::slice::from_ref(&test), "{test}");
    }
}

/// `psc` takes program order between accesses of *different* locations only, which no litmus file tells
/// from the stronger reading.
#[test]
fn psc_does_not_start_with_program_order_on_one_location() {
    let allows = |second_store: &str, flag: &str| {
        let text = format!(
            "psc\nT: x = 1 sc; {second_store} rel\nT: a := {flag} acq; assume a == 2; b := y sc; assume b == 0\n\
             T: y = 1 sc; c := x sc; assume c == 0"
        );
        enumerate(&parse(&text).unwrap()[0], Model::Rc11).complete > 0
    };
    assert!(allows("x = 2", "x"));
    assert!(!allows("z = 2", "z"));
}
