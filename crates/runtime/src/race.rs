//! Data races: unordered accesses to memory that is not atomic.
//!
//! Every cell keeps its last write and the reads since, each with the event number of its thread;
//! an access races with those its thread's clock does not know (Flanagan & Freund, FastTrack,
//! PLDI'09, with all reads kept, so that both sides of a race can be shown).

use crate::clock::Clock;
use crate::site::Site;
use racefuzz_trace::Verb;
use smallvec::SmallVec;

/// One access to a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub(crate) thread: u32,
    pub(crate) time: u32,
    pub(crate) step: u32,
    pub(crate) verb: Verb,
    pub(crate) site: Site,
}

/// The accesses to a cell that a later one may race with.
#[derive(Debug, Default)]
pub(crate) struct Accesses {
    write: Option<Access>,
    reads: SmallVec<[Access; 2]>,
}

impl Accesses {
    pub(crate) fn clear(&mut self) {
        self.write = None;
        self.reads.clear();
    }

    /// The access that is not ordered before an event of a thread with this clock.
    pub(crate) fn unordered(&self, clock: &Clock) -> Option<Access> {
        let unknown = |earlier: &&Access| !clock.knows(earlier.thread, earlier.time);
        self.write.iter().chain(&self.reads).find(unknown).copied()
    }

    /// Records a read; the access it races with, if any.
    pub(crate) fn read(&mut self, access: Access, clock: &Clock) -> Option<Access> {
        let race = self.write.filter(|write| !clock.knows(write.thread, write.time));
        match self.reads.iter_mut().find(|read| read.thread == access.thread) {
            Some(read) => *read = access,
            None => self.reads.push(access),
        }
        race
    }

    /// Records a write; the access it races with, if any.
    pub(crate) fn write(&mut self, access: Access, clock: &Clock) -> Option<Access> {
        let race = self.unordered(clock);
        self.write = Some(access);
        self.reads.clear();
        race
    }
}
