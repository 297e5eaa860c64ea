//! The parts of an execution by duty, each with what it is at the beginning.

use super::mix;
use crate::alloc::Region;
use crate::clock::Clock;
use crate::config::Config;
use crate::continuation::{Continuation, Left};
use crate::explorer::{Explorer, Op, Words};
use crate::failure::Detected;
use crate::fiber::Home;
use crate::graph::Memory;
use crate::heap::Heap;
use crate::locals::Locals;
use crate::object::WriteRef;
use crate::ops::Spare;
use crate::ops::unseen::Learning;
use crate::schedule::Fairness;
use crate::site::Site;
use crate::stacks::StackPool;
use crate::statics::Statics;
use crate::store_history::Seen;
use racefuzz_trace::{Choice, MemoryModel, ObjectKind, ThreadId};
use std::rc::Rc;

/// Who decides, and what was decided.
pub(crate) struct Driver {
    pub(crate) explorer: *mut dyn Explorer,
    /// The explorer is told of events.
    pub(crate) observes: bool,
    /// The explorer's random words, if it chooses threads uniformly.
    pub(crate) uniform: Option<Rc<Words>>,
    /// The explorer, if it keeps the memory.
    pub(crate) memory: Option<*mut dyn Memory>,
    pub(crate) choices: Vec<Choice>,
    /// Faults that may still be injected.
    pub(crate) faults_left: u32,
}

impl Driver {
    pub(crate) fn new() -> Self {
        let explorer: *mut dyn Explorer = std::ptr::null_mut::<crate::explorer::Nobody>();
        Self { explorer, observes: false, uniform: None, memory: None, choices: Vec::new(), faults_left: 0 }
    }

    /// An execution begins, which `explorer` decides. The explorer must not be used otherwise before its end.
    pub(crate) fn begin(&mut self, explorer: &mut dyn Explorer, config: &Config) {
        self.observes = explorer.observes();
        self.uniform = explorer.uniform();
        // SAFETY: only the lifetime changes; the pointers are used during `Runner::run` only, which borrows
        // the explorer for longer.
        unsafe {
            self.memory = explorer
                .memory()
                .map(|memory| std::mem::transmute::<&mut dyn Memory, *mut dyn Memory>(memory));
            self.explorer = std::mem::transmute::<&mut dyn Explorer, *mut dyn Explorer>(explorer);
        }
        self.choices.clear();
        self.faults_left = u32::from(config.inject.panic || config.inject.kill);
    }
}

/// Whose turn it may be.
#[derive(Default)]
pub(crate) struct Schedule {
    pub(crate) thread_count: usize,
    /// Threads that have not ended.
    pub(crate) unfinished: usize,
    /// Threads whose pending operation may happen, ascending.
    pub(crate) enabled: Vec<ThreadId>,
    /// How often these have changed.
    pub(crate) changes: u64,
    /// Threads whose pending operation may happen and commutes with everything.
    pub(crate) ready: Vec<u32>,
    /// Threads that wait with a deadline.
    pub(crate) timed: Vec<u32>,
    /// Threads that gave way.
    pub(crate) yielded: usize,
    /// Rounds since somebody changed something in which all that could run had given way.
    pub(crate) idle_rounds: u32,
    /// Memory for those that did not.
    pub(crate) offered: Vec<ThreadId>,
    /// Events executed.
    pub(crate) steps: u32,
    /// Steps up to which there is nothing to be looked at but their number.
    pub(crate) unlooked: u32,
    /// Steps up to which nobody asks for either: never beyond `unlooked`.
    pub(crate) look_at: u32,
    /// Steps up to which a thread that states a step has to look at nothing but this number, unless something
    /// [disturbs](Self::disturb) that: several threads are enabled, none of them gave way or is ready, none
    /// unwinds, the explorer alone chooses, no limit is reached.
    pub(crate) calm_until: u32,
    /// Some thread was seen to unwind.
    pub(crate) unwinding_seen: bool,
    /// Who runs is the explorer's choice alone: it does not keep the memory, and the fair tail has not begun.
    pub(crate) chooses_freely: bool,
    pub(crate) fairness: Fairness,
    /// Virtual time that has passed besides that of events, in nanoseconds.
    passed: u64,
    /// The step at which somebody looked at it last, and how often since.
    pub(crate) looks: (u32, u32),
    /// What an event takes of it.
    pub(crate) step_time: u64,
}

impl Schedule {
    /// An execution begins; what depends on its settings is set by
    /// [`begin_unfairly`](super::Execution::begin_unfairly).
    pub(crate) fn begin(&mut self) {
        (self.thread_count, self.unfinished, self.yielded) = (0, 0, 0);
        self.enabled.clear();
        self.ready.clear();
        self.timed.clear();
        (self.steps, self.passed, self.idle_rounds, self.looks) = (0, 0, 0, (0, 0));
        (self.calm_until, self.look_at, self.unwinding_seen) = (0, 0, false);
    }

    /// What may happen next has changed: the next thread that states a step looks at everything.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn disturb(&mut self) {
        self.calm_until = 0;
    }
}

impl Schedule {
    /// Counts an event.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn count(&mut self) {
        self.steps += 1;
    }

    /// Virtual time in nanoseconds. A wait that has no end takes it to the largest number, and the next event beyond.
    pub(crate) fn now(&self) -> u64 {
        self.passed.wrapping_add(u64::from(self.steps) * self.step_time)
    }

    /// It is this late at least.
    pub(crate) fn advance_to(&mut self, time: u64) {
        self.passed = self.passed.wrapping_add(time.saturating_sub(self.now()));
    }
}

/// How much of the order among events is kept.
///
/// Most programs that are sampled use SeqCst atomics and locks, and nothing that is not atomic: then there is
/// one store that a load may read, and nobody ever asks whether one event happens before another. Such an
/// execution is [`Light`](Detail::Light): it keeps neither clocks nor more than one store. The first operation
/// for which that is not enough ends it, and it is executed again with everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Clocks, and under memory models other than `sc` store histories.
    #[default]
    Full,
    /// Neither.
    Light,
    /// Neither was not enough: the execution has ended.
    Missing,
}

/// What executed events have established: the order among them, and what of it is in doubt.
#[derive(Default)]
pub(crate) struct Order {
    pub(crate) detail: Detail,
    /// Clocks are kept.
    pub(crate) has_clocks: bool,
    /// Somebody has asked for clocks or store histories.
    pub(crate) asked: bool,
    /// Atomics have one store, the newest.
    pub(crate) sequential: bool,
    /// That is so only as long as every access is SeqCst.
    pub(crate) seq_cst_only: bool,
    /// A thread's own later stores belong to its release sequences, as before C++20: crates that are compiled for the
    /// thread sanitizer count on that.
    pub(crate) sequences_by_thread: bool,
    /// One word per event, to find the first step in which two runs of one schedule differ.
    pub(crate) log: Vec<u64>,
    /// A sum over reads-from and modification-order edges: equal for equivalent executions.
    pub(crate) class: u64,
    /// The number of the last SeqCst store or fence.
    pub(crate) sc_number: u32,
    /// What SeqCst fences have made known.
    pub(crate) sc_fences: Seen,
    /// The program has looked at a reference count.
    pub(crate) counts_observed: bool,
    /// What last owners learned and were made to forget: see `ops::counted`.
    pub(crate) forgotten: Clock,
    /// What was read or overwritten in the meantime may be impossible for those who had not.
    pub(crate) doubtful: bool,
    /// Some thread has read the address of a block whose allocation it does not know of.
    pub(crate) received_unknown: bool,
    /// Who has learned from whom on behalf of code that is not seen.
    pub(crate) learning: Learning,
}

impl Order {
    /// What the number of a thread is in a word of the log.
    pub(crate) const fn mark_of_thread(thread: u32) -> u64 {
        (thread as u64 & 0xfff) << 52
    }

    /// What the number of an object is in a word of the log.
    pub(crate) const fn mark_of_object(object: u32) -> u64 {
        (object as u64 & 0xf_ffff) << 24
    }

    /// Logs an event for comparison with a replay.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn log(&mut self, thread: u32, op: &Op, value: u64) {
        self.log_marked(Self::mark_of_thread(thread) | Self::mark_of_object(op.object), op, value);
    }

    /// [`log`](Self::log), where the marks of the thread and of the object are at hand.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn log_marked(&mut self, marks: u64, op: &Op, value: u64) {
        self.log.push(marks | (op.verb as u64) << 44 | (value & 0xff_ffff));
    }

    /// An edge of the execution graph.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn edge(&mut self, kind: u64, from: WriteRef, to: WriteRef) {
        self.class = self.class.wrapping_add(mix(from.event.wrapping_add(kind), to.event));
    }

    /// An execution begins.
    pub(crate) fn begin(&mut self, light: bool, memory: MemoryModel, process: bool) {
        self.sequences_by_thread = process;
        self.detail = if light { Detail::Light } else { Detail::Full };
        (self.has_clocks, self.asked) = (!light, false);
        self.sequential = light || memory == MemoryModel::Sc;
        self.seq_cst_only = light && memory != MemoryModel::Sc;
        self.log.clear();
        (self.class, self.sc_number) = (0, 0);
        self.sc_fences.clear();
        if !self.forgotten.is_empty() {
            self.forgotten.clear();
        }
        (self.counts_observed, self.doubtful, self.received_unknown) = (false, false, false);
        self.learning.begin();
    }
}

/// Where the program's values lie.
#[derive(Default)]
pub(crate) struct Storage {
    pub(crate) object_count: usize,
    /// The object of the console, once it is used.
    pub(crate) console: Option<u32>,
    /// Counted values that were not released.
    pub(crate) live_references: u32,
    pub(crate) allocations: Heap,
    /// Where the program's memory lies, once it has any.
    pub(crate) region: Option<Region>,
    pub(crate) statics: Statics,
    /// Values that live as long as the execution.
    pub(crate) globals: Locals,
    /// Some thread has values that live as long as it does.
    pub(crate) any_locals: bool,
    /// Oracles that run at its end.
    pub(crate) finals: Vec<Box<dyn FnOnce()>>,
    /// Objects that an earlier execution had used.
    pub(crate) left_over: Vec<(ObjectKind, Site)>,
}

impl Storage {
    /// An execution begins.
    pub(crate) fn begin(&mut self) {
        (self.object_count, self.console, self.live_references) = (0, None, 0);
        self.any_locals = false;
        self.globals.reset();
        self.left_over.clear();
    }
}

/// How the execution ends.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) failure: Option<Detected>,
    /// A limit ended it, or the watchdog did.
    pub(crate) stopped: bool,
    /// The explorer ended it, as it says nothing about the program.
    pub(crate) discarded: bool,
    /// The running thread that the watchdog made it leave where that stood.
    pub(crate) left: Option<u32>,
    /// Panics so far.
    pub(crate) panics: u32,
    /// The `assume` that does not hold.
    pub(crate) blocked_at: Option<Site>,
    /// A thread went on that would have given way, had it not insisted.
    pub(crate) insisted: bool,
    /// Threads that could not be ended.
    pub(crate) abandoned: u32,
    /// The lines that were printed.
    pub(crate) console: Vec<String>,
}

impl Outcome {
    /// An execution begins.
    pub(crate) fn begin(&mut self) {
        if self.failure.is_some() {
            self.failure = None;
        }
        (self.stopped, self.discarded, self.left, self.blocked_at) = (false, false, None, None);
        self.insisted = false;
        (self.panics, self.abandoned) = (0, 0);
        self.console.clear();
    }
}

/// The coroutines that threads run on.
pub(crate) struct Coroutines {
    /// By thread number; apart from the threads, and boxed, because a running one is borrowed while
    /// everything else changes.
    #[expect(clippy::vec_box, reason = "a spawn moves the table while a coroutine runs")]
    pub(crate) continuations: Vec<Box<Continuation>>,
    /// Bodies of threads that have not ended.
    pub(crate) live: usize,
    /// Where the operating-system thread goes on when no coroutine does.
    pub(crate) home: Home,
    /// What a coroutine was left for, but for those that wait for their turn.
    pub(crate) is_left: Option<Left>,
    /// Suspended coroutines that are in the middle of unwinding, and whatever unwound on this
    /// operating-system thread before the execution began: what `std::thread::panicking` counts
    /// besides the running coroutine.
    pub(crate) unwinding_elsewhere: u32,
    pub(crate) stacks: StackPool,
    /// Memory for what threads leave.
    pub(crate) spare: Spare,
}

impl Coroutines {
    pub(crate) fn new(stacks: StackPool) -> Self {
        Self {
            continuations: Vec::new(),
            live: 0,
            home: Home::default(),
            is_left: None,
            unwinding_elsewhere: 0,
            stacks,
            spare: Spare::default(),
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn add_continuation(&mut self) {
        self.continuations.push(Box::new(Continuation::new()));
    }

    /// An execution begins.
    pub(crate) fn begin(&mut self) {
        self.live = 0;
        self.unwinding_elsewhere = u32::from(std::thread::panicking());
    }
}
