//! Operations local to a thread or to the execution as a whole: notes, choices, the console, time,
//! values that live as long as a thread or an execution.

use super::local_op;
use crate::alloc::runtime_scope;
use crate::backend;
use crate::execution::{Absent, current, enter, free_event, with};
use crate::explorer::Op;
use crate::foreign;
use crate::overlay;
use crate::schedule::visible;
use crate::schedule::{block_for_good, post};
use crate::site::Site;
use crate::thread::Pending;
use racefuzz_trace::{MemoryOrder, ObjectKind, OpKind, Point, Value, Verb};
use std::any::Any;
use std::hash::{Hash, Hasher};
use std::time::Duration;

/// A step that touches nothing shared; its text is made only if the execution is recorded.
pub fn note(site: Site, text: impl FnOnce() -> String) -> Result<(), Absent> {
    if let Some(session) = foreign::hosted_alone(Some(Verb::Note), site) {
        return session.sleep();
    }
    overlay::before_local(site)?;
    let op = local_op(Verb::Note);
    post(Pending { invisible: with(|execution| execution.driver.memory.is_some())?, ..visible(op, site) })?;
    let recorded = with(|execution| {
        let now = execution.event(&op);
        execution.complete(&now, &op, 0);
        execution.recorder.is_some()
    })?;
    if recorded {
        // The text is the program's code: made before the execution is entered again.
        let _runtime = runtime_scope();
        let text = text();
        with(|execution| execution.record(&op, site, |_, event| event.text = Some(text)))?;
    }
    Ok(())
}

/// An access to memory that no other operation stands for, as a step: nothing is done to it, and nobody else may run
/// because of it.
pub fn access(verb: Verb, site: Site) -> Result<(), Absent> {
    overlay::before_local(site)?;
    let op = local_op(verb);
    post(Pending { invisible: true, ..visible(op, site) })?;
    with(|execution| {
        let now = execution.event(&op);
        execution.complete(&now, &op, 0);
        execution.record(&op, site, |_, _| ());
    })
}

/// One of the values below `count`, every one of them possible.
pub fn choose(count: usize, site: Site) -> Result<usize, Absent> {
    if let Some(session) = foreign::hosted_alone(Some(Verb::Nondet), site) {
        return session.choose(count);
    }
    let op = local_op(Verb::Nondet);
    free_event(|execution| {
        let now = execution.event(&op);
        let value = execution.choose(Point::Value, count);
        execution.order.class =
            execution.order.class.wrapping_add(crate::execution::mix(now.write.event, value as u64));
        execution.complete(&now, &op, value as u64);
        execution.record(&op, site, |_, event| event.read = Some(Value::Int(value as i128)));
        value
    })
}

/// Whether something happens that need not (a spurious wake-up); always false unless injected.
pub fn choose_spurious() -> bool {
    if let Some(session) = backend::hosted() {
        return session.choose_spurious();
    }
    with(|execution| execution.config.inject.spurious && execution.choose(Point::Spurious, 2) == 1)
        == Ok(true)
}

/// Ends the execution, without a verdict, unless the condition holds.
pub fn assume(condition: bool, site: Site) -> Result<(), Absent> {
    if let Some(session) = backend::hosted() {
        return session.assume(condition, site);
    }
    enter(|execution| {
        let op = local_op(Verb::Assume);
        if !condition {
            execution.record(&op, site, |_, event| event.ok = false);
        }
    })?;
    if condition { Ok(()) } else { Err(block_for_good(site)) }
}

/// Writes a line to the execution's console: a step.
pub fn print(line: String, site: Site) -> Result<(), Absent> {
    if let Some(session) = foreign::hosted_alone(Some(Verb::Print), site) {
        return session.print(line);
    }
    overlay::before_local(site)?;
    let op = enter(|execution| {
        let object = match execution.storage.console {
            Some(object) => object,
            None => new_console(execution, site),
        };
        Op { kind: OpKind::Print, verb: Verb::Print, order: MemoryOrder::Plain, object, lock: false }
    })?;
    post(visible(op, site))?;
    with(|execution| {
        let now = execution.event(&op);
        let entry = &mut execution.objects[op.object as usize];
        let before = std::mem::replace(&mut entry.last_write, now.write);
        execution.edge(2, now.write, before);
        super::graphed::stepped(execution, &now, &op, (0, 0), true);
        let mut hasher = crate::failure::StableHasher::new();
        line.hash(&mut hasher);
        execution.complete(&now, &op, hasher.finish());
        execution.record(&op, site, |_, event| event.text = Some(line.clone()));
        // The program's memory goes when the execution ends.
        execution.outcome.console.push(line.as_str().to_owned());
    })
}

fn new_console(execution: &mut crate::execution::Execution, site: Site) -> u32 {
    let object = execution.new_object(ObjectKind::Console, site, 0);
    execution.storage.console = Some(object);
    if let Some(recorder) = &mut execution.recorder {
        let name = Some("console".to_owned());
        recorder.object(ObjectKind::Console, site, name, crate::object::Shown::Nothing);
    }
    object
}

/// The lines printed so far.
pub fn console_lines() -> Result<Vec<String>, Absent> {
    if let Some(session) = backend::hosted() {
        return session.console_lines();
    }
    with(|execution| execution.outcome.console.clone())
}

/// Runs an oracle when every thread has ended; oracles run in the order in which they were given.
pub fn at_end(oracle: Box<dyn FnOnce()>) -> Result<(), Absent> {
    if let Some(session) = backend::hosted() {
        return session.at_end(oracle);
    }
    with(|execution| execution.storage.finals.push(oracle))
}

/// Virtual time since the execution began. Looking at it takes a little, so that loops that wait
/// for a time to pass end.
pub fn now() -> Result<Duration, Absent> {
    if let Some(session) = backend::hosted() {
        return session.now();
    }
    with(|execution| {
        if execution.driver.memory.is_some() {
            // What a thread sees must not depend on others that it did not synchronise with.
            return virtual_time(execution);
        }
        let looking = if execution.config.process { execution.look_time() } else { 1_000 };
        let now = execution.schedule.now().wrapping_add(looking);
        execution.schedule.advance_to(now);
        Duration::from_nanos(now)
    })
}

/// The running thread's own time: its events, a microsecond each, and what it slept or waited.
fn virtual_time(execution: &mut crate::execution::Execution) -> Duration {
    let thread = &mut execution.threads[execution.current as usize];
    thread.enumerated.slept += 1_000;
    Duration::from_nanos(u64::from(thread.time) * 1_000 + thread.enumerated.slept)
}

/// Lets virtual time pass without giving way.
pub fn advance(time: Duration) -> Result<(), Absent> {
    if let Some(session) = backend::hosted() {
        return session.sleep();
    }
    with(|execution| {
        let now = crate::ops::state::deadline(execution, time);
        execution.schedule.advance_to(now);
        crate::ops::state::sleeps(execution, time);
    })
}

/// Runs `f` on the running thread's value under `key`, made by `make` at first use. `None` once the
/// value has been destroyed.
pub fn with_local<T: 'static, R>(
    key: usize,
    make: impl FnOnce() -> T,
    f: impl FnOnce(&T) -> R,
) -> Result<Option<R>, Absent> {
    if let Some(session) = backend::hosted() {
        return hosted_slot(session, false, key, make, f);
    }
    with_slot(host_locals, key, || Box::new(make()), f)
}

/// The local values of the running thread; tasks share those of their host.
fn host_locals(execution: &mut crate::execution::Execution) -> &mut crate::locals::Locals {
    let host = execution.threads[execution.current as usize].origin.host;
    &mut execution.threads[host as usize].locals
}

/// Runs `f` on the execution's value under `key`, made by `make` at first use; it is dropped when
/// every thread has ended. `None` once it has been destroyed.
pub fn with_global<T: 'static, R>(
    key: usize,
    make: impl FnOnce() -> T,
    f: impl FnOnce(&T) -> R,
) -> Result<Option<R>, Absent> {
    if let Some(session) = backend::hosted() {
        return hosted_slot(session, true, key, make, f);
    }
    // Its place is there before any thread comes to it, as that of a static is: it was allocated by none.
    let boxed = || {
        let value = make();
        let _runtime = runtime_scope();
        Box::new(value)
    };
    with_slot(|execution| &mut execution.storage.globals, key, boxed, f)
}

fn hosted_slot<T: 'static, R>(
    session: &backend::Session,
    global: bool,
    key: usize,
    make: impl FnOnce() -> T,
    f: impl FnOnce(&T) -> R,
) -> Result<Option<R>, Absent> {
    let value = match session.slot(global, key) {
        Err(()) => return Ok(None),
        Ok(Some(value)) => value,
        Ok(None) => {
            let made: Box<dyn Any> = Box::new(make());
            let value: *const dyn Any = &raw const *made;
            session.put(global, key, made);
            value
        }
    };
    Ok(Some(f(in_slot(value))))
}

fn with_slot<T: 'static, R>(
    slots: impl Fn(&mut crate::execution::Execution) -> &mut crate::locals::Locals,
    key: usize,
    make: impl FnOnce() -> Box<T>,
    f: impl FnOnce(&T) -> R,
) -> Result<Option<R>, Absent> {
    let execution = current();
    if execution.is_null() {
        return Err(Absent::Outside);
    }
    // SAFETY: see `execution::with`; unlike there, values stay readable while threads are torn
    // down, for their destructors. No reference to the execution is live while `make` runs.
    let found = unsafe { slots(&mut *execution).state(key) };
    let value: *const dyn Any = match found {
        Err(()) => return Ok(None),
        Ok(Some(value)) => value,
        Ok(None) => {
            let made: Box<dyn Any> = make();
            let value: *const dyn Any = &raw const *made;
            let _runtime = runtime_scope();
            // SAFETY: as above.
            unsafe {
                (*execution).storage.any_locals = true;
                let slots = slots(&mut *execution);
                slots.insert(key, made);
                slots.note_type::<T>();
            }
            value
        }
    };
    Ok(Some(f(in_slot(value))))
}

fn in_slot<'a, T: 'static>(value: *const dyn Any) -> &'a T {
    // SAFETY: the value is boxed, so it stays where it is, and it is dropped only at the end of the
    // thread (or execution), after the last call that could be running with it.
    let value = unsafe { &*value };
    value.downcast_ref::<T>().expect("one key, one type")
}
