//! The baton of an executor, and the tasks that take it in turn.

use racefuzz_runtime::{Absent, Primitive, Shared, Site, Test, ops};
use racefuzz_trace::{ObjectKind, ThreadId, Verb};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// A task is being polled.
const HELD: u64 = 1;
/// The bit of the future given to `block_on`.
pub(super) const ROOT: u64 = 2;
/// In the word of a task without a bit: it was woken.
const WOKEN: u64 = 1;

/// One `block_on`.
///
/// Its word is the baton and, for each task that has a bit, whether the task waits to be woken: so
/// "was woken and nobody is polled" is one test, and to be polled is one step. Tasks beyond the 62nd
/// alive at a time have no bit but a word of their own, and take two steps.
pub(super) struct Executor {
    shared: Shared,
    /// Bits of no task; clear in the word, so that a new task is ready at once.
    free: AtomicU64,
    /// The task that is being polled.
    polled: AtomicPtr<Task>,
    /// `block_on` is leaving: whoever is polled ends.
    pub(super) cancelled: AtomicBool,
    /// Spawned tasks that have not ended, by the numbers of their threads.
    pub(super) tasks: Mutex<BTreeMap<u32, Arc<Task>>>,
}

impl Primitive for Executor {
    const KIND: ObjectKind = ObjectKind::Task;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    /// `block_on` begins by polling its future.
    fn initial(&self) -> u64 {
        HELD | ROOT
    }

    fn name(&self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed("executor"))
    }
}

/// A task, or the future given to `block_on`.
pub(super) struct Task {
    pub(super) executor: Arc<Executor>,
    /// Its bit in the executor's word; 0 if there was none left.
    bit: u64,
    /// Its own word, if it has no bit.
    own: Own,
    /// The thread it is in the trace.
    thread: AtomicU32,
    /// Where it was spawned.
    site: Site,
    /// Where it awaits, if the future that was not ready told.
    awaits_at: Mutex<Option<&'static Location<'static>>>,
    /// Where it gave way last by waking itself.
    yielded_at: Mutex<Option<&'static Location<'static>>>,
    /// It was woken by its own poll: nobody can act on that before the poll ends, which tells.
    woke_itself: AtomicBool,
    /// It has ended; changes while the baton is held.
    pub(super) done: AtomicBool,
    /// Who awaits its end.
    pub(super) joiner: Mutex<Option<Joiner>>,
}

struct Own(Shared);

impl Primitive for Own {
    const KIND: ObjectKind = ObjectKind::Task;

    fn shared(&self) -> &Shared {
        &self.0
    }

    fn initial(&self) -> u64 {
        WOKEN
    }
}

pub(super) enum Joiner {
    /// A task of the same executor: woken in the step that gives the baton back.
    Sibling {
        bit: u64,
        thread: ThreadId,
    },
    Other(Waker),
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    #[track_caller]
    pub(super) fn new() -> Self {
        Self {
            shared: Shared::new(),
            free: AtomicU64::new(!(HELD | ROOT)),
            polled: AtomicPtr::new(std::ptr::null_mut()),
            cancelled: AtomicBool::new(false),
            tasks: Mutex::default(),
        }
    }

    /// A free bit, or 0.
    pub(super) fn take_bit(&self) -> u64 {
        let free = self.free.load(Ordering::Relaxed);
        let bit = free & free.wrapping_neg();
        self.free.store(free & !bit, Ordering::Relaxed);
        bit
    }

    /// Nobody is being polled: from before the baton is given back.
    pub(super) fn poll_ends(&self) {
        self.polled.store(std::ptr::null_mut(), Ordering::Relaxed);
    }

    /// Where the task that is being polled awaits.
    pub(super) fn awaits_at(&self, place: &'static Location<'static>) {
        // SAFETY: a task is alive while it is polled, and `polled` names none otherwise.
        if let Some(task) = unsafe { self.polled.load(Ordering::Relaxed).as_ref() } {
            *lock(&task.awaits_at) = Some(place);
        }
    }

    /// Who must be woken where a poll passes on this waker.
    pub(super) fn joiner(&self, waker: &Waker) -> Joiner {
        let polled = self.polled.load(Ordering::Relaxed);
        // SAFETY: as in `awaits_at`.
        match unsafe { polled.as_ref() } {
            Some(task) if task.bit != 0 && waker.data() == polled.cast_const().cast() => {
                Joiner::Sibling { bit: task.bit, thread: task.thread() }
            }
            _ => Joiner::Other(waker.clone()),
        }
    }

    /// Wakes a task to be cancelled, and gives it the baton if the caller `holds` it.
    pub(super) fn hand_over(&self, task: &Task, holds: bool, site: Site) -> Result<(), Absent> {
        if task.bit == 0 {
            task.notify();
        }
        let mut how = ops::Update::new(Verb::Wake);
        how.hold = if holds { ops::Hold::Give } else { ops::Hold::No };
        how.implied = true;
        let woken = task.thread();
        ops::update(self, how, site, |word, told| {
            *word &= !task.bit;
            if holds {
                *word &= !HELD;
            }
            told.other(woken);
        })
        .map(drop)
    }
}

impl Task {
    #[track_caller]
    pub(super) fn new(executor: Arc<Executor>, bit: u64, thread: ThreadId, site: Site) -> Self {
        Self {
            executor,
            bit,
            own: Own(Shared::new()),
            thread: AtomicU32::new(thread.0),
            site,
            awaits_at: Mutex::new(None),
            yielded_at: Mutex::new(None),
            woke_itself: AtomicBool::new(false),
            done: AtomicBool::new(false),
            joiner: Mutex::new(None),
        }
    }

    pub(super) fn thread(&self) -> ThreadId {
        ThreadId(self.thread.load(Ordering::Relaxed))
    }

    pub(super) fn set_thread(&self, thread: ThreadId) {
        self.thread.store(thread.0, Ordering::Relaxed);
    }

    /// Where the task stands, and whether that is only where it was spawned.
    fn place(&self) -> (Site, bool) {
        match *lock(&self.awaits_at) {
            Some(place) => (Site::at(place), false),
            None => (self.site, true),
        }
    }

    /// Waits until the task was woken and nobody else is polled, and takes the baton.
    pub(super) fn begin_poll(&self) -> Result<(), Absent> {
        let (site, implied) = self.place();
        if self.bit == 0 {
            let mut how = ops::Update::when(Verb::Woken, Test::Any(WOKEN));
            how.implied = implied;
            let _ = ops::update(&self.own, how, site, |word, _| *word = 0)?;
        }
        let mut how = ops::Update::when(Verb::Poll, Test::Clear(HELD | self.bit));
        how.hold = ops::Hold::Take;
        how.implied = implied;
        let _ = ops::update(&*self.executor, how, site, |word, _| *word |= HELD | self.bit)?;
        self.polling();
        Ok(())
    }

    /// The task is being polled.
    pub(super) fn polling(&self) {
        *lock(&self.awaits_at) = None;
        self.executor.polled.store(std::ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
    }

    /// The poll gave nothing: gives the baton back.
    pub(super) fn end_poll(&self) -> Result<(), Absent> {
        let (site, implied) = self.place();
        self.executor.poll_ends();
        let again = self.woke_itself.swap(false, Ordering::Relaxed);
        let mut how = ops::Update::new(Verb::Await);
        how.hold = ops::Hold::Give;
        how.implied = implied;
        let _ = ops::update(&*self.executor, how, site, |word, told| {
            *word &= !HELD;
            if again {
                *word &= !self.bit;
                told.text(|| "ready again".into());
            }
        })?;
        if again {
            if self.bit == 0 {
                self.notify();
            }
            // A task that yields at one place again and again waits for others to act: it must let
            // them. Otherwise it may well be the next.
            let place = *lock(&self.awaits_at);
            if std::mem::replace(&mut *lock(&self.yielded_at), place) == place {
                ops::give_way()?;
            }
        }
        Ok(())
    }

    /// The task has ended: gives the baton back and wakes who waits for that.
    pub(super) fn end(&self, holds: bool) {
        self.done.store(true, Ordering::Relaxed);
        lock(&self.executor.tasks).remove(&self.thread().0);
        let joiner = lock(&self.joiner).take();
        let sibling = match joiner {
            Some(Joiner::Other(waker)) => {
                waker.wake();
                None
            }
            Some(Joiner::Sibling { bit, thread }) => Some((bit, thread)),
            None => None,
        };
        if holds {
            self.executor.poll_ends();
        }
        let mut how = ops::Update::new(if sibling.is_some() { Verb::Wake } else { Verb::Finish });
        how.hold = if holds { ops::Hold::Give } else { ops::Hold::No };
        how.implied = true;
        let (site, _) = self.place();
        // Torn down: nobody waits any more.
        let _ = ops::update(&*self.executor, how, site, |word, told| {
            if holds {
                *word &= !HELD;
            }
            *word &= !self.bit;
            if let Some((bit, thread)) = sibling {
                *word &= !bit;
                told.other(thread);
            }
        });
    }

    fn notify(&self) {
        let mut how = ops::Update::new(Verb::Wake);
        how.implied = true;
        let woken = self.thread();
        // Outside of its execution, or when that is over, there is nothing to wake.
        let _ = if self.bit == 0 {
            ops::update(&self.own, how, self.site, |word, told| {
                *word = WOKEN;
                told.other(woken);
            })
        } else {
            ops::update(&*self.executor, how, self.site, |word, told| {
                *word &= !self.bit;
                told.other(woken);
            })
        };
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.done.load(Ordering::Relaxed) {
            return;
        }
        if ops::current_task() == Ok(self.thread()) {
            self.woke_itself.store(true, Ordering::Relaxed);
        } else {
            self.notify();
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // Only now: a waker that is left must not wake another task.
        self.executor.free.fetch_or(self.bit, Ordering::Relaxed);
    }
}
