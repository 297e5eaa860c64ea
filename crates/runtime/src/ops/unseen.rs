//! Code that is not seen: a standard library that was compiled before, instructions that are written by hand.
//!
//! What such code orders is not known, so the front end says where it may have acted, and the runtime then orders
//! too much rather than too little ([`learn_from_all`]): a data race is reported only where no code that is not
//! seen could have ordered the two accesses, and a load misses no store that it could have told of.

use crate::clock::Clock;
use crate::execution::{Absent, Execution, with};
use crate::object::WriteRef;
use crate::store_history::Seen;
use crate::thread::{Thread, ThreadState};

/// The running thread learns what every other one has done: code that is not seen may have ordered it behind.
pub fn learn_from_all() -> Result<(), Absent> {
    with(learn)
}

fn learn(execution: &mut Execution) {
    if !execution.asks_for_clocks() {
        return;
    }
    let me = execution.current as usize;
    let mut learning = std::mem::take(&mut execution.order.learning);
    learning.look(&execution.threads[..execution.schedule.thread_count]);
    for other in learning.others(me) {
        if other == me {
            continue;
        }
        let Ok([mine, theirs]) = execution.threads.get_disjoint_mut([me, other]) else { continue };
        lend(theirs, other as u32, |theirs| mine.learn(&theirs.clock, &theirs.coherence.seen));
    }
    learning.done(me);
    execution.order.learning = learning;
}

/// Time has passed for the running thread: what others have stored is visible to it by now. It knows no more than
/// that; nothing of theirs happens before what it does next.
pub fn see_all() -> Result<(), Absent> {
    with(|execution| {
        if execution.sequential() || !execution.asks_for_clocks() {
            return;
        }
        let (me, count) = (execution.current as usize, execution.schedule.thread_count);
        execution.order.sc_number += 1;
        let number = execution.order.sc_number;
        for other in (0..count).filter(|other| *other != me) {
            let Ok([mine, theirs]) = execution.threads.get_disjoint_mut([me, other]) else { continue };
            lend(theirs, other as u32, |theirs| {
                mine.coherence.seen.fence(&theirs.clock, number);
                mine.coherence.seen.join(&theirs.coherence.seen);
            });
        }
    })
}

/// The running thread has passed a barrier of the processor that is no operation of the language: it orders like a
/// SeqCst fence, and is no step.
pub fn pass_barrier() -> Result<(), Absent> {
    with(|execution| fence(execution, execution.current))
}

/// Every thread has passed one, wherever it is; the running one before and behind the others.
pub fn pass_barrier_everywhere() -> Result<(), Absent> {
    with(|execution| {
        let others = 0..execution.schedule.thread_count as u32;
        let me = execution.current;
        [me].into_iter().chain(others).chain([me]).for_each(|thread| fence(execution, thread));
    })
}

fn fence(execution: &mut Execution, number: u32) {
    if execution.sequential() || !execution.asks_for_clocks() {
        return;
    }
    let Execution { threads, order, .. } = execution;
    let thread = &mut threads[number as usize];
    order.sc_number += 1;
    let coherence = &mut *thread.coherence;
    thread.clock.join(&coherence.acquirable);
    coherence.seen.join(&coherence.acquirable_seen);
    thread.clock.set_whole(number, thread.time + 1);
    order.sc_fences.fence(&thread.clock, order.sc_number);
    coherence.seen.join(&order.sc_fences);
    coherence.release_fence.copy_from(&thread.clock);
    coherence.release_fence_seen.copy_from(&coherence.seen);
    // What it does from now on is behind the barrier.
    thread.time += 1;
    thread.clock.prepare(number, thread.time + 1);
}

/// Gives others what a thread has done so far.
fn lend(thread: &mut Thread, number: u32, to: impl FnOnce(&Thread)) {
    thread.clock.set_whole(number, thread.time + 1);
    to(thread);
    // What it does from now on is not known.
    thread.time += 1;
    thread.clock.prepare(number, thread.time + 1);
}

/// The running thread is in code that is not seen, and may have released something there by an operation that
/// left no trace: whoever [learns from that code](learn_from_unseen) knows what it has done so far.
pub fn publish_to_unseen() -> Result<(), Absent> {
    with(|execution| {
        if !execution.asks_for_clocks() {
            return;
        }
        let me = execution.current;
        let mut learning = std::mem::take(&mut execution.order.learning);
        lend(execution.running(), me, |thread| {
            learning.published.join(&thread.clock);
            learning.published_seen.join(&thread.coherence.seen);
        });
        execution.order.learning = learning;
    })
}

/// The running thread has acquired what code that is not seen may have released.
pub fn learn_from_unseen() -> Result<(), Absent> {
    with(|execution| {
        if !execution.asks_for_clocks() {
            return;
        }
        let learning = std::mem::take(&mut execution.order.learning);
        execution.running().learn(&learning.published, &learning.published_seen);
        execution.order.learning = learning;
    })
}

/// Whom a thread learns from that learns from all: of those that have ended there is nothing new the next time.
#[derive(Default)]
pub(crate) struct Learning {
    /// Threads that were looked at.
    count: usize,
    /// Those of them that live.
    living: Vec<u32>,
    /// The others, in the order in which they were found to have ended.
    ended: Vec<u32>,
    /// For each thread how many of these it has learned from.
    known: Vec<u32>,
    /// What threads had done when they were last in code that is not seen.
    published: Clock,
    published_seen: Seen,
}

impl Learning {
    /// An execution begins.
    pub(crate) fn begin(&mut self) {
        self.count = 0;
        self.living.clear();
        self.ended.clear();
        self.known.clear();
        self.published.clear();
        self.published_seen.clear();
    }

    fn look(&mut self, threads: &[Thread]) {
        self.living.extend(self.count as u32..threads.len() as u32);
        self.count = threads.len();
        self.known.resize(self.count, 0);
        let Self { living, ended, .. } = self;
        living.retain(|thread| {
            let lives = threads[*thread as usize].state == ThreadState::Live;
            if !lives {
                ended.push(*thread);
            }
            lives
        });
    }

    /// Those of whom thread `me` may not know everything.
    fn others(&self, me: usize) -> impl Iterator<Item = usize> {
        let ended = &self.ended[self.known[me] as usize..];
        self.living.iter().chain(ended).map(|thread| *thread as usize)
    }

    fn done(&mut self, me: usize) {
        self.known[me] = self.ended.len() as u32;
    }
}

/// Code that is not seen has written an atomic, or what is known of it begins here: the running thread, which
/// is about to use it, learns of whatever may be behind that.
#[cold]
#[inline(never)]
pub(crate) fn adopt(execution: &mut Execution, object: u32, word: u64) {
    learn(execution);
    let sequential = execution.sequential();
    let has_clocks = execution.order.has_clocks;
    let me = execution.current;
    let (thread, entry) = execution.running_with(object);
    let event = crate::execution::mix(entry.last_write.event, word);
    let write = WriteRef { event, step: entry.last_write.step };
    let store = match entry.history.len() {
        0 => entry.history.insert(0, word, write, (0, 0)),
        _ if sequential => entry.history.store(0),
        length => entry.history.insert(length, word, write, (0, 0)),
    };
    store.value = word;
    store.write = write;
    // It is the oldest that anybody may read from now on.
    (store.thread, store.time) = (0, 0);
    if has_clocks {
        // What the running thread itself has done since its last event is behind it, too: it may be the one that
        // has written, in code that is not seen.
        lend(thread, me, |thread| {
            store.release.copy_from(&thread.clock);
            store.release_seen.copy_from(&thread.coherence.seen);
        });
    }
    entry.value = word;
    entry.last_write = write;
}
