//! Accesses that are kept to be compared with later ones, and those for which there is no room where they are kept.

use super::border::as_host;
use super::interpose::Frame;
use super::sites::site;
use super::words::AddressHasher;
use racefuzz_runtime::ops::process::{self, Moment, PlainAccess};
use racefuzz_trace::Verb;
use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// An access.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    pub(super) time: u32,
    pub(super) step: u32,
    pub(super) thread: u16,
    /// Which of the eight bytes.
    pub(super) bytes: u8,
    pub(super) writes: bool,
    pub(super) atomic: bool,
    pub(super) frame: Frame,
}

impl Access {
    /// When it was.
    fn when(&self) -> Moment {
        Moment { thread: u32::from(self.thread), time: self.time, step: self.step }
    }

    /// As it is shown in a report; on the host's side.
    pub(super) fn shown(&self) -> PlainAccess {
        let verb = match (self.atomic, self.writes) {
            (false, false) => Verb::CellRead,
            (false, true) => Verb::CellWrite,
            (true, false) => Verb::Load,
            (true, true) => Verb::Store,
        };
        PlainAccess { when: self.when(), verb, site: site(&raw const self.frame) }
    }

    /// Whether the order of two accesses matters, which are not both atomic.
    #[inline(always)]
    pub(super) fn conflicts_with(&self, other: &Self) -> bool {
        self.bytes & other.bytes != 0 && (self.writes || other.writes) && !(self.atomic && other.atomic)
    }
}

/// Accesses of the running execution for which there was no room in their cells, by addresses of these.
type Crowds = HashMap<usize, Vec<Access>, BuildHasherDefault<AddressHasher>>;

struct Global(UnsafeCell<Option<Crowds>>);

// SAFETY: used by the operating-system thread that drives the program, on the host's side.
unsafe impl Sync for Global {}

static CROWDS: Global = Global(UnsafeCell::new(None));

/// Runs something on them; it must not come here again.
fn with<R>(f: impl FnOnce(&mut Crowds) -> R) -> R {
    // SAFETY: see `Global`; nobody has a reference meanwhile.
    f(unsafe { &mut *CROWDS.0.get() }.get_or_insert_default())
}

/// An execution begins.
pub(super) fn begin() {
    with(Crowds::clear);
}

/// Keeps an access for which there is no room in the cell of an address.
pub(super) fn keep((address, access): (usize, Access)) {
    with(|crowds| crowds.entry(address).or_default().push(access));
}

/// Whether one that was kept of a cell is like this.
pub(super) fn any_kept(address: usize, is: impl FnMut(&Access) -> bool) -> bool {
    with(|crowds| crowds.get(&address).is_some_and(|kept| kept.iter().any(is)))
}

/// Those that were kept of a cell of which the running thread does not know.
pub(super) fn unknown(address: usize) -> Vec<Access> {
    let mut kept = with(|crowds| crowds.get(&address).cloned().unwrap_or_default());
    kept.retain(|access| !is_known_here(*access));
    kept
}

/// One of them with which this one races.
pub(super) fn races_with_kept((address, this): (usize, Access)) -> Option<Access> {
    unknown(address).into_iter().find(|other| other.conflicts_with(&this))
}

/// Whether the running thread knows of an access.
#[inline(never)]
pub(super) fn is_known(other: Access) -> bool {
    as_host(is_known_here, other)
}

/// The same, on the host's side.
fn is_known_here(other: Access) -> bool {
    process::is_known(other.when())
}

/// Why an access may have raced without that having been found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// Memory that is none of the heap, of stacks and of statics, or more of it than is kept.
    Elsewhere,
    /// It is volatile, which is no race, and no operation.
    Volatile,
}

impl Missed {
    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Elsewhere => "accesses to memory that is not looked at for data races",
            Self::Volatile => "volatile accesses to memory that other threads use, too",
        }
    }
}
