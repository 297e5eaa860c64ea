//! Programs that are processes of their own: what a front end states that runs unmodified code.
//!
//! Such a program ([`Config::process`](crate::Config::process)) begins anew from its `main`, and ends where it
//! says so: by leaving the process, whatever its other threads are at. Nothing of it is unwound by the
//! runtime, since its frames are not Rust's alone; a thread whose execution is over is left where it stands,
//! and its stack is used again. Whoever runs the program puts its memory back.
//!
//! Part of the code may not be seen (a standard library that was compiled before). What such code orders is
//! not known, so the front end says where it may have acted, and the runtime then orders too much rather than
//! too little ([`learn_from_all`]): a data race is reported only where no code that is not seen could have
//! ordered the two accesses.

use crate::alloc::runtime_scope;
use crate::clock::Clock;
use crate::deadlock::name_of;
use crate::execution::{Absent, Execution, Phase, current, with};
use crate::failure::{Detected, hash_of, identity};
use crate::object::{Primitive, Shown, WriteRef};
use crate::panics;
use crate::record::Recorder;
use crate::schedule::stay;
use crate::site::Site;
use crate::store_history::Seen;
use crate::thread::{Panicked, Thread, ThreadState};
use racefuzz_trace::{
    FailureDetail, FailureKind, ObjectId, ObjectKind, RacingAccess, ThreadId, Unseen, Verb,
};

/// How a program ends that is a process of its own.
#[derive(Clone, Debug)]
pub enum End {
    /// As it should.
    Passed,
    /// Its exit code says that it failed; the panic that was noted last is why, or, without one, this text.
    Failed(String),
    /// By something that is no panic.
    Broken(FailureKind, String, Option<Site>),
    /// By what the system does to a process that goes wrong: a signal's name.
    Signal(&'static str),
}

/// The process ends: the execution is over, whatever other threads are at.
///
/// Returns only outside of an execution.
pub fn end(how: End) {
    let pointer = current();
    if pointer.is_null() {
        return;
    }
    let _runtime = runtime_scope();
    // SAFETY: see `execution::with`; the reference ends before the thread is left.
    unsafe {
        conclude(&mut *pointer, how);
        stay(pointer)
    }
}

fn conclude(execution: &mut Execution, how: End) {
    if execution.phase() == Phase::TearDown {
        return;
    }
    execution.set_phase(Phase::TearDown);
    if execution.outcome.failure.is_some() {
        return;
    }
    match how {
        End::Passed => {}
        End::Failed(text) => {
            if !panics::report_last(execution) {
                broken(execution, FailureKind::Panic, text, None);
            }
        }
        End::Broken(kind, text, site) => broken(execution, kind, text, site),
        End::Signal(name) => {
            let unseen = Unseen::Signal { name: name.to_owned() };
            broken(execution, FailureKind::Panic, unseen.to_string(), None);
        }
    }
}

fn broken(execution: &mut Execution, kind: FailureKind, message: String, site: Option<Site>) {
    let detail = execution
        .recorder
        .as_mut()
        .map(|recorder| FailureDetail::Panic { site: site.map(|site| recorder.site(site)), at_end: false });
    let identity = match site {
        Some(_) => identity(kind, [site]),
        None => hash_of(&message),
    };
    // What a harness says of a test is the test's.
    let is_test = execution.config.harness && execution.current == 0 && execution.schedule.thread_count > 1;
    execution.outcome.failure = Some(Detected {
        kind,
        message,
        thread: ThreadId(if is_test { 1 } else { execution.current }),
        step: execution.schedule.steps,
        identity,
        detail,
    });
}

/// The running thread panics.
pub fn note_panic(message: String, site: Option<Site>) -> Result<(), Absent> {
    with(|execution| {
        let order = execution.outcome.panics;
        execution.outcome.panics += 1;
        let step = execution.schedule.steps;
        let thread = execution.running();
        thread.panics.before_last = thread.panics.panicked.take();
        if let Some(before) = thread.panics.before_last.clone() {
            thread.panics.caught_panic = Some(before);
        }
        thread.panics.panicked = Some(Panicked { message, site, step, injected: false, taken: None, order });
    })
}

/// The running thread has a name.
pub fn name_thread(name: &str) -> Result<(), Absent> {
    with(|execution| {
        let me = execution.current as usize;
        execution.threads[me].origin.name = Some(name.to_owned());
        if let Some(recorder) = &mut execution.recorder {
            recorder.trace.threads[me].name = Some(name.to_owned());
        }
    })
}

/// The running thread does not run on its coroutine's stack, but on this one.
pub fn runs_on_stack(low: usize, high: usize) -> Result<(), Absent> {
    with(|execution| execution.running().coroutine.stack = (low, high))
}

/// The running thread has taken a lock, or given it back, by operations that do not say so. A thread that waits
/// for the lock does so on this object.
pub fn holds<P: Primitive>(primitive: &P, takes: bool, verb: Verb, site: Site) -> Result<(), Absent> {
    with(|execution| {
        let Ok(object) = execution.resolve(primitive, verb, site) else { return };
        let me = execution.current;
        let holders = &mut execution.objects[object as usize].holders;
        if takes {
            holders.push((me, site));
        } else if let Some(place) = holders.iter().rposition(|(holder, _)| *holder == me) {
            holders.remove(place);
        }
    })
}

/// The running thread learns what every other one has done: code that is not seen may have ordered it behind.
pub fn learn_from_all() -> Result<(), Absent> {
    with(learn)
}

fn learn(execution: &mut Execution) {
    if !execution.asks_for_clocks() {
        return;
    }
    let me = execution.current as usize;
    let mut learning = std::mem::take(&mut execution.order.learning);
    learning.look(&execution.threads[..execution.schedule.thread_count]);
    for other in learning.others(me) {
        if other == me {
            continue;
        }
        let Ok([mine, theirs]) = execution.threads.get_disjoint_mut([me, other]) else { continue };
        lend(theirs, other as u32, |theirs| mine.learn(&theirs.clock, &theirs.coherence.seen));
    }
    learning.done(me);
    execution.order.learning = learning;
}

/// Gives others what a thread has done so far.
fn lend(thread: &mut Thread, number: u32, to: impl FnOnce(&Thread)) {
    thread.clock.set_whole(number, thread.time + 1);
    to(thread);
    // What it does from now on is not known.
    thread.time += 1;
    thread.clock.prepare(number, thread.time + 1);
}

/// The running thread is in code that is not seen, and may have released something there by an operation that
/// left no trace: whoever [learns from that code](learn_from_unseen) knows what it has done so far.
pub fn publish_to_unseen() -> Result<(), Absent> {
    with(|execution| {
        if !execution.asks_for_clocks() {
            return;
        }
        let me = execution.current;
        let mut learning = std::mem::take(&mut execution.order.learning);
        lend(execution.running(), me, |thread| {
            learning.published.join(&thread.clock);
            learning.published_seen.join(&thread.coherence.seen);
        });
        execution.order.learning = learning;
    })
}

/// The running thread has acquired what code that is not seen may have released.
pub fn learn_from_unseen() -> Result<(), Absent> {
    with(|execution| {
        if !execution.asks_for_clocks() {
            return;
        }
        let learning = std::mem::take(&mut execution.order.learning);
        execution.running().learn(&learning.published, &learning.published_seen);
        execution.order.learning = learning;
    })
}

/// Whom a thread learns from that learns from all: of those that have ended there is nothing new the next time.
#[derive(Default)]
pub(crate) struct Learning {
    /// Threads that were looked at.
    count: usize,
    /// Those of them that live.
    living: Vec<u32>,
    /// The others, in the order in which they were found to have ended.
    ended: Vec<u32>,
    /// For each thread how many of these it has learned from.
    known: Vec<u32>,
    /// What threads had done when they were last in code that is not seen.
    published: Clock,
    published_seen: Seen,
}

impl Learning {
    /// An execution begins.
    pub(crate) fn begin(&mut self) {
        self.count = 0;
        self.living.clear();
        self.ended.clear();
        self.known.clear();
        self.published.clear();
        self.published_seen.clear();
    }

    fn look(&mut self, threads: &[Thread]) {
        self.living.extend(self.count as u32..threads.len() as u32);
        self.count = threads.len();
        self.known.resize(self.count, 0);
        let Self { living, ended, .. } = self;
        living.retain(|thread| {
            let lives = threads[*thread as usize].state == ThreadState::Live;
            if !lives {
                ended.push(*thread);
            }
            lives
        });
    }

    /// Those of whom thread `me` may not know everything.
    fn others(&self, me: usize) -> impl Iterator<Item = usize> {
        let ended = &self.ended[self.known[me] as usize..];
        self.living.iter().chain(ended).map(|thread| *thread as usize)
    }

    fn done(&mut self, me: usize) {
        self.known[me] = self.ended.len() as u32;
    }
}

/// What an access that is not atomic is compared by: the running thread, the number of its next event, and
/// the steps so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The thread.
    pub thread: u32,
    /// The number of the event that its next one will be.
    pub time: u32,
    /// Events of all threads so far.
    pub step: u32,
}

/// Whether what happened at a moment happens before what the running thread does now.
pub fn is_known(when: Moment) -> bool {
    with(|execution| {
        when.thread == execution.current || execution.running().clock.knows(when.thread, when.time)
    })
    .unwrap_or(true)
}

/// The present moment of the running thread.
#[inline]
pub fn moment() -> Result<Moment, Absent> {
    with(|execution| {
        let (me, step) = (execution.current, execution.schedule.steps);
        Moment { thread: me, time: execution.running().time + 1, step }
    })
}

/// An access to memory that is not atomic, or one that is, where the other is not.
#[derive(Clone, Copy, Debug)]
pub struct PlainAccess {
    /// When.
    pub when: Moment,
    /// What the program did.
    pub verb: Verb,
    /// Where.
    pub site: Site,
}

/// Two accesses to a variable are not ordered: the execution fails, and the running thread, which made the
/// second one, goes no further. Returns only outside of an execution.
pub fn data_race(name: Option<String>, first: PlainAccess, second: PlainAccess) {
    fail_at_access(|execution| {
        let object = shown_object(execution, ObjectKind::Cell, name.as_deref(), first.site);
        let shown = |recorder: &mut Recorder, access: &PlainAccess| RacingAccess {
            thread: ThreadId(access.when.thread),
            verb: access.verb,
            site: recorder.site(access.site),
            step: None,
        };
        let detail = execution.recorder.as_mut().map(|recorder| FailureDetail::DataRace {
            object: ObjectId(object),
            first: shown(recorder, &first),
            second: shown(recorder, &second),
        });
        let what = name.map_or_else(|| "memory".to_owned(), |name| format!("`{name}`"));
        let words = |access: &PlainAccess| access.verb.word();
        let message = format!(
            "data race on {what}: {} by {} and {} by {} are not ordered",
            words(&first),
            name_of(execution, first.when.thread),
            words(&second),
            name_of(execution, second.when.thread),
        );
        (
            FailureKind::DataRace,
            message,
            identity(FailureKind::DataRace, [Some(first.site), Some(second.site)]),
            detail,
        )
    });
}

/// Memory is used, or released again (`used.verb` says so), that was released before: the execution fails, as
/// in [`data_race`].
pub fn use_after_free(name: Option<String>, freed: PlainAccess, used: PlainAccess) {
    fail_at_access(|execution| {
        let object = shown_object(execution, ObjectKind::Allocation, name.as_deref(), freed.site);
        let shown = |recorder: &mut Recorder, access: &PlainAccess| RacingAccess {
            thread: ThreadId(access.when.thread),
            verb: access.verb,
            site: recorder.site(access.site),
            step: None,
        };
        let detail = execution.recorder.as_mut().map(|recorder| FailureDetail::UseAfterFree {
            object: ObjectId(object),
            freed: shown(recorder, &freed),
            used: shown(recorder, &used),
        });
        let what = if used.verb == Verb::Free { "released twice" } else { "used after it was released" };
        let message = format!(
            "memory was {what}: {} by {}, released by {}",
            used.verb.word(),
            name_of(execution, used.when.thread),
            name_of(execution, freed.when.thread),
        );
        let identity = identity(FailureKind::UseAfterFree, [Some(freed.site), Some(used.site)]);
        (FailureKind::UseAfterFree, message, identity, detail)
    });
}

fn shown_object(execution: &mut Execution, kind: ObjectKind, name: Option<&str>, created: Site) -> u32 {
    let object = execution.new_object(kind, created, 0);
    if let Some(recorder) = &mut execution.recorder {
        recorder.object(kind, created, name.map(str::to_owned), Shown::Nothing);
    }
    object
}

/// The running thread fails by what `found` says: kind, message, identity, detail.
fn fail_at_access(found: impl FnOnce(&mut Execution) -> (FailureKind, String, u64, Option<FailureDetail>)) {
    let pointer = current();
    if pointer.is_null() {
        return;
    }
    let _runtime = runtime_scope();
    // SAFETY: see `execution::with`; the reference ends before the thread is left.
    unsafe {
        let execution = &mut *pointer;
        if execution.phase() != Phase::TearDown {
            execution.set_phase(Phase::TearDown);
            let (kind, message, identity, detail) = found(execution);
            let (thread, step) = (ThreadId(execution.current), execution.schedule.steps);
            execution.outcome.failure = Some(Detected { kind, message, thread, step, identity, detail });
        }
        stay(pointer)
    }
}

/// Code that is not seen has written an atomic, or what is known of it begins here: the running thread, which
/// is about to use it, learns of whatever may be behind that.
#[cold]
#[inline(never)]
pub(crate) fn adopt(execution: &mut Execution, object: u32, word: u64) {
    learn(execution);
    let sequential = execution.sequential();
    let has_clocks = execution.order.has_clocks;
    let me = execution.current;
    let (thread, entry) = execution.running_with(object);
    let event = crate::execution::mix(entry.last_write.event, word);
    let write = WriteRef { event, step: entry.last_write.step };
    let store = match entry.history.len() {
        0 => entry.history.insert(0, word, write, (0, 0)),
        _ if sequential => entry.history.store(0),
        length => entry.history.insert(length, word, write, (0, 0)),
    };
    store.value = word;
    store.write = write;
    // It is the oldest that anybody may read from now on.
    (store.thread, store.time) = (0, 0);
    if has_clocks {
        // What the running thread itself has done since its last event is behind it, too: it may be the one that
        // has written, in code that is not seen.
        lend(thread, me, |thread| {
            store.release.copy_from(&thread.clock);
            store.release_seen.copy_from(&thread.coherence.seen);
        });
    }
    entry.value = word;
    entry.last_write = write;
}
