//! Reports that name the cause: lost wake-ups of every make, loads that miss a store, memory that somebody
//! still uses. What a new user would read, by fuzzing and by checking.

use racefuzz::{Checker, Fuzzer, Style, render_with};

#[path = "explained/programs.rs"]
mod programs;

const FILE: &str = "tests/tests/explained/programs.rs";
const TEXT: &str = include_str!("explained/programs.rs");

/// A program, with what its reports have to say in the headline, and of the cause.
type Explained = (&'static str, fn(), &'static str, &'static [&'static str]);

const PROGRAMS: &[Explained] = &[
    ("lost_notify", programs::lost_notify, "lost wake-up on `shared.1`", &["when nobody was waiting"]),
    (
        "lost_park",
        programs::lost_park,
        "lost wake-up of thread 1",
        &["it read false from `flag`", "although main had stored true before"],
    ),
    (
        "stale_exchange",
        programs::stale_exchange,
        "order violation on `y`",
        &["the compare_exchange failed, so that it is a load with its failure ordering, Acquire"],
    ),
    (
        "used_by_main",
        programs::used_by_main,
        "use after free of `*node`",
        &["because the store is", "orders them"],
    ),
    (
        "used_by_other",
        programs::used_by_other,
        "use after free of `*node`",
        &["because the store is", "orders them"],
    ),
    ("cut_sequence", programs::cut_sequence, "lost wake-up of main", &["it read 0 from `shared.1`"]),
    (
        "eaten_token",
        programs::eaten_token,
        "lost wake-up of thread 1",
        &["took the token that main had left"],
    ),
];

#[test]
fn reports_name_the_cause() {
    let style = Style { width: 100, ..Style::default() };
    for (name, program, headline, cause) in PROGRAMS {
        let checked = Checker::new().check(program);
        let fuzzed = Fuzzer::new().seed(42).iterations(10_000).fuzz(program);
        for (engine, report) in [("check", checked), ("fuzz", fuzzed)] {
            let text = render_with(&report, &[(FILE, TEXT)], &style, &[]);
            let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.starts_with(&format!("bug {headline}")), "{name} by {engine}: {text}");
            for cause in *cause {
                assert!(said.contains(cause), "{name} by {engine}: {cause} is not said in {text}");
            }
            assert!(!text.contains("stale: step 0") && !said.contains('?'), "{name} by {engine}: {text}");
            insta::with_settings!({ snapshot_path => "../../snapshots", prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(format!("explained__{name}_{engine}"), text);
            });
        }
    }
}
