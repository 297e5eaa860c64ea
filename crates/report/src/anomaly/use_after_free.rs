//! Use after free: a thread used what another had released already.

use super::Finding;
use crate::explanation::Anomaly;
use crate::view::View;
use racefuzz_trace::{FailureDetail, RacingAccess, Verb};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::UseAfterFree { object, freed, used } = &view.failure.detail else { return None };
    let name = view.object(*object);
    let step = |access: &RacingAccess| match (view.executed(access), view.step_before(access)) {
        (Some(event), _) => format!("step {}", view.step(event)),
        (None, Some(event)) => format!("after step {}", view.step(event)),
        (None, None) => format!("at {}", view.place(access.site)),
    };
    // How the user came by what it used: its last read before.
    let used_step = used.step.unwrap_or(view.failure.step);
    let learned = view.accesses().rev().find(|event| {
        let before = freed.step.is_some_and(|freed| event.step < freed);
        event.thread == used.thread && event.step < used_step && before && event.kind.reads()
    });
    let from = learned.and_then(|event| {
        let object = view.object(event.object?);
        Some(format!(
            " What it used came from step {}, when {} read {object}.",
            view.step(event),
            view.thread(used.thread)
        ))
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
    if let (None, Some(event)) = (view.executed(freed), view.step_before(freed)) {
        finding = finding.mark(event, "behind this it is gone".to_owned());
    }
    Some(finding)
}
