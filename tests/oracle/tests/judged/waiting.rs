//! Locks, `try_lock` and `await`, counted by hand.

use racefuzz_oracle::{Model, enumerate, graphs, in_any_order, on_one_memory, parse, with_store_buffers};

/// Complete, blocked and deadlocked graphs under a model.
fn counts(threads: &[&str], model: Model) -> [u64; 3] {
    let text: String = threads.iter().map(|thread| format!("T: {thread}\n")).collect();
    let program = parse(&format!("test\n{text}")).unwrap().remove(0);
    let found = graphs(&program, model);
    assert_eq!(in_any_order(&program, model, usize::MAX).unwrap(), found);
    match model {
        Model::Sc => assert_eq!(on_one_memory(&program, usize::MAX).unwrap().0, found),
        Model::Tso => assert_eq!(with_store_buffers(&program, usize::MAX).unwrap().0, found),
        Model::Rc11 => {}
    }
    let counts = enumerate(&program, model);
    [counts.complete, counts.blocked, counts.deadlocks]
}

fn under_each_model(threads: &[&str], expected: [u64; 3]) {
    for model in Model::ALL {
        assert_eq!(counts(threads, model), expected, "{threads:?} {}", model.name());
    }
}

#[test]
fn a_lock_orders_its_holders() {
    under_each_model(&["lock m; r := x na; x = r + 1 na; unlock m"; 3], [6, 0, 0]);
    under_each_model(&["x = 1 rlx; lock m; unlock m", "lock m; unlock m; a := x rlx"], [3, 0, 0]);
}

#[test]
fn a_waiting_thread_is_a_deadlock() {
    let (ab, ba) =
        ("lock m; lock n; unlock n; unlock m".to_owned(), "lock n; lock m; unlock m; unlock n".to_owned());
    under_each_model(&[&ab, &ab], [2, 0, 0]);
    under_each_model(&[&ab, &ba], [2, 0, 1]);
    under_each_model(&["lock m; lock m"], [0, 0, 1]);
    under_each_model(&["lock m", "lock m; x = 1 rlx"], [0, 0, 2]);
    // Whoever waits for a thread that is only blocked is blocked, too.
    under_each_model(&["lock m; await x == 1 rlx; unlock m", "lock m; unlock m"], [0, 2, 0]);
    under_each_model(&["lock m; assume 0", "lock m; unlock m"], [0, 2, 0]);
}

#[test]
fn try_lock_fails_while_the_lock_is_held() {
    under_each_model(&["lock m; unlock m", "r := trylock m; if r { unlock m }"], [3, 0, 0]);
    under_each_model(&["lock m; r := trylock m; assume r == 0; unlock m"], [1, 0, 0]);
    // Three outcomes a side, but not both before, nor both behind, the other's section.
    let side = |m: &str, n: &str| format!("lock {m}; r := trylock {n}; if r {{ unlock {n} }}; unlock {m}");
    under_each_model(&[&side("m", "n"), &side("n", "m")], [7, 0, 0]);
}

#[test]
fn try_lock_sees_no_stale_lock() {
    let threads = ["lock m; unlock m; x = 1 rlx", "a := x rlx; if a { r := trylock m; assume r == 0 }"];
    under_each_model(&threads, [1, 1, 0]);
}

#[test]
fn a_failing_try_lock_does_not_synchronise() {
    let threads = [
        "x = 1 rlx; lock m; unlock m; lock m; unlock m",
        "r := trylock m; assume r == 0; a := x rlx; assume a == 0",
    ];
    // It reads one of two acquisitions.
    assert_eq!(counts(&threads, Model::Sc)[0], 0);
    assert_eq!(counts(&threads, Model::Rc11)[0], 2);
}

#[test]
fn an_await_is_one_read() {
    under_each_model(&["x = 1 rlx; y = 1 rel", "await y == 1 acq; a := x rlx"], [1, 0, 0]);
    let relaxed = ["x = 1 rlx; y = 1 rlx", "await y == 1 rlx; a := x rlx"];
    assert_eq!(counts(&relaxed, Model::Sc), [1, 0, 0]);
    assert_eq!(counts(&relaxed, Model::Rc11), [2, 0, 0]);
}

#[test]
fn an_await_may_wait_for_ever() {
    under_each_model(&["x = 1 rlx", "await x == 2 rlx"], [0, 1, 0]);
    // The value comes and goes: seen or missed.
    under_each_model(&["x = 1 rlx; x = 2 rlx", "await x == 1 rlx"], [1, 1, 0]);
    under_each_model(&["await x == 1 rlx; y = 1 rlx", "await y == 1 rlx; x = 1 rlx"], [0, 1, 0]);
}

#[test]
fn an_unlock_of_a_free_lock_is_nothing() {
    under_each_model(&["unlock m; x = 1 rlx", "lock m; unlock m; unlock m"], [1, 0, 0]);
}
