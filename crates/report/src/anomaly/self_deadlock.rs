//! Self-deadlock: a thread waits for a lock that it holds itself.

use super::{Finding, taken};
use crate::explanation::Anomaly;
use crate::view::View;
use crate::words::StepRef;
use racefuzz_trace::{FailureDetail, Verb};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::Deadlock { waiting, cycle } = &view.failure.detail else { return None };
    let edge = waiting.iter().find(|edge| {
        let own = edge.holders.iter().any(|(holder, _)| *holder == edge.thread);
        own && edge.object.is_some() && (cycle.is_empty() || cycle[..] == [edge.thread])
    })?;
    let object = edge.object?;
    let (thread, name) = (view.thread(edge.thread), view.object(object));
    let held = taken(view, edge.thread, object);
    let taken_at = edge.holders.iter().find(|(holder, _)| *holder == edge.thread).and_then(|(_, site)| *site);
    let since = match (held, taken_at) {
        (Some(step), _) => format!(" since step {}", StepRef(step)),
        (None, Some(site)) => format!(" (taken at {})", view.place(site)),
        (None, None) => String::new(),
    };
    let shared = held.is_some_and(|step| view.event(step).verb == Verb::ReadLock);
    let reason = match edge.verb {
        Verb::WriteLock if shared => {
            "a read lock cannot be turned into a write lock: the writer waits for all readers, itself among them"
        }
        _ => "the lock is not reentrant",
    };
    let paragraph = format!(
        "{thread} wants to {} {name} at {}, but will never get it, because {thread} itself holds it{since} and {reason}.",
        edge.verb.word(),
        view.place(edge.site),
    );
    let headline = format!("self-deadlock on {name}");
    let mut finding = Finding::new(Anomaly::SelfDeadlock, headline, paragraph).about(Some(object));
    if let Some(site) = taken_at {
        finding = finding.at(site, format!("{thread} takes {name} here"));
    }
    Some(finding.at(edge.site, format!("{thread} waits for {name} here")))
}
