//! Tracked allocations: leaks, and uses after release.
//!
//! Memory that the program releases is kept until the execution ends, so that a use after release
//! is reported instead of being undefined.

use crate::site::Site;
use smallvec::SmallVec;
use std::alloc::Layout;
use std::collections::BTreeMap;

/// One tracked allocation.
pub(crate) struct Block {
    pub(crate) layout: Layout,
    pub(crate) object: u32,
    /// Who released it, where and at which step.
    pub(crate) freed: Option<(u32, Site, u32)>,
    /// Objects in it that were used.
    pub(crate) contents: SmallVec<[u32; 2]>,
}

/// The tracked allocations of an execution, by address.
#[derive(Default)]
pub(crate) struct Heap {
    blocks: BTreeMap<usize, Block>,
    freed: usize,
}

impl Heap {
    pub(crate) fn add(&mut self, address: usize, layout: Layout, object: u32) {
        self.blocks.insert(address, Block { layout, object, freed: None, contents: SmallVec::new() });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(crate) fn get_mut(&mut self, address: usize) -> Option<&mut Block> {
        self.blocks.get_mut(&address)
    }

    /// Notes that an object at this address is used for the first time.
    #[inline]
    pub(crate) fn first_use(&mut self, address: usize, object: u32) {
        if !self.blocks.is_empty() {
            self.add_content(address, object);
        }
    }

    #[cold]
    fn add_content(&mut self, address: usize, object: u32) {
        if let Some((start, block)) = self.blocks.range_mut(..=address).next_back()
            && address < start + block.layout.size()
        {
            block.contents.push(object);
        }
    }

    pub(crate) fn release(&mut self, address: usize, by: (u32, Site, u32)) {
        if let Some(block) = self.blocks.get_mut(&address) {
            block.freed = Some(by);
            self.freed += 1;
        }
    }

    /// The released block an address lies in.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn released(&self, address: usize) -> Option<&Block> {
        if self.freed == 0 { None } else { self.find_released(address) }
    }

    #[cold]
    fn find_released(&self, address: usize) -> Option<&Block> {
        let (start, block) = self.blocks.range(..=address).next_back()?;
        (address < start + block.layout.size().max(1) && block.freed.is_some()).then_some(block)
    }

    /// Objects of the blocks that were not released.
    pub(crate) fn leaked(&self) -> impl Iterator<Item = u32> {
        self.blocks.values().filter(|block| block.freed.is_none()).map(|block| block.object)
    }

    /// Gives the memory of all blocks back, released or not: nobody uses it any more.
    pub(crate) fn clear(&mut self) {
        if self.blocks.is_empty() {
            return;
        }
        for (address, block) in std::mem::take(&mut self.blocks) {
            if block.layout.size() != 0 {
                // SAFETY: every block was allocated by `ops::alloc` with this layout and is freed
                // here only; the execution has ended.
                unsafe { std::alloc::dealloc(address as *mut u8, block.layout) };
            }
        }
        self.freed = 0;
    }
}
