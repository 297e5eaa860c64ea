//! The writable memory of the executable, kept as it was before `main` ran, and put back.

use std::ffi::{c_int, c_void};

/// A stretch of memory and what it held.
struct Segment {
    start: usize,
    image: Vec<u8>,
}

/// The state of the process that the program may change.
pub(crate) struct Segments {
    segments: Vec<Segment>,
    environment: (usize, Vec<usize>),
    /// Where the executable is loaded.
    pub(crate) base: usize,
    /// The lowest and highest address of what it may write.
    pub(crate) writable: (usize, usize),
    /// Descriptors from here on are the program's.
    descriptors: u32,
}

unsafe extern "C" {
    static mut environ: *mut usize;
}

impl Segments {
    /// Keeps the present state.
    pub(crate) fn keep() -> Self {
        let mut kept = Self {
            segments: Vec::new(),
            environment: (0, Vec::new()),
            base: 0,
            writable: (usize::MAX, 0),
            descriptors: 0,
        };
        let mut stretches: Option<Stretches> = None;
        // SAFETY: the callback has the signature asked for and gets the pointer to the live local.
        unsafe { libc::dl_iterate_phdr(Some(executable), (&raw mut stretches).cast()) };
        if let Some(found) = stretches {
            kept.base = found.base;
            for (start, end) in found.writable {
                kept.writable = (kept.writable.0.min(start), kept.writable.1.max(end));
                // SAFETY: the loader has mapped it readable and writable.
                let image = unsafe { std::slice::from_raw_parts(start as *const u8, end - start) }.to_vec();
                kept.segments.push(Segment { start, image });
            }
        }
        kept.environment = environment();
        kept.descriptors = highest_descriptor() + 1;
        kept
    }

    /// Puts it back.
    pub(crate) fn put_back(&self) {
        for Segment { start, image } in &self.segments {
            // SAFETY: the image was copied from there; none of the program's threads runs.
            unsafe { std::ptr::copy_nonoverlapping(image.as_ptr(), *start as *mut u8, image.len()) };
        }
        let (start, words) = &self.environment;
        // SAFETY: the array of the environment as it was; the program may have put another in its place, or
        // changed this one.
        unsafe {
            environ = *start as *mut usize;
            std::ptr::copy_nonoverlapping(words.as_ptr(), *start as *mut usize, words.len());
            libc::syscall(libc::SYS_close_range, self.descriptors, u32::MAX, 0);
        }
    }
}

struct Stretches {
    base: usize,
    writable: Vec<(usize, usize)>,
}

/// Called for each loaded object, the executable first: finds what of it is written to when the loader is done.
unsafe extern "C" fn executable(info: *mut libc::dl_phdr_info, _: usize, into: *mut c_void) -> c_int {
    // SAFETY: the loader passes valid headers; the pointer is to the caller's local.
    let (info, into) = unsafe { (&*info, &mut *into.cast::<Option<Stretches>>()) };
    // SAFETY: as above.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) };
    let base = info.dlpi_addr as usize;
    let stretch = |header: &libc::Elf64_Phdr| {
        let start = base + header.p_vaddr as usize;
        (start, start + header.p_memsz as usize)
    };
    // What the loader protects after relocation.
    let fixed = headers.iter().find(|header| header.p_type == libc::PT_GNU_RELRO).map(stretch);
    let fixed = fixed.map_or((0, 0), |(start, end)| (start & !4095, end.next_multiple_of(4096)));
    let is_written =
        |header: &&libc::Elf64_Phdr| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W != 0;
    let writable = headers
        .iter()
        .filter(is_written)
        .map(stretch)
        .map(|(start, end)| (if (fixed.0..fixed.1).contains(&start) { fixed.1 } else { start }, end))
        .filter(|(start, end)| start < end)
        .collect();
    *into = Some(Stretches { base, writable });
    1
}

/// The array of the environment: its address and its words, the zero at the end included.
fn environment() -> (usize, Vec<usize>) {
    // SAFETY: the C library's own array, which ends with a zero.
    unsafe {
        let start = environ;
        let mut length = 0;
        while start.add(length).read() != 0 {
            length += 1;
        }
        (start as usize, std::slice::from_raw_parts(start, length + 1).to_vec())
    }
}

fn highest_descriptor() -> u32 {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).max().unwrap_or(2)
}
