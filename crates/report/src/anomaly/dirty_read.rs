//! Dirty read: W-R-W. A thread reads a value that its writer is still going to change.
//!
//! The writer's two writes must belong together: it reads nothing of the object in between and no
//! lock is released. The reader must be the one that fails, and must not have seen the later value.
//!
//! The second write may be missing, because the writer panicked before it: then all that is known is
//! that the writer held a lock from its write to its end, and that the reader read behind that.

use super::{Finding, WINDOW, headline, outcome};
use crate::explanation::Anomaly;
use crate::view::{View, reads, writes};
use racefuzz_trace::{Event, ThreadEnd, Verb};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    replaced(view).or_else(|| abandoned(view))
}

fn replaced(view: &View<'_>) -> Option<Finding> {
    let reader = |event: &&Event| event.thread == view.failure.thread && reads(event) && !writes(event);
    let (first, read, second) = view.accesses().rev().filter(reader).take(WINDOW).find_map(|read| {
        let first = view.source(read).filter(|write| write.thread != read.thread)?;
        let mut later = view.accesses_of(read.object?).filter(|event| event.step > read.step);
        let second = later.find(|event| event.thread == first.thread)?;
        let reread = view
            .accesses_of(read.object?)
            .any(|event| event.thread == read.thread && event.step > second.step && reads(event));
        let changed = writes(second) && !reads(second) && second.wrote != first.wrote;
        let between = |event: &&Event| {
            event.thread == first.thread && event.step > first.step && event.step < second.step
        };
        let together = !view.events.iter().filter(between).any(|event| event.verb.gives_lock());
        (changed && together && !reread).then_some((first, read, second))
    })?;
    let object = view.object(read.object?);
    let (writer, reader) = (view.thread(first.thread), view.thread(read.thread));
    let paragraph = format!(
        "{reader} read {} from {object} (step {}), but {writer} was not done with it, because {writer} had \
         stored that {} in step {} only on the way to {} (step {}), and nothing kept {reader} out of steps {} to \
         {}. The value {reader} went on with was never meant to be seen: {}.",
        view.read(read),
        view.step(read),
        view.wrote(first),
        view.step(first),
        view.wrote(second),
        view.step(second),
        view.step(first),
        view.step(second),
        outcome(view),
    );
    let headline = headline(view, Anomaly::DirtyRead, read.object);
    let finding = Finding::new(Anomaly::DirtyRead, headline, paragraph)
        .about(read.object)
        .mark(read, format!("half-done: replaced in step {}", view.step(second)))
        .from(first)
        .from(read)
        .from(second);
    Some(finding)
}

/// The writer panicked with a lock held, before it was done: an aborted read, as databases say.
fn abandoned(view: &View<'_>) -> Option<Finding> {
    let reader = |event: &&Event| view.concerns(event.thread) && reads(event) && !writes(event);
    let (write, read, lock) = view.accesses().rev().filter(reader).take(WINDOW).find_map(|read| {
        let write = view.source(read).filter(|write| write.thread != read.thread)?;
        let ThreadEnd::Panicked(_) = view.trace.thread(write.thread).end else { return None };
        let mut after = view.events.iter().filter(|e| e.thread == write.thread && e.step > write.step);
        // Nothing follows but what the unwinding of a panic does.
        let unwound = after.all(|e| e.verb.gives_lock() || matches!(e.verb, Verb::RefDrop | Verb::Finish));
        let lock = view.held(write.thread, write.step).last().map(|held| held.object)?;
        let respected = view.held(read.thread, read.step).iter().any(|held| held.object == lock);
        (unwound && respected && write.thread != view.failure.thread).then_some((write, read, lock))
    })?;
    let (object, lock) = (view.object(read.object?), view.object(lock));
    let (writer, reader) = (view.thread(write.thread), view.thread(read.thread));
    let paragraph = format!(
        "{reader} read {} from {object} (step {}), which {writer} had stored in step {}; but {writer} was not done, \
         because it panicked after that step, with {lock} held. The lock is free again and what it protects is half \
         changed (a poisoned lock says so, to those who look): {}.",
        view.read(read),
        view.step(read),
        view.step(write),
        outcome(view),
    );
    let headline = headline(view, Anomaly::DirtyRead, read.object);
    let finding = Finding::new(Anomaly::DirtyRead, headline, paragraph)
        .about(read.object)
        .mark(write, "half-done: a panic follows".to_owned())
        .mark(read, format!("sees the half of step {}", view.step(write)))
        .from(write)
        .from(read);
    Some(finding)
}
