//! Failures of memory: uses after a release, releases that a use is not ordered before, uses of an
//! object whose creation they are not ordered behind.

use crate::alloc::Freed;
use crate::deadlock::name_of;
use crate::execution::{Absent, Execution, Phase};
use crate::failure::{Detected, identity};
use crate::race::Access;
use crate::record::Recorder;
use crate::schedule::fail_current;
use crate::site::Site;
use racefuzz_trace::{FailureDetail, FailureKind, ObjectId, OpKind, RacingAccess, SiteId, ThreadId, Verb};

/// Memory was misused, which is noted as the failure; the thread is to be unwound.
pub(crate) struct Misused;

/// Unwinds the thread that misused memory.
pub(crate) fn unwind<R>(_: Misused) -> Result<R, Absent> {
    Err(fail_current())
}

/// The execution ends here; whether nothing else has failed before.
fn is_first(execution: &mut Execution) -> bool {
    execution.set_phase(Phase::TearDown);
    execution.outcome.failure.is_none() && !crate::panics::report_unhandled(execution)
}

/// The release of a block, as the trace has it: a step of its own, or what came behind the last step
/// of a thread.
fn release(recorder: &mut Recorder, (thread, site, steps): Freed) -> RacingAccess {
    let events = &recorder.trace.events[..(steps as usize).min(recorder.trace.events.len())];
    let last = events.iter().rposition(|event| event.thread == ThreadId(thread));
    let site = match last {
        Some(step) if events[step].kind != OpKind::Free => events[step].site,
        _ => recorder.site(site),
    };
    RacingAccess { thread: ThreadId(thread), verb: Verb::Free, site, step: last.map(|step| step as u32) }
}

/// The place of a step, which a memory that enumerates executions does not know.
fn site_of(recorder: &mut Recorder, step: u32, otherwise: Site) -> SiteId {
    match step.checked_sub(1).and_then(|step| recorder.trace.events.get(step as usize)) {
        Some(event) => event.site,
        None => recorder.site(otherwise),
    }
}

/// A use, or a second release, of memory that was released.
#[cold]
pub(crate) fn use_after_free(
    execution: &mut Execution,
    object: u32,
    freed: Freed,
    verb: Verb,
    site: Site,
) -> Misused {
    if !is_first(execution) {
        return Misused;
    }
    let (me, step) = (execution.current, execution.schedule.steps);
    let detail = execution.recorder.as_mut().map(|recorder| FailureDetail::UseAfterFree {
        object: ObjectId(object),
        freed: release(recorder, freed),
        used: RacingAccess { thread: ThreadId(me), verb, site: recorder.site(site), step: None },
    });
    let what = if verb == Verb::Free { "released twice" } else { "used after it was released" };
    let (user, owner) = (name_of(execution, me), name_of(execution, freed.0));
    execution.outcome.failure = Some(Detected {
        kind: FailureKind::UseAfterFree,
        message: format!("memory was {what}: {} by {user}, released by {owner}", verb.word()),
        thread: ThreadId(me),
        step,
        identity: identity(FailureKind::UseAfterFree, [Some(freed.1), Some(site)]),
        detail,
    });
    Misused
}

/// A release of memory that a use of it is not ordered before.
#[cold]
pub(crate) fn used_before_free(
    execution: &mut Execution,
    object: u32,
    freed: Freed,
    used: Access,
) -> Misused {
    if !is_first(execution) {
        return Misused;
    }
    super::counted::fails_over(execution, (used.thread, used.time));
    let detail = execution.recorder.as_mut().map(|recorder| FailureDetail::UseAfterFree {
        object: ObjectId(object),
        freed: release(recorder, freed),
        used: RacingAccess {
            thread: ThreadId(used.thread),
            verb: used.verb,
            site: site_of(recorder, used.step, used.site),
            step: used.step.checked_sub(1),
        },
    });
    execution.outcome.failure = Some(Detected {
        kind: FailureKind::UseAfterFree,
        message: format!(
            "memory may be used after it was released: {} by {} and the release by {} are not ordered",
            used.verb.word(),
            name_of(execution, used.thread),
            name_of(execution, freed.0)
        ),
        thread: ThreadId(freed.0),
        step: execution.schedule.steps,
        identity: identity(FailureKind::UseAfterFree, [Some(freed.1), Some(used.site)]),
        detail,
    });
    Misused
}

/// A use of an object whose creation does not happen before it.
#[cold]
pub(crate) fn unsafe_publication(execution: &mut Execution, object: u32, verb: Verb, site: Site) -> Misused {
    if !is_first(execution) {
        return Misused;
    }
    let (me, step) = (execution.current, execution.schedule.steps);
    let entry = &execution.objects[object as usize];
    let (kind, created, birth) = (entry.kind, entry.created, entry.birth);
    let maker = birth.thread;
    super::counted::fails_over(execution, (maker, birth.time));
    let detail = execution.recorder.as_mut().map(|recorder| FailureDetail::DataRace {
        object: ObjectId(object),
        first: RacingAccess {
            thread: ThreadId(maker),
            verb: Verb::Create,
            site: recorder.site(created),
            step: None,
        },
        second: RacingAccess { thread: ThreadId(me), verb, site: recorder.site(site), step: None },
    });
    execution.outcome.failure = Some(Detected {
        kind: FailureKind::DataRace,
        message: format!(
            "data race on {} {}: {} by {} and {} by {} are not ordered",
            if kind.word().starts_with(['a', 'o']) { "an" } else { "a" },
            kind.word(),
            Verb::Create.word(),
            name_of(execution, maker),
            verb.word(),
            name_of(execution, me),
        ),
        thread: ThreadId(me),
        step,
        identity: identity(FailureKind::DataRace, [Some(created), Some(site)]),
        detail,
    });
    Misused
}
