//! What holds for every execution of a run.

use racefuzz_trace::{Inject, MemoryModel, Overlay, Settings};
use std::sync::Arc;

/// Settings of the runtime; those that change an execution's meaning come from [`Settings`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Which values a load may return.
    pub memory: MemoryModel,
    /// Events after which an execution counts as one that never ends.
    pub max_steps: u32,
    /// Faults that may be injected.
    pub inject: Inject,
    /// Loads may return, and stores may go behind, any store: see [`Settings::explored`].
    pub explored: bool,
    /// Rounds for which a thread that waits by trying again does not give way: see [`Settings::insistence`].
    pub insistence: u32,
    /// Whether what is left of an execution is scheduled fairly when an eighth of [`Config::max_steps`] is
    /// used up, so that only one that has no end reaches them. Explorers that enumerate schedules, or judge
    /// the end of an execution themselves, are not to be overruled.
    pub fair_tail: bool,
    /// Whether an execution may do without clocks and store histories as long as nothing asks for them:
    /// see [`Ended::again`](crate::Ended::again).
    pub light: bool,
    /// The program is a process of its own: see [`ops::process`](crate::ops::process).
    pub process: bool,
    /// The root thread is a test harness, which waits for the others: that it waits is no part of a deadlock.
    pub harness: bool,
    /// Bytes of stack for each thread.
    pub stack_size: usize,
    /// Whether reference counts are scheduling points: needed only where a program looks at them.
    pub count_points: bool,
    /// Folders that paths in traces are shown relative to.
    pub roots: Vec<String>,
    /// Virtual edits to apply.
    pub overlay: Option<Arc<Overlay>>,
}

impl Config {
    /// The default of [`Config::stack_size`].
    pub const DEFAULT_STACK_SIZE: usize = 256 * 1024;

    /// The runtime's part of these settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            memory: settings.memory,
            max_steps: settings.max_steps,
            inject: settings.inject,
            explored: settings.explored,
            insistence: settings.insistence,
            fair_tail: false,
            light: false,
            process: false,
            harness: false,
            stack_size: Self::DEFAULT_STACK_SIZE,
            count_points: false,
            roots: Vec::new(),
            overlay: None,
        }
    }

    /// Nanoseconds of virtual time that an event takes. What a test of an unmodified program sleeps is meant to
    /// be long for the machine that it was written on.
    pub(crate) const fn step_time(&self) -> u64 {
        if self.process { 100 } else { 1_000 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new(&Settings::default())
    }
}
