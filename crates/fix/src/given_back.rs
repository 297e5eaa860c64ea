//! What a thread takes and does not use: a flag that it has cleared, a permit or a lock that it has got, a count
//! that it has raised, on a way that leads elsewhere.
//!
//! Whoever takes something to act on it, and leaves early, has to give it back; others look for it in vain, or
//! wait for a count to come down that nobody brings down. The way out is code of the program, which no event
//! shows; so it is read off failing executions who has taken something and what was looked at next, and the
//! change is proposed untried, in the block of the way out.

use crate::search::Search;
use crate::sites::by_thread;
use crate::steps::writes;
use racefuzz_trace::{Edit, Event, ObjectKind, OpKind, ThreadEnd, Trace, Verb};

impl Search<'_> {
    /// What threads have taken in bad executions and ended with, each with what its thread has looked at next.
    pub(crate) fn not_given_back(&self) -> Vec<Edit> {
        let mut edits: Vec<Edit> = Vec::new();
        for known in &self.known {
            let trace = &known.bad.trace;
            for (number, events) in by_thread(trace).iter().enumerate() {
                if !matches!(trace.threads[number].end, ThreadEnd::Finished) {
                    continue;
                }
                let own: Vec<&Event> = events.iter().map(|at| &trace.events[*at]).collect();
                for (at, event) in own.iter().enumerate().filter(|(_, event)| takes(trace, event)) {
                    let kept =
                        !own[at + 1..].iter().any(|later| later.object == event.object && writes(later));
                    let looked = own[at + 1..].iter().find(|later| looks(later));
                    let (taken, was) = (trace.site(event.site), event.read.clone());
                    let (Some(looked), Some(was)) = (looked.filter(|_| kept), was) else { continue };
                    let looked = trace.site(looked.site);
                    let edit = Edit::GiveBackTaken { taken: taken.clone(), was, looked: looked.clone() };
                    if taken.file == looked.file && taken.line < looked.line && !edits.contains(&edit) {
                        edits.push(edit);
                    }
                }
            }
        }
        edits
    }
}

/// Whether an event takes something, in the way that things are taken from others.
fn takes(trace: &Trace, event: &Event) -> bool {
    let atomic = event.object.is_some_and(|object| trace.object(object).kind == ObjectKind::Atomic);
    let changes = event.kind == OpKind::Rmw && event.ok && event.read != event.wrote;
    atomic
        && changes
        && matches!(
            event.verb,
            Verb::Swap
                | Verb::CompareExchange
                | Verb::CompareExchangeWeak
                | Verb::FetchAdd
                | Verb::FetchSub
                | Verb::FetchOr
                | Verb::FetchAnd
        )
}

/// Whether an event looks at something: that may decide where its thread goes.
fn looks(event: &Event) -> bool {
    event.kind.reads() || event.verb.takes_lock()
}
