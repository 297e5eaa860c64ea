//! Non-atomic accesses.
//!
//! They are no scheduling points: in a program without data races their order is fixed by other
//! events, and a race is found whatever their order.

use crate::deadlock::name_of;
use crate::execution::{Absent, Execution, free_event};
use crate::explorer::Op;
use crate::failure::{Detected, identity};
use crate::foreign;
use crate::object::Primitive;
use crate::overlay;
use crate::race::Access;
use crate::schedule::fail_current;
use crate::site::Site;
use racefuzz_trace::{
    FailureDetail, FailureKind, MemoryOrder, ObjectId, OpKind, RacingAccess, ThreadId, Verb,
};

/// A non-atomic read.
#[inline]
pub fn read<P: Primitive + ?Sized>(primitive: &P, verb: Verb, site: Site) -> Result<(), Absent> {
    access(primitive, OpKind::Read, verb, site)
}

/// A non-atomic write.
#[inline]
pub fn write<P: Primitive + ?Sized>(primitive: &P, verb: Verb, site: Site) -> Result<(), Absent> {
    access(primitive, OpKind::Write, verb, site)
}

fn access<P: Primitive + ?Sized>(primitive: &P, kind: OpKind, verb: Verb, site: Site) -> Result<(), Absent> {
    if let Some(session) = foreign::hosted(primitive, verb, site) {
        return session.cell(primitive, kind == OpKind::Write);
    }
    overlay::before(site, |execution| execution.resolve(primitive, verb, site).ok())?;
    let raced = free_event(|execution| {
        let object = execution.resolve(primitive, verb, site)?;
        execution.admit_birth(object, verb, site)?;
        let op = Op { kind, verb, order: MemoryOrder::Plain, object, lock: false };
        let now = execution.event(&op);
        if !super::graphed::is_real(execution) {
            return Ok(false);
        }
        if execution.driver.memory.is_some() {
            super::counted::uses_cell(execution, object);
            execution.threads[now.thread as usize].enumerated.writes_cells |= kind == OpKind::Write;
        }
        if !execution.asks_for_clocks() {
            execution.complete(&now, &op, 0);
            execution.record(&op, site, |_, _| {});
            return Ok(false);
        }
        let access = Access { thread: now.thread, time: now.time, step: now.write.step, verb, site };
        let clock = &execution.threads[now.thread as usize].clock;
        let entry = &mut execution.objects[object as usize];
        let race = match kind {
            OpKind::Write => entry.cell.accesses.write(access, clock),
            _ => entry.cell.accesses.read(access, clock),
        };
        execution.complete(&now, &op, 0);
        execution.record(&op, site, |_, _| {});
        let Some(other) = race else { return Ok(false) };
        super::counted::fails_over(execution, (other.thread, other.time));
        fail_race(
            execution,
            object,
            (other.thread, other.verb, Some(other.site), other.step),
            (now.thread, verb, site),
        );
        Ok(true)
    })?
    .or_else(super::misuse::unwind)?;
    if raced { Err(fail_current()) } else { Ok(()) }
}

/// Notes a data race between an earlier access (thread, verb, site, step from 1) and the present one.
pub(super) fn fail_race(
    execution: &mut Execution,
    object: u32,
    first: (u32, Verb, Option<Site>, u32),
    second: (u32, Verb, Site),
) {
    execution.set_phase(crate::execution::Phase::TearDown);
    if execution.outcome.failure.is_some() || crate::panics::report_unhandled(execution) {
        return;
    }
    let step = execution.schedule.steps;
    let kind = execution.objects[object as usize].kind;
    let detail = execution.recorder.as_mut().map(|recorder| {
        let second_site = recorder.site(second.2);
        let first_site = match first.2 {
            Some(site) => recorder.site(site),
            None => recorder
                .trace
                .events
                .get(first.3.saturating_sub(1) as usize)
                .map_or(second_site, |event| event.site),
        };
        FailureDetail::DataRace {
            object: ObjectId(object),
            first: RacingAccess {
                thread: ThreadId(first.0),
                verb: first.1,
                site: first_site,
                step: first.3.checked_sub(1),
            },
            second: RacingAccess {
                thread: ThreadId(second.0),
                verb: second.1,
                site: second_site,
                step: step.checked_sub(1),
            },
        }
    });
    execution.outcome.failure = Some(Detected {
        kind: FailureKind::DataRace,
        message: format!(
            "data race on a {}: {} by {} and {} by {} are not ordered",
            kind.word(),
            first.1.word(),
            name_of(execution, first.0),
            second.1.word(),
            name_of(execution, second.0)
        ),
        thread: ThreadId(second.0),
        step,
        identity: identity(FailureKind::DataRace, [first.2, Some(second.2)]),
        detail,
    });
}
