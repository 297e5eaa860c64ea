//! What an event did, in the few words of a cell.

use crate::view::View;
use crate::words::{clean, short};
use racefuzz_trace::{Event, MemoryOrder, OpKind, Value, Verb};

/// Values longer than this are cut in cells and state columns.
const LONGEST_VALUE: usize = 32;

/// A value as a cell shows it.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Text(text) => short(&clean(text), LONGEST_VALUE),
        other => other.to_string(),
    }
}

/// The event in words, with `➜` before what was read and `=` before what was written.
/// `orders` says whether memory orderings matter to the story.
pub(crate) fn action(view: &View<'_>, event: &Event, orders: bool) -> String {
    let name = event.object.map_or("", |object| view.names.object(object));
    let text = event.text.as_deref().map(note);
    let name = if name.is_empty() { unnamed(event.verb) } else { name };
    let plain = || join(event.verb.word(), name);
    let wrote = event.wrote.as_ref().map(value);
    let body = match event.verb {
        Verb::Note => return text.unwrap_or_else(|| "note".to_owned()),
        Verb::Print => return format!("print {:?}", clean(event.text.as_deref().unwrap_or(""))),
        Verb::Fence => return format!("fence ({})", event.order.name()),
        Verb::Set | Verb::Store => match wrote {
            Some(wrote) => format!("{name} = {wrote}"),
            None => format!("write {name}"),
        },
        Verb::Send | Verb::TrySend if event.ok => match wrote {
            Some(wrote) => format!("{} = {wrote}", plain()),
            None => plain(),
        },
        Verb::NotifyOne | Verb::NotifyAll | Verb::Wake => match event.other {
            Some(other) => format!("{} (wakes {})", plain(), view.names.thread(other)),
            None => format!("{} (nobody waits)", plain()),
        },
        Verb::Unpark => {
            let who = event.other.map_or(name, |other| view.names.thread(other));
            // Not a failure: the token is kept for the next park.
            let early = if event.ok { "" } else { " (not parked yet)" };
            return format!("{}{early}", join("unpark", who));
        }
        Verb::IsFinished => {
            let who = event.other.map_or("", |other| view.names.thread(other));
            return format!("{} ➜ {}", join(event.verb.word(), who), event.ok);
        }
        Verb::Spawn | Verb::Join => match event.other {
            Some(other) => join(event.verb.word(), view.names.thread(other)),
            None => plain(),
        },
        Verb::Park | Verb::Sleep | Verb::Yield | Verb::SpinLoop | Verb::Finish | Verb::Assume => {
            event.verb.word().to_owned()
        }
        // Taking and releasing a lock are read-modify-writes underneath; nobody wants to see that.
        verb if verb.takes_lock() || verb.gives_lock() => plain(),
        Verb::RefClone | Verb::RefDrop | Verb::RefCount => plain(),
        _ => match (event.read.as_ref().map(value), wrote) {
            (Some(read), Some(wrote)) if event.kind == OpKind::Rmw => {
                format!("{} ➜ {read}, = {wrote}", plain())
            }
            (Some(read), _) => format!("{} ➜ {read}", plain()),
            (None, Some(wrote)) => format!("{} = {wrote}", plain()),
            (None, None) => plain(),
        },
    };
    let mut body = if event.ok { body } else { format!("{body} {}", failed(event.verb)) };
    if orders && !matches!(event.order, MemoryOrder::Plain) && view.is_data(event) {
        body.push_str(&format!(" ({})", event.order.name()));
    }
    if let (Verb::Woken | Verb::Await | Verb::Sleep, Some(text)) = (event.verb, text) {
        body.push_str(&format!(" ({text})"));
    }
    body
}

/// What a thread that cannot go on tries to do.
pub(crate) fn attempt(view: &View<'_>, verb: Verb, object: Option<racefuzz_trace::ObjectId>) -> String {
    let name = object.map_or("", |object| view.names.object(object));
    match verb {
        Verb::Park | Verb::Sleep => verb.word().to_owned(),
        Verb::Join if object.is_some() => "join the threads of a scope".to_owned(),
        // The thread has been entered as a waiter already; it is the wake-up that does not come.
        Verb::Woken => join("sleep on", name),
        _ => join(verb.word(), name),
    }
}

/// A note with the arrow that a report uses for what a computation gives.
fn note(text: &str) -> String {
    clean(text).replace("=>", "⇒")
}

fn failed(verb: Verb) -> &'static str {
    match verb {
        Verb::Woken | Verb::Park | Verb::Recv => "times out",
        _ => "fails",
    }
}

/// What stands for an object that is not known.
fn unnamed(verb: Verb) -> &'static str {
    match verb {
        Verb::Send | Verb::Recv => "a channel",
        _ => "",
    }
}

fn join(word: &str, name: &str) -> String {
    if name.is_empty() { word.to_owned() } else { format!("{word} {name}") }
}
