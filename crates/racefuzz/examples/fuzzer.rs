//! Samples the schedules of a program with settings of its own, and looks at the report.

use racefuzz::sync::atomic::{AtomicU32, Ordering};
use racefuzz::{Fuzzer, Outcome, Strategy, sync::Arc, thread};

fn main() {
    let report = Fuzzer::new().seed(42).iterations(1_000).strategy(Strategy::Pos).fuzz(|| {
        let hits = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&hits);
        let thread = thread::spawn(move || {
            let seen = other.load(Ordering::SeqCst);
            other.store(seen + 1, Ordering::SeqCst);
        });
        hits.fetch_add(1, Ordering::SeqCst);
        thread.join().unwrap();
        assert_eq!(hits.load(Ordering::SeqCst), 2);
    });
    assert_eq!(report.outcome(), Outcome::Failed);
    println!("{}", racefuzz::render(&report));
    println!("its token: {}", report.failures()[0].schedule());
}
