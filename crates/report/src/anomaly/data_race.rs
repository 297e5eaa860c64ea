//! Data race: two accesses to one memory location, at least one a write and one not atomic, with
//! nothing that orders them.

use super::unsafe_publication::{flag_between, why};
use super::{Finding, WINDOW};
use crate::explanation::Anomaly;
use crate::view::{View, reads, writes};
use crate::words::list;
use racefuzz_trace::{Event, FailureDetail, ObjectId, RacingAccess};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::DataRace { object, first, second } = &view.failure.detail else { return None };
    let name = view.object(*object);
    let flag = match (view.executed(first), view.executed(second)) {
        (Some(first), Some(second)) => {
            flag_between(view, first, second).map(|(flag, set)| ((first, set), (flag, second)))
        }
        _ => None,
    };
    let reason = match flag {
        Some(((first, set), (flag, second))) => format!(
            "{} had seen {} as {} (step {}), which {} set after its access (step {}), but {}",
            view.thread(flag.thread),
            flag.object.map_or_else(String::new, |object| view.object(object)),
            view.read(flag),
            view.step(flag),
            view.thread(set.thread),
            view.step(set),
            why(view, (first, set), (flag, second)),
        ),
        None => locks(view, first, second),
    };
    let paragraph = format!(
        "The {} and the {} are a data race on {name}, because nothing orders one before the other: {reason}. In \
         Rust this is undefined behaviour, whatever the values are.",
        access(view, first),
        access(view, second),
    );
    let headline = format!("data race on {name}");
    let mut finding = Finding::new(Anomaly::DataRace, headline, paragraph)
        .about(Some(*object))
        .at(first.site, label(view, first))
        .at(second.site, format!("{}, unordered with it", label(view, second)));
    if let Some(((_, set), (flag, _))) = flag {
        finding = finding
            .about(flag.object)
            .at(set.site, format!("{} sets the flag here", view.thread(set.thread)))
            .at(flag.site, format!("{} sees it here", view.thread(flag.thread)));
    }
    for (one, other) in [(first, second), (second, first)] {
        let Some(event) = view.executed(one) else { continue };
        let with = match view.executed(other) {
            Some(other) => format!("step {}", view.step(other)),
            None => view.place(other.site),
        };
        finding = finding.mark(event, format!("races with {with}"));
    }
    Some(finding)
}

fn access(view: &View<'_>, access: &RacingAccess) -> String {
    let step = match view.executed(access) {
        Some(event) => format!(" (step {})", view.step(event)),
        None => format!(" (at {})", view.place(access.site)),
    };
    format!("{} by {}{step}", access.verb.word(), view.thread(access.thread))
}

fn label(view: &View<'_>, access: &RacingAccess) -> String {
    format!("{} by {}", access.verb.word(), view.thread(access.thread))
}

/// Which locks were held, and why they do not help.
fn locks(view: &View<'_>, first: &RacingAccess, second: &RacingAccess) -> String {
    let held = |access: &RacingAccess| -> Vec<ObjectId> {
        view.held(access.thread, access.step.unwrap_or(u32::MAX)).iter().map(|held| held.object).collect()
    };
    let names =
        |objects: &[ObjectId]| list(&objects.iter().map(|object| view.object(*object)).collect::<Vec<_>>());
    let (one, two) = (held(first), held(second));
    let unseen = unseen(view, first, second).or_else(|| unseen(view, second, first));
    let (first, second) = (view.thread(first.thread), view.thread(second.thread));
    match (one.is_empty(), two.is_empty()) {
        (true, true) => match unseen {
            Some(unseen) => format!("neither thread holds a lock, and {unseen}"),
            None => "neither thread holds a lock, and nothing the one did before is seen by the other".into(),
        },
        (false, true) => format!("{first} holds {}, but {second} holds no lock", names(&one)),
        (true, false) => format!("{second} holds {}, but {first} holds no lock", names(&two)),
        (false, false) => format!("{first} holds {}, {second} holds {}", names(&one), names(&two)),
    }
}

/// What the one thread had stored, before its access, to keep the other one away, and the other did not
/// see when it looked.
fn unseen(view: &View<'_>, by: &RacingAccess, of: &RacingAccess) -> Option<String> {
    let (until, end) = (by.step?, of.step?);
    let looks = |event: &&Event| {
        event.thread == of.thread
            && event.step < end
            && reads(event)
            && !writes(event)
            && view.is_stale(event)
    };
    let missed = |look: &Event| {
        let news = |event: &&Event| {
            event.thread == by.thread
                && writes(event)
                && Some(event.step) > view.knew(look)
                && event.step < until.min(look.step)
                && event.wrote != look.read
        };
        view.accesses_of(look.object?).rfind(news)
    };
    let (look, store) =
        view.accesses().rev().filter(looks).take(WINDOW).find_map(|look| Some((look, missed(look)?)))?;
    Some(format!(
        "{} read {} from {} (step {}) although {} had stored {} before (step {}): {}",
        view.thread(look.thread),
        view.read(look),
        look.object.map_or_else(String::new, |object| view.object(object)),
        view.step(look),
        view.thread(store.thread),
        view.wrote(store),
        view.step(store),
        view.not_visible(store, look),
    ))
}
