//! A command line over scenarios of one's own: `cargo run --example scenarios -- run counter`.

use racefuzz::scenario::{Expected, Registry, Scenario, Source};
use racefuzz::{FailureKind, Var, sync::Arc, thread};
use std::process::ExitCode;

fn main() -> ExitCode {
    racefuzz_cli::main(Registry::new([Scenario {
        name: "counter",
        summary: "two threads add one to a counter without a lock",
        teaches: "An increment is two steps. Between them the other thread may do the same.",
        expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "lost update" },
        twin: None,
        params: &[],
        source: Source { file: file!(), text: include_str!("scenarios.rs") },
        run: |_| {
            let n = Arc::new(Var::new("n", 0));
            let other = Arc::clone(&n);
            let thread = thread::spawn(move || other.set(other.get() + 1));
            n.set(n.get() + 1);
            thread.join().unwrap();
            assert_eq!(n.get(), 2);
        },
    }]))
}
