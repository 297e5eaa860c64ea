//! Lost wake-up: a thread sleeps for good, and the notification meant for it came too early or
//! went to another thread.

use super::Finding;
use crate::explanation::Anomaly;
use crate::view::View;
use racefuzz_trace::{Event, FailureDetail, ThreadEnd, Verb, WaitEdge};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::Deadlock { waiting, .. } = &view.failure.detail else { return None };
    let asleep = || {
        waiting.iter().filter(|edge| {
            matches!(edge.verb, Verb::Wait | Verb::Woken | Verb::Park | Verb::Await | Verb::Poll)
        })
    };
    // A notification that went to another thread says more than one that went nowhere: somebody
    // notified too early is common, and harmless if others follow.
    asleep()
        .find_map(|edge| tell(view, edge, false))
        .or_else(|| asleep().find_map(|edge| tell(view, edge, true)))
}

fn tell(view: &View<'_>, edge: &WaitEdge, too_early: bool) -> Option<Finding> {
    let object = edge.object?;
    let asleep = asleep_since(view, edge);
    let notifications = view.events.iter().filter(|event| {
        matches!(event.verb, Verb::NotifyOne | Verb::NotifyAll | Verb::Unpark | Verb::Wake)
            && event.object == Some(object)
            && event.thread != edge.thread
    });
    let notifications: Vec<&Event> = notifications.collect();
    // One that found nobody, before this thread slept, is the one that is missed.
    let early = notifications.iter().rfind(|event| event.other.is_none() && event.step < asleep);
    let early = early.filter(|_| too_early);
    let stolen = notifications.iter().rfind(|event| {
        event.verb == Verb::NotifyOne
            && event.step >= asleep
            && event.other.is_some_and(|other| other != edge.thread)
    });
    let stolen = stolen.filter(|_| !too_early);
    let (thread, name) = (view.thread(edge.thread), view.object(object));
    let place = view.place(edge.site);
    let wait = view.events.iter().rfind(|event| {
        event.thread == edge.thread && event.object == Some(object) && event.verb == Verb::Wait
    });
    let sleeps = wait.map_or_else(|| format!("at {place}"), |wait| format!("since step {}", view.step(wait)));
    let (notify, paragraph, mark) = match (early, stolen) {
        (Some(notify), _) => {
            let notifier = view.thread(notify.thread);
            let paragraph = format!(
                "{thread} sleeps on {name} {sleeps} and nobody will wake it, because {notifier} had notified {name} \
                 in step {} already, when nobody was waiting: a notification is not kept for later. Nothing made \
                 {thread} look whether there was still something to wait for.",
                view.step(notify),
            );
            (*notify, paragraph, "too early")
        }
        (None, Some(notify)) => {
            let woken = notify.other.map_or("another thread", |other| view.thread(other));
            let again = view.events.iter().find(|event| {
                event.verb == Verb::Wait
                    && event.object == Some(object)
                    && event.step > notify.step
                    && Some(event.thread) == notify.other
            });
            let use_of_it = match again {
                Some(again) => {
                    format!("had no use for it and went back to sleep (step {})", view.step(again))
                }
                None => "did not pass it on".to_owned(),
            };
            let paragraph = format!(
                "{thread} sleeps on {name} {sleeps} and nobody will wake it, because the notification by {} (step \
                 {}) went to {woken}, which {use_of_it}. {name} wakes any one of those who wait, whatever they wait \
                 for.",
                view.thread(notify.thread),
                view.step(notify),
            );
            (*notify, paragraph, "wakes the wrong thread")
        }
        (None, None) => return None,
    };
    let mut finding = Finding::new(Anomaly::LostWakeUp, format!("lost wake-up on {name}"), paragraph)
        .about(Some(object))
        .mark(notify, mark.to_owned())
        .at(notify.site, format!("{} notifies here", view.thread(notify.thread)))
        .at(edge.site, format!("{thread} sleeps here"));
    if let Some(wait) = wait {
        finding = finding.mark(wait, "sleeps for ever".to_owned());
        // What it looked at before it went to sleep.
        let looked = view.accesses().rfind(|event| {
            event.thread == edge.thread && event.step < wait.step && !view.alone[event.step as usize]
        });
        finding = finding.about(looked.and_then(|event| event.object));
    }
    Some(finding)
}

/// The number of events that had been executed when the thread fell asleep.
fn asleep_since(view: &View<'_>, edge: &WaitEdge) -> u32 {
    match &view.trace.thread(edge.thread).end {
        ThreadEnd::Blocked { waiting, .. } => waiting.since,
        _ => u32::MAX,
    }
}
