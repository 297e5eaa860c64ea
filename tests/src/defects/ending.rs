//! Defects of code that takes the last step of a thread for its end.

use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{AtomicU32, Ordering::*};
use racefuzz::{thread, thread_local};
use std::cell::RefCell;

/// A worker is taken to have ended because it has announced its last job.
pub fn announced() {
    let jobs = Arc::new(AtomicU32::new(0));
    let done = Arc::clone(&jobs);
    let worker = thread::spawn(move || done.store(1, SeqCst));
    if jobs.load(SeqCst) == 1 {
        assert!(worker.is_finished());
    }
    worker.join().unwrap();
}

/// What a thread has counted, added to the total when the thread's local values are destroyed.
struct Counted(Arc<AtomicU32>, u32);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(self.1, SeqCst);
    }
}

thread_local! {
    static COUNTED: RefCell<Option<Counted>> = const { RefCell::new(None) };
}

/// The total is taken when the scope has ended.
pub fn counted_in_scope() {
    let total = Arc::new(AtomicU32::new(0));
    thread::scope(|scope| {
        let total = Arc::clone(&total);
        scope.spawn(|| COUNTED.set(Some(Counted(total, 3))));
    });
    assert_eq!(total.load(SeqCst), 3);
}

/// The total is taken when the thread is finished.
pub fn counted_when_finished() {
    let total = Arc::new(AtomicU32::new(0));
    let theirs = Arc::clone(&total);
    let worker = thread::spawn(|| COUNTED.set(Some(Counted(theirs, 3))));
    while !worker.is_finished() {
        thread::yield_now();
    }
    assert_eq!(total.load(SeqCst), 3);
}
