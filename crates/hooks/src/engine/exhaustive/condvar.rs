//! Condition variables, whose word and waiters are those of racefuzz's own.

use super::super::interpose::Frame;
use super::super::kinds::as_kind;
use super::super::sites::site_and_part;
use super::super::{state, words::Word};
use super::{give_up, locks, place, state_word};
use racefuzz_runtime::ops::{self, Told, Update, Waiters};
use racefuzz_runtime::{Site, Test};
use racefuzz_trace::{MemoryOrder, ObjectKind, ThreadId, Verb};
use std::time::Duration;

const fn relaxed(verb: Verb) -> Update {
    Update { order: MemoryOrder::Relaxed, ..Update::new(verb) }
}

/// Threads that may wait at a time on one of them: no two share a bit of its word, which is as large as in memory.
const MOST: u32 = 32;

/// The condition variable at an address.
fn condvar<'a>(address: usize, frame: *const Frame) -> (&'a Word, Site) {
    let (site, part) = site_and_part(frame);
    (state_word(address, 4, site, part), site)
}

/// Runs something on those who wait.
fn with<R>(address: usize, f: impl FnOnce(&mut Waiters) -> R) -> R {
    state::with(|state| f(state.waiters.entry(address).or_default()))
}

fn update<R>(
    word: &Word,
    how: Update,
    site: Site,
    f: impl FnOnce(&mut u64, &mut Told<'_>) -> R,
) -> Option<Result<R, ops::TimedOut>> {
    as_kind!(word, ObjectKind::Condvar, |condvar| ops::update(condvar, how, site, f)).ok()
}

/// A wait with a mutex that the running thread holds; whether it was not for the time being up.
pub(super) fn wait(address: usize, mutex: usize, timeout: Option<Duration>, frame: *const Frame) -> bool {
    if timeout.is_some() {
        super::note_time();
    }
    let (word, site) = condvar(address, frame);
    let me = ops::current_task().unwrap_or(ThreadId::ROOT);
    let enter = |_: &mut u64, _: &mut Told<'_>| {
        with(address, |waiters| (waiters.next_bit() < MOST).then(|| waiters.enter(me)))
    };
    let entered = update(word, relaxed(Verb::Wait), site, enter);
    super::done(word);
    let Some(Ok(Some(bit))) = entered else {
        give_up(format!("more than {MOST} threads wait on the condition variable at {}", place(site)));
        return true;
    };
    locks::give_up_mutex(mutex, site);
    let spurious = ops::choose_spurious();
    let test = if spurious { Test::Always } else { Test::Any(1 << bit) };
    let woken = update(word, Update { test, timeout, ..relaxed(Verb::Woken) }, site, |word, told| {
        // Nobody else's bit has let the thread through.
        with(address, |waiters| waiters.leave(me, true, word, told));
    });
    let timed_out = matches!(woken, Some(Err(_)));
    if timed_out {
        // Nobody has run since the wait ended.
        with(address, |waiters| waiters.give_up(me));
    }
    super::done(word);
    locks::retake_mutex(mutex, site);
    !timed_out
}

/// Wakes one of those who wait.
pub(super) fn notify_one(address: usize, frame: *const Frame) {
    let (word, site) = condvar(address, frame);
    if ops::wakes_all(site) {
        return notify_all(address, frame);
    }
    let asleep = || with(address, |waiters| waiters.asleep());
    let wake = |word: &mut u64, told: &mut Told<'_>, chosen: usize| {
        with(address, |waiters| waiters.wake(chosen, word, told));
    };
    let how = relaxed(Verb::NotifyOne);
    let _ =
        as_kind!(word, ObjectKind::Condvar, |condvar| ops::update_choosing(condvar, how, site, asleep, wake));
    super::done(word);
}

/// Wakes all who wait.
pub(super) fn notify_all(address: usize, frame: *const Frame) {
    let (word, site) = condvar(address, frame);
    update(word, relaxed(Verb::NotifyAll), site, |word, told| {
        with(address, |waiters| waiters.wake_all(word, told));
    });
    super::done(word);
}
