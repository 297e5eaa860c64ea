//! Steps: what counts when schedules are counted and parallelism is measured.

use racefuzz_trace::{Event, ObjectId, ObjectKind, OpKind, Trace, Verb};

/// Whether an event is a step: an access, a line printed, a note. Locks, joins, fences and whatever
/// an overlay adds are none.
pub(crate) fn is_step(trace: &Trace, event: &Event) -> bool {
    match event.kind {
        OpKind::Print => true,
        OpKind::Local => matches!(event.verb, Verb::Note | Verb::CellRead | Verb::CellWrite),
        OpKind::Load | OpKind::Store | OpKind::Rmw | OpKind::Read | OpKind::Write => {
            let kind = event.object.map(|object| trace.object(object).kind);
            matches!(
                kind,
                Some(ObjectKind::Variable | ObjectKind::Atomic | ObjectKind::Cell | ObjectKind::Channel)
            )
        }
        _ => false,
    }
}

/// Whether an event is a turn of its thread where what threads share is inside of locks and cells that are set
/// once: a critical section begins, or such a cell is looked at or set. A step is one, too.
pub(crate) fn is_turn(trace: &Trace, event: &Event) -> bool {
    match event.object.map(|object| trace.object(object).kind) {
        Some(ObjectKind::Mutex | ObjectKind::RwLock) => event.verb.takes_lock() && event.ok,
        Some(ObjectKind::Once) => event.kind.reads() || event.kind.writes(),
        _ => is_step(trace, event),
    }
}

/// The events up to the point where every thread has ended: what comes then looks at the result.
pub(crate) fn before_oracles(trace: &Trace) -> &[Event] {
    let end = trace.events.iter().rposition(|event| event.kind == OpKind::Finish);
    &trace.events[..end.map_or(trace.events.len(), |end| end + 1)]
}

/// Whether an event changes what it names.
pub(crate) fn writes(event: &Event) -> bool {
    event.kind.writes() && event.ok
}

/// Whether an overlay added the event.
pub(crate) fn is_added(trace: &Trace, event: &Event) -> bool {
    event.object.is_some_and(|object| trace.object(object).kind == ObjectKind::Added)
}

/// Whether the event is one of those that begin, end or join threads, and count: no place for a lock.
pub(crate) fn is_structure(event: &Event) -> bool {
    matches!(event.kind, OpKind::Spawn | OpKind::Join | OpKind::Finish | OpKind::Alloc | OpKind::Free)
        || matches!(event.verb, Verb::RefClone | Verb::RefDrop | Verb::RefCount | Verb::Nondet | Verb::Assume)
}

/// Walks a trace with the locks that each event's thread holds.
pub(crate) fn with_held(trace: &Trace, mut look: impl FnMut(&Event, &[ObjectId])) {
    let mut held: Vec<Vec<ObjectId>> = vec![Vec::new(); trace.threads.len()];
    for event in before_oracles(trace) {
        let mine = &mut held[event.thread.index()];
        look(event, mine);
        if let Some(object) = event.object {
            if event.verb.takes_lock() && event.ok {
                mine.push(object);
            } else if event.verb.gives_lock() {
                mine.retain(|other| *other != object);
            }
        }
    }
}
