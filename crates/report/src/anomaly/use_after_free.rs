//! Use after free: a thread used what another had released already.

use super::Finding;
use crate::explanation::Anomaly;
use crate::view::{View, writes};
use racefuzz_trace::{Event, FailureDetail, RacingAccess, Value, Verb};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::UseAfterFree { object, freed, used } = &view.failure.detail else { return None };
    let name = view.object(*object);
    let step = |access: &RacingAccess| match (view.executed(access), view.step_before(access)) {
        (Some(event), _) => format!("step {}", view.step(event)),
        (None, Some(event)) => format!("after step {}", view.step(event)),
        (None, None) => format!("at {}", view.place(access.site)),
    };
    let (learned, told) = (learned(view, freed, used), told(view, freed, used));
    let from = (learned.is_some() || told.is_some()).then(|| {
        let mut text = learned.map_or_else(String::new, |event| came_from(view, event));
        text.extend(told.map(|(look, write)| not_told(view, look, write)));
        text
    });
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
            from.as_deref().unwrap_or_default(),
        )
    };
    let again = || {
        format!(
            "{} released {name} a second time ({}), because {} had released it before ({}) and nothing told {} so.{}",
            view.thread(used.thread),
            step(used),
            view.thread(freed.thread),
            step(freed),
            view.thread(used.thread),
            from.as_deref().unwrap_or_default(),
        )
    };
    let late = || {
        format!(
            "{} used {name} ({}, {}) after it was gone, because {} had released it ({}) and nothing told {} so.{}",
            view.thread(used.thread),
            used.verb.word(),
            step(used),
            view.thread(freed.thread),
            step(freed),
            view.thread(used.thread),
            from.as_deref().unwrap_or_default(),
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
    if let Some((look, write)) = told {
        let user = view.thread(write.thread);
        finding = finding
            .about(look.object)
            .mark(look, view.stale_mark(look, write))
            .at(write.site, format!("{user} stores what {} does not see", view.thread(look.thread)));
    } else if let Some(event) = learned {
        finding = finding.at(event.site, format!("{} comes by it here", view.thread(event.thread)));
    }
    if let (None, Some(event)) = (view.executed(freed), view.step_before(freed)) {
        finding = finding.mark(event, "behind this it is gone".to_owned());
    }
    Some(finding)
}

/// How the user came by what it used: its last read of a pointer before, or of anything before the release.
fn learned<'a>(view: &View<'a>, freed: &RacingAccess, used: &RacingAccess) -> Option<&'a Event> {
    let used_step = used.step.unwrap_or(view.failure.step);
    let reads = || {
        let own =
            |event: &&Event| event.thread == used.thread && event.step < used_step && event.kind.reads();
        view.accesses().rev().filter(own)
    };
    let early = |event: &&Event| freed.step.is_some_and(|freed| event.step < freed);
    let pointer = |event: &&Event| matches!(event.read, Some(Value::Pointer(_)));
    reads().find(pointer).or_else(|| reads().find(early))
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

fn not_told(view: &View<'_>, look: &Event, write: &Event) -> String {
    let Some(object) = look.object else { return String::new() };
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
