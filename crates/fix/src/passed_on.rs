//! Notifications that somebody got who did not want them any more: a waiter that was woken, found that it is
//! cancelled, and left; what it was woken for is there, and who else waits for it sleeps on.
//!
//! A notification for one is for whoever is woken by it. Who does not use it passes it on (tokio's `Notify` when
//! a future is dropped, python's `Condition` when a task is cancelled). What a waiter looks at is code of the
//! program, so the change is proposed untried, in the block in which it leaves.

use crate::search::Search;
use crate::sites::by_thread;
use racefuzz_trace::{Edit, Event, FailureDetail, Verb};

impl Search<'_> {
    /// In bad executions in which somebody sleeps for good: where others have been woken by what is waited for
    /// and have notified nobody behind that, each with what it has looked at next.
    pub(crate) fn not_passed_on(&self) -> Vec<Edit> {
        let mut edits: Vec<Edit> = Vec::new();
        for known in &self.known {
            let Some(FailureDetail::Deadlock { waiting, .. }) = &known.bad.detail else { continue };
            let trace = &known.bad.trace;
            let asleep = waiting.iter().filter(|edge| matches!(edge.verb, Verb::Woken | Verb::Wait));
            for (condvar, sleeper) in asleep.filter_map(|edge| Some((edge.object?, edge.thread))) {
                let threads = by_thread(trace);
                for events in threads.iter().enumerate().filter(|(at, _)| *at != sleeper.index()) {
                    let own: Vec<&Event> = events.1.iter().map(|at| &trace.events[*at]).collect();
                    let here = |event: &&Event| event.object == Some(condvar);
                    let woken = |event: &&Event| here(event) && event.verb == Verb::Woken;
                    let Some(woken) = own.iter().rposition(woken) else { continue };
                    let behind = &own[woken + 1..];
                    let notifies = |event: &&Event| {
                        matches!(event.verb, Verb::NotifyOne | Verb::NotifyAll) && here(event)
                    };
                    let waits_again = behind.iter().any(|event| here(event) && event.verb == Verb::Wait);
                    if waits_again || behind.iter().any(notifies) {
                        continue;
                    }
                    let wait = own[woken].site;
                    let looked = behind.iter().find(|event| event.kind.reads() && event.site != wait);
                    let Some(looked) = looked else { continue };
                    let (wait, looked) = (trace.site(wait).clone(), trace.site(looked.site).clone());
                    let edit = Edit::PassOn { wait, looked };
                    if !edits.contains(&edit) {
                        edits.push(edit);
                    }
                }
            }
        }
        edits
    }
}
