//! Futexes: how the program's threads wait, the standard library's locks included.
//!
//! A wait is two operations of the runtime on a queue, which is an object of the futex's address: the thread
//! looks at the word and is entered, in one step; then it awaits its bit of the queue's word, which whoever
//! wakes it sets. Before and behind each the thread learns from all others: what calls a futex is most often
//! code that is not seen.

use super::interpose::Frame;
use super::kinds::{Thing, as_kind};
use super::roles::{Call, Part, Role};
use super::sites::site_and_part;
use super::words::AddressHasher;
use super::{exhaustive, shadow, state};
use racefuzz_runtime::ops::{self, Hold, Update, process, unseen};
use racefuzz_runtime::{Shared, Site, Test};
use racefuzz_trace::{ObjectKind, OpKind, ThreadId, Verb};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::time::Duration;

/// Threads that may wait in one queue at a time.
const MOST: usize = 64;

/// Those that wait at an address.
pub(crate) struct Queue {
    shared: Shared,
    address: usize,
    kind: ObjectKind,
}

impl Thing for Queue {
    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self, _: ObjectKind) -> u64 {
        0
    }

    fn name(&self) -> String {
        super::naming::of_queue(self.address)
    }
}

/// A thread that waits.
#[derive(Clone, Copy)]
struct Waiter {
    thread: ThreadId,
    /// The word that it looked at: a lock may have two.
    address: usize,
    slot: u32,
    mask: u32,
}

/// The queues of the running execution.
#[derive(Default)]
pub(crate) struct Futexes {
    #[expect(clippy::vec_box, reason = "an object stays where it is")]
    queues: Vec<Box<Queue>>,
    used: usize,
    by_address: HashMap<usize, Vec<usize>, BuildHasherDefault<AddressHasher>>,
    waiters: Vec<Vec<Waiter>>,
    /// Threads that have been woken for a lock, which they are thought to have since.
    supposed: HashMap<ThreadId, usize>,
    /// Threads that have called a function which may leave the call of the system to its end: where, and which.
    called: HashMap<ThreadId, (usize, Part)>,
}

impl Futexes {
    pub(crate) fn begin(&mut self) {
        self.supposed.clear();
        self.called.clear();
        self.used = 0;
        self.by_address.clear();
        self.waiters.iter_mut().for_each(Vec::clear);
    }

    /// The queue at an address of those who wait for what `part` waits for.
    fn queue(&mut self, address: usize, site: Site, part: Part) -> usize {
        let kind = part.waits_for();
        // Writers wait at another word of the lock than that which says who has it.
        let before = address.wrapping_sub(4);
        let address = if kind == ObjectKind::RwLock
            && self.known(address, kind).is_none()
            && self.known(before, kind).is_some()
        {
            before
        } else {
            address
        };
        if let Some(known) = self.known(address, kind) {
            return known;
        }
        let Self { queues, used, by_address, waiters, .. } = self;
        let queue = Queue { shared: Shared::at(site), address, kind };
        if *used == queues.len() {
            queues.push(Box::new(queue));
            waiters.push(Vec::new());
        } else {
            *queues[*used] = queue;
        }
        by_address.entry(address).or_default().push(*used);
        *used += 1;
        *used - 1
    }

    fn known(&self, address: usize, kind: ObjectKind) -> Option<usize> {
        self.by_address.get(&address)?.iter().copied().find(|index| self.queues[*index].kind == kind)
    }

    /// The queue in which somebody waits who looked at this word, rather than that of a kind which nobody waits in.
    fn waited_in(&mut self, address: usize, site: Site, part: Part) -> usize {
        let own = self.queue(address, site, part);
        let waits = |index: &usize| self.waiters[*index].iter().any(|waiter| waiter.address == address);
        if waits(&own) {
            return own;
        }
        self.by_address.get(&address).and_then(|all| all.iter().copied().find(waits)).unwrap_or(own)
    }

    fn object(&self, index: usize) -> *const Queue {
        std::ptr::from_ref(&*self.queues[index])
    }
}

/// The running thread is about to use a futex.
fn enter(address: usize, site: Site) {
    if exhaustive::is_on() && !exhaustive::unseen::is_alone() {
        let place = exhaustive::place(site);
        exhaustive::give_up(format!("a call of the system that waits or wakes, at {place}"));
    }
    let _ = unseen::learn_from_all();
    let _ = unseen::publish_to_unseen();
    state::with(|state| {
        // SAFETY: atomics that were met are boxed and stay while executions run.
        let word =
            unsafe { &*state.words.at(address, 4, (site, Part { role: Role::Inside, ..Part::default() })) };
        word.use_unseen();
        state.words.watch(word);
    });
}

/// A wait, as the system call has it.
pub(crate) struct Wait {
    pub(crate) address: usize,
    pub(crate) expected: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) mask: u32,
    pub(crate) frame: *const Frame,
}

/// Waits; what the system call returns.
pub(crate) fn wait(wait: Wait) -> isize {
    let Wait { address, expected, timeout, mask, frame } = wait;
    let (site, part) = site_and_part(frame);
    enter(address, site);
    let (index, queue) = state::with(|state| {
        let index = state.futexes.queue(address, site, part);
        (index, state.futexes.object(index))
    });
    // SAFETY: queues stay where they are, and this one is of the running execution.
    let queue = unsafe { &*queue };
    let thread = ops::current_task().unwrap_or(ThreadId::ROOT);
    let begin = Update { kind: OpKind::Rmw, ..Update::new(part.begins()) };
    let entered = as_kind!(queue, queue.kind, |queue| ops::update(queue, begin, site, |_, told| {
        // SAFETY: the program gives the address of a word that is there.
        if unsafe { (address as *const u32).read_volatile() } != expected {
            told.failed();
            return None;
        }
        state::with(|state| {
            let waiters = &mut state.futexes.waiters[index];
            let slot = (0..MOST as u32).find(|slot| waiters.iter().all(|waiter| waiter.slot != *slot))?;
            waiters.push(Waiter { thread, address, slot, mask });
            Some(slot)
        })
    }));
    let Ok(Ok(Some(slot))) = entered else {
        let _ = unseen::learn_from_all();
        shadow::publish();
        return -(libc::EAGAIN as isize);
    };
    let bit = 1u64 << slot;
    let takes = part.role.takes() == Some(true) || part.role == Role::Once;
    if takes && (part.role == Role::Once || supposed(thread) == Some(index)) {
        // It was thought to have it, and tries again.
        let _ = as_kind!(queue, queue.kind, |queue| process::holds(queue, false, Verb::Inside, site));
    }
    let hold = if takes { Hold::Take } else { Hold::No };
    // Of the library's own waits that is seen by nobody else: they look again.
    let may_end = part.role == Role::Condvar && part.call == Call::None;
    let test = if may_end && ops::choose_spurious() { Test::Always } else { Test::Any(bit) };
    let woken = Update { timeout, hold, ..Update::when(part.ends(), test) };
    let result =
        as_kind!(queue, queue.kind, |queue| ops::update(queue, woken, site, |word, _| *word &= !bit));
    state::with(|state| {
        state.futexes.waiters[index].retain(|waiter| waiter.slot != slot);
        if takes {
            state.futexes.supposed.insert(thread, index);
        }
    });
    let _ = unseen::learn_from_all();
    shadow::publish();
    match result {
        Ok(Ok(())) => 0,
        _ => -(libc::ETIMEDOUT as isize),
    }
}

/// The lock that a thread is thought to have, and is not any more.
fn supposed(thread: ThreadId) -> Option<usize> {
    state::with(|state| state.futexes.supposed.remove(&thread))
}

/// The running thread calls something of the standard library's that wakes others, and need not be there any more when
/// it does so.
pub(crate) fn calls(address: usize, part: Part) {
    let thread = ops::current_task().unwrap_or(ThreadId::ROOT);
    state::with(|state| state.futexes.called.insert(thread, (address, part)));
}

/// The running thread has taken a lock, or given it back, by an operation on its word; or it may be the one that does
/// what is done once.
pub(crate) fn holds(address: usize, takes: bool, site: Site, part: Part) {
    let _ = supposed(ops::current_task().unwrap_or(ThreadId::ROOT));
    let queue = state::with(|state| {
        let index = state.futexes.queue(address, site, part);
        state.futexes.object(index)
    });
    // SAFETY: as in `wait`.
    let queue = unsafe { &*queue };
    let _ = as_kind!(queue, queue.kind, |queue| process::holds(queue, takes, Verb::Inside, site));
}

/// A wake, as the system call has it.
pub(crate) struct Wake {
    pub(crate) address: usize,
    pub(crate) most: usize,
    pub(crate) mask: u32,
    pub(crate) frame: *const Frame,
}

/// Wakes; how many.
pub(crate) fn wake(wake: Wake) -> isize {
    let Wake { address, most, mask, frame } = wake;
    let (site, mut part) = site_and_part(frame);
    enter(address, site);
    let thread = ops::current_task().unwrap_or(ThreadId::ROOT);
    if let Some((at, called)) = state::with(|state| state.futexes.called.remove(&thread))
        && at == address
    {
        part = called;
    }
    let (index, queue) = state::with(|state| {
        let index = state.futexes.waited_in(address, site, part);
        (index, state.futexes.object(index))
    });
    // SAFETY: as in `wait`.
    let queue = unsafe { &*queue };
    let fitting = |word: u64| {
        state::with(|state| {
            let waiters = state.futexes.waiters[index].iter();
            let fits = |waiter: &&Waiter| {
                waiter.address == address && waiter.mask & mask != 0 && word & 1 << waiter.slot == 0
            };
            waiters.filter(fits).copied().collect::<Vec<Waiter>>()
        })
    };
    let pending = std::cell::Cell::new(0);
    let woken = as_kind!(queue, queue.kind, |queue| ops::update_choosing(
        queue,
        Update::new(part.wakes(most)),
        site,
        // Whom, is a choice, where not all are woken.
        || {
            let count = fitting(pending.get()).len();
            if count > most { count } else { 1 }
        },
        |word, told, chosen| {
            let mut woken = fitting(*word);
            if !woken.is_empty() {
                let first = chosen % woken.len();
                woken.rotate_left(first);
            }
            woken.truncate(most);
            woken.iter().for_each(|waiter| *word |= 1 << waiter.slot);
            if let Some(first) = woken.first() {
                told.other(first.thread);
            }
            woken.len()
        },
    ));
    let _ = unseen::learn_from_all();
    shadow::publish();
    match woken {
        Ok(Ok(count)) => count as isize,
        _ => 0,
    }
}
