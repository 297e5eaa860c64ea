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
    let computed = || {
        view.accesses().any(|event| {
            event.thread == exchange.thread
                && event.object != Some(object)
                && event.step > read.step
                && event.step < exchange.step
                && reads(event)
                && event.read == exchange.wrote
        })
    };
    if !matches!(read.read, Some(Value::Pointer(_))) && !computed() {
        return None;
    }
    let (thread, other) = (view.thread(exchange.thread), view.thread(away.thread));
    let value = view.read(read);
    let paragraph = format!(
        "{thread} read {value} from {} (step {}) and replaced it by {} (step {}). The compare-exchange succeeded \
         although the object had changed in between, because {other} stored {} (step {}) and {} brought {value} \
         back (step {}): the same value, but no longer the same state. The new value {} was computed from what \
         {value} meant in step {}: {}.",
        view.object(object),
        view.step(read),
        view.wrote(exchange),
        view.step(exchange),
        view.wrote(away),
        view.step(away),
        if back.thread == away.thread { "then" } else { view.thread(back.thread) },
        view.step(back),
        view.wrote(exchange),
        view.step(read),
        outcome(view),
    );
    let finding = Finding::new(Anomaly::Aba, headline(view, Anomaly::Aba, Some(object)), paragraph)
        .about(Some(object))
        .mark(read, view.stale_mark(read, away))
        .mark(back, "looks as before".to_owned())
        .mark(exchange, format!("mistakes step {} for step {}", view.step(back), view.step(read)))
        .from(read)
        .from(exchange);
    Some(finding)
}
