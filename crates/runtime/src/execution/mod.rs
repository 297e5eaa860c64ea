//! The state of one execution, and how it is entered from the code under test.

mod choosing;
mod entering;
mod objects;
mod parts;
mod waiting;

pub(crate) use entering::{alive, current, enter, free_event, plain, set_current, with};
pub(crate) use parts::{Coroutines, Detail, Driver, Order, Outcome, Schedule, Storage};

use crate::config::Config;
use crate::continuation::Continuation;
use crate::explorer::Op;
use crate::heartbeat::Heartbeat;
use crate::object::{Object, WriteRef};
use crate::overlay::Applied;
use crate::record::Recorder;
use crate::site::Site;
use crate::thread::Thread;
use racefuzz_trace::{Event, Inject, ObjectId, OpKind, ThreadId};
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

/// The running execution. What the runtime keeps between executions is memory only.
pub(crate) struct Execution {
    pub(crate) config: Config,
    pub(crate) heartbeat: Arc<Heartbeat>,
    /// Its number in the process.
    pub(crate) epoch: u64,
    /// The tag that the first object used in it has.
    pub(crate) tag: u64,
    phase: Phase,
    /// It keeps neither clocks nor store histories, and is not `slow`: an atomic access is one of the newest
    /// word. See [`ops::atomic`](crate::ops::load).
    pub(crate) lean: bool,
    /// Something is on that few executions have, so that a step has to look for it: an overlay, a
    /// recorder, a graph, faults, an end. See [`Execution::look_around`].
    pub(crate) slow: bool,
    /// The thread that runs, or is to run next: changed by [`run_next`](Self::run_next) only.
    pub(crate) current: u32,
    /// Its entry, if it has one.
    running: *mut Thread,
    pub(crate) threads: Vec<Thread>,
    pub(crate) objects: Vec<Object>,
    pub(crate) driver: Driver,
    pub(crate) schedule: Schedule,
    pub(crate) order: Order,
    pub(crate) storage: Storage,
    pub(crate) outcome: Outcome,
    pub(crate) coroutines: Coroutines,
    pub(crate) recorder: Option<Box<Recorder>>,
    /// The overlay that applies; out of its place only while it is looked at.
    pub(crate) overlay: Option<Box<Applied>>,
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
        let (low, high) = threads.get(thread as usize)?.coroutine.stack;
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
    pub(crate) fn new(config: Config, stacks: crate::stacks::StackPool) -> Self {
        Self {
            config,
            heartbeat: Arc::default(),
            epoch: 0,
            tag: 0,
            phase: Phase::Running,
            lean: false,
            slow: false,
            current: NOBODY,
            running: std::ptr::null_mut(),
            threads: Vec::new(),
            objects: Vec::new(),
            driver: Driver::new(),
            schedule: Schedule::default(),
            order: Order::default(),
            storage: Storage::default(),
            outcome: Outcome::default(),
            coroutines: Coroutines::new(stacks),
            recorder: None,
            overlay: None,
        }
    }

    /// An execution begins, which `explorer` decides.
    pub(crate) fn begin(
        &mut self,
        epoch: u64,
        explorer: &mut dyn crate::Explorer,
        recorder: Option<Box<Recorder>>,
    ) {
        self.epoch = epoch;
        self.tag = crate::object::Shared::first_tag(epoch);
        self.phase = Phase::Running;
        self.run_next(NOBODY);
        self.driver.begin(explorer, &self.config);
        self.schedule.begin();
        self.begin_unfairly();
        self.storage.begin();
        self.outcome.begin();
        self.coroutines.begin();
        self.recorder = recorder;
        self.slow = self.is_slow();
        let light = self.config.light && !self.slow;
        self.order.begin(light, self.config.memory, self.config.process);
        self.lean = light;
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.look_around();
    }

    /// Finds out whether steps have to look for anything but their own effect. Called whenever that may
    /// change, so that each step asks one question instead of ten.
    pub(crate) fn look_around(&mut self) {
        self.slow = self.is_slow();
        self.lean = !self.slow && self.order.detail == Detail::Light;
        self.schedule.disturb();
    }

    fn is_slow(&self) -> bool {
        self.phase != Phase::Running
            || !self.schedule.chooses_freely
            || self.config.overlay.is_some()
            || self.recorder.is_some()
            || self.config.explored
            || self.config.inject != Inject::default()
    }

    /// Another thread is the one that runs, or that runs next.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn run_next(&mut self, thread: u32) {
        self.current = thread;
        self.running = self.threads.as_mut_ptr().wrapping_add(thread as usize);
    }

    /// One more entry for threads than any execution has needed so far.
    #[cold]
    #[inline(never)]
    pub(crate) fn add_entry(&mut self, site: Site) {
        self.threads.push(Thread::new(site));
        self.run_next(self.current);
    }

    /// The thread that runs.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn running(&mut self) -> &mut Thread {
        debug_assert!((self.current as usize) < self.schedule.thread_count);
        debug_assert!(std::ptr::eq(self.running, &raw const self.threads[self.current as usize]));
        // SAFETY: while a thread runs, `current` is its number and this its entry: threads stay until the execution
        // ends, and where entries move, `add_entry` says so.
        unsafe { &mut *self.running }
    }

    /// The thread that runs and an object that it has resolved.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn running_with(&mut self, object: u32) -> (&mut Thread, &mut Object) {
        debug_assert!(
            (self.current as usize) < self.schedule.thread_count
                && (object as usize) < self.storage.object_count
        );
        // SAFETY: as in `running`; `resolve` gives no number that no object has, and objects stay until the
        // execution ends.
        unsafe { (&mut *self.running, self.objects.get_unchecked_mut(object as usize)) }
    }

    /// The thread that runs, an object that it has resolved, and what events are counted in.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn parts(&mut self, object: u32) -> (&mut Thread, &mut Object, &mut Order) {
        debug_assert!((self.current as usize) < self.schedule.thread_count);
        debug_assert!((object as usize) < self.storage.object_count);
        // SAFETY: as in `running_with`.
        let (thread, entry) =
            unsafe { (&mut *self.running, self.objects.get_unchecked_mut(object as usize)) };
        (thread, entry, &mut self.order)
    }

    /// An operation asks for clocks: whether they are kept. What is not known is of no use to an execution
    /// that goes on without; it will be executed again with them.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn asks_for_clocks(&mut self) -> bool {
        self.order.asked = true;
        self.order.has_clocks || self.lacks_detail()
    }

    #[cold]
    #[inline(never)]
    fn lacks_detail(&mut self) -> bool {
        // When all threads have ended their events happen before whatever else there is.
        if self.phase == Phase::Running {
            self.order.detail = Detail::Missing;
        }
        false
    }

    /// Whether it has taken as many steps as it may, or is to stop for another reason.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_spent(&mut self) -> bool {
        (self.schedule.steps >= self.schedule.unlooked || self.heartbeat.stops()) && self.looks_at_steps()
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn sequential(&self) -> bool {
        self.order.sequential
    }

    /// The coroutine for a thread of this number, ready to be given a body.
    ///
    /// # Errors
    /// If the system has no memory (or no mappings) left for one more stack.
    #[inline]
    pub(crate) fn continuation(
        &mut self,
        thread: usize,
        stack_size: Option<usize>,
    ) -> std::io::Result<&mut Continuation> {
        if thread == self.coroutines.continuations.len() {
            self.coroutines.add_continuation();
        }
        let continuation = &mut *self.coroutines.continuations[thread];
        continuation.prepare(&mut self.coroutines.stacks, stack_size)?;
        Ok(continuation)
    }

    /// Counts an event of the current thread.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn event(&mut self, op: &Op) -> Now {
        let me = self.current;
        let thread = self.running();
        thread.time += 1;
        let time = thread.time;
        let event = thread.event_at(time);
        if self.order.has_clocks {
            self.running().know_time(me);
        }
        self.schedule.count();
        if self.schedule.yielded != 0 {
            use OpKind::{Alloc, Finish, Free, Print, Spawn, Write};
            self.wake_yielded(me, matches!(op.kind, Alloc | Finish | Free | Print | Spawn | Write));
        }
        if self.driver.observes {
            self.observed(*op);
        }
        Now { thread: me, time, write: WriteRef { event, step: self.schedule.steps } }
    }

    /// Takes the operation by value, so that it need not be in memory where nobody observes it.
    #[inline(never)]
    pub(crate) fn observed(&mut self, op: Op) {
        // SAFETY: the explorer outlives the execution and is not otherwise borrowed while the
        // runtime runs (see `Runner::run`).
        unsafe { (*self.driver.explorer).executed(ThreadId(self.current), &op) };
    }

    /// Another thread has acted: those that gave way are offered again. Those that have spun for
    /// long only if it `changed` something: two threads that spin would otherwise offer each other
    /// for ever, and a strategy without fairness of its own would never take the one they wait for
    /// (as in fair stateless model checking: Musuvathi & Qadeer, PLDI'08).
    #[cold]
    pub(crate) fn wake_yielded(&mut self, me: u32, changed: bool) {
        for (index, thread) in self.threads[..self.schedule.thread_count].iter_mut().enumerate() {
            if thread.spinning.yielded && index as u32 != me && (changed || thread.spinning.spins <= PATIENCE)
            {
                thread.spinning.yielded = false;
                self.schedule.yielded -= 1;
                if changed {
                    thread.spinning.spins = 0;
                }
            }
        }
    }

    /// The current thread gives way at a place, if that is where it did so last. Who does so once need not wait for
    /// anybody: it may well be the next.
    pub(crate) fn give_way_again(&mut self, site: Site) {
        let last = &mut self.running().spinning.last_yield;
        let again = std::mem::replace(last, site.number()) == site.number();
        // Who insists does so from the first round on.
        if again || self.config.insistence > 0 {
            self.give_way();
        }
    }

    /// Whether the current thread goes on, although it should give way.
    #[cold]
    fn insists(&mut self) -> bool {
        /// A round with more events is taken for other things that were done meanwhile.
        const LONGEST_ROUND: u32 = 16;
        let most = self.config.insistence;
        let thread = self.running();
        let (time, last) = (thread.time, &mut thread.spinning.insistence);
        if last.rounds == most {
            last.until = 0;
            return false;
        }
        let round = time - last.since;
        if round == 0 && last.until > time {
            // A load that repeats, and the hint behind it.
            return true;
        }
        let round = if (1..=LONGEST_ROUND).contains(&round) { round } else { 1 };
        (last.rounds, last.since, last.until) = (last.rounds + 1, time, time + round);
        self.outcome.insisted = true;
        true
    }

    /// The current thread gives way: it is not offered until another has acted.
    pub(crate) fn give_way(&mut self) {
        // What was explored says who goes on; it knows no such courtesy.
        if self.config.explored || self.config.insistence > 0 && self.insists() {
            return;
        }
        let thread = &mut self.threads[self.current as usize];
        if !thread.spinning.yielded {
            thread.spinning.yielded = true;
            thread.spinning.spins = thread.spinning.spins.saturating_add(1);
            self.schedule.yielded += 1;
            self.schedule.disturb();
        }
    }

    /// The event has happened: it is logged, and the thread's clock is made ready for the next one, which a
    /// processor is slow to read as a whole if a part of it was just written.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn complete(&mut self, now: &Now, op: &Op, value: u64) {
        if self.order.has_clocks {
            self.running().clock.prepare(now.thread, now.time + 1);
        }
        self.log(now, op, value);
    }

    /// Logs the event for comparison with a replay.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn log(&mut self, now: &Now, op: &Op, value: u64) {
        self.order.log(now.thread, op, value);
    }

    /// An edge of the execution graph.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn edge(&mut self, kind: u64, from: WriteRef, to: WriteRef) {
        self.order.edge(kind, from, to);
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
        let waited = self.threads[me as usize].waiting.blocked_at.take();
        let Some(recorder) = &mut self.recorder else { return };
        let mut event = Event {
            step: 0,
            thread: ThreadId(me),
            kind: op.kind,
            verb: op.verb,
            order: op.order,
            object: (op.object < self.storage.object_count as u32).then_some(ObjectId(op.object)),
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
