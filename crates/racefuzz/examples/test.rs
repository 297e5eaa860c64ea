//! Tests that are sampled and proved: `cargo test --example test`, or `cargo racefuzz run -- --example test`.

use racefuzz::sync::{Condvar, Mutex};
use std::collections::VecDeque;

/// A queue whose `pop` waits.
#[derive(Default)]
pub struct Queue {
    items: Mutex<VecDeque<u32>>,
    filled: Condvar,
}

impl Queue {
    /// Appends, and wakes one who waits.
    pub fn push(&self, item: u32) {
        self.items.lock().unwrap().push_back(item);
        self.filled.notify_one();
    }

    /// The oldest item, when there is one.
    pub fn pop(&self) -> u32 {
        let mut items = self.items.lock().unwrap();
        loop {
            match items.pop_front() {
                Some(item) => return item,
                None => items = self.filled.wait(items).unwrap(),
            }
        }
    }
}

fn main() {
    let queue = Queue::default();
    queue.push(1);
    // Outside a run the types behave as std's.
    println!("{}", queue.pop());
}

#[cfg(test)]
mod tests {
    use super::Queue;
    use racefuzz::{sync::Arc, thread};

    fn hand_over() {
        let queue = Arc::new(Queue::default());
        let other = Arc::clone(&queue);
        let consumer = thread::spawn(move || other.pop() + other.pop());
        queue.push(1);
        queue.push(2);
        assert_eq!(consumer.join().unwrap(), 3);
    }

    #[racefuzz::test(iterations = 1_000)]
    fn nothing_is_lost() {
        hand_over();
    }

    #[racefuzz::test(check)]
    fn nothing_is_lost_in_any_schedule() {
        hand_over();
    }
}
