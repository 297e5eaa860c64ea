//! The seam for explorers that keep the memory themselves.
//!
//! A sampling explorer picks among what the runtime's store histories allow. An explorer that
//! enumerates execution graphs knows more: it has the graph, says which write every read takes its
//! value from and where every write goes, and re-executes the program to see what comes next. With
//! a [`Memory`] the runtime asks it instead of its own histories.
//!
//! Objects whose state is one word that is always read up to date (locks, channels, `Var`; see
//! [`ops::update`](crate::ops::update)) stay the runtime's: their state lies in real memory. Their
//! operations are totally ordered, and [`Memory::next`] must schedule each where its graph has it.

use crate::clock::Clock;
use crate::explorer::Op;
use crate::object::{Object, Test};
use crate::thread::{Condition, Thread, ThreadState};
use racefuzz_trace::{MemoryOrder, OpKind, Point, ThreadId, Verb};

/// An atomic access that is about to happen.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The thread.
    pub thread: u32,
    /// The number of this event among its thread's, in the units of [`Clock`].
    pub time: u32,
    /// The object, numbered in the order of first use in this execution.
    pub object: u32,
    /// What the user wrote.
    pub verb: Verb,
    /// How it acts on memory.
    pub kind: OpKind,
    /// Its ordering.
    pub order: MemoryOrder,
    /// The object's value before its first write.
    pub initial: u64,
    /// What happens before it.
    pub clock: &'a Clock,
    /// What the thread's last release fence published.
    pub release_fence: &'a Clock,
    /// A number of the place in the source.
    pub site: u64,
    /// A number of the place where the object was made; 0 where nobody needs it.
    pub made: u64,
}

/// What a read returns.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// The word.
    pub value: u64,
    /// What the write publishes to a read that acquires.
    pub release: &'a Clock,
    /// The step of that write in this execution, from 1; 0 for the initial value.
    pub source: u32,
    /// The step of the newest write, if it is another one.
    pub newer: Option<u32>,
}

/// An operation on a state word that happens.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The thread.
    pub thread: u32,
    /// The number of this event among its thread's.
    pub time: u32,
    /// The step in this execution, from 1.
    pub step: u32,
    /// The object, as in [`Access`].
    pub object: u32,
    /// What it is.
    pub op: Op,
    /// The word before.
    pub before: u64,
    /// The word after.
    pub after: u64,
    /// Whether it is a write in the total order of the object's operations.
    pub writes: bool,
    /// What happens before the next event of the thread.
    pub clock: &'a Clock,
    /// A number of the place in the source.
    pub site: u64,
}

/// What a blocked or waiting thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Nothing: it can go on.
    Nothing,
    /// A word that passes a test.
    Word {
        /// The object.
        object: u32,
        /// The test.
        test: Test,
    },
    /// The end of threads, which comes without a choice.
    End,
}

/// How an execution stands in which no thread goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standstill {
    /// The explorer has ended it, and it says nothing about the program.
    Discarded,
    /// This thread waits for what another execution has.
    Blocked(u32),
    /// These threads repeat what they do for ever: nobody is left to change what they read.
    Livelock(Vec<u32>),
    /// Threads wait for each other, as far as the explorer knows.
    Stuck,
}

/// Where the threads of an execution stand.
pub struct Standing<'a> {
    pub(crate) threads: &'a [Thread],
    pub(crate) objects: &'a [Object],
    pub(crate) enabled: &'a [ThreadId],
    /// The thread that ran last.
    pub current: u32,
    /// Some thread waits for what another execution has.
    pub(crate) blocked: bool,
}

impl Standing<'_> {
    /// The number of threads so far.
    pub fn count(&self) -> u32 {
        self.threads.len() as u32
    }

    /// The threads whose pending operation may happen.
    pub fn enabled(&self) -> &[ThreadId] {
        self.enabled
    }

    /// Whether the pending operation of a thread may happen.
    #[inline]
    pub fn is_enabled(&self, thread: u32) -> bool {
        self.threads[thread as usize].waiting.listed
    }

    /// Whether a thread has neither ended nor been stopped.
    pub fn is_live(&self, thread: u32) -> bool {
        self.threads[thread as usize].state == ThreadState::Live
    }

    /// Whether an execution in which no thread goes on is called something else than after that: a thread has
    /// panicked, waits for a limited time or for what another execution has.
    pub fn is_more_than_still(&self) -> bool {
        let is_more = |thread: &Thread| {
            let waits =
                thread.state == ThreadState::Live && thread.waiting.blocked && thread.enumerated.timed;
            waits || thread.panics.panicked.is_some()
        };
        self.blocked || self.threads.iter().any(is_more)
    }

    /// Whether a thread has written to memory that is not atomic: such writes are no events.
    pub fn writes_cells(&self, thread: u32) -> bool {
        self.threads[thread as usize].enumerated.writes_cells
    }

    /// What a thread will do next.
    pub fn pending(&self, thread: u32) -> Op {
        self.threads[thread as usize].pending.op
    }

    /// A number of the place in the source where it will do that.
    pub fn site(&self, thread: u32) -> u64 {
        self.threads[thread as usize].pending.site.number()
    }

    /// What it needs for that.
    pub fn waits_for(&self, thread: u32) -> Wait {
        match self.threads[thread as usize].pending.condition {
            Condition::Always => Wait::Nothing,
            Condition::Word { object, test } | Condition::KeptOut { object, test } => {
                Wait::Word { object, test }
            }
            condition @ (Condition::Token | Condition::NoToken) => {
                let test = if matches!(condition, Condition::Token) { Test::Ne(0) } else { Test::Eq(0) };
                let host = self.threads[thread as usize].origin.host;
                Wait::Word { object: crate::ops::token_object(host), test }
            }
            Condition::Finished(_) | Condition::AllFinished | Condition::Elapsed => Wait::End,
        }
    }

    /// The words under which a thread's pending operation on a state word only reads.
    pub fn only_reads(&self, thread: u32) -> Test {
        let thread = &self.threads[thread as usize];
        match thread.pending.op.kind {
            OpKind::Load => Test::Always,
            _ => thread.enumerated.refuses,
        }
    }

    /// Whether a thread is about to read-lock what readers hold and another thread waits to write-lock:
    /// it may as well have to wait.
    pub fn may_be_kept_out(&self, thread: u32) -> bool {
        let op = self.pending(thread);
        let waits = |writer: &u32| {
            let pending = &self.threads[*writer as usize].pending.op;
            *writer != thread && pending.verb == Verb::WriteLock
        };
        op.verb == Verb::ReadLock
            && self
                .objects
                .get(op.object as usize)
                .is_some_and(|object| object.value != 0 && object.waiters.iter().any(waits))
    }

    /// Whether an object's operations are on a state word, and not atomic accesses.
    pub fn is_state(&self, object: u32) -> bool {
        self.objects
            .get(object as usize)
            .is_none_or(|object| object.kind != racefuzz_trace::ObjectKind::Atomic)
    }

    /// The present word of an object; of a park token whether it is there.
    pub fn word(&self, object: u32) -> u64 {
        match crate::ops::token_owner(object) {
            Some(thread) => u64::from(self.threads[thread as usize].waiting.token),
            None => self.objects[object as usize].value,
        }
    }
}

/// Keeps the memory of an execution: answers what each operation sees.
///
/// Times, clocks and object numbers are those of the running execution. Threads are numbered in the
/// order of their creation in it.
pub trait Memory {
    /// Which thread goes on? `None` if none can: the execution ends there.
    fn next(&mut self, standing: &Standing<'_>) -> Option<u32>;

    /// What a load reads.
    fn load(&mut self, access: &Access<'_>, step: u32) -> Read<'_>;

    /// A store happens. Whether it is the newest.
    fn store(&mut self, access: &Access<'_>, value: u64, step: u32) -> bool;

    /// What a read-modify-write reads; `f` is its function, `None` where it fails.
    fn rmw(
        &mut self,
        access: &Access<'_>,
        failure: MemoryOrder,
        step: u32,
        f: &dyn Fn(u64) -> Option<u64>,
    ) -> Read<'_>;

    /// The read-modify-write asked about last writes; `clock` is what happens before that. Whether
    /// it is the newest write.
    fn rmw_writes(&mut self, access: &Access<'_>, value: u64, step: u32) -> bool;

    /// A SeqCst fence happens.
    fn fence(&mut self, access: &Access<'_>, step: u32);

    /// One of `count` values is chosen by a step of its own.
    fn value(&mut self, thread: u32, point: Point, count: u32) -> u32;

    /// One of `count` values is chosen inside the operation on a state word that happens now.
    fn part(&mut self, thread: u32, count: u32) -> u32;

    /// An operation on a state word has happened.
    fn stepped(&mut self, step: &Step<'_>);

    /// A thread is created.
    fn spawned(&mut self, parent: u32, child: u32);

    /// A thread learns of another one's end.
    fn joined(&mut self, thread: u32, target: u32);

    /// A thread gives way (`spin_loop`, `yield_now`).
    fn gives_way(&mut self, thread: u32);

    /// The value of an object that was made at this place was seen without an event: who sees it owns it.
    fn looked_at(&mut self, made: u64);

    /// No thread goes on: how the execution stands.
    fn standstill(&self, standing: &Standing<'_>) -> Standstill;

    /// Whether the program has done something else than it did in an earlier execution of the same
    /// events. It must not go on then, as what it is told is meant for another one.
    fn has_diverged(&self) -> bool;

    /// Whether a thread is being given again what it read, to find out what it does then: none of that is
    /// part of the execution, so it races with nothing.
    fn is_repeating(&self) -> bool;

    /// The events of a thread so far.
    fn events(&self, thread: u32) -> u32;

    /// An event that is not ordered with a non-atomic access to an atomic (a write if `writes`): its
    /// thread and step.
    fn unordered(&self, object: u32, clock: &Clock, writes: bool) -> Option<(u32, u32)>;
}
