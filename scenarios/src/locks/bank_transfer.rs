//! Two withdrawals from one account, each of which looked first.
//!
//! The account holds 100. Two people withdraw 80 each, at two machines. Each machine looks whether
//! there is enough, and then takes the money. Both steps are done under the account's lock; but the
//! lock is given back in between, and so both may look before either takes.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{FailureKind, Var, thread};

struct Account {
    account_lock: Mutex<()>,
    balance: Var<i64>,
}

impl Account {
    fn covers(&self, amount: i64) -> bool {
        let _locked = self.account_lock.lock().unwrap();
        self.balance.get() >= amount
    }

    fn take(&self, amount: i64) {
        let _locked = self.account_lock.lock().unwrap();
        self.take_locked(amount);
    }

    /// Only for those who hold the lock.
    fn take_locked(&self, amount: i64) {
        let left = self.balance.get() - amount;
        self.balance.set(left);
        assert!(left >= 0, "the balance must not be negative, found {left}");
    }
}

fn withdraw(account: &Account) {
    if account.covers(80) {
        account.take(80);
    }
}

fn withdraw_at_once(account: &Account) {
    let _locked = account.account_lock.lock().unwrap();
    if account.balance.get() >= 80 {
        account.take_locked(80);
    }
}

fn run(_: &Params) {
    two_people(withdraw);
}

fn run_fixed(_: &Params) {
    two_people(withdraw_at_once);
}

fn two_people(withdraw: fn(&Account)) {
    let account = Arc::new(Account { account_lock: Mutex::new(()), balance: Var::new("balance", 100) });

    let people: Vec<_> = (0..2)
        .map(|_| {
            let account = Arc::clone(&account);
            thread::spawn(move || withdraw(&account))
        })
        .collect();
    for person in people {
        person.join().unwrap();
    }

    let found = account.balance.get();
    assert!(found == 20, "expected one withdrawal and 20 left, found {found}");
}

/// The race.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "bank-transfer",
    summary: "two withdrawals of 80 from an account of 100 both find enough",
    teaches: "Looking and acting must be one critical section. A lock around each of the two keeps every \
              access apart and still lets another thread in between, and then what was seen is no longer \
              so.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "check-then-act" },
    twin: Some("bank-transfer-fixed"),
    params: &[],
    source: Source { file: file!(), text: include_str!("bank_transfer.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "bank-transfer-fixed",
    summary: "each withdrawal looks and acts under one lock",
    teaches: "The lock is held from the look at the balance to its change. Whoever comes second looks at \
              what the first has left.",
    expected: Expected::Holds,
    twin: Some("bank-transfer"),
    params: &[],
    source: Source { file: file!(), text: include_str!("bank_transfer.rs") },
    run: run_fixed,
};
