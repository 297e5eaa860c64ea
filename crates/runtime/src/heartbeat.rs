//! Signs of life of a runner, for a watchdog on another operating-system thread, and what that may ask
//! of it.

use crate::interrupt::{Interruption, interrupt};
use crate::site::{Place, Site};
use racefuzz_trace::Unseen;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a watchdog sees of a runner.
#[derive(Debug, Default)]
pub struct Heartbeat {
    beats: AtomicU64,
    site: AtomicPtr<Location<'static>>,
    running: AtomicBool,
    /// The running execution is to end at its next step, without a verdict.
    stops: AtomicBool,
    /// The operating-system thread.
    thread: AtomicI32,
    /// What an execution that is left where it stands has failed by; none if it ends without a verdict.
    found: Mutex<Option<Unseen>>,
}

impl Heartbeat {
    /// A number that changes with every operation that a thread of the program states, and with
    /// every execution.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Whether an execution is running. Between executions the time is spent by what explores them,
    /// and says nothing of the program.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// The place of the operation stated last.
    pub fn last_location(&self) -> Option<Place> {
        let site = self.site.load(Ordering::Relaxed);
        // SAFETY: only words that sites were made into are stored.
        unsafe { Site::from_word(site) }.map(Site::location)
    }

    /// The place of the operation stated last, as `file:line`.
    pub fn last_site(&self) -> Option<String> {
        let location = self.last_location()?;
        Some(format!("{}:{}", location.file(), location.line()))
    }

    pub(crate) fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
    }

    /// Ends the running execution, and every later one, at its next step: see
    /// [`Ended::stopped`](crate::Ended::stopped).
    pub fn stop(&self) {
        self.stops.store(true, Ordering::Relaxed);
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn stops(&self) -> bool {
        self.stops.load(Ordering::Relaxed)
    }

    /// Interrupts the program where it is. `judge` is given the backtrace, innermost call first, and
    /// says whether it is to go on; else its execution fails by what `judge` has found, or ends without
    /// a verdict where that is nothing. `None` if the program could not be interrupted.
    pub fn interrupt(
        &self,
        judge: impl FnOnce(&str) -> (Interruption, Option<Unseen>),
    ) -> Option<Interruption> {
        interrupt(self, |backtrace| {
            let (verdict, found) = judge(backtrace);
            *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
            verdict
        })
    }

    /// The signal that has struck the running execution, and what is known of that up to there. The
    /// process is to be ended [by the same signal](crate::end_by) when it has been reported.
    pub fn take_crash(&self) -> Option<(i32, crate::Abort)> {
        crate::crash::take(self)
    }

    pub(crate) fn take_found(&self) -> Option<Unseen> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The number that the system gives to the operating-system thread.
    pub(crate) fn thread(&self) -> Option<i32> {
        Some(self.thread.load(Ordering::Relaxed)).filter(|thread| *thread != 0)
    }

    /// The runner belongs to the calling thread.
    pub(crate) fn set_thread(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: asks for a number.
        self.thread.store(unsafe { libc::gettid() }, Ordering::Relaxed);
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn beat(&self, site: Site) {
        // One writer: no read-modify-write is needed.
        self.beats.store(self.beats.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.site.store(site.into_word(), Ordering::Relaxed);
    }
}
