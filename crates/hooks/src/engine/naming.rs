//! Names of what lies at addresses, given when a report is made.
//!
//! While executions run an object is named by its address. In the report a static goes by its own name, and what
//! lies elsewhere has none, so that the report finds one in the source. The queue of those who wait for a lock
//! and the word of the lock are two objects to the runtime, and one to a person.

use super::sites;
use racefuzz_trace::{FailureDetail, ObjectId, ObjectKind, RunReport, ThreadEnd, Trace, Verb};
use std::collections::{HashMap, HashSet};

const WORD: char = '@';
const QUEUE: char = '~';

/// The name of an atomic's object until then.
pub(crate) fn of_word(address: usize) -> String {
    format!("{WORD}{address:x}")
}

/// The name of a queue's object until then.
pub(crate) fn of_queue(address: usize) -> String {
    format!("{QUEUE}{address:x}")
}

/// Gives the objects of a report their names; under a harness the root thread, which waits for the test, is left
/// out of what is shown, and the thread that it starts is the test.
pub(crate) fn name(report: &mut RunReport, harness: bool) {
    for failure in &mut report.failures {
        if harness {
            name_threads(&mut failure.trace);
        }
        let same = name_objects(&mut failure.trace);
        let replace = |object: &mut Option<ObjectId>| {
            *object = object.map(|object| same.get(&object).copied().unwrap_or(object));
        };
        failure.trace.events.iter_mut().for_each(|event| replace(&mut event.object));
        for thread in &mut failure.trace.threads {
            if let ThreadEnd::Blocked { object, .. } = &mut thread.end {
                replace(object);
            }
        }
        if let FailureDetail::Deadlock { waiting, .. } = &mut failure.detail {
            waiting.iter_mut().for_each(|edge| replace(&mut edge.object));
        }
    }
}

fn name_threads(trace: &mut Trace) {
    if let [root, _, ..] = &mut *trace.threads {
        root.end = ThreadEnd::Finished;
    }
}

/// The objects that the program itself has used, and not only a library on its behalf.
fn used(trace: &Trace) -> HashSet<ObjectId> {
    let own = trace.events.iter().filter(|event| event.verb != Verb::Inside);
    own.filter_map(|event| event.object).collect()
}

/// Names them; which queue's object stands for the word of the same address.
fn name_objects(trace: &mut Trace) -> HashMap<ObjectId, ObjectId> {
    let mut words = HashMap::new();
    let mut queues = Vec::new();
    let used = used(trace);
    for object in &mut trace.objects {
        let Some(known) = object.name.take() else { continue };
        let address = |mark: char| usize::from_str_radix(known.strip_prefix(mark)?, 16).ok();
        if let Some(address) = address(WORD) {
            words.entry(address).or_insert(object.id);
            object.name = sites::static_at(address);
        } else if let Some(address) = address(QUEUE) {
            queues.push((address, object.id));
            object.name = sites::static_at(address);
        } else {
            object.name = Some(known);
        }
    }
    let same: HashMap<ObjectId, ObjectId> =
        queues.into_iter().filter_map(|(address, queue)| Some((queue, *words.get(&address)?))).collect();
    for object in &mut trace.objects {
        // What nobody sees must not share a name that the report finds in the source.
        let hidden = same.contains_key(&object.id) || !used.contains(&object.id);
        if hidden && object.name.is_none() && object.kind != ObjectKind::Cell {
            object.name = Some(format!("internal {}", object.id.0));
        }
    }
    same
}
