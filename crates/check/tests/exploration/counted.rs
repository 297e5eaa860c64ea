//! Reference counts: they multiply nothing unless somebody can see them.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::{AtomicU32, Ordering};
use racefuzz_primitives::thread;
use racefuzz_trace::{Outcome, RunReport};

fn explore(program: impl Fn() + Sync) -> RunReport {
    check(&Options { keep_going: true, minimise: false, ..Options::default() }, &program, &())
}

#[test]
fn clones_and_drops_commute() {
    let report = explore(|| {
        let shared = Arc::new(5);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || *Arc::clone(&shared) + 1)
            })
            .collect();
        drop(shared);
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), 6));
    });
    assert_eq!((report.outcome(), report.executions()), (Outcome::Passed, 1));
}

/// Whose reference is the last decides which thread's store comes first.
#[test]
fn a_destructor_that_others_can_see_is_run_by_either_thread() {
    struct Marks(Arc<AtomicU32>);
    impl Drop for Marks {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let report = explore(|| {
        let mark = Arc::new(AtomicU32::new(0));
        let first = Arc::new(Marks(Arc::clone(&mark)));
        let second = Arc::clone(&first);
        let seen = Arc::clone(&mark);
        let thread = thread::spawn(move || {
            drop(second);
            seen.load(Ordering::SeqCst)
        });
        drop(first);
        let here = mark.load(Ordering::SeqCst);
        let there = thread.join().unwrap();
        assert!(here + there < 2, "both find it gone");
        assert!(here + there > 0, "neither finds it gone");
    });
    // Whoever is last runs the destructor and finds the mark; the other one may find it, too.
    assert!(report.stats.failing > 0);
    assert!(report.failures.iter().all(|failure| failure.message().contains("both")), "{report:?}");
}

#[test]
fn a_count_that_is_looked_at_is_any_that_it_can_be() {
    let report = explore(|| {
        let first = Arc::new(());
        let second = Arc::clone(&first);
        let thread = thread::spawn(move || drop(second));
        let count = Arc::strong_count(&first);
        thread.join().unwrap();
        assert_eq!(count, 2);
    });
    assert_eq!(report.stats.failing, report.executions() - 1);
    assert_eq!(report.executions(), 2);
}
