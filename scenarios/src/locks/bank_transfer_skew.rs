//! Two accounts, each under its own lock, and a rule about both.
//!
//! A customer has 50 in each of two accounts. The bank lets one of them go below zero as long as both
//! together do not. Two withdrawals of 80, one from each account, both find 100 in total. Each account
//! is right on its own, under its own lock. The rule is broken, because no lock covers it.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{FailureKind, Var, thread};

struct Customer {
    checking_lock: Mutex<()>,
    checking: Var<i64>,
    savings_lock: Mutex<()>,
    savings: Var<i64>,
}

impl Customer {
    fn checking(&self) -> i64 {
        let _locked = self.checking_lock.lock().unwrap();
        self.checking.get()
    }

    fn savings(&self) -> i64 {
        let _locked = self.savings_lock.lock().unwrap();
        self.savings.get()
    }
}

fn withdraw_from_checking(customer: &Customer) {
    if customer.checking() + customer.savings() >= 80 {
        let _locked = customer.checking_lock.lock().unwrap();
        customer.checking.set(customer.checking.get() - 80);
    }
}

fn withdraw_from_savings(customer: &Customer) {
    if customer.checking() + customer.savings() >= 80 {
        let _locked = customer.savings_lock.lock().unwrap();
        customer.savings.set(customer.savings.get() - 80);
    }
}

/// Withdraws from one of the accounts, with both of them locked from the look to the change.
fn withdraw_covered(customer: &Customer, from: &Var<i64>) {
    let _checking = customer.checking_lock.lock().unwrap();
    let _savings = customer.savings_lock.lock().unwrap();
    if customer.checking.get() + customer.savings.get() >= 80 {
        from.set(from.get() - 80);
    }
}

fn run(_: &Params) {
    two_withdrawals(withdraw_from_checking, withdraw_from_savings);
}

fn run_fixed(_: &Params) {
    two_withdrawals(
        |customer| withdraw_covered(customer, &customer.checking),
        |customer| withdraw_covered(customer, &customer.savings),
    );
}

fn two_withdrawals(one: fn(&Customer), other: fn(&Customer)) {
    let customer = Arc::new(Customer {
        checking_lock: Mutex::new(()),
        checking: Var::new("checking", 50),
        savings_lock: Mutex::new(()),
        savings: Var::new("savings", 50),
    });
    let (first, second) = (Arc::clone(&customer), Arc::clone(&customer));

    let first = thread::spawn(move || one(&first));
    let second = thread::spawn(move || other(&second));
    first.join().unwrap();
    second.join().unwrap();

    let total = customer.checking.get() + customer.savings.get();
    assert!(total >= 0, "the total must not be negative, found {total}");
}

/// The race.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "bank-transfer-skew",
    summary: "two withdrawals from two accounts that must not be negative together",
    teaches: "A rule about two things needs a lock that covers both. Each thread changes only its own \
              account, so neither overwrites the other; but each decides on what the other is about to \
              change.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "write skew" },
    twin: Some("bank-transfer-skew-fixed"),
    params: &[],
    source: Source { file: file!(), text: include_str!("bank_transfer_skew.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "bank-transfer-skew-fixed",
    summary: "each withdrawal locks both accounts, in one order",
    teaches: "Both locks are held while the rule is checked and the money is taken. Everybody takes them in \
              the same order, so that they cannot deadlock.",
    expected: Expected::Holds,
    twin: Some("bank-transfer-skew"),
    params: &[],
    source: Source { file: file!(), text: include_str!("bank_transfer_skew.rs") },
    run: run_fixed,
};
