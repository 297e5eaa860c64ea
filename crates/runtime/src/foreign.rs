//! Foreign threads: operating-system threads that use objects of an execution without being part of
//! it.
//!
//! All threads of an execution are coroutines on one operating-system thread, its *worker*. A thread
//! that the program starts with `std::thread` is none of them: its operations are no steps, nobody
//! chooses when they happen, and what they write goes into std's objects, past the memory that the
//! execution sees. Whatever the execution then shows proves nothing, so it fails.
//!
//! A foreign thread is told by one of two signs, both looked at only where an operation finds itself
//! outside of every execution:
//!
//! * the object's tag belongs to the execution that another worker runs now;
//! * the thread was started from inside an execution. A new thread inherits the signal mask of the
//!   one that starts it, so a worker blocks a few real-time signals that nobody else uses: one as a
//!   mark, eight for its number. The mark is inherited by the threads that such a thread starts, too.
//!
//! Not foreign are a worker's own operations while it is outside (`ops::detached`, between two
//! executions), and threads that use a *static* that some execution uses at the same time: tests of
//! one binary run side by side and need not know of each other.

use crate::backend::{self, Session};
use crate::execution::current;
use crate::failure::{Detected, StableHasher};
use crate::object::Primitive;
use crate::site::Site;
use racefuzz_trace::{
    FailureDetail, FailureKind, ForeignObject, ObjectKind, ThreadId, Unseen, Verb, normalize_path,
};
use std::cell::Cell;
use std::hash::Hasher;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Workers that can be told from each other; more run unwatched.
const MOST: usize = 256;

/// What other threads see of one worker.
struct Entry {
    /// Whether some thread has it.
    taken: AtomicBool,
    /// The execution that runs there; 0 between executions.
    epoch: AtomicU64,
    /// The first use of an object by a foreign thread since the last execution ended.
    found: Mutex<Option<Found>>,
    /// Whether there is one.
    any: AtomicBool,
}

impl Entry {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            found: Mutex::new(None),
            any: AtomicBool::new(false),
        }
    }
}

static ENTRIES: [Entry; MOST] = [const { Entry::new() }; MOST];
/// Entries taken, and where the search for a free one begins: numbers are used again late.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// What a thread is to the registry.
#[derive(Clone, Copy)]
struct Me {
    /// Its entry, while it is a worker.
    entry: Option<&'static Entry>,
    /// Runners that live on it.
    runners: u32,
    /// The worker whose program started it: found out once.
    parent: Parent,
}

#[derive(Clone, Copy)]
enum Parent {
    Unknown,
    Nobody,
    Worker(&'static Entry),
}

thread_local! {
    static ME: Cell<Me> = const { Cell::new(Me { entry: None, runners: 0, parent: Parent::Unknown }) };
}

/// One use of an object by a foreign thread.
struct Found {
    thread: String,
    verb: Option<Verb>,
    object: Option<(ObjectKind, Option<String>, Site)>,
    site: Site,
}

/// Makes the calling thread a worker, until it is dropped (there).
pub(crate) struct Worker(std::marker::PhantomData<*const ()>);

impl Worker {
    pub(crate) fn new() -> Self {
        let mut me = ME.get();
        if me.runners == 0 {
            me.parent = parent(me);
            let first = NEXT.fetch_add(1, Ordering::Relaxed);
            me.entry = (0..MOST).map(|step| (first + step) % MOST).find_map(|number| {
                let entry = &ENTRIES[number];
                let free = !entry.taken.swap(true, Ordering::AcqRel);
                free.then_some(entry)
            });
            if let Some(entry) = me.entry {
                TAKEN.fetch_add(1, Ordering::Release);
                mark::set(Some(number(entry)));
            }
        }
        me.runners += 1;
        ME.set(me);
        Self(std::marker::PhantomData)
    }

    /// An execution begins.
    #[inline]
    pub(crate) fn begin(&self, epoch: u64) {
        if let Some(entry) = ME.get().entry {
            entry.epoch.store(epoch, Ordering::Release);
        }
    }

    /// It has ended; whether a foreign thread did anything meanwhile.
    #[inline]
    pub(crate) fn end(&self) -> bool {
        let Some(entry) = ME.get().entry else { return false };
        entry.epoch.store(0, Ordering::Release);
        entry.any.load(Ordering::Acquire)
    }

    /// What a foreign thread did meanwhile: the failure that the execution ends with.
    pub(crate) fn found(&self, roots: &[String], recorded_steps: u32) -> Option<Detected> {
        let entry = ME.get().entry?;
        if entry.any.load(Ordering::Acquire) { take(entry, roots, recorded_steps) } else { None }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut me = ME.get();
        me.runners -= 1;
        if me.runners == 0
            && let Some(entry) = me.entry.take()
        {
            mark::set(match me.parent {
                Parent::Worker(parent) => Some(number(parent)),
                Parent::Unknown | Parent::Nobody => None,
            });
            entry.epoch.store(0, Ordering::Release);
            *entry.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
            entry.any.store(false, Ordering::Relaxed);
            TAKEN.fetch_sub(1, Ordering::Release);
            entry.taken.store(false, Ordering::Release);
        }
        ME.set(me);
    }
}

fn number(entry: &'static Entry) -> usize {
    let offset = std::ptr::from_ref(entry) as usize - ENTRIES.as_ptr() as usize;
    offset / size_of::<Entry>()
}

fn parent(me: Me) -> Parent {
    match me.parent {
        Parent::Unknown => match mark::get() {
            Some(number) => Parent::Worker(&ENTRIES[number]),
            None => Parent::Nobody,
        },
        known => known,
    }
}

#[cold]
fn take(entry: &Entry, roots: &[String], step: u32) -> Option<Detected> {
    let found = entry.found.lock().unwrap_or_else(PoisonError::into_inner).take();
    entry.any.store(false, Ordering::Release);
    let Found { thread, verb, object, site } = found?;
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let shown = |site: Site| {
        let place = site.location();
        racefuzz_trace::Site {
            file: normalize_path(place.file(), &roots),
            line: place.line(),
            column: place.column(),
        }
    };
    let mut identity = StableHasher::new();
    identity.write(b"foreign thread");
    identity.site(Some(site));
    let object = object.map(|(kind, name, created)| ForeignObject { kind, name, created: shown(created) });
    let unseen = Unseen::ForeignThread { thread, verb, object, site: shown(site) };
    Some(Detected {
        kind: FailureKind::Nondeterminism,
        message: unseen.to_string(),
        thread: ThreadId::ROOT,
        step,
        identity: identity.finish(),
        detail: Some(FailureDetail::Unseen(unseen)),
    })
}

/// The session that an operation on an object belongs to, if it is outside of every execution; then
/// the calling thread may be a foreign one.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn hosted<P: Primitive + ?Sized>(
    primitive: &P,
    verb: Verb,
    site: Site,
) -> Option<&'static Session> {
    if current().is_null() { hosted_outside(primitive, verb, site) } else { None }
}

#[cold]
#[inline(never)]
fn hosted_outside<P: Primitive + ?Sized>(primitive: &P, verb: Verb, site: Site) -> Option<&'static Session> {
    let session = backend::session();
    if session.is_none() && TAKEN.load(Ordering::Acquire) != 0 {
        let shared = primitive.shared();
        let address = std::ptr::from_ref(primitive).cast::<u8>() as usize;
        let name = || primitive.name().map(std::borrow::Cow::into_owned);
        let about = || Some((P::KIND, name(), shared.created().unwrap_or(site)));
        check(Some((shared.epoch(), address)), Some(verb), site, about);
    }
    session
}

/// The same for a counted reference.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn hosted_counted(epoch: u64, created: Site, verb: Verb, site: Site) -> Option<&'static Session> {
    if !current().is_null() {
        return None;
    }
    let session = backend::session();
    if session.is_none() && TAKEN.load(Ordering::Acquire) != 0 {
        check(Some((epoch, 0)), Some(verb), site, || Some((ObjectKind::Arc, None, created)));
    }
    session
}

/// The same for an operation that belongs to no object.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn hosted_alone(verb: Option<Verb>, site: Site) -> Option<&'static Session> {
    if current().is_null() { session(site, verb) } else { None }
}

/// The session of the calling thread, which is outside of every execution and about to use one of
/// racefuzz's types, by the operation `verb` or in some other way.
#[cold]
#[inline(never)]
pub(crate) fn session(site: Site, verb: Option<Verb>) -> Option<&'static Session> {
    let session = backend::session();
    if session.is_none() && TAKEN.load(Ordering::Acquire) != 0 {
        check(None, verb, site, || None);
    }
    session
}

/// An operation outside of every execution: notes it, and ends the calling thread by a panic, if the
/// thread is a foreign one.
#[cold]
#[inline(never)]
fn check(
    object: Option<(u64, usize)>,
    verb: Option<Verb>,
    site: Site,
    about: impl FnOnce() -> Option<(ObjectKind, Option<String>, Site)>,
) {
    let Some(entry) = victim(object) else { return };
    let thread = match std::thread::current().name() {
        Some(name) => format!("the operating-system thread `{name}`"),
        None => "a thread of std::thread".to_owned(),
    };
    let found = Found { thread, verb, object: about(), site };
    let message = format!(
        "racefuzz: {} is used inside an execution of racefuzz by a thread that is not part of it: start it with \
         racefuzz's thread::spawn",
        match &found.object {
            Some((_, Some(name), _)) => format!("`{name}`"),
            Some((kind, None, _)) => format!("an object of racefuzz ({})", kind.word()),
            None =>
                format!("racefuzz{}", verb.map_or_else(String::new, |verb| format!(" ({})", verb.word()))),
        }
    );
    entry.found.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(found);
    entry.any.store(true, Ordering::Release);
    // What runs in destructors must not panic: at the end of a thread that would be the end of the
    // process.
    let releases = verb.is_none_or(|verb| {
        use Verb::{DropReceiver, DropSender, Free, ReadUnlock, RefDrop, Unlock, WriteUnlock};
        matches!(verb, RefDrop | Free | Unlock | ReadUnlock | WriteUnlock | DropSender | DropReceiver)
    });
    if !releases && !std::thread::panicking() {
        panic!("{message}");
    }
}

/// The worker whose execution an operation of the calling thread belongs into.
fn victim(object: Option<(u64, usize)>) -> Option<&'static Entry> {
    let mut me = ME.get();
    if matches!(me.parent, Parent::Unknown) {
        me.parent = parent(me);
        ME.set(me);
    }
    let parent = match me.parent {
        Parent::Worker(entry) if me.entry.is_none() && entry.taken.load(Ordering::Acquire) => Some(entry),
        _ => None,
    };
    let Some((epoch, address)) = object.filter(|(epoch, _)| *epoch != 0) else { return parent };
    let user = ENTRIES.iter().find(|entry| entry.epoch.load(Ordering::Acquire) == epoch);
    match user {
        None => parent,
        Some(user) if me.entry.is_some_and(|mine| std::ptr::eq(mine, user)) => None,
        Some(user) if parent.is_some() || !crate::statics::in_static_memory(address) => Some(user),
        Some(_) => None,
    }
}

/// The mark that threads inherit, in the signal mask.
#[cfg(target_os = "linux")]
mod mark {
    use std::mem::MaybeUninit;

    const BITS: usize = 8;

    /// The signals: the mark first, then the bits of the number.
    fn signal(index: usize) -> libc::c_int {
        libc::SIGRTMAX() - 1 - index as libc::c_int
    }

    /// The number that the calling thread's mask carries.
    pub(super) fn get() -> Option<usize> {
        let mut mask = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: no mask is set; the present one is written to a live local.
        let mask = unsafe {
            if libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr()) != 0 {
                return None;
            }
            mask.assume_init()
        };
        // SAFETY: the mask is initialised, the signals are valid.
        let holds = |index| unsafe { libc::sigismember(&raw const mask, signal(index)) == 1 };
        holds(0).then(|| (0..BITS).filter(|bit| holds(bit + 1)).map(|bit| 1 << bit).sum())
    }

    /// Makes the calling thread's mask carry this number, or none.
    pub(super) fn set(number: Option<usize>) {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut these = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `sigemptyset` initialises the sets, the signals are valid, and only this thread's
        // mask changes, by signals that nobody sends.
        unsafe {
            libc::sigemptyset(all.as_mut_ptr());
            libc::sigemptyset(these.as_mut_ptr());
            for index in 0..=BITS {
                libc::sigaddset(all.as_mut_ptr(), signal(index));
                let carries = |number: usize| index == 0 || number >> (index - 1) & 1 == 1;
                if number.is_some_and(carries) {
                    libc::sigaddset(these.as_mut_ptr(), signal(index));
                }
            }
            libc::pthread_sigmask(libc::SIG_UNBLOCK, all.as_ptr(), std::ptr::null_mut());
            libc::pthread_sigmask(libc::SIG_BLOCK, these.as_ptr(), std::ptr::null_mut());
        }
    }
}

/// Elsewhere only an object's tag tells a foreign thread.
#[cfg(not(target_os = "linux"))]
mod mark {
    pub(super) fn get() -> Option<usize> {
        None
    }

    pub(super) fn set(_number: Option<usize>) {}
}
