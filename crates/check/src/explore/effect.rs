//! What a round did to memory, and who has seen it.

use super::{Event, Explore, INIT, Id, Kind};
use crate::waiting::Effect;
use racefuzz_trace::Verb;
use smallvec::SmallVec;
use std::ops::Range;

impl Explore {
    /// What a round did to memory.
    pub(super) fn effect(&self, thread: u32, events: &Range<u32>) -> (Effect, SmallVec<[u32; 2]>) {
        let ids = self.ids(thread, events);
        if self.fronts[thread as usize].spawned_at > events.start {
            return (Effect::Lasting, SmallVec::new());
        }
        // For each location written: the word before, and now.
        let mut words: SmallVec<[(u32, u64, u64); 4]> = SmallVec::new();
        let mut effect = Effect::Silent;
        for id in &ids {
            let event = self.graph.event(*id);
            if event.kind != Kind::Write {
                continue;
            }
            match words.iter_mut().find(|(loc, ..)| *loc == event.loc) {
                // Counts of references are not in their words: what others did in between may show.
                Some(_) if is_count(event.verb) && !ids.contains(&self.graph.write_before(*id)) => {
                    return (Effect::Lasting, SmallVec::new());
                }
                Some((_, before, now)) => {
                    *now = event.value;
                    if *before != event.value {
                        effect = Effect::Transient;
                    }
                }
                None => {
                    let before = self.graph.word_before(*id);
                    words.push((event.loc, before, event.value));
                    if before != event.value {
                        effect = Effect::Transient;
                    }
                }
            }
        }
        // Memory that is freed and allocated again lies where it was, and is not what it was.
        let recurs = |word: u64| racefuzz_runtime::alloc::may_recur(word, self.reuses);
        if effect == Effect::Transient && words.iter().any(|(_, before, now)| before == now && recurs(*now)) {
            return (Effect::Lasting, SmallVec::new());
        }
        let mut lasting = words.iter().filter(|(_, before, now)| before != now).peekable();
        if lasting.peek().is_none() {
            return (effect, SmallVec::new());
        }
        // A statistic: only such rounds touch it.
        let private = |loc: u32| self.is_statistic(loc);
        if !words.iter().all(|(loc, before, now)| before == now || private(*loc)) {
            return (Effect::Lasting, SmallVec::new());
        }
        let others_silent = ids.iter().all(|id| {
            let event = self.graph.event(*id);
            event.kind != Kind::Write || private(event.loc) || self.graph.word_before(*id) == event.value
        });
        let effect = if others_silent { Effect::Silent } else { Effect::Transient };
        (effect, lasting.map(|(loc, ..)| *loc).collect())
    }

    /// Whether nobody but additions to it has read a location: what it holds is nobody's business.
    pub(super) fn is_statistic(&self, loc: u32) -> bool {
        let reads = &self.graph.loc(loc).reads;
        reads.iter().all(|read| self.counts_up(*read).is_some())
    }

    /// Whether a round ends with a lock that it has taken last.
    pub(super) fn holds_lock(&self, thread: u32, events: &Range<u32>) -> bool {
        let ids = self.ids(thread, events);
        let mut writes = ids.iter().rev().map(|id| self.graph.event(*id));
        let last = writes
            .find(|event| event.kind == Kind::Write && (event.verb.takes_lock() || event.verb.gives_lock()));
        last.is_some_and(|event| event.verb.takes_lock())
    }

    /// Whether a round takes a lock: what that guards is no event.
    pub(super) fn takes_lock(&self, thread: u32, events: &Range<u32>) -> bool {
        self.ids(thread, events).iter().any(|id| self.graph.event(*id).verb.takes_lock())
    }

    /// Whether all that events change are locks, of which they take one at a time and give it back.
    pub(super) fn is_critical_section(&self, ids: &[Id]) -> bool {
        let mut held = None;
        for id in ids {
            let event = self.graph.event(*id);
            if event.kind != Kind::Write {
                continue;
            }
            match (event.verb.takes_lock(), held) {
                (true, None) => held = Some(event.loc),
                (false, Some(loc)) if event.verb.gives_lock() && loc == event.loc => held = None,
                _ if self.graph.word_before(*id) != event.value => return false,
                _ => {}
            }
        }
        held.is_none()
    }

    /// Whether a thread other than its own has read what a location held in the middle of a round only.
    pub(super) fn is_seen(&self, thread: u32, events: &Range<u32>) -> bool {
        let mut before: SmallVec<[(u32, u64); 4]> = SmallVec::new();
        self.ids(thread, events).iter().any(|id| {
            let event = self.graph.event(*id);
            if event.kind != Kind::Write {
                return false;
            }
            if !before.iter().any(|(loc, _)| *loc == event.loc) {
                before.push((event.loc, self.graph.word_before(*id)));
            }
            let first = before.iter().find(|(loc, _)| *loc == event.loc);
            first.is_some_and(|(_, word)| *word != event.value)
                && self.graph.readers(event.loc, *id).any(|read| {
                    let read = self.graph.event(read);
                    read.thread != thread && !self.is_of_round(read)
                })
        })
    }

    pub(super) fn is_own(&self, thread: u32, write: Id) -> bool {
        write != INIT && self.graph.event(write).thread == thread
    }

    /// Whether a write wrote what was there.
    pub(super) fn wrote_the_same(&self, write: &Event) -> bool {
        self.graph.word_before(self.graph.threads[write.thread as usize][write.po as usize]) == write.value
    }

    /// Whether an event of a loop finds the same word when it comes again: the newest one, or what its own
    /// thread left.
    pub(super) fn finds_newest(&self, id: Id) -> bool {
        let event = self.graph.event(id);
        // The words of counted references say nothing.
        let same = || self.graph.word(event.loc, self.graph.newest(event.loc)) == self.read_word(id);
        self.finds_newest_write(id) || !is_count(event.verb) && same()
    }

    /// Whether others have changed a variable since a thread has read it in these events.
    pub(super) fn finds_change(&self, thread: u32, events: &Range<u32>) -> bool {
        let changed = |id: &Id| self.graph.event(*id).verb.is_atomic() && !self.finds_newest(*id);
        self.ids(thread, events).iter().any(changed)
    }

    pub(super) fn finds_newest_write(&self, id: Id) -> bool {
        let event = self.graph.event(id);
        if event.kind != Kind::Read {
            return true;
        }
        let newest = self.graph.newest(event.loc);
        newest == event.rf || self.is_own(event.thread, newest)
    }
}

/// Whether an operation is one on the count of references to something.
fn is_count(verb: Verb) -> bool {
    matches!(verb, Verb::RefCount | Verb::RefClone | Verb::RefDrop)
}
