//! A failure with all that a format draws of it.

use crate::graph::Graph;
use crate::view::View;
use crate::{Explanation, Row, RowKind, Sources, explain};
use racefuzz_trace::{Event, Failure, Site, SiteId, ThreadEnd, ThreadInfo};

/// A failure, its explanation and its execution graph.
pub(super) struct Story<'a> {
    pub(super) failure: &'a Failure,
    pub(super) told: Explanation,
    pub(super) view: View<'a>,
    pub(super) graph: Graph,
}

impl<'a> Story<'a> {
    pub(super) fn new(failure: &'a Failure, sources: &dyn Sources) -> Self {
        let view = View::new(failure, sources);
        let graph = Graph::new(&view);
        Self { failure, told: explain(failure, sources), view, graph }
    }

    /// The rows that show a step, each with its event.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&Row, &'a Event)> {
        let steps = self.told.rows.iter().filter(|row| row.kind == RowKind::Step);
        steps.filter_map(|row| Some((row, self.view.trace.events.get(row.event? as usize)?)))
    }

    /// The source location with this identifier, if it is one of the trace's.
    pub(super) fn site(&self, id: SiteId) -> Option<&'a Site> {
        self.view.trace.sites.get(id.index())
    }

    /// The step in which the lock was taken that a thread waits for at the end, if it does.
    pub(super) fn stands_in_the_way(&self, thread: &ThreadInfo) -> Option<u32> {
        let ThreadEnd::Blocked { object: Some(object), waiting, .. } = &thread.end else { return None };
        let held = self.view.held(waiting.holder?, u32::MAX);
        held.iter().rev().find(|held| held.object == *object).map(|held| held.taken)
    }

    /// What repeats the failure; none if its schedule does not.
    pub(super) fn token(&self) -> Option<String> {
        self.failure.is_replayable().then(|| self.failure.schedule.to_string())
    }
}
