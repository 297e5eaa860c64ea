//! What an execution leaves to be explored later: recorded while events are added, made into work items
//! when the graph that they share is complete.

use super::*;
use crate::revisit::{Kept, revisitable};
use crate::turns::Turn;
use crate::work_item::{Loaded, prefix_of};

/// What an execution leaves for later.
pub(super) struct Left {
    change: Change,
    /// Who has the turn behind it, where schedules are explored.
    turn: Option<Turn>,
}

impl Left {
    pub(super) fn new(change: Change, turn: Option<Turn>) -> Self {
        Self { change, turn }
    }
}

/// An event that comes next, to be shared by all that it could be instead.
pub(super) struct Next {
    next: NextEvent,
    shared: Option<Arc<NextEvent>>,
}

impl Next {
    pub(super) fn new(explore: &Explore, event: Event, joins: &[Id], release_fence: Clock) -> Self {
        let next = NextEvent { at: explore.moment(), event, joins: joins.to_vec(), release_fence };
        Self { next, shared: None }
    }

    pub(super) fn event(&self) -> &Event {
        &self.next.event
    }

    pub(super) fn into_event(self) -> Event {
        self.next.event
    }

    fn share(&mut self) -> Arc<NextEvent> {
        Arc::clone(self.shared.get_or_insert_with(|| Arc::new(self.next.clone())))
    }
}

impl Explore {
    /// The present moment of the execution.
    pub(super) fn moment(&self) -> Moment {
        Moment { events: self.graph.len(), blocks: self.graph.blocks.len() as u32 }
    }

    /// Whether what is left of the execution is to be explored.
    pub(super) fn explores(&self) -> bool {
        self.trial.is_none() && self.quiet.is_none() && !self.livelock.is_doubted()
    }

    /// Leaves a graph for later.
    pub(super) fn leave(&mut self, change: Change) {
        if self.explores() {
            self.left_here.push(Left { change, turn: self.turn() });
        }
    }

    /// Leaves what else an event that comes next could be.
    pub(super) fn leave_way(&mut self, next: &mut Next, way: Way) {
        if self.explores() && self.is_in_order(next.event(), way) && self.admits(next.event(), way) {
            let next = next.share();
            self.leave(Change::Forward { next, way });
        }
    }

    /// Whether the graph stays consistent with another event than the newest.
    fn admits(&mut self, event: &Event, way: Way) -> bool {
        let place = |rf| self.graph.place(event.loc, rf);
        let (event, place, writes) = match way {
            Way::Read { rf, order } => (Event { rf, order, ..event.clone() }, place(rf), false),
            Way::Update { rf, .. } => (Event { rf, ..event.clone() }, place(rf), true),
            Way::Write { place } => (event.clone(), place as usize - 1, true),
            Way::Choice(_) => return true,
        };
        let addition = Addition { event: &event, place, writes };
        model::admits(self.model, &mut self.order, &self.graph, addition)
    }

    /// Leaves every backward revisit that a write which comes next in its thread allows.
    pub(super) fn revisits(&mut self, next: &mut Next, by: Revisitor) {
        if !self.explores() || self.turn().is_some() {
            return;
        }
        let prefix = prefix_of(&self.graph, &next.next, by);
        let at = next.next.at;
        let loc = next.next.event.loc;
        let mut reads: SmallVec<[Id; 8]> = SmallVec::new();
        revisitable(&self.graph, loc, &prefix, |read| {
            let kept = Kept::new(&self.graph, at, read, &prefix);
            if self.leaves_room(loc, by, read, &kept) && kept.allows_blocks() {
                reads.push(read);
            }
        });
        for read in reads {
            let next = next.share();
            self.leave(Change::Backward { next, read, by, place: 0 });
        }
    }

    /// Whether what a read-modify-write reads is read by no other one that stays.
    fn leaves_room(&self, loc: u32, by: Revisitor, read: Id, kept: &Kept<'_>) -> bool {
        let Revisitor::Update { rf, .. } = by else { return true };
        let consumer = self.graph.consumer(loc, rf);
        consumer.is_none_or(|consumer| consumer == read || !kept.keeps(consumer))
    }

    /// Leaves another choice in an event of the graph, or of one that comes next: nothing behind it is
    /// known. While events of the graph are still to be executed it has to be copied: which of them
    /// have been is part of what it is.
    pub(super) fn leave_choice(&mut self, id: Id, event: Event, joins: &[Id]) {
        if !self.explores() {
            return;
        }
        let is_new = id == self.graph.len();
        if self.left > 0 {
            let mut graph = self.graph.clone();
            if is_new {
                graph.add(event, joins);
            } else {
                let choice = event.choice;
                (graph.event_mut(id).choice, graph.event_mut(id).fresh) = (choice, true);
            }
            self.leave(Change::Own { graph: Arc::new(graph), revisited: self.revisited });
        } else if is_new {
            let way = Way::Choice(event.choice);
            let mut next = Next::new(self, event, joins, Clock::default());
            self.leave_way(&mut next, way);
        } else {
            self.leave(Change::Part { next: self.moment(), id, choice: event.choice });
        }
    }

    /// Nothing is left of a graph that turns out not to be consistent, but other choices in what it
    /// held: a compare-exchange may fail for no reason.
    pub(crate) fn forget(&mut self) {
        self.left_here.retain(|left| matches!(left.change, Change::Own { .. }));
        self.forget_interruptions();
    }

    /// Nothing is left of what others could have done since the event `first`, with which a round of this
    /// thread began that came to a dead end: whatever undoes the round is left of the graph without it.
    ///
    /// Not where schedules are explored: there such a graph may never have been met.
    pub(super) fn forget_others(&mut self, thread: u32, first: Id) {
        if self.turn().is_some() {
            return;
        }
        let before = self.left_before[first as usize];
        let mut at = 0;
        let graph = &self.graph;
        self.left_here.retain(|left| {
            at += 1;
            at <= before
                || match &left.change {
                    Change::Forward { next, .. } | Change::Backward { next, .. } => {
                        next.event.thread == thread
                    }
                    Change::Part { id, .. } => graph.event(*id).thread == thread,
                    Change::Same { .. } | Change::Own { .. } | Change::Turn { .. } => true,
                }
        });
    }

    /// The graph is complete: what was left of it becomes work. Returns the graph if it is no longer the
    /// explorer's.
    pub(crate) fn seal(&mut self) -> Option<Arc<Graph>> {
        if !self.leaves_something() {
            return None;
        }
        let base = Arc::new(std::mem::replace(&mut self.graph, self.spare.pop().unwrap_or_default()));
        self.become_work(&base);
        Some(base)
    }

    /// Whether something is left of the execution.
    fn leaves_something(&self) -> bool {
        let interruptions = self.turns.as_ref().is_some_and(|turns| !turns.interruptions.is_empty());
        interruptions || !self.left_here.is_empty()
    }

    /// What is left of the execution becomes work; `base` is its graph.
    pub(super) fn become_work(&mut self, base: &Arc<Graph>) {
        self.leave_interruptions(base);
        self.later.extend(self.left_here.drain(..).map(|left| WorkItem::new(base, left.change, left.turn)));
    }

    /// The same where the graph is about to change in another way than by new events.
    pub(super) fn seal_copy(&mut self) {
        self.order.clear();
        if self.leaves_something() {
            let base = Arc::new(self.graph.clone());
            self.become_work(&base);
        }
    }

    /// Makes the next graph the one to be explored; whether there is one.
    pub(crate) fn load_next(&mut self) -> bool {
        let loaded = self.take_next();
        let is_one = loaded.is_some();
        loaded.into_iter().for_each(|loaded| self.load(loaded));
        is_one
    }

    /// The next graph that is to be explored.
    pub(crate) fn take_next(&mut self) -> Option<Loaded> {
        while let Some(item) = self.later.last_mut() {
            let is_same = item.is_same();
            let origin = item.clone();
            let (loaded, more) = item.next(self.model, &mut self.spare);
            if !more {
                self.later.pop();
            }
            let Some(loaded) = loaded else { continue };
            match is_same || self.is_new_state(&loaded) {
                true => {
                    self.look_for_dead_end(&origin, &loaded);
                    self.note_origin(origin);
                    return Some(loaded);
                }
                false => self.spare.push(loaded.graph),
            }
        }
        None
    }
}
