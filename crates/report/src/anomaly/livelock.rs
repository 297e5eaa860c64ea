//! Livelock: threads that keep running and get nowhere, until the step limit.

use super::Finding;
use crate::explanation::Anomaly;
use crate::view::View;
use crate::words::{list, number};
use racefuzz_trace::{Event, FailureDetail, ObjectId};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::StepLimit { spinning } = &view.failure.detail else { return None };
    let threads: Vec<_> = spinning.iter().map(|thread| view.thread(*thread)).collect();
    let last = |thread| view.events.iter().rev().find(|e| e.thread == thread && view.is_data(e));
    let looks: Vec<&Event> = spinning.iter().filter_map(|thread| last(*thread)).collect();
    let mut objects: Vec<ObjectId> = looks.iter().filter_map(|event| event.object).collect();
    objects.sort_unstable();
    objects.dedup();
    let mut clauses: Vec<String> = Vec::new();
    for look in &looks {
        let Some(object) = look.object else { continue };
        let value = match (&look.read, view.source(look)) {
            (Some(_), Some(write)) => {
                format!(" and finds {}, stored by {}", view.read(look), view.thread(write.thread))
            }
            (Some(_), None) => format!(" and finds {}, as it was in the beginning", view.read(look)),
            (None, _) => String::new(),
        };
        let thread = if threads.len() == 1 { "it" } else { view.thread(look.thread) };
        clauses.push(format!("{thread} keeps going back to {}{value}", view.object(object)));
    }
    let who = if threads.is_empty() { "the program".to_owned() } else { list(&threads) };
    let verb = if threads.len() > 1 { "were" } else { "was" };
    let because = if clauses.is_empty() { String::new() } else { format!(", because {}", list(&clauses)) };
    let paragraph = format!(
        "After {} steps {who} {verb} still running without an end in sight{because}. Nothing in this schedule lets \
         {} finish.",
        number(u64::from(view.failure.step)),
        if threads.len() == 1 { "it" } else { "them" },
    );
    let name = match objects.as_slice() {
        [object] => format!("livelock on {}", view.object(*object)),
        _ => format!("livelock of {who}"),
    };
    let mut finding = Finding::new(Anomaly::Livelock, name, paragraph);
    for object in objects {
        finding = finding.about(Some(object));
    }
    Some(looks.into_iter().fold(finding, Finding::from))
}
