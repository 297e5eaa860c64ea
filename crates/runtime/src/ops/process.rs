//! Programs that are processes of their own: what a front end states that runs unmodified code.
//!
//! Such a program ([`Config::process`](crate::Config::process)) begins anew from its `main`, and ends where it
//! says so: by leaving the process, whatever its other threads are at. Nothing of it is unwound by the
//! runtime, since its frames are not Rust's alone; a thread whose execution is over is left where it stands,
//! and its stack is used again. Whoever runs the program puts its memory back.

use crate::alloc::runtime_scope;
use crate::deadlock::name_of;
use crate::execution::{Absent, Execution, Phase, current, with};
use crate::failure::{Detected, hash_of, identity};
use crate::object::{Primitive, Shown};
use crate::panics;
use crate::record::Recorder;
use crate::schedule::stay;
use crate::site::Site;
use crate::thread::Panicked;
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
    /// It is no test, and ends with this exit code; it may have said why.
    Exited(i32, Option<String>),
    /// By a panic of the running thread that may not unwind, as this text says.
    Aborted(String),
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
        End::Aborted(why) => {
            let me = execution.current as usize;
            let panics = &execution.threads[me].panics;
            let Some(last) = panics.panicked.clone() else {
                return broken(execution, FailureKind::Panic, format!("the program aborts: {why}"), None);
            };
            let first = panics.before_last.as_ref().map(|first| format!(", after: {}", first.message));
            let message =
                format!("the program aborts, for a {why}: {}{}", last.message, first.unwrap_or_default());
            panics::fail(execution, me as u32, &Panicked { message, ..last }, false);
        }
        End::Exited(code, said) => {
            let said = said.map_or_else(String::new, |said| format!(": {said}"));
            broken(execution, FailureKind::Exit, format!("the program exits with code {code}{said}"), None);
            if let Some(detected) = &mut execution.outcome.failure {
                detected.detail = detected.detail.take().map(|_| FailureDetail::Exit { code });
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

/// The running thread is about to access memory, at a place, by what is no operation: an overlay may have something
/// come first.
pub fn accesses(site: Site) -> Result<(), Absent> {
    crate::overlay::accesses(site)
}

/// The same for an access that is to be a step: see [`asks_for_accesses`].
pub fn access_as_step(verb: Verb, site: Site) -> Result<(), Absent> {
    crate::ops::local::access(verb, site)
}

/// Whether that has to be said in the running execution.
pub fn asks_for_accesses() -> bool {
    with(|execution| execution.overlay.as_ref().is_some_and(|overlay| overlay.needs_accesses()))
        .unwrap_or(false)
}

/// Whether the running thread only repeats what it did, to show what it does then: none of that is part of the
/// execution.
pub fn is_repeating() -> bool {
    with(|execution| !crate::ops::is_real(execution)).unwrap_or(false)
}

/// Whether an explorer keeps the memory of the running execution: who comes to something first says nothing then.
pub fn is_enumerated() -> bool {
    with(|execution| execution.driver.memory.is_some()).unwrap_or(false)
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
