//! Leak: something was never released, although all threads have ended.

use super::Finding;
use crate::explanation::Anomaly;
use crate::view::View;
use crate::words::list;
use racefuzz_trace::{Event, FailureDetail, ObjectId, Verb};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::Leak { objects } = &view.failure.detail else { return None };
    let names: Vec<_> = objects.iter().map(|object| view.object(*object)).collect();
    let clauses: Vec<_> = objects.iter().take(4).map(|object| clause(view, *object)).collect();
    let paragraph = format!(
        "{} {} never released, because {}. All threads have ended and nobody is left to do it.",
        list(&names),
        if names.len() == 1 { "was" } else { "were" },
        list(&clauses),
    );
    let shown = if names.len() > 3 { format!("{} objects", names.len()) } else { list(&names) };
    let mut finding = Finding::new(Anomaly::Leak, format!("leak of {shown}"), paragraph);
    for object in objects.iter().take(4) {
        finding = finding.about(Some(*object));
        finding.keys.extend(uses(view, *object).map(|event| event.step));
        if let Some(site) = view.trace.object(*object).created {
            finding = finding.at(site, format!("{} is created here", view.object(*object)));
        }
    }
    Some(finding)
}

fn uses<'a>(view: &View<'a>, object: ObjectId) -> impl Iterator<Item = &'a Event> {
    view.events.iter().filter(move |event| event.object == Some(object))
}

/// What is missing for the object to be gone.
fn clause(view: &View<'_>, object: ObjectId) -> String {
    let name = view.object(object);
    let count = |verb| uses(view, object).filter(|event| event.verb == verb).count();
    let (clones, drops) = (count(Verb::RefClone), count(Verb::RefDrop));
    let last = uses(view, object).last();
    let last = last.map_or_else(String::new, |event| {
        format!("; the last to touch it was {} (step {})", view.thread(event.thread), view.step(event))
    });
    if clones + drops > 0 {
        let held = clones + 1;
        let were = if drops == 1 { "was" } else { "were" };
        return format!("only {drops} of {held} references to {name} {were} dropped{last}");
    }
    format!("nobody freed {name}{last}")
}
