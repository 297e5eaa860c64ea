//! What holds during one execution on another engine, besides what the engine keeps.

use super::Backend;
use crate::execution::Absent;
use crate::heap::Heap;
use crate::locals::Locals;
use crate::object::Primitive;
use crate::panics;
use crate::site::Site;
use crate::statics::Statics;
use racefuzz_trace::{FailureKind, ObjectKind};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Epochs of sessions; far from those of executions, which count up from 1.
static EPOCHS: AtomicU64 = AtomicU64::new(1 << 39);

/// A thread of the present execution.
#[derive(Default)]
pub(super) struct Thread {
    pub(super) locals: Locals,
    pub(super) name: Option<String>,
    /// Somebody has waited for its end.
    pub(super) joined: bool,
    /// Its last panic has not left it yet.
    pub(super) panicking: bool,
}

/// A panic that left its thread.
struct Escaped {
    thread: u32,
    message: String,
    taken: bool,
}

/// What an engine's executions of one program share, and the state of the present one.
pub struct Session {
    pub(super) backend: &'static dyn Backend,
    program: &'static dyn Fn(),
    /// Whether reference counts are events.
    pub(super) count_points: bool,
    pub(super) epoch: Cell<u64>,
    pub(super) objects: Cell<u32>,
    pub(super) newest: RefCell<Vec<u64>>,
    pub(super) threads: RefCell<Vec<Thread>>,
    pub(super) globals: RefCell<Locals>,
    pub(super) finals: RefCell<Vec<Box<dyn FnOnce()>>>,
    pub(super) console: RefCell<Vec<String>>,
    pub(super) console_object: Cell<Option<u32>>,
    pub(super) live: RefCell<Vec<bool>>,
    pub(super) heap: RefCell<Heap>,
    pub(super) used: RefCell<Statics>,
    panics: RefCell<Vec<Escaped>>,
}

impl Session {
    /// Lets `explore` run executions of `program` on `backend`, each by [`iterate`](Self::iterate)
    /// on the calling operating-system thread.
    pub fn run<R>(
        backend: &dyn Backend,
        program: &dyn Fn(),
        count_points: bool,
        explore: impl FnOnce() -> R,
    ) -> R {
        panics::install_hook();
        // SAFETY: only lifetimes change; both are used through the session only, whose reference is
        // taken away below, before they end. Threads of an execution that did not end are never
        // resumed.
        let (backend, program) = unsafe {
            (
                std::mem::transmute::<&dyn Backend, &'static dyn Backend>(backend),
                std::mem::transmute::<&dyn Fn(), &'static dyn Fn()>(program),
            )
        };
        let session = Self {
            backend,
            program,
            count_points,
            epoch: Cell::new(0),
            objects: Cell::new(0),
            newest: RefCell::default(),
            threads: RefCell::default(),
            globals: RefCell::default(),
            finals: RefCell::default(),
            console: RefCell::default(),
            console_object: Cell::new(None),
            live: RefCell::default(),
            heap: RefCell::default(),
            used: RefCell::default(),
            panics: RefCell::default(),
        };
        let pointer = &raw const session;
        // SAFETY: as above: the reference is dropped with `_entered`, before the session.
        let lent = unsafe { &*pointer };
        let result = {
            let _entered = super::set(Some(lent));
            explore()
        };
        session.clear();
        result
    }

    /// Runs the program once, as the engine's first thread: until every thread has ended.
    ///
    /// # Panics
    /// Outside of [`run`](Self::run). Unwinds when the execution fails.
    pub fn iterate() {
        let session = super::session().expect("the engine was started by `Session::run`");
        session.clear();
        session.backend.begin();
        session.epoch.set(EPOCHS.fetch_add(1, Ordering::Relaxed));
        session.threads.borrow_mut().push(Thread::default());
        session.run_thread(0, session.program);
        let mut next = 1;
        loop {
            let Some(joined) = session.threads.borrow().get(next).map(|thread| thread.joined) else { break };
            if !joined {
                session.backend.join(next as u32);
            }
            next += 1;
        }
        session.conclude();
        session.backend.left();
    }

    /// Forgets the last execution.
    fn clear(&self) {
        // What an execution that failed left is the program's, and nobody is there to run it.
        self.finals.take().into_iter().for_each(std::mem::forget);
        let locals = self.threads.borrow_mut().drain(..).map(|thread| thread.locals).collect::<Vec<_>>();
        locals
            .into_iter()
            .chain([self.globals.take()])
            .filter(|locals| !locals.is_empty())
            .for_each(std::mem::forget);
        self.used.borrow_mut().put_back_all();
        self.heap.borrow_mut().clear();
        self.objects.set(0);
        self.newest.borrow_mut().clear();
        self.console.borrow_mut().clear();
        self.console_object.set(None);
        self.live.borrow_mut().clear();
        self.panics.borrow_mut().clear();
    }

    /// Runs what is the program's; a panic of it is noted.
    pub(super) fn run_thread(&self, thread: u32, body: impl FnOnce()) {
        self.guarded(thread, body);
        loop {
            let next = self.threads.borrow_mut()[thread as usize].locals.take_next();
            let Some(value) = next else { break };
            self.guarded(thread, || drop(value));
        }
    }

    fn guarded(&self, thread: u32, body: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
            self.escaped(thread, payload);
        } else if self.backend.over() {
            self.backend.unwind();
        }
    }

    /// A panic left a thread.
    pub(super) fn escaped(&self, thread: u32, payload: Box<dyn Any + Send>) {
        self.note_escaped(thread, &*payload);
        if self.backend.over() {
            resume_unwind(payload);
        }
    }

    pub(crate) fn note_escaped(&self, thread: u32, payload: &(dyn Any + Send)) {
        if let Some(entry) = self.threads.borrow_mut().get_mut(thread as usize) {
            entry.panicking = false;
        }
        if !self.backend.over() {
            let message = panics::message_of(payload).unwrap_or_else(|| panics::NO_TEXT.to_owned());
            self.panics.borrow_mut().push(Escaped { thread, message, taken: false });
        }
    }

    /// Somebody took the panic of a thread. Whether there was one.
    pub(crate) fn take_panic(&self, thread: u32, take: bool) -> bool {
        let mut panics = self.panics.borrow_mut();
        let Some(escaped) = panics.iter_mut().find(|escaped| escaped.thread == thread) else { return false };
        escaped.taken |= take;
        true
    }

    /// The first cause of the panics that nobody took.
    pub fn untaken_panic() -> Option<String> {
        let session = super::session()?;
        let panics = session.panics.borrow();
        let untaken = panics.iter().find(|escaped| !escaped.taken)?;
        let follows = ["Any { .. }", "a scoped thread panicked", "PoisonError", "previously been poisoned"]
            .iter()
            .any(|text| untaken.message.contains(text));
        Some(if follows { panics[0].message.clone() } else { untaken.message.clone() })
    }

    /// Every thread has ended.
    fn conclude(&self) {
        for oracle in self.finals.take() {
            self.guarded(0, oracle);
        }
        loop {
            let next = self.globals.borrow_mut().take_next();
            let Some(value) = next else { break };
            self.guarded(0, || drop(value));
        }
        loop {
            let next = self.used.borrow_mut().next();
            let Some(value) = next else { break };
            // SAFETY: every thread of the execution has ended.
            self.guarded(0, || unsafe { value.destroy() });
        }
        self.used.borrow_mut().put_back_all();
        if let Some(message) = Self::untaken_panic() {
            self.backend.fail(FailureKind::Panic, message);
        }
        let counted = self.live.borrow().iter().filter(|live| **live).count();
        let allocated = self.heap.borrow().leaked().count();
        match (counted, allocated) {
            (0, 0) => {}
            (1, 0) => self.backend.fail(FailureKind::Leak, "an arc was never released".into()),
            (0, 1) => self.backend.fail(FailureKind::Leak, "an allocation was never released".into()),
            _ => {
                let first = if counted == 0 { "allocation" } else { "arc" };
                let count = counted + allocated;
                let message = format!("{count} objects were never released, the first an {first}");
                self.backend.fail(FailureKind::Leak, message)
            }
        }
    }

    /// The hook's: the running thread panics. Whether that is the program's panic.
    pub(crate) fn panicked(&self) {
        if !self.backend.inside()
            && !self.backend.over()
            && let Some(thread) = self.threads.borrow_mut().get_mut(self.backend.current() as usize)
        {
            thread.panicking = true;
        }
    }

    /// The session, unless the execution is over.
    pub(super) fn live(&self) -> Result<&Self, Absent> {
        if !self.backend.over() {
            return Ok(self);
        }
        if !std::thread::panicking() {
            self.backend.unwind();
        }
        Err(Absent::TearDown)
    }

    /// The object's number in this execution.
    pub(super) fn resolve<P: Primitive + ?Sized>(&self, primitive: &P) -> u32 {
        self.check_use(std::ptr::from_ref(primitive).cast::<u8>() as usize);
        let shared = primitive.shared();
        if let Some(number) = shared.index_in(self.epoch.get()) {
            return number;
        }
        if !primitive.used_outside() {
            self.used.borrow_mut().first_use(primitive);
        }
        let initial = primitive.initial();
        let number = self.new_object(P::KIND, initial);
        shared.claim(self.epoch.get(), number);
        number
    }

    pub(super) fn new_object(&self, kind: ObjectKind, initial: u64) -> u32 {
        let number = self.objects.get();
        self.objects.set(number + 1);
        self.newest.borrow_mut().push(initial);
        self.backend.object(number, kind, initial);
        number
    }

    fn check_use(&self, address: usize) {
        if self.heap.borrow().released(address).is_some() {
            self.backend.fail(FailureKind::UseAfterFree, "memory was used after it was released".to_owned());
        }
    }

    pub(super) fn me(&self) -> u32 {
        self.backend.current()
    }

    /// Something counted exists from now on: its number.
    pub(super) fn note_alive(&self) -> u32 {
        let number = match self.count_points {
            true => self.new_object(ObjectKind::Arc, 1),
            false => self.live.borrow().len() as u32,
        };
        let mut live = self.live.borrow_mut();
        live.resize(number as usize, false);
        live.push(true);
        number
    }

    pub(super) fn note_dead(&self, number: u32) {
        if let Some(live) = self.live.borrow_mut().get_mut(number as usize) {
            *live = false;
        }
    }

    pub(super) fn release_memory(&self, address: usize, site: Site) -> Option<bool> {
        let me = self.me();
        let mut heap = self.heap.borrow_mut();
        let freed = heap.get_mut(address)?.freed.is_some();
        if !freed {
            heap.release(address, (me, site, 0));
        }
        Some(freed)
    }
}
