//! Objects: what the runtime knows of one shared thing during one execution.

use crate::alloc::{Birth, Freed};
use crate::clock::Clock;
use crate::execution::Order;
use crate::race::Accesses;
use crate::site::Site;
use crate::store_history::{History, Seen};
use crate::touched::{Reset, Touched};
use racefuzz_trace::{ObjectKind, Value};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

/// The identity of a shared thing, embedded in each primitive.
///
/// It costs two words, needs no allocation and can be made in a constant; the runtime gives it a
/// number when it is first used in an execution. One that consists of zero bytes is valid, too: an
/// identity that was not used yet, of something that was made nowhere.
#[derive(Debug)]
pub struct Shared {
    /// The execution it was last used in, and its number there; 0 before the first use.
    tag: AtomicU64,
    created: Option<Site>,
}

const INDEX_BITS: u32 = 24;

impl Shared {
    /// An identity for something created by the caller.
    #[track_caller]
    pub const fn new() -> Self {
        Self { tag: AtomicU64::new(0), created: Some(Site::caller()) }
    }

    /// An identity for something that stands for what is at `site`.
    pub const fn at(site: Site) -> Self {
        Self { tag: AtomicU64::new(0), created: Some(site) }
    }

    /// Where it was created; `None` if nobody did, and its memory was zero.
    pub const fn created(&self) -> Option<Site> {
        self.created
    }

    /// Forgets that it was used: the next use starts from the value it then has.
    pub fn forget(&self) {
        self.tag.store(0, Ordering::Relaxed);
    }

    /// The execution it was last used in; 0 before the first use.
    pub(crate) fn epoch(&self) -> u64 {
        self.tag.load(Ordering::Relaxed) >> INDEX_BITS
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn index_in(&self, epoch: u64) -> Option<u32> {
        let tag = self.tag.load(Ordering::Relaxed);
        (tag >> INDEX_BITS == epoch).then_some((tag & ((1 << INDEX_BITS) - 1)) as u32)
    }

    /// What the identity of the first object used in an execution says.
    pub(crate) const fn first_tag(epoch: u64) -> u64 {
        epoch << INDEX_BITS
    }

    /// Its number in the execution whose first object has this tag, if it is below `count`: one comparison.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn index_below(&self, first_tag: u64, count: usize) -> Option<u32> {
        let index = self.tag.load(Ordering::Relaxed).wrapping_sub(first_tag);
        if index < count as u64 { Some(index as u32) } else { None }
    }

    /// Whether it is still the object of this number in the execution whose first object has this tag.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_still(&self, first_tag: u64, index: u32) -> bool {
        self.tag.load(Ordering::Relaxed) == first_tag + u64::from(index)
    }

    /// Claims the identity for an execution; true if an earlier execution had used it.
    pub(crate) fn claim(&self, epoch: u64, index: u32) -> bool {
        assert!(index < 1 << INDEX_BITS, "an execution used more than {} objects", 1 << INDEX_BITS);
        let before = self.tag.load(Ordering::Relaxed);
        self.tag.store(epoch << INDEX_BITS | u64::from(index), Ordering::Relaxed);
        before != 0
    }
}

impl Default for Shared {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

/// A value as a primitive describes it to the trace.
#[derive(Clone, Debug)]
pub enum Shown {
    /// As it is.
    Value(Value),
    /// A pointer; the trace replaces the address by a number.
    Address(u64),
    /// Nothing worth showing (the state word of a lock).
    Nothing,
}

/// A shared thing over the runtime: what the runtime must know of its type.
///
/// The state an engine reasons about is one word. What the word means is the primitive's affair.
pub trait Primitive {
    /// What it is.
    const KIND: ObjectKind;

    /// Its identity.
    fn shared(&self) -> &Shared;

    /// Its word when it is first used in an execution; asked once in each.
    fn initial(&self) -> u64;

    /// The word as the trace shows it.
    fn show(&self, word: u64) -> Shown {
        let _ = word;
        Shown::Nothing
    }

    /// Whether its value may have been changed outside every execution. Then it may own memory
    /// that a bitwise copy of it must not own again, and it is not put back if it is a static.
    fn used_outside(&self) -> bool {
        false
    }

    /// Keeps a word that is now the newest, where the program has not stated the operation that wrote it.
    fn keep_newest(&self, word: u64) {
        let _ = word;
    }

    /// The word that an atomic has by now, where code that the runtime does not see may have written it, if
    /// that is not the word known or nothing was known yet. Asked before each access.
    #[inline]
    fn written_unseen(&self, known: u64) -> Option<u64> {
        let _ = known;
        None
    }

    /// Whether every access to an atomic is to its newest store: code that the runtime does not see uses it, too,
    /// and knows of no other.
    #[inline]
    fn is_coherent(&self) -> bool {
        false
    }

    /// For a lock: whether it holds data that only its guards reach.
    fn guards_data(&self) -> bool {
        false
    }

    /// The name users gave it.
    fn name(&self) -> Option<Cow<'static, str>> {
        None
    }
}

/// What a conditional operation waits for: a test of an object's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Test {
    /// Always true.
    Always,
    /// The word equals this.
    Eq(u64),
    /// The word differs from this.
    Ne(u64),
    /// None of these bits is set.
    Clear(u64),
    /// At least one of these bits is set.
    Any(u64),
    /// The word is below this.
    Below(u64),
    /// The word is not below this.
    AtLeast(u64),
    /// Never true.
    #[default]
    Never,
}

impl Test {
    /// Whether the word passes.
    #[inline]
    pub const fn holds(self, word: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Eq(value) => word == value,
            Self::Ne(value) => word != value,
            Self::Clear(mask) => word & mask == 0,
            Self::Any(mask) => word & mask != 0,
            Self::Below(bound) => word < bound,
            Self::AtLeast(bound) => word >= bound,
            Self::Never => false,
        }
    }

    /// The test that holds where this one does not.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Eq(value) => Self::Ne(value),
            Self::Ne(value) => Self::Eq(value),
            Self::Clear(mask) => Self::Any(mask),
            Self::Any(mask) => Self::Clear(mask),
            Self::Below(bound) => Self::AtLeast(bound),
            Self::AtLeast(bound) => Self::Below(bound),
        }
    }
}

/// The write a read took its value from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriteRef {
    /// A hash of the writing thread's path and its event number; 0 for the initial value.
    pub(crate) event: u64,
    /// The step of the write, from 1; 0 for the initial value.
    pub(crate) step: u32,
}

/// One object of the running execution.
pub(crate) struct Object {
    /// What its number is in the log.
    pub(crate) mark: u64,
    pub(crate) kind: ObjectKind,
    /// Set between creation and release of something counted or allocated.
    pub(crate) alive: bool,
    pub(crate) created: Site,
    /// Where it was when it was last used.
    pub(crate) address: usize,
    /// When the memory that it is in was allocated, if that is known: it was made after that.
    pub(crate) birth: Birth,
    /// The newest word.
    pub(crate) value: u64,
    pub(crate) last_write: WriteRef,
    /// Stores in modification order: atomics only.
    pub(crate) history: History,
    /// Who dropped the last reference, of something counted.
    pub(crate) gone: Option<Freed>,
    /// Threads whose pending operation tests the word.
    pub(crate) waiters: SmallVec<[u32; 4]>,
    /// Threads that hold the lock, and where they took it.
    pub(crate) holders: SmallVec<[(u32, Site); 1]>,
    pub(crate) released: Touched<Released>,
    pub(crate) cell: Touched<CellUse>,
}

/// What a thread learns that acquires an object: lock-like objects only.
#[derive(Default)]
pub(crate) struct Released {
    pub(crate) sync: Clock,
    /// The part that carries coherence only (see [`Coherence`](crate::thread::Coherence)).
    pub(crate) sync_seen: Seen,
}

impl Reset for Released {
    fn reset(&mut self) {
        self.sync.clear();
        self.sync_seen.clear();
    }
}

/// How memory that is not atomic was used.
#[derive(Default)]
pub(crate) struct CellUse {
    pub(crate) accesses: Accesses,
    /// A destructor used it, of a value of which these are what its owners knew when they let it go:
    /// where a `Memory` asks, and of cells.
    pub(crate) owners: Option<Box<Clock>>,
}

impl Reset for CellUse {
    fn reset(&mut self) {
        self.accesses.clear();
        self.owners = None;
    }
}

impl Object {
    /// The entry of the objects of this number.
    pub(crate) fn new(number: u32, kind: ObjectKind, created: Site, value: u64) -> Self {
        Self {
            mark: Order::mark_of_object(number),
            kind,
            alive: false,
            created,
            address: 0,
            birth: Birth::default(),
            value,
            last_write: WriteRef::default(),
            history: History::default(),
            gone: None,
            waiters: SmallVec::new(),
            holders: SmallVec::new(),
            released: Touched::default(),
            cell: Touched::default(),
        }
    }

    /// Makes the entry a new object, keeping its memory.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn reuse(&mut self, kind: ObjectKind, created: Site, value: u64) {
        self.kind = kind;
        self.alive = false;
        self.created = created;
        self.address = 0;
        self.birth = Birth::default();
        self.value = value;
        self.last_write = WriteRef::default();
        self.history.clear();
        self.gone = None;
        if !self.waiters.is_empty() {
            self.waiters.clear();
        }
        if !self.holders.is_empty() {
            self.holders.clear();
        }
        self.released.reset();
        self.cell.reset();
    }
}
