//! The program on loom: its objects and threads, and why an exploration ends.
//!
//! Loom runs the threads of an execution as coroutines of one operating-system thread; each call of
//! it may switch. What the program sees between two calls is one step.

mod operations;

use crate::exceptions::Exception;
use crate::twins::{Held, Pool, Sizes, Sort, Twin};
use racefuzz_runtime::Test;
use racefuzz_runtime::ops::{Hold, Update};
use racefuzz_trace::{FailureKind, MemoryOrder};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// Why an exploration by loom ended.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// An execution failed.
    Failed(FailureKind, String),
    /// The program is beyond loom, and how.
    Refused(Exception, Option<String>),
    /// Again, with more twins.
    Grow(Sort),
    /// Again, with reference counts as events.
    CountReferences,
    /// A limit was reached.
    Cut(String),
}

/// The payload of a panic that ends loom's exploration.
struct Over;

/// An object of the present execution.
struct Object {
    twin: Twin,
    /// Its word, of those that are no atomics.
    word: u64,
    /// The thread that stored to it last.
    stored: Option<u32>,
    /// Whether a read-modify-write has changed it.
    modified: bool,
}

/// A thread of the present execution.
#[derive(Default)]
struct Thread {
    handle: Option<loom::thread::JoinHandle<()>>,
    thread: Option<loom::thread::Thread>,
    /// It waits for something other than its token.
    waits: bool,
}

/// The state of an exploration.
pub(crate) struct Loom<'a> {
    /// Whether to end, after so many executions, and why.
    limits: &'a dyn Fn(u64) -> Option<String>,
    executions: Cell<u64>,
    sizes: Sizes,
    stack_words: usize,
    stop: RefCell<Option<Stop>>,
    inside: Cell<bool>,
    running: Cell<u32>,
    flags: RefCell<BTreeSet<Exception>>,
    pool: RefCell<Pool>,
    objects: RefCell<Vec<Object>>,
    held: RefCell<Vec<(u32, Held)>>,
    threads: RefCell<Vec<Thread>>,
    /// Some thread of this execution was given a token; some thread waited for a word.
    tokens: Cell<bool>,
    waited: Cell<bool>,
}

impl<'a> Loom<'a> {
    pub(crate) fn new(sizes: Sizes, stack_size: usize, limits: &'a dyn Fn(u64) -> Option<String>) -> Self {
        Self {
            limits,
            executions: Cell::new(0),
            sizes,
            stack_words: stack_size / size_of::<usize>(),
            stop: RefCell::default(),
            inside: Cell::new(false),
            running: Cell::new(0),
            flags: RefCell::default(),
            pool: RefCell::default(),
            objects: RefCell::default(),
            held: RefCell::default(),
            threads: RefCell::default(),
            tokens: Cell::new(false),
            waited: Cell::new(false),
        }
    }

    /// Executions begun.
    pub(crate) fn executions(&self) -> u64 {
        self.executions.get()
    }

    /// What the exploration came to, with the panic that it ended by, if any.
    pub(crate) fn conclude(
        &self,
        ended: Result<(), Box<dyn Any + Send>>,
        panicked: Option<String>,
    ) -> (Option<Stop>, BTreeSet<Exception>) {
        // Guards of a model that is over cannot be dropped.
        self.held.take().into_iter().for_each(std::mem::forget);
        self.threads.take().into_iter().for_each(std::mem::forget);
        let mut stop = self.stop.take();
        if let (None, Err(payload)) = (&stop, ended) {
            stop = Some(classify(&*payload));
        }
        // Of several things that are wrong the program's own panic came first.
        if let (Some(Stop::Failed(kind, text)), Some(message)) = (&mut stop, panicked) {
            (*kind, *text) = (FailureKind::Panic, message);
        }
        (stop, self.flags.take())
    }

    /// Ends the exploration.
    pub(crate) fn stop(&self, stop: Stop) -> ! {
        self.stop.borrow_mut().get_or_insert(stop);
        resume_unwind(Box::new(Over))
    }

    fn refuse(&self, exception: Exception) -> ! {
        self.stop(Stop::Refused(exception, None))
    }

    fn flag(&self, exception: Exception) {
        self.flags.borrow_mut().insert(exception);
    }

    /// Runs loom's code, which may switch to other threads.
    fn loom<R>(&self, f: impl FnOnce() -> R) -> R {
        let me = self.running.get();
        self.inside.set(true);
        let result = catch_unwind(AssertUnwindSafe(f));
        self.inside.set(false);
        self.running.set(me);
        result.unwrap_or_else(|payload| {
            self.stop.borrow_mut().get_or_insert_with(|| classify(&*payload));
            resume_unwind(payload)
        })
    }

    fn twin(&self, object: u32) -> Twin {
        self.objects.borrow()[object as usize].twin.clone()
    }

    fn atomic(&self, object: u32) -> (Rc<loom::sync::atomic::AtomicU64>, u64) {
        match self.twin(object) {
            Twin::Atomic(atomic, base) => (atomic, base),
            _ => unreachable!("an atomic operation is on an atomic"),
        }
    }

    fn order(&self, order: MemoryOrder) -> Ordering {
        match order {
            MemoryOrder::Plain | MemoryOrder::Relaxed => Ordering::Relaxed,
            MemoryOrder::Acquire => Ordering::Acquire,
            MemoryOrder::Release => Ordering::Release,
            MemoryOrder::AcqRel => Ordering::AcqRel,
            MemoryOrder::SeqCst => {
                self.flag(Exception::SeqCst);
                Ordering::SeqCst
            }
        }
    }

    /// An atomic was stored to by this thread, or modified.
    fn note_write(&self, object: u32, stored: Option<u32>, modified: bool) {
        let mut objects = self.objects.borrow_mut();
        let object = &mut objects[object as usize];
        object.stored = stored.or(object.stored);
        object.modified |= modified;
        if object.modified && object.stored.is_some() {
            self.flag(Exception::RmwAtomicity);
        }
    }

    fn change(&self, object: u32, change: &mut dyn FnMut(&mut u64)) -> bool {
        // `change` comes back for the number of alternatives.
        let mut word = self.objects.borrow()[object as usize].word;
        let before = word;
        change(&mut word);
        self.objects.borrow_mut()[object as usize].word = word;
        word != before
    }

    /// An operation on a lock that loom has too.
    fn update_lock(&self, object: u32, how: &Update, change: &mut dyn FnMut(&mut u64)) {
        let Twin::Lock(lock) = self.twin(object) else { return };
        match how.hold {
            Hold::Take if how.test == Test::Always => {
                self.flag(Exception::TryLock);
                let held = self.loom(|| Held::try_new(lock, |lock| lock.try_lock().map_err(drop)).ok());
                self.change(object, change);
                self.held.borrow_mut().extend(held.map(|held| (object, held)));
            }
            Hold::Take => {
                self.waiting(true);
                let held = self.loom(|| Held::new(lock, |lock| lock.lock().expect("loom's Mutex")));
                self.waiting(false);
                self.change(object, change);
                self.held.borrow_mut().push((object, held));
            }
            Hold::Give => {
                self.change(object, change);
                let mut held = self.held.borrow_mut();
                let place = held.iter().rposition(|(locked, _)| *locked == object);
                let released = place.map(|place| held.remove(place));
                drop(held);
                self.loom(|| drop(released));
            }
            Hold::No => {
                self.change(object, change);
            }
        }
    }

    /// The running thread waits, or no longer, for something other than its token.
    fn waiting(&self, waits: bool) {
        self.threads.borrow_mut()[self.running.get() as usize].waits = waits;
    }
}

fn classify(payload: &(dyn Any + Send)) -> Stop {
    let text = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic with a payload that is no text".to_owned(),
    };
    let text = text.trim();
    if text.starts_with("deadlock") {
        Stop::Failed(FailureKind::Deadlock, "no thread can go on".to_owned())
    } else if let Some(what) = text.strip_prefix("Causality violation: ") {
        Stop::Failed(FailureKind::DataRace, what.trim_end_matches('.').to_owned())
    } else if text.contains("maximum number of branches") {
        Stop::Refused(Exception::Branches, None)
    } else if text.contains("PoisonError") {
        Stop::Refused(Exception::Poison, None)
    } else {
        Stop::Refused(Exception::Internal, Some(text.to_owned()))
    }
}
