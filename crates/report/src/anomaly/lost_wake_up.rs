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
    let asked = asked(view, look, missed);
    let nobody = match asked {
        Some(asked) => format!("{writer} does not wake it, because {}", found_nobody(view, asked, edge)),
        None => match done_before(view, look, missed, asleep) {
            Some((given, taken)) => format!(
                "{writer} does not wake it: it was done with {} (step {}) before {thread} took it (step {})",
                given.object.map_or_else(String::new, |object| view.object(object)),
                view.step(given),
                view.step(taken),
            ),
            None => format!("{writer} does not wake it"),
        },
    };
    let polled = matches!(edge.verb, Verb::Await | Verb::Poll);
    let on = edge.object.filter(|_| !polled);
    let what = on.map_or_else(String::new, |object| format!(" on {}", view.object(object)));
    let sleeps = if edge.verb == Verb::Park { "parks" } else { "sleeps" };
    let paragraph = format!("{thread} {sleeps}{what} at {place} for ever, because {why}; and {nobody}.");
    let headline = match on {
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

/// What the thread that stored looked at, to find out whether there was somebody to wake: what it read
/// behind the store, or else before.
fn asked<'a>(view: &View<'a>, look: &Event, missed: &Event) -> Option<&'a Event> {
    let others =
        |event: &&Event| event.thread == missed.thread && event.object != look.object && reads(event);
    let behind = |event: &&Event| others(event) && event.step > missed.step;
    view.accesses().rfind(behind).or_else(|| view.accesses().rfind(|event| others(event) && !writes(event)))
}

/// What told a thread that there was nobody to wake, as a clause.
fn found_nobody(view: &View<'_>, asked: &Event, edge: &WaitEdge) -> String {
    let object = asked.object.map_or_else(String::new, |object| view.object(object));
    let read = format!("it read {} from {object} (step {})", view.read(asked), view.step(asked));
    let sleeper = view.thread(edge.thread);
    let theirs = |event: &&Event| event.thread == edge.thread && writes(event);
    if let Some(newer) = view.newer(asked).filter(|newer| newer.thread == edge.thread) {
        let stored = format!("{sleeper} had stored {} before (step {})", view.wrote(newer), view.step(newer));
        return match writes(asked) {
            // A read-modify-write reads what is next to it in modification order, and comes before the rest.
            true => format!(
                "{read}, and that step comes before the store of {} by {sleeper} (step {}) in the order of all stores to {object}",
                view.wrote(newer),
                view.step(newer),
            ),
            false => format!("{read} although {stored}: {}", view.not_visible(newer, asked)),
        };
    }
    let later = asked
        .object
        .and_then(|object| view.accesses_of(object).find(|event| theirs(event) && event.step > asked.step));
    match later {
        Some(later) => {
            format!(
                "{read}, and {sleeper} stored {} only then (step {})",
                view.wrote(later),
                view.step(later)
            )
        }
        None => read,
    }
}

/// A lock that the thread that stored had given back, behind its store, before the sleeper took it: the
/// one looked under it for somebody to wake, the other was not there yet.
fn done_before<'a>(
    view: &View<'a>,
    look: &Event,
    missed: &Event,
    asleep: u32,
) -> Option<(&'a Event, &'a Event)> {
    let gives =
        |event: &&Event| event.thread == missed.thread && event.step > missed.step && event.verb.gives_lock();
    view.events.iter().filter(gives).find_map(|given| {
        let takes = |event: &&Event| {
            event.thread == look.thread
                && event.object == given.object
                && event.verb.takes_lock()
                && (given.step.max(look.step)..asleep).contains(&event.step)
        };
        Some((given, view.events.iter().find(takes)?))
    })
}

fn tell(view: &View<'_>, edge: &WaitEdge, too_early: bool) -> Option<Finding> {
    let object = edge.object?;
    let asleep = asleep_since(view, edge);
    let notifications = view.events.iter().filter(|event| {
        // A token of an unpark is kept.
        matches!(event.verb, Verb::NotifyOne | Verb::NotifyAll | Verb::Wake)
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
            let why = wait.and_then(|wait| unheard(view, wait, notify)).unwrap_or_else(|| {
                format!("Nothing made {thread} look whether there was still something to wait for.")
            });
            let paragraph = format!(
                "{thread} sleeps on {name} {sleeps} and nobody will wake it, because {notifier} had notified {name} \
                 in step {} already, when nobody was waiting: a notification is not kept for later. {why}",
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

/// How a thread came to wait for what had happened: it had looked before that, and the mutex did not keep
/// the two together; or it had the mutex behind that, and did not look.
fn unheard(view: &View<'_>, wait: &Event, notify: &Event) -> Option<String> {
    let (thread, notifier) = (view.thread(wait.thread), view.thread(notify.thread));
    let own = |event: &&Event| event.thread == wait.thread;
    // What is given back in order to wait.
    let mutex =
        view.events.iter().filter(own).find(|event| event.step > wait.step && event.verb.gives_lock())?;
    let lock = view.object(mutex.object?);
    let taken =
        view.held(wait.thread, wait.step).into_iter().rfind(|held| Some(held.object) == mutex.object)?;
    let looks = |event: &&Event| own(event) && reads(event) && (taken.taken..wait.step).contains(&event.step);
    let change = |look: &Event| {
        let news = |event: &&Event| {
            event.thread == notify.thread
                && writes(event)
                && Some(event.step) > view.knew(look)
                && event.step < notify.step
        };
        view.accesses_of(look.object?).rfind(news)
    };
    let looks = view.accesses().rev().filter(looks);
    let missed = looks.filter_map(|look| Some((look, change(look)?))).next();
    if let Some((look, change)) = missed {
        let object = look.object.map_or_else(String::new, |object| view.object(object));
        let (read, wrote) = (view.read(look), view.wrote(change));
        let (looked, stored) = (view.step(look), view.step(change));
        if change.step < look.step {
            return Some(format!(
                "{thread} had looked and read {read} from {object} (step {looked}), although {notifier} had stored \
                 {wrote} before (step {stored}): {}.",
                view.not_visible(change, look),
            ));
        }
        let held = view.held(change.thread, change.step).iter().any(|held| Some(held.object) == mutex.object);
        let without = match held {
            true => String::new(),
            false => format!(
                " {thread} holds {lock} from the one to the other, but {notifier} stored and notified without it."
            ),
        };
        return Some(format!(
            "{thread} had read {read} from {object} (step {looked}), and {notifier} stored {wrote} between that and \
             the wait (step {stored}).{without}"
        ));
    }
    let given = view.events.iter().rfind(|event| {
        event.thread == notify.thread
            && event.object == mutex.object
            && event.verb.gives_lock()
            && event.step < notify.step.min(taken.taken)
    })?;
    Some(format!(
        "{thread} took {lock} (step {}) when {notifier} had given it back (step {}): what {notifier} had changed was \
         there to be seen, and {thread} did not look again, or at something else.",
        crate::words::StepRef(taken.taken),
        view.step(given),
    ))
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
