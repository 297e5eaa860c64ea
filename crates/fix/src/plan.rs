//! The search as a whole: the program as it is, the repairs, and what is reported of both.

use crate::graph_engine::Graphs;
use crate::kinds::Kinds;
use crate::options::{Limit, Observer, Options};
use crate::rank;
use crate::search::{Search, Seen};
use crate::verifier::{Bad, Verifier};
use racefuzz_trace::{
    Baseline, Certainty, FORMAT_VERSION, Failure, FailureDetail, FailureKind, Fix, FixReport, ObjectKind,
    Schedule, Trace, Verdict,
};

/// Searches for repairs of the program.
pub fn fix(options: &Options, program: &(dyn Fn() + Sync)) -> FixReport {
    fix_watched(options, program, &())
}

/// The same, watched.
pub fn fix_watched(options: &Options, program: &(dyn Fn() + Sync), observer: &dyn Observer) -> FixReport {
    #[cfg(feature = "tracing")]
    let _span = tracing::info_span!("fix", program = options.program).entered();
    let limits = options.limits();
    let limit = Limit::new(&limits, observer);
    let search = |options: &Options| {
        fix_with(options, program, Box::new(Graphs::new(program, options.check(), limit)), limit)
    };
    let report = search(options);
    if report.failure.is_some() || report.stopped.is_some() || options.settings.inject.spurious {
        return report;
    }
    // A wait may end for no reason, wherever the program runs. It multiplies executions, so that only a
    // program that nothing else breaks is searched with it.
    let mut spurious = options.clone();
    spurious.settings.inject.spurious = true;
    let with_spurious = search(&spurious);
    if with_spurious.failure.is_some() { with_spurious } else { report }
}

/// The same with a verifier of the caller's.
pub fn fix_with<'a>(
    options: &'a Options,
    program: &'a (dyn Fn() + Sync),
    verifier: Box<dyn Verifier + 'a>,
    limit: Limit<'a>,
) -> FixReport {
    let mut search = Search::new(options, program, verifier, limit);
    let mut seen = search.look();
    let (failure, sampled) = match unrepeatable(&search) {
        None if seen.failing > 0 || !seen.complete => search.sample(),
        found => (found, 0),
    };
    let failure = failure.or_else(|| failure_of(&search));
    let mut known = failure.clone();
    while let Some(again) = search.look_again() {
        // What is shown can be replayed, which has no such steps.
        (seen, known) = (again, search.sample().0);
    }
    let mut report = FixReport {
        version: FORMAT_VERSION,
        program: options.program.clone(),
        settings: options.settings.clone(),
        baseline: baseline(&seen),
        failure,
        holds: None,
        no_lock: None,
        fixes: Vec::new(),
        notes: Vec::new(),
        tried: 0,
        executions: 0,
        stopped: None,
    };
    match &report.failure {
        None => {
            let certainty = if seen.complete { Certainty::Verified } else { Certainty::Sampled };
            let executions = seen.executions + sampled;
            report.holds = Some(Verdict { certainty, memory: search.memory(), executions });
        }
        Some(failure) if is_unrepeatable(failure.kind, Some(&failure.detail)) => {
            let note = "nothing can be tried on a program whose executions racefuzz does not determine";
            report.notes.push(note.to_owned());
        }
        Some(failure) => {
            let failure = failure.clone();
            if !seen.complete {
                search.sample_kinds();
            }
            known.into_iter().for_each(|known| search.remember(crate::search::bad_of(known)));
            let Kinds { mut found, no_lock, notes, .. } = Kinds::tried(&mut search, failure);
            rank::keep(&mut found, seen.good.sum().filter(|_| seen.complete));
            let found: Vec<_> = found.into_iter().map(|(fix, _)| fix).collect();
            report.fixes = rank::rank(&found, &report.baseline, is_lock_free(&search));
            (report.no_lock, report.notes) = (no_lock, notes);
            if locks_left_out(&found, &report.fixes) {
                report
                    .notes
                    .push("locks repair it, too; stronger orderings are enough and cost less".to_owned());
            }
        }
    }
    (report.tried, report.executions) = (search.tried, search.executions);
    report.stopped = limit.words();
    report
}

/// Whether no lock of the program's has been seen.
fn is_lock_free(search: &Search<'_>) -> bool {
    let traces = search.traces.iter().chain(search.known.iter().map(|known| &known.bad.trace));
    let locks = |trace: &Trace| {
        trace.objects.iter().any(|object| matches!(object.kind, ObjectKind::Mutex | ObjectKind::RwLock))
    };
    search.weak && !traces.into_iter().any(locks)
}

/// Whether an execution fails so because something besides its schedule decides it.
fn is_unrepeatable(kind: FailureKind, detail: Option<&FailureDetail>) -> bool {
    kind == FailureKind::Nondeterminism || matches!(detail, Some(FailureDetail::Unseen(_)))
}

/// Whether locks repair and are not worth their price.
fn locks_left_out(found: &[Fix], shown: &[Fix]) -> bool {
    let locks = |fixes: &[Fix]| fixes.iter().any(|fix| fix.kind.is_lock());
    locks(found) && !locks(shown)
}

fn baseline(seen: &Seen) -> Baseline {
    Baseline {
        executions: seen.executions,
        complete: seen.complete,
        failing: seen.failing,
        weak_only: seen.weak_only,
        schedules: seen.all.sum().filter(|_| seen.complete),
        good: seen.good.sum().filter(|_| seen.complete),
        parallelism: seen.spans.parallelism().or_else(|| seen.any_spans.parallelism()),
    }
}

/// The first bad execution that exploring has met, where sampling meets none.
fn failure_of(search: &Search<'_>) -> Option<Failure> {
    Some(checked(search, &search.known.first()?.bad))
}

/// What makes executions differ though their schedule is the same, if exploring has met that.
pub(crate) fn unrepeatable(search: &Search<'_>) -> Option<Failure> {
    let known =
        search.known.iter().find(|known| is_unrepeatable(known.bad.kind, known.bad.detail.as_ref()))?;
    Some(checked(search, &known.bad))
}

/// A bad execution that exploring has met, as a failure.
fn checked(search: &Search<'_>, bad: &Bad) -> Failure {
    let settings = search.options.settings.clone();
    Failure {
        kind: bad.kind,
        message: bad.message.clone(),
        thread: bad.thread,
        step: bad.step,
        detail: bad.detail.clone().unwrap_or(FailureDetail::Panic { site: None, at_end: false }),
        iteration: 0,
        found_by: "check".to_owned(),
        trace: bad.trace.clone(),
        decision: None,
        schedule: Schedule {
            program: search.options.program.clone(),
            settings,
            fingerprint: 0,
            choices: Vec::new(),
        },
    }
}
