//! Lost update: R-W-W. A thread writes what it computed from a read, and another thread's write
//! that came in between is gone.
//!
//! A single read-modify-write cannot lose anything, so the second write must be a plain one. That
//! the lost write was itself an update is not required, but preferred; that the object's final
//! value reached the failing check is, otherwise the object is only a flag that somebody trusted
//! (see check-then-act).

use super::{Finding, headline, outcome};
use crate::explanation::Anomaly;
use crate::message;
use crate::view::{View, reads, updates, writes};
use racefuzz_trace::{Event, ObjectId, Value};

/// A write computed from a read, with a write of another thread in between.
pub(super) struct Overwrite<'a> {
    pub(super) object: ObjectId,
    /// The stale read.
    pub(super) read: &'a Event,
    /// The write that was lost, the last of them if there are several.
    pub(super) lost: &'a Event,
    /// The write that overwrote it.
    pub(super) write: &'a Event,
    /// How many writes came in between.
    gone: usize,
}

/// All such patterns, in the order of the objects, then of the writes.
pub(super) fn overwrites<'a>(view: &View<'a>) -> Vec<Overwrite<'a>> {
    let mut found = Vec::new();
    for object in view.data_objects() {
        let accesses: Vec<&Event> = view.accesses_of(object).collect();
        for (at, write) in accesses.iter().enumerate() {
            if !writes(write) || updates(write) || view.is_late(write) {
                continue;
            }
            let own = accesses[..at].iter().rposition(|event| event.thread == write.thread);
            let Some(from) = own.filter(|from| reads(accesses[*from]) && !updates(accesses[*from])) else {
                continue;
            };
            let read = accesses[from];
            let news = |event: &&&Event| {
                writes(event) && event.thread != read.thread && Some(event.step) > view.knew(read)
            };
            let between: Vec<_> = accesses[..at].iter().filter(news).collect();
            if let Some(lost) = between.last() {
                found.push(Overwrite { object, read, lost, write, gone: between.len() });
            }
        }
    }
    found
}

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let found = overwrites(view);
    let best = found
        .into_iter()
        .filter(|found| !matches!(found.write.wrote, Some(Value::Bool(_))))
        .filter(|found| view.observed(found.object, found.write.step))
        // The last of equals is nearest to the failure; `max_by_key` takes the last.
        .max_by_key(|found| score(view, found))?;
    Some(tell(view, &best))
}

/// How well the pattern explains the failure.
fn score(view: &View<'_>, found: &Overwrite<'_>) -> u32 {
    let from_read = view
        .accesses_of(found.object)
        .rfind(|event| event.thread == found.lost.thread && event.step < found.lost.step);
    let update = updates(found.lost) || from_read.is_some_and(reads);
    // Elle's definition: both read the same version, and both wrote.
    let same_version =
        from_read.is_some_and(|read| read.reads_from.is_some() && read.reads_from == found.read.reads_from);
    let blamed = match message::parse(&view.failure.message) {
        message::Message::Compared { left, right, .. } => {
            let last = view.last_value(found.object).map(ToString::to_string);
            last.is_some_and(|last| last == left || last == right)
        }
        _ => false,
    };
    4 * u32::from(blamed) + 2 * u32::from(update) + u32::from(same_version)
}

fn tell(view: &View<'_>, found: &Overwrite<'_>) -> Finding {
    let Overwrite { object, read, lost, write, .. } = *found;
    let object_name = view.object(object);
    let when = match lost.step < read.step {
        true => format!("before (step {}) and {}", view.step(lost), view.not_visible(lost, read)),
        false => {
            format!("in between (step {}) and {}", view.step(lost), view.not_kept_out(lost, read, write))
        }
    };
    // What is in memory of any type is not always a value that can be shown.
    let (seen, that) = match &read.read {
        Some(_) => (format!("the {}", view.read(read)), format!("That {}", view.read(read))),
        None => ("what".to_owned(), "That".to_owned()),
    };
    let paragraph = format!(
        "{} stored {} in {object_name} (step {}), computed from {seen} it had read in step {}. {that} was out of \
         date, because {} had stored {} {when}. {}: {}.",
        view.thread(write.thread),
        view.wrote(write),
        view.step(write),
        view.step(read),
        view.thread(lost.thread),
        view.wrote(lost),
        match found.gone {
            1 => "One update is gone".to_owned(),
            gone => format!("{gone} updates are gone"),
        },
        outcome(view),
    );
    Finding::new(Anomaly::LostUpdate, headline(view, Anomaly::LostUpdate, Some(object)), paragraph)
        .about(Some(object))
        .mark(read, view.stale_mark(read, lost))
        .mark(write, format!("overwrites step {}", view.step(lost)))
        .from(read)
        .from(write)
}
