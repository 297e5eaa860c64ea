//! Names of what lies at addresses, given when a report is made.
//!
//! While executions run an object is named by its address. In the report a static goes by its own name, and what
//! lies elsewhere has none, so that the report finds one in the source. The queue of those who wait for a lock
//! and the word of the lock are two objects to the runtime, and one to a person.

use super::sites;
use racefuzz_trace::{
    Failure, FailureDetail, ObjectId, ObjectInfo, ObjectKind, RunReport, ThreadEnd, Trace, Verb,
};
use std::collections::{HashMap, HashSet};

const WORD: char = '@';
const QUEUE: char = '~';
const HIDDEN: char = '!';

/// The name of an atomic's object until then; of one that is nothing of the program's, if it is to be hidden.
pub(crate) fn of_word(address: usize, hidden: bool) -> String {
    format!("{}{address:x}", if hidden { HIDDEN } else { WORD })
}

/// The name of a queue's object until then.
pub(crate) fn of_queue(address: usize) -> String {
    format!("{QUEUE}{address:x}")
}

/// Gives the objects of a report their names; under a harness the root thread, which waits for the test, is left
/// out of what is shown, and the thread that it starts is the test.
pub(crate) fn name(report: &mut RunReport, harness: bool) {
    report.failures.iter_mut().for_each(|failure| name_failure(failure, harness));
}

/// Gives the objects of a failure their names.
pub(crate) fn name_failure(failure: &mut Failure, harness: bool) {
    if harness {
        name_threads(&mut failure.trace);
    }
    hide(&mut failure.trace);
    let same = name_objects(&mut failure.trace);
    let replace = |object: &mut Option<ObjectId>| {
        *object = object.map(|object| same.get(&object).copied().unwrap_or(object));
    };
    for event in &mut failure.trace.events {
        // A message lies somewhere in the channel, and has no name.
        if matches!(event.verb, Verb::Send | Verb::Recv) && event.other.is_none() {
            (event.object, event.read, event.wrote) = (None, None, None);
        }
        replace(&mut event.object);
    }
    for thread in &mut failure.trace.threads {
        if let ThreadEnd::Blocked { object, .. } = &mut thread.end {
            replace(object);
        }
    }
    if let FailureDetail::Deadlock { waiting, .. } = &mut failure.detail {
        waiting.iter_mut().for_each(|edge| replace(&mut edge.object));
    }
}

fn name_threads(trace: &mut Trace) {
    if let [root, _, ..] = &mut *trace.threads {
        root.end = ThreadEnd::Finished;
    }
}

/// References that the standard library makes for itself are steps inside of it.
fn hide(trace: &mut Trace) {
    let name = |object: &ObjectInfo| object.name.as_deref().is_some_and(|name| name.starts_with(HIDDEN));
    let hidden: HashSet<ObjectId> =
        trace.objects.iter().filter(|object| name(object)).map(|object| object.id).collect();
    for event in &mut trace.events {
        let counts = matches!(event.verb, Verb::RefClone | Verb::RefDrop | Verb::RefCount);
        if counts && event.object.is_some_and(|object| hidden.contains(&object)) {
            event.verb = Verb::Inside;
        }
    }
}

/// The objects that the program itself has used, and not only a library on its behalf.
fn used(trace: &Trace) -> HashSet<ObjectId> {
    let own = trace.events.iter().filter(|event| event.verb != Verb::Inside);
    let mut used: HashSet<ObjectId> = own.filter_map(|event| event.object).collect();
    for thread in &trace.threads {
        if let ThreadEnd::Blocked { object: Some(object), .. } = &thread.end {
            used.insert(*object);
        }
    }
    used
}

/// Names them; which object stands for another one of the same address.
fn name_objects(trace: &mut Trace) -> HashMap<ObjectId, ObjectId> {
    let mut words = HashMap::new();
    let mut queues = Vec::new();
    let used = used(trace);
    for object in &mut trace.objects {
        let Some(known) = object.name.take() else { continue };
        let address = |mark: char| usize::from_str_radix(known.strip_prefix(mark)?, 16).ok();
        if let Some(address) = address(WORD).or_else(|| address(HIDDEN)) {
            words.entry(address).or_insert(object.id);
            object.name = sites::static_at(address);
        } else if let Some(address) = address(QUEUE) {
            queues.push((address, object.id));
            object.name = sites::static_at(address);
        } else {
            object.name = Some(known);
        }
    }
    // The word is what the program uses, or else what it waits in.
    let pair = |(address, queue): (usize, ObjectId)| {
        let word = *words.get(&address)?;
        Some(if used.contains(&word) || !used.contains(&queue) { (queue, word) } else { (word, queue) })
    };
    let same: HashMap<ObjectId, ObjectId> = queues.into_iter().filter_map(pair).collect();
    for object in &mut trace.objects {
        if object.kind == ObjectKind::Thread {
            // The token of a thread, which is what people know.
            (object.name, object.created) = (None, None);
            continue;
        }
        // What nobody sees must not share a name that the report finds in the source.
        let hidden = !used.contains(&object.id) && object.name.is_none();
        if object.kind != ObjectKind::Cell && (hidden || same.contains_key(&object.id)) {
            object.name = Some(format!("internal {}", object.id.0));
        }
    }
    same
}
