//! Write skew: two threads each read what the other then wrote, and each decided on what it read.
//!
//! A read Y before B wrote Y, B read X before A wrote X, and A wrote X, B wrote Y: both decisions
//! were right alone and are wrong together.

use super::{Finding, WINDOW, headline, outcome};
use crate::explanation::Anomaly;
use crate::view::{View, reads, updates, writes};
use racefuzz_trace::{Event, ThreadId};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let decisions = decisions(view);
    let pairs = decisions.iter().flat_map(|a| decisions.iter().map(move |b| (a, b)));
    let (a, b) = pairs.filter(|(a, b)| a.0.thread < b.0.thread).find(|((ra, wa), (rb, wb))| {
        ra.object == wb.object
            && rb.object == wa.object
            && ra.object != rb.object
            && ra.step < wb.step
            && rb.step < wa.step
            && judged(view, [wa, wb])
    })?;
    Some(tell(view, *a, *b))
}

/// Whether the check that failed could see both writes.
fn judged(view: &View<'_>, writes: [&Event; 2]) -> bool {
    let actor = writes.iter().any(|write| write.thread == view.failure.thread);
    let seen = |write: &Event| write.object.is_some_and(|object| view.observed(object, write.step));
    actor || writes.iter().all(|write| seen(write))
}

/// Each write with each read of another object that its thread did last before it.
fn decisions<'a>(view: &View<'a>) -> Vec<(&'a Event, &'a Event)> {
    let mut found = Vec::new();
    let recent: Vec<&Event> = view.accesses().rev().take(WINDOW).collect();
    for write in
        recent.iter().rev().copied().filter(|event| writes(event) && !view.alone[event.step as usize])
    {
        let mut seen = Vec::new();
        for read in recent.iter().filter(|event| before(event, write.thread, write.step)) {
            if reads(read) && !updates(read) && read.object != write.object && !seen.contains(&read.object) {
                seen.push(read.object);
                found.push((*read, write));
            }
        }
    }
    found
}

fn before(event: &Event, thread: ThreadId, step: u32) -> bool {
    event.thread == thread && event.step < step
}

fn tell(view: &View<'_>, a: (&Event, &Event), b: (&Event, &Event)) -> Finding {
    let one = |(read, write): (&Event, &Event)| {
        format!(
            "{} stored {} in {} (step {}), because it had read {} from {} (step {})",
            view.thread(write.thread),
            view.wrote(write),
            write.object.map_or_else(String::new, |object| view.object(object)),
            view.step(write),
            view.read(read),
            read.object.map_or_else(String::new, |object| view.object(object)),
            view.step(read),
        )
    };
    let paragraph = format!(
        "{}; {}. Each write made the other's read out of date, because nothing kept step {} out of steps {} to {} \
         nor step {} out of steps {} to {}. Each is right alone, together they are not: {}.",
        one(a),
        one(b),
        view.step(b.1),
        view.step(a.0),
        view.step(a.1),
        view.step(a.1),
        view.step(b.0),
        view.step(b.1),
        outcome(view),
    );
    let names: Vec<_> = [a.1, b.1].iter().filter_map(|e| e.object).map(|o| view.object(o)).collect();
    let headline = headline(view, Anomaly::WriteSkew, None).replacen(
        "write skew",
        &format!("write skew on {}", names.join(" and ")),
        1,
    );
    Finding::new(Anomaly::WriteSkew, headline, paragraph)
        .about(a.1.object)
        .about(b.1.object)
        .mark(a.0, format!("goes stale at step {}", view.step(b.1)))
        .mark(b.0, format!("goes stale at step {}", view.step(a.1)))
        .from(a.0)
        .from(a.1)
        .from(b.1)
}
