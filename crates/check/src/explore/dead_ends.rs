//! Reads of something else than the newest that are known to come to nothing: their thread only goes round.
//!
//! What a thread does follows from its causal past, which is the prefix of its last event. Once a read was the
//! last event of a round which waits and has written nothing, the same read behind the same past ends the same
//! round, in whatever graph. Such a graph is not executed again: it counts as blocked, as the first one did. So of
//! a loop in which a thread waits for others each old value is tried once for each past, and not once for each
//! way in which the others may have gone on. That past is the whole one, with what was overwritten by then and who has
//! read that: the thread may remember the round, and with what the others had read before it matters what they do when
//! they see that (see [`pairs`](super::pairs)).

use super::pairs::number_of_past;
use super::*;
use crate::turns::Digest;
use std::collections::HashSet;

/// The reads known in a unit of work.
#[derive(Debug, Default)]
pub(super) struct DeadEnds {
    /// Numbers of reads with their pasts.
    known: HashSet<u128>,
    /// The graph that was loaded ends with one of them.
    is_loaded: bool,
}

impl Explore {
    /// A unit of work begins.
    pub(super) fn forget_dead_ends(&mut self) {
        self.dead_ends.known.clear();
    }

    /// Whether the graph that was loaded is known to be a dead end.
    pub(crate) fn is_known_dead_end(&self) -> bool {
        self.dead_ends.is_loaded
    }

    /// Looks whether a graph that is about to be executed is known to be a dead end; `item` is what it was made
    /// of.
    pub(super) fn look_for_dead_end(&mut self, item: &WorkItem, loaded: &Loaded) {
        self.dead_ends.is_loaded = !self.dead_ends.known.is_empty()
            // Of rounds that take locks it matters who has seen them.
            && !self.loops.has_polls()
            && item.is_other_read()
            && self.dead_ends.known.contains(&number_of_last(&loaded.graph));
    }

    /// The thread's round, of these events, comes to nothing, as one of them has read something else than the
    /// newest: that is noted if nothing was added to the graph that was loaded, and only its last event tells it
    /// from the one that came first.
    pub(super) fn note_dead_end(&mut self, ids: &[Id]) {
        let last = self.graph.len() - 1;
        let only_reads = |id: &Id| matches!(self.graph.event(*id).kind, Kind::Read | Kind::Choice);
        let is_load = self.graph.event(last).verb == Verb::Load;
        if self.loaded == last + 1
            && self.changed == (last..last + 1)
            && ids.last() == Some(&last)
            && is_load
            && ids.iter().all(only_reads)
            && self.left_here.is_empty()
        {
            self.dead_ends.known.insert(number_of_last(&self.graph));
        }
    }
}

/// A number of a graph's last event and of its past.
fn number_of_last(graph: &Graph) -> u128 {
    Digest::default().of_prefix(graph, graph.len() - 1) ^ u128::from(number_of_past(graph))
}
