//! Scenarios: racy programs and their repaired twins, in readable Rust.
//!
//! [`article`] tells a story about concurrency in order: a reference count that loses an increment,
//! the lock that repairs it, a counter that five threads increment and print, its repair with two
//! locks, and what that leaves of the parallelism. [`locks`] and [`atomics`] are the field's
//! classics. Each is a [`Scenario`](racefuzz::scenario::Scenario) with a summary, what it teaches
//! and what it is expected to show.
//!
//! ```
//! let refcount = racefuzz_scenarios::registry().find("refcount").unwrap().clone();
//! let params = refcount.params(&[]).unwrap();
//! let report = refcount.fuzzer(&params).seed(42).fuzz(refcount.program(&params));
//! assert_eq!(report.outcome(), racefuzz::Outcome::Failed);
//! ```

pub mod article;
pub mod atomics;
pub mod locks;

use racefuzz::scenario::Registry;

/// Every scenario, in the order in which they are best read.
pub fn registry() -> Registry {
    Registry::new(article::SCENARIOS.iter().chain(locks::SCENARIOS).chain(atomics::SCENARIOS).copied())
}
