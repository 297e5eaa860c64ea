//! Threads of an execution: coroutines with what each knows and wants.

use crate::clock::Clock;
use crate::explorer::Op;
use crate::memory::Seen;
use crate::object::Test;
use crate::overlay::Overlaid;
use crate::site::Site;
use corosensei::Yielder;
use racefuzz_trace::{MemoryOrder, OpKind, Verb};
use smallvec::SmallVec;
use std::any::Any;

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
            invisible: true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Running, or stands before its pending operation.
    Live,
    /// Returned or panicked.
    Finished,
    /// Stopped by an injected kill, or by an `assume` that does not hold.
    Stopped,
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

pub(crate) struct Thread {
    /// Its coroutine has a body that has not ended.
    pub(crate) live: bool,
    /// Set while the body is started and not done.
    pub(crate) yielder: *const Yielder<(), ()>,
    /// The lowest and highest address of its stack.
    pub(crate) stack: (usize, usize),
    pub(crate) status: Status,
    pub(crate) pending: Pending,
    /// It is among the enabled threads.
    pub(crate) listed: bool,
    /// The pending operation's condition does not hold now.
    pub(crate) blocked: bool,
    /// The step at which the pending operation first could not go on, and who stood in the way.
    pub(crate) blocked_at: Option<(u32, Option<u32>)>,
    /// The pending operation ended by its deadline.
    pub(crate) timed_out: bool,
    /// The words under which the pending operation only reads: set where a `Memory` asks.
    pub(crate) refuses: Test,
    /// Its pending wait is one of a limited time, and, if so, whether that is to be up.
    pub(crate) timed: bool,
    pub(crate) expires: bool,
    /// It has written to memory that is not atomic: noted where a `Memory` asks.
    pub(crate) writes_cells: bool,
    /// The counted values whose destructors it is in, the innermost last: where a `Memory` asks.
    pub(crate) destroys: Vec<crate::ops::Destruction>,
    /// Gave way: not offered until another thread has acted.
    pub(crate) yielded: bool,
    /// How often it gave way since something changed.
    pub(crate) spins: u32,
    /// Events in a row without another thread's.
    pub(crate) alone: u32,
    /// What the last event read, if it was a load: site and write; and how often in a row.
    pub(crate) last_read: (u64, u64),
    pub(crate) same_reads: u32,
    /// Where it gave way last.
    pub(crate) last_yield: u64,

    /// Nanoseconds it slept or waited: where a `Memory` decides how long.
    pub(crate) slept: u64,
    /// Events executed: its own component of `clock`.
    pub(crate) time: u32,
    /// What happens before its next event; that event itself may be in it already.
    pub(crate) clock: Clock,
    /// What SeqCst fences made known: binds which stores may be read, orders nothing else.
    pub(crate) seen: Seen,
    /// `clock` and `seen` at the last release fence.
    pub(crate) release_fence: Clock,
    pub(crate) release_fence_seen: Seen,
    /// What an acquire fence would learn.
    pub(crate) acquirable: Clock,
    pub(crate) acquirable_seen: Seen,

    pub(crate) token: bool,
    pub(crate) token_clock: Clock,
    /// Threads that wait for its end.
    pub(crate) joiners: SmallVec<[u32; 2]>,
    /// A hash of its place in the tree of spawns.
    pub(crate) path: u64,
    pub(crate) children: u32,
    pub(crate) parent: Option<u32>,
    pub(crate) spawned_at: Option<Site>,
    pub(crate) name: Option<String>,
    pub(crate) scoped: bool,
    pub(crate) task: bool,
    /// The thread whose local values and park token it uses: itself, or for a task the thread that
    /// runs its executor.
    pub(crate) host: u32,
    /// It is unwinding, as far as is known: see [`Execution::unwinds`](crate::execution::Execution).
    pub(crate) panicking: bool,
    /// The panic being raised or the one that ended it.
    pub(crate) panicked: Option<Panicked>,
    /// The panic that was unwinding it when a destructor raised `panicked`.
    pub(crate) outer_panic: Option<Panicked>,
    /// The panic before `panicked`, whatever became of it.
    pub(crate) before_last: Option<Panicked>,
    /// The last panic that the program caught: it may raise it again.
    pub(crate) caught_panic: Option<Panicked>,
    pub(crate) killed: bool,
    pub(crate) locals: Locals,
    /// What it holds because of an overlay.
    pub(crate) overlaid: Overlaid,
    /// Operations attempted while being torn down.
    pub(crate) torn: u32,
    /// It attempted too many and is suspended for good.
    pub(crate) given_up: bool,
}

impl Thread {
    pub(crate) fn new(site: Site) -> Self {
        Self {
            live: false,
            yielder: std::ptr::null(),
            stack: (0, 0),
            status: Status::Live,
            pending: Pending::start(site),
            listed: false,
            blocked: false,
            blocked_at: None,
            timed_out: false,
            refuses: Test::Never,
            timed: false,
            expires: false,
            writes_cells: false,
            destroys: Vec::new(),
            yielded: false,
            spins: 0,
            alone: 0,
            last_read: (0, 0),
            same_reads: 0,
            last_yield: 0,
            slept: 0,
            time: 0,
            clock: Clock::default(),
            seen: Seen::default(),
            release_fence: Clock::default(),
            release_fence_seen: Seen::default(),
            acquirable: Clock::default(),
            acquirable_seen: Seen::default(),
            token: false,
            token_clock: Clock::default(),
            joiners: SmallVec::new(),
            path: 0,
            children: 0,
            parent: None,
            spawned_at: None,
            name: None,
            scoped: false,
            task: false,
            host: 0,
            panicking: false,
            panicked: None,
            outer_panic: None,
            before_last: None,
            caught_panic: None,
            killed: false,
            locals: Locals::default(),
            overlaid: Overlaid::default(),
            torn: 0,
            given_up: false,
        }
    }

    /// Makes the slot a new thread, keeping its memory.
    pub(crate) fn reuse(&mut self, site: Site) {
        self.live = false;
        self.yielder = std::ptr::null();
        self.status = Status::Live;
        self.pending = Pending::start(site);
        self.listed = false;
        self.blocked = false;
        self.blocked_at = None;
        self.timed_out = false;
        self.refuses = Test::Never;
        self.timed = false;
        self.expires = false;
        self.writes_cells = false;
        self.destroys.clear();
        self.yielded = false;
        self.spins = 0;
        self.alone = 0;
        self.last_read = (0, 0);
        self.same_reads = 0;
        self.last_yield = 0;
        self.slept = 0;
        self.time = 0;
        self.clock.clear();
        self.seen.clear();
        self.release_fence.clear();
        self.release_fence_seen.clear();
        self.acquirable.clear();
        self.acquirable_seen.clear();
        self.token = false;
        self.token_clock.clear();
        self.joiners.clear();
        self.path = 0;
        self.children = 0;
        self.parent = None;
        self.spawned_at = None;
        self.name = None;
        self.scoped = false;
        self.task = false;
        self.host = 0;
        self.panicking = false;
        self.panicked = None;
        self.outer_panic = None;
        self.before_last = None;
        self.caught_panic = None;
        self.killed = false;
        self.locals.reset();
        self.overlaid.clear();
        self.torn = 0;
        self.given_up = false;
    }
}

/// Values that belong to one thread or one execution, found by the address of their key.
#[derive(Default)]
pub(crate) struct Locals {
    slots: Vec<(usize, Option<Box<dyn Any>>)>,
    destroyed: bool,
}

impl Locals {
    pub(crate) fn state(&self, key: usize) -> Result<Option<*const dyn Any>, ()> {
        match self.slots.iter().find(|(known, _)| *known == key) {
            Some((_, Some(value))) => Ok(Some(&raw const **value)),
            Some((_, None)) => Err(()),
            None if self.destroyed => Err(()),
            None => Ok(None),
        }
    }

    /// As new, keeping its memory.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn reset(&mut self) {
        if !self.slots.is_empty() {
            self.slots.clear();
        }
        self.destroyed = false;
    }

    /// No value was ever made.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_unused(&self) -> bool {
        self.slots.is_empty()
    }

    /// There is no value, perhaps no more.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(|(_, value)| value.is_none())
    }

    pub(crate) fn insert(&mut self, key: usize, value: Box<dyn Any>) {
        self.slots.push((key, Some(value)));
    }

    /// Takes out the value to be destroyed next: the one made last.
    pub(crate) fn take_next(&mut self) -> Option<Box<dyn Any>> {
        let value = self.slots.iter_mut().rev().find_map(|(_, value)| value.take());
        self.destroyed = value.is_none();
        value
    }
}
