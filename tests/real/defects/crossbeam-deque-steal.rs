// crossbeam-deque | 0.8.0 | 0.8.1 | |  | RUSTSEC-2021-0093: a task is taken twice, and another one never
use crossbeam_deque::{Steal, Worker};
use std::thread;

#[test]
fn defect() {
    let worker = Worker::new_lifo();
    // One more than fits into the first buffer; with fewer than 32 left the first size is enough again.
    for value in 0..65 {
        worker.push(value);
    }
    let stealer = worker.stealer();
    let thread = thread::spawn(move || {
        let own = Worker::new_lifo();
        let mut taken = Vec::new();
        if let Steal::Success(value) = stealer.steal_batch_and_pop(&own) {
            taken.push(value);
        }
        while let Some(value) = own.pop() {
            taken.push(value);
        }
        taken
    });
    let mut taken: Vec<i32> = (0..64).filter_map(|_| worker.pop()).collect();
    worker.push(65);
    while let Some(value) = worker.pop() {
        taken.push(value);
    }
    taken.extend(thread.join().unwrap());
    taken.sort();
    assert_eq!(taken, (0..66).collect::<Vec<i32>>());
}
