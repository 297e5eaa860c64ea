//! Two locks, taken in two orders.
//!
//! One thread moves money from checking to savings, another moves some back. Each locks the account
//! it takes from, then the one it gives to. If both have their first lock, each waits for the other's,
//! for ever.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{FailureKind, thread};

struct Bank {
    checking: Mutex<i64>,
    savings: Mutex<i64>,
}

impl Bank {
    fn save(&self, amount: i64) {
        let mut checking = self.checking.lock().unwrap();
        let mut savings = self.savings.lock().unwrap();
        *checking -= amount;
        *savings += amount;
    }

    fn spend(&self, amount: i64) {
        let mut savings = self.savings.lock().unwrap();
        let mut checking = self.checking.lock().unwrap();
        *savings -= amount;
        *checking += amount;
    }

    /// As [`Bank::spend`], but the locks are taken in the order in which all others take them.
    fn spend_in_order(&self, amount: i64) {
        let mut checking = self.checking.lock().unwrap();
        let mut savings = self.savings.lock().unwrap();
        *savings -= amount;
        *checking += amount;
    }
}

fn run(_: &Params) {
    save_and(|bank| bank.spend(10));
}

fn run_fixed(_: &Params) {
    save_and(|bank| bank.spend_in_order(10));
}

fn save_and(spend: fn(&Bank)) {
    let bank = Arc::new(Bank { checking: Mutex::new(100), savings: Mutex::new(100) });
    let (saving, spending) = (Arc::clone(&bank), Arc::clone(&bank));

    let saver = thread::spawn(move || saving.save(30));
    let spender = thread::spawn(move || spend(&spending));
    saver.join().unwrap();
    spender.join().unwrap();

    let (checking, savings) = (*bank.checking.lock().unwrap(), *bank.savings.lock().unwrap());
    assert!((checking, savings) == (80, 120), "expected 80 and 120, found {checking} and {savings}");
}

/// The deadlock.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "lock-order",
    summary: "two threads take two locks in opposite orders",
    teaches: "Whoever holds one lock and waits for another can be part of a cycle. Each function is right on \
              its own; together they deadlock, though only if both have taken their first lock before \
              either has its second.",
    expected: Expected::Fails { kind: FailureKind::Deadlock, anomaly: "deadlock" },
    twin: Some("lock-order-fixed"),
    params: &[],
    source: Source { file: file!(), text: include_str!("lock_order.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "lock-order-fixed",
    summary: "both threads take checking first, then savings",
    teaches: "If all threads take their locks in one order there is no cycle. Whoever holds the last of \
              them waits for nobody.",
    expected: Expected::Holds,
    twin: Some("lock-order"),
    params: &[],
    source: Source { file: file!(), text: include_str!("lock_order.rs") },
    run: run_fixed,
};
