//! Mutexes and reader-writer locks of the standard library: an operation on the word of a lock, in code that is
//! compiled into the program, is the operation of the lock that it stands for.
//!
//! A lock is taken by a look at its word, for most, and a compare-exchange behind it. The first of the two that the
//! program comes to takes the lock, and waits for it if it must; the other one then finds what it hopes for. So
//! nobody ever comes to the part of the library that waits, which is not seen. The word itself holds what the
//! library would have there if nobody waited.

use super::super::kinds::as_kind;
use super::super::roles::Role;
use super::super::words::Word;
use super::{atomics::Access, state_word};
use racefuzz_runtime::ops::{self, Hold, Update};
use racefuzz_runtime::{Site, Test};
use racefuzz_trace::{MemoryOrder, ObjectKind, Verb};

/// What the word of a reader-writer lock counts readers by, and what it holds while somebody writes.
const READERS: u64 = (1 << 30) - 1;
const WRITER: u64 = READERS;
/// A word under which nobody may read or write.
const TAKEN: u64 = WRITER;

const fn take(how: Update) -> Update {
    Update { order: MemoryOrder::Acquire, hold: Hold::Take, ..how }
}

const fn give(verb: Verb) -> Update {
    Update { order: MemoryOrder::Release, hold: Hold::Give, implied: true, ..Update::new(verb) }
}

const LOCK: Update = take(Update::when(Verb::Lock, Test::Eq(0)));
const TRY_LOCK: Update = Update { refuses: Test::Ne(0), ..take(Update::new(Verb::TryLock)) };
const UNLOCK: Update = give(Verb::Unlock);
const READ: Update =
    Update { may_be_kept_out: true, ..take(Update::when(Verb::ReadLock, Test::Below(WRITER))) };
const TRY_READ: Update = Update { refuses: Test::AtLeast(WRITER), ..take(Update::new(Verb::TryReadLock)) };
const WRITE: Update = take(Update::when(Verb::WriteLock, Test::Eq(0)));
const TRY_WRITE: Update = Update { refuses: Test::Ne(0), ..take(Update::new(Verb::TryWriteLock)) };
const END_READ: Update = give(Verb::ReadUnlock);
const END_WRITE: Update = give(Verb::WriteUnlock);
/// The writer becomes a reader: it still holds the lock.
const DOWNGRADE: Update = Update { hold: Hold::No, implied: false, ..give(Verb::WriteUnlock) };

/// What the running thread asks of a lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// It looks at the word.
    Look,
    /// It changes the word: adds to it, or not.
    Change { adds: bool },
}

/// Does what is asked of a lock; the word that the program is to find there, before a change.
pub(super) fn ask(access: &Access, asked: Asked) -> u64 {
    let word = state_word(access.address, access.bytes, access.site, access.part);
    let changes = asked != Asked::Look;
    let adds = asked == Asked::Change { adds: true };
    let on = |how, next: fn(u64) -> Option<u64>| operate(word, access.part.role, how, access.site, next);
    match access.part.role {
        Role::Lock => found(on(LOCK, |_| Some(1)), 0),
        Role::TryLock => found(on(TRY_LOCK, |word| (word == 0).then_some(1)), 0),
        Role::Unlock => {
            on(UNLOCK, |_| Some(0));
            1
        }
        // The look at the word has taken the lock.
        Role::ReadLock | Role::TryReadLock | Role::TryWriteLock if changes => 0,
        Role::ReadLock => found(on(READ, |word| Some(word + 1)), 0),
        Role::TryReadLock => found(on(TRY_READ, |word| (word < WRITER).then_some(word + 1)), 0),
        Role::TryWriteLock => found(on(TRY_WRITE, |word| (word == 0).then_some(WRITER)), 0),
        Role::WriteLock if !changes => 0,
        Role::WriteLock => found(on(WRITE, |_| Some(WRITER)), 0),
        Role::ReadUnlock => {
            on(END_READ, |word| Some(word.wrapping_sub(1)));
            1
        }
        _ if adds => {
            on(DOWNGRADE, |_| Some(1));
            WRITER
        }
        _ => {
            on(END_WRITE, |_| Some(0));
            WRITER
        }
    }
}

/// What the program is to find if the lock was taken, and if not.
fn found(taken: bool, free: u64) -> u64 {
    if taken { free } else { TAKEN }
}

/// An operation of a lock: whether it changed the word.
fn operate(word: &Word, role: Role, how: Update, site: Site, next: fn(u64) -> Option<u64>) -> bool {
    let kind = if role.is_rwlock() { ObjectKind::RwLock } else { ObjectKind::Mutex };
    let changed = as_kind!(word, kind, |lock| ops::update(lock, how, site, |word, told| match next(*word) {
        Some(after) => {
            *word = after;
            Some(after)
        }
        None => {
            told.failed();
            None
        }
    }));
    let Ok(Ok(changed)) = changed else { return true };
    if let Some(after) = changed {
        word.set_real(after);
    }
    super::done(word);
    changed.is_some()
}

/// Gives a mutex back to wait for something.
pub(super) fn give_up_mutex(address: usize, site: Site) {
    mutex(address, site, Update { implied: false, ..UNLOCK }, |_| Some(0));
}

/// Takes it again.
pub(super) fn retake_mutex(address: usize, site: Site) {
    mutex(address, site, LOCK, |_| Some(1));
}

fn mutex(address: usize, site: Site, how: Update, next: fn(u64) -> Option<u64>) {
    let part = super::super::roles::Part { role: Role::Lock, ..Default::default() };
    let word = state_word(address, 4, site, part);
    operate(word, Role::Lock, how, site, next);
}
