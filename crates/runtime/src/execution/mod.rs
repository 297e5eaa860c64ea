//! The state of one execution, and how it is entered from the code under test.

mod choosing;
mod objects;
mod waiting;

use crate::alloc::{Region, runtime_scope};
use crate::clock::Clock;
use crate::config::Config;
use crate::explorer::{Explorer, Op};
use crate::failure::Detected;
use crate::graph::Memory;
use crate::heart::Heart;
use crate::lane::Lane;
use crate::memory::Seen;
use crate::object::{Object, WriteRef};
use crate::overlay::Applied;
use crate::record::Recorder;
use crate::schedule::Fairness;
use crate::site::Site;
use crate::stacks::StackPool;
use crate::statics::Statics;
use crate::thread::{Locals, Thread};
use racefuzz_trace::{Choice, Event, MemoryModel, ObjectId, OpKind, ThreadId};
use std::cell::Cell;
use std::sync::Arc;

/// Why an operation is not part of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The caller runs outside every execution: behave as std does.
    Outside,
    /// The execution is being torn down: do not block, do not fail.
    TearDown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Every thread has ended; the root runs oracles and releases what outlives threads.
    Ending,
    TearDown,
}

/// No thread is to run next.
pub(crate) const NOBODY: u32 = u32::MAX;

/// A thread that gave way more often than this, and nothing changed, has spun for long.
const PATIENCE: u32 = 16;

/// What the runtime keeps between executions is memory only: every field is set by `begin`.
pub(crate) struct Execution {
    pub(crate) config: Config,
    pub(crate) heart: Arc<Heart>,
    pub(crate) explorer: *mut dyn Explorer,
    pub(crate) observes: bool,
    /// The explorer, if it keeps the memory.
    pub(crate) memory: Option<*mut dyn Memory>,
    pub(crate) epoch: u64,
    pub(crate) phase: Phase,

    pub(crate) threads: Vec<Thread>,
    /// The coroutines of `threads`; apart from them, and boxed, because a running one is borrowed
    /// while everything else changes.
    #[expect(clippy::vec_box, reason = "a spawn moves the table while a coroutine runs")]
    pub(crate) lanes: Vec<Box<Lane>>,
    /// The coroutine that was just suspended is at the end of its thread.
    pub(crate) parked: bool,
    pub(crate) thread_count: usize,
    pub(crate) unfinished: usize,
    /// The thread that runs, or is to run next.
    pub(crate) current: u32,
    /// Threads whose pending operation may happen, ascending.
    pub(crate) enabled: Vec<ThreadId>,
    /// Threads whose pending operation may happen and commutes with everything.
    pub(crate) ready: Vec<u32>,
    /// Threads that wait with a deadline.
    pub(crate) timed: Vec<u32>,
    pub(crate) yielded: usize,
    pub(crate) offered: Vec<ThreadId>,

    pub(crate) objects: Vec<Object>,
    pub(crate) object_count: usize,
    pub(crate) console: Vec<String>,
    pub(crate) console_object: u32,

    pub(crate) steps: u32,
    /// Steps up to which there is nothing to be looked at but their number.
    pub(crate) unlooked: u32,
    /// Who runs is the explorer's choice alone: it does not keep the memory, and the fair tail has not begun.
    pub(crate) chooses_freely: bool,
    pub(crate) fairness: Fairness,
    pub(crate) choices: Vec<Choice>,
    /// One word per event, to find the first step in which two runs of one schedule differ.
    pub(crate) log: Vec<u64>,
    /// A sum over reads-from and modification-order edges: equal for equivalent executions.
    pub(crate) class: u64,
    /// Virtual time in nanoseconds.
    pub(crate) now: u64,
    /// The number of the last SeqCst store or fence.
    pub(crate) sc_number: u32,
    /// What SeqCst fences have made known.
    pub(crate) sc_fences: Seen,

    pub(crate) failure: Option<Detected>,
    /// A limit ended it, or the watchdog did.
    pub(crate) stopped: bool,
    /// The explorer ended it, as it says nothing about the program.
    pub(crate) discarded: bool,
    /// The running thread that the watchdog made it leave where that stood.
    pub(crate) left: Option<u32>,
    pub(crate) panics: u32,
    /// The `assume` that does not hold.
    pub(crate) blocked_at: Option<Site>,
    pub(crate) abandoned: u32,
    /// Suspended coroutines that are in the middle of unwinding, and whatever unwound on this
    /// operating-system thread before the execution began: what `std::thread::panicking` counts
    /// besides the running coroutine.
    pub(crate) unwinding_elsewhere: u32,
    pub(crate) faults_left: u32,
    pub(crate) counts_observed: bool,
    /// What last owners learned and were made to forget: see `ops::counted`.
    pub(crate) forgotten: Clock,
    /// What was read or overwritten in the meantime may be impossible for those who had not.
    pub(crate) doubtful: bool,
    pub(crate) live_references: u32,
    pub(crate) left_over: Vec<(racefuzz_trace::ObjectKind, Site)>,
    pub(crate) finals: Vec<Box<dyn FnOnce()>>,
    pub(crate) globals: Locals,
    pub(crate) allocations: crate::heap::Heap,
    /// Where the program's memory lies, once it has any.
    pub(crate) region: Option<Region>,
    /// Some thread has read the address of a block whose allocation it does not know of.
    pub(crate) received_unknown: bool,
    pub(crate) statics: Statics,
    pub(crate) recorder: Option<Box<Recorder>>,
    /// The overlay that applies; out of its place only while it is looked at.
    pub(crate) overlay: Option<Box<Applied>>,
    pub(crate) stacks: StackPool,
}

thread_local! {
    static CURRENT: Cell<*mut Execution> = const { Cell::new(std::ptr::null_mut()) };
}

/// The execution that runs on this operating-system thread; null outside one.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn current() -> *mut Execution {
    CURRENT.get()
}

#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn set_current(execution: *mut Execution) {
    CURRENT.set(execution);
}

/// Runs `f` on the execution, unless there is none or it is being torn down.
///
/// `f` must not run code of the program under test: that code enters here again.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn with<R>(f: impl FnOnce(&mut Execution) -> R) -> Result<R, Absent> {
    let execution = current();
    if execution.is_null() {
        return Err(Absent::Outside);
    }
    let _runtime = runtime_scope();
    // SAFETY: `CURRENT` points to the execution for as long as its worker runs it on this thread,
    // and no other reference lives: `f` does not enter again, and coroutines switch only outside
    // such closures.
    let execution = unsafe { &mut *execution };
    if execution.phase == Phase::TearDown {
        return Err(crate::schedule::attempted());
    }
    Ok(f(execution))
}

/// The same for an operation that an ended execution may not get past: unless it is unwinding
/// already, the calling thread then unwinds.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn enter<R>(f: impl FnOnce(&mut Execution) -> R) -> Result<R, Absent> {
    with(f).map_err(crate::schedule::leave_if_torn)
}

/// The execution, for an operation that states and executes a step: as [`enter`], for code that goes
/// on with the same execution after the switch.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn alive() -> Result<*mut Execution, Absent> {
    let execution = current();
    if execution.is_null() {
        return Err(Absent::Outside);
    }
    // SAFETY: see `with`; a plain read.
    if unsafe { (*execution).phase } == Phase::TearDown {
        return Err(crate::schedule::leave_if_torn(crate::schedule::attempted()));
    }
    Ok(execution)
}

/// The same for an event that is no scheduling point: the step limit holds for it, too.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn free_event<R>(f: impl FnOnce(&mut Execution) -> R) -> Result<R, Absent> {
    let (result, spent) = enter(|execution| (f(execution), execution.is_spent()))?;
    if spent {
        crate::schedule::step_limit()?;
    }
    Ok(result)
}

/// Whether an address lies in the guard page of the running thread's stack: its number and stack
/// size. Called from a signal handler: only reads.
#[cfg(unix)]
pub(crate) fn overflowed(address: usize) -> Option<(u32, usize)> {
    let execution = current();
    if execution.is_null() {
        return None;
    }
    // SAFETY: the handler interrupts this very thread, and only in a write to its stack, where no
    // reference to these fields is being written through.
    unsafe {
        let thread = (*execution).current;
        let threads = &(*execution).threads;
        let (low, high) = threads.get(thread as usize)?.stack;
        (address >= low.saturating_sub(4096) && address < low + 4 * 4096).then_some((thread, high - low))
    }
}

/// The event a thread is executing.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) thread: u32,
    pub(crate) time: u32,
    pub(crate) write: WriteRef,
}

#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
    (product as u64) ^ (product >> 64) as u64
}

impl Execution {
    /// Whether it has taken as many steps as it may, or is to stop for another reason.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_spent(&mut self) -> bool {
        (self.steps >= self.unlooked || self.heart.stops()) && self.looks_at_steps()
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn sequential(&self) -> bool {
        self.config.memory == MemoryModel::Sc
    }

    /// The coroutine for a thread of this number, ready to be given a body.
    ///
    /// # Errors
    /// If the system has no memory (or no mappings) left for one more stack.
    pub(crate) fn lane(&mut self, thread: usize, stack_size: Option<usize>) -> std::io::Result<&mut Lane> {
        if thread == self.lanes.len() {
            self.lanes.push(Box::new(Lane::new()));
        }
        let lane = &mut *self.lanes[thread];
        lane.prepare(&mut self.stacks, stack_size)?;
        Ok(lane)
    }

    /// Counts an event of the current thread.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn event(&mut self, op: &Op) -> Now {
        let me = self.current;
        let thread = &mut self.threads[me as usize];
        thread.time += 1;
        let time = thread.time;
        if thread.clock.get(me) != time {
            thread.clock.set_whole(me, time);
        }
        self.steps += 1;
        self.now += 1_000;
        let event = mix(thread.path, u64::from(time));
        if self.yielded != 0 {
            use OpKind::{Alloc, Finish, Free, Print, Spawn, Write};
            self.wake_yielded(me, matches!(op.kind, Alloc | Finish | Free | Print | Spawn | Write));
        }
        if self.observes {
            self.observed(*op);
        }
        Now { thread: me, time, write: WriteRef { event, step: self.steps } }
    }

    /// Takes the operation by value, so that it need not be in memory where nobody observes it.
    #[inline(never)]
    fn observed(&mut self, op: Op) {
        // SAFETY: the explorer outlives the execution and is not otherwise borrowed while the
        // runtime runs (see `Runner::run`).
        unsafe { (*self.explorer).executed(ThreadId(self.current), &op) };
    }

    /// Another thread has acted: those that gave way are offered again. Those that have spun for
    /// long only if it `changed` something: two threads that spin would otherwise offer each other
    /// for ever, and a strategy without fairness of its own would never take the one they wait for
    /// (as in fair stateless model checking: Musuvathi & Qadeer, PLDI'08).
    #[cold]
    fn wake_yielded(&mut self, me: u32, changed: bool) {
        for (index, thread) in self.threads[..self.thread_count].iter_mut().enumerate() {
            if thread.yielded && index as u32 != me && (changed || thread.spins <= PATIENCE) {
                thread.yielded = false;
                self.yielded -= 1;
                if changed {
                    thread.spins = 0;
                }
            }
        }
    }

    /// The current thread gives way: it is not offered until another has acted.
    pub(crate) fn give_way(&mut self) {
        // What was explored says who goes on; it knows no such courtesy.
        if self.config.explored {
            return;
        }
        let thread = &mut self.threads[self.current as usize];
        if !thread.yielded {
            thread.yielded = true;
            thread.spins = thread.spins.saturating_add(1);
            self.yielded += 1;
        }
    }

    /// Logs the event for comparison with a replay.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn log(&mut self, now: &Now, op: &Op, value: u64) {
        self.log.push(
            (u64::from(now.thread) & 0xfff) << 52
                | (op.verb as u64) << 44
                | (u64::from(op.object) & 0xf_ffff) << 24
                | (value & 0xff_ffff),
        );
    }

    /// An edge of the execution graph.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn edge(&mut self, kind: u64, from: WriteRef, to: WriteRef) {
        self.class = self.class.wrapping_add(mix(from.event.wrapping_add(kind), to.event));
    }

    /// Records an event, if this execution is recorded.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn record(&mut self, op: &Op, site: Site, fill: impl FnOnce(&mut Recorder, &mut Event)) {
        if self.recorder.is_some() {
            self.record_event(*op, site, fill);
        }
    }

    #[cold]
    fn record_event(&mut self, op: Op, site: Site, fill: impl FnOnce(&mut Recorder, &mut Event)) {
        let me = self.current;
        let waited = self.threads[me as usize].blocked_at.take();
        let Some(recorder) = &mut self.recorder else { return };
        let mut event = Event {
            step: 0,
            thread: ThreadId(me),
            kind: op.kind,
            verb: op.verb,
            order: op.order,
            object: (op.object < self.object_count as u32).then_some(ObjectId(op.object)),
            site: recorder.site(site),
            implied: false,
            read: None,
            wrote: None,
            ok: true,
            reads_from: None,
            newer: None,
            waited: waited
                .map(|(since, holder)| racefuzz_trace::Waiting { since, holder: holder.map(ThreadId) }),
            other: None,
            text: None,
        };
        fill(recorder, &mut event);
        recorder.event(event);
    }
}
