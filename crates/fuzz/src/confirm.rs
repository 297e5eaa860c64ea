//! From an execution that failed to a failure that can be shown.

use crate::log::{fingerprint, first_difference, words};
use crate::minimise::minimise;
use crate::options::Options;
use crate::schedule_runner::ScheduleRunner;
use racefuzz_runtime::{Detected, Ended, Record};
use racefuzz_trace::{
    Choice, Failure, FailureDetail, FailureKind, Schedule, Settings, ThreadEnd, ThreadId, ThreadInfo, Trace,
};

/// An execution that failed.
pub(crate) struct Caught {
    pub(crate) found: Found,
    pub(crate) detected: Detected,
    pub(crate) choices: Vec<Choice>,
    pub(crate) log: Vec<u64>,
    pub(crate) left_over: Vec<String>,
    pub(crate) count_points: bool,
    /// Something outside of racefuzz's types acted.
    pub(crate) unseen: bool,
    /// The execution, if another one would not show the failure.
    pub(crate) shown: Option<Trace>,
}

/// How a failure was come by.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) iteration: u64,
    pub(crate) found_by: &'static str,
    pub(crate) settings: Settings,
}

impl Found {
    pub(crate) fn failure(
        self,
        program: &str,
        detected: Detected,
        trace: Trace,
        choices: &[Choice],
    ) -> Failure {
        let mut schedule = Schedule {
            program: program.to_owned(),
            settings: self.settings,
            fingerprint: fingerprint(&trace),
            choices: choices.to_vec(),
        };
        schedule.choices.truncate(schedule.trimmed().len());
        Failure {
            kind: detected.kind,
            message: detected.message,
            thread: detected.thread,
            step: detected.step,
            detail: detected.detail.unwrap_or(FailureDetail::Panic { site: None, at_end: false }),
            iteration: self.iteration,
            found_by: self.found_by.to_owned(),
            trace,
            schedule,
            decision: None,
        }
    }
}

/// Repeats a failing execution, makes it as short as it will go, and records it.
pub(crate) fn confirm(runner: &mut ScheduleRunner<'_>, options: &Options, mut caught: Caught) -> Failure {
    #[cfg(feature = "tracing")]
    let _span = tracing::debug_span!("confirm", iteration = caught.found.iteration).entered();
    let program = &options.program;
    if let Some(trace) = caught.shown.take() {
        return caught.found.failure(program, caught.detected, trace, &caught.choices);
    }
    if options.process && (caught.detected.kind == FailureKind::StepLimit || caught.detected.step > LONG) {
        return unrecorded(program, caught);
    }
    runner.count_points(caught.count_points);
    crate::guard::at(caught.found.iteration, caught.count_points);
    runner.set_hurry(caught.unseen);
    let (again, _) = runner.run(&caught.choices, Record::Trace);
    runner.set_hurry(false);
    if caught.unseen || again.unseen {
        // It need not come again, and nothing is known of what else may.
        let detected = again.failure.filter(|_| again.unseen).unwrap_or(caught.detected);
        let trace = again.trace.unwrap_or_else(|| unreachable!("it was recorded"));
        return caught.found.failure(program, detected, trace, &caught.choices);
    }
    let differs = {
        let trace = again.trace.as_ref().unwrap_or_else(|| unreachable!("it was recorded"));
        first_difference(&caught.log, runner.log(), trace)
    };
    if differs.is_some() || identity(&again) != Some(caught.detected.identity) {
        return nondeterminism(runner, program, caught, again, differs);
    }
    let choices = match options.minimise {
        true => minimise(runner, caught.detected.identity, &caught.choices),
        false => caught.choices.clone(),
    };
    let (last, _) = runner.run(&choices, Record::Trace);
    let Ended { failure: Some(detected), trace: Some(trace), .. } = last else {
        let differs = Some(runner.log().len());
        return nondeterminism(runner, program, caught, again, differs);
    };
    caught.found.failure(program, detected, trace, runner.choices())
}

/// Steps of an execution of an unmodified program that is still recorded: many times what anybody reads, and some
/// hundred megabytes.
const LONG: u32 = 300_000;

/// A failure of an execution that is too long to be recorded.
fn unrecorded(program: &str, caught: Caught) -> Failure {
    let thread = |id| ThreadInfo {
        id: ThreadId(id),
        name: None,
        parent: None,
        spawned_at: None,
        task: false,
        epilogue_of: None,
        end: ThreadEnd::Stopped { site: None },
    };
    let trace = Trace {
        memory: caught.found.settings.memory,
        threads: (0..=caught.detected.thread.0).map(thread).collect(),
        objects: Vec::new(),
        sites: Vec::new(),
        events: Vec::new(),
    };
    let detected = Detected { detail: None, ..caught.detected };
    caught.found.failure(program, detected, trace, &caught.choices)
}

pub(crate) fn identity(ended: &Ended) -> Option<u64> {
    ended.failure.as_ref().map(|detected| detected.identity)
}

fn nondeterminism(
    runner: &ScheduleRunner<'_>,
    program: &str,
    caught: Caught,
    again: Ended,
    differs: Option<usize>,
) -> Failure {
    let trace = again.trace.unwrap_or_else(|| unreachable!("it was recorded"));
    let (step, expected, found) = match differs {
        Some(step) => (step, words(caught.log.get(step), &trace), words(runner.log().get(step), &trace)),
        None => {
            let found = match &again.failure {
                Some(detected) => format!("{}: {}", detected.kind, detected.message),
                None => "no failure".to_owned(),
            };
            (caught.log.len(), format!("{}: {}", caught.detected.kind, caught.detected.message), found)
        }
    };
    let mut left_over = caught.left_over;
    for object in again.left_over {
        if !left_over.contains(&object) {
            left_over.push(object);
        }
    }
    let unrepeated = match (&again.failure, &caught.detected) {
        (Some(same), first) if same.identity == first.identity => None,
        (_, first) => Some(format!("{}: {}", first.kind, first.message)),
    };
    let does_not_repeat = match &unrepeated {
        Some(first) => format!("{first} (which does not repeat); "),
        None => String::new(),
    };
    let detected = Detected {
        kind: FailureKind::Nondeterminism,
        message: format!(
            "{does_not_repeat}the program behaves differently under the same schedule: step {} was `{expected}` in one \
             run and `{found}` in the next",
            step + 1
        ),
        step: step as u32,
        detail: Some(FailureDetail::Nondeterminism {
            step: step as u32,
            expected,
            found,
            left_over,
            kept: false,
            unrepeated,
        }),
        ..caught.detected
    };
    caught.found.failure(program, detected, trace, &caught.choices)
}
