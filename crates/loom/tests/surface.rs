//! Each part of the interface in a small program.

use loom::alloc::{Layout, Track, alloc, dealloc};
use loom::cell::{Cell, UnsafeCell};
use loom::future::{AtomicWaker, block_on};
use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use loom::sync::{Arc, Condvar, Mutex, Notify, RwLock};
use loom::thread;
use std::future::poll_fn;
use std::task::Poll;

#[test]
fn a_future_waits_for_a_thread() {
    loom::model(|| {
        let shared = Arc::new((AtomicBool::new(false), AtomicWaker::new()));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            theirs.0.store(true, Release);
            theirs.1.wake();
        });
        block_on(poll_fn(|context| {
            shared.1.register_by_ref(context.waker());
            if shared.0.load(Acquire) { Poll::Ready(()) } else { Poll::Pending }
        }));
        other.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "lost wake-up")]
fn a_waker_registered_too_late_is_found() {
    loom::model(|| {
        let shared = Arc::new((AtomicBool::new(false), AtomicWaker::new()));
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            theirs.0.store(true, Release);
            theirs.1.wake();
        });
        block_on(poll_fn(|context| {
            if shared.0.load(Acquire) {
                return Poll::Ready(());
            }
            shared.1.register(context.waker().clone());
            Poll::Pending
        }));
    });
}

#[test]
fn a_notification_is_kept_and_publishes() {
    loom::model(|| {
        let shared = Arc::new((Notify::new(), UnsafeCell::new(0)));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            // SAFETY: the other thread reads after the notification.
            theirs.1.with_mut(|value| unsafe { *value = 7 });
            theirs.0.notify();
        });
        shared.0.wait();
        // SAFETY: ordered by the notification.
        assert_eq!(shared.1.with(|value| unsafe { *value }), 7);
        other.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "polled for nothing")]
fn a_future_may_be_polled_for_no_reason() {
    loom::model(|| {
        let mut polls = 0;
        let woken = Arc::new(AtomicBool::new(false));
        block_on(poll_fn(|context| {
            polls += 1;
            if polls == 1 {
                let (waker, woken) = (context.waker().clone(), Arc::clone(&woken));
                thread::spawn(move || {
                    woken.store(true, SeqCst);
                    waker.wake();
                });
                return Poll::Pending;
            }
            assert!(woken.load(SeqCst), "polled for nothing");
            Poll::Ready(())
        }));
    });
}

#[test]
#[should_panic(expected = "lazy_static during shutdown")]
fn a_thread_that_outlives_the_model_has_no_statics() {
    loom::model(|| {
        thread::spawn(|| assert!(!READY.load(SeqCst)));
    });
}

#[test]
#[should_panic(expected = "data race")]
fn an_unsynchronised_load_races_with_stores() {
    loom::model(|| {
        let mine = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&mine);
        // SAFETY: the execution ends at the race.
        thread::spawn(move || unsafe { theirs.unsync_load() });
        mine.store(1, Relaxed);
    });
}

#[test]
fn the_first_thread_has_no_name_and_stacks_are_words() {
    loom::model(|| {
        const WORDS: usize = 1 << 16;
        assert_eq!(thread::current().name(), None);
        let deep = thread::Builder::new()
            .stack_size(2 * WORDS)
            .spawn(|| std::hint::black_box(&mut [1_usize; WORDS]).len())
            .unwrap();
        assert_eq!(deep.thread().name(), None);
        assert_eq!(deep.join().unwrap(), WORDS);
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_notification_is_taken_by_one_wait() {
    loom::model(|| {
        let notify = Notify::default();
        notify.notify();
        notify.notify();
        notify.wait();
        notify.wait();
    });
}

#[test]
#[should_panic(expected = "only a single thread may wait")]
fn a_notify_has_one_waiter() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let theirs = Arc::clone(&notify);
        thread::spawn(move || theirs.wait());
        notify.wait();
    });
}

#[test]
#[should_panic(expected = "data race")]
fn unordered_accesses_to_a_cell_are_a_race() {
    loom::model(|| {
        let mine = Arc::new(UnsafeCell::new(0));
        let theirs = Arc::clone(&mine);
        // SAFETY: the execution ends at the race.
        thread::spawn(move || theirs.with_mut(|value| unsafe { *value += 1 }));
        // SAFETY: as above.
        mine.with(|value| unsafe { *value });
    });
}

#[test]
fn pointers_into_a_cell_are_accesses() {
    loom::model(|| {
        let cell = UnsafeCell::new(1);
        {
            let pointer = cell.get_mut();
            // SAFETY: nobody else has the cell.
            unsafe { *pointer.deref() = 2 };
            pointer.with(|value| assert!(!value.is_null()));
        }
        // SAFETY: as above.
        assert_eq!(unsafe { *cell.get().deref() }, 2);
        assert_eq!(cell.into_inner(), 2);
        let plain = Cell::new(1);
        assert_eq!((plain.replace(2), plain.get(), plain.take()), (1, 2, 2));
    });
}

#[test]
#[should_panic(expected = "written while it is being read")]
fn a_pointer_excludes_others_while_it_lives() {
    loom::model(|| {
        let cell = UnsafeCell::new(1);
        let _pointer = cell.get();
        cell.with_mut(|_| ());
    });
}

#[test]
#[should_panic(expected = "leak")]
fn a_forgotten_arc_is_a_leak() {
    loom::model(|| std::mem::forget(Arc::new(1)));
}

#[test]
#[should_panic(expected = "leak")]
fn forgotten_memory_is_a_leak() {
    loom::model(|| {
        // SAFETY: the layout has a size.
        unsafe { alloc(Layout::new::<u64>()) };
    });
}

#[test]
#[should_panic(expected = "leak")]
fn a_forgotten_track_is_a_leak() {
    loom::model(|| std::mem::forget(Track::new(1)));
}

#[test]
fn what_is_released_is_no_leak() {
    loom::model(|| {
        let layout = Layout::new::<u64>();
        // SAFETY: allocated and released with one layout.
        unsafe { dealloc(alloc(layout), layout) };
        let mut track = Track::new(1);
        *track.get_mut() += 1;
        assert_eq!((*track.get_ref(), track.into_inner()), (2, 2));
        let shared: Arc<[u8]> = Arc::from_std(std::sync::Arc::new([1, 2]));
        let raw = Arc::into_raw(Arc::clone(&shared));
        assert_eq!((Arc::strong_count(&shared), raw), (2, Arc::as_ptr(&shared)));
        // SAFETY: given out above.
        drop(unsafe { Arc::from_raw(raw) });
        assert_eq!(&*shared, [1, 2]);
        assert!(Arc::try_unwrap(Arc::new(1)).is_ok());
    });
}

#[test]
fn atomics_are_used_without_synchronisation() {
    loom::model(|| {
        let mut n = AtomicUsize::new(1);
        n.with_mut(|n| *n += 1);
        // SAFETY: no other thread has it.
        assert_eq!(unsafe { n.unsync_load() }, 2);
        #[expect(deprecated, reason = "loom has it")]
        let before = n.compare_and_swap(2, 3, SeqCst);
        assert_eq!((before, n.into_inner()), (2, 3));
        let mut pointer = AtomicPtr::new(std::ptr::null_mut::<u8>());
        pointer.with_mut(|pointer| assert!(pointer.is_null()));
        loom::sync::atomic::spin_loop_hint();
        loom::hint::spin_loop();
    });
}

#[test]
#[should_panic(expected = "unreachable_unchecked was reached")]
fn the_unreachable_is_reported() {
    // SAFETY: it panics.
    loom::model(|| unsafe { loom::hint::unreachable_unchecked() });
}

loom::lazy_static! {
    /// Made once in each execution.
    static ref TABLE: Mutex<Vec<u32>> = Mutex::new(vec![1]);
    pub(crate) static ref READY: AtomicBool = AtomicBool::new(false);
}

#[test]
fn a_lazy_static_is_made_once_an_execution() {
    loom::model(|| {
        let other = thread::spawn(|| TABLE.lock().unwrap().push(2));
        TABLE.lock().unwrap().push(2);
        other.join().unwrap();
        assert_eq!(*TABLE.lock().unwrap(), [1, 2, 2]);
        assert!(!READY.swap(true, SeqCst));
    });
}

loom::thread_local! {
    static HERE: std::cell::Cell<u32> = std::cell::Cell::new(1);
    static THERE: std::cell::RefCell<Vec<u32>> = std::cell::RefCell::new(Vec::new());
}

#[test]
fn a_thread_local_belongs_to_its_thread() {
    loom::model(|| {
        HERE.with(|here| here.set(2));
        let other = thread::spawn(|| {
            THERE.with(|there| there.borrow_mut().push(1));
            HERE.try_with(std::cell::Cell::get).unwrap()
        });
        assert_eq!(other.join().unwrap(), 1);
        assert_eq!(HERE.with(std::cell::Cell::get), 2);
        assert!(THERE.with(|there| there.borrow().is_empty()));
    });
}

#[test]
fn threads_have_names_and_tokens() {
    loom::model(|| {
        let parked = thread::Builder::new()
            .name("parked".into())
            .stack_size(1 << 16)
            .spawn(|| {
                thread::park();
                thread::current().name().map(str::to_owned)
            })
            .unwrap();
        assert_ne!(parked.thread().id(), thread::current().id());
        parked.thread().unpark();
        thread::yield_now();
        assert_eq!(parked.join().unwrap().as_deref(), Some("parked"));
    });
}

#[test]
fn threads_take_what_is_not_send() {
    loom::model(|| {
        let mine = std::rc::Rc::new(std::cell::Cell::new(1));
        let theirs = std::rc::Rc::clone(&mine);
        let other = thread::spawn(move || {
            theirs.set(2);
            theirs
        });
        assert_eq!(other.join().unwrap().get(), 2);
        assert_eq!(mine.get(), 2);
    });
}

#[test]
#[should_panic(expected = "outside of a model")]
fn threads_of_no_model_would_not_take_turns() {
    thread::spawn(|| ());
}

#[test]
fn locks_wait_for_each_other() {
    loom::model(|| {
        let shared = Arc::new((RwLock::new(0), Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            *theirs.0.write().unwrap() += 1;
            *theirs.1.lock().unwrap() = true;
            theirs.2.notify_all();
        });
        let mut done = shared.1.lock().unwrap();
        while !*done {
            done = shared.2.wait(done).unwrap();
        }
        assert_eq!(*shared.0.read().unwrap(), 1);
        other.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn crossed_locks_are_a_deadlock() {
    loom::model(|| {
        let mine = Arc::new((Mutex::new(()), Mutex::new(())));
        let theirs = Arc::clone(&mine);
        thread::spawn(move || {
            let _second = theirs.1.lock().unwrap();
            let _first = theirs.0.lock().unwrap();
        });
        let _first = mine.0.lock().unwrap();
        let _second = mine.1.lock().unwrap();
    });
}
