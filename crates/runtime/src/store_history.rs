//! Store histories: which values a load may return under RC11.
//!
//! Every atomic keeps its stores in modification order. A load by thread `t` may return any store
//! not older than its *floor*, the newest store that coherence forces `t` to know:
//!
//! * a store, or a store read by an event, that happens before the load (vector clock `C`);
//! * the same for what a SeqCst fence made known (`seen`, which carries coherence but gives no
//!   happens-before), see below;
//! * for a SeqCst load, the newest SeqCst store, and every store that happens before some SeqCst
//!   fence executed so far.
//!
//! A store may take any place in modification order behind its own floor, except between a store
//! and the read-modify-write that read it; a SeqCst store goes behind all SeqCst stores. The order
//! of execution serves as the order of SeqCst events: each of the rules keeps `psc` of RC11 (Lahav
//! et al., PLDI'17, section 4) within it, so the executions sampled are a subset of RC11's. A
//! release sequence runs through read-modify-writes only (C++20).
//!
//! What cannot be reached: a load that returns a store executed later (load buffering, which RC11
//! excludes), and executions whose SeqCst events no schedule executes in an order that `psc` allows
//! (a SeqCst access after a relaxed or acquire read of a SeqCst store that `psc` puts later). The
//! litmus files that have such graphs, and how many of theirs are reached, are listed in
//! `snapshots/sampler__out_of_reach.snap`, which a test writes.

use crate::clock::Clock;
use crate::object::WriteRef;
use racefuzz_trace::MemoryOrder;
use smallvec::SmallVec;

/// One store of an atomic.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) value: u64,
    pub(crate) write: WriteRef,
    /// The storing thread and its event number; time 0 is the initial value, known to everybody.
    pub(crate) thread: u32,
    pub(crate) time: u32,
    /// The thread of the last store up to this one that is no read-modify-write.
    pub(crate) head: u32,
    /// For a SeqCst store its number in the order of SeqCst events, else 0.
    pub(crate) sc: u32,
    /// Whether a read-modify-write has read this store: its successor is fixed.
    pub(crate) taken: bool,
    /// What a thread learns that synchronises with this store.
    pub(crate) release: Clock,
    /// The part that carries coherence only.
    pub(crate) release_seen: Seen,
    /// The first read of this store by each thread that read it.
    pub(crate) readers: SmallVec<[(u32, u32); 2]>,
}

impl Store {
    /// Whether a store behind this one belongs to a release sequence of its own thread that this one belongs to, as it
    /// was before C++20.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_continued_by(&self, thread: u32, order: MemoryOrder) -> bool {
        !order.releases() && (self.thread == thread || self.head == thread) && self.time != 0
    }
}

/// What the accessing thread knows, for computing a floor.
pub(crate) struct Knowledge<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) seen: &'a Seen,
    /// For a SeqCst access: what all SeqCst fences so far made known.
    pub(crate) sc_fences: Option<&'a Seen>,
}

impl Knowledge<'_> {
    fn knows(&self, thread: u32, time: u32) -> bool {
        self.clock.knows(thread, time) || self.seen.knows(thread, time)
    }
}

/// What SeqCst fences made known: a vector clock that binds which stores may be read and orders
/// nothing else, and the number of the last SeqCst fence in it. Empty, and free, in programs
/// without such fences.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    clock: Clock,
    /// The number of the newest fence, in the order of SeqCst events.
    fence: u32,
}

impl Seen {
    /// Whether no fence has made anything known.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_empty(&self) -> bool {
        self.fence == 0
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn clear(&mut self) {
        if self.fence != 0 {
            self.clock.clear();
            self.fence = 0;
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn knows(&self, thread: u32, time: u32) -> bool {
        self.fence != 0 && self.clock.knows(thread, time)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn join(&mut self, other: &Self) {
        if other.fence != 0 {
            self.clock.join(&other.clock);
            self.fence = self.fence.max(other.fence);
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn copy_from(&mut self, other: &Self) {
        if self.fence == 0 && other.fence == 0 {
            return;
        }
        self.clock.copy_from(&other.clock);
        self.fence = other.fence;
    }

    /// A SeqCst fence with this number by a thread with this clock.
    pub(crate) fn fence(&mut self, clock: &Clock, number: u32) {
        self.clock.join(clock);
        self.fence = number;
    }
}

/// The stores of one atomic in modification order, the initial value first.
#[derive(Debug, Default)]
pub(crate) struct History {
    stores: Vec<Store>,
    length: usize,
    /// How many stores no read-modify-write has read.
    untaken: usize,
}

impl History {
    pub(crate) fn clear(&mut self) {
        (self.length, self.untaken) = (0, 0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn stores(&self) -> &[Store] {
        &self.stores[..self.length]
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn store(&mut self, place: usize) -> &mut Store {
        invariant!(place < self.length);
        &mut self.stores[place]
    }

    /// The store, if there is one only.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn only(&mut self) -> Option<&mut Store> {
        if self.length == 1 { self.stores.first_mut() } else { None }
    }

    /// The store at `place` and its successor.
    pub(crate) fn pair(&mut self, place: usize) -> (&mut Store, &mut Store) {
        let (before, behind) = self.stores.split_at_mut(place + 1);
        (&mut before[place], &mut behind[0])
    }

    /// Puts a store at `place`; its clocks are empty. Reuses the memory of an earlier execution.
    pub(crate) fn insert(
        &mut self,
        place: usize,
        value: u64,
        write: WriteRef,
        (thread, time): (u32, u32),
    ) -> &mut Store {
        if self.length == self.stores.len() {
            self.stores.push(Store {
                value: 0,
                write,
                thread,
                time,
                head: thread,
                sc: 0,
                taken: false,
                release: Clock::default(),
                release_seen: Seen::default(),
                readers: SmallVec::new(),
            });
        }
        self.length += 1;
        self.untaken += 1;
        if place + 1 < self.length {
            self.stores[place..self.length].rotate_right(1);
        }
        let store = &mut self.stores[place];
        store.value = value;
        store.write = write;
        store.thread = thread;
        store.time = time;
        store.head = thread;
        store.sc = 0;
        store.taken = false;
        store.release.clear();
        store.release_seen.clear();
        store.readers.clear();
        store
    }

    /// A read-modify-write has read the store at `place`: no other store comes directly behind it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn take(&mut self, place: usize) {
        self.untaken -= usize::from(!std::mem::replace(&mut self.store(place).taken, true));
    }

    /// Whether a store may be placed behind the one at `place`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_free(&self, place: usize) -> bool {
        place + 1 == self.length || !self.stores[place].taken
    }

    /// How many of the stores from `floor` on a store may be placed behind.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn count_free(&self, floor: usize) -> usize {
        match floor {
            // An explorer of graphs places stores anywhere, in executions as long as they may be.
            0 => self.untaken + usize::from(self.stores[self.length - 1].taken),
            floor => (floor..self.length).filter(|place| self.is_free(*place)).count(),
        }
    }

    /// The oldest store that an access with this knowledge may read or be placed behind.
    #[inline]
    pub(crate) fn floor(&self, knowledge: &Knowledge<'_>) -> usize {
        for (place, store) in self.stores().iter().enumerate().rev() {
            if store.time == 0
                || knowledge.knows(store.thread, store.time)
                || (store.sc != 0 && (knowledge.sc_fences.is_some() || store.sc <= knowledge.seen.fence))
                || knowledge.sc_fences.is_some_and(|fences| fences.knows(store.thread, store.time))
                || store.readers.iter().any(|&(thread, time)| knowledge.knows(thread, time))
            {
                return place;
            }
        }
        0
    }

    /// Notes that `thread` read the store at `place` in its event `time`. Only the first such read of
    /// each thread is kept: whoever knows of a later one knows of it, too.
    #[inline]
    pub(crate) fn note_read(&mut self, place: usize, thread: u32, time: u32) {
        let readers = &mut self.store(place).readers;
        if !readers.iter().any(|(reader, _)| *reader == thread) {
            readers.push((thread, time));
        }
    }
}
