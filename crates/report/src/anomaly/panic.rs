//! Neither pattern nor anything the runtime knows: what the program itself said.

use super::{Finding, outcome};
use crate::explanation::Anomaly;
use crate::message;
use crate::view::{View, reads};
use crate::words::{clean, short};
use racefuzz_trace::{Event, FailureDetail, FailureKind, Verb};

/// The finding for a failure that nothing else explains.
pub(super) fn fallback(view: &View<'_>) -> Finding {
    if !matches!(view.failure.kind, FailureKind::Panic | FailureKind::Exit) {
        let text = clean(&view.failure.message);
        return Finding::new(Anomaly::Panic, format!("{}: {}", view.failure.kind, short(&text, 60)), text);
    }
    let assertion = message::is_assertion(&view.failure.message);
    let exits = view.failure.kind == FailureKind::Exit;
    let anomaly = match assertion {
        _ if exits => Anomaly::Exit,
        true => Anomaly::AssertionFailed,
        false => Anomaly::Panic,
    };
    let last = last_reads(view);
    let outcome = outcome(view);
    let thread = view.thread(view.failure.thread);
    let (site, at_end) = match &view.failure.detail {
        FailureDetail::Panic { site, at_end } => (*site, *at_end),
        _ => (None, false),
    };
    let place = site.map_or_else(String::new, |site| format!(" at {}", view.place(site)));
    let mut paragraph = if exits {
        format!("{thread} ended it: {outcome}.")
    } else if at_end {
        format!("The check behind all threads failed{place}: {outcome}.")
    } else {
        format!("{thread} panicked{place}: {outcome}.")
    };
    let learned: Vec<_> = last.iter().filter_map(|event| came_from(view, event)).collect();
    if !learned.is_empty() {
        paragraph.push_str(&format!(" Before that it read {}.", crate::words::list(&learned)));
    }
    let headline = match exits {
        true => short(&outcome, 72),
        false => format!("{anomaly}: {}", short(&outcome, 72)),
    };
    let mut finding = Finding::new(anomaly, headline, paragraph);
    for event in last {
        finding = finding.about(event.object);
    }
    if let Some(site) = site {
        finding.places.push(crate::Place { site, label: String::new() });
    }
    finding
}

/// The last values the failing thread read, the latest first, each from another object.
fn last_reads<'a>(view: &View<'a>) -> Vec<&'a Event> {
    let mut found: Vec<&Event> = Vec::new();
    let is_seen =
        |event: &Event| event.thread == view.failure.thread && reads(event) && event.verb != Verb::Inside;
    for event in view.accesses().rev().filter(|event| is_seen(event)) {
        if found.len() < 2 && !found.iter().any(|known| known.object == event.object) {
            found.push(event);
        }
    }
    found
}

/// Where a value came from: GenMC's habit, and the one *because* that is always known.
fn came_from(view: &View<'_>, event: &Event) -> Option<String> {
    let object = view.object(event.object?);
    event.read.as_ref()?;
    let origin = match view.source(event) {
        Some(write) if !view.alone[write.step as usize] => {
            format!("stored by {} (step {})", view.thread(write.thread), view.step(write))
        }
        Some(write) => format!("stored by {}", view.thread(write.thread)),
        None => "its initial value".to_owned(),
    };
    Some(format!("{} from {object}, {origin}", view.read(event)))
}
