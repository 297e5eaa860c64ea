//! Laws of `sync::mpsc`.

use crate::words::{Word, all, always_fails, none_fails, outcomes, some_fail, trace};
use racefuzz_primitives::choose::note;
use racefuzz_primitives::sync::mpsc::{
    RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError, channel, sync_channel,
};
use racefuzz_primitives::thread;
use racefuzz_trace::{FailureKind, OpKind, Value, Verb};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

#[test]
fn messages_of_one_sender_keep_their_order() {
    none_fails(|| {
        let (tx, rx) = channel();
        thread::spawn(move || {
            for n in 0..3 {
                tx.send(n).unwrap();
            }
        });
        assert_eq!(rx.iter().collect::<Vec<_>>(), [0, 1, 2]);
    });
}

#[test]
fn two_senders_interleave_in_every_way() {
    let seen = outcomes(|| {
        let (tx, rx) = channel();
        let other = tx.clone();
        thread::spawn(move || {
            other.send('a').unwrap();
            other.send('b').unwrap();
        });
        thread::spawn(move || {
            tx.send('x').unwrap();
        });
        rx.into_iter().collect::<String>()
    });
    assert_eq!(seen, BTreeSet::from(["abx".into(), "axb".into(), "xab".into()]));
}

#[test]
fn a_channel_without_senders_gives_what_is_left_and_then_an_error() {
    none_fails(|| {
        let (tx, rx) = channel();
        tx.send(1).unwrap();
        drop(tx);
        assert_eq!(rx.recv(), Ok(1));
        assert_eq!(rx.recv(), Err(RecvError));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(rx.recv_timeout(Duration::from_secs(1)), Err(RecvTimeoutError::Disconnected));
    });
    // A receiver that waits already is told.
    none_fails(|| {
        let (tx, rx) = channel::<u32>();
        let other = tx.clone();
        thread::spawn(move || drop(tx));
        thread::spawn(move || drop(other));
        assert_eq!(rx.recv(), Err(RecvError));
    });
}

#[test]
fn a_channel_without_receiver_gives_the_message_back() {
    none_fails(|| {
        let (tx, rx) = channel();
        drop(rx);
        assert_eq!(tx.send(7), Err(SendError(7)));
        let (tx, rx) = sync_channel(1);
        tx.send(1).unwrap();
        let waits = thread::spawn({
            let tx = tx.clone();
            move || tx.send(2)
        });
        drop(rx);
        assert_eq!(waits.join().unwrap(), Err(SendError(2)));
        assert_eq!(tx.try_send(3), Err(TrySendError::Disconnected(3)));
    });
}

#[test]
fn a_receiver_whose_sender_lives_waits_for_ever() {
    let message = always_fails(FailureKind::Deadlock, || {
        let (tx, rx) = channel::<u32>();
        let _ = rx.recv();
        drop(tx);
    });
    assert!(message.contains("receive from a channel"), "{message}");
}

#[test]
fn a_bounded_channel_blocks_when_full() {
    none_fails(|| {
        let (tx, rx) = sync_channel(2);
        let sent = Word::new();
        let theirs = sent.clone();
        thread::spawn(move || {
            for n in 1..=3 {
                tx.send(n).unwrap();
                theirs.store(n);
            }
        });
        assert!(sent.load() <= 2);
        assert_eq!(rx.iter().collect::<Vec<_>>(), [1, 2, 3]);
    });
    none_fails(|| {
        let (tx, rx) = sync_channel(1);
        assert_eq!(tx.try_send('a'), Ok(()));
        assert_eq!(tx.try_send('b'), Err(TrySendError::Full('b')));
        assert_eq!(rx.try_recv(), Ok('a'));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(rx.try_iter().count(), 0);
    });
    always_fails(FailureKind::Deadlock, || {
        let (tx, _rx) = sync_channel(1);
        tx.send(1).unwrap();
        tx.send(2).unwrap();
    });
}

#[test]
fn a_rendezvous_waits_for_the_other_side() {
    none_fails(|| {
        let (tx, rx) = sync_channel(0);
        let word = Word::new();
        let theirs = word.clone();
        let sender = thread::spawn(move || {
            tx.send(1).unwrap();
            // The receipt happened before.
            assert_eq!(theirs.read(), 5);
        });
        word.write(5);
        assert_eq!(rx.recv(), Ok(1));
        sender.join().unwrap();
        assert_eq!(rx.recv(), Err(RecvError));
    });
    always_fails(FailureKind::Deadlock, || {
        let (tx, _rx) = sync_channel(0);
        let _ = tx.send(1);
    });
    none_fails(|| {
        let (tx, rx) = sync_channel(0);
        assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
        let sender = thread::spawn(move || tx.send(2));
        drop(rx);
        assert_eq!(sender.join().unwrap(), Err(SendError(2)));
    });
}

#[test]
fn a_rendezvous_can_be_tried_from_either_side() {
    let seen = outcomes(|| {
        let (tx, rx) = sync_channel(0);
        let receiver = thread::spawn(move || rx.recv());
        let sent = tx.try_send(4).is_ok();
        drop(tx);
        assert_eq!(receiver.join().unwrap().is_ok(), sent);
        sent
    });
    assert_eq!(seen, BTreeSet::from([false, true]));
    let seen = outcomes(|| {
        let (tx, rx) = sync_channel(0);
        let sender = thread::spawn(move || tx.send(4).is_ok());
        let got = rx.try_recv();
        drop(rx);
        assert_eq!(sender.join().unwrap(), got.is_ok());
        got.is_ok()
    });
    assert_eq!(seen, BTreeSet::from([false, true]));
}

#[test]
fn two_senders_meet_one_receiver() {
    let seen = outcomes(|| {
        let (tx, rx) = sync_channel(0);
        for n in [1, 2] {
            let tx = tx.clone();
            thread::spawn(move || tx.send(n).unwrap());
        }
        drop(tx);
        rx.iter().collect::<Vec<_>>()
    });
    assert_eq!(seen, BTreeSet::from([vec![1, 2], vec![2, 1]]));
}

#[test]
fn a_timeout_fires_only_when_nothing_else_can_run() {
    none_fails(|| {
        let (tx, rx) = channel();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(1));
            note("late");
            tx.send(1).unwrap();
        });
        assert_eq!(rx.recv_timeout(Duration::from_nanos(1)), Ok(1));
    });
    none_fails(|| {
        for bound in [0, 1] {
            let (tx, rx) = sync_channel::<u32>(bound);
            assert_eq!(rx.recv_timeout(Duration::from_secs(9)), Err(RecvTimeoutError::Timeout));
            if bound == 0 {
                assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
            }
        }
    });
}

#[test]
fn a_message_carries_what_happened_before_it() {
    none_fails(|| {
        let word = Word::new();
        let theirs = word.clone();
        let (tx, rx) = channel();
        thread::spawn(move || {
            theirs.write(3);
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
        assert_eq!(word.read(), 3);
    });
    // Not the other way round, without a bound.
    assert!(some_fail(FailureKind::DataRace, || {
        let word = Word::new();
        let theirs = word.clone();
        let (tx, rx) = channel();
        thread::spawn(move || {
            theirs.write(3);
            let _ = rx.recv();
        });
        let _ = tx.send(1);
        let _ = tx.send(2);
        word.read();
    }));
    // With one, a receive happens before the send that needs its place.
    none_fails(|| {
        let word = Word::new();
        let theirs = word.clone();
        let (tx, rx) = sync_channel(1);
        let receiver = thread::spawn(move || {
            theirs.write(3);
            rx.recv().unwrap();
            rx
        });
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        assert_eq!(word.read(), 3);
        drop(receiver.join());
    });
}

/// Panics when it is dropped.
struct Angry;

impl Drop for Angry {
    fn drop(&mut self) {
        panic!("angry");
    }
}

#[test]
fn messages_left_are_dropped_with_the_receiver() {
    let dropped = std::sync::Arc::new(());
    none_fails(|| {
        let (tx, rx) = channel();
        tx.send(std::sync::Arc::clone(&dropped)).unwrap();
        tx.send(std::sync::Arc::clone(&dropped)).unwrap();
        drop(rx);
        assert_eq!(std::sync::Arc::strong_count(&dropped), 1);
        drop(tx);
    });
    let message = always_fails(FailureKind::Panic, || {
        let (tx, rx) = channel();
        tx.send(Angry).unwrap();
        drop(rx);
    });
    assert_eq!(message, "angry");
}

#[test]
fn tearing_down_a_channel_neither_blocks_nor_aborts() {
    struct Uses(Option<racefuzz_primitives::sync::mpsc::SyncSender<u32>>);
    impl Drop for Uses {
        fn drop(&mut self) {
            let tx = self.0.take().unwrap();
            let (other, rx) = sync_channel(0);
            let _ = tx.send(1);
            let _ = tx.send(2);
            let _ = tx.send(3);
            let _ = other.send(1);
            let _ = other.try_send(1);
            assert!(rx.try_recv().is_err());
            assert!(rx.recv().is_err());
            assert!(rx.recv_timeout(Duration::from_secs(1)).is_err());
            drop(other);
            assert_eq!(rx.iter().count(), 0);
        }
    }
    let message = always_fails(FailureKind::Panic, || {
        let (angry, receiver) = channel();
        angry.send(Angry).unwrap();
        let (tx, rx) = sync_channel(1);
        thread::spawn(move || {
            let _held = (Uses(Some(tx)), rx, receiver);
            thread::park();
        });
        note("step");
        panic!("first cause");
    });
    assert_eq!(message, "first cause");
}

#[test]
fn the_trace_shows_how_many_messages_there_are() {
    let trace = trace(|| {
        let (tx, rx) = channel();
        tx.send("first").unwrap();
        tx.send("second").unwrap();
        drop(rx);
    });
    let shown: Vec<_> = trace
        .events
        .iter()
        .filter(|event| event.object.is_some())
        .map(|event| (event.verb, event.wrote.clone(), event.implied))
        .collect();
    assert_eq!(
        shown,
        [
            (Verb::Send, Some(Value::Int(1)), false),
            (Verb::Send, Some(Value::Int(2)), false),
            (Verb::DropReceiver, Some(Value::Int(0)), true),
            (Verb::DropSender, Some(Value::Int(0)), true),
        ]
    );
    for event in trace.events.iter().filter(|event| event.kind == OpKind::Rmw) {
        assert!(trace.site(event.site).file.ends_with("laws/mpsc.rs"));
    }
}

#[test]
fn a_channel_stays_on_its_side() {
    let (tx, rx) = channel();
    let found = all(|| {
        let used = catch_unwind(AssertUnwindSafe(|| tx.send(1))).unwrap_err();
        let message = used.downcast_ref::<String>().unwrap();
        assert!(message.contains("laws/mpsc.rs"), "{message}");
        assert!(message.contains("made outside an execution"), "{message}");
        drop(tx.clone());
    });
    assert!(found.failures.is_empty(), "{:?}", found.failures);
    tx.send(2).unwrap();
    assert_eq!(rx.recv(), Ok(2));
    let taken = std::cell::RefCell::new(None);
    none_fails(|| {
        if taken.borrow().is_none() {
            let halves = channel::<u32>();
            halves.0.send(5).unwrap();
            *taken.borrow_mut() = Some(halves);
        }
    });
    let (tx, _rx) = taken.into_inner().unwrap();
    let used = catch_unwind(AssertUnwindSafe(|| tx.send(1))).unwrap_err();
    assert!(used.downcast_ref::<String>().unwrap().contains("was used outside"));
}

#[test]
fn outside_an_execution_it_is_std() {
    let (tx, rx) = channel();
    let sender = thread::spawn({
        let tx = tx.clone();
        move || tx.send(1)
    });
    sender.join().unwrap().unwrap();
    drop(tx);
    assert_eq!(rx.into_iter().collect::<Vec<_>>(), [1]);
    let (tx, rx) = sync_channel(1);
    tx.try_send(1).unwrap();
    assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
    assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Ok(1));
    assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
}
