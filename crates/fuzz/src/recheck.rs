//! Double execution: an execution that passed is executed again under the same schedule, and every
//! event of the two is compared.
//!
//! A program must start from the same state each time. What survives an execution unseen (a std
//! `OnceLock` or static, a thread-local, a value that the closure captured) can make all executions
//! but the first vacuous, and nothing in any single one of them looks wrong. So some are executed
//! twice: the first, the last, and those whose number is a power of two, so that the cost vanishes in
//! a long run.
//!
//! Compared are thread, operation, object, ordering, place, success and reads-from of every event, how
//! the execution ended, and the values read and written. Values alone may differ without harm (a
//! number from a process-wide counter, an address kept in an integer): that is a warning. Any other
//! difference is a failure. A third execution tells what was kept from the first one (it does as the
//! second did) from what is new each time (the order of a `HashMap`, a clock).

use crate::log::{VALUE, first_difference, thread, verb, words};
use racefuzz_runtime::{Detected, Ended, StableHasher};
use racefuzz_trace::{
    Event, FailureDetail, FailureKind, ObjectInfo, ObjectKind, ThreadId, Trace, Value, Verb,
};
use std::hash::{Hash, Hasher};

/// Whether an execution, numbered from 0, is executed twice.
#[inline]
pub fn is_sampled(index: u64) -> bool {
    (index + 1).is_power_of_two()
}

/// One execution, for comparison.
#[derive(Debug, Default)]
pub struct Executed {
    /// One word per event.
    log: Vec<u64>,
    /// The events, if they were recorded.
    trace: Option<Trace>,
    /// How it ended.
    end: String,
    left_over: Vec<String>,
}

impl Executed {
    /// The execution that has just ended, and its log.
    pub fn new(ended: &Ended, log: &[u64]) -> Self {
        let end = match (&ended.failure, ended.blocked) {
            (Some(failure), _) => format!("{}: {}", failure.kind, failure.message),
            (None, true) => "blocked".to_owned(),
            (None, false) => "no failure".to_owned(),
        };
        Self { log: log.to_vec(), trace: ended.trace.clone(), end, left_over: ended.left_over.clone() }
    }
}

/// How two executions of one schedule differ.
#[derive(Debug)]
pub enum Difference {
    /// Only in a value, first at this step: what it was, where, and what it is.
    Value(String),
    /// In what was done: the failure.
    Events(Box<Detected>),
}

/// How the events of the first execution are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As those of the others: all three were led by the same choices.
    Same,
    /// By thread as those of the others, but threads may have taken turns otherwise: an execution
    /// graph leaves that open.
    ByThread,
}

/// Compares an execution with a later one of the same schedule, which was recorded. If they differ,
/// `third` executes and records another one.
pub fn compare(
    first: &Executed,
    second: &Executed,
    order: Order,
    third: impl FnOnce() -> Executed,
) -> Option<Difference> {
    let found = match order {
        Order::Same => difference(first, second, order),
        Order::ByThread => difference_by_thread(first, second),
    }?;
    let kept = matches!(found, Found::Events { .. }) && difference(second, &third(), order).is_none();
    let left_over = [first, second];
    Some(match found {
        Found::Value(text) => Difference::Value(text),
        Found::Events { step, expected, found } => {
            let mut objects: Vec<String> = Vec::new();
            for object in left_over.into_iter().flat_map(|executed| &executed.left_over) {
                if !objects.contains(object) {
                    objects.push(object.clone());
                }
            }
            Difference::Events(Box::new(Detected {
                kind: FailureKind::Nondeterminism,
                message: format!(
                    "the program behaves differently under the same schedule: step {} was `{expected}` in one run \
                     and `{found}` in the next",
                    step + 1
                ),
                thread: ThreadId::ROOT,
                step,
                identity: 0,
                detail: Some(FailureDetail::Nondeterminism {
                    step,
                    expected,
                    found,
                    left_over: objects,
                    kept,
                    unrepeated: None,
                }),
            }))
        }
    })
}

enum Found {
    Value(String),
    Events { step: u32, expected: String, found: String },
}

/// The first difference of two executions, the second of which was recorded.
fn difference(first: &Executed, second: &Executed, order: Order) -> Option<Found> {
    let shown = second.trace.as_ref()?;
    let control = |word: &u64| word & !VALUE;
    let same = |(one, other): (&u64, &u64)| control(one) == control(other);
    let logs = (&first.log, &second.log);
    let differs = match logs.0.iter().zip(logs.1).position(|pair| !same(pair)) {
        None if logs.0.len() == logs.1.len() => None,
        None => Some(logs.0.len().min(logs.1.len())),
        differs => differs,
    };
    let event = |executed, step| event(executed, step, shown);
    let events = |step: usize| Found::Events {
        step: step as u32,
        expected: event(first, step),
        found: event(second, step),
    };
    let recorded = first.trace.as_ref().and_then(|trace| first_unequal(trace, shown, order));
    match (recorded, differs) {
        (Some(step), _) | (None, Some(step)) => Some(events(step)),
        (None, None) if first.end != second.end => {
            let (expected, found) = (first.end.clone(), second.end.clone());
            Some(Found::Events { step: second.log.len() as u32, expected, found })
        }
        (None, None) => {
            let step = match &first.trace {
                Some(trace) => first_value(trace, shown),
                None => first_difference(&first.log, &second.log, shown)
                    .filter(|step| !holds_address(shown, *step)),
            }?;
            Some(Found::Value(format!("`{}`, then `{}`", event(first, step), event(second, step))))
        }
    }
}

/// The first event of a thread in which two executions differ, whoever had the turn when; the second
/// was recorded.
fn difference_by_thread(first: &Executed, second: &Executed) -> Option<Found> {
    let shown = second.trace.as_ref()?;
    let places = first.trace.is_some();
    let (one, other) = (by_thread(first, places), by_thread(second, places));
    if sorted(&one) != sorted(&other) {
        let empty = Vec::new();
        let count = one.len().max(other.len());
        let of =
            |threads: &'_ [Vec<(u64, usize)>], thread: usize| threads.get(thread).unwrap_or(&empty).clone();
        for thread in 0..count {
            let (mine, theirs) = (of(&one, thread), of(&other, thread));
            let keys = |events: &[(u64, usize)]| events.iter().map(|(key, _)| *key).collect::<Vec<_>>();
            if keys(&mine) == keys(&theirs) {
                continue;
            }
            let index = mine.iter().zip(&theirs).take_while(|(one, other)| one.0 == other.0).count();
            let words = |executed: &Executed, events: &[(u64, usize)]| match events.get(index) {
                Some((_, step)) => event(executed, *step, shown),
                None => format!("the end of {}", name(thread as u32)),
            };
            let step = theirs.get(index).map_or(second.log.len(), |(_, step)| *step) as u32;
            return Some(Found::Events {
                step,
                expected: words(first, &mine),
                found: words(second, &theirs),
            });
        }
    }
    if first.end != second.end {
        let (expected, found) = (first.end.clone(), second.end.clone());
        return Some(Found::Events { step: second.log.len() as u32, expected, found });
    }
    let trace = first.trace.as_ref()?;
    let pairs = one
        .iter()
        .zip(&other)
        .filter(|(one, other)| one.iter().map(|event| event.0).eq(other.iter().map(|event| event.0)));
    let (_, step) = pairs
        .flat_map(|(one, other)| one.iter().zip(other))
        .map(|(one, other)| (one.1, other.1))
        .find(|(one, other)| !same_values(&trace.events[*one], &shown.events[*other]))?;
    let at = |executed: &Executed| event(executed, step, shown);
    Some(Found::Value(format!("`{}`, then `{}`", at(first), at(second))))
}

/// What each thread did, with the step: operations and, if both executions were recorded, places and
/// objects. Objects go by where they were made: their numbers depend on who is first to use them.
fn by_thread(executed: &Executed, places: bool) -> Vec<Vec<(u64, usize)>> {
    let mut threads: Vec<Vec<(u64, usize)>> = Vec::new();
    let mut add = |thread: usize, key: u64, step: usize| {
        if threads.len() <= thread {
            threads.resize_with(thread + 1, Vec::new);
        }
        threads[thread].push((key, step));
    };
    match executed.trace.as_ref().filter(|_| places) {
        Some(trace) => {
            let events = trace.events.iter().enumerate();
            for (step, event) in events.filter(|(_, event)| !is_anybodys(event.verb)) {
                let mut key = StableHasher::new();
                let object = event.object.and_then(|object| trace.objects.get(object.index()));
                // What an overlay added stands where it was first used.
                let made = |object: &&ObjectInfo| object.kind != ObjectKind::Added;
                let made = object.filter(made).and_then(|object| object.created).map(|site| trace.site(site));
                let object = object.map(|object| object.kind as u8);
                (
                    event.verb as u8,
                    event.order as u8,
                    has_succeeded(event),
                    trace.site(event.site),
                    object,
                    made,
                )
                    .hash(&mut key);
                add(event.thread.index(), key.finish(), step);
            }
        }
        None => {
            let anybodys =
                |word: u64| Verb::ALL.get(usize::from(verb(word))).is_some_and(|verb| is_anybodys(*verb));
            let words = executed.log.iter().copied().enumerate();
            for (step, word) in words.filter(|(_, word)| !anybodys(*word)) {
                add(thread(word) as usize, u64::from(verb(word)), step);
            }
        }
    }
    threads
}

/// Whether an execution graph leaves open which thread has an event: what the last owner of a value does
/// when it is dropped, as far as others cannot see it.
fn is_anybodys(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::CellRead
            | Verb::CellWrite
            | Verb::Unsync
            | Verb::RefClone
            | Verb::RefDrop
            | Verb::Alloc
            | Verb::Free
            | Verb::Note
            | Verb::Sleep
            | Verb::Yield
            | Verb::SpinLoop
            | Verb::Create
    )
}

/// Whether an event did what it was to, as far as its graph says: not whether the thread that was given a
/// token had come to wait for one yet.
fn has_succeeded(event: &Event) -> bool {
    event.ok || event.verb == Verb::Unpark
}

/// What threads did, in an order that does not depend on who was created first.
fn sorted(threads: &[Vec<(u64, usize)>]) -> Vec<Vec<u64>> {
    let mut all: Vec<Vec<u64>> =
        threads.iter().map(|events| events.iter().map(|(key, _)| *key).collect()).collect();
    all.sort_unstable();
    all
}

/// The first event in which two traces differ in more than values.
fn first_unequal(first: &Trace, second: &Trace, order: Order) -> Option<usize> {
    let same = |(one, other): (&Event, &Event)| {
        // Where a graph says what is read, the writer may have its turn later.
        let source = |event: &Event| event.reads_from.filter(|_| order == Order::Same);
        let key = |event: &Event| {
            let ok = if order == Order::Same { event.ok } else { has_succeeded(event) };
            (event.thread, event.kind, event.verb, event.order, event.object, ok, source(event))
        };
        key(one) == key(other) && first.site(one.site) == second.site(other.site)
    };
    match first.events.iter().zip(&second.events).position(|pair| !same(pair)) {
        None if first.events.len() == second.events.len() => None,
        None => Some(first.events.len().min(second.events.len())),
        differs => differs,
    }
}

/// The first event in which they differ in a value that is not an address.
fn first_value(first: &Trace, second: &Trace) -> Option<usize> {
    first.events.iter().zip(&second.events).position(|(one, other)| !same_values(one, other))
}

/// Whether two events read and wrote the same, but for addresses and texts.
fn same_values(one: &Event, other: &Event) -> bool {
    let same = |one: &Option<Value>, other: &Option<Value>| match (one, other) {
        (Some(Value::Int(one)), Some(Value::Int(other))) => {
            one == other || is_address(*one) && is_address(*other)
        }
        (Some(Value::Pointer(_)), Some(Value::Pointer(_))) => true,
        (Some(Value::Text(_)), Some(Value::Text(_))) => true,
        (one, other) => one == other,
    };
    same(&one.read, &other.read) && same(&one.wrote, &other.wrote)
}

/// Whether an integer may hold an address, with or without a tag: nothing else is as large in a test.
fn is_address(value: i128) -> bool {
    value.unsigned_abs() >= 1 << 32
}

fn holds_address(trace: &Trace, step: usize) -> bool {
    let large = |value: &Option<Value>| matches!(value, Some(Value::Int(value)) if is_address(*value));
    trace.events.get(step).is_none_or(|event| large(&event.read) || large(&event.wrote))
}

/// An event in words, if possible with its place; `shown` has the objects' names.
fn event(executed: &Executed, step: usize, shown: &Trace) -> String {
    match &executed.trace {
        Some(trace) => described(trace, step),
        None => words(executed.log.get(step), shown),
    }
}

fn name(thread: u32) -> String {
    if thread == 0 { "main".to_owned() } else { format!("thread {thread}") }
}

fn described(trace: &Trace, step: usize) -> String {
    let Some(event) = trace.events.get(step) else { return "the end of the program".to_owned() };
    let thread = name(event.thread.0);
    let object = event.object.and_then(|object| trace.objects.get(object.index())).map(|object| {
        match (&object.name, object.created) {
            (Some(name), _) => format!(" `{name}`"),
            (None, Some(site)) => format!(" the {} made at {}", object.kind.word(), trace.site(site)),
            (None, None) => format!(" the {}", object.kind.word()),
        }
    });
    let value = match (&event.read, &event.wrote) {
        (_, Some(value)) | (Some(value), None) => format!(" (value {value})"),
        (None, None) => String::new(),
    };
    let object = object.unwrap_or_default();
    format!("{thread}: {}{object}{value} at {}", event.verb.word(), trace.site(event.site))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_thins_out() {
        let sampled: Vec<u64> = (0..1_000).filter(|index| is_sampled(*index)).collect();
        assert_eq!(sampled, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]);
    }
}
