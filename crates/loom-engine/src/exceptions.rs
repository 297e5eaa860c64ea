//! The table of what loom 0.7 lacks or gets wrong, each with where loom's own project says so.

use std::fmt;

/// How a limitation shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// A program that needs it is not run.
    Refused,
    /// Loom may report a failure that no execution has.
    Invents,
    /// Loom may miss executions, and failures with them.
    Hides,
    /// Either.
    Both,
}

macro_rules! exceptions {
    ($($(#[$doc:meta])* $name:ident: $effect:ident, $source:literal, $text:literal;)*) => {
        /// Something that loom lacks or is known to get wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Exception { $($(#[$doc])* $name,)* }

        impl Exception {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What becomes of a program that it concerns.
            pub const fn effect(self) -> Effect {
                match self { $(Self::$name => Effect::$effect,)* }
            }

            /// Where it is known from: an issue or pull request of loom, or its documentation.
            pub const fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)* }
            }

            /// What loom does, in one sentence.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

exceptions! {
    /// SeqCst accesses.
    SeqCst: Invents, "loom#180", "loom takes SeqCst accesses for AcqRel ones";
    /// Stores between the two halves of a read-modify-write.
    RmwAtomicity: Invents, "loom#254", "loom lets a store come between the read and the write of a read-modify-write";
    /// Missing interleavings.
    DroppedOutcomes: Hides, "loom#166", "loom skips executions where a thread loads what it has stored itself";
    /// `Mutex::try_lock` that blocks.
    TryLock: Invents, "loom#376", "loom's try_lock can block another one for good, a deadlock that is none";
    /// Park tokens that waits on other things take.
    ParkToken: Both, "loom#422", "loom's waits on condition variables take and give park tokens";
    /// Weak compare-exchange.
    WeakExchange: Hides, "loom's sync::atomic", "loom's compare_exchange_weak never fails spuriously";
    /// Spurious wake-ups.
    Spurious: Hides, "loom's sync::Condvar, thread::park", "loom's waits never end spuriously";
    /// Whom a notification wakes.
    NotifyOrder: Hides, "loom's sync::Condvar", "a notification wakes the thread that has waited longest";
    /// Uses after release.
    Release: Hides, "loom's alloc", "loom does not order the release of memory with its uses";
    /// Memory models.
    MemoryModel: Refused, "loom's documentation", "loom knows one memory model, close to rc11";
    /// Timeouts.
    Timeout: Refused, "loom#86", "loom's waits never time out";
    /// Virtual time.
    Time: Refused, "loom's documentation", "loom has no time";
    /// Choices of values.
    Nondet: Refused, "loom's documentation", "loom has no choice of values";
    /// Executions that are excluded.
    Assume: Refused, "loom's documentation", "loom cannot exclude an execution";
    /// More than five threads.
    Threads: Refused, "loom's MAX_THREADS", "loom runs at most 5 threads, the main thread included";
    /// Asking whether a thread has ended.
    IsFinished: Refused, "loom's thread::JoinHandle", "loom has no is_finished";
    /// Async tasks.
    Tasks: Refused, "loom's future", "loom has no tasks";
    /// Non-atomic reads of atomics.
    Unsync: Refused, "loom's sync::atomic", "a non-atomic read of an atomic is unsafe there";
    /// Read-modify-writes that loom has no single operation for.
    Rmw: Refused, "loom's sync::atomic", "loom does this read-modify-write in several steps, or with other results";
    /// Locks held by threads that panicked.
    Poison: Refused, "loom's sync::Mutex", "loom's locks cannot be taken again after a panic with them held";
    /// Long executions.
    Branches: Refused, "loom's max_branches", "loom gave up an execution of too many steps";
    /// Anything else that loom's own code stopped at.
    Internal: Refused, "loom's own check", "loom stopped at a check of its own";
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text(), self.source())
    }
}

impl Exception {
    /// Whether loom's failure may be none.
    pub const fn invents(self) -> bool {
        matches!(self.effect(), Effect::Invents | Effect::Both)
    }

    /// Whether loom may have missed a failure.
    pub const fn hides(self) -> bool {
        matches!(self.effect(), Effect::Hides | Effect::Both)
    }
}
