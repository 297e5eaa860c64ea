//! Stacks for coroutines: pooled, with a guard page whose overflow is a clear error.

use corosensei::stack::{DefaultStack, Stack};
use std::sync::Once;

/// Stacks of one size, kept for the next thread.
pub(crate) struct StackPool {
    free: Vec<DefaultStack>,
    size: usize,
}

impl StackPool {
    pub(crate) fn new(size: usize) -> Self {
        install_overflow_handler();
        Self { free: Vec::new(), size }
    }

    /// A stack.
    ///
    /// # Errors
    /// If the system has no memory (or no mappings) left for one more.
    pub(crate) fn take(&mut self, size: Option<usize>) -> std::io::Result<DefaultStack> {
        match size {
            Some(size) if self.is_large(size) => DefaultStack::new(size),
            _ => self.free.pop().map_or_else(|| DefaultStack::new(self.size), Ok),
        }
    }

    /// Whether so many bytes are more than the stacks of the pool have.
    pub(crate) fn is_large(&self, size: usize) -> bool {
        size > self.size
    }

    /// Takes a stack of the pool's size back.
    pub(crate) fn give(&mut self, stack: DefaultStack) {
        self.free.push(stack);
    }
}

/// The lowest and the highest address of a stack, its guard page included.
pub(crate) fn bounds(stack: &DefaultStack) -> (usize, usize) {
    (stack.limit().get(), stack.base().get())
}

/// What the overflow handler says; it runs on a signal stack and may not allocate.
fn install_overflow_handler() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        #[cfg(unix)]
        unix::install();
        #[cfg(unix)]
        crate::crash::watch_exit();
    });
}

#[cfg(unix)]
mod unix {
    use crate::execution;
    use std::mem::MaybeUninit;
    use std::sync::OnceLock;

    static PREVIOUS: OnceLock<[Option<libc::sigaction>; 5]> = OnceLock::new();
    const SIGNALS: [libc::c_int; 5] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGILL, libc::SIGFPE];

    pub(super) fn install() {
        crate::interrupt::know_allocator();
        let previous = SIGNALS.map(|signal| {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed();
            let mut old = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: a zeroed `sigaction` is a valid value (default handler, empty mask); both
            // pointers are to live locals; the handler has the signature SA_SIGINFO asks for.
            unsafe {
                let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
                (*action.as_mut_ptr()).sa_sigaction = handler as usize;
                (*action.as_mut_ptr()).sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                if libc::sigaction(signal, action.as_ptr(), old.as_mut_ptr()) != 0 {
                    return None;
                }
                Some(old.assume_init())
            }
        });
        let _ = PREVIOUS.set(previous);
    }

    extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
        let address = unsafe { (*info).si_addr() } as usize;
        let faults = matches!(signal, libc::SIGSEGV | libc::SIGBUS);
        if faults && let Some((thread, size)) = execution::overflowed(address) {
            let mut text = Text { bytes: [0; 400], length: 0 };
            text.push(b"\nracefuzz: `");
            text.push(std::thread::current().name().unwrap_or("program").as_bytes());
            text.push(b"`: stack overflow in thread ");
            text.number(u64::from(thread));
            text.push(b" of the program: its stack has ");
            text.number(size as u64 / 1024);
            text.push(
                b" KiB.\nEither the recursion has no end, or the stack is too small: raise it with\n\
                  #[racefuzz::test(stack_size = BYTES)], the builder's stack_size, --stack-size or\n\
                  RACEFUZZ_STACK_SIZE.\n",
            );
            // SAFETY: writing initialised bytes to stderr and leaving are async-signal-safe.
            unsafe {
                libc::write(2, text.bytes.as_ptr().cast(), text.length);
                libc::_exit(1);
            }
        }
        let (running, heartbeat) = crate::interrupt::running();
        if !running.is_null() {
            // SAFETY: the kernel passes the context that the signal has interrupted, on the thread that
            // runs this execution.
            unsafe { crate::interrupt::leave_torn(signal, context, running) };
            crate::crash::struck(signal, running, heartbeat);
        }
        let index = SIGNALS.iter().position(|known| *known == signal).unwrap_or(0);
        let previous = PREVIOUS.get().and_then(|previous| previous[index]);
        // SAFETY: hands the signal to whoever had it before us, as `sigaction(2)` describes; with
        // the default action restored the faulting instruction faults again and ends the process.
        unsafe {
            match previous {
                Some(old) if old.sa_sigaction != libc::SIG_DFL && old.sa_sigaction != libc::SIG_IGN => {
                    if old.sa_flags & libc::SA_SIGINFO != 0 {
                        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                            std::mem::transmute(old.sa_sigaction);
                        handler(signal, info, context);
                    } else {
                        let handler: extern "C" fn(libc::c_int) = std::mem::transmute(old.sa_sigaction);
                        handler(signal);
                    }
                }
                _ => {
                    libc::signal(signal, libc::SIG_DFL);
                }
            }
        }
    }

    /// Text built without allocation.
    struct Text {
        bytes: [u8; 400],
        length: usize,
    }

    impl Text {
        fn push(&mut self, text: &[u8]) {
            for byte in text {
                if self.length < self.bytes.len() {
                    self.bytes[self.length] = *byte;
                    self.length += 1;
                }
            }
        }

        fn number(&mut self, mut number: u64) {
            let mut digits = [0u8; 20];
            let mut start = digits.len();
            loop {
                start -= 1;
                digits[start] = b'0' + (number % 10) as u8;
                number /= 10;
                if number == 0 {
                    break;
                }
            }
            self.push(&digits[start..]);
        }
    }
}
