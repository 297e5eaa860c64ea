//! Schedules within a bound on preemptions: which of them stand for all, and what was seen of them.
//!
//! # What a preemption is
//! A schedule takes the turn from a thread that could go on. It is none where the thread has ended,
//! where it waits (for a word that its next operation does not accept, or for the end of another
//! thread), or where it has just given way (a yield, a hint that it spins, a sleep, a round of a loop that waits);
//! Musuvathi & Qadeer, *Iterative Context Bounding*, PLDI'07, and loom count likewise. A schedule of a
//! graph is an order of its events in which the program can execute it: one that respects program order,
//! reads-from, creation and end of threads, and modification order and from-reads where these order a
//! schedule: on ordered locations, and between SeqCst accesses (part of `psc`). Other accesses take their
//! value from any write that was executed, and go to any place: under `rc11` a stale read needs no
//! preemption. What is counted of a class is the least number of preemptions of its schedules. A class
//! without a schedule (RC11 has some in which SeqCst accesses and relaxed ones of the same thread go two
//! ways) is within no bound.
//!
//! # Why schedules, and not graphs
//! Without a bound each graph is explored once, by backward revisits (see [`revisit`](crate::revisit)). The
//! graphs on the way to one that is within a bound may be far beyond it: they hold events that a later
//! revisit takes back. Marmanis, Kokologiannakis & Vafeiadis, *Reconciling Preemption Bounding with DPOR*,
//! TACAS'23, allow for that with a slack of as many preemptions as there are threads but two, which relies on
//! sequential consistency, and on threads that are added one after another, each to its end. Where few
//! preemptions are allowed and threads are long, nearly all graphs that are executed on that way are beyond
//! the bound. So with a bound schedules are explored: an execution adds events in the order of a schedule,
//! nothing is revisited, and what else could have been (another value to read, another place in
//! modification order, another thread that gets the turn) is left for later.
//!
//! # Which schedules are enough
//! *States.* What can come of an execution depends on its graph, on who has the turn and whether it may be
//! taken for nothing, not on the order in which the events were added. Such a state is explored once for the
//! least number of preemptions with which it is reached; of each a hash of 128 bits is kept. So is of each
//! complete graph: it is counted once.
//!
//! *Places.* A thread `t` is interrupted before an event `e` only at places in the source where that may
//! matter. Let it be interrupted there, and let others execute `e1 ... en` before `e`. If `e` is independent
//! of each of these, the same events with `e` before them come to the same graph, by a schedule that takes
//! the turn from `t` at a later place, if at all; by induction only interruptions before an event on which a
//! later one of another thread depends are needed. `e'` depends on an earlier `e` of the same location if
//!
//! * the location is ordered, or both are SeqCst accesses, and one of the two writes;
//! * or `e` reads and `e'` writes, as `e` could have read it;
//! * or both are read-modify-writes, and `e` has written, though `e'` may have failed: `e'` could have read
//!   what `e` did, which only one of them can replace.
//!
//! Otherwise a write that comes early takes nothing from anyone: what was there can still be read, and other
//! writes can still be placed before it.
//!
//! Which places these are is learned: after each execution every event is held against those of other threads
//! that were executed behind it and do not come of it. What is not yet known of a place is learned before it
//! is needed: let `e'` be the first of the events of others that depends on `e`. With `e` before the others,
//! everything up to `e'` comes to the same graph; so it is explored, by induction on the length, the thread
//! of `e'` has the turn there, and executes it, behind `e`; or it waits there, as `e` has taken what it needs,
//! and executes it later, or is stuck at the end of the execution, which counts as an event. What was left out at a place is kept for the time
//! when it turns out to matter, of the first executions; behind these an exploration that learns of a new place
//! begins anew, with all that is known.
//!
//! *Rounds.* A thread that ends a round of a loop which [waits](crate::waiting) gives way, as if the round had not
//! been: its events leave the graph, and show nothing any more. So the places in the middle of such a round
//! are taken for ones that matter: what others do there may end the loop. Before the first event it needs no
//! interruption, as the thread gives way there, if it has gone round at all. A round in the middle of which others
//! went on, for nothing, could as well not have begun; the place where it begins then matters, too, as it may be the
//! first one.

mod digest;
mod places;
#[cfg(test)]
mod tests;

pub(crate) use digest::Digest;
pub(crate) use places::{Places, Stuck};

use crate::graph::{Graph, NOWHERE};
use crate::work_item::Moment;
use racefuzz_trace::MemoryOrder;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Who has the turn in an execution, and what that has cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Turn {
    /// The thread, in the graph's numbering.
    pub(crate) thread: u32,
    /// Preemptions so far.
    pub(crate) spent: u32,
    /// It has just got the turn, and executed nothing since.
    pub(crate) is_new: bool,
}

impl Turn {
    /// The main thread's, with which every execution begins.
    pub(crate) const FIRST: Self = Self { thread: 0, spent: 0, is_new: false };

    /// How its thread stands when an execution begins.
    pub(crate) fn stand(self) -> TurnState {
        if self.is_new { TurnState::New } else { TurnState::Moved }
    }
}

/// How a thread stands that has the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnState {
    /// It has just got it.
    New,
    /// It has executed an event.
    Moved,
    /// It has ended a round of a loop, which was taken back.
    CameRound,
}

/// A hash of 128 bits is one already.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut word = [0; 8];
        let count = bytes.len().min(8);
        word[..count].copy_from_slice(&bytes[..count]);
        self.0 ^= u64::from_ne_bytes(word);
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

/// What was seen of the schedules of a program within a bound.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Preemptions that are allowed.
    pub(crate) most: u32,
    pub(crate) places: Places,
    /// For each state the least number of preemptions with which it was explored; complete graphs among
    /// them.
    seen: HashMap<u128, u32, BuildHasherDefault<Taken>>,
    /// Of the states that were explored since what was seen was last settled, what was known of each before.
    unsettled: Option<Vec<(u128, Option<u32>)>>,
    /// The same of those that the running execution has come to.
    running: Vec<(u128, Option<u32>)>,
    /// Who has the turn in the running execution; nobody has where it only repeats another one.
    pub(crate) now: Option<Turn>,
    /// The state in which it was looked at last whether it is new: how many events there were, and how the
    /// thread stood that has the turn.
    looked_at: Option<(u32, TurnState)>,
    /// It has come to where another one had been.
    pub(crate) met_again: bool,
    /// Who waits at its end.
    pub(crate) stuck: Vec<Stuck>,
    /// Places in rounds that were taken back or came to nothing, as far as they were not learned yet.
    pub(crate) taken_back: Places,
    /// Where it could have been interrupted.
    pub(crate) interruptions: Vec<Interruption>,
    /// Where other executions could have been, before events at places that are not known to matter.
    pub(crate) deferred: Deferred,
    /// The hash of its graph.
    pub(crate) digest: Digest,
}

impl Turns {
    pub(crate) fn new(most: u32, places: Places) -> Self {
        Self { most, places, ..Self::default() }
    }

    /// It matters at these places, too, whether a thread is interrupted: what was left out there, or `None` if
    /// the exploration has to begin anew.
    pub(crate) fn learn(&mut self, places: &Places) -> Option<Vec<(Arc<Graph>, Interruption)>> {
        let left_out = self.deferred.take(places)?;
        self.places.learn(places);
        Some(left_out)
    }

    /// An execution begins, from a graph with so many events.
    pub(crate) fn begin(&mut self, events: u32) {
        (self.looked_at, self.met_again) = (self.now.map(|turn| (events, turn.stand())), false);
        self.running.clear();
        self.interruptions.clear();
        self.stuck.clear();
        self.digest.clear();
    }

    /// Whether a state was not explored with so few preemptions; it is now.
    pub(crate) fn is_new(&mut self, state: u128, spent: u32) -> bool {
        let known = self.seen.get(&state).copied();
        let is_new = known.is_none_or(|least| spent < least);
        if is_new {
            self.seen.insert(state, spent);
            self.running.push((state, known));
            if let Some(unsettled) = &mut self.unsettled {
                unsettled.push((state, known));
            }
        }
        is_new
    }

    /// The same that can forget what was seen since it was last settled, and has seen these states.
    pub(crate) fn kept(mut self, seen: Vec<(u128, u32)>) -> Self {
        // An exploration that is gone on with comes to the same as one that is not ended: both begin anew.
        self.deferred = Deferred::partial();
        self.seen.extend(seen);
        self.unsettled = Some(Vec::new());
        self
    }

    /// What was seen is settled.
    pub(crate) fn settle(&mut self) {
        self.unsettled.iter_mut().for_each(Vec::clear);
    }

    /// Forgets what was seen since then: it is to be explored again.
    pub(crate) fn unsettle(&mut self) {
        let unsettled = self.unsettled.as_mut().map(std::mem::take);
        self.forget(unsettled.unwrap_or_default());
    }

    /// Forgets what the running execution has come to: it is to be had again.
    pub(crate) fn forget_running(&mut self) {
        let running = std::mem::take(&mut self.running);
        self.forget(running);
    }

    fn forget(&mut self, seen: Vec<(u128, Option<u32>)>) {
        for (state, known) in seen.into_iter().rev() {
            match known {
                Some(least) => self.seen.insert(state, least),
                None => self.seen.remove(&state),
            };
        }
    }

    /// Whether the state of the running execution is another one than when that was asked last.
    pub(crate) fn has_changed(&mut self, events: u32, stand: TurnState) -> bool {
        self.looked_at.replace((events, stand)) != Some((events, stand))
    }

    /// What was seen, to be kept.
    #[cfg(feature = "checkpoint")]
    pub(crate) fn seen(&self) -> impl Iterator<Item = (u128, u32)> + '_ {
        self.seen.iter().map(|(state, least)| (*state, *least))
    }
}

/// Where an execution could have been interrupted, and the place of the event that comes there.
type LeftOut = Vec<(u64, Interruption)>;

/// What was left out because nobody knew that the place matters, as far as it is still there.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    /// The graph of an execution, and the interruptions that were left out of it, with their places.
    executions: Vec<(Arc<Graph>, LeftOut)>,
    /// Not all of it is there any more.
    is_partial: bool,
}

impl Deferred {
    /// Executions of which it is kept. A graph of some hundred events takes some ten kilobytes, and most
    /// places are met in the first few executions.
    const MOST: usize = 1_000;

    /// Only part of what was left out is there.
    fn partial() -> Self {
        Self { executions: Vec::new(), is_partial: true }
    }

    /// Keeps what was left out of an execution.
    pub(crate) fn add(&mut self, graph: &Arc<Graph>, left_out: LeftOut) {
        if left_out.is_empty() || self.is_partial {
            return;
        }
        if self.executions.len() >= Self::MOST {
            *self = Self::partial();
            return;
        }
        self.executions.push((Arc::clone(graph), left_out));
    }

    /// What was left out at these places; `None` if not all of it is there.
    fn take(&mut self, places: &Places) -> Option<Vec<(Arc<Graph>, Interruption)>> {
        if self.is_partial {
            return None;
        }
        let mut taken = Vec::new();
        for (graph, left_out) in &mut self.executions {
            let matters = |(site, _): &mut (u64, Interruption)| places.holds(*site);
            taken.extend(left_out.extract_if(.., matters).map(|(_, left)| (Arc::clone(graph), left)));
        }
        Some(taken)
    }
}

/// A moment of an execution at which another thread could have got the turn by a preemption.
#[derive(Clone, Debug)]
pub(crate) struct Interruption {
    /// The moment, before an event of whoever had the turn.
    pub(crate) at: Moment,
    pub(crate) turn: Turn,
    /// Who could have got it.
    pub(crate) others: SmallVec<[u32; 8]>,
}

impl Interruption {
    /// The turns that others could have got.
    pub(crate) fn turns(&self) -> impl Iterator<Item = Turn> + '_ {
        let spent = self.turn.spent + 1;
        self.others.iter().rev().map(move |thread| Turn { thread: *thread, spent, is_new: true })
    }
}

/// The place in modification order of the last write that a schedule has before an access of this ordering
/// which comes next; 0 is the initial write's.
pub(crate) fn executed_before(graph: &Graph, loc: u32, order: MemoryOrder) -> usize {
    if loc == NOWHERE {
        return 0;
    }
    let location = graph.loc(loc);
    if location.ordered {
        return location.mo.len();
    }
    if order != MemoryOrder::SeqCst {
        return 0;
    }
    let last = location.mo.iter().rposition(|write| graph.event(*write).order == MemoryOrder::SeqCst);
    last.map_or(0, |at| at + 1)
}
