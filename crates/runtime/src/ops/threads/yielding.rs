//! Giving way: to whoever is there, or for some time.

use crate::backend;
use crate::execution::{Absent, Execution, enter, free_event, with};
use crate::ops::{graphed, local_op, state};
use crate::overlay;
use crate::schedule::post;
use crate::schedule::visible;
use crate::site::Site;
use crate::thread::Condition;
use racefuzz_trace::Verb;
use std::time::Duration;

/// What giving way is where graphs are explored.
enum Graphed {
    /// They are not.
    No,
    GivesWay,
    /// The thread has just given way here, more than once: nothing changes by it. Whether that was its last step.
    Still {
        spent: bool,
    },
}

/// The running thread gives way to the others.
pub fn yield_now(verb: Verb, site: Site) -> Result<(), Absent> {
    if let Some(session) = backend::hosted() {
        return session.yield_now();
    }
    let op = local_op(verb);
    let graphed = overlay::before_local(site).and_then(|()| {
        enter(|execution| {
            if execution.driver.memory.is_none() {
                execution.give_way_again(site);
                return Graphed::No;
            }
            if execution.gives_way_still(&op, site) {
                return Graphed::Still { spent: execution.is_spent() };
            }
            execution.give_way_again(site);
            Graphed::GivesWay
        })
    });
    match graphed.inspect_err(|absent| crate::schedule::waited_in_vain(*absent))? {
        Graphed::No => {}
        Graphed::Still { spent: false } => return Ok(()),
        Graphed::Still { spent: true } => return crate::schedule::step_limit(),
        // It commutes with everything.
        Graphed::GivesWay => {
            return free_event(|execution| {
                let now = execution.event(&op);
                execution.complete(&now, &op, 0);
                execution.record(&op, site, |_, _| {});
                graphed::gives_way(execution);
            });
        }
    }
    post(visible(op, site))?;
    with(|execution| {
        let now = execution.event(&op);
        execution.complete(&now, &op, 0);
        execution.record(&op, site, |_, _| {});
    })
}

/// The running thread is not offered again until another one has acted: no step.
pub fn give_way() -> Result<(), Absent> {
    if let Some(session) = backend::hosted() {
        return session.sleep();
    }
    with(Execution::give_way)
}

/// The running thread sleeps: a step, after which virtual time has passed. Any other thread may run
/// meanwhile, and none must: a sleep orders nothing. In a program that is a process of its own it is a wait that
/// ends when its time is up.
pub fn sleep(time: Duration, site: Site) -> Result<(), Absent> {
    if let Some(session) = backend::hosted() {
        return session.sleep();
    }
    overlay::before_local(site)?;
    let op = local_op(Verb::Sleep);
    let mut pending = visible(op, site);
    let wake = enter(|execution| {
        if execution.config.process && execution.driver.memory.is_none() {
            let wake = state::deadline(execution, time);
            (pending.condition, pending.deadline) = (Condition::Elapsed, Some(wake));
            return wake;
        }
        pending.invisible = execution.driver.memory.is_some();
        state::sleeps(execution, time);
        execution.give_way_again(site);
        state::deadline(execution, time)
    })?;
    post(pending)?;
    with(|execution| {
        execution.schedule.advance_to(wake);
        execution.running().waiting.timed_out = false;
        let now = execution.event(&op);
        execution.complete(&now, &op, 0);
        execution.record(&op, site, |_, event| event.text = Some(format!("{time:?}")));
        if execution.driver.memory.is_some() {
            graphed::gives_way(execution);
        }
    })
}
