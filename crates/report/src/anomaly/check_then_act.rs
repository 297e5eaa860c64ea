//! Check-then-act: a thread looked at an object, another thread changed it, and the first acted on
//! what it had seen.
//!
//! The act is the thread's next write (to any object) or the failure itself. Lock regions count as
//! well as values: a mutex given back and taken again protects nothing in between. A notification is
//! a look too, one that another thread did: what it told may be gone before the thread has its lock.

use super::lost_update::overwrites;
use super::{Finding, WINDOW, headline, outcome};
use crate::explanation::Anomaly;
use crate::view::{View, reads, updates, writes};
use racefuzz_trace::{Event, ObjectId, Verb};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    claimed(view).or_else(|| acted(view)).or_else(|| stolen(view)).or_else(|| relocked(view))
}

/// Two threads found the object as each wanted it and both changed it.
fn claimed(view: &View<'_>) -> Option<Finding> {
    let involved = |found: &&super::lost_update::Overwrite<'_>| {
        [found.write.thread, found.lost.thread].iter().any(|thread| view.concerns(*thread))
    };
    let found = overwrites(view);
    let found = found.iter().find(involved)?;
    Some(tell(view, found.read, found.lost, Some(found.write), None))
}

/// The failing thread's last look at an object went stale before it acted.
fn acted(view: &View<'_>) -> Option<Finding> {
    let thread = view.failure.thread;
    let own: Vec<&Event> = view.accesses().filter(|event| event.thread == thread).collect();
    let (last, before) = own.split_last()?;
    if view.alone[last.step as usize] {
        return None;
    }
    let look = |event: &&&Event| reads(event) && !updates(event);
    let stale = |read: &Event, until: u32| {
        let object = read.object?;
        let between = |event: &&Event| {
            Some(event.step) > view.knew(read) && event.step < until && writes(event) && !view.is_late(event)
        };
        view.accesses_of(object).rfind(between).filter(|write| write.thread != thread)
    };
    let again = |read: &Event, until: u32| {
        own.iter().any(|e| e.object == read.object && e.step > read.step && e.step < until && reads(e))
    };
    if writes(last) {
        let check = before
            .iter()
            .rfind(|read| look(read) && !again(read, last.step) && stale(read, last.step).is_some())?;
        return Some(tell(view, check, stale(check, last.step)?, Some(last), None));
    }
    let change = stale(last, view.failure.step).filter(|_| reads(last) && !updates(last))?;
    Some(tell(view, last, change, None, None))
}

/// A thread looked at an object, another changed it, and the first read it again and changed it all the
/// same: what it went on for was the first look.
pub(super) fn reread(view: &View<'_>) -> Option<Finding> {
    let found = view.accesses().rev().take(WINDOW).find_map(|act| {
        let object = act.object.filter(|_| writes(act) && !updates(act) && !view.is_late(act))?;
        let own: Vec<&Event> = view
            .accesses_of(object)
            .filter(|event| event.thread == act.thread && event.step < act.step)
            .collect();
        // The looks since its last change.
        let first = own.iter().rposition(|event| writes(event)).map_or(0, |at| at + 1);
        let (again, looks) = own[first..].split_last()?;
        let look = *looks.first()?;
        let change = view.accesses_of(object).rfind(|event| {
            event.thread != act.thread && writes(event) && event.step > look.step && event.step < again.step
        })?;
        let counts = look.read != again.read && view.observed(object, act.step);
        (counts && (view.concerns(act.thread) || view.concerns(change.thread))).then_some((look, change, act))
    });
    let (look, change, act) = found?;
    Some(tell(view, look, change, Some(act), None))
}

/// A thread changed what the failing check saw, right after it had looked at something else that another
/// thread changed in between.
pub(super) fn elsewhere(view: &View<'_>) -> Option<Finding> {
    let found = view.accesses().rev().take(WINDOW).find_map(|act| {
        let object = act.object.filter(|_| writes(act) && !updates(act))?;
        let before = |event: &&Event| event.thread == act.thread && event.step < act.step;
        let look = view.accesses().rfind(before).filter(|look| {
            reads(look) && !updates(look) && look.object != Some(object) && !view.is_stale(look)
        })?;
        let change = view.accesses_of(look.object?).rfind(|event| {
            event.thread != act.thread && writes(event) && (look.step..act.step).contains(&event.step)
        })?;
        let last = !view.accesses_of(object).any(|event| writes(event) && event.step > act.step);
        (last && view.observed(object, act.step)).then_some((look, change, act))
    });
    let (look, change, act) = found?;
    Some(tell(view, look, change, Some(act), None))
}

/// `lock` is what was given back between the check and the act, if the caller knows it.
fn tell(
    view: &View<'_>,
    check: &Event,
    change: &Event,
    act: Option<&Event>,
    lock: Option<ObjectId>,
) -> Finding {
    let (thread, other) = (view.thread(check.thread), view.thread(change.thread));
    let object = check.object.map_or_else(String::new, |object| view.object(object));
    let acts = match act {
        Some(act) => format!(
            "stored {} in {} (step {})",
            view.wrote(act),
            act.object.map_or_else(String::new, |object| view.object(object)),
            view.step(act)
        ),
        None => "went on".to_owned(),
    };
    let end = act.map_or_else(|| "the end".to_owned(), |act| format!("step {}", view.step(act)));
    let (why, parts) = match lock.or_else(|| given_back(view, check, act?)) {
        Some(lock) => (format!("{} was given back between the two", view.object(lock)), "critical sections"),
        None => (
            format!(
                "nothing kept step {} from coming between step {} and {end}",
                view.step(change),
                view.step(check)
            ),
            "steps",
        ),
    };
    let when = match change.step < check.step {
        true => format!("before (step {}) and {}", view.step(change), view.not_visible(change, check)),
        false => format!("in between (step {}) and {why}", view.step(change)),
    };
    let paragraph = format!(
        "{thread} {acts}, because it had found {} in {object} (step {}). That was no longer so, because {other} had \
         stored {} in {object} {when}. The check and the act are two {parts} where one is needed: {}.",
        view.read(check),
        view.step(check),
        view.wrote(change),
        outcome(view),
    );
    let headline = headline(view, Anomaly::CheckThenAct, check.object);
    let mut finding = Finding::new(Anomaly::CheckThenAct, headline, paragraph)
        .about(check.object)
        .mark(check, view.stale_mark(check, change))
        .from(check);
    if let Some(act) = act {
        let text = format!("acts on step {}", view.step(check));
        finding = finding.about(act.object).mark(act, text).from(act);
    }
    finding
}

/// The failing thread was woken on a condition variable, and another thread had the lock before it.
fn stolen(view: &View<'_>) -> Option<Finding> {
    let thread = view.failure.thread;
    let own = |event: &&Event| event.thread == thread;
    let again = view.events.iter().rev().filter(own).find(|event| event.verb.takes_lock() && event.ok)?;
    let woken = view.events.iter().rev().filter(own).find(|event| event.step < again.step)?;
    let on = |event: &&Event| event.object == woken.object && event.step < again.step;
    let notify =
        view.events.iter().rev().filter(on).find(|event| {
            matches!(event.verb, Verb::NotifyOne | Verb::NotifyAll) && event.thread != thread
        })?;
    let change = view.accesses().rfind(|event| {
        let others = event.thread != thread && event.thread != notify.thread;
        others && writes(event) && event.step > notify.step && event.step < again.step
    })?;
    let look = view.accesses().rev().filter(own).find(|event| event.step > again.step && reads(event))?;
    if woken.verb != Verb::Woken || look.object != change.object {
        return None;
    }
    let (name, other) = (view.thread(thread), view.thread(change.thread));
    let lock = again.object.map_or_else(String::new, |object| view.object(object));
    let object = look.object.map_or_else(String::new, |object| view.object(object));
    let paragraph = format!(
        "{} woke {name} (step {}). But {name} must have {lock} again before it can go on (step {}), and {other} had it \
         first and stored {} in {object} (step {}). What {name} was woken for was gone, and it did not look again \
         before it went on: {}.",
        view.thread(notify.thread),
        view.step(notify),
        view.step(again),
        view.wrote(change),
        view.step(change),
        outcome(view),
    );
    let headline = headline(view, Anomaly::CheckThenAct, look.object);
    let finding = Finding::new(Anomaly::CheckThenAct, headline, paragraph)
        .about(look.object)
        .mark(notify, format!("no longer true after step {}", view.step(change)))
        .mark(look, format!("relies on step {}", view.step(notify)))
        .from(notify)
        .from(change)
        .from(look);
    Some(finding)
}

/// The failing thread was woken for no reason, and went on as if it had been notified.
pub(super) fn woken_for_nothing(view: &View<'_>) -> Option<Finding> {
    let thread = view.failure.thread;
    let mut own = view.events.iter().rev().filter(|event| event.thread == thread);
    let woken = own.find(|event| matches!(event.verb, Verb::Woken | Verb::Wait))?;
    if woken.verb != Verb::Woken || woken.text.as_deref() != Some("for no reason") {
        return None;
    }
    let lock = view.events.iter().filter(|event| event.thread == thread && event.step > woken.step);
    let lock = lock.into_iter().find(|event| event.verb.takes_lock());
    let name = view.thread(thread);
    let condvar = woken.object.map_or_else(String::new, |object| view.object(object));
    let paragraph = format!(
        "{name} was woken on {condvar} for no reason (step {}), as every wait may be, and went on: nobody had \
         notified it, and what it waited for need not have come: {}.",
        view.step(woken),
        outcome(view),
    );
    let object = lock.and_then(|event| event.object).or(woken.object);
    let headline = headline(view, Anomaly::CheckThenAct, object);
    let finding = Finding::new(Anomaly::CheckThenAct, headline, paragraph)
        .mark(woken, "nobody has notified".to_owned())
        .from(woken);
    Some(finding)
}

/// The lock under which both happened, though not under one acquisition of it.
fn given_back(view: &View<'_>, check: &Event, act: &Event) -> Option<ObjectId> {
    let before = view.held(check.thread, check.step);
    let mut now = view.held(act.thread, act.step).into_iter();
    now.find(|lock| before.iter().any(|held| held.object == lock.object && held.taken != lock.taken))
        .map(|lock| lock.object)
}

/// The failing thread gave a lock back and took it again, and another thread had it in between.
fn relocked(view: &View<'_>) -> Option<Finding> {
    let thread = view.failure.thread;
    let takes = |event: &&Event| event.verb.takes_lock() && event.ok;
    let again = view.events.iter().rev().filter(takes).find(|event| event.thread == thread)?;
    // A look when all others have ended finds what is there, and relies on nothing before.
    if view.alone[again.step as usize] {
        return None;
    }
    let on = |event: &&Event| event.object == again.object && event.step < again.step;
    let given = view.events.iter().filter(on).rfind(|e| e.thread == thread && e.verb.gives_lock())?;
    let exclusive = |event: &&Event| !matches!(event.verb, Verb::ReadLock | Verb::TryReadLock);
    let theirs = view
        .events
        .iter()
        .filter(takes)
        .filter(exclusive)
        .find(|event| on(event) && event.step > given.step && event.thread != thread)?;
    // What it had read before and the other has changed since, if the trace knows.
    let stale = |read: &Event| {
        let between = |event: &&Event| event.step > given.step && event.step < again.step && writes(event);
        view.accesses_of(read.object?).rfind(between).filter(|write| write.thread != thread)
    };
    let checks = |event: &&Event| event.thread == thread && event.step < given.step && reads(event);
    let mut checks = view.accesses().rev().filter(checks);
    if let Some((check, change)) = checks.find_map(|event| Some((event, stale(event)?))) {
        let act = view.accesses().rev().find(|event| event.thread == thread && writes(event));
        let act = act.filter(|event| event.step > again.step);
        return Some(tell(view, check, change, act, again.object));
    }
    let (name, other) = (view.thread(thread), view.thread(theirs.thread));
    let lock = again.object.map_or_else(String::new, |object| view.object(object));
    let paragraph = format!(
        "{name} gave {lock} back (step {}) and took it again (step {}). What it had learned under the lock no longer \
         held, because {other} took {lock} in between (step {}). The check and the act are two critical sections \
         where one is needed: {}.",
        view.step(given),
        view.step(again),
        view.step(theirs),
        outcome(view),
    );
    let headline = headline(view, Anomaly::CheckThenAct, again.object);
    let finding = Finding::new(Anomaly::CheckThenAct, headline, paragraph)
        .about(again.object)
        .mark(given, "what was learned may change from here".to_owned())
        .mark(again, format!("relies on before step {}", view.step(theirs)))
        .from(given)
        .from(again);
    Some(finding)
}
