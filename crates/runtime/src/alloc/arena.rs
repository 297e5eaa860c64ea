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

/// Memory that outlives the execution that allocated it.
#[derive(Clone, Copy, Debug)]
struct Kept {
    start: usize,
    end: usize,
    free: bool,
}

/// Blocks lie at multiples of this.
const GRANULE: usize = 16;
/// Bytes that are mapped at first; each time more are needed, as many again.
const FIRST: usize = 64 * 1024;
/// Bytes that stay resident from one execution to the next.
const RESIDENT: usize = 1024 * 1024;

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
    kept: Vec<Kept>,
    /// The entry of `kept` that `limit` is the start of.
    next_kept: usize,
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
        }
    }

    /// A new block; `None` if the arena is full or the system has no memory.
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
                Some(kept) => {
                    self.top = kept.end;
                    self.next_kept += 1;
                    self.set_limit();
                }
                None => self.grow(end, size)?,
            }
        }
    }

    fn set_limit(&mut self) {
        self.limit = self.kept.get(self.next_kept).map_or(self.mapped, |kept| kept.start);
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
    pub(crate) fn block(&mut self, address: usize) -> Option<&mut Block> {
        let behind = self.blocks.partition_point(|block| block.start <= address);
        let block = &mut self.blocks[behind.checked_sub(1)?];
        (address < block.start + block.len.max(1)).then_some(block)
    }

    /// Marks the block at an address as free; false if there is none that is not.
    pub(crate) fn free(&mut self, address: usize) -> bool {
        match self.block(address) {
            Some(block) => {
                let first = !std::mem::replace(&mut block.free, true);
                self.live -= usize::from(first);
                first
            }
            None => match self.kept.binary_search_by_key(&address, |kept| kept.start) {
                Ok(place) => !std::mem::replace(&mut self.kept[place].free, true),
                Err(_) => false,
            },
        }
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
        if self.live != 0 || !self.kept.is_empty() {
            self.kept.retain(|kept| !kept.free);
            for block in self.blocks.iter().filter(|block| !block.free) {
                outlived.0 += 1;
                outlived.1 += block.len as u64;
                let end = (block.start + block.len.max(1)).next_multiple_of(GRANULE);
                self.kept.push(Kept { start: block.start, end, free: false });
            }
            self.kept.sort_unstable_by_key(|kept| kept.start);
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
