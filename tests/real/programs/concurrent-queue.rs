//! Small programs over concurrent-queue, whose own ones are too large to be explored in full.

use concurrent_queue::{ConcurrentQueue, PopError, PushError};
use loom::sync::Arc;
use loom::thread;

fn each_kind(program: fn(ConcurrentQueue<usize>)) {
    loom::model(move || program(ConcurrentQueue::bounded(1)));
    loom::model(move || program(ConcurrentQueue::bounded(2)));
    loom::model(move || program(ConcurrentQueue::unbounded()));
}

#[test]
fn what_is_pushed_is_popped_once_and_in_order() {
    each_kind(|queue| {
        let queue = Arc::new(queue);
        let theirs = Arc::clone(&queue);
        let pushes = thread::spawn(move || (0..2).take_while(|n| theirs.push(*n).is_ok()).count());
        let mut popped: Vec<usize> = (0..2).filter_map(|_| queue.pop().ok()).collect();
        let pushed = pushes.join().unwrap();
        popped.extend(queue.try_iter());
        assert_eq!(popped, (0..pushed).collect::<Vec<_>>());
    });
}

#[test]
fn one_of_two_gets_the_last_place() {
    loom::model(|| {
        let queue = Arc::new(ConcurrentQueue::bounded(1));
        let theirs = Arc::clone(&queue);
        let other = thread::spawn(move || theirs.push(1));
        let mine = queue.push(2);
        let left = match (mine, other.join().unwrap()) {
            (Ok(()), Err(PushError::Full(1))) => 2,
            (Err(PushError::Full(2)), Ok(())) => 1,
            both => panic!("{both:?}"),
        };
        assert_eq!(queue.pop(), Ok(left));
    });
}

#[test]
fn one_of_two_gets_the_last_value() {
    each_kind(|queue| {
        let queue = Arc::new(queue);
        queue.push(7).unwrap();
        let theirs = Arc::clone(&queue);
        let other = thread::spawn(move || theirs.pop());
        let mine = queue.pop();
        match (mine, other.join().unwrap()) {
            (Ok(7), Err(PopError::Empty)) | (Err(PopError::Empty), Ok(7)) => {}
            both => panic!("{both:?}"),
        }
    });
}

#[test]
fn a_closed_queue_keeps_what_it_has() {
    each_kind(|queue| {
        let queue = Arc::new(queue);
        let theirs = Arc::clone(&queue);
        let other = thread::spawn(move || theirs.push(1));
        assert!(queue.close());
        match other.join().unwrap() {
            Ok(()) => assert_eq!(queue.pop(), Ok(1)),
            Err(error) => assert_eq!(error, PushError::Closed(1)),
        }
        assert_eq!(queue.pop(), Err(PopError::Closed));
    });
}
