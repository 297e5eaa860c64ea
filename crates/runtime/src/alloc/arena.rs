//! One thread's memory in an execution: addresses in the order of its allocations.

use crate::site::Site;
use std::alloc::Layout;

/// Who allocated a block, and the number of that thread's next event: whoever knows of that event
/// knows of the allocation. An event number of 0 is known to everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Birth {
    pub(crate) thread: u32,
    pub(crate) time: u32,
}

/// Who freed a block, the place of that thread's last step before, and the steps executed by then.
pub(crate) type Freed = (u32, Site, u32);

/// A block of the running execution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) birth: Birth,
    /// Whether it was freed, and if the program did, the place among the region's frees plus one.
    pub(crate) free: bool,
    pub(crate) freed: u32,
    /// The newest of the objects in it that were used, as its place among the region's contents plus
    /// one.
    pub(crate) contents: u32,
}

/// Blocks lie at multiples of this.
pub(super) const GRANULE: usize = 16;
/// Bytes that are mapped at first; each time more are needed, as many again.
const FIRST: usize = 64 * 1024;
/// Bytes that stay resident from one execution to the next.
const RESIDENT: usize = 1024 * 1024;

/// Ranges that are kept before it matters how many they are: a program that leaks in each execution would have to
/// pass by ever more of them.
const MANY: usize = 64;
/// Bytes between two of these that are given up then.
const SMALL: usize = 128;

/// The arena of one thread.
pub(crate) struct Arena {
    base: usize,
    /// The first address that was not given out in this execution.
    top: usize,
    /// Where the next allocation must end at the latest: at memory that is kept, or at the end of
    /// what is mapped.
    limit: usize,
    mapped: usize,
    /// The place of the thread in the tree of spawns; 0 while no thread of the execution has it.
    pub(crate) path: u64,
    /// In the order of their addresses.
    blocks: Vec<Block>,
    live: usize,
    /// Memory that outlives the execution that allocated it, as ranges that do not touch, ascending.
    kept: Vec<(usize, usize)>,
    /// The entry of `kept` that `limit` is the start of.
    next_kept: usize,
    /// What of `kept` was freed since: it may be given out again from the next execution on.
    given_back: Vec<(usize, usize)>,
}

impl Arena {
    pub(crate) fn new(base: usize) -> Self {
        Self {
            base,
            top: base,
            limit: base,
            mapped: base,
            path: 0,
            blocks: Vec::new(),
            live: 0,
            kept: Vec::new(),
            next_kept: 0,
            given_back: Vec::new(),
        }
    }

    /// A new block; `None` if the arena is full or the system has no memory.
    #[inline]
    pub(crate) fn allocate(&mut self, size: usize, layout: Layout, birth: Birth) -> Option<*mut u8> {
        let align = layout.align().max(GRANULE);
        loop {
            let start = self.top.checked_add(align - 1)? & !(align - 1);
            let end = start.checked_add(layout.size().max(1) + (GRANULE - 1))? & !(GRANULE - 1);
            if end <= self.limit {
                self.top = end;
                let len = layout.size();
                self.blocks.push(Block { start, len, birth, free: false, freed: 0, contents: 0 });
                self.live += 1;
                return Some(std::ptr::with_exposed_provenance_mut(start));
            }
            match self.kept.get(self.next_kept) {
                Some((_, end)) => {
                    self.top = *end;
                    self.next_kept += 1;
                    self.set_limit();
                }
                None => self.grow(end, size)?,
            }
        }
    }

    /// [`allocate`](Self::allocate), where nothing is to be passed by, mapped or grown; else `None`, and nothing was
    /// done.
    #[inline]
    pub(crate) fn allocate_next(&mut self, layout: Layout, birth: Birth) -> Option<*mut u8> {
        let (start, len) = (self.top, layout.size());
        // Neither a layout nor an address is as large as that the sum could overflow.
        let end = (start + len.max(1) + (GRANULE - 1)) & !(GRANULE - 1);
        if layout.align() > GRANULE || end > self.limit || self.blocks.len() == self.blocks.capacity() {
            return None;
        }
        self.top = end;
        self.blocks.push(Block { start, len, birth, free: false, freed: 0, contents: 0 });
        self.live += 1;
        Some(std::ptr::with_exposed_provenance_mut(start))
    }

    fn set_limit(&mut self) {
        self.limit = self.kept.get(self.next_kept).map_or(self.mapped, |(start, _)| *start);
    }

    /// Maps memory up to `end` at least.
    #[cold]
    fn grow(&mut self, end: usize, size: usize) -> Option<()> {
        let mapped = self.mapped - self.base;
        let needed = (end - self.mapped).next_multiple_of(FIRST);
        let more = needed.max(mapped).min(size - mapped);
        if more < needed || !super::region::map(self.mapped, more) {
            return None;
        }
        self.mapped += more;
        self.set_limit();
        Some(())
    }

    /// The block of the running execution that an address lies in.
    #[inline]
    pub(crate) fn block(&mut self, address: usize) -> Option<&mut Block> {
        find(&mut self.blocks, address)
    }

    /// Marks the block of `size` bytes at an address as free.
    pub(crate) fn free(&mut self, address: usize, size: usize) {
        match self.block(address) {
            Some(block) => {
                let first = !std::mem::replace(&mut block.free, true);
                self.live -= usize::from(first);
            }
            None => self.given_back.push(range(address, size)),
        }
    }

    /// Marks the block at an address as freed by the program, as number `place` of its frees; the
    /// block as it was before.
    #[inline]
    pub(crate) fn free_by(&mut self, address: usize, place: u32) -> Option<Block> {
        let block = self.block(address)?;
        let before = *block;
        if !before.free {
            (block.free, block.freed) = (true, place);
            self.live -= 1;
        }
        Some(before)
    }

    /// [`free_by`](Self::free_by) of a block that was not freed yet; else `None`, and nothing was done.
    #[inline]
    pub(crate) fn free_once(&mut self, address: usize, place: u32) -> Option<&Block> {
        let block = find(&mut self.blocks, address)?;
        if block.free {
            return None;
        }
        self.live -= 1;
        (block.free, block.freed) = (true, place);
        Some(block)
    }

    /// Gives a freed block out again.
    pub(crate) fn revive(&mut self, address: usize, birth: Birth) {
        if let Some(block) = self.block(address) {
            (block.birth, block.free, block.freed, block.contents) = (birth, false, 0, 0);
            self.live += 1;
        }
    }

    /// The execution has ended: everything goes back but what is still allocated. How many blocks
    /// and bytes that is of this execution's.
    pub(crate) fn reset(&mut self) -> (u32, u64) {
        let mut outlived = (0, 0);
        if !self.given_back.is_empty() {
            for back in std::mem::take(&mut self.given_back) {
                cut(&mut self.kept, back);
            }
        }
        if self.live != 0 {
            for block in self.blocks.iter().filter(|block| !block.free) {
                outlived.0 += 1;
                outlived.1 += block.len as u64;
                self.kept.push(range(block.start, block.len));
            }
            self.kept.sort_unstable();
            merge(&mut self.kept, 0);
            if self.kept.len() > MANY {
                merge(&mut self.kept, SMALL);
            }
        }
        if self.top - self.base > RESIDENT && self.kept.is_empty() {
            super::region::unload(self.base + RESIDENT, self.mapped - self.base - RESIDENT);
        }
        self.blocks.clear();
        (self.top, self.live, self.path, self.next_kept) = (self.base, 0, 0, 0);
        self.set_limit();
        outlived
    }
}

/// The block that an address lies in.
#[inline]
fn find(blocks: &mut [Block], address: usize) -> Option<&mut Block> {
    /// So many blocks are looked at one by one: what was allocated last is freed first, mostly.
    const FEW: usize = 8;
    let block = if blocks.len() <= FEW {
        blocks.iter_mut().rev().find(|block| block.start <= address)?
    } else {
        let place = blocks.partition_point(|block| block.start <= address).checked_sub(1)?;
        &mut blocks[place]
    };
    (address < block.start + block.len.max(1)).then_some(block)
}

/// The memory that a block takes.
fn range(start: usize, len: usize) -> (usize, usize) {
    (start, (start + len.max(1)).next_multiple_of(GRANULE))
}

/// Makes one of ascending ranges with at most so many bytes between them.
fn merge(ranges: &mut Vec<(usize, usize)>, between: usize) {
    ranges.dedup_by(|next, before| {
        let is_near = next.0 - before.1 <= between;
        if is_near {
            before.1 = next.1;
        }
        is_near
    });
}

/// Takes a range, which lies in one of them, out of ascending ranges.
fn cut(ranges: &mut Vec<(usize, usize)>, (start, end): (usize, usize)) {
    let behind = ranges.partition_point(|range| range.0 <= start);
    let Some(place) = behind.checked_sub(1) else { return };
    let (first, last) = ranges[place];
    if end <= last {
        let rest = [(first, start), (end, last)].into_iter().filter(|(start, end)| start < end);
        ranges.splice(place..=place, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_are_near_become_one() {
        let mut ranges = vec![(0, 16), (16, 32), (64, 80), (512, 528)];
        merge(&mut ranges, 0);
        assert_eq!(ranges, [(0, 32), (64, 80), (512, 528)]);
        merge(&mut ranges, SMALL);
        assert_eq!(ranges, [(0, 80), (512, 528)]);
        cut(&mut ranges, (16, 32));
        assert_eq!(ranges, [(0, 16), (32, 80), (512, 528)]);
    }
}
