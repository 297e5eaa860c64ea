//! A thread panics halfway through a change, and the next one carries on.
//!
//! A transfer takes money from one account and gives it to another, under a lock. In between the
//! thread panics. The mutex is poisoned: that is Rust's way to say that what it protects may be half
//! done. The next thread ignores it, as `unwrap_or_else(PoisonError::into_inner)` does, and counts
//! money that is in neither account.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex, PoisonError};
use racefuzz::{FailureKind, Var, thread};

struct Bank {
    bank_lock: Mutex<()>,
    checking: Var<i64>,
    savings: Var<i64>,
}

impl Bank {
    fn transfer(&self, amount: i64) {
        let _locked = self.bank_lock.lock().unwrap();
        self.checking.set(self.checking.get() - amount);
        print_receipt();
        self.savings.set(self.savings.get() + amount);
    }

    fn transfer_receipt_first(&self, amount: i64) {
        let _locked = self.bank_lock.lock().unwrap();
        print_receipt();
        self.checking.set(self.checking.get() - amount);
        self.savings.set(self.savings.get() + amount);
    }

    fn audit(&self) -> i64 {
        let _locked = self.bank_lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.checking.get() + self.savings.get()
    }
}

fn print_receipt() {
    panic!("the printer is out of paper");
}

fn run(_: &Params) {
    transfer_and_audit(|bank| bank.transfer(30));
}

fn run_fixed(_: &Params) {
    transfer_and_audit(|bank| bank.transfer_receipt_first(30));
}

fn transfer_and_audit(transfer: fn(&Bank)) {
    let bank = Arc::new(Bank {
        bank_lock: Mutex::new(()),
        checking: Var::new("checking", 100),
        savings: Var::new("savings", 0),
    });
    let audited = Arc::clone(&bank);

    let teller = thread::Builder::new().name("teller".into()).spawn(move || transfer(&bank)).unwrap();
    let auditor = thread::Builder::new().name("auditor".into()).spawn(move || audited.audit()).unwrap();
    let _panicked = teller.join(); // that a teller may fail is expected here
    let total = auditor.join().unwrap();
    assert!(total == 100, "expected a total of 100, found {total}");
}

/// The torn state.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "poisoned-state",
    summary: "a thread panics between two updates, another ignores that the lock is poisoned",
    teaches: "A panic releases the lock and leaves the data as it is, half done. Poisoning is the warning. \
              Who takes the data out of a poisoned lock must bring it into order first, not just go on.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "dirty read" },
    twin: Some("poisoned-state-fixed"),
    params: &[],
    source: Source { file: file!(), text: include_str!("poisoned_state.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "poisoned-state-fixed",
    summary: "what may panic comes before the first of the two updates",
    teaches: "Do what can fail first and change the data then, with nothing in between that can panic. The \
              lock is still poisoned, but what it protects is whole.",
    expected: Expected::Holds,
    twin: Some("poisoned-state"),
    params: &[],
    source: Source { file: file!(), text: include_str!("poisoned_state.rs") },
    run: run_fixed,
};
