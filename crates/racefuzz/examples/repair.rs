//! Searches for what repairs a program, and asks what of its synchronisation is needed.

use racefuzz::sync::{Arc, Mutex};
use racefuzz::{Fixer, Var, thread};

/// Two threads add one to `n`; only the second takes the lock.
fn increments() {
    let (lock, n) = (Arc::new(Mutex::new(())), Arc::new(Var::new("n", 0)));
    let other = (Arc::clone(&lock), Arc::clone(&n));
    let thread = thread::spawn(move || {
        let _guard = other.0.lock().unwrap();
        other.1.set(other.1.get() + 1);
    });
    n.set(n.get() + 1);
    thread.join().unwrap();
    assert_eq!(n.get(), 2);
}

fn main() {
    let fixes = Fixer::new().fix(increments);
    println!("{}", racefuzz::render_fixes(&fixes));
    let best = &fixes.fixes()[0];
    assert_eq!(best.kept().unwrap().share(), 1.0, "nothing that was right is excluded");

    let audit = Fixer::new().audit(increments);
    assert!(audit.failure.is_some(), "as it is, it fails");
}
