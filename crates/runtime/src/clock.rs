//! Vector clocks: which events of each thread happen before a point.
//!
//! Clocks are copied at every store and joined at every acquire. The entries of the first few threads are an
//! array, which is done whole, without a branch. Those of the others are a tree whose parts clocks share: a
//! copy costs one pointer, and a join looks only at what differs (like the tree clocks of U. Mathur, A.
//! Pavlogiannis, H. Tunç, M. Viswanathan, "A tree clock data structure for causal orderings in concurrent
//! executions", ASPLOS'22, but a tree over thread numbers). So a step costs about the same whether there are
//! two threads or thousands, and ten thousand clocks need no ten thousand entries each.

mod tree;

use tree::Tree;

/// Threads whose entries need no allocation.
const SMALL: usize = 8;

/// For each thread the number of its events known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Clock {
    small: [u32; SMALL],
    /// Entries of the threads from `SMALL` on.
    rest: Tree,
}

impl Clock {
    /// The events of `thread` known.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn get(&self, thread: u32) -> u32 {
        match self.small.get(thread as usize) {
            Some(time) => *time,
            None => self.rest.get(thread as usize - SMALL),
        }
    }

    /// Sets the events of `thread` known.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn set(&mut self, thread: u32, time: u32) {
        match self.small.get_mut(thread as usize) {
            Some(entry) => *entry = time,
            None => self.rest.set(thread as usize - SMALL, time),
        }
    }

    /// Sets the events of `thread` known where that is cheap: the thread will know of one more.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn prepare(&mut self, thread: u32, time: u32) {
        if let Some(entry) = self.small.get_mut(thread as usize) {
            *entry = time;
        }
    }

    /// [`set`](Self::set), written as a whole: a processor is slow to read a clock as a whole of which a part
    /// was just written.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn set_whole(&mut self, thread: u32, time: u32) {
        const ONLY: [[u32; SMALL]; SMALL] = {
            let mut only = [[0; SMALL]; SMALL];
            let mut thread = 0;
            while thread < SMALL {
                only[thread][thread] = u32::MAX;
                thread += 1;
            }
            only
        };
        match ONLY.get(thread as usize) {
            Some(only) => {
                let small = self.small;
                let mut set = [0; SMALL];
                for ((set, small), only) in set.iter_mut().zip(small).zip(only) {
                    *set = small & !only | time & only;
                }
                self.small = set;
            }
            None => self.rest.set(thread as usize - SMALL, time),
        }
    }

    /// Whether the event of `thread` at `time` is known.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn knows(&self, thread: u32, time: u32) -> bool {
        self.get(thread) >= time
    }

    /// Whether all the other knows is known.
    pub fn covers(&self, other: &Self) -> bool {
        self.small.iter().zip(&other.small).all(|(mine, theirs)| mine >= theirs)
            && self.rest.covers(&other.rest)
    }

    /// Learns all the other knows.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn join(&mut self, other: &Self) {
        // As signed numbers, which every processor compares in vectors; an execution that comes to
        // 2^31 events has no memory left. All is read before anything is written, for the compiler
        // to see that it may.
        let (mine, theirs) = (self.small, other.small);
        let mut joined = [0; SMALL];
        for ((joined, mine), theirs) in joined.iter_mut().zip(mine).zip(theirs) {
            *joined = (mine as i32).max(theirs as i32) as u32;
        }
        self.small = joined;
        if !other.rest.is_empty() {
            self.rest.join(&other.rest);
        }
    }

    /// Becomes a copy of the other.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn copy_from(&mut self, other: &Self) {
        self.small = other.small;
        if !(self.rest.is_empty() && other.rest.is_empty()) {
            self.rest.copy_from(&other.rest);
        }
    }

    /// Forgets everything.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn clear(&mut self) {
        self.small = [0; SMALL];
        if !self.rest.is_empty() {
            self.rest.clear();
        }
    }

    /// Whether nothing is known.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn is_empty(&self) -> bool {
        self.small == [0; SMALL] && self.rest.is_empty()
    }
}
