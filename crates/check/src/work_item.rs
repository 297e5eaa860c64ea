//! What is left to explore, in a few words each: a graph as its difference from the graph of the
//! execution that left it behind.
//!
//! An execution that adds `n` events leaves up to `n` reads, places in modification order and backward
//! revisits to be explored later. All of them differ from its own graph in what comes after some event:
//! an event's number is its place in the order of addition, so the graph in which that event was about
//! to be added is the beginning of the final one. So the graphs that an execution leaves share that
//! final graph, and each is made when its turn has come. What an exploration keeps is one graph for each
//! execution on the way from the root to where it stands, and some words for each graph it left.
//!
//! ```text
//! add_read / add_store / ...   Change::Forward, Change::Backward     what else the event could be
//! Explore::seal                WorkItem                              all share the execution's final graph
//! WorkItem::next               Loaded                                a graph to execute, if consistent
//! ```

use crate::graph::{Event, Graph, INIT, Id, Kind};
use crate::model::{self, Stand};
use crate::revisit::{Kept, splits};
use crate::turns::Turn;
use racefuzz_runtime::Clock;
use racefuzz_trace::{MemoryModel, MemoryOrder};
use smallvec::SmallVec;
use std::sync::Arc;

/// One or several graphs to be explored.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct WorkItem {
    base: Arc<Graph>,
    change: Change,
    /// Who has the turn behind it, where schedules are explored.
    turn: Option<Turn>,
}

/// A graph that is to be executed next.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) graph: Graph,
    /// The read that a backward revisit gave another write: its thread runs last.
    pub(crate) revisited: Option<Id>,
    /// The events that are others than the ones that came first; none if it was not events that were added
    /// otherwise.
    pub(crate) changed: std::ops::Range<Id>,
    /// Threads that can only wait in loops do so: their rounds stay (see [`waiting`](crate::waiting)).
    pub(crate) forced: bool,
    /// The ends of rounds, as thread and number of events, of which it is known that their threads wait.
    pub(crate) known_to_wait: Vec<(u32, u32)>,
    /// Who has the turn once its events were executed, where schedules are explored.
    pub(crate) turn: Option<Turn>,
}

impl Loaded {
    /// A graph in which no events are known to differ from those that came first.
    pub(crate) fn new(graph: Graph, revisited: Option<Id>) -> Self {
        Self { graph, revisited, changed: 0..0, forced: false, known_to_wait: Vec::new(), turn: None }
    }
}

/// How a graph differs from the one that it shares with others.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Change {
    /// It does not.
    Same { revisited: Option<Id>, changed: std::ops::Range<Id>, forced: bool, known_to_wait: Vec<(u32, u32)> },
    /// It is another one altogether.
    Own { graph: Arc<Graph>, revisited: Option<Id> },
    /// The event that came next is another one, and nothing follows.
    Forward { next: Arc<NextEvent>, way: Way },
    /// The event `id`, which chose among several ways, chooses another one, and nothing follows.
    Part { next: Moment, id: Id, choice: u32 },
    /// The graph as it was at a moment: another thread gets the turn.
    Turn { at: Moment },
    /// The event that came next is given to an earlier read (TruSt's backward revisit).
    Backward { next: Arc<NextEvent>, read: Id, by: Revisitor, place: u32 },
}

/// A moment of an execution: so many events and blocks were in its graph.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Moment {
    pub(crate) events: u32,
    pub(crate) blocks: u32,
}

/// An event that comes next in its thread, as far as it is known before what it reads is.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct NextEvent {
    pub(crate) at: Moment,
    pub(crate) event: Event,
    /// Events of other threads that are before it by a spawn or a join.
    pub(crate) joins: Vec<Id>,
    /// What the thread's last release fence published.
    pub(crate) release_fence: Clock,
}

/// What an event that comes next may be.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Way {
    /// A read of `rf`, of this ordering.
    Read { rf: Id, order: MemoryOrder },
    /// A read-modify-write that reads `rf`.
    Update { rf: Id, value: u64 },
    /// A write at this place in modification order.
    Write { place: u32 },
    /// A choice of this value.
    Choice(u32),
}

/// The write of a backward revisit.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Revisitor {
    /// A store, at any place in modification order.
    Store,
    /// A read-modify-write, neither half of which is in the graph.
    Update { rf: Id, value: u64 },
    /// The write of a read-modify-write whose read is its thread's last event.
    UpdateRead,
}

impl NextEvent {
    /// The event as a read.
    pub(crate) fn read(&self, rf: Id, order: MemoryOrder) -> Event {
        Event { rf, order, ..self.event.clone() }
    }

    /// The write of a read-modify-write whose read is `read`, with its whole prefix.
    pub(crate) fn write_behind(&self, graph: &Graph, read: &Event, value: u64) -> Event {
        write_behind(graph, read, &self.event.before, &self.release_fence, self.event.order, value)
    }
}

/// The write behind `read`, whose thread knows `clock` before the read; what was never executed
/// publishes nothing yet.
pub(crate) fn write_behind(
    graph: &Graph,
    read: &Event,
    clock: &Clock,
    release_fence: &Clock,
    order: MemoryOrder,
    value: u64,
) -> Event {
    let mut porf = read.porf.clone();
    let (mut before, mut release) = (clock.clone(), Clock::default());
    if read.rf != INIT {
        let source = graph.event(read.rf);
        porf.join(&source.porf);
        if !read.fresh {
            release.copy_from(&source.release);
            if order.acquires() {
                before.join(&source.release);
            }
        }
    }
    porf.set(read.thread, read.po + 2);
    if !read.fresh {
        release.join(if order.releases() { &before } else { release_fence });
    }
    Event {
        po: read.po + 1,
        kind: Kind::Write,
        order,
        rf: INIT,
        rmw: true,
        value,
        before,
        release,
        porf,
        ord: read.ord.clone(),
        ..read.clone()
    }
}

impl WorkItem {
    /// The empty graph, from which every other one comes.
    pub(crate) fn root() -> Self {
        Self { turn: Some(Turn::FIRST), ..Self::of(Graph::new(), None) }
    }

    /// This very graph.
    pub(crate) fn of(graph: Graph, revisited: Option<Id>) -> Self {
        Self::again(Loaded::new(graph, revisited))
    }

    /// A graph that was loaded.
    pub(crate) fn again(loaded: Loaded) -> Self {
        let Loaded { graph, revisited, changed, forced, known_to_wait, turn } = loaded;
        let change = Change::Same { revisited, changed, forced, known_to_wait };
        Self { base: Arc::new(graph), change, turn }
    }

    /// A change of the graph that `base` has become.
    pub(crate) fn new(base: &Arc<Graph>, change: Change, turn: Option<Turn>) -> Self {
        Self { base: Arc::clone(base), change, turn }
    }

    /// Whether it is a graph that was executed before, and is to be executed again.
    pub(crate) fn is_same(&self) -> bool {
        matches!(self.change, Change::Same { .. })
    }

    /// Whether it is a graph whose last event reads something else than what came first.
    pub(crate) fn is_other_read(&self) -> bool {
        matches!(self.change, Change::Forward { way: Way::Read { .. }, .. })
    }

    #[cfg(test)]
    pub(crate) fn revisited(&self) -> Option<Id> {
        match &self.change {
            Change::Same { revisited, .. } => *revisited,
            _ => None,
        }
    }

    /// The next of the item's consistent graphs, made in the memory of a `spare` one, and whether
    /// there may be more.
    pub(crate) fn next(&mut self, model: MemoryModel, spare: &mut Vec<Graph>) -> (Option<Loaded>, bool) {
        let turn = self.turn;
        loop {
            let mut more = false;
            let mut graph = spare.pop().unwrap_or_default();
            let mut revisited = None;
            // What may have made it inconsistent: whether another event than the newest can come next
            // was looked at when it was left.
            let mut added: SmallVec<[Id; 2]> = SmallVec::new();
            let mut changed = 0..0;
            let is_possible = match &mut self.change {
                Change::Same { revisited, changed, forced, known_to_wait } => {
                    graph.clone_from(&self.base);
                    let (revisited, changed, forced) = (*revisited, changed.clone(), *forced);
                    let known_to_wait = std::mem::take(known_to_wait);
                    return (Some(Loaded { graph, revisited, changed, forced, known_to_wait, turn }), false);
                }
                Change::Own { graph: own, revisited: read } => {
                    graph.clone_from(own);
                    revisited = *read;
                    true
                }
                Change::Forward { next, way } => {
                    graph = forward(&self.base, graph, next, *way);
                    changed = next.at.events..graph.len();
                    true
                }
                Change::Turn { at } => {
                    graph = self.base.beginning(*at, graph);
                    true
                }
                Change::Part { next, id, choice } => {
                    graph = self.base.beginning(*next, graph);
                    graph.event_mut(*id).choice = *choice;
                    graph.event_mut(*id).fresh = true;
                    changed = *id..*id + 1;
                    true
                }
                Change::Backward { next, read, by, place } => {
                    let made = backward(model, &self.base, &mut graph, next, *read, *by, place);
                    more = matches!(by, Revisitor::Store) && *place != u32::MAX;
                    added.extend(made.into_iter().flat_map(<[Id; 2]>::from));
                    revisited = made.map(|(_, read)| read);
                    changed = made.map_or(0..0, |(write, _)| write..write + 1);
                    made.is_some()
                }
            };
            if is_possible && model::stays_consistent(model, &graph, &added) {
                return (Some(Loaded { changed, turn, ..Loaded::new(graph, revisited) }), more);
            }
            spare.push(graph);
            if !more {
                return (None, false);
            }
        }
    }
}

/// The beginning of `base`, with the event that came next.
fn forward(base: &Graph, into: Graph, next: &NextEvent, way: Way) -> Graph {
    let mut graph = base.beginning(next.at, into);
    match way {
        Way::Read { rf, order } => {
            let mut read = next.read(rf, order);
            order_of_next(&graph, &mut read, &next.joins);
            graph.add(read, &next.joins);
        }
        Way::Update { rf, value } => {
            let mut read = Event { rmw: true, ..next.read(rf, next.event.order) };
            order_of_next(&graph, &mut read, &next.joins);
            let mut write = next.write_behind(&graph, &read, value);
            graph.add(read, &next.joins);
            order_of_next(&graph, &mut write, &[]);
            let place = graph.place(next.event.loc, rf) + 1;
            graph.add_write(write, &[], place);
        }
        Way::Write { place } => {
            let mut write = next.event.clone();
            order_of_next(&graph, &mut write, &next.joins);
            graph.add_write(write, &next.joins, place as usize);
        }
        Way::Choice(choice) => {
            let mut event = Event { choice, ..next.event.clone() };
            order_of_next(&graph, &mut event, &next.joins);
            graph.add(event, &next.joins);
        }
    }
    graph
}

/// What is ordered before an event that is about to be added.
fn order_of_next(graph: &Graph, event: &mut Event, joins: &[Id]) {
    if !graph.ordered {
        return;
    }
    event.ord.clear();
    if event.po > 0 {
        let before = graph.threads[event.thread as usize][event.po as usize - 1];
        event.ord.copy_from(&graph.event(before).ord);
    }
    for join in joins {
        event.ord.join(&graph.event(*join).ord);
    }
}

/// A backward revisit: makes `graph` what `base` keeps of it, with the write that came next and the
/// read that now reads it; their numbers are returned if that is possible. `place` is where to look for
/// the next place of a store, `u32::MAX` behind the last.
fn backward(
    model: MemoryModel,
    base: &Graph,
    graph: &mut Graph,
    next: &NextEvent,
    read: Id,
    by: Revisitor,
    place: &mut u32,
) -> Option<(Id, Id)> {
    let prefix = prefix_of(base, next, by);
    let kept = Kept::new(base, next.at, read, &prefix);
    let number;
    (*graph, number) = kept.restricted(std::mem::take(graph));
    let (loc, read) = (number.loc(next.event.loc), number.event(read));
    if !graph.settle(read) {
        *place = u32::MAX;
        return None;
    }
    let joins: Vec<Id> = next.joins.iter().map(|join| number.event(*join)).collect();
    let write = match by {
        Revisitor::Store => {
            let mut write = Event { loc, ..next.event.clone() };
            order_of_next(graph, &mut write, &joins);
            let stand = Stand { before: &write.before, ord: &write.ord };
            let end = graph.loc(loc).mo.len() + 1;
            let first = (*place as usize).max(model::floor(model, graph, loc, &stand) + 1);
            let Some(at) = (first..=end).find(|place| !splits(graph, loc, *place)) else {
                *place = u32::MAX;
                return None;
            };
            *place = at as u32 + 1;
            graph.add_write(write, &joins, at)
        }
        Revisitor::Update { rf, value } => {
            let rf = if rf == INIT { INIT } else { number.event(rf) };
            let mut reads = Event { rmw: true, loc, ..next.read(rf, next.event.order) };
            order_of_next(graph, &mut reads, &joins);
            let mut write = next.write_behind(graph, &reads, value);
            graph.add(reads, &joins);
            order_of_next(graph, &mut write, &[]);
            let place = graph.place(loc, rf) + 1;
            graph.add_write(write, &[], place)
        }
        Revisitor::UpdateRead => {
            let mut write = Event { loc, ..next.event.clone() };
            let reads = graph.threads[write.thread as usize][write.po as usize - 1];
            graph.event_mut(reads).rmw = true;
            order_of_next(graph, &mut write, &[]);
            let place = graph.place(loc, graph.event(reads).rf) + 1;
            graph.add_write(write, &[], place)
        }
    };
    reread(model, graph, read, write).then_some((write, read))
}

/// The prefix of a write that revisits, itself included.
pub(crate) fn prefix_of(graph: &Graph, next: &NextEvent, by: Revisitor) -> Clock {
    let mut prefix = next.event.porf.clone();
    let mut po = next.event.po;
    if let Revisitor::Update { rf, .. } = by {
        if rf != INIT {
            prefix.join(&graph.event(rf).porf);
        }
        po += 1;
    }
    prefix.set(next.event.thread, po + 1);
    prefix
}

/// Lets a read that has no write read `write`; whether it can.
fn reread(model: MemoryModel, graph: &mut Graph, read: Id, write: Id) -> bool {
    let loc = graph.event(read).loc;
    let place = graph.place(loc, write);
    // Of an ordered location `before` may tell of what was learned there.
    let event = graph.event(read);
    let stand = Stand { before: &event.before, ord: &event.ord };
    if place < model::floor(model, graph, loc, &stand) {
        return false;
    }
    let event = graph.event_mut(read);
    (event.rf, event.rmw, event.choice, event.fresh) = (write, false, 0, true);
    graph.add_reader(read);
    let at = graph.locs[loc as usize].reads.partition_point(|other| *other < read);
    graph.locs[loc as usize].reads.insert(at, read);
    let porf = graph.event(write).porf.clone();
    graph.event_mut(read).porf.join(&porf);
    if graph.ordered {
        // No cycle: the write behind this one is not before the read, see above, nor before the
        // write; and nothing is behind the read.
        let ord = graph.event(write).ord.clone();
        graph.event_mut(read).ord.join(&ord);
        graph.order_read(read);
    }
    true
}
