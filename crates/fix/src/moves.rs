//! Statements in the wrong order: register before looking, wake after setting, publish last.
//!
//! What a statement does is code of the program, and what it needs may be made by the statement that it is to
//! be moved in front of; so the order is read off failing executions, and the change is proposed untried.

use crate::search::Search;
use crate::sites::by_thread;
use crate::steps::{is_step, writes};
use racefuzz_trace::{
    Edit, Event, FailureDetail, ObjectKind, OpKind, RacingAccess, ReadsFrom, Trace, Verb, WaitEdge,
};

impl Search<'_> {
    /// In each bad execution: a statement that comes too late in its thread, and the one that it belongs in
    /// front of.
    pub(crate) fn misplaced(&self) -> Vec<Edit> {
        let mut edits: Vec<Edit> = Vec::new();
        for known in &self.known {
            let trace = &known.bad.trace;
            let found = match &known.bad.detail {
                Some(FailureDetail::Deadlock { waiting, .. }) => {
                    let asleep =
                        |edge: &&WaitEdge| matches!(edge.verb, Verb::Park | Verb::Woken | Verb::Wait);
                    waiting.iter().filter(asleep).flat_map(|edge| around_sleep(trace, edge)).collect()
                }
                Some(FailureDetail::DataRace { first, second, .. }) => published_early(trace, first, second),
                _ => Vec::new(),
            };
            for (statement, before) in found {
                let (statement, before) = (trace.site(statement.site), trace.site(before.site));
                let edit = Edit::MoveUp { statement: statement.clone(), before: before.clone() };
                if statement != before && !edits.contains(&edit) {
                    edits.push(edit);
                }
            }
        }
        edits
    }
}

/// A thread sleeps for good: it has registered behind its look, or somebody has woken it before setting what
/// it looks at. Pairs of what is to be moved, and in front of what.
fn around_sleep<'t>(trace: &'t Trace, edge: &WaitEdge) -> Vec<(&'t Event, &'t Event)> {
    let threads = by_thread(trace);
    let own = &threads[edge.thread.index()];
    let mut found = Vec::new();
    let looks = |event: &Event| {
        let kind = event.object.map(|object| trace.object(object).kind);
        let data = matches!(kind, Some(ObjectKind::Atomic | ObjectKind::Variable));
        data && event.kind.reads() && !writes(event)
    };
    let Some(look) = own.iter().rposition(|at| looks(&trace.events[*at])) else { return found };
    let looked = &trace.events[own[look]];
    // Who has changed what was looked at afterwards.
    let later = trace.events[own[look] + 1..].iter();
    let sets = later.filter(|event| {
        event.thread != edge.thread && event.object == looked.object && event.kind.writes() && event.ok
    });
    for set in sets {
        let theirs = &threads[set.thread.index()];
        let wakes = theirs.iter().map(|at| &trace.events[*at]).find(|event| {
            event.step < set.step
                && matches!(event.verb, Verb::NotifyOne | Verb::NotifyAll | Verb::Unpark)
                && (event.object == edge.object || event.verb == Verb::Unpark)
        });
        found.extend(wakes.map(|wakes| (set, wakes)));
        // What was left for them between the look and the sleep, too late for their look at it.
        let left = own[look + 1..].iter().map(|at| &trace.events[*at]).find(|event| {
            let object = event.object.filter(|_| event.kind.writes() && event.verb != Verb::Wait);
            object.is_some()
                && event.object != looked.object
                && theirs.iter().any(|at| {
                    let other = &trace.events[*at];
                    other.object == object && other.step < event.step
                })
        });
        found.extend(left.map(|left| (left, looked)));
    }
    found
}

/// Two accesses race: one comes right behind the store by which its thread has told the other one to go on.
fn published_early<'t>(
    trace: &'t Trace,
    first: &RacingAccess,
    second: &RacingAccess,
) -> Vec<(&'t Event, &'t Event)> {
    let threads = by_thread(trace);
    let mut found = Vec::new();
    for (one, other) in [(first, second), (second, first)] {
        let own = &threads[one.thread.index()];
        let access = own.iter().rposition(|at| trace.events[*at].site == one.site);
        let Some(access) = access else { continue };
        let before = own[..access].iter().map(|at| &trace.events[*at]).rfind(|event| is_step(trace, event));
        let tells = |event: &&Event| {
            event.kind == OpKind::Store
                && threads[other.thread.index()].iter().any(|at| {
                    trace.events[*at].reads_from == Some(ReadsFrom::Step(event.step))
                        && trace.events[*at].object == event.object
                })
        };
        found.extend(before.filter(tells).map(|before| (&trace.events[own[access]], before)));
    }
    found
}
