//! Objects in statics: put back to their initial bytes after each execution.
//!
//! A static's value was made by a constant expression, so it owns nothing on the heap and a bitwise
//! copy of it is as good as the original. The runtime takes that copy when an execution first uses
//! the object, and puts it back at the end, having dropped what the execution made of it.
//!
//! Several executions may run at a time in one process (workers, tests run side by side) but a
//! static exists once: an execution that uses one holds a process-wide lock until its end.

use crate::object::Primitive;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

static IN_USE: Mutex<bool> = Mutex::new(false);
static GIVEN_BACK: Condvar = Condvar::new();

/// The right to use statics. No guard of a mutex: where a signal has struck the thread of an execution,
/// another thread gives it back.
struct Turn;

impl Turn {
    fn wait() -> Self {
        let in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let free = GIVEN_BACK.wait_while(in_use, |in_use| *in_use);
        *free.unwrap_or_else(PoisonError::into_inner) = true;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *IN_USE.lock().unwrap_or_else(PoisonError::into_inner) = false;
        GIVEN_BACK.notify_one();
    }
}

struct Snapshot {
    address: usize,
    bytes: Box<[u8]>,
    drop: Box<dyn FnOnce()>,
}

/// The statics that the running execution has used.
#[derive(Default)]
pub(crate) struct Statics {
    snapshots: Vec<Snapshot>,
    /// Those whose value is gone, or about to go.
    dropped: Vec<(usize, Box<[u8]>)>,
    turn: Option<Turn>,
}

impl Statics {
    /// Takes a copy of the object's bytes if it is (part of) a static not seen in this execution.
    pub(crate) fn first_use<P: Primitive + ?Sized>(&mut self, primitive: &P) {
        let pointer = std::ptr::from_ref(primitive).cast_mut();
        let address = pointer.cast::<u8>() as usize;
        if !in_static_memory(address) || self.covers(address) {
            return;
        }
        if self.turn.is_none() {
            self.turn = Some(Turn::wait());
        }
        let size = size_of_val(primitive);
        let mut bytes = vec![0u8; size].into_boxed_slice();
        // SAFETY: the object is live and `size` bytes long; a copy of bytes may be made of anything.
        unsafe { std::ptr::copy_nonoverlapping(address as *const u8, bytes.as_mut_ptr(), size) };
        // SAFETY: `Value::destroy` calls it once, when nobody uses the live value any more.
        let drop: Box<dyn FnOnce() + '_> = Box::new(move || unsafe { std::ptr::drop_in_place(pointer) });
        // SAFETY: only the lifetime changes: the value is a static's.
        let drop = unsafe { std::mem::transmute::<Box<dyn FnOnce() + '_>, Box<dyn FnOnce()>>(drop) };
        self.snapshots.push(Snapshot { address, bytes, drop });
    }

    /// Whether the address lies in a static of this execution.
    pub(crate) fn covers(&self, address: usize) -> bool {
        self.snapshots
            .iter()
            .any(|snapshot| (snapshot.address..snapshot.address + snapshot.bytes.len()).contains(&address))
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.snapshots.is_empty()
    }

    /// The static to be put back next, the one used last: its value is to be destroyed, then comes
    /// [`put_back`](Self::put_back).
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Value> {
        if self.snapshots.is_empty() { None } else { self.take_next() }
    }

    #[cold]
    fn take_next(&mut self) -> Option<Value> {
        let Snapshot { address, bytes, drop } = self.snapshots.pop()?;
        self.dropped.push((address, bytes));
        Some(Value(drop))
    }

    /// Gives those that are being put back their initial bytes.
    pub(crate) fn put_back(&mut self) {
        for (address, bytes) in self.dropped.drain(..) {
            // SAFETY: the memory is a static's, `bytes.len()` long, its value was destroyed (as far
            // as that went), and no thread of the execution uses it any more.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
        }
    }

    /// Gives all of them their initial bytes; what their values own is lost.
    #[inline]
    pub(crate) fn put_back_all(&mut self) {
        if self.turn.is_some() {
            self.put_all_back();
        }
    }

    #[cold]
    fn put_all_back(&mut self) {
        while self.next().is_some() {}
        self.put_back();
        self.turn = None;
    }
}

/// The value of a static that is to be put back.
pub(crate) struct Value(Box<dyn FnOnce()>);

impl Value {
    /// Runs the value's destructor.
    ///
    /// # Safety
    /// No thread of the execution may use the static any more.
    pub(crate) unsafe fn destroy(self) {
        (self.0)();
    }
}

/// Whether an address belongs to a writable segment of the program or one of its libraries.
#[cfg(target_os = "linux")]
pub(crate) fn in_static_memory(address: usize) -> bool {
    static SEGMENTS: OnceLock<Vec<(usize, usize)>> = OnceLock::new();

    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        segments: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: `dl_iterate_phdr` passes a valid entry and our own pointer to the vector.
        unsafe {
            let segments = &mut *segments.cast::<Vec<(usize, usize)>>();
            let info = &*info;
            for index in 0..usize::from(info.dlpi_phnum) {
                let header = &*info.dlpi_phdr.add(index);
                if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W != 0 {
                    let start = info.dlpi_addr as usize + header.p_vaddr as usize;
                    segments.push((start, start + header.p_memsz as usize));
                }
            }
        }
        0
    }

    let segments = SEGMENTS.get_or_init(|| {
        let mut segments: Vec<(usize, usize)> = Vec::new();
        // SAFETY: `visit` has the signature asked for and treats its argument as what it is.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut segments).cast()) };
        segments
    });
    segments.iter().any(|(start, end)| (*start..*end).contains(&address))
}

/// Elsewhere statics are not told from other memory; what they keep is reported as left over.
#[cfg(not(target_os = "linux"))]
pub(crate) fn in_static_memory(_address: usize) -> bool {
    let _ = OnceLock::<()>::new;
    false
}
