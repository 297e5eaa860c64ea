//! Atomic operations while every execution is explored.

use super::super::kinds::As;
use super::super::roles::{Call, Part, Role};
use super::super::words::Word;
use super::super::{sites, state};
use super::locks::{self, Asked};
use super::{done, once, state_word, threads};
use racefuzz_runtime::Site;
use racefuzz_runtime::ops::{self, process};
use racefuzz_trace::{MemoryOrder, Verb};

/// An atomic operation, and who asks for it.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    pub(crate) address: usize,
    pub(crate) bytes: u8,
    pub(crate) order: MemoryOrder,
    pub(crate) site: Site,
    pub(crate) part: Part,
}

impl Access {
    fn word<'a>(&self) -> &'a Word {
        state_word(self.address, self.bytes, self.site, self.part)
    }

    fn is_of_lock(&self) -> bool {
        self.part.role.is_mutex() || self.part.role.is_rwlock()
    }

    /// Whether it is about what the library keeps for itself, and nothing of the program's is ordered by it: of that
    /// not all is seen.
    fn is_own(&self) -> bool {
        let Part { role, call, own_count } = self.part;
        let counts = matches!(role, Role::RefClone | Role::RefDrop | Role::RefCount);
        counts && own_count
            || call == Call::Scope && role == Role::Inside
            || role != Role::None && sites::is_static_of_library(self.address)
    }
}

/// The word for an operation: what it is, where the execution is one of many; where somebody may look at it, it is
/// inside of what the library does.
fn verb(plain: Verb, part: Part) -> Verb {
    if part.role == Role::None && part.call == Call::None || process::is_enumerated() {
        return plain;
    }
    Verb::Inside
}

/// An atomic, as the runtime has it.
fn atomic(word: &Word) -> &As<Word, 0> {
    As::of(word)
}

/// The word read.
pub(crate) fn load(access: Access) -> u64 {
    if access.is_of_lock() {
        return locks::ask(&access, Asked::Look);
    }
    if access.part.call == Call::Scope && access.part.role == Role::Inside && access.bytes == 8 {
        threads::end_scope(access.address, access.site);
    }
    if access.is_own() {
        return aside(&access, |_| None);
    }
    if access.part.role == Role::Once {
        return once::look(&access);
    }
    let word = access.word();
    let verb = verb(Verb::Load, access.part);
    let read = ops::load(atomic(word), access.order, verb, access.site);
    done(word);
    read.unwrap_or_else(|_| word.real())
}

pub(crate) fn store(access: Access, value: u64) {
    let word = match access.is_own() {
        true => {
            aside(&access, |_| Some(value));
            return;
        }
        false => access.word(),
    };
    let verb = verb(Verb::Store, access.part);
    let newest = ops::store(atomic(word), value, access.order, verb, access.site);
    if newest != Ok(false) {
        word.set_real(value);
    }
    done(word);
}

/// The word read.
pub(crate) fn modify(
    access: Access,
    failure: MemoryOrder,
    verb: Verb,
    change: impl Fn(u64) -> Option<u64>,
) -> u64 {
    if access.is_of_lock() {
        return locks::ask(&access, Asked::Change { adds: verb == Verb::FetchAdd });
    }
    if access.part.role == Role::Unpark {
        threads::unpark(access.address, access.site, access.part);
        return 0;
    }
    if access.is_own() {
        return aside(&access, change);
    }
    let word = access.word();
    let orders = (access.order, failure);
    let verb = self::verb(verb, access.part);
    let Ok(modified) = ops::rmw(atomic(word), orders, verb, access.site, change) else {
        return word.real();
    };
    if let (Some(written), true) = (modified.wrote, modified.newest) {
        word.set_real(written);
    }
    done(word);
    modified.read
}

/// An operation on memory of the library's own, which is none of the execution's; the word that was there.
fn aside(access: &Access, change: impl Fn(u64) -> Option<u64>) -> u64 {
    state::with(|state| state.aside.insert(access.address));
    let word = Word::aside(access.address, access.bytes);
    let read = word.real();
    if let Some(written) = change(read) {
        word.set_real(written);
    }
    read
}

/// A fence.
pub(crate) fn fence(order: MemoryOrder, site: Site, part: Part) {
    let verb = verb(Verb::Fence, part);
    let _ = ops::fence_by(verb, order, site);
    super::super::shadow::publish();
}
