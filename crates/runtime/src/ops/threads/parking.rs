//! Park tokens.

use crate::execution::{Absent, Execution, enter, mix, with};
use crate::explorer::Op;
use crate::foreign;
use crate::ops::{choose_spurious, graphed, state};
use crate::overlay;
use crate::schedule::post;
use crate::schedule::visible;
use crate::site::Site;
use crate::thread::{Condition, Pending, Thread, ThreadState};
use racefuzz_trace::{MemoryOrder, OpKind, ThreadId, Verb};
use std::time::Duration;

/// The pseudo-object of a thread's park token.
pub(crate) const fn token_object(thread: u32) -> u32 {
    0x8000_0000 | thread
}

/// The thread whose park token this pseudo-object is.
pub(crate) const fn token_owner(object: u32) -> Option<u32> {
    match object >> 30 {
        2 => Some(object & 0x3fff_ffff),
        _ => None,
    }
}
fn token_op(verb: Verb, thread: u32) -> Op {
    Op { kind: OpKind::Rmw, verb, order: MemoryOrder::AcqRel, object: token_object(thread), lock: false }
}

/// Waits for the running thread's park token, for `timeout` at most, and takes it. Whether it was
/// woken by a token (and not by the timeout, or for no reason).
pub fn park(timeout: Option<Duration>, site: Site) -> Result<bool, Absent> {
    if let Some(session) = foreign::hosted_alone(Some(Verb::Park), site) {
        return session.park(timeout);
    }
    overlay::before_local(site)?;
    if choose_spurious() {
        return Ok(false);
    }
    let (op, deadline) = enter(|execution| {
        let deadline = timeout.map(|timeout| state::deadline(execution, timeout));
        (token_op(Verb::Park, execution.threads[execution.current as usize].origin.host), deadline)
    })?;
    let (deadline, expires) = with(|execution| state::choose_timeout(execution, deadline))?;
    // With a token to take it would not time out.
    let condition = if expires { Condition::NoToken } else { Condition::Token };
    post(Pending { op, site, condition, deadline, invisible: false })?;
    with(|execution| {
        let now = execution.event(&op);
        let me = now.thread as usize;
        let host = execution.threads[me].origin.host as usize;
        execution.threads[me].waiting.timed_out |= expires;
        if execution.driver.memory.is_some() {
            // What comes next may be a join, which has no limit.
            execution.threads[me].enumerated.timed = false;
        }
        let had = u64::from(execution.threads[host].waiting.token);
        let timed_out = std::mem::take(&mut execution.threads[me].waiting.timed_out);
        let owner = &mut execution.threads[host];
        let woken = std::mem::take(&mut owner.waiting.token);
        if woken {
            let mut token = std::mem::take(&mut owner.coherence.token_clock);
            execution.threads[me].clock.join(&token);
            token.clear();
            execution.threads[host].coherence.token_clock = token;
        }
        if woken {
            refuse_to_expire(execution, host as u32);
        }
        graphed::stepped(execution, &now, &op, (had, 0), true);
        execution.order.class = execution.order.class.wrapping_add(mix(now.write.event, u64::from(woken)));
        execution.complete(&now, &op, u64::from(woken));
        execution.record(&op, site, |_, event| {
            event.ok = woken;
            if timed_out {
                event.text = Some("timed out".into());
            }
        });
        if !woken {
            execution.give_way_again(site);
        }
        woken
    })
}

/// A token has come, or has been taken: parks whose time is to be up while there is none, of the
/// threads that this one hosts, may not happen any more, or may now.
fn refuse_to_expire(execution: &mut Execution, host: u32) {
    if execution.driver.memory.is_none() {
        return;
    }
    for thread in 0..execution.schedule.thread_count as u32 {
        let entry = &execution.threads[thread as usize];
        let waits =
            thread != execution.current && entry.state == ThreadState::Live && entry.origin.host == host;
        if waits && matches!(entry.pending.condition, Condition::NoToken) {
            execution.reconsider(thread);
        }
    }
}

/// Gives a thread its park token: a step.
pub fn unpark(thread: ThreadId, site: Site) -> Result<(), Absent> {
    if let Some(session) = foreign::hosted_alone(Some(Verb::Unpark), site) {
        return session.unpark(thread.0);
    }
    overlay::before_local(site)?;
    let op = token_op(Verb::Unpark, thread.0);
    post(visible(op, site))?;
    with(|execution| {
        let now = execution.event(&op);
        let (me, target) = (now.thread as usize, thread.index());
        if target >= execution.schedule.thread_count {
            return;
        }
        let clock = std::mem::take(&mut execution.threads[me].clock);
        let entry = &mut execution.threads[target];
        entry.coherence.token_clock.join(&clock);
        let had = std::mem::replace(&mut entry.waiting.token, true);
        let host = entry.origin.host;
        let order = entry.event_at(entry.time);
        execution.threads[me].clock = clock;
        execution.order.class = execution.order.class.wrapping_add(mix(now.write.event, order));
        debug_assert_eq!(host, thread.0, "a token belongs to a thread that hosts itself");
        graphed::stepped(execution, &now, &op, (had.into(), 1), true);
        let waits = |entry: &Thread| {
            entry.origin.host == thread.0
                && entry.waiting.blocked
                && matches!(entry.pending.condition, Condition::Token)
        };
        let waiter = match &execution.threads[target] {
            entry if waits(entry) => Some(target),
            entry if entry.origin.children == 0 => None,
            // It may be a task of the thread that waits.
            _ => execution.threads[..execution.schedule.thread_count].iter().position(waits),
        };
        if !had {
            if let Some(waiter) = waiter {
                execution.reconsider(waiter as u32);
            }
            refuse_to_expire(execution, thread.0);
        }
        execution.complete(&now, &op, u64::from(thread.0));
        // As with notifications: `other` names the thread only if it was waiting.
        execution.record(&op, site, |_, event| {
            event.other = waiter.map(|waiter| ThreadId(waiter as u32)).or(Some(thread));
            event.ok = waiter.is_some();
        });
    })
}
