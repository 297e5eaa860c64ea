//! Reports that name the cause: lost wake-ups of every make, loads that miss a store, memory that somebody
//! still uses. What a new user would read, by fuzzing and by checking.

use racefuzz::{Checker, Fuzzer, Style, render_with};
use racefuzz_tests::defects::{SOURCES, ending, freeing, guards, ordering, told, waking};

/// A program, with what its reports have to say in the headline, and of the cause.
type Explained = (&'static str, fn(), &'static str, &'static [&'static str]);

const PROGRAMS: &[Explained] = &[
    ("lost_notify", waking::notify_unlocked, "lost wake-up on `shared.1`", &["when nobody was waiting"]),
    (
        "lost_park",
        waking::lost_park,
        "lost wake-up of thread 1",
        &["it read false from `flag`", "although main had stored true before"],
    ),
    (
        "stale_exchange",
        ordering::stale_exchange,
        "order violation on `y`",
        &["the compare_exchange failed, so that it is a load with its failure ordering, Acquire"],
    ),
    (
        "used_by_main",
        freeing::used_by_main,
        "use after free of `*node`",
        &["because the store is", "orders them"],
    ),
    (
        "used_by_other",
        freeing::used_by_other,
        "use after free of `*node`",
        &["because the store is", "orders them"],
    ),
    ("cut_sequence", waking::atomic_waker, "lost wake-up of main", &["it read 0 from `shared.1`"]),
    ("eaten_token", waking::eaten_token, "lost wake-up of thread 1", &["took the token that main had left"]),
    (
        "closed_queue",
        told::closed_queue,
        "lost wake-up on `changed`",
        &["main had read false from `closed`", "thread 1 stored and notified without it"],
    ),
    (
        "gate",
        told::gate,
        "lost wake-up on `opened`",
        &["main does not wake it, because it read 0 from `waiters`"],
    ),
    (
        "wrong_buffer",
        told::wrong_buffer,
        "deadlock: nobody is left that notifies `changed#1`",
        &["main notified `changed#2`"],
    ),
    (
        "registered_late",
        told::registered_late,
        "lost wake-up of main",
        &["thread 1 does not wake it: it was done with `waker`"],
    ),
    ("relocked", told::relocked, "lost wake-up on `available`", &["main did not look again"]),
    ("miscounted", told::miscounted, "use after free of `count`", &["An update of `count` was lost before"]),
    (
        "pinned_late",
        told::pinned_late,
        "use after free of",
        &["main could not know: it had read 0 from `users`"],
    ),
    (
        "held_over_receive",
        told::held_over_receive,
        "deadlock: nobody is left that sends to `(sender, receiver)`",
        &["thread 1 waits for `state`, because main holds it"],
    ),
    ("notified_when_gone", freeing::notified_when_gone, "use after free of `shared.1`", &["notify_one"]),
    ("turns", told::turns, "data race on `value`", &["read false from `wants#", "did not see it yet"]),
    ("registry", told::registry, "check-then-act on `names`: a is there twice", &["two critical sections"]),
    (
        "looked_at_twice",
        told::looked_at_twice,
        "check-then-act on `balance`: overdrawn: -60",
        &["because it had found 100 in `balance`"],
    ),
    (
        "old_generation",
        told::old_generation,
        "check-then-act on `generation`: an old write",
        &["because it had found 0 in `generation`"],
    ),
    ("hits", guards::hits, "check-then-act on `count`: expected 2", &["took it again", "In between"]),
    (
        "announced",
        ending::announced,
        "assertion failed: `worker.is_finished()` does not hold",
        &["main was told that thread 1 is not finished", "join waits for the end"],
    ),
    (
        "counted_in_scope",
        ending::counted_in_scope,
        "assertion failed: expected 3, found 0",
        &["The local values of thread 1 were not destroyed yet"],
    ),
    (
        "counted_when_finished",
        ending::counted_when_finished,
        "assertion failed: expected 3, found 0",
        &["The local values of thread 1 were not destroyed yet"],
    ),
    ("made_twice", guards::made_twice, "check-then-act on `made`", &["took it again", "In between"]),
];

#[test]
fn reports_name_the_cause() {
    let style = Style { width: 100, ..Style::default() };
    for (name, program, headline, cause) in PROGRAMS {
        let checked = Checker::new().check(program);
        let fuzzed = Fuzzer::new().seed(42).iterations(10_000).fuzz(program);
        for (engine, report) in [("check", checked), ("fuzz", fuzzed)] {
            let text = render_with(&report, &SOURCES, &style, &[]);
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
