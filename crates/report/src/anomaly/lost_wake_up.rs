//! Lost wake-up: a thread sleeps for good, and the notification meant for it came too early, went to
//! another thread, was taken by another wait of its own, or was not thought necessary because one of
//! the two had not seen what the other one stored.

use super::Finding;
use crate::explanation::Anomaly;
use crate::view::{View, reads, writes};
use racefuzz_trace::{Event, FailureDetail, OpKind, ThreadEnd, Verb, WaitEdge};

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
        .or_else(|| asleep().find_map(|edge| token_gone(view, edge)))
        .or_else(|| asleep().find_map(|edge| flag_missed(view, edge)))
}

/// A thread parks for good although it was unparked: another park of its own took the token.
fn token_gone(view: &View<'_>, edge: &WaitEdge) -> Option<Finding> {
    if edge.verb != Verb::Park {
        return None;
    }
    let own = |event: &&Event| event.thread == edge.thread && event.verb == Verb::Park;
    let taken = view.events.iter().rfind(own)?;
    // A token that made it look again was not lost; what it then saw was too old.
    let looks = view.accesses().filter(|event| event.thread == edge.thread && event.step > taken.step);
    if looks.into_iter().any(|event| view.is_stale(event)) {
        return None;
    }
    let given = |event: &&Event| event.verb == Verb::Unpark && event.other == Some(edge.thread);
    let before: Vec<&Event> = view.events[..taken.step as usize].iter().filter(given).collect();
    let unpark = *before.last()?;
    // Those since the park before it: they left one token together.
    let earlier = view.events[..taken.step as usize].iter().rfind(own).map_or(0, |event| event.step);
    let together = before.iter().filter(|event| event.step > earlier).count();
    let (thread, place) = (view.thread(edge.thread), view.place(edge.site));
    let one = match together {
        0 | 1 => "A token serves one park, whoever it was meant for".to_owned(),
        _ => format!("The {together} unparks before it left one token together, and it serves one park"),
    };
    let paragraph = format!(
        "{thread} parks at {place} for ever, because its park in step {} took the token that {} had left (step {}), \
         and nobody unparks it again. {one}.",
        view.step(taken),
        view.thread(unpark.thread),
        view.step(unpark),
    );
    let finding = Finding::new(Anomaly::LostWakeUp, format!("lost wake-up of {thread}"), paragraph)
        .mark(taken, "takes the token".to_owned())
        .at(unpark.site, format!("{} unparks {thread} here", view.thread(unpark.thread)))
        .at(taken.site, format!("{thread} takes the token here"))
        .at(edge.site, format!("{thread} parks here for ever"));
    Some(finding)
}

/// A thread went to sleep because it had not seen, or not seen yet, what another one stored to tell it
/// not to; and that one did not wake it.
fn flag_missed(view: &View<'_>, edge: &WaitEdge) -> Option<Finding> {
    let asleep = asleep_since(view, edge);
    let own = |event: &&Event| event.thread == edge.thread && event.step < asleep && reads(event);
    let look = view.accesses().rfind(own)?;
    let object = look.object?;
    let later = |event: &&Event| event.thread != edge.thread && writes(event) && event.step > look.step;
    let missed = view.newer(look).or_else(|| view.accesses_of(object).find(later))?;
    let (thread, writer) = (view.thread(edge.thread), view.thread(missed.thread));
    let (place, name) = (view.place(edge.site), view.object(object));
    let why = if view.is_stale(look) {
        let cut = cut_sequence(view, missed, look).unwrap_or_default();
        format!(
            "it read {} from {name} (step {}) although {writer} had stored {} before (step {}): {}{cut}",
            view.read(look),
            view.step(look),
            view.wrote(missed),
            view.step(missed),
            view.not_visible(missed, look),
        )
    } else {
        format!(
            "it read {} from {name} (step {}), and {writer} stored {} only then (step {})",
            view.read(look),
            view.step(look),
            view.wrote(missed),
            view.step(missed),
        )
    };
    // What the other one looked at, to find out whether there was somebody to wake.
    let looked = |event: &&Event| event.thread == missed.thread && reads(event) && !writes(event);
    let asked = view.accesses().rfind(|event| looked(event) && event.object != Some(object));
    let nobody = match asked {
        Some(asked) => format!(
            "{writer}, which read {} from {} (step {}), does not wake it",
            view.read(asked),
            asked.object.map_or_else(String::new, |object| view.object(object)),
            view.step(asked),
        ),
        None => format!("{writer} does not wake it"),
    };
    let what = edge.object.map_or_else(String::new, |object| format!(" on {}", view.object(object)));
    let sleeps = if edge.verb == Verb::Park { "parks" } else { "sleeps" };
    let paragraph = format!("{thread} {sleeps}{what} at {place} for ever, because {why}; and {nobody}.");
    let headline = match edge.object {
        Some(object) => format!("lost wake-up on {}", view.object(object)),
        None => format!("lost wake-up of {thread}"),
    };
    let mut finding = Finding::new(Anomaly::LostWakeUp, headline, paragraph)
        .about(Some(object))
        .mark(look, view.stale_mark(look, missed))
        .from(missed)
        .from(look)
        .at(edge.site, format!("{thread} {sleeps} here"));
    if let Some(asked) = asked {
        finding = finding.from(asked);
    }
    Some(finding)
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

/// A plain store that cuts the release sequence by which the thread would have come to know: it has read
/// that store, and not the read-modify-write before it by which the other one told.
fn cut_sequence(view: &View<'_>, missed: &Event, look: &Event) -> Option<String> {
    let before = view.accesses().rev().filter(|event| event.thread == look.thread && event.step < look.step);
    let mut sources = before.filter(|event| event.order.acquires()).filter_map(|event| {
        let store = view.source(event)?;
        (store.kind == OpKind::Store && store.thread != missed.thread).then_some((event, store))
    });
    sources.find_map(|(event, store)| {
        let tells = |other: &&Event| {
            other.thread == missed.thread
                && other.kind == OpKind::Rmw
                && writes(other)
                && other.order.releases()
                && (missed.step..store.step).contains(&other.step)
        };
        let told = view.accesses_of(event.object?).find(tells)?;
        Some(format!(
            " (that {} told by {} in step {}, but step {} is a plain store, which cuts its release sequence)",
            view.thread(told.thread),
            view.object(event.object?),
            view.step(told),
            view.step(store),
        ))
    })
}
