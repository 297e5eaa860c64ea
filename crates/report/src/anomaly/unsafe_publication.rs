//! Unsafe publication: a thread saw a flag that another thread set, and then not the data that the
//! other had written before it.
//!
//! Only a weak-memory read shows this: one that did not return a value although the flag was set
//! after it. The orderings of the flag's accesses, and fences beside them, decide, so the story names
//! them.

use super::{Finding, WINDOW, headline, outcome};
use crate::explanation::Anomaly;
use crate::view::{View, writes};
use racefuzz_trace::{Event, FailureDetail, MemoryOrder, OpKind, Value, Verb};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let stale = view.accesses().rev().filter(|event| view.is_stale(event)).take(WINDOW);
    let (data, missed, flag, set) = stale.filter(|event| view.concerns(event.thread)).find_map(|data| {
        // Not always the newest: the flag may have been set before that.
        let missed = |event: &&Event| writes(event) && Some(event.step) > view.knew(data);
        let writes = view.accesses_of(data.object?).filter(|event| event.step < data.step).rev();
        writes.filter(missed).find_map(|missed| {
            let (flag, set) = flag_between(view, missed, data)?;
            Some((data, missed, flag, set))
        })
    })?;
    let (reader, writer) = (view.thread(data.thread), view.thread(missed.thread));
    let (data_name, flag_name) = (view.object(data.object?), view.object(flag.object?));
    let paragraph = format!(
        "{reader} read {} from {data_name} (step {}), although {writer} had stored {} there (step {}) before it set \
         {flag_name} to {} (step {}), which {reader} had seen (step {}). Seeing the flag did not make the data \
         visible, because {}: {}.",
        view.read(data),
        view.step(data),
        view.wrote(missed),
        view.step(missed),
        view.wrote(set),
        view.step(set),
        view.step(flag),
        why(view, (missed, set), (flag, data)),
        outcome(view),
    );
    let finding = Finding::new(
        Anomaly::UnsafePublication,
        headline(view, Anomaly::UnsafePublication, data.object),
        paragraph,
    )
    .about(data.object)
    .about(flag.object)
    .mark(data, format!("stale: step {} wrote {}", view.step(missed), view.wrote(missed)))
    .at(set.site, format!("{writer} publishes here ({})", order(set)))
    .at(flag.site, format!("{reader} sees it here ({})", order(flag)))
    .at(data.site, format!("{reader} reads the old value here"));
    Some(finding)
}

/// An object whose creation is not ordered before its use by another thread: the pointer by which that
/// thread came by it is the flag, and the object the data.
pub(super) fn detect_birth(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::DataRace { object, first, second } = &view.failure.detail else { return None };
    if first.verb != Verb::Create {
        return None;
    }
    let (maker, user, name) = (view.thread(first.thread), view.thread(second.thread), view.object(*object));
    let pointers = view
        .accesses()
        .rev()
        .filter(|event| event.thread == second.thread && matches!(event.read, Some(Value::Pointer(_))));
    let published = pointers
        .filter_map(|flag| Some((flag, view.source(flag)?)))
        .find(|(_, set)| set.thread != second.thread);
    let (way, reason) = match published {
        Some((flag, set)) => {
            let flag_name = flag.object.map_or_else(String::new, |object| view.object(object));
            let way = format!(
                "{} published it when it set {flag_name} to {} (step {}), which {user} read (step {}). ",
                view.thread(set.thread),
                view.wrote(set),
                view.step(set),
                view.step(flag),
            );
            // What the maker did last, and what the user did last, bound where fences count.
            let of = |thread| view.events.iter().filter(move |event| event.thread == thread);
            let (begin, end) =
                (of(set.thread).next().unwrap_or(set), of(flag.thread).next_back().unwrap_or(flag));
            (way, why(view, (begin, set), (flag, end)))
        }
        None => (String::new(), "nothing that the one did before is seen by the other".to_owned()),
    };
    let place = view.place(first.site);
    // An object that has no name is called by that place.
    let made = if name.contains(&place) { String::new() } else { format!(" (at {place})") };
    let paragraph = format!(
        "{maker} made {name}{made}. {way}Making it is a plain write, and nothing orders that before the {} by {user} \
         (at {}), because {reason}. In Rust this is undefined behaviour: {user} may find memory that does not hold \
         the object yet.",
        second.verb.word(),
        view.place(second.site),
    );
    let headline = format!("{} of {name}", Anomaly::UnsafePublication);
    let mut finding = Finding::new(Anomaly::UnsafePublication, headline, paragraph)
        .about(Some(*object))
        .at(first.site, format!("{maker} makes it here"));
    if let Some((flag, set)) = published {
        finding = finding
            .about(flag.object)
            .at(set.site, format!("{} publishes it here ({})", view.thread(set.thread), order(set)))
            .at(flag.site, format!("{user} comes by it here ({})", order(flag)));
    }
    Some(finding.at(second.site, format!("{user} uses it here")))
}

/// The flag that the thread of `second` saw, before that event, as the thread of `first` had set it
/// after that event: what the program takes for a proof that `first` came first. With the read of
/// the flag comes the write that it read.
pub(super) fn flag_between<'a>(
    view: &View<'a>,
    first: &Event,
    second: &Event,
) -> Option<(&'a Event, &'a Event)> {
    let flags = view.accesses().rev().filter(|event| {
        event.thread == second.thread && event.step < second.step && event.object != second.object
    });
    flags
        .filter_map(|flag| Some((flag, view.source(flag)?)))
        .find(|(_, set)| set.thread == first.thread && set.step > first.step)
}

fn order(event: &Event) -> &'static str {
    match event.order {
        MemoryOrder::Plain => "no ordering",
        order => order.name(),
    }
}

/// Why seeing the flag does not carry the data along: the first access and the setting of the flag
/// behind it, the reading of the flag and the second access behind that.
pub(super) fn why(
    view: &View<'_>,
    (first, set): (&Event, &Event),
    (flag, second): (&Event, &Event),
) -> String {
    let fence = |from: &Event, to: &Event, does: fn(MemoryOrder) -> bool| {
        let between = &view.events[from.step as usize..to.step as usize];
        between.iter().any(|e| e.thread == from.thread && e.kind == OpKind::Fence && does(e.order))
    };
    let releases = set.order.releases() || fence(first, set, MemoryOrder::releases);
    let acquires = flag.order.acquires() || fence(flag, second, MemoryOrder::acquires);
    let store = format!("the store in step {} is {}, not Release", view.step(set), order(set));
    // A read-modify-write that releases has to do both.
    let (read, wanted) = match flag.kind {
        OpKind::Rmw if flag.order.releases() => (flag.verb.word(), "AcqRel"),
        OpKind::Rmw => (flag.verb.word(), "Acquire"),
        _ => ("load", "Acquire"),
    };
    let load = format!("the {read} in step {} is {}, not {wanted}", view.step(flag), order(flag));
    match (releases, acquires) {
        (false, false) => format!("{store}, and {load}"),
        (false, true) => store,
        (true, false) => load,
        (true, true) => "no release of the data reaches that load".to_owned(),
    }
}
