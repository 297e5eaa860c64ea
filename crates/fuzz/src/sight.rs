//! What racefuzz sees of a program at all: a verdict about threads that share nothing instrumented
//! says nothing.

use crate::log::{object, thread, verb};
use racefuzz_trace::{Verb, Warning};

/// What the executions of a run showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The most threads that an execution had.
    threads: u32,
    /// Two threads of an execution used one object.
    shared: bool,
    /// Something was done at all.
    seen: bool,
}

impl Sight {
    /// Looks at the log of an execution that had so many threads.
    #[inline]
    pub fn look(&mut self, log: &[u64], threads: u32) {
        if !self.shared {
            self.scan(log, threads);
        }
    }

    #[cold]
    fn scan(&mut self, log: &[u64], threads: u32) {
        const NO_OBJECT: u64 = 0xf_ffff;
        self.threads = self.threads.max(threads);
        let mut users: Vec<Option<u32>> = Vec::new();
        for word in log {
            let Some(verb) = Verb::ALL.get(usize::from(verb(*word))) else { continue };
            match verb {
                // References, threads and memory hold what is shared; they are not it.
                Verb::RefClone | Verb::RefDrop | Verb::RefCount | Verb::Alloc | Verb::Free => continue,
                Verb::Spawn | Verb::Join | Verb::Finish => continue,
                Verb::Unpark | Verb::Wake | Verb::IsFinished => self.shared = true,
                _ => {}
            }
            self.seen = true;
            let object = object(*word);
            if object == NO_OBJECT || matches!(verb, Verb::Park) {
                continue;
            }
            let object = object as usize;
            if users.len() <= object {
                users.resize(object + 1, None);
            }
            let user = users[object].get_or_insert(thread(*word));
            self.shared |= *user != thread(*word);
        }
    }

    /// Adds what other executions showed.
    pub fn merge(&mut self, other: Self) {
        self.threads = self.threads.max(other.threads);
        self.shared |= other.shared;
        self.seen |= other.seen;
    }

    /// What is to be said of a verdict that rests on them.
    pub fn warning(self) -> Option<Warning> {
        match self {
            Self { shared: true, .. } => None,
            Self { threads: 2.., .. } => Some(Warning::NothingShared { threads: self.threads }),
            Self { seen: false, threads: 1, .. } => Some(Warning::NothingSeen),
            _ => None,
        }
    }
}
