//! Event counters and the sets that wait for them: `eventfd` and `epoll`, by which runtimes of asynchronous code
//! wake their threads.
//!
//! The descriptors are the system's, which closes and duplicates them. What they count, and who is to be told of
//! it, is kept here, behind one object of the runtime: a bit of its word for each set that has something to tell,
//! and for each counter that is not zero. Other descriptors may be in a set, and are never ready: the program's
//! sockets are not virtual.

use super::interpose::Frame;
use super::sites::site;
use super::{shadow, state};
use racefuzz_runtime::ops::{self, Update, unseen};
use racefuzz_runtime::{Primitive, Shared, Test};
use racefuzz_trace::{ObjectKind, Verb};
use std::borrow::Cow;
use std::ffi::c_int;
use std::time::Duration;

/// Counters, and sets, that have a bit of their own.
const MOST: usize = 32;

/// The object that stands for all of them.
struct Bits {
    shared: Shared,
}

impl Primitive for Bits {
    const KIND: ObjectKind = ObjectKind::Channel;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        0
    }

    fn used_outside(&self) -> bool {
        true
    }

    fn name(&self) -> Option<Cow<'static, str>> {
        Some("events".into())
    }
}

/// What a descriptor stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Id {
    Counter(usize),
    Set(usize),
}

#[derive(Default)]
struct Counter {
    /// Some descriptor stands for it.
    is_open: bool,
    count: u64,
    by_one: bool,
    blocks: bool,
}

/// A descriptor in a set.
struct Interest {
    descriptor: c_int,
    counter: Option<usize>,
    events: u32,
    data: u64,
    /// Somebody has written since it was last told.
    written: bool,
}

/// Those of the running execution.
#[derive(Default)]
pub(crate) struct Events {
    bits: Option<Box<Bits>>,
    descriptors: Vec<(c_int, Id)>,
    counters: Vec<Counter>,
    sets: Vec<Set>,
}

#[derive(Default)]
struct Set {
    is_open: bool,
    interests: Vec<Interest>,
}

impl Events {
    pub(crate) fn begin(&mut self) {
        self.bits = None;
        self.descriptors.clear();
        self.counters.clear();
        self.sets.clear();
    }

    fn id(&self, descriptor: c_int) -> Option<Id> {
        self.descriptors.iter().find(|(known, _)| *known == descriptor).map(|(_, id)| *id)
    }

    fn counter(&self, descriptor: c_int) -> Option<usize> {
        match self.id(descriptor)? {
            Id::Counter(index) => Some(index),
            Id::Set(_) => None,
        }
    }

    fn set(&self, descriptor: c_int) -> Option<usize> {
        match self.id(descriptor)? {
            Id::Set(index) => Some(index),
            Id::Counter(_) => None,
        }
    }

    /// The events of an interest that have come.
    fn ready(&self, interest: &Interest) -> u32 {
        let Some(counter) = interest.counter else { return 0 };
        let mut ready = 0;
        if interest.events & libc::EPOLLIN as u32 != 0 && self.counters[counter].count > 0 {
            ready |= libc::EPOLLIN as u32;
        }
        if interest.events & libc::EPOLLOUT as u32 != 0 {
            ready |= libc::EPOLLOUT as u32;
        }
        let is_new = interest.events & libc::EPOLLET as u32 == 0 || interest.written;
        if is_new { ready } else { 0 }
    }

    /// The word.
    fn word(&self) -> u64 {
        let sets = self.sets.iter().enumerate();
        let ready = sets.filter(|(_, set)| set.interests.iter().any(|interest| self.ready(interest) != 0));
        let sets = ready.fold(0, |word, (index, _)| word | set_bit(index));
        let counters = self.counters.iter().enumerate().filter(|(_, counter)| counter.count > 0);
        counters.fold(sets, |word, (index, _)| word | counter_bit(index))
    }

    fn written(&mut self, counter: usize) {
        let interests = self.sets.iter_mut().flat_map(|set| &mut set.interests);
        interests
            .filter(|interest| interest.counter == Some(counter))
            .for_each(|interest| interest.written = true);
    }
}

fn set_bit(index: usize) -> u64 {
    1 << index
}

fn counter_bit(index: usize) -> u64 {
    1 << (MOST + index)
}

/// States an operation on what descriptors stand for; `None` if its time was up.
fn step<R>(
    frame: *const Frame,
    verb: Verb,
    (test, timeout): (Test, Option<Duration>),
    effect: impl FnOnce(&mut Events) -> R,
) -> Option<R> {
    let site = site(frame);
    let bits: *const Bits = state::with(|state| {
        &raw const **state.events.bits.get_or_insert_with(|| Box::new(Bits { shared: Shared::at(site) }))
    });
    let _ = unseen::learn_from_all();
    let update = Update { timeout, ..Update::when(verb, test) };
    // SAFETY: the object stays where it is until the execution is over.
    let done = ops::update(unsafe { &*bits }, update, site, |word, _| {
        state::with(|state| {
            let result = effect(&mut state.events);
            *word = state.events.word();
            result
        })
    });
    let _ = unseen::learn_from_all();
    shadow::publish();
    done.ok()?.ok()
}

const AT_ONCE: (Test, Option<Duration>) = (Test::Always, None);

/// A counter was made, or a set.
pub(crate) fn made((descriptor, counter): (c_int, Option<(u32, c_int)>)) {
    state::with(|state| {
        let events = &mut state.events;
        let id = match counter {
            Some((count, flags)) => {
                let free = events.counters.iter().position(|counter| !counter.is_open);
                let index = free.unwrap_or(events.counters.len());
                events.counters.resize_with(events.counters.len().max(index + 1), Counter::default);
                events.counters[index] = Counter {
                    is_open: true,
                    count: count.into(),
                    by_one: flags & libc::EFD_SEMAPHORE != 0,
                    blocks: flags & libc::EFD_NONBLOCK == 0,
                };
                Id::Counter(index)
            }
            None => {
                let free = events.sets.iter().position(|set| !set.is_open);
                let index = free.unwrap_or(events.sets.len());
                events.sets.resize_with(events.sets.len().max(index + 1), Set::default);
                events.sets[index] = Set { is_open: true, interests: Vec::new() };
                Id::Set(index)
            }
        };
        if events.counters.len() > MOST || events.sets.len() > MOST {
            super::real::die("the program has more than 32 event counters, or sets that wait for them");
        }
        events.descriptors.push((descriptor, id));
    });
}

/// A descriptor was duplicated.
pub(crate) fn duplicated((from, to): (c_int, c_int)) {
    state::with(|state| {
        if let Some(id) = state.events.id(from) {
            state.events.descriptors.push((to, id));
        }
    });
}

/// A descriptor was closed.
pub(crate) fn closed(descriptor: c_int) {
    state::with(|state| {
        let events = &mut state.events;
        let id = events.id(descriptor);
        events.descriptors.retain(|(known, _)| *known != descriptor);
        for set in &mut events.sets {
            set.interests.retain(|interest| interest.descriptor != descriptor);
        }
        match id.filter(|id| events.descriptors.iter().all(|(_, other)| other != id)) {
            Some(Id::Counter(index)) => events.counters[index] = Counter::default(),
            Some(Id::Set(index)) => events.sets[index] = Set::default(),
            None => {}
        }
    });
}

/// Whether a descriptor is that of a counter.
pub(crate) fn is_counter(descriptor: c_int) -> bool {
    state::with(|state| state.events.counter(descriptor).is_some())
}

/// Whether a descriptor is that of a set.
pub(crate) fn is_set(descriptor: c_int) -> bool {
    state::with(|state| state.events.set(descriptor).is_some())
}

/// Adds to a counter.
pub(crate) fn add((descriptor, count, frame): (c_int, u64, *const Frame)) {
    step(frame, Verb::Send, AT_ONCE, |events| {
        if let Some(index) = events.counter(descriptor) {
            events.counters[index].count = events.counters[index].count.saturating_add(count);
            events.written(index);
        }
    });
}

/// Takes what a counter has counted; `None` if that is nothing.
pub(crate) fn take((descriptor, frame): (c_int, *const Frame)) -> Option<u64> {
    let (index, blocks) = state::with(|state| {
        let index = state.events.counter(descriptor)?;
        Some((index, state.events.counters[index].blocks))
    })?;
    let when = if blocks { (Test::Any(counter_bit(index)), None) } else { AT_ONCE };
    step(frame, Verb::Recv, when, |events| {
        let counter = &mut events.counters[index];
        let taken = if counter.by_one { counter.count.min(1) } else { counter.count };
        counter.count -= taken;
        (taken > 0).then_some(taken)
    })?
}

/// What `epoll_ctl` is asked to do.
pub(crate) struct Control {
    pub(crate) set: c_int,
    pub(crate) operation: c_int,
    pub(crate) descriptor: c_int,
    pub(crate) events: u32,
    pub(crate) data: u64,
    pub(crate) frame: *const Frame,
}

/// `epoll_ctl`, after the system has allowed it.
pub(crate) fn control(control: Control) {
    let Control { set, operation, descriptor, events: wanted, data, frame } = control;
    step(frame, Verb::Inside, AT_ONCE, |events| {
        let Some(index) = events.set(set) else { return };
        let counter = events.counter(descriptor);
        let set = &mut events.sets[index].interests;
        set.retain(|interest| interest.descriptor != descriptor);
        if operation != libc::EPOLL_CTL_DEL {
            set.push(Interest { descriptor, counter, events: wanted, data, written: true });
        }
    });
}

/// `epoll_wait`: what has come, at most so many, as events and data.
pub(crate) fn wait(
    (set, most, timeout, frame): (c_int, usize, Option<Duration>, *const Frame),
) -> Vec<(u32, u64)> {
    let Some(index) = state::with(|state| state.events.set(set)) else { return Vec::new() };
    let when = if timeout == Some(Duration::ZERO) { AT_ONCE } else { (Test::Any(set_bit(index)), timeout) };
    let told = step(frame, Verb::Wait, when, |events| {
        let mut told = Vec::new();
        let mut set = std::mem::take(&mut events.sets[index].interests);
        for interest in &mut set {
            let ready = events.ready(interest);
            if ready == 0 || told.len() == most {
                continue;
            }
            told.push((ready, interest.data));
            interest.written = false;
            if interest.events & libc::EPOLLONESHOT as u32 != 0 {
                interest.events = 0;
            }
        }
        events.sets[index].interests = set;
        told
    });
    told.unwrap_or_default()
}
