//! Read skew: of two writes that belong together, a thread saw one and not the other.
//!
//! The thread that fails read one object before another thread wrote it, and a second object after
//! that same thread had written it.

use super::{Finding, headline, outcome};
use crate::explanation::Anomaly;
use crate::view::{View, reads, writes};
use racefuzz_trace::Event;

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let own = |event: &&Event| {
        event.thread == view.failure.thread
            && reads(event)
            && !writes(event)
            && !view.alone[event.step as usize]
    };
    let all: Vec<&Event> = view.accesses().rev().filter(own).collect();
    // Only the latest read of each object counts: what was read again is not out of date, nor is
    // what the thread has written itself since.
    let rewritten = |read: &Event, until: u32| {
        let own = |event: &Event| {
            event.thread == read.thread && event.step > read.step && event.step < until && writes(event)
        };
        read.object.is_some_and(|object| view.accesses_of(object).any(own))
    };
    let mut latest: Vec<&Event> = Vec::new();
    for read in all {
        if !latest.iter().any(|known| known.object == read.object) {
            latest.push(read);
        }
    }
    let (old, missed, new, seen) = latest.iter().find_map(|new| {
        let seen = view.source(new).filter(|write| write.thread != new.thread)?;
        latest.iter().filter(|old| old.object != new.object && !rewritten(old, new.step)).find_map(|old| {
            let missed = view
                .accesses_of(old.object?)
                .find(|write| writes(write) && write.thread == seen.thread && write.step > old.step)?;
            Some((*old, missed, *new, seen))
        })
    })?;
    let (reader, writer) = (view.thread(new.thread), view.thread(seen.thread));
    let name = |event: &Event| event.object.map_or_else(String::new, |object| view.object(object));
    let paragraph = format!(
        "{reader} read {} from {} (step {}) and {} from {} (step {}): these never belonged together, because \
         {writer} stored {} in {} (step {}) only after {reader} had looked, and {} in {} (step {}) before it did. So \
         {reader} saw half of what {writer} did: {}.",
        view.read(old),
        name(old),
        view.step(old),
        view.read(new),
        name(new),
        view.step(new),
        view.wrote(missed),
        name(missed),
        view.step(missed),
        view.wrote(seen),
        name(seen),
        view.step(seen),
        outcome(view),
    );
    let headline = headline(view, Anomaly::ReadSkew, None).replacen(
        "read skew",
        &format!("read skew on {} and {}", name(old), name(new)),
        1,
    );
    let finding = Finding::new(Anomaly::ReadSkew, headline, paragraph)
        .about(old.object)
        .about(new.object)
        .mark(old, format!("goes stale at step {}", view.step(missed)))
        .mark(new, format!("new, from step {}", view.step(seen)))
        .from(old)
        .from(new);
    Some(finding)
}
