//! The state of one execution, and how it is entered from the code under test.

mod choosing;
mod entering;
mod events;
mod objects;
mod parts;
mod waiting;

pub(crate) use entering::{alive, current, enter, free_event, lean, plain, set_current, with};
pub(crate) use parts::{Coroutines, Detail, Driver, Order, Outcome, Schedule, Storage};

use crate::alloc::Local;
use crate::config::Config;
use crate::continuation::Continuation;
use crate::heartbeat::Heartbeat;
use crate::object::{Object, WriteRef};
use crate::overlay::Applied;
use crate::record::Recorder;
use crate::site::Site;
use crate::thread::Thread;
use racefuzz_trace::Inject;
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
    /// What the operating-system thread knows of it, while it is the current one.
    pub(crate) local: *mut Local,
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
            local: std::ptr::null_mut(),
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
        self.threads.push(Thread::new(self.threads.len() as u32, site));
        self.run_next(self.current);
    }

    /// The thread that runs.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn running(&mut self) -> &mut Thread {
        invariant!((self.current as usize) < self.schedule.thread_count);
        invariant!(std::ptr::eq(self.running, &raw const self.threads[self.current as usize]));
        // SAFETY: while a thread runs, `current` is its number and this its entry: threads stay until the execution
        // ends, and where entries move, `add_entry` says so.
        unsafe { &mut *self.running }
    }

    /// The thread that runs and an object that it has resolved.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn running_with(&mut self, object: u32) -> (&mut Thread, &mut Object) {
        invariant!(
            (self.current as usize) < self.schedule.thread_count
                && (object as usize) < self.storage.object_count
        );
        // SAFETY: as in `running`; `resolve` gives no number that no object has, and objects stay until the
        // execution ends.
        unsafe { (&mut *self.running, &mut *self.objects.as_mut_ptr().wrapping_add(object as usize)) }
    }

    /// The thread that runs, an object that it has resolved, and what events are counted in.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn parts(&mut self, object: u32) -> (&mut Thread, &mut Object, &mut Order) {
        invariant!((self.current as usize) < self.schedule.thread_count);
        invariant!((object as usize) < self.storage.object_count);
        // SAFETY: as in `running_with`.
        let (thread, entry) =
            unsafe { (&mut *self.running, &mut *self.objects.as_mut_ptr().wrapping_add(object as usize)) };
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
        self.schedule.steps >= self.schedule.look_at && self.looks_up()
    }

    /// Now and then it is asked whether the execution is to stop; else only what a step has to know is looked at.
    #[inline(never)]
    fn looks_up(&mut self) -> bool {
        /// Steps after which it is asked again.
        const INTERVAL: u32 = 64;
        if self.schedule.steps >= self.schedule.unlooked || self.heartbeat.stops() {
            return self.looks_at_steps();
        }
        self.schedule.look_at = self.schedule.unlooked.min(self.schedule.steps + INTERVAL);
        false
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
}
