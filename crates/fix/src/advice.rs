//! What is said where no virtual edit can be tried, or more has to be said than that one repairs.

use crate::sites::Sites;
use crate::steps::{is_step, with_held, writes};
use crate::verifier::Bad;
use racefuzz_trace::{
    Event, Failure, FailureDetail, Fix, FixKind, ObjectId, ObjectKind, OpKind, Region, Site, ThreadEnd,
    ThreadId, Trace, Verb, WaitEdge,
};

/// Why no lock repairs a circle of threads that wait for each other's locks.
pub(crate) fn cycle(trace: &Trace, waiting: &[WaitEdge], cycle: &[ThreadId]) -> String {
    if let [thread] = cycle {
        let edge = waiting.iter().find(|edge| edge.thread == *thread);
        let line = edge.map_or(0, |edge| trace.site(edge.site).line);
        return format!("on line {line} a thread waits for a lock that it holds itself");
    }
    "each thread has a lock that another one waits for; one more lock is not what is missing".to_owned()
}

/// Why no lock was found where one over everything deadlocks.
pub(crate) fn held_in_sleep(sites: &Sites) -> String {
    match sites.waits.iter().map(|place| sites.site(*place).line).min() {
        Some(line) => format!(
            "one that is large enough would be held during the wait on line {line}, and keep out those who \
             could end that wait"
        ),
        None => "one that is large enough would be held while its thread waits for another one".to_owned(),
    }
}

/// Why no lock repairs what still fails with everything under one.
pub(crate) fn still_fails(bad: &Bad) -> String {
    if let Some(FailureDetail::Deadlock { waiting, .. }) = &bad.detail {
        if let Some(line) = left_behind(&bad.trace, waiting) {
            return format!("the lock taken on line {line} is never given back, whatever else is locked");
        }
        if let Some(asleep) = waiting.iter().find(|edge| edge.verb == Verb::Woken) {
            let line = bad.trace.site(asleep.site).line;
            return format!("nobody is left to end the wait on line {line}, whatever is locked");
        }
    }
    format!("with everything that threads do under one lock it still fails: {}", bad.message)
}

/// What to do, where the failure shows it and no virtual edit says it.
pub(crate) fn instead(failure: &Failure, found: &[(Fix, Option<u128>)]) -> Vec<String> {
    let trace = &failure.trace;
    let none = found.is_empty();
    // All that was found makes somebody wait for somebody else.
    let hides = found.iter().all(|(fix, _)| matches!(fix.kind, FixKind::Order | FixKind::LessConcurrent));
    let mut notes = Vec::new();
    match &failure.detail {
        FailureDetail::Deadlock { waiting, cycle } if cycle.len() == 1 => {
            let edge = waiting.iter().find(|edge| edge.thread == cycle[0]);
            let line = edge.map_or(0, |edge| trace.site(edge.site).line);
            let what = "once the lock is taken again, look again at what was read under it before";
            notes.push(if none {
                format!("do this instead: give the lock back before line {line} takes it again; {what}")
            } else {
                what.to_owned()
            });
        }
        FailureDetail::Deadlock { waiting, cycle } if cycle.is_empty() => {
            if let Some(line) = none.then(|| left_behind(trace, waiting)).flatten() {
                notes.push(format!(
                    "do this instead: give back the lock that is taken on line {line} on every way out"
                ));
            } else if waiting.iter().any(|edge| edge.verb == Verb::Woken) && !retested(failure) && hides {
                notes.push(
                    "a condition variable remembers nothing: set a flag under the lock before the \
                     notification, and wait in a loop until it is set"
                        .to_owned(),
                );
            }
        }
        FailureDetail::UseAfterFree { .. } => notes.push(
            "or release it later: when no thread can still look at it (behind the joins; with reference \
             counts, epochs or hazard pointers sooner)"
                .to_owned(),
        ),
        _ if none => {
            if let Some((line, lock)) = abandoned(trace) {
                notes.push(format!(
                    "do this instead: let whatever may panic come before line {line}, the first change under \
                     the lock of line {lock}; or repair what is half done when the lock is found poisoned"
                ));
            } else if trace.threads.iter().any(|thread| thread.task) {
                notes.push(
                    "do this instead: do not await between the read and the write, or hold an async lock over \
                     both; a lock that blocks would stop the other tasks with their thread"
                        .to_owned(),
                );
            }
        }
        _ => {}
    }
    notes
}

/// Where a thread took a lock with which it has ended.
fn left_behind(trace: &Trace, waiting: &[WaitEdge]) -> Option<u32> {
    waiting.iter().flat_map(|edge| &edge.holders).find_map(|(holder, site)| {
        let ended = trace.thread(*holder).end == ThreadEnd::Finished;
        site.filter(|_| ended).map(|site| trace.site(site).line)
    })
}

fn of(trace: &Trace, thread: ThreadId) -> impl DoubleEndedIterator<Item = &Event> {
    trace.events.iter().filter(move |event| event.thread == thread)
}

/// Whether those who sleep have tested something before: they wait in a loop.
fn retested(failure: &Failure) -> bool {
    let trace = &failure.trace;
    let FailureDetail::Deadlock { waiting, .. } = &failure.detail else { return false };
    let asleep = waiting.iter().filter(|edge| edge.verb == Verb::Woken).map(|edge| edge.thread);
    let mut asleep = asleep.peekable();
    asleep.peek().is_some()
        && asleep.all(|thread| of(trace, thread).any(|event| is_step(trace, event) && !writes(event)))
}

/// The first change of a thread that panicked under a lock, and where that was taken.
fn abandoned(trace: &Trace) -> Option<(u32, u32)> {
    let panicked =
        trace.threads.iter().filter(|thread| matches!(thread.end, ThreadEnd::Panicked(_))).map(|t| t.id);
    panicked.filter(|thread| *thread != ThreadId::ROOT).find_map(|thread| {
        let events: Vec<&Event> = of(trace, thread).collect();
        let lock = events.iter().rposition(|event| event.verb.takes_lock())?;
        let first = events[lock..].iter().find(|event| is_step(trace, event) && writes(event))?;
        Some((trace.site(first.site).line, trace.site(events[lock].site).line))
    })
}

/// How a lock of the program's is held, in a failing execution, at places where it is to be.
pub(crate) struct AsItIs {
    /// A thread takes it there more than once, and gives it back in between.
    pub(crate) given_back: bool,
    /// Those who are there without it, where others have it.
    pub(crate) without: Vec<String>,
}

impl AsItIs {
    pub(crate) fn of(trace: &Trace, places: &[Site], created: &Site) -> Self {
        let is_it =
            |object: ObjectId| trace.object(object).created.is_some_and(|at| trace.site(at) == created);
        // Per thread: whether it was held at such a step, and not; taken how often.
        let mut seen = vec![(false, false, 0u32); trace.threads.len()];
        with_held(trace, |event, held| {
            if !places.contains(trace.site(event.site)) {
                return;
            }
            let (with, without, taken) = &mut seen[event.thread.index()];
            if is_step(trace, event) {
                *if held.iter().any(|lock| is_it(*lock)) { with } else { without } = true;
            } else if event.verb.takes_lock() && event.object.is_some_and(is_it) {
                *taken += 1;
            }
        });
        let others = seen.iter().any(|(with, ..)| *with);
        let bare = trace
            .threads
            .iter()
            .filter(|thread| others && matches!(seen[thread.id.index()], (false, true, _)));
        Self {
            given_back: seen.iter().any(|(with, _, taken)| *with && *taken > 1),
            without: bare.map(|thread| thread_name(trace, thread.id)).collect(),
        }
    }

    pub(crate) fn words(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.given_back {
            notes.push("it is taken there already, and given back in between: hold it through".to_owned());
        }
        if !self.without.is_empty() {
            let are = if self.without.len() == 1 { "is" } else { "are" };
            notes.push(format!(
                "{} {are} there without it, others have it already",
                self.without.join(" and ")
            ));
        }
        notes
    }
}

/// A thread as reports call it: threads and tasks are counted apart.
pub(crate) fn thread_name(trace: &Trace, id: ThreadId) -> String {
    let thread = trace.thread(id);
    let before = trace.threads[..id.index()].iter().filter(|other| other.task == thread.task).count();
    match &thread.name {
        Some(name) => name.clone(),
        None if id == ThreadId::ROOT => "main".to_owned(),
        None if thread.task => format!("task {}", before + 1),
        None => format!("thread {before}"),
    }
}

/// Says of locks in lock-free code that they cost that, and what does without.
pub(crate) fn note_costs(failure: &Failure, found: &mut [(Fix, Option<u128>)]) {
    let trace = &failure.trace;
    let locks = |kind| matches!(kind, ObjectKind::Mutex | ObjectKind::RwLock);
    if trace.objects.iter().any(|object| locks(object.kind)) {
        return;
    }
    let exchanges = |event: &Event| matches!(event.verb, Verb::CompareExchange | Verb::CompareExchangeWeak);
    let lock_free = trace.events.iter().any(exchanges);
    for (fix, _) in found.iter_mut().filter(|(fix, _)| fix.kind.is_lock()) {
        if lock_free {
            fix.notes.push("with a lock this is no longer lock-free".to_owned());
        }
        if let Some((load, store)) = fix.regions.iter().find_map(|region| exchangeable(trace, region)) {
            fix.notes.push(format!(
                "without a lock: let line {store} be a compare-exchange that expects what line {load} has \
                 loaded, and begin anew where it fails"
            ));
        }
    }
}

/// A region that loads an atomic, changes nothing, and stores to the same atomic: the lines of both.
fn exchangeable(trace: &Trace, region: &Region) -> Option<(u32, u32)> {
    let load = at(trace, &region.first).find(|event| event.kind == OpKind::Load)?;
    let store = at(trace, &region.last).find(|event| event.kind == OpKind::Store)?;
    let atomic = load.object.is_some_and(|object| trace.object(object).kind == ObjectKind::Atomic);
    let between = region.sites.iter().filter(|site| **site != region.last);
    let changes =
        between.flat_map(|site| at(trace, site)).any(|event| is_step(trace, event) && writes(event));
    (atomic && load.object == store.object && region.first != region.last && !changes)
        .then_some((region.first.line, region.last.line))
}

/// What happens at a place.
fn at<'t>(trace: &'t Trace, site: &'t Site) -> impl Iterator<Item = &'t Event> {
    trace.events.iter().filter(move |event| trace.site(event.site) == site)
}
