//! Futexes: how the program's threads wait, the standard library's locks included.
//!
//! A wait is two operations of the runtime on a queue, which is an object of the futex's address: the thread
//! looks at the word and is entered, in one step; then it awaits its bit of the queue's word, which whoever
//! wakes it sets. Before and behind each the thread learns from all others: what calls a futex is most often
//! code that is not seen.

use super::interpose::Frame;
use super::sites::{Role, site_and_role};
use super::words::AddressHasher;
use super::{shadow, state};
use racefuzz_runtime::ops::{self, Hold, Update, process, unseen};
use racefuzz_runtime::{Primitive, Shared, Site, Test};
use racefuzz_trace::{ObjectKind, OpKind, Verb};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::time::Duration;

/// Threads that may wait in one queue at a time.
const MOST: usize = 64;

/// Those that wait at an address.
pub(crate) struct Queue {
    shared: Shared,
    address: usize,
}

impl Primitive for Queue {
    const KIND: ObjectKind = ObjectKind::Mutex;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        0
    }

    fn used_outside(&self) -> bool {
        true
    }

    fn name(&self) -> Option<std::borrow::Cow<'static, str>> {
        Some(super::naming::of_queue(self.address).into())
    }
}

/// A thread that waits.
#[derive(Clone, Copy)]
struct Waiter {
    slot: u32,
    mask: u32,
}

/// The queues of the running execution.
#[derive(Default)]
pub(crate) struct Futexes {
    #[expect(clippy::vec_box, reason = "an object stays where it is")]
    queues: Vec<Box<Queue>>,
    used: usize,
    by_address: HashMap<usize, usize, BuildHasherDefault<AddressHasher>>,
    waiters: Vec<Vec<Waiter>>,
}

impl Futexes {
    pub(crate) fn begin(&mut self) {
        self.used = 0;
        self.by_address.clear();
        self.waiters.iter_mut().for_each(Vec::clear);
    }

    fn queue(&mut self, address: usize, site: Site) -> (usize, *const Queue) {
        let Self { queues, used, by_address, waiters } = self;
        let index = *by_address.entry(address).or_insert_with(|| {
            if *used == queues.len() {
                queues.push(Box::new(Queue { shared: Shared::at(site), address }));
                waiters.push(Vec::new());
            }
            *queues[*used] = Queue { shared: Shared::at(site), address };
            *used += 1;
            *used - 1
        });
        (index, std::ptr::from_ref(&*queues[index]))
    }
}

/// The running thread is about to use a futex: its queue.
fn enter(address: usize, site: Site) -> (usize, *const Queue) {
    let _ = unseen::learn_from_all();
    let _ = unseen::publish_to_unseen();
    state::with(|state| {
        // SAFETY: atomics that were met are boxed and stay while executions run.
        let word = unsafe { &*state.words.at(address, 4, (site, Role::Inside)) };
        word.use_unseen();
        state.words.watch(word);
        state.futexes.queue(address, site)
    })
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
    let (site, role) = site_and_role(frame);
    let (index, queue) = enter(address, site);
    // SAFETY: queues stay where they are, and this one is of the running execution.
    let queue = unsafe { &*queue };
    let enter = Update {
        kind: OpKind::Rmw,
        ..Update::new(if role == Role::Condvar { Verb::Wait } else { Verb::Inside })
    };
    let entered = ops::update(queue, enter, site, |_, told| {
        // SAFETY: the program gives the address of a word that is there.
        if unsafe { (address as *const u32).read_volatile() } != expected {
            told.failed();
            return None;
        }
        state::with(|state| {
            let waiters = &mut state.futexes.waiters[index];
            let slot = (0..MOST as u32).find(|slot| waiters.iter().all(|waiter| waiter.slot != *slot))?;
            waiters.push(Waiter { slot, mask });
            Some(slot)
        })
    });
    let Ok(Ok(Some(slot))) = entered else {
        let _ = unseen::learn_from_all();
        shadow::publish();
        return -(libc::EAGAIN as isize);
    };
    let bit = 1u64 << slot;
    if role.takes() == Some(true) {
        // It was thought to have it, and tries again.
        let _ = process::holds(queue, false, Verb::Inside, site);
    }
    let hold = if role.takes() == Some(true) { Hold::Take } else { Hold::No };
    let woken = Update { timeout, hold, ..Update::when(ends(role), Test::Any(bit)) };
    let result = ops::update(queue, woken, site, |word, _| *word &= !bit);
    state::with(|state| state.futexes.waiters[index].retain(|waiter| waiter.slot != slot));
    let _ = unseen::learn_from_all();
    shadow::publish();
    match result {
        Ok(Ok(())) => 0,
        _ => -(libc::ETIMEDOUT as isize),
    }
}

/// The running thread has taken a lock, or given it back, by an operation on its word.
pub(crate) fn holds(address: usize, takes: bool, site: Site) {
    let (_, queue) = state::with(|state| state.futexes.queue(address, site));
    // SAFETY: as in `wait`.
    let _ = process::holds(unsafe { &*queue }, takes, Verb::Inside, site);
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
    let (site, role) = site_and_role(frame);
    let (index, queue) = enter(address, site);
    // SAFETY: as in `wait`.
    let queue = unsafe { &*queue };
    let fitting = |word: u64| {
        state::with(|state| {
            let waiters = state.futexes.waiters[index].iter();
            let fits = |waiter: &&Waiter| waiter.mask & mask != 0 && word & 1 << waiter.slot == 0;
            waiters.filter(fits).map(|waiter| waiter.slot).collect::<Vec<u32>>()
        })
    };
    let pending = std::cell::Cell::new(0);
    let woken = ops::update_choosing(
        queue,
        Update::new(wakes(role, most)),
        site,
        // Whom, is a choice, where not all are woken.
        || {
            let count = fitting(pending.get()).len();
            if count > most { count } else { 1 }
        },
        |word, _, chosen| {
            let mut slots = fitting(*word);
            if !slots.is_empty() {
                let first = chosen % slots.len();
                slots.rotate_left(first);
            }
            slots.truncate(most);
            slots.iter().for_each(|slot| *word |= 1 << slot);
            slots.len()
        },
    );
    let _ = unseen::learn_from_all();
    shadow::publish();
    match woken {
        Ok(Ok(count)) => count as isize,
        _ => 0,
    }
}

fn ends(role: Role) -> Verb {
    match role {
        Role::Park => Verb::Park,
        Role::Barrier => Verb::Pass,
        Role::Once => Verb::OnceBegin,
        Role::Condvar | Role::None | Role::Inside | Role::Generic => Verb::Woken,
        role => role.verb().unwrap_or(Verb::Woken),
    }
}

fn wakes(role: Role, most: usize) -> Verb {
    match role {
        Role::Park => Verb::Unpark,
        Role::Condvar if most == 1 => Verb::NotifyOne,
        Role::Condvar => Verb::NotifyAll,
        _ => Verb::Inside,
    }
}
