//! Defects from the histories of published crates, each with that crate's own algorithm: the repair
//! found is the one that its maintainers chose, or does the same.

use racefuzz::alloc::{Layout, alloc, dealloc};
use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{
    AtomicUsize,
    Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst},
    fence,
};
use racefuzz::sync::{Arc, Condvar, Mutex};
use racefuzz::{hint, thread};
use racefuzz_fix::{Edit, Fix, FixKind, FixReport, Options, fix};
use racefuzz_trace::{Certainty, FailureKind, MemoryOrder};

fn repairs(program: impl Fn() + Sync) -> FixReport {
    fix(&Options::default(), &program)
}

fn first(report: &FixReport, kind: FixKind) -> &Fix {
    let first = report.fixes().iter().find(|fix| fix.kind == kind);
    let first = first.unwrap_or_else(|| panic!("no repair of the kind {kind:?}, but {:#?}", report.fixes()));
    assert_eq!(first.verdict().certainty, Certainty::Verified);
    first
}

/// The line that ends with this mark.
fn line(mark: &str) -> u32 {
    let source = include_str!("published.rs");
    1 + source.lines().position(|line| line.ends_with(mark)).expect("the mark stands somewhere") as u32
}

/// The orderings of the best repair by orderings, by line.
fn orderings(report: &FixReport) -> Vec<(u32, MemoryOrder)> {
    let order = |edit: &Edit| match edit {
        Edit::Order { site, order } => (site.line, *order),
        other => panic!("no ordering: {other:?}"),
    };
    first(report, FixKind::Ordering).overlay.edits.iter().map(order).collect()
}

/// The lines over which the best new lock is held, in order.
fn locked(report: &FixReport) -> Vec<u32> {
    let regions = first(report, FixKind::NewLock).regions();
    let mut lines: Vec<u32> = regions.iter().flat_map(|region| &region.sites).map(|site| site.line).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// Two threads run these, and main waits for both.
fn beside(one: impl FnOnce() + Send + 'static, other: impl FnOnce() + Send + 'static) {
    let (one, other) = (thread::spawn(one), thread::spawn(other));
    one.join().unwrap();
    other.join().unwrap();
}

/// spin before 0.5.2 (RUSTSEC-2019-0013): dropping a write guard stored `Relaxed`, and the next
/// holder did not see what was written. Upstream's new lock released with `Release`.
mod spin_rwlock {
    use super::*;

    const WRITER: usize = 1 << (usize::BITS - 1);

    struct RwLock {
        lock: AtomicUsize,
        data: UnsafeCell<usize>,
    }

    // SAFETY: guarded by `lock`; that it is not quite is what racefuzz reports.
    unsafe impl Sync for RwLock {}

    impl RwLock {
        fn write(&self, unlock: Ordering) {
            while self.lock.compare_exchange(0, WRITER, SeqCst, Relaxed).is_err() {
                hint::spin_loop();
            }
            // SAFETY: see at `Sync`.
            self.data.with_mut(|data| unsafe { *data += 1 });
            self.lock.store(0, unlock); // spin: a writer leaves
        }

        fn read(&self) -> Option<usize> {
            let readers = self.lock.load(Relaxed) & !WRITER;
            self.lock.compare_exchange(readers, readers + 1, SeqCst, Relaxed).ok()?;
            // SAFETY: see at `Sync`.
            let data = self.data.with(|data| unsafe { *data });
            self.lock.fetch_sub(1, SeqCst);
            Some(data)
        }
    }

    fn play(unlock: Ordering) {
        let lock = Arc::new(RwLock { lock: AtomicUsize::new(0), data: UnsafeCell::new(0) });
        let other = Arc::clone(&lock);
        beside(
            move || lock.write(unlock),
            move || {
                let _seen = other.read();
            },
        );
    }

    #[test]
    fn a_write_guard_releases() {
        let report = repairs(|| play(Relaxed));
        assert_eq!(report.failure.as_ref().unwrap().kind, FailureKind::DataRace);
        assert_eq!(orderings(&report), [(line("// spin: a writer leaves"), MemoryOrder::Release)]);
        assert!(repairs(|| play(Release)).nothing_to_fix());
    }
}

/// `Arc::get_mut` of std before 1.29 (rust-lang/rust 51780): the count of owners was loaded `Relaxed`,
/// so that the owner left over did not see what the others had done. Upstream made it `Acquire`.
mod std_arc_unique {
    use super::*;

    struct Inner {
        strong: AtomicUsize,
        weak: AtomicUsize,
        data: UnsafeCell<usize>,
    }

    // SAFETY: the data belongs to all owners, or to the only one.
    unsafe impl Sync for Inner {}

    impl Inner {
        /// The count of weak references is locked while that of owners is looked at.
        fn is_unique(&self, load: Ordering) -> bool {
            if self.weak.compare_exchange(1, usize::MAX, Acquire, Relaxed).is_err() {
                return false;
            }
            let unique = self.strong.load(load) == 1; // std: the owners
            self.weak.store(1, Release);
            unique
        }

        fn drop_one(&self) {
            if self.strong.fetch_sub(1, Release) == 1 {
                fence(Acquire);
            }
        }
    }

    fn play(load: Ordering) {
        let one = Arc::new(Inner {
            strong: AtomicUsize::new(2),
            weak: AtomicUsize::new(1),
            data: UnsafeCell::new(0),
        });
        let other = Arc::clone(&one);
        let looks_and_leaves = move || {
            // SAFETY: an owner may look.
            let seen = other.data.with(|data| unsafe { *data });
            assert_eq!(seen, 0);
            other.drop_one();
        };
        let changes = move || {
            if one.is_unique(load) {
                // SAFETY: the only owner may change.
                one.data.with_mut(|data| unsafe { *data = 1 });
            }
        };
        beside(looks_and_leaves, changes);
    }

    #[test]
    fn the_only_owner_acquires() {
        let report = repairs(|| play(Relaxed));
        assert_eq!(report.failure.as_ref().unwrap().kind, FailureKind::DataRace);
        assert_eq!(orderings(&report), [(line("// std: the owners"), MemoryOrder::Acquire)]);
        assert!(repairs(|| play(Acquire)).nothing_to_fix());
    }
}

/// `Arc::get_mut` of std before 1.3 (rust-lang/rust 24880): owners and weak references were counted one
/// after the other, and a weak reference could turn into an owner in between. Upstream locks the
/// count of weak references during the look at both.
mod std_arc_upgrade {
    use super::*;

    struct Counts {
        strong: AtomicUsize,
        weak: AtomicUsize,
    }

    impl Counts {
        fn is_unique(&self) -> bool {
            let owners = self.strong.load(SeqCst); // std: owners first
            owners == 1 && self.weak.load(SeqCst) == 1 // std: then weak references
        }

        fn upgrade(&self) -> bool {
            loop {
                let owners = self.strong.load(SeqCst);
                if owners == 0 {
                    return false;
                }
                if self.strong.compare_exchange(owners, owners + 1, SeqCst, SeqCst).is_ok() {
                    return true;
                }
            }
        }
    }

    /// One owner, and one weak reference beside the one that all owners have together.
    fn play() {
        let one = Arc::new(Counts { strong: AtomicUsize::new(1), weak: AtomicUsize::new(2) });
        let other = Arc::clone(&one);
        let wants_to_change = move || {
            if one.is_unique() {
                // From here on nobody can make another owner.
                assert_eq!(one.strong.load(SeqCst), 1, "not the only owner");
            }
        };
        let becomes_an_owner = move || {
            if other.upgrade() {
                other.weak.fetch_sub(1, SeqCst);
            }
        };
        beside(wants_to_change, becomes_an_owner);
    }

    #[test]
    fn both_counts_are_looked_at_under_one_lock() {
        let report = repairs(play);
        let lines = locked(&report);
        for mark in ["// std: owners first", "// std: then weak references"] {
            assert!(lines.contains(&line(mark)), "{lines:?}");
        }
    }
}

/// triomphe up to 0.1.14, `Arc::into_unique` (triomphe issue 106): giving up one's share was only a
/// `Release`, and what made the last owner the only one did not order it behind the others' reads. The
/// proposed change makes the decrement `AcqRel`.
mod triomphe_into_unique {
    use super::*;

    struct Inner {
        count: AtomicUsize,
        data: UnsafeCell<usize>,
    }

    // SAFETY: the data belongs to all owners, or to the only one.
    unsafe impl Sync for Inner {}

    impl Inner {
        fn give_up_share(&self, order: Ordering) -> bool {
            self.count.fetch_sub(1, order) == 1 // triomphe: one share less
        }
    }

    fn play(order: Ordering) {
        let one = Arc::new(Inner { count: AtomicUsize::new(2), data: UnsafeCell::new(0) });
        let other = Arc::clone(&one);
        let looks = move || {
            // SAFETY: an owner may look.
            other.data.with(|data| unsafe { *data });
            other.count.fetch_sub(1, Release);
        };
        let changes = move || {
            if one.give_up_share(order) {
                // SAFETY: the only owner may change.
                one.data.with_mut(|data| unsafe { *data += 1 });
            }
        };
        beside(looks, changes);
    }

    #[test]
    fn the_last_share_acquires_and_releases() {
        let report = repairs(|| play(Release));
        assert_eq!(report.failure.as_ref().unwrap().kind, FailureKind::DataRace);
        assert_eq!(orderings(&report), [(line("// triomphe: one share less"), MemoryOrder::AcqRel)]);
        assert!(repairs(|| play(AcqRel)).nothing_to_fix());
    }
}

/// waitout before 0.1.1 (softprops/waitout issue 2): when the count reached zero, one of those who wait
/// was woken, and the others slept on. Upstream notifies all.
mod waitout {
    use super::*;

    struct WaitGroup {
        count: Mutex<usize>,
        zero: Condvar,
    }

    impl WaitGroup {
        fn done(&self, wake: fn(&Condvar)) {
            let mut count = self.count.lock().unwrap();
            *count -= 1;
            if *count == 0 {
                wake(&self.zero);
            }
        }

        fn wait(&self) {
            let mut count = self.count.lock().unwrap();
            while *count > 0 {
                count = self.zero.wait(count).unwrap();
            }
        }
    }

    fn play(wake: fn(&Condvar)) {
        let group = Arc::new(WaitGroup { count: Mutex::new(1), zero: Condvar::new() });
        let waiters = [1, 2].map(|_| {
            let group = Arc::clone(&group);
            thread::spawn(move || group.wait())
        });
        group.done(wake);
        for waiter in waiters {
            waiter.join().unwrap();
        }
    }

    #[test]
    fn all_who_wait_are_woken() {
        let report = repairs(|| play(|zero| zero.notify_one())); // waitout: one
        assert_eq!(report.failure.as_ref().unwrap().kind, FailureKind::Deadlock);
        let all = first(&report, FixKind::WakeAll);
        let [Edit::WakeAll { site }] = &all.overlay.edits[..] else { panic!("{all:?}") };
        assert_eq!(site.line, line("// waitout: one"));
        assert!(report.fixes().iter().all(|fix| !fix.kind.is_lock()));
        assert!(repairs(|| play(|zero| zero.notify_all())).nothing_to_fix());
    }
}

/// oneshot before 0.1.4: the sender announced its message and then took the receiver's waker out of the
/// channel, which the receiver may have freed meanwhile. Upstream put a state in between, in which the
/// receiver waits for the sender to have the waker: a lock, in all but name, over what the sender does
/// and the receiver's look at the state.
mod oneshot {
    use super::*;

    const EMPTY: usize = 0;
    const RECEIVING: usize = 1;
    const MESSAGE: usize = 2;

    struct Channel {
        state: AtomicUsize,
        waker: UnsafeCell<usize>,
    }

    struct Pointer(*mut Channel);

    // SAFETY: the channel is freed by the receiver, too early at times; racefuzz keeps the memory and
    // reports the use.
    unsafe impl Send for Pointer {}

    impl Pointer {
        fn new() -> (Self, Self) {
            // SAFETY: a channel has a size, and fresh memory is written before it is used.
            let channel = unsafe { alloc(Layout::new::<Channel>()) }.cast::<Channel>();
            // SAFETY: as above.
            unsafe {
                channel.write(Channel { state: AtomicUsize::new(EMPTY), waker: UnsafeCell::new(0) });
            }
            (Self(channel), Self(channel))
        }

        fn channel(&self) -> &Channel {
            // SAFETY: see at `Send`.
            unsafe { &*self.0 }
        }

        fn send(self) {
            let channel = self.channel();
            if channel.state.swap(MESSAGE, AcqRel) == RECEIVING {
                // SAFETY: the receiver has written it, and announced that.
                channel.waker.with(|waker| unsafe { *waker }); // oneshot: the waker
            }
        }

        /// Says that it waits, is woken for no reason, and looks once. A receiver that finds nothing
        /// would wait on; here the channel is freed when all is over.
        fn receive(self) -> Option<Self> {
            let channel = self.channel();
            // SAFETY: nobody reads it before the next step.
            channel.waker.with_mut(|waker| unsafe { *waker = 1 });
            let waits = channel.state.compare_exchange(EMPTY, RECEIVING, Release, Acquire).is_ok();
            let state = if waits { channel.state.load(Acquire) } else { MESSAGE }; // oneshot: a message
            if state != MESSAGE {
                return Some(self);
            }
            self.free();
            None
        }

        fn free(self) {
            // SAFETY: allocated so, and the sender is done. It should be.
            unsafe { dealloc(self.0.cast(), Layout::new::<Channel>()) };
        }
    }

    fn play() {
        let (sender, receiver) = Pointer::new();
        let (sender, receiver) = (thread::spawn(|| sender.send()), thread::spawn(|| receiver.receive()));
        sender.join().unwrap();
        if let Some(receiver) = receiver.join().unwrap() {
            receiver.free();
        }
    }

    #[test]
    fn the_waker_is_taken_before_the_message_is_seen() {
        let report = repairs(play);
        assert_eq!(report.failure.as_ref().unwrap().kind, FailureKind::UseAfterFree);
        let lines = locked(&report);
        for mark in ["// oneshot: the waker", "// oneshot: a message"] {
            assert!(lines.contains(&line(mark)), "{lines:?}");
        }
    }
}
