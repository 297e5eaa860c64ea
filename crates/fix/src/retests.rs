//! Waits on condition variables after which nothing is tested again: `if` around a wait where `while` belongs.
//!
//! A wait may end for no reason, and between the notification and the waking another thread may have taken
//! what was notified. What is tested is code of the program, which may look at what the lock guards, and that
//! leaves no event; so no overlay can test it again, and the change is proposed untried.

use crate::search::Search;
use crate::steps::{is_step, writes};
use racefuzz_trace::{Edit, Event, FailureDetail, ObjectKind, ThreadId, Trace, Verb};

impl Search<'_> {
    /// Waits that a thread has gone on behind, without another wait there, before something went wrong in it.
    pub(crate) fn waits_not_tested_again(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for known in &self.known {
            let bad = &known.bad;
            let mut threads = vec![bad.thread];
            if let Some(FailureDetail::Deadlock { waiting, .. }) = &bad.detail {
                threads.extend(waiting.iter().map(|edge| edge.thread));
            }
            for thread in threads {
                let edit = last_woken(&bad.trace, thread)
                    .map(|event| Edit::TestAgain { wait: bad.trace.site(event.site).clone() });
                edits.extend(edit.filter(|edit| !edits.contains(edit)));
            }
        }
        edits
    }
}

/// Where a thread was woken last, if it is not waiting there again, and has not looked again at what it had
/// looked at under the lock before it waited.
fn last_woken(trace: &Trace, thread: ThreadId) -> Option<&Event> {
    let events: Vec<&Event> = trace.events.iter().filter(|event| event.thread == thread).collect();
    let condvar = |event: &&Event| {
        let kind = event.object.map(|object| trace.object(object).kind);
        kind == Some(ObjectKind::Condvar) && matches!(event.verb, Verb::Woken | Verb::Wait)
    };
    let woken = events.iter().rposition(condvar).filter(|at| events[*at].verb == Verb::Woken)?;
    let waits = events[..woken].iter().rposition(|event| event.verb == Verb::Wait)?;
    let lock = events[..waits].iter().rposition(|event| event.verb.takes_lock()).unwrap_or(0);
    let looked = events[lock..waits].iter().filter(|event| is_step(trace, event) && !writes(event));
    let again = |look: &Event| events[woken..].iter().any(|event| event.site == look.site);
    let looked_again = looked.into_iter().any(|look| again(look));
    (!looked_again).then_some(events[woken])
}
