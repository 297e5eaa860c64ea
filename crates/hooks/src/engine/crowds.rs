//! Accesses for which there is no room in their cells, where every execution is explored: all of them are kept there.

use super::accesses::Access;
use super::words::AddressHasher;
use racefuzz_runtime::ops::process;
use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// Those of the running execution, by addresses of their cells' memory.
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
    with(|crowds| crowds.entry(address & !7).or_default().push(access));
}

/// Whether one that was kept of a cell is like this.
pub(super) fn any_kept(address: usize, is: impl FnMut(&Access) -> bool) -> bool {
    with(|crowds| crowds.get(&(address & !7)).is_some_and(|kept| kept.iter().any(is)))
}

/// One that was kept of a cell and of which the running thread does not know: of the program, or of the library, too.
pub(super) fn unknown((address, own): (usize, bool)) -> Option<Access> {
    find(address, |access| access.what.is_own() || !own)
}

/// One that was kept of a cell with which this one races.
pub(super) fn race((address, this): (usize, Access)) -> Option<Access> {
    find(address, |other| other.what.conflicts_with(this.what))
}

/// The first that was kept of a cell, is like this, and of which the running thread does not know.
fn find(address: usize, is: impl Fn(&Access) -> bool) -> Option<Access> {
    let is_one = |access: &&Access| is(access) && !process::is_known(access.when());
    with(|crowds| crowds.get(&(address & !7)).and_then(|kept| kept.iter().find(is_one).copied()))
}
