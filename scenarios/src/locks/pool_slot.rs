//! A connection that is given back twice.
//!
//! A pool lends its connection to whoever finds it free. A user gives it back when it is done; so
//! does the clean-up, for a user that took too long. Each asks the pool whether the connection is
//! still lent, and then gives it back. If both ask first, both give it back, and from then on the
//! pool lends one connection to two users.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{FailureKind, Var, thread};

struct Pool {
    pool_lock: Mutex<()>,
    lent: Var<bool>,
    free: Var<u32>,
}

impl Pool {
    fn is_lent(&self) -> bool {
        let _locked = self.pool_lock.lock().unwrap();
        self.lent.get()
    }

    fn give_back(&self) {
        let _locked = self.pool_lock.lock().unwrap();
        self.give_back_locked();
    }

    fn give_back_if_lent(&self) {
        let _locked = self.pool_lock.lock().unwrap();
        if self.lent.get() {
            self.give_back_locked();
        }
    }

    /// Only for those who hold the lock.
    fn give_back_locked(&self) {
        self.lent.set(false);
        let free = self.free.get() + 1;
        self.free.set(free);
        assert!(free <= 1, "the pool has 1 connection, found {free} free");
    }
}

fn release(pool: &Pool) {
    if pool.is_lent() {
        pool.give_back();
    }
}

fn run(_: &Params) {
    user_and_cleanup(release);
}

fn run_fixed(_: &Params) {
    user_and_cleanup(Pool::give_back_if_lent);
}

fn user_and_cleanup(release: fn(&Pool)) {
    let pool =
        Arc::new(Pool { pool_lock: Mutex::new(()), lent: Var::new("lent", true), free: Var::new("free", 0) });

    let both: Vec<_> = ["user", "clean-up"]
        .map(|name| {
            let pool = Arc::clone(&pool);
            thread::Builder::new().name(name.into()).spawn(move || release(&pool)).unwrap()
        })
        .into();
    for thread in both {
        thread.join().unwrap();
    }
}

/// The race.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "pool-slot",
    summary: "a pool's connection is given back by its user and by the clean-up",
    teaches: "Whoever releases something must know that nobody else does. Asking first and releasing then \
              are two steps; two threads that both ask first both release.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "check-then-act" },
    twin: Some("pool-slot-fixed"),
    params: &[],
    source: Source { file: file!(), text: include_str!("pool_slot.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "pool-slot-fixed",
    summary: "asking and giving back is one operation under the lock",
    teaches: "The pool decides under its lock who gives the connection back: the first who asks. The other \
              finds nothing left to do.",
    expected: Expected::Holds,
    twin: Some("pool-slot"),
    params: &[],
    source: Source { file: file!(), text: include_str!("pool_slot.rs") },
    run: run_fixed,
};
