//! Parking, and the end of a scope of threads.

use super::super::interpose::Frame;
use super::super::kinds::as_kind;
use super::super::roles::Part;
use super::super::sites::site_and_part;
use super::super::state;
use super::state_word;
use racefuzz_runtime::ops::{self, Update};
use racefuzz_runtime::{Site, Test};
use racefuzz_trace::{ObjectKind, ThreadId, Verb};
use std::time::Duration;

/// As far as a part of a thread's handle, or of what a scope keeps of its threads, may lie behind its beginning.
const NEAR: usize = 64;

/// Stands for the bytes of a token, which is no memory of its own.
pub(super) const TOKEN: u8 = 15;

/// A scope of the running execution.
pub(crate) struct Scope {
    address: usize,
    threads: Vec<usize>,
}

/// A thread makes another one in the scope at an address, next.
pub(super) fn spawns_in(address: usize) {
    let me = super::super::threads::me();
    state::with(|state| {
        if !state.scopes.iter().any(|scope| scope.address == address) {
            state.scopes.push(Scope { address, threads: Vec::new() });
        }
        state.spawning.insert(me, address);
    });
}

/// The running thread has made another one.
pub(crate) fn has_spawned(thread: usize) {
    let me = super::super::threads::me();
    state::with(|state| {
        let Some(address) = state.spawning.remove(&me) else { return };
        if let Some(scope) = state.scopes.iter_mut().find(|scope| scope.address == address) {
            scope.threads.push(thread);
        }
    });
}

/// Waits for all threads of the scope that has its count at this address.
pub(super) fn end_scope(count: usize, site: Site) {
    loop {
        // A thread may make another one before it ends: it is looked again after each.
        let next = state::with(|state| {
            let scope = state
                .scopes
                .iter_mut()
                .find(|scope| (scope.address..scope.address + NEAR).contains(&count))?;
            (!scope.threads.is_empty()).then(|| scope.threads.remove(0))
        });
        let Some(thread) = next else { return };
        let _ = ops::join_thread(ThreadId(thread as u32), false, site);
        super::super::shadow::publish();
    }
}

/// The address that stands for the token of a thread, of whose handle a part lies at this one.
fn token(address: usize) -> usize {
    state::with(|state| {
        let known = state.tokens.iter().copied().find(|known| known.abs_diff(address) < NEAR);
        known.unwrap_or_else(|| {
            state.tokens.push(address);
            address
        })
    })
}

/// Waits for the running thread's token, whose handle a part of lies at an address, and takes it.
pub(super) fn park(address: usize, timeout: Option<Duration>, frame: *const Frame) {
    let (site, part) = site_and_part(frame);
    if timeout.is_some() {
        super::note_time();
    }
    if ops::choose_spurious() {
        return;
    }
    let word = state_word(token(address), TOKEN, site, part);
    let how = Update { timeout, ..Update::when(Verb::Park, Test::Ne(0)) };
    let _ = as_kind!(word, ObjectKind::Thread, |token| ops::update(token, how, site, |word, _| *word = 0));
    super::done(word);
}

/// Gives a thread its token.
pub(super) fn unpark(address: usize, site: Site, part: Part) {
    let word = state_word(token(address), TOKEN, site, part);
    let how = Update::new(Verb::Unpark);
    let _ = as_kind!(word, ObjectKind::Thread, |token| ops::update(token, how, site, |word, _| *word = 1));
    super::done(word);
}
