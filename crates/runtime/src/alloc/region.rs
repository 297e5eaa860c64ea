//! Address space for executions: one region for each operating-system thread that runs them.
//!
//! Regions lie at fixed addresses, far from where the system puts anything unasked. Only what is
//! used of them is mapped.

use super::arena::{Arena, Birth, Block, Freed, GRANULE};
use super::{Outlived, PATTERN};
use std::alloc::Layout;
use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

/// The address at which the first region begins.
const BASE: usize = 0x1000_0000_0000_u64 as usize;
/// Bits of an address within its region.
const REGION_BITS: u32 = 40;
/// How many regions there are: operating-system threads that run executions.
const REGIONS: usize = 64;
/// Bits of an address within its arena.
const ARENA_BITS: u32 = 28;
/// How many arenas a region has: threads of an execution that allocate.
const ARENAS: usize = 1 << (REGION_BITS - ARENA_BITS);
const SPAN: usize = ((REGIONS as u64) << REGION_BITS) as usize;

static REGIONS_BY_INDEX: [AtomicPtr<Space>; REGIONS] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; REGIONS];

/// A region, as it stays from one execution to the next.
struct Space {
    /// An operating-system thread has it.
    busy: AtomicBool,
    arenas: [AtomicPtr<Arena>; ARENAS],
    /// What was freed while no execution, or another one, was running on the thread that did.
    elsewhere: Mutex<Vec<(usize, usize)>>,
    /// There is something in `elsewhere`.
    any_elsewhere: AtomicBool,
    state: UnsafeCell<State>,
}

// SAFETY: `state`, and what `arenas` point to, is touched only by the operating-system thread that
// holds the region (see `busy`).
unsafe impl Sync for Space {}

#[derive(Default)]
struct State {
    /// The arenas that the running execution has used.
    used: Vec<u16>,
    /// Frees of the program in this execution.
    frees: Vec<Freed>,
    /// The objects in blocks, as lists: the object, and the place of the next plus one.
    contents: Vec<(u32, u32)>,
    /// Freed blocks, newest last, and the frees: kept only where they may be given out again.
    reusable: Vec<(usize, usize, Birth)>,
}

/// The region of the running execution.
pub(crate) struct Region {
    space: &'static Space,
    index: usize,
    /// The thread that allocated last, and its arena.
    last: (u64, *mut Arena),
}

impl Region {
    /// Whether an address could be one of a region: a comparison.
    #[inline]
    pub(crate) fn may_own(address: usize) -> bool {
        address.wrapping_sub(BASE) < SPAN
    }

    /// Whether any execution of this process has had a region: whether the program links the allocator.
    pub(crate) fn any() -> bool {
        REGIONS_BY_INDEX.iter().any(|region| !region.load(Ordering::Relaxed).is_null())
    }

    /// Whether an address lies in memory that some execution, perhaps one that has ended, has got
    /// from an arena.
    pub(crate) fn owns(address: usize) -> bool {
        Owner::of(address).is_some()
    }

    /// The region of this operating-system thread.
    pub(crate) fn acquire() -> Option<Self> {
        if SPAN == 0 || !cfg!(unix) {
            return None;
        }
        let index = LEASE.try_with(Lease::index).ok().flatten()?;
        // SAFETY: regions are never freed.
        let known = unsafe { REGIONS_BY_INDEX[index].load(Ordering::Acquire).as_ref() };
        let space = known.unwrap_or_else(|| space(&REGIONS_BY_INDEX[index]));
        let mut region = Self { space, index, last: (0, std::ptr::null_mut()) };
        region.take_back();
        Some(region)
    }

    fn state(&mut self) -> &mut State {
        // SAFETY: this thread holds the region, and `self` is borrowed as long as the state.
        unsafe { &mut *self.space.state.get() }
    }

    /// Whether an arena is one of this region.
    pub(crate) fn has(&self, owner: Owner) -> bool {
        owner.region == self.index
    }

    /// What was freed elsewhere in the meantime.
    #[inline]
    fn take_back(&mut self) {
        if self.space.any_elsewhere.load(Ordering::Acquire) {
            self.take_all_back();
        }
    }

    #[cold]
    fn take_all_back(&mut self) {
        self.space.any_elsewhere.store(false, Ordering::Relaxed);
        let freed = std::mem::take(&mut *self.space.elsewhere.lock().unwrap_or_else(PoisonError::into_inner));
        for (address, size) in freed {
            if let Some(owner) = Owner::of(address) {
                // SAFETY: this thread holds the region.
                unsafe { (*owner.arena).free(address, size) };
            }
        }
    }

    /// A new block of the arena of the thread at `path`.
    pub(crate) fn allocate(&mut self, path: u64, layout: Layout, birth: Birth) -> Option<*mut u8> {
        if self.last.0 != path {
            self.last = (path, self.arena(path)?);
        }
        let arena = self.last.1;
        // SAFETY: this thread holds the region, and nothing else refers to the arena now.
        unsafe { (*arena).allocate(1 << ARENA_BITS, layout, birth) }
    }

    /// [`allocate`](Self::allocate), where the thread has allocated last and nothing is to be looked for or grown;
    /// else `None`, and nothing was done.
    #[inline]
    pub(crate) fn allocate_next(
        &mut self,
        path: u64,
        layout: Layout,
        birth: impl FnOnce() -> Birth,
    ) -> Option<*mut u8> {
        if self.last.0 != path {
            return None;
        }
        // SAFETY: as in `allocate`.
        unsafe { (*self.last.1).allocate_next(layout, birth()) }
    }

    /// The arena of the thread at `path`: the one that the path's bits name, or, if another thread
    /// of this execution has that, the next free one.
    fn arena(&mut self, path: u64) -> Option<*mut Arena> {
        let first = (path >> 32) as usize ^ path as usize;
        for step in 0..ARENAS {
            let place = first.wrapping_add(step) % ARENAS;
            let entry = &self.space.arenas[place];
            let mut arena = entry.load(Ordering::Acquire);
            if arena.is_null() {
                let base = BASE + (self.index << REGION_BITS) + (place << ARENA_BITS);
                arena = Box::into_raw(Box::new(Arena::new(base)));
                entry.store(arena, Ordering::Release);
            }
            // SAFETY: as in `allocate`.
            let taken = unsafe { &mut (*arena).path };
            if *taken == path {
                return Some(arena);
            }
            if *taken == 0 {
                *taken = path;
                self.state().used.push(place as u16);
                return Some(arena);
            }
        }
        None
    }

    /// The block of this execution that an address lies in.
    #[inline]
    pub(crate) fn block(&mut self, address: usize) -> Option<&mut Block> {
        let owner = Owner::of(address).filter(|owner| self.has(*owner))?;
        // SAFETY: this thread holds the region, and `self` is borrowed as long as the block.
        unsafe { (*owner.arena).block(address) }
    }

    /// Notes that an object in this block was used for the first time.
    #[inline]
    pub(crate) fn add_content(&mut self, block: &mut Block, object: u32) {
        let contents = &mut self.state().contents;
        let before = std::mem::replace(&mut block.contents, contents.len() as u32 + 1);
        contents.push((object, before));
    }

    /// The object at a place among the contents of blocks, counted from one, and the place of the one that was
    /// noted before in the same block.
    pub(crate) fn content(&mut self, place: u32) -> Option<(u32, u32)> {
        Some(self.state().contents[(place as usize).checked_sub(1)?])
    }

    /// The objects in a block, newest first.
    pub(crate) fn contents(&mut self, block: Block) -> impl Iterator<Item = u32> + use<'_> {
        let contents = &self.state().contents;
        let mut next = block.contents;
        std::iter::from_fn(move || {
            let (object, before) = contents[(next as usize).checked_sub(1)?];
            next = before;
            Some(object)
        })
    }

    /// Who freed a block.
    pub(crate) fn freed(&mut self, block: Block) -> Option<Freed> {
        let place = (block.freed as usize).checked_sub(1)?;
        Some(self.state().frees[place])
    }

    /// The program frees the block at an address of one of this region's arenas, which is overwritten. The block as
    /// it was before; `None` if the address is that of no block of this execution.
    #[inline]
    pub(crate) fn free_by(&mut self, owner: Owner, address: usize, by: Freed) -> Option<Block> {
        let frees = &mut self.state().frees;
        let place = frees.len() as u32 + 1;
        // SAFETY: this thread holds the region, and nothing else refers to the arena now.
        let block = unsafe { (*owner.arena).free_by(address, place) }?;
        if !block.free {
            frees.push(by);
            // SAFETY: its owner gave it back.
            unsafe { overwrite(&block) };
        }
        Some(block)
    }

    /// [`free_by`](Self::free_by), of a block of this execution that was not freed yet, where nothing has to be
    /// grown; else `None`, and nothing was done.
    #[inline]
    pub(crate) fn free_next(&mut self, address: usize, by: Freed) -> Option<&Block> {
        let place = address.wrapping_sub(BASE + (self.index << REGION_BITS)) >> ARENA_BITS;
        let arena = self.space.arenas.get(place)?.load(Ordering::Acquire);
        let frees = &mut self.state().frees;
        if arena.is_null() || frees.len() == frees.capacity() {
            return None;
        }
        let number = frees.len() as u32 + 1;
        // SAFETY: this thread holds the region, and nothing else refers to the arena now.
        let block = unsafe { (*arena).free_once(address, number) }?;
        frees.push(by);
        // SAFETY: its owner gave it back.
        unsafe { overwrite(block) };
        Some(block)
    }

    /// A block that was freed may be given out again; `at` says by which event of the freeing thread
    /// others know of the free.
    pub(crate) fn add_reusable(&mut self, block: Block, at: Birth) {
        self.state().reusable.push((block.start, block.len, at));
    }

    /// The freed blocks of exactly this layout whose free is `known`, those that their threads freed
    /// last first: a function of what happened before, not of the order in which threads ran.
    pub(crate) fn reusable(&mut self, layout: Layout, known: impl Fn(Birth) -> bool) -> Vec<usize> {
        let fits = |(start, len, at): &&(usize, usize, Birth)| {
            *len == layout.size() && start % layout.align() == 0 && known(*at)
        };
        let mut fitting: Vec<_> = self.state().reusable.iter().filter(fits).copied().collect();
        fitting.sort_by_key(|(start, _, at)| std::cmp::Reverse((at.time, *start)));
        fitting.into_iter().map(|(start, ..)| start).collect()
    }

    /// Gives the freed block at an address out again.
    pub(crate) fn revive(&mut self, address: usize, birth: Birth) {
        self.state().reusable.retain(|(start, _, _)| *start != address);
        if let Some(owner) = Owner::of(address) {
            // SAFETY: this thread holds the region.
            unsafe { (*owner.arena).revive(address, birth) };
        }
    }

    /// Marks the block of `size` bytes at an address, which an arena owns, as free.
    pub(crate) fn free(owner: Owner, address: usize, size: usize) {
        if LEASE.try_with(|lease| lease.0.get() == Some(owner.region)) == Ok(true) {
            // SAFETY: this thread holds the region.
            unsafe { (*owner.arena).free(address, size) };
            return;
        }
        let space = space(&REGIONS_BY_INDEX[owner.region]);
        space.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).push((address, size));
        space.any_elsewhere.store(true, Ordering::Release);
    }

    /// The execution has ended: its memory goes back. The next one may go on with the region.
    pub(crate) fn release(&mut self) -> Outlived {
        self.take_back();
        self.last = (0, std::ptr::null_mut());
        let mut outlived = Outlived::default();
        let state = self.state();
        if state.used.is_empty() {
            return outlived;
        }
        state.frees.clear();
        state.contents.clear();
        state.reusable.clear();
        let space = self.space;
        for place in self.state().used.drain(..) {
            let arena = space.arenas[usize::from(place)].load(Ordering::Acquire);
            // SAFETY: this thread holds the region, and nothing else refers to the arena now.
            let (blocks, bytes) = unsafe { (*arena).reset() };
            outlived.blocks += blocks;
            outlived.bytes += bytes;
        }
        outlived
    }
}

thread_local! {
    /// The region that this operating-system thread has had since its first execution that allocated.
    static LEASE: Lease = const { Lease(Cell::new(None)) };
}

/// A region that an operating-system thread keeps until it ends, so that its executions all have the
/// same addresses.
struct Lease(Cell<Option<usize>>);

impl Lease {
    /// The index of the region: at first the lowest that nobody has; `None` if there is none.
    fn index(&self) -> Option<usize> {
        if self.0.get().is_none() {
            let is_free = |entry: &AtomicPtr<Space>| !space(entry).busy.swap(true, Ordering::Acquire);
            self.0.set(REGIONS_BY_INDEX.iter().position(is_free));
        }
        self.0.get()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(index) = self.0.take() {
            space(&REGIONS_BY_INDEX[index]).busy.store(false, Ordering::Release);
        }
    }
}

/// The region of an entry, made at first use.
fn space(entry: &AtomicPtr<Space>) -> &'static Space {
    let known = entry.load(Ordering::Acquire);
    let known = if known.is_null() {
        let new = Box::into_raw(Box::new(Space {
            busy: AtomicBool::new(false),
            arenas: [const { AtomicPtr::new(std::ptr::null_mut()) }; ARENAS],
            elsewhere: Mutex::new(Vec::new()),
            any_elsewhere: AtomicBool::new(false),
            state: UnsafeCell::default(),
        }));
        match entry.compare_exchange(std::ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new,
            Err(first) => {
                // SAFETY: it was made here, and nobody has seen it.
                drop(unsafe { Box::from_raw(new) });
                first
            }
        }
    } else {
        known
    };
    // SAFETY: regions are never freed.
    unsafe { &*known }
}

/// Fills a block with the pattern.
///
/// # Safety
/// Nobody uses it any more.
#[inline]
unsafe fn overwrite(block: &Block) {
    /// So many pieces of memory are not worth a call.
    const FEW: usize = 8;
    let start = std::ptr::with_exposed_provenance_mut::<u128>(block.start);
    let granules = block.len.div_ceil(GRANULE);
    // SAFETY: a block begins at a granule, and all of its last granule is its own.
    unsafe {
        if granules <= FEW {
            for place in 0..granules {
                start.add(place).write_volatile(u128::from_ne_bytes([PATTERN; GRANULE]));
            }
        } else {
            start.cast::<u8>().write_bytes(PATTERN, block.len);
        }
    }
}

/// The region and the arena that an address lies in.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    region: usize,
    arena: *mut Arena,
}

impl Owner {
    /// Whose memory an address lies in, if that is some arena's.
    #[inline]
    pub(crate) fn of(address: usize) -> Option<Self> {
        let offset = address.wrapping_sub(BASE);
        if offset >= SPAN {
            return None;
        }
        let region = offset >> REGION_BITS;
        let known = REGIONS_BY_INDEX[region].load(Ordering::Acquire);
        // SAFETY: regions are never freed.
        let space = unsafe { known.as_ref() }?;
        let place = offset >> ARENA_BITS & (ARENAS - 1);
        let arena = space.arenas[place].load(Ordering::Acquire);
        (!arena.is_null()).then_some(Self { region, arena })
    }
}

/// Maps memory at an address; whether the system gave it.
#[cfg(unix)]
pub(super) fn map(address: usize, len: usize) -> bool {
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE);
    // SAFETY: a new mapping; without MAP_FIXED the address is a wish, which takes nobody's memory.
    unsafe {
        let given = libc::mmap(address as *mut libc::c_void, len, protection, flags, -1, 0);
        if given as usize == address {
            return true;
        }
        if given != libc::MAP_FAILED {
            libc::munmap(given, len);
        }
        false
    }
}

/// Lets the system have the contents of memory that is mapped.
#[cfg(unix)]
pub(super) fn unload(address: usize, len: usize) {
    // SAFETY: the arena that calls owns this memory, and nothing in it is allocated.
    unsafe { libc::madvise(address as *mut libc::c_void, len, libc::MADV_DONTNEED) };
}

#[cfg(not(unix))]
pub(super) fn map(_: usize, _: usize) -> bool {
    false
}

#[cfg(not(unix))]
pub(super) fn unload(_: usize, _: usize) {}
