//! ABA: a compare-exchange succeeds because the value is what had been read, although it had
//! changed and come back in between.
//!
//! By itself that is harmless (every spin lock goes from free to taken to free). It is an anomaly
//! where the value stands for more than itself: where it is a pointer, or where what is written was
//! read from another object after the first read, as a list's next element is.

use super::{Finding, WINDOW, headline, outcome};
use crate::explanation::Anomaly;
use crate::view::{View, reads, updates, writes};
use racefuzz_trace::{Event, Value, Verb};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let exchange = |event: &&Event| {
        matches!(event.verb, Verb::CompareExchange | Verb::CompareExchangeWeak) && updates(event)
    };
    view.accesses().rev().filter(exchange).take(WINDOW).find_map(|exchange| tell(view, exchange))
}

fn tell(view: &View<'_>, exchange: &Event) -> Option<Finding> {
    let object = exchange.object?;
    let before: Vec<&Event> = view.accesses_of(object).filter(|event| event.step < exchange.step).collect();
    let from = before.iter().rposition(|event| event.thread == exchange.thread)?;
    let read = before[from];
    if !reads(read) || updates(read) || read.read.is_none() || read.read != exchange.read {
        return None;
    }
    let news = |event: &&&Event| writes(event) && Some(event.step) > view.knew(read);
    let away = before.iter().filter(news).find(|event| event.wrote != read.read)?;
    let back = before
        .iter()
        .rfind(|event| writes(event))
        .filter(|back| back.wrote == read.read && back.step > away.step && back.thread != exchange.thread)?;
    let between = |event: &&Event| event.step > read.step && event.step < exchange.step;
    let is_source = |event: &&Event| {
        event.thread == exchange.thread
            && event.object != Some(object)
            && reads(event)
            && event.read == exchange.wrote
    };
    let source = view.accesses().filter(between).rfind(is_source);
    if !matches!(read.read, Some(Value::Pointer(_))) && source.is_none() {
        return None;
    }
    // What the new value was read from may hold another one by now.
    let overwritten = source.and_then(|source| {
        let is_other = |event: &&Event| {
            event.object == source.object && event.step > source.step && event.thread != source.thread
        };
        let last = view.accesses().filter(between).filter(is_other).rfind(|event| writes(event))?;
        (last.wrote != source.read).then_some((source, last))
    });
    let (thread, other) = (view.thread(exchange.thread), view.thread(away.thread));
    let value = view.read(read);
    let new = view.wrote(exchange);
    let past = match overwritten {
        Some((source, write)) => {
            let place = source.object.map_or_else(String::new, |object| view.object(object));
            let (read, set, now) = (view.step(source), view.step(write), view.wrote(write));
            format!(
                "The new value {new} is what {place} held in step {read}, and step {set} has set that to {now} since"
            )
        }
        None => {
            format!("The new value {new} was computed from what {value} meant in step {}", view.step(read))
        }
    };
    let paragraph = format!(
        "{thread} read {value} from {} (step {}) and replaced it by {} (step {}). The compare-exchange succeeded \
         although the object had changed in between, because {other} stored {} (step {}) and {} brought {value} \
         back (step {}): the same value, but no longer the same state. {}: {}.",
        view.object(object),
        view.step(read),
        view.wrote(exchange),
        view.step(exchange),
        view.wrote(away),
        view.step(away),
        if back.thread == away.thread { "then" } else { view.thread(back.thread) },
        view.step(back),
        past,
        outcome(view),
    );
    let mut finding = Finding::new(Anomaly::Aba, headline(view, Anomaly::Aba, Some(object)), paragraph)
        .about(Some(object))
        .mark(read, view.stale_mark(read, away))
        .mark(back, "looks as before".to_owned())
        .mark(exchange, format!("mistakes step {} for step {}", view.step(back), view.step(read)))
        .from(read)
        .from(exchange);
    if let Some((source, write)) = overwritten {
        finding = finding.mark(source, view.stale_mark(source, write)).from(source).from(write);
    }
    Some(finding)
}
