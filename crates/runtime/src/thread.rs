//! Threads of an execution: coroutines with what each knows and wants.

use crate::clock::Clock;
use crate::execution::Order;
use crate::explorer::Op;
use crate::locals::Locals;
use crate::object::Test;
use crate::overlay::Overlaid;
use crate::site::Site;
use crate::store_history::Seen;
use crate::touched::{Reset, Touched};
use racefuzz_trace::{MemoryOrder, OpKind, Verb};

/// What a pending operation waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Condition {
    /// Nothing.
    Always,
    /// A word.
    Word { object: u32, test: Test },
    /// That a lock which readers hold is free, after which it waits for the word to pass the test:
    /// a reader that is kept out while a writer waits.
    KeptOut { object: u32, test: Test },
    /// The end of a thread.
    Finished(u32),
    /// The park token of the thread (of a task: of its host).
    Token,
    /// That there is none.
    NoToken,
    /// The end of every other thread.
    AllFinished,
    /// That the time is up which the operation was given.
    Elapsed,
}

/// What a thread will do when it is next chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) op: Op,
    pub(crate) site: Site,
    pub(crate) condition: Condition,
    /// Virtual time at which it gives up waiting, in nanoseconds.
    pub(crate) deadline: Option<u64>,
    /// Commutes with every event of another thread: runs as soon as it can, without a choice.
    pub(crate) invisible: bool,
}

impl Pending {
    pub(crate) const fn start(site: Site) -> Self {
        Self {
            op: Op {
                kind: OpKind::Local,
                verb: Verb::Spawn,
                order: MemoryOrder::Plain,
                object: Op::NO_OBJECT,
                lock: false,
            },
            site,
            condition: Condition::Always,
            deadline: None,
            invisible: false,
        }
    }

    /// The operation is about to happen: it waits for nothing any more. So the next one need not say so if it does not
    /// wait either, as most do not.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn settle(&mut self) {
        (self.condition, self.deadline, self.invisible) = (Condition::Always, None, false);
    }

    /// Whether it is a choice, and waits for nothing.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.condition, Condition::Always) && self.deadline.is_none() && !self.invisible
    }
}

/// The life of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadState {
    /// Running, or stands before its pending operation.
    Live,
    /// Returned or panicked.
    Finished,
    /// Stopped by an `assume` that does not hold.
    Stopped,
    /// Stopped by an injected kill.
    Killed,
}

/// A panic that left a thread's closure.
#[derive(Clone, Debug)]
pub(crate) struct Panicked {
    pub(crate) message: String,
    pub(crate) site: Option<Site>,
    /// Steps executed when it was raised.
    pub(crate) step: u32,
    /// Raised by fault injection.
    pub(crate) injected: bool,
    /// The thread that took the join result that carries it.
    pub(crate) taken: Option<u32>,
    /// The position among the panics of this execution.
    pub(crate) order: u32,
}

/// A thread of the running execution, or an entry that a later one will use again.
pub(crate) struct Thread {
    /// What its number is in the log.
    pub(crate) mark: u64,
    pub(crate) state: ThreadState,
    /// It is unwinding, as far as is known: see [`Execution::unwinds`](crate::execution::Execution).
    pub(crate) panicking: bool,
    /// Events executed: its own component of `clock`.
    pub(crate) time: u32,
    pub(crate) pending: Pending,
    pub(crate) waiting: Waiting,
    pub(crate) spinning: Spinning,
    pub(crate) coroutine: CoroutineState,
    /// What happens before its next event; that event itself may be in it already.
    pub(crate) clock: Clock,
    /// A hash of its place in the tree of spawns.
    pub(crate) path: u64,
    pub(crate) origin: Origin,
    pub(crate) coherence: Touched<Coherence>,
    pub(crate) enumerated: Touched<Enumerated>,
    pub(crate) panics: Touched<Panics>,
    pub(crate) locals: Locals,
    /// What it holds because of an overlay.
    pub(crate) overlaid: Touched<Overlaid>,
}

/// Whether a thread can go on, and who waits for it.
#[derive(Default)]
pub(crate) struct Waiting {
    /// It is among the enabled threads.
    pub(crate) listed: bool,
    /// The pending operation's condition does not hold now.
    pub(crate) blocked: bool,
    /// The pending operation ended by its deadline.
    pub(crate) timed_out: bool,
    /// Its park token is there.
    pub(crate) token: bool,
    /// The step at which the pending operation first could not go on, and who stood in the way.
    pub(crate) blocked_at: Option<(u32, Option<u32>)>,
    /// Threads that wait for its end.
    pub(crate) joiners: Joiners,
}

/// Threads in the order in which they came: mostly one, if any.
#[derive(Default)]
pub(crate) struct Joiners {
    first: Option<u32>,
    others: Vec<u32>,
}

impl Joiners {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn push(&mut self, thread: u32) {
        match self.first {
            None => self.first = Some(thread),
            Some(_) => self.push_other(thread),
        }
    }

    #[cold]
    fn push_other(&mut self, thread: u32) {
        self.others.push(thread);
    }

    /// The one at a place.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn get(&self, place: usize) -> Option<u32> {
        match place.checked_sub(1) {
            None => self.first,
            Some(place) => self.others.get(place).copied(),
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn clear(&mut self) {
        self.first = None;
        if !self.others.is_empty() {
            self.others.clear();
        }
    }
}

/// How a thread gives way to others.
#[derive(Default)]
pub(crate) struct Spinning {
    /// It gave way: not offered until another thread has acted.
    pub(crate) yielded: bool,
    /// How often it gave way since something changed.
    pub(crate) spins: u32,
    /// Events in a row without another thread's.
    pub(crate) alone: u32,
    /// What the last event read, if it was a load: place and write; and how often in a row.
    pub(crate) last_read: (Option<Site>, u64),
    pub(crate) same_reads: u32,
    /// Where it gave way last.
    pub(crate) last_yield: u64,
    /// How often in a row, and the number of the event that was the last time.
    pub(crate) yields: u32,
    pub(crate) yielded_at: u32,
    pub(crate) insistence: Insistence,
}

/// How long a thread goes on that would give way: see [`Config::insistence`](crate::Config::insistence).
#[derive(Clone, Copy, Default)]
pub(crate) struct Insistence {
    /// It does so.
    pub(crate) insists: bool,
    /// Rounds in which it did not.
    pub(crate) rounds: u32,
    /// Its event with which the last of them ended.
    pub(crate) since: u32,
    /// Its event up to which it goes on: where the next round ends, if it is as long as the last one.
    pub(crate) until: u32,
}

/// What a thread's coroutine does.
pub(crate) struct CoroutineState {
    /// It has a body that has not ended.
    pub(crate) live: bool,
    /// The body is started and not done.
    pub(crate) runs: bool,
    /// The lowest and highest address of its stack.
    pub(crate) stack: (usize, usize),
    /// Operations attempted while being torn down.
    pub(crate) torn: u32,
    /// It attempted too many and is suspended for good.
    pub(crate) given_up: bool,
}

/// Where a thread comes from.
pub(crate) struct Origin {
    pub(crate) parent: Option<u32>,
    pub(crate) spawned_at: Option<Site>,
    pub(crate) name: Option<String>,
    pub(crate) scoped: bool,
    pub(crate) task: bool,
    /// The thread whose local values and park token it uses: itself, or for a task the thread that
    /// runs its executor.
    pub(crate) host: u32,
    /// The thread that destroys its local values, if it has left that to one.
    pub(crate) epilogue: Option<u32>,
    /// Threads that it has spawned.
    pub(crate) children: u32,
}

/// What a thread knows by fences, unordered reads and its park token, and of who has ended.
#[derive(Default)]
pub(crate) struct Coherence {
    /// What SeqCst fences made known: binds which stores may be read, orders nothing else.
    pub(crate) seen: Seen,
    /// The clock, and `seen`, at the last release fence.
    pub(crate) release_fence: Clock,
    pub(crate) release_fence_seen: Seen,
    /// What an acquire fence would learn.
    pub(crate) acquirable: Clock,
    pub(crate) acquirable_seen: Seen,
    /// What comes with the park token.
    pub(crate) token_clock: Clock,
    /// Where it was told of which threads without a step left that they have not ended.
    pub(crate) asked_in_vain: Vec<(u64, u32)>,
    /// Somebody knows that it has ended.
    pub(crate) is_known_to_have_ended: bool,
}

impl Reset for Coherence {
    fn reset(&mut self) {
        self.seen.clear();
        self.release_fence.clear();
        self.release_fence_seen.clear();
        self.acquirable.clear();
        self.acquirable_seen.clear();
        self.token_clock.clear();
        self.asked_in_vain.clear();
        self.is_known_to_have_ended = false;
    }
}

/// What is noted of a thread where an explorer keeps the memory.
#[derive(Default)]
pub(crate) struct Enumerated {
    /// The words under which the pending operation only reads.
    pub(crate) refuses: Test,
    /// Its pending wait is one of a limited time, and, if so, whether that is to be up.
    pub(crate) timed: bool,
    pub(crate) expires: bool,
    /// It has written to memory that is not atomic.
    pub(crate) writes_cells: bool,
    /// The counted values whose destructors it is in, the innermost last.
    pub(crate) destroys: Vec<crate::ops::Destruction>,
    /// Nanoseconds it slept or waited.
    pub(crate) slept: u64,
}

impl Reset for Enumerated {
    fn reset(&mut self) {
        self.destroys.clear();
        let destroys = std::mem::take(&mut self.destroys);
        *self = Self { destroys, ..Self::default() };
    }
}

/// The panics of a thread.
#[derive(Default)]
pub(crate) struct Panics {
    /// The panic being raised or the one that ended it.
    pub(crate) panicked: Option<Panicked>,
    /// The panic that was unwinding it when a destructor raised `panicked`.
    pub(crate) outer_panic: Option<Panicked>,
    /// The panic before `panicked`, whatever became of it.
    pub(crate) before_last: Option<Panicked>,
    /// The last panic that the program caught: it may raise it again.
    pub(crate) caught_panic: Option<Panicked>,
}

impl Reset for Panics {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Thread {
    /// The entry of the threads of this number.
    pub(crate) fn new(number: u32, site: Site) -> Self {
        Self {
            mark: Order::mark_of_thread(number),
            state: ThreadState::Live,
            panicking: false,
            time: 0,
            pending: Pending::start(site),
            waiting: Waiting::default(),
            spinning: Spinning::default(),
            coroutine: CoroutineState { live: false, runs: false, stack: (0, 0), torn: 0, given_up: false },
            clock: Clock::default(),
            path: 0,
            origin: Origin {
                parent: None,
                spawned_at: None,
                name: None,
                scoped: false,
                task: false,
                host: 0,
                epilogue: None,
                children: 0,
            },
            coherence: Touched::default(),
            enumerated: Touched::default(),
            panics: Touched::default(),
            locals: Locals::default(),
            overlaid: Touched::default(),
        }
    }

    /// Makes the entry a new thread, keeping its memory.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn reuse(&mut self, site: Site) {
        self.state = ThreadState::Live;
        self.panicking = false;
        self.time = 0;
        self.pending = Pending::start(site);
        let waiting = &mut self.waiting;
        (waiting.listed, waiting.blocked, waiting.timed_out, waiting.token) = (false, false, false, false);
        waiting.blocked_at = None;
        waiting.joiners.clear();
        self.spinning = Spinning::default();
        (self.coroutine.live, self.coroutine.given_up, self.coroutine.torn) = (false, false, 0);
        self.coroutine.runs = false;
        self.clock.clear();
        self.path = 0;
        if self.origin.name.is_some() {
            self.origin.name = None;
        }
        self.origin.parent = None;
        self.origin.spawned_at = None;
        (self.origin.scoped, self.origin.task) = (false, false);
        (self.origin.host, self.origin.children, self.origin.epilogue) = (0, 0, None);
        self.coherence.reset();
        self.enumerated.reset();
        self.panics.reset();
        self.locals.reset();
        self.overlaid.reset();
    }

    /// Its clock, whose own component is that of thread `me`, contains its present event.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn know_time(&mut self, me: u32) {
        if self.clock.get(me) != self.time {
            self.clock.set_whole(me, self.time);
        }
    }

    /// A number for its event at a time, which no other event of the execution has.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn event_at(&self, time: u32) -> u64 {
        self.path.wrapping_add(u64::from(time).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// It synchronises with what a store, a lock or another thread releases.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn learn(&mut self, clock: &Clock, seen: &Seen) {
        self.clock.join(clock);
        if !seen.is_empty() {
            self.coherence.seen.join(seen);
        }
    }

    /// It has read, without acquiring it, what somebody released: an acquire fence will learn that.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn may_acquire(&mut self, clock: &Clock, seen: &Seen) {
        if !clock.is_empty() {
            self.coherence.acquirable.join(clock);
            self.coherence.acquirable_seen.join(seen);
        }
    }
}
