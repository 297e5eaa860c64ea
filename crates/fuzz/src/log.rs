//! Comparing executions, step by step.

use racefuzz_trace::{Trace, Value, Verb};
use std::collections::HashSet;

pub(crate) const VALUE: u64 = 0xff_ffff;
const OBJECT: u64 = 0xf_ffff;

pub(crate) fn object(word: u64) -> u64 {
    word >> 24 & OBJECT
}

/// The thread that executed a logged event.
pub(crate) fn thread(word: u64) -> u32 {
    (word >> 52) as u32
}

/// The number of its operation, an index into [`Verb::ALL`].
pub(crate) fn verb(word: u64) -> u8 {
    (word >> 44) as u8
}

/// Objects that held pointers: their values are addresses, which differ from run to run.
fn pointers(trace: &Trace) -> HashSet<u64> {
    let holds = |value: &Option<Value>| matches!(value, Some(Value::Pointer(_) | Value::Null));
    let events = trace.events.iter().filter(|event| holds(&event.read) || holds(&event.wrote));
    events.filter_map(|event| Some(u64::from(event.object?.0))).collect()
}

/// The first event in which two logs differ; the second execution was recorded.
pub(crate) fn first_difference(first: &[u64], second: &[u64], trace: &Trace) -> Option<usize> {
    if first == second {
        return None;
    }
    let pointers = pointers(trace);
    let same = |(one, other): (&u64, &u64)| {
        one == other || one & !VALUE == other & !VALUE && pointers.contains(&object(*one))
    };
    match first.iter().zip(second).position(|pair| !same(pair)) {
        None if first.len() == second.len() => None,
        None => Some(first.len().min(second.len())),
        differing => differing,
    }
}

/// What a logged event did, in words.
pub(crate) fn words(word: Option<&u64>, trace: &Trace) -> String {
    let Some(word) = word else { return "the end of the program".to_owned() };
    let thread = match thread(*word) {
        0 => "main".to_owned(),
        number => format!("thread {number}"),
    };
    let verb = Verb::ALL.get(usize::from(verb(*word))).map_or("step", |verb| verb.word());
    let object = trace.objects.get(object(*word) as usize).map(|object| match &object.name {
        Some(name) => format!(" `{name}`"),
        None => match object.created {
            Some(site) => format!(" the {} made at {}", object.kind.word(), trace.site(site)),
            None => format!(" the {}", object.kind.word()),
        },
    });
    let value = match (&object, word & VALUE) {
        (None, _) | (_, 0) => String::new(),
        (Some(_), value) => format!(" (value {value})"),
    };
    format!("{thread}: {verb}{}{value}", object.unwrap_or_default())
}

/// A fingerprint of an execution: what its threads did to which objects and with which values, but
/// for addresses and texts.
pub(crate) fn fingerprint(trace: &Trace) -> u16 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |word: u64| {
        hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        hash ^= hash >> 32;
    };
    let number = |value: &Option<Value>| match value {
        None | Some(Value::Text(_)) => 0,
        Some(Value::Int(value)) => (*value as u64) << 3 | 1,
        Some(Value::Bool(value)) => u64::from(*value) << 3 | 2,
        Some(Value::Null) => 3,
        Some(Value::Pointer(number)) => u64::from(*number) << 3 | 4,
    };
    for event in &trace.events {
        add(u64::from(event.thread.0) << 9 | u64::from(event.ok) << 8 | event.verb as u64);
        add(event.object.map_or(u64::MAX, |object| object.0.into()));
        add(number(&event.read));
        add(number(&event.wrote));
    }
    (hash ^ hash >> 16 ^ hash >> 32 ^ hash >> 48) as u16
}
