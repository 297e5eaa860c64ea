//! Memory that the program frees.

use super::accesses::{Access, What};
use super::border::as_host;
use super::cells::{self, Cell};
use super::crowds;
use super::exhaustive::{self, copies};
use super::interpose::Frame;
use super::known::is_known;
use super::places;
use super::shadow::{self, Failure, fail, present};
use super::sites::site;
use racefuzz_runtime::ops::process::{self, PlainAccess};
use racefuzz_trace::Verb;

/// A block is marked so far.
const MARKED: usize = 4096;

/// The program frees a block.
pub(crate) fn released(address: usize, bytes: usize, frame: *const Frame) {
    places::tell(true, frame);
    let Some(cells) = shadow::cells() else { return };
    let access = present(What::new(u8::MAX, true, false), frame);
    if exhaustive::is_on() && !exhaustive::is_aside(address) {
        hold_against_users(address, bytes, access, frame);
    }
    let free = |cell: &mut Cell| {
        cell.freed = true;
        cell.crowded = false;
        cell.accesses[0] = access;
        cell.count = 1;
    };
    let words = bytes.min(MARKED).div_ceil(8);
    let Some((first, valid)) = cells.number(address) else { return };
    // SAFETY: the block lies in one region, whose numbers are mapped, in a row; a number of this execution is one of a
    // cell that was given out.
    unsafe {
        if let Some(given) = cells.take(valid) {
            // All of the block has one cell from now on.
            free(&mut *cells::at(given));
            std::slice::from_raw_parts_mut(first, words).fill(given);
        } else {
            let known = (0..words).map(|index| first.add(index).read());
            known
                .filter(|known| cells::is_valid(*known, valid))
                .for_each(|known| free(&mut *cells::at(known)));
        }
    }
}

/// Whoever has used a block has to be known to the thread that frees it, where every execution is explored: in another
/// order it would be used when it is free. What the library has for itself it orders by what is not seen.
#[cold]
#[inline(never)]
fn hold_against_users(address: usize, bytes: usize, access: Access, frame: *const Frame) {
    let mut own = None;
    for address in (address..address + bytes).step_by(8) {
        let Some(cell) = shadow::cell(address) else { continue };
        let me = access.thread;
        let unknown = |own: bool| {
            let is_one =
                |other: &&Access| other.thread != me && (other.what.is_own() || !own) && !is_known(me, other);
            let kept = cell.kept().iter().find(is_one).copied();
            kept.or_else(|| if cell.crowded { as_host(crowds::unknown, (address, own)) } else { None })
        };
        let mut by_program = || *own.get_or_insert_with(|| as_host(copies::is_own_free, frame));
        if let Some(second) = unknown(true).or_else(|| unknown(false).filter(|_| by_program())) {
            fail(Failure { address, first: access, second, freed: true });
        }
    }
}

/// The program frees a block that it has freed before; on the host's side.
pub(crate) fn released_twice((address, frame): (usize, *const Frame)) {
    let first = shadow::cell(address).filter(|cell| cell.freed).map(|cell| cell.accesses[0]);
    let now = process::moment().unwrap_or_default();
    let second = PlainAccess { when: now, verb: Verb::Free, site: site(frame) };
    let first = first.map_or(second, |access| PlainAccess { verb: Verb::Free, ..access.shown() });
    process::use_after_free(None, first, second);
}
