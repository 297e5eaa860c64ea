//! The cells of what is known of memory: one for every eight bytes of the program's heap, stacks, thread-local
//! storage and statics that an execution uses.
//!
//! At a place of its own each eight bytes have a number: that of their cell, and of the execution, or the thread on
//! that stack, for which it is so. So nothing is to be cleared when an execution begins.

use super::accesses::Access;
use super::arena::map;
use super::blocks::{self, MOST_THREADS};
use super::real::die;
use super::{exhaustive, heap, stacks};

/// Numbers count the cells by these bytes.
const UNIT: usize = 8;
/// Accesses kept for each cell.
pub(crate) const KEPT: usize = 4;
/// Cells of one execution; memory that is used beyond is not looked at.
const MOST: usize = 1 << 20;

/// What is known of eight bytes.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub(crate) struct Cell {
    pub(crate) count: u8,
    pub(crate) freed: bool,
    /// There were more accesses: where every execution is explored these are [kept elsewhere](super::crowds).
    pub(crate) crowded: bool,
    pub(crate) accesses: [Access; KEPT],
}

impl Cell {
    /// The accesses that are kept there.
    #[inline(always)]
    pub(crate) fn kept(&self) -> &[Access] {
        &self.accesses[..usize::from(self.count)]
    }
}

/// Where the regions of cells' numbers lie: the numbers of the heap's cells, then of the stacks', then of the
/// thread-local storage's, then of the statics'.
const NUMBERS: (usize, usize) = (0x1500_0000_0000, 4 << 30);
const TABLE: (usize, usize) = (0x1600_0000_0000, MOST * size_of::<Cell>());

/// Which cells are given out, and which numbers count.
pub(crate) struct Cells {
    /// Of the running execution; cells of others are not there.
    execution: u32,
    /// The same for the stack of each slot, since its last thread began, and the last such number.
    stacks: [u32; MOST_THREADS],
    newest: u32,
    used: usize,
    statics: (usize, usize),
}

impl Cells {
    pub(crate) const fn new() -> Self {
        Self { execution: 0, stacks: [0; MOST_THREADS], newest: 0, used: 0, statics: (0, 0) }
    }

    /// Maps the cells; `statics` is what the executable may write.
    pub(crate) fn prepare(&mut self, statics: (usize, usize)) {
        if !map(NUMBERS) || !map(TABLE) {
            die("no address space to look for data races (is `ulimit -v` below 16 GB?)");
        }
        self.statics = (statics.0 & !7, statics.1);
    }

    /// An execution begins.
    pub(crate) fn begin(&mut self) {
        self.newest = self.newest.wrapping_add(1).max(1);
        self.stacks.fill(self.newest);
        (self.execution, self.used) = (self.newest, 0);
    }

    /// The stack of a slot is a new thread's: what was known of it is known of another thread's variables.
    pub(crate) fn renew_stack(&mut self, slot: usize) {
        self.newest = self.newest.wrapping_add(1).max(1);
        self.stacks[slot] = self.newest;
    }

    /// The place of the number of an address's cell, and for what a number there must be.
    #[inline(always)]
    pub(crate) fn number(&self, address: usize) -> Option<(*mut u64, u32)> {
        let mut valid = self.execution;
        let index = if heap::owns(address) {
            address - heap::REGION.0
        } else if stacks::owns(address) {
            let offset = address - stacks::REGION.0;
            valid = self.stacks[offset / stacks::STRIDE];
            heap::REGION.1 + offset
        } else if address.wrapping_sub(self.statics.0) < self.statics.1 - self.statics.0 {
            heap::REGION.1 + stacks::REGION.1 + blocks::REGION.1 + (address - self.statics.0)
        } else if exhaustive::is_on() && address.wrapping_sub(blocks::REGION.0) < blocks::REGION.1 {
            // Only where all is looked at: other threads than its own hardly ever use it.
            let offset = address - blocks::REGION.0;
            valid = self.stacks[offset / blocks::STRIDE];
            heap::REGION.1 + stacks::REGION.1 + offset
        } else {
            return None;
        };
        (index < NUMBERS.1).then_some(((NUMBERS.0 + (index & !7)) as *mut u64, valid))
    }

    /// A cell that nothing has yet: its number.
    #[inline(always)]
    pub(crate) fn take(&mut self, valid: u32) -> Option<u64> {
        const { assert!(size_of::<Cell>().is_multiple_of(UNIT)) };
        let index = self.used;
        if index == MOST {
            return None;
        }
        self.used += 1;
        Some(u64::from(valid) << 32 | (index * (size_of::<Cell>() / UNIT)) as u64)
    }

    /// The cell of an address, if it has one.
    #[inline(always)]
    pub(crate) fn find(&self, address: usize) -> Option<&'static mut Cell> {
        let (number, valid) = self.number(address)?;
        // SAFETY: the numbers are mapped, and one that is valid is that of a cell that was given out.
        unsafe {
            let known = number.read();
            is_valid(known, valid).then(|| &mut *at(known))
        }
    }
}

/// Whether a number is one for this execution, or this thread.
#[inline(always)]
pub(crate) fn is_valid(number: u64, valid: u32) -> bool {
    (number >> 32) as u32 == valid
}

/// The cell that a number stands for.
#[inline(always)]
pub(crate) fn at(number: u64) -> *mut Cell {
    (TABLE.0 + (number as u32 as usize) * UNIT) as *mut Cell
}
