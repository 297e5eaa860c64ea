//! Laws of `UnsafeCell` and `Cell`.

use crate::common::{explore, spawn};
use racefuzz_primitives::cell::{Cell, UnsafeCell};
use racefuzz_primitives::sync::atomic::{AtomicBool, Ordering};
use racefuzz_primitives::sync::{Arc, Mutex};
use racefuzz_trace::FailureKind;

#[derive(Default)]
struct Shared {
    value: UnsafeCell<i32>,
    plain: Cell<i32>,
    lock: Mutex<()>,
    flag: AtomicBool,
}

// SAFETY: not safe to share: the tests are about who does it wrong, in serial executions.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// Runs both on shared values, one of them in another thread.
fn both(first: fn(&Shared), second: fn(&Shared)) -> crate::common::Explored {
    explore(move || {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let other = spawn(move || first(&theirs));
        second(&shared);
        other.join();
    })
}

fn read(shared: &Shared) -> i32 {
    // SAFETY: executions are serial.
    shared.value.with(|value| unsafe { *value })
}

fn write(shared: &Shared) {
    // SAFETY: executions are serial.
    shared.value.with_mut(|value| unsafe { *value += 1 });
}

#[test]
fn unordered_accesses_race_unless_both_read() {
    let explored = both(write, write);
    assert_eq!(explored.only_fails(FailureKind::DataRace), explored.executions);
    both(write, |shared| {
        read(shared);
    })
    .only_fails(FailureKind::DataRace);
    both(
        |shared| {
            read(shared);
        },
        |shared| {
            read(shared);
        },
    )
    .passes();
    both(
        |shared| shared.plain.set(1),
        |shared| {
            shared.plain.get();
        },
    )
    .only_fails(FailureKind::DataRace);
}

#[test]
fn a_lock_orders_them() {
    fn locked(shared: &Shared) {
        let _guard = shared.lock.lock().unwrap();
        write(shared);
        shared.plain.set(shared.plain.get() + 1);
    }
    both(locked, locked).passes();
    both(locked, write).only_fails(FailureKind::DataRace);
}

#[test]
fn publication_orders_them_if_it_releases_and_acquires() {
    fn publish(shared: &Shared) {
        write(shared);
        shared.flag.store(true, Ordering::Release);
    }
    both(publish, |shared| {
        if shared.flag.load(Ordering::Acquire) {
            assert_eq!(read(shared), 1);
        }
    })
    .passes();
    both(publish, |shared| {
        if shared.flag.load(Ordering::Relaxed) {
            read(shared);
        }
    })
    .only_fails(FailureKind::DataRace);
}

#[test]
fn accesses_of_one_thread_must_not_overlap() {
    explore(|| {
        let cell = UnsafeCell::new(0);
        cell.with(|_| cell.with(|_| {}));
        cell.with_mut(|_| {});
        drop((cell.get(), cell.get()));
        cell.with_mut(|_| {});
    })
    .passes();
    explore(|| {
        let cell = UnsafeCell::new(0);
        cell.with_mut(|_| cell.with(|_| {}));
    })
    .only_fails(FailureKind::Panic);
    explore(|| {
        let cell = UnsafeCell::new(0);
        cell.with(|_| cell.with_mut(|_| {}));
    })
    .only_fails(FailureKind::Panic);
    explore(|| {
        let cell = UnsafeCell::new(0);
        let _read = cell.get();
        let _write = cell.get_mut();
    })
    .only_fails(FailureKind::Panic);
    explore(|| {
        let cell = UnsafeCell::new(0);
        let _write = cell.get_mut();
        cell.with(|_| {});
    })
    .only_fails(FailureKind::Panic);
}

#[test]
fn they_hold_values_in_and_outside_of_executions() {
    let program = || {
        let cell = UnsafeCell::new(vec![1]);
        // SAFETY: one access at a time.
        unsafe {
            cell.get_mut().deref().push(2);
            assert_eq!(*cell.get().deref(), [1, 2]);
            cell.get().with(|value| assert_eq!((*value).len(), 2));
            cell.get_mut().with(|value| (*value).push(3));
        }
        assert_eq!(cell.into_inner(), [1, 2, 3]);
        let mut cell = Cell::new(1);
        cell.set(cell.get() + 1);
        cell.update(|value| value * 2);
        assert_eq!(cell.replace(5), 4);
        *cell.get_mut() += 1;
        let other = Cell::from(1);
        cell.swap(&other);
        assert_eq!((cell.get(), other.take(), other.into_inner()), (1, 6, 0));
        assert_eq!(format!("{cell:?}"), "Cell { value: 1 }");
    };
    explore(program).passes();
    program();
}
