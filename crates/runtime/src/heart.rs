//! Signs of life of a runner, for a watchdog on another operating-system thread.

use crate::site::Site;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// What a watchdog sees of a runner.
#[derive(Debug, Default)]
pub struct Heart {
    beats: AtomicU64,
    site: AtomicPtr<Location<'static>>,
    running: AtomicBool,
}

impl Heart {
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

    /// The place of the operation stated last, as `file:line`.
    pub fn last_site(&self) -> Option<String> {
        let site = self.site.load(Ordering::Relaxed);
        // SAFETY: only pointers made from `&'static Location` are stored.
        let location = unsafe { site.as_ref() }?;
        Some(format!("{}:{}", location.file(), location.line()))
    }

    pub(crate) fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn beat(&self, site: Site) {
        // One writer: no read-modify-write is needed.
        self.beats.store(self.beats.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.site.store(std::ptr::from_ref(site.location()).cast_mut(), Ordering::Relaxed);
    }
}
