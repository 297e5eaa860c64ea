//! The program's atomics: one object for each address that an atomic operation names.

use super::kinds::Thing;
use super::roles::{Part, Role};
use super::{exhaustive, heap, naming, shadow, stacks, state};
use racefuzz_runtime::{Shared, Shown, Site};
use racefuzz_trace::{ObjectKind, Value};
use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Beyond so many they are forgotten between executions.
const MOST: usize = 200_000;

/// Fewer words than these are watched whether their memory was freed or not.
const LEAST_WATCHED: usize = 64;

/// An atomic of the program.
pub(crate) struct Word {
    shared: Shared,
    address: usize,
    bytes: u8,
    execution: Cell<u64>,
    /// It was not used in this execution yet.
    new: Cell<bool>,
    /// Code that is not seen may have used it before anybody else in this execution.
    fresh: Cell<bool>,
    /// Code that is not seen uses it in this execution: it was found to have written, or to wait here.
    unseen: Cell<bool>,
    /// The standard library has used it in this execution, of which a part is not seen.
    inner: Cell<bool>,
    /// It was met inside of something that is nothing of the program's.
    hidden: Cell<bool>,
    /// That part acquires by it and does not say so.
    acquires: Cell<bool>,
    /// It is looked at for what code that is not seen has written.
    watched: Cell<bool>,
    /// What the last operation took it for, where every execution is explored.
    kind: Cell<Option<ObjectKind>>,
    /// What its memory held after the last operation on it, and the events of all threads until then.
    last: Cell<u64>,
    step: Cell<u32>,
}

impl Word {
    fn new(address: usize, bytes: u8, site: Site) -> Self {
        Self {
            shared: Shared::at(site),
            address,
            bytes,
            execution: Cell::new(0),
            new: Cell::new(true),
            fresh: Cell::new(true),
            unseen: Cell::new(false),
            inner: Cell::new(false),
            hidden: Cell::new(false),
            acquires: Cell::new(false),
            watched: Cell::new(false),
            kind: Cell::new(None),
            last: Cell::new(0),
            step: Cell::new(0),
        }
    }

    /// One that is no object: its memory is all that there is to it.
    pub(crate) fn aside(address: usize, bytes: u8) -> Self {
        Self::new(address, bytes, Site::of_code(0))
    }

    /// The word that its memory holds.
    pub(crate) fn real(&self) -> u64 {
        let address = self.address;
        // SAFETY: the program accesses this memory by an atomic operation of this size, at this very moment;
        // none of its threads runs.
        unsafe {
            match self.bytes {
                1 => u64::from((address as *const u8).read_volatile()),
                2 => u64::from((address as *const u16).read_volatile()),
                4 => u64::from((address as *const u32).read_volatile()),
                _ => (address as *const u64).read_volatile(),
            }
        }
    }

    /// An operation on it is done.
    pub(crate) fn done(&self) {
        self.last.set(self.real());
        self.step.set(shadow::step());
        state::with(|state| {
            if state.rounds.is_near(u64::from(shadow::step())) {
                state.rounds.note(super::threads::me() as u32, self.address, self.last.get());
            }
        });
        if !self.watched.get() && (self.unseen.get() || self.acquires.get()) {
            state::with(|state| state.words.watch(self));
        }
    }

    /// The standard library uses it, in this role.
    pub(crate) fn use_in(&self, role: Role) {
        if role != Role::None {
            self.inner.set(true);
            self.acquires.set(role.acquires_unseen());
        }
    }

    /// Code that is not seen has written it since the last operation on it. What the program itself writes by
    /// accesses that are not atomic (before others know of an atomic, or when no other does any more) is seen.
    #[cold]
    fn found_written(&self) {
        let program =
            !self.inner.get() && shadow::was_written(self.address, usize::from(self.bytes), self.step.get());
        if !program {
            self.unseen.set(true);
        }
    }

    /// Where every execution is explored: if its memory was written by other means than an atomic operation, a new
    /// object begins there. Whether code has written that is not seen, unless the program has one thread only, and has
    /// had no other yet.
    pub(crate) fn begins_anew(&self, has_threads: bool) -> bool {
        let new = self.new.replace(false);
        let changed = !new && self.last.get() != self.real();
        let seen = !new && shadow::was_written(self.address, usize::from(self.bytes), self.step.get());
        let written = seen || changed && !has_threads;
        if written {
            self.shared.forget();
        }
        if written || new {
            self.kind.set(None);
        }
        let unseen = changed && !written;
        if written || new {
            // The operation is yet to come: what was written until now is what it begins with, for others, too.
            self.step.set(shadow::step() + 1);
            self.last.set(self.real());
        }
        unseen
    }

    /// Where every execution is explored: whether an operation takes it for what the one before it did.
    pub(crate) fn is_taken_for(&self, kind: ObjectKind) -> bool {
        self.kind.replace(Some(kind)).is_none_or(|before| before == kind)
    }

    /// Whether its memory holds something else than when this was last asked.
    fn was_written(&self) -> bool {
        let real = self.real();
        self.last.replace(real) != real
    }

    /// Code that is not seen uses it.
    pub(crate) fn is_used_unseen(&self) -> bool {
        self.unseen.get()
    }

    /// It is waited for, or somebody is woken that does, by code that is not seen.
    pub(crate) fn use_unseen(&self) {
        self.unseen.set(true);
    }

    /// Sets it.
    pub(crate) fn set_real(&self, word: u64) {
        let address = self.address;
        // SAFETY: as above; the operation writes.
        unsafe {
            match self.bytes {
                1 => (address as *mut u8).write_volatile(word as u8),
                2 => (address as *mut u16).write_volatile(word as u16),
                4 => (address as *mut u32).write_volatile(word as u32),
                _ => (address as *mut u64).write_volatile(word),
            }
        }
    }
}

impl Thing for Word {
    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self, kind: ObjectKind) -> u64 {
        match exhaustive::is_on() {
            true => exhaustive::initial(kind, self.real()),
            false => self.real(),
        }
    }

    fn show(&self, kind: ObjectKind, word: u64) -> Shown {
        if kind != ObjectKind::Atomic {
            return Shown::Nothing;
        }
        if heap::owns(word as usize) && self.bytes == 8 {
            return Shown::Address(word);
        }
        Shown::Value(Value::Int(i128::from(word)))
    }

    #[inline]
    fn written_unseen(&self, known: u64) -> Option<u64> {
        if exhaustive::is_on() {
            return None;
        }
        let real = self.real();
        if real != known {
            self.found_written();
            self.fresh.set(false);
            return Some(real);
        }
        self.fresh.replace(false).then_some(real)
    }

    #[inline]
    fn is_coherent(&self) -> bool {
        !exhaustive::is_on() && (self.inner.get() || self.unseen.get())
    }

    fn keep_newest(&self, word: u64) {
        self.set_real(word);
    }

    fn name(&self) -> String {
        naming::of_word(self.address, self.hidden.get())
    }
}

/// The atomics met so far.
#[derive(Default)]
pub(crate) struct Words {
    #[expect(clippy::vec_box, reason = "an object stays where it is")]
    words: Vec<Box<Word>>,
    by_address: HashMap<usize, usize, BuildHasherDefault<AddressHasher>>,
    execution: u64,
    /// Those of the running execution.
    used: Vec<usize>,
    /// Those of them that are watched, and how many there may be before those are left out whose memory was freed.
    watched: Vec<*const Word>,
    most_watched: usize,
}

impl Words {
    /// An execution begins.
    pub(crate) fn begin(&mut self) {
        self.execution += 1;
        self.used.clear();
        self.watched.clear();
        self.most_watched = LEAST_WATCHED;
        if self.words.len() > MOST {
            self.words.clear();
            self.by_address.clear();
        }
    }

    /// Whether an atomic of another size was used in this execution, and not left since, on the same memory.
    pub(crate) fn overlaps(&self, address: usize, bytes: u8) -> bool {
        let other_size = |size: u8| {
            let first = address & !(usize::from(size.max(bytes)) - 1);
            let begins = (first..first + usize::from(size.max(bytes))).step_by(usize::from(size));
            begins.filter_map(move |begin| self.by_address.get(&(begin << 4 | usize::from(size))))
        };
        let sizes = [1, 2, 4, 8].into_iter().filter(|size| *size != bytes);
        sizes.flat_map(other_size).any(|index| {
            let other = &self.words[*index];
            other.execution.get() == self.execution
                && !shadow::was_written(other.address, usize::from(other.bytes), other.step.get())
        })
    }

    /// Whether code that is not seen has written to some atomic of this execution since it was last asked.
    pub(crate) fn has_unseen_writes(&self) -> bool {
        let words = self.used.iter().map(|index| &*self.words[*index]);
        any_written(words.filter(|word| !stacks::owns(word.address)))
    }

    /// The same for those that such code may acquire by, without a call of the system's.
    pub(crate) fn has_acquired_unseen(&self) -> bool {
        // SAFETY: atomics that were met are boxed and stay while executions run.
        any_written(self.watched.iter().map(|word| unsafe { &**word }))
    }

    /// From now on, in this execution, it is asked whether code that is not seen has written a word.
    pub(crate) fn watch(&mut self, word: &Word) {
        // What lay on a stack may be no more, and the host's own frames lie there now. The standard library has no
        // tokens on stacks.
        if word.watched.replace(true) || stacks::owns(word.address) {
            return;
        }
        self.watched.push(word);
        if self.watched.len() > self.most_watched {
            // SAFETY: as above.
            self.watched.retain(|word| !shadow::is_freed(unsafe { &**word }.address));
            self.most_watched = LEAST_WATCHED.max(2 * self.watched.len());
        }
    }

    /// The atomic of so many bytes at an address, which is used at `site`, by this part of the standard library.
    pub(crate) fn at(&mut self, address: usize, bytes: u8, (site, part): (Site, Part)) -> *const Word {
        // Sizes are powers of two, and an atomic is aligned to its own.
        let key = address << 4 | bytes as usize;
        let words = &mut self.words;
        let index = *self.by_address.entry(key).or_insert_with(|| {
            words.push(Box::new(Word::new(address, bytes, site)));
            words.len() - 1
        });
        let word = &mut *words[index];
        if word.execution.replace(self.execution) != self.execution {
            word.shared = Shared::at(exhaustive::made(site));
            word.new.set(true);
            // Code that is not seen works on what the heap holds (reference counts, for one): it may have done so
            // before, where another thread could. What is the program's own, and was made by it, it does not touch.
            let made = || part.role == Role::None && shadow::was_written(address, usize::from(bytes), 0);
            word.fresh.set(heap::owns(address) && !shadow::is_own(address) && !made());
            word.last.set(word.real());
            word.step.set(shadow::step());
            word.unseen.set(false);
            word.inner.set(false);
            word.hidden.set(part.hides());
            word.acquires.set(false);
            word.watched.set(false);
            self.used.push(index);
        }
        std::ptr::from_ref(word)
    }
}

/// Whether any of some words [was written](Word::was_written); all of them are asked.
fn any_written<'a>(words: impl Iterator<Item = &'a Word>) -> bool {
    let mut any = false;
    for word in words {
        any |= word.was_written();
    }
    any
}

/// A hash for addresses, which are spread well enough by one multiplication.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, word: usize) {
        let mixed = (self.0 ^ word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}
