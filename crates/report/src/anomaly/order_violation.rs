//! Order violation: things happened in an order that the program does not expect.
//!
//! Three shapes: a value was used before anybody had set it; under a weak memory model a read took
//! place before an earlier write became visible, or a write before an earlier write; lines were
//! printed in an unwanted order.

use super::{Finding, headline, outcome};
use crate::explanation::Anomaly;
use crate::view::{View, reads, writes};
use crate::words::{clean, list};
use racefuzz_trace::{Event, OpKind, ReadsFrom, Value};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    unset(view).or_else(|| printed(view))
}

/// The failing thread's last read returned the initial value, which another thread was to replace.
fn unset(view: &View<'_>) -> Option<Finding> {
    let own = |event: &&Event| event.thread == view.failure.thread && reads(event);
    let read = view.accesses().rev().find(own)?;
    let object = read.object?;
    let initial = read.reads_from == Some(ReadsFrom::Initial) && read.newer.is_none() && !writes(read);
    if !initial || view.accesses_of(object).any(|event| writes(event) && event.step < read.step) {
        return None;
    }
    // The write to come may lie behind the failure; it tells who was meant to be first.
    let setter = view.trace.events.iter().find(|event| {
        event.object == Some(object) && event.thread != read.thread && writes(event) && event.step > read.step
    });
    let absent = match &read.read {
        Some(Value::Null) => true,
        Some(Value::Text(text)) => text == "None",
        _ => false,
    };
    if setter.is_none() && !absent {
        return None;
    }
    let who = match setter {
        Some(setter) => format!("{} had not set it yet", view.thread(setter.thread)),
        None => "nobody had set it yet".to_owned(),
    };
    let thread = view.thread(read.thread);
    let paragraph = format!(
        "{thread} read {} from {} (step {}), which is what it held from the beginning, because {who}. Nothing makes \
         {thread} wait for that: {}.",
        view.read(read),
        view.object(object),
        view.step(read),
        outcome(view),
    );
    let headline = headline(view, Anomaly::OrderViolation, Some(object));
    let finding = Finding::new(Anomaly::OrderViolation, headline, paragraph)
        .about(Some(object))
        .mark(read, "used before it is set".to_owned())
        .from(read);
    Some(finding)
}

/// Under a weak memory model: a read that returned an old value, with no flag in the story, or a
/// store that was executed behind another and comes before it.
pub(super) fn detect_weak(view: &View<'_>) -> Option<Finding> {
    let weak = || view.accesses().filter(|event| event.newer.is_some());
    // The failing thread's own step tells most.
    let own = weak().find(|event| event.thread == view.failure.thread);
    let event = own.or_else(|| weak().next())?;
    let newest = view.newer(event)?;
    let object = event.object?;
    let (actor, writer) = (view.thread(event.thread), view.thread(newest.thread));
    let others: Vec<_> = weak()
        .filter(|other| other.step != event.step)
        .map(|event| {
            let object = event.object.map_or_else(String::new, |object| view.object(object));
            format!("{} with {object} (step {})", view.thread(event.thread), view.step(event))
        })
        .collect();
    let also = if others.is_empty() { String::new() } else { format!(" Likewise {}.", list(&others)) };
    let what = match view.is_late(event) {
        false => format!(
            "{actor} read {} from {} (step {}) although {writer} had stored {} before (step {}): the store was not \
             visible to {actor} yet",
            view.read(event),
            view.object(object),
            view.step(event),
            view.wrote(newest),
            view.step(newest),
        ),
        true => format!(
            "{actor} stored {} in {} (step {}), but everybody sees that store before the one of {} by {writer} (step \
             {})",
            view.wrote(event),
            view.object(object),
            view.step(event),
            view.wrote(newest),
            view.step(newest),
        ),
    };
    let paragraph = format!(
        "{what}, because {} and nothing else orders the two.{also} Real hardware may let such steps happen in either \
         order: {}.",
        view.orders(newest, event),
        outcome(view),
    );
    let headline = headline(view, Anomaly::OrderViolation, Some(object));
    let mut finding = Finding::new(Anomaly::OrderViolation, headline, paragraph).from(newest).from(event);
    for event in weak() {
        finding = finding.about(event.object);
        if let Some(newest) = view.newer(event) {
            finding = finding.from(newest).from(event);
        }
    }
    Some(finding)
}

/// Lines of several threads on the console, judged by a check behind them.
fn printed(view: &View<'_>) -> Option<Finding> {
    let lines: Vec<&Event> = view.events.iter().filter(|event| event.kind == OpKind::Print).collect();
    let text = |event: &Event| clean(event.text.as_deref().unwrap_or(""));
    let mixed = lines.windows(2).any(|pair| pair[0].thread != pair[1].thread);
    if !mixed || !view.checked_behind_all() {
        return None;
    }
    let message = clean(&view.failure.message);
    // The line that the check names; of several the one that names most of its message.
    let named = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !text(line).trim().is_empty() && message.contains(text(line).trim()))
        .max_by_key(|(_, line)| text(line).len())
        .map(|(index, _)| index);
    let switch = |index: usize| index > 0 && lines[index - 1].thread != lines[index].thread;
    let candidates = named.into_iter().flat_map(|index| [index, index + 1]);
    let at = candidates.chain(1..lines.len()).find(|index| *index < lines.len() && switch(*index))?;
    let (before, line) = (lines[at - 1], lines[at]);
    let paragraph = format!(
        "{} printed {:?} (step {}) right after {} had printed {:?} (step {}), because nothing orders the two threads' \
         lines. The program expects another order: {}.",
        view.thread(line.thread),
        text(line),
        view.step(line),
        view.thread(before.thread),
        text(before),
        view.step(before),
        outcome(view),
    );
    let headline = headline(view, Anomaly::OrderViolation, None);
    let goes_on = lines[at..].iter().any(|later| later.thread == before.thread);
    let place = if goes_on { "between" } else { "after" };
    let finding = Finding::new(Anomaly::OrderViolation, headline, paragraph)
        .about(line.object)
        .mark(line, format!("comes {place} {}'s lines", view.thread(before.thread)))
        .from(before)
        .from(line);
    Some(finding)
}
