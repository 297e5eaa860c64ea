//! Proves a program under two memory models: right where every thread sees one order, wrong on real
//! hardware.

use racefuzz::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use racefuzz::{Checker, MemoryModel, Outcome, sync::Arc, thread};

fn message() {
    let shared = Arc::new((AtomicU32::new(0), AtomicBool::new(false)));
    let other = Arc::clone(&shared);
    let writer = thread::spawn(move || {
        other.0.store(42, Relaxed);
        other.1.store(true, Relaxed);
    });
    if shared.1.load(Relaxed) {
        assert_eq!(shared.0.load(Relaxed), 42);
    }
    writer.join().unwrap();
}

fn main() {
    let sc = Checker::new().memory_model(MemoryModel::Sc).check(message);
    println!("{}", racefuzz::render(&sc));
    let rc11 = Checker::new().memory_model(MemoryModel::Rc11).check(message);
    println!("{}", racefuzz::render(&rc11));
    assert_eq!((sc.outcome(), rc11.outcome()), (Outcome::Passed, Outcome::Failed));
}
