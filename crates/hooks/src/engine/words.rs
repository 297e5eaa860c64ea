//! The program's atomics: one object for each address that an atomic operation names.

use super::roles::{Part, Role};
use super::{heap, naming, shadow, stacks, state};
use racefuzz_runtime::{Primitive, Shared, Shown, Site};
use racefuzz_trace::{ObjectKind, Value};
use std::borrow::Cow;
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
    /// What its memory held after the last operation on it, and the events of all threads until then.
    last: Cell<u64>,
    step: Cell<u32>,
}

impl Word {
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

/// Declares a word of some kind, all of which are alike but for that.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $kind:ident;)*) => {$(
        $(#[$doc])*
        #[repr(transparent)]
        pub(crate) struct $name(Word);

        impl $name {
            /// The word, as one of this kind.
            pub(crate) fn of(word: &Word) -> &Self {
                // SAFETY: the one is the other, transparently.
                unsafe { &*std::ptr::from_ref(word).cast::<Self>() }
            }
        }

        impl Primitive for $name {
            const KIND: ObjectKind = ObjectKind::$kind;

            fn shared(&self) -> &Shared {
                &self.0.shared
            }

            fn initial(&self) -> u64 {
                self.0.real()
            }

            fn show(&self, word: u64) -> Shown {
                if Self::KIND != ObjectKind::Atomic {
                    return Shown::Nothing;
                }
                if heap::owns(word as usize) && self.0.bytes == 8 {
                    return Shown::Address(word);
                }
                Shown::Value(Value::Int(i128::from(word)))
            }

            fn used_outside(&self) -> bool {
                // It is no static of the host's: the process is put back as a whole.
                true
            }

            #[inline]
            fn written_unseen(&self, known: u64) -> Option<u64> {
                let real = self.0.real();
                if real != known {
                    self.0.found_written();
                    self.0.fresh.set(false);
                    return Some(real);
                }
                self.0.fresh.replace(false).then_some(real)
            }

            #[inline]
            fn is_coherent(&self) -> bool {
                self.0.inner.get() || self.0.unseen.get()
            }

            fn name(&self) -> Option<Cow<'static, str>> {
                Some(naming::of_word(self.0.address, self.0.hidden.get()).into())
            }
        }
    )*};
}

kinds! {
    /// An atomic of the program's.
    AtomicWord = Atomic;
    /// The state of a mutex of the standard library's.
    MutexWord = Mutex;
    /// The state of a reader-writer lock.
    RwLockWord = RwLock;
    /// A reference count.
    CountWord = Arc;
    /// The state of what is done once.
    OnceWord = Once;
    /// Whether a thread is parked, or has been unparked.
    ThreadWord = Thread;
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
            words.push(Box::new(Word {
                shared: Shared::at(site),
                address,
                bytes,
                execution: Cell::new(0),
                fresh: Cell::new(true),
                unseen: Cell::new(false),
                inner: Cell::new(false),
                hidden: Cell::new(false),
                acquires: Cell::new(false),
                watched: Cell::new(false),
                last: Cell::new(0),
                step: Cell::new(0),
            }));
            words.len() - 1
        });
        let word = &mut *words[index];
        if word.execution.replace(self.execution) != self.execution {
            word.shared = Shared::at(site);
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
