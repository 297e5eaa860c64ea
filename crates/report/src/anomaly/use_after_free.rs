//! Use after free: a thread used what another had released already.

use super::lost_update::{Overwrite, overwrites};
use super::{Finding, WINDOW};
use crate::explanation::Anomaly;
use crate::view::{View, writes};
use racefuzz_trace::{Event, FailureDetail, ObjectId, RacingAccess, Value, Verb};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::UseAfterFree { object, freed, used } = &view.failure.detail else { return None };
    let name = view.object(*object);
    let step = |access: &RacingAccess| match (view.executed(access), view.step_before(access)) {
        (Some(event), _) => format!("step {}", view.step(event)),
        (None, Some(event)) => format!("after step {}", view.step(event)),
        (None, None) => format!("at {}", view.place(access.site)),
    };
    let learned = learned(view, *object, freed, used);
    let outdated = learned.is_some_and(|event| view.is_stale(event));
    // What the user learned of what was gone already needs no other cause.
    let told =
        told(view, freed, used).or_else(|| told_late(view, freed, used, learned).filter(|_| !outdated));
    let miscounted = miscounted(view, freed);
    let from = {
        let mut text = learned.map_or_else(String::new, |event| came_from(view, event));
        match (&miscounted, told) {
            (Some(found), _) => text = one_count_gone(view, found),
            (None, Some((look, write))) => text.push_str(&not_told(view, look, write)),
            (None, None) => {}
        }
        text
    };
    // A thread needs nobody to tell it what it did itself.
    let whose = |verb: &str| match freed.thread == used.thread {
        true => format!("it had released it itself{verb} ({})", step(freed)),
        false => format!(
            "{} had released it{verb} ({}) and nothing told {} so",
            view.thread(freed.thread),
            step(freed),
            view.thread(used.thread)
        ),
    };
    let release = view.executed(freed).or_else(|| view.step_before(freed));
    let unordered = view.executed(used).zip(release).is_some_and(|(used, freed)| used.step < freed.step);
    let early = || {
        format!(
            "{} released {name} ({}), although {} may still use it: nothing orders the {} ({}) before that, so in \
             another schedule it comes after.{}",
            view.thread(freed.thread),
            step(freed),
            view.thread(used.thread),
            used.verb.word(),
            step(used),
            from,
        )
    };
    let again = || {
        format!(
            "{} released {name} a second time ({}), because {}.{from}",
            view.thread(used.thread),
            step(used),
            whose(" before"),
        )
    };
    let late = || {
        format!(
            "{} used {name} ({}, {}) after it was gone, because {}.{from}",
            view.thread(used.thread),
            used.verb.word(),
            step(used),
            whose(""),
        )
    };
    let paragraph = match (unordered, used.verb) {
        (true, _) => early(),
        (false, Verb::Free) => again(),
        (false, _) => late(),
    };
    let behind = if view.executed(freed).is_some() { "here" } else { "behind this" };
    let mut finding = Finding::new(Anomaly::UseAfterFree, format!("use after free of {name}"), paragraph)
        .about(Some(*object))
        .at(freed.site, format!("{} releases it {behind}", view.thread(freed.thread)))
        .at(used.site, format!("{} still uses it here", view.thread(used.thread)));
    let of_use = if unordered { "may as well come behind the release" } else { "uses what is gone" };
    for (access, text) in [(freed, "gone from here on"), (used, of_use)] {
        if let Some(event) = view.executed(access) {
            finding = finding.mark(event, text.to_owned());
        }
    }
    if let Some(found) = miscounted {
        finding = finding
            .about(Some(found.object))
            .mark(found.read, view.stale_mark(found.read, found.lost))
            .mark(found.write, format!("overwrites step {}", view.step(found.lost)))
            .at(found.write.site, format!("{} overwrites an update here", view.thread(found.write.thread)));
    } else if let Some((look, write)) = told {
        let (user, other) = (view.thread(write.thread), view.thread(look.thread));
        let label = match write.step > look.step {
            true => format!("{user} stores this too late for {other}"),
            false => format!("{user} stores what {other} does not see"),
        };
        finding = finding.about(look.object).at(write.site, label);
        // One row is remarkable for one thing.
        if release.is_none_or(|release| release.step != look.step) {
            finding = finding.mark(look, view.stale_mark(look, write));
        }
    } else if let Some(event) = learned {
        finding = finding.at(event.site, format!("{} comes by it here", view.thread(event.thread)));
    }
    if let (None, Some(event)) = (view.executed(freed), view.step_before(freed)) {
        finding = finding.mark(event, "behind this it is gone".to_owned());
    }
    Some(finding)
}

/// An update of a count that was overwritten before the release: whoever counts so comes to nothing while
/// somebody is left.
fn miscounted<'a>(view: &View<'a>, freed: &RacingAccess) -> Option<Overwrite<'a>> {
    let end = freed.step.unwrap_or(view.failure.step);
    let is_count = |event: &Event| matches!(event.wrote, Some(Value::Int(_)));
    // The releasing thread looked at it last.
    let asked = view.accesses().rfind(|event| event.thread == freed.thread && event.step <= end)?;
    let mut found = overwrites(view).into_iter().rev();
    found.find(|found| {
        Some(found.object) == asked.object
            && is_count(found.write)
            && is_count(found.lost)
            && found.write.step <= end
    })
}

fn one_count_gone(view: &View<'_>, found: &Overwrite<'_>) -> String {
    format!(
        " An update of {} was lost before: {} stored {} there (step {}), computed from the {} it had read in step {}, and {} had \
         stored {} in between (step {}).",
        view.object(found.object),
        view.thread(found.write.thread),
        view.wrote(found.write),
        view.step(found.write),
        view.read(found.read),
        view.step(found.read),
        view.thread(found.lost.thread),
        view.wrote(found.lost),
        view.step(found.lost),
    )
}

/// How the user came by what it used: its last read of a pointer before, or of anything, before the release,
/// that another thread changes.
fn learned<'a>(
    view: &View<'a>,
    gone: ObjectId,
    freed: &RacingAccess,
    used: &RacingAccess,
) -> Option<&'a Event> {
    let used_step = used.step.unwrap_or(view.failure.step);
    let reads = || {
        let own =
            |event: &&Event| event.thread == used.thread && event.step < used_step && event.kind.reads();
        view.accesses().rev().filter(own)
    };
    let early = |event: &&Event| freed.step.is_some_and(|freed| event.step < freed);
    let pointer = |event: &&Event| matches!(event.read, Some(Value::Pointer(_)));
    let changes = |event: &&Event| {
        let others =
            |write: &&Event| write.thread != used.thread && writes(write) && !view.alone[write.step as usize];
        let object = event.object.filter(|object| *object != gone);
        object.is_some_and(|object| view.accesses_of(object).any(|write| others(&write)))
    };
    reads().find(pointer).or_else(|| reads().filter(early).take(WINDOW).find(changes))
}

fn came_from(view: &View<'_>, event: &Event) -> String {
    let Some(object) = event.object else { return String::new() };
    let thread = view.thread(event.thread);
    let stale = view.newer(event).filter(|_| view.is_stale(event));
    let late = stale.map_or_else(String::new, |newer| {
        format!(
            ", although {} had stored {} there (step {}): {}",
            view.thread(newer.thread),
            view.wrote(newer),
            view.step(newer),
            view.not_visible(newer, event),
        )
    });
    format!(
        " What it used came from step {}, when {thread} read {}{late}.",
        view.step(event),
        view.object(object)
    )
}

/// What would have kept it alive: the last look, before the release, of the thread that releases at
/// something that the user had written before, without seeing it.
fn told<'a>(view: &View<'a>, freed: &RacingAccess, used: &RacingAccess) -> Option<(&'a Event, &'a Event)> {
    let end = freed.step.unwrap_or(view.failure.step);
    let looks = view.accesses().rev().filter(|event| {
        event.thread == freed.thread && event.step <= end && event.kind.reads() && view.is_stale(event)
    });
    let mut missed = looks.filter_map(|look| {
        let writes =
            view.accesses_of(look.object?).filter(|event| event.thread == used.thread && writes(event));
        let unseen = |write: &&Event| Some(write.step) > view.knew(look) && write.step < look.step;
        Some((look, writes.rev().find(unseen)?))
    });
    missed.next()
}

/// The last look of the thread that releases at something that the user wrote only then, and before its use.
fn told_late<'a>(
    view: &View<'a>,
    freed: &RacingAccess,
    used: &RacingAccess,
    learned: Option<&Event>,
) -> Option<(&'a Event, &'a Event)> {
    let (end, until) = (freed.step?, used.step.unwrap_or(view.failure.step));
    // Not the pointer itself, which both of them looked at.
    let pointer = learned.and_then(|event| event.object);
    let looks = |event: &&Event| {
        event.thread == freed.thread && event.step <= end && event.kind.reads() && event.object != pointer
    };
    let late = |look: &'a Event| {
        let theirs = |event: &&Event| {
            event.thread == used.thread && writes(event) && (look.step + 1..until).contains(&event.step)
        };
        Some((look, view.accesses_of(look.object?).find(theirs)?))
    };
    (freed.thread != used.thread)
        .then(|| view.accesses().rev().filter(looks).take(WINDOW).find_map(late))
        .flatten()
}

fn not_told(view: &View<'_>, look: &Event, write: &Event) -> String {
    let Some(object) = look.object else { return String::new() };
    if write.step > look.step {
        return format!(
            " Of that use {} could not know: it had read {} from {} (step {}) before {} stored {} there (step \
             {}).",
            view.thread(look.thread),
            view.read(look),
            view.object(object),
            view.step(look),
            view.thread(write.thread),
            view.wrote(write),
            view.step(write),
        );
    }
    format!(
        " Of that use {} could have known: it read {} from {} (step {}), although {} had stored {} there before (step \
         {}), because {} and nothing else orders them.",
        view.thread(look.thread),
        view.read(look),
        view.object(object),
        view.step(look),
        view.thread(write.thread),
        view.wrote(write),
        view.step(write),
        view.orders(write, look),
    )
}
