//! What the end of a thread does not promise, said behind any anomaly that it is the reason for.
//!
//! A thread that has done its last step need not have ended for somebody who asks, and its local values are
//! destroyed behind its end: only `join` waits for that. Both surprise whoever takes the last step for the end.

use super::Finding;
use crate::explanation::Anomaly;
use crate::view::{View, is_housekeeping};
use racefuzz_trace::{Event, FailureKind, ThreadEnd, ThreadId, Verb};

/// Adds to the story of a panic which end somebody took for granted.
pub(super) fn tell(view: &View<'_>, finding: &mut Finding) {
    use Anomaly::{AssertionFailed, Exit, OrderViolation, Panic};
    if !matches!(view.failure.kind, FailureKind::Panic | FailureKind::Exit)
        || !matches!(finding.anomaly, AssertionFailed | OrderViolation | Panic | Exit)
    {
        return;
    }
    if let Some((asked, thread)) = asked_in_vain(view) {
        let (asker, asked_in) = (view.thread(asked.thread), view.step(asked));
        let name = view.thread(thread);
        let why = match view.trace.thread(thread).end {
            ThreadEnd::Finished => ": one that has done its last step need not have ended yet",
            _ => "",
        };
        finding.paragraph.push_str(&format!(
            " {asker} was told that {name} is not finished (step {asked_in}){why}. join waits for the end.",
        ));
        finding.keys.push(asked.step);
    }
    for of in undestroyed(view) {
        finding.paragraph.push_str(&format!(
            " The local values of {} were not destroyed yet: neither the end of a scope nor is_finished waits for \
             that, join does.",
            view.thread(of),
        ));
    }
}

/// The failing thread's last question whether another one has ended, if it has done nothing since that matters and
/// the answer was no.
fn asked_in_vain<'a>(view: &View<'a>) -> Option<(&'a Event, ThreadId)> {
    let own = |event: &&Event| event.thread == view.failure.thread;
    let matters = |event: &&Event| event.verb == Verb::IsFinished || !is_housekeeping(event.verb);
    let last = view.events.iter().rev().filter(own).find(matters)?;
    let in_vain = last.verb == Verb::IsFinished && !last.ok;
    in_vain.then_some((last, last.other?))
}

/// The ended threads whose local values were not destroyed when the failure came.
fn undestroyed<'a>(view: &'a View<'_>) -> impl Iterator<Item = ThreadId> + 'a {
    let threads = view.trace.threads.iter().filter(|thread| {
        let finished = |event: &Event| event.thread == thread.id && event.verb == Verb::Finish;
        !view.events.iter().any(finished)
    });
    threads.filter_map(|thread| thread.epilogue_of)
}
