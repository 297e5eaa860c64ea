//! Brings a strategy: threads run in batches, most of the time whoever runs goes on.

use racefuzz::strategy::{self, Random, Strategy, ThreadChoice, ThreadId};
use racefuzz::sync::atomic::{AtomicU32, Ordering};
use racefuzz::{Fuzzer, Outcome, sync::Arc, thread};

/// Goes on with the running thread for a batch of steps, then with another one.
#[derive(Default)]
struct Batches {
    /// Steps left in the batch.
    left: u32,
}

impl Strategy for Batches {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>, random: &mut Random<'_>) -> ThreadId {
        if let (Some(current), 1..) = (choice.current, self.left) {
            self.left -= 1;
            return current;
        }
        self.left = random.below(8);
        choice.options[random.below(choice.options.len() as u32) as usize]
    }
}

fn main() {
    let batches = strategy::register::<Batches>("batches");
    let report = Fuzzer::new().seed(42).iterations(1_000).strategy(batches).fuzz(|| {
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
    assert_eq!(report.failures()[0].found_by, "batches");
    println!("{}", racefuzz::render(&report));
}
