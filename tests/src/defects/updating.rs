//! Steps that are right alone, and not together.

use racefuzz::sync::atomic::{AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{Var, thread};

/// Set before somebody looks, in the test's own body: whatever makes main wait earlier makes the test
/// sequential.
pub fn counted_twice() {
    let counts = Arc::new((Var::new("hits", 0), Var::new("misses", 0)));
    let other = Arc::clone(&counts);
    let thread = thread::spawn(move || {
        let hits = other.0.get();
        other.0.set(hits + 1);
    });
    let hits = counts.0.get();
    counts.0.set(hits + 1);
    thread.join().unwrap();
    assert_eq!(counts.0.get() + counts.1.get(), 2);
}

/// An update that loads and stores (majiayu000/litellm-rs 89). Upstream: one read-modify-write.
pub fn update_in_two() {
    let count = Arc::new(AtomicUsize::new(0));
    let other = Arc::clone(&count);
    let thread = thread::spawn(move || update(&other));
    update(&count);
    thread.join().unwrap();
    assert_eq!(count.load(SeqCst), 2);
}

fn update(count: &AtomicUsize) {
    let seen = count.load(SeqCst);
    count.store(seen + 1, SeqCst);
}

/// Two locks, each taken first by one side (tier4/awkernel 162, wasmCloud/wasmCloud 813). Upstream: one
/// order.
pub fn two_locks() {
    let net = Arc::new((Mutex::new(0u32), Mutex::new(0u32)));
    let other = Arc::clone(&net);
    let receiver = thread::spawn(move || {
        let mut ring = other.0.lock().unwrap();
        let mut inner = other.1.lock().unwrap();
        *ring += 1;
        *inner += 1;
    });
    let mut inner = net.1.lock().unwrap();
    let mut ring = net.0.lock().unwrap();
    *inner += 1;
    *ring += 1;
    drop((inner, ring));
    receiver.join().unwrap();
}
