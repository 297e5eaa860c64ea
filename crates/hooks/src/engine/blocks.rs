//! Thread-local storage for the program's threads.
//!
//! A block is what the C library makes for a new thread: the thread-local variables of every library below the
//! thread control block, at fixed addresses in a region of its own. It is made once for each slot and
//! copied, as it was then, whenever a thread starts in it.

use super::arena::map;
use super::border::{BLOCKS, as_program, base};
use super::real::{die, real};
use std::ffi::c_void;

/// Bytes from one block to the next.
pub(crate) const STRIDE: usize = 1 << 16;
/// Threads that a program may have at a time: each has a slot, of a block and a stack.
pub(crate) const MOST_THREADS: usize = 512;

/// The blocks of all slots: first address and length.
pub(crate) const REGION: (usize, usize) = (BLOCKS.0, MOST_THREADS * STRIDE);

/// Bytes of thread control block that are not found out.
const CONTROL: usize = 2304;

/// A block as it is when its thread starts.
struct Block {
    low: usize,
    image: Vec<u8>,
}

/// The blocks made so far, by slot.
#[derive(Default)]
pub(crate) struct Blocks {
    blocks: Vec<Block>,
    /// Of the C library: bytes of variables, and of the control block with what follows it.
    sizes: Option<(usize, usize)>,
}

impl Blocks {
    /// The base of the block of a thread that starts: fresh, whatever an earlier one did.
    pub(crate) fn fresh(&mut self, slot: usize) -> usize {
        while self.blocks.len() <= slot {
            let made = self.make(self.blocks.len());
            self.blocks.push(made);
        }
        let block = &self.blocks[slot];
        // SAFETY: the image was copied from these very bytes, which no running thread uses.
        unsafe {
            std::ptr::copy_nonoverlapping(block.image.as_ptr(), block.low as *mut u8, block.image.len())
        };
        base_of(slot)
    }

    fn sizes(&mut self) -> (usize, usize) {
        if let Some(sizes) = self.sizes {
            return sizes;
        }
        if !map(BLOCKS) {
            die("no address space for thread-local storage (is `ulimit -v` below 16 GB?)");
        }
        let (mut all, mut align) = (0usize, 0usize);
        let info = real!(_dl_get_tls_static_info: unsafe extern "C" fn(*mut usize, *mut usize));
        // SAFETY: both pointers are to live locals; a size in the library is a constant of it.
        let control = unsafe {
            info(&raw mut all, &raw mut align);
            let size = libc::dlsym(libc::RTLD_DEFAULT, c"_thread_db_sizeof_pthread".as_ptr());
            size.cast::<u32>().as_ref().map_or(CONTROL, |size| *size as usize)
        };
        if all + 256 > STRIDE || control > all {
            die("the program has too much thread-local storage");
        }
        *self.sizes.insert((all - control, control))
    }

    /// Makes the block of a slot, as the C library makes that of a new thread.
    fn make(&mut self, slot: usize) -> Block {
        let (variables, control) = self.sizes();
        let fresh = base_of(slot);
        let allocate = real!(_dl_allocate_tls: unsafe extern "C" fn(*mut c_void) -> *mut c_void);
        let host = base();
        // SAFETY: the memory is the region's, and nobody else's. The words are the control block of the
        // C library on this processor: itself, the table of modules, itself as a thread, and at 40 and 48
        // the two secrets of the process; the rest of a thread's descriptor is copied from the running
        // thread's, pointers into it made to point into the copy.
        unsafe {
            if allocate(fresh as *mut c_void).is_null() {
                die("no memory for thread-local storage");
            }
            let word = |base: usize, offset: usize| (base + offset) as *mut usize;
            word(fresh, 0).write(fresh);
            word(fresh, 16).write(fresh);
            for offset in [40, 48] {
                word(fresh, offset).write(word(host, offset).read());
            }
            for offset in (64..control).step_by(8) {
                let value = word(host, offset).read();
                let inside = value.wrapping_sub(host) < control;
                word(fresh, offset).write(if inside { value - host + fresh } else { value });
            }
            // Tables of the character classes, which each thread looks up for itself.
            let ctype = libc::dlsym(libc::RTLD_DEFAULT, c"__ctype_init".as_ptr());
            if !ctype.is_null() {
                as_program(
                    fresh,
                    |ctype| std::mem::transmute::<*mut c_void, unsafe extern "C" fn()>(ctype)(),
                    ctype,
                );
            }
            let (low, length) = (fresh - variables, variables + control);
            Block { low, image: std::slice::from_raw_parts(low as *const u8, length).to_vec() }
        }
    }
}

/// The FS base of a slot.
pub(crate) fn base_of(slot: usize) -> usize {
    // The variables lie below, the descriptor above.
    BLOCKS.0 + (slot + 1) * STRIDE - 4096
}

/// The slot of an FS base, which is what the program takes for a `pthread_t`.
pub(crate) fn slot_of(base: usize) -> Option<usize> {
    let offset = base.checked_sub(BLOCKS.0)? + 4096;
    (offset.is_multiple_of(STRIDE) && offset / STRIDE <= MOST_THREADS).then(|| offset / STRIDE - 1)
}
