//! Limits on a whole run: time, memory, and whoever asks it to end.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Why a run ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Somebody asked for it (Ctrl-C).
    Cancelled,
    /// The time is up.
    Time,
    /// The process has taken more memory than it may.
    Memory,
}

/// The limits of one run, and which of them was reached first.
#[derive(Debug)]
pub struct Limits {
    time: Option<Duration>,
    deadline: Option<Instant>,
    memory: Option<u64>,
    /// Bytes of memory that the process had before.
    before: u64,
    begun: Instant,
    /// When the memory was looked at last, in milliseconds since then.
    looked: AtomicU64,
    reached: OnceLock<Reached>,
}

impl Limits {
    /// Limits from now on: `memory` is in bytes, beyond what the process has now.
    pub fn new(time: Option<Duration>, memory: Option<u64>) -> Self {
        let begun = Instant::now();
        let deadline = time.and_then(|time| begun.checked_add(time));
        let (before, looked) = (resident(), AtomicU64::new(0));
        Self { time, deadline, memory, before, begun, looked, reached: OnceLock::new() }
    }

    /// The limit that was reached first, if one was. Looks at the clock and not at the memory, which
    /// the [watchdog](crate::guarded) does.
    pub fn reached(&self, cancelled: impl FnOnce() -> bool) -> Option<Reached> {
        if self.reached.get().is_none() {
            if cancelled() {
                let _ = self.reached.set(Reached::Cancelled);
            } else if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let _ = self.reached.set(Reached::Time);
            }
        }
        self.reached.get().copied()
    }

    /// The same, and looks at the memory unless it has just been looked at.
    pub fn looked_at(&self, cancelled: impl FnOnce() -> bool) -> Option<Reached> {
        /// Milliseconds.
        const PAUSE: u64 = 5;
        if let Some(most) = self.memory {
            let now = self.begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
            let looked = self.looked.load(Ordering::Relaxed);
            if now >= looked.saturating_add(PAUSE) {
                self.looked.store(now, Ordering::Relaxed);
                if resident().saturating_sub(self.before) > most {
                    let _ = self.reached.set(Reached::Memory);
                }
            }
        }
        self.reached(cancelled)
    }

    /// The reason as a report gives it.
    pub fn words(&self, reached: Reached) -> String {
        match (reached, self.time, self.memory) {
            (Reached::Cancelled, ..) => "interrupted".to_owned(),
            (Reached::Time, Some(time), _) => format!("the time limit of {time:?} was reached"),
            (Reached::Memory, _, Some(bytes)) => format!("the memory limit of {} was reached", size(bytes)),
            (Reached::Time, None, _) => "out of time".to_owned(),
            (Reached::Memory, _, None) => "out of memory".to_owned(),
        }
    }
}

/// So many bytes, as people write it.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes / MIB {
        mib if mib >= 1024 && mib % 1024 == 0 => format!("{} GiB", mib / 1024),
        0 => format!("{bytes} bytes"),
        mib => format!("{mib} MiB"),
    }
}

/// Bytes of memory that the process has; 0 where the system does not tell.
fn resident() -> u64 {
    const PAGE: u64 = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_people_do() {
        let written = [2 << 30, 1536 << 20, 100 << 20, 17].map(size);
        assert_eq!(written, ["2 GiB", "1536 MiB", "100 MiB", "17 bytes"]);
    }

    #[test]
    fn the_first_limit_that_is_reached_stays_the_reason() {
        let limits = Limits::new(Some(Duration::ZERO), None);
        assert_eq!(limits.reached(|| false), Some(Reached::Time));
        assert_eq!(limits.reached(|| true), Some(Reached::Time));
    }
}
