//! Non-repeatable read: R-W-R. The thread that fails read an object twice and got two answers,
//! because another thread wrote in between.
//!
//! A thread that waits for a change reads twice on purpose; so the second read must be the last
//! thing the thread did with shared data before it failed, and reads of one place (a loop) do not
//! count.

use super::{Finding, headline, outcome};
use crate::explanation::Anomaly;
use crate::view::{View, reads, writes};
use racefuzz_trace::Event;

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let own: Vec<&Event> = view.accesses().filter(|event| event.thread == view.failure.thread).collect();
    let (second, before) = own.split_last()?;
    let object = second.object?;
    if !reads(second) || writes(second) {
        return None;
    }
    let first = before.iter().rfind(|event| event.object == Some(object))?;
    let differs = first.read.is_some() && first.read != second.read && first.site != second.site;
    if !reads(first) || writes(first) || !differs || view.alone[second.step as usize] {
        return None;
    }
    let between = |event: &&Event| event.step > first.step && event.step < second.step && writes(event);
    let write = view.accesses_of(object).rfind(between).filter(|write| write.thread != second.thread)?;
    let thread = view.thread(second.thread);
    let paragraph = format!(
        "{thread} read {} from {} in step {} and {} from it in step {}, because {} stored {} in between (step {}) \
         and nothing kept step {} out of steps {} to {}. The program took both reads for the same value: {}.",
        view.read(first),
        view.object(object),
        view.step(first),
        view.read(second),
        view.step(second),
        view.thread(write.thread),
        view.wrote(write),
        view.step(write),
        view.step(write),
        view.step(first),
        view.step(second),
        outcome(view),
    );
    let headline = headline(view, Anomaly::NonRepeatableRead, Some(object));
    let finding = Finding::new(Anomaly::NonRepeatableRead, headline, paragraph)
        .about(Some(object))
        .mark(first, format!("goes stale at step {}", view.step(write)))
        .mark(second, format!("differs from step {}", view.step(first)))
        .from(first)
        .from(second);
    Some(finding)
}
