//! What all kinds of repair share: trying an overlay, and remembering what came out.

use crate::clause::{Clause, clause, clause_of_sections};
use crate::conditional_waits::without_waits;
use crate::count::Schedules;
use crate::dfs::Dfs;
use crate::graph::Graph;
use crate::hidden::Hidden;
use crate::options::{Limit, Options, Progress};
use crate::sites::Sites;
use crate::span::Spans;
use crate::stretches::Stretches;
use crate::updates::unfolded;
use crate::verifier::{Bad, Go, Task, Verifier, Visit};
use racefuzz_runtime::Config;
use racefuzz_trace::{
    Certainty, Failure, FailureDetail, MemoryModel, ObjectKind, OpKind, Overlay, Parallelism, Trace, Verdict,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A bad execution with what follows from it.
pub(crate) struct Known {
    pub(crate) bad: Bad,
    pub(crate) graph: Graph,
    pub(crate) clause: Clause,
}

/// What an overlay that repairs leaves.
#[derive(Clone)]
pub(crate) struct Measured {
    pub(crate) verdict: Verdict,
    pub(crate) schedules: Option<u128>,
    pub(crate) parallelism: Option<Parallelism>,
    pub(crate) one_output: bool,
    /// Where its locks were held, in all executions.
    pub(crate) stretches: Stretches,
    /// A few executions, to see what regions do.
    pub(crate) traces: Vec<Trace>,
}

/// What came out of trying an overlay.
#[derive(Clone)]
pub(crate) enum Tried {
    Good(Arc<Measured>),
    Bad(Arc<Bad>),
    /// The search ended before that was known.
    Unknown,
}

impl Tried {
    pub(crate) fn good(self) -> Option<Arc<Measured>> {
        match self {
            Self::Good(measured) => Some(measured),
            Self::Bad(_) | Self::Unknown => None,
        }
    }
}

/// The program as it is.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) executions: u64,
    pub(crate) complete: bool,
    pub(crate) failing: u64,
    /// All executions in which each load returns the newest store were explored, and pass.
    pub(crate) weak_only: bool,
    pub(crate) all: Schedules,
    pub(crate) good: Schedules,
    pub(crate) spans: Spans,
    /// Failing executions included.
    pub(crate) any_spans: Spans,
    outputs: BTreeSet<Vec<String>>,
}

impl Seen {
    /// Whether every execution prints the same lines, and prints some.
    pub(crate) fn one_output(&self) -> bool {
        self.outputs.len() == 1 && !self.outputs.contains(&Vec::new())
    }
}

pub(crate) struct Search<'a> {
    pub(crate) options: &'a Options,
    pub(crate) program: &'a (dyn Fn() + Sync),
    pub(crate) verifier: Box<dyn Verifier + 'a>,
    /// Explores interleavings, in which each load returns the newest store: to count schedules.
    counter: Dfs<'a>,
    pub(crate) sites: Sites,
    pub(crate) known: Vec<Known>,
    /// Some executions of the program as it is, and those of them that do not fail.
    pub(crate) traces: Vec<Trace>,
    good: Vec<usize>,
    /// Whether a load may return anything but the newest store.
    pub(crate) weak: bool,
    /// Critical sections count as steps, and steps alone do not.
    sections: bool,
    results: HashMap<(Overlay, MemoryModel), Tried>,
    pub(crate) hidden: Hidden,
    pub(crate) tried: u64,
    pub(crate) executions: u64,
    pub(crate) limit: Limit<'a>,
}

/// Bad executions kept of one message, and of all.
const KEPT_ALIKE: usize = 4;
const KEPT: usize = 24;
const TRACES: usize = 16;

impl<'a> Search<'a> {
    pub(crate) fn new(
        options: &'a Options,
        program: &'a (dyn Fn() + Sync),
        verifier: Box<dyn Verifier + 'a>,
        limit: Limit<'a>,
    ) -> Self {
        let config = Config { max_steps: 400, ..options.config() };
        let counter = Dfs::new(program, config, limit);
        Self {
            options,
            program,
            verifier,
            counter,
            sites: Sites::default(),
            known: Vec::new(),
            traces: Vec::new(),
            good: Vec::new(),
            weak: false,
            sections: false,
            results: HashMap::new(),
            hidden: Hidden::default(),
            tried: 0,
            executions: 0,
            limit,
        }
    }

    /// Some executions of the program as it is that do not fail.
    pub(crate) fn good_traces(&self) -> impl Iterator<Item = &Trace> {
        self.good.iter().map(|at| &self.traces[*at])
    }

    pub(crate) fn memory(&self) -> MemoryModel {
        self.options.settings.memory
    }

    pub(crate) fn out_of_time(&self) -> bool {
        self.limit.reached().is_some()
    }

    /// Explores the program as it is.
    pub(crate) fn look(&mut self) -> Seen {
        let mut seen = Seen::default();
        let mut bads = Vec::new();
        let (mut traces, mut good) = (Vec::new(), Vec::new());
        let none = Overlay::default();
        let memory = self.memory();
        let task = Task { overlay: &none, memory, budget: self.options.budget };
        let mut weak = false;
        let knows_origins = self.options.knows_origins;
        let explored = self.verifier.explore(task, &mut |ended| {
            let trace = ended.trace;
            weak |= memory != MemoryModel::Sc && is_weak(trace);
            if ended.failure.is_some() {
                seen.failing += 1;
                bads.extend(worth_keeping(&bads, ended));
            } else {
                seen.spans.add(trace);
            }
            seen.any_spans.add(trace);
            if seen.outputs.len() < 2 {
                seen.outputs.insert(trace.console().map(str::to_owned).collect());
            }
            if !weak {
                add(&mut seen, ended, trace);
            }
            if traces.len() < TRACES {
                if ended.failure.is_none() {
                    good.push(traces.len());
                }
                traces.push(told(trace.clone(), knows_origins));
            }
            Go::On
        });
        (self.weak, self.good) = (weak, good);
        self.executions += explored.executions;
        (seen.executions, seen.complete) = (explored.executions, explored.complete);
        let unseen = |bad: &Bad| matches!(bad.detail, Some(FailureDetail::Unseen(_)));
        if weak && !bads.iter().any(unseen) {
            // Schedules are orders of steps, which weak executions are not: they are counted apart.
            (seen.all, seen.good) = Default::default();
            let task = Task { memory: MemoryModel::Sc, ..task };
            let mut all_pass = true;
            let explored = self.counter.explore(task, &mut |ended| {
                all_pass &= ended.failure.is_none();
                add(&mut seen, ended, ended.trace);
                Go::On
            });
            self.executions += explored.executions;
            seen.complete &= explored.complete;
            seen.weak_only = all_pass && explored.complete && explored.executions > 0;
        }
        for trace in &traces {
            self.sites.learn(trace);
        }
        self.traces = traces;
        bads.into_iter().for_each(|bad| self.remember(bad));
        seen
    }

    /// Forgets what is known of bad executions, and of what came out of changes.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
        self.results.clear();
    }

    /// Samples the program as it is: the first failure, and how many executions there were.
    pub(crate) fn sample(&mut self) -> (Option<Failure>, u64) {
        let report = self.fuzz(&Overlay::default(), 10_000, false);
        let executions = report.stats.executions;
        (report.failures.into_iter().next(), executions)
    }

    /// Samples bad executions of many kinds, where exploring has seen only a corner.
    pub(crate) fn sample_kinds(&mut self) {
        let report = self.fuzz(&Overlay::default(), self.options.samples, true);
        for failure in report.failures {
            self.remember(bad_of(failure));
        }
    }

    fn fuzz(&mut self, overlay: &Overlay, iterations: u64, keep_going: bool) -> racefuzz_trace::RunReport {
        let options = racefuzz_fuzz::Options {
            program: self.options.program.clone(),
            seed: self.options.seed,
            iterations,
            keep_going,
            settings: self.options.settings.clone(),
            stack_size: self.options.stack_size,
            roots: self.options.roots.clone(),
            process: self.options.process,
            overlay: (!overlay.is_empty()).then(|| Arc::new(overlay.clone())),
            // That of the search as a whole holds.
            max_memory: None,
            ..racefuzz_fuzz::Options::default()
        };
        let report = racefuzz_fuzz::fuzz(&options, self.program, &self.limit);
        self.executions += report.stats.executions;
        report
    }

    /// Learns from a bad execution.
    pub(crate) fn remember(&mut self, bad: Bad) {
        let bad = Bad { trace: told(bad.trace, self.options.knows_origins), ..bad };
        self.sites.learn(&bad.trace);
        if let Some(FailureDetail::DataRace { first, second, .. }) = &bad.detail {
            for access in [first, second] {
                self.hidden.race(bad.trace.site(access.site));
            }
        }
        let (clause, graph) = match self.sections {
            true => clause_of_sections(&bad, &mut self.sites),
            false => {
                let (clause, graph, sections) = clause(&bad, &mut self.sites);
                self.sections = sections;
                (clause, graph)
            }
        };
        self.known.push(Known { bad, graph, clause });
    }

    /// Reads off every bad execution what its critical sections say in place of its steps; whether that says
    /// anything.
    pub(crate) fn take_sections_for_steps(&mut self) -> bool {
        self.sections = true;
        let mut says = false;
        let asleep = |bad: &Bad| matches!(bad.detail, Some(FailureDetail::Deadlock { .. }));
        for known in self.known.iter_mut().filter(|known| !asleep(&known.bad)) {
            let (clause, graph) = clause_of_sections(&known.bad, &mut self.sites);
            says |= !clause.is_empty() && clause != known.clause;
            (known.clause, known.graph) = (clause, graph);
        }
        says
    }

    /// Tries an overlay: a bad execution, or what is left.
    pub(crate) fn try_overlay(&mut self, overlay: &Overlay) -> Tried {
        let key = (overlay.clone(), self.memory());
        if let Some(tried) = self.results.get(&key) {
            return tried.clone();
        }
        if self.out_of_time() || !self.may_apply(overlay) {
            return Tried::Unknown;
        }
        self.tried += 1;
        self.limit.progress(Progress { tried: self.tried, executions: self.executions });
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!("candidate", number = self.tried, edits = ?overlay.edits).entered();
        let tried = self.explore(overlay);
        #[cfg(feature = "tracing")]
        match &tried {
            Tried::Bad(bad) => tracing::debug!("fails: {}", bad.in_short()),
            Tried::Good(good) => tracing::debug!(executions = good.verdict.executions, "repairs"),
            Tried::Unknown => tracing::debug!("not found out in time"),
        }
        self.results.insert(key, tried.clone());
        tried
    }

    /// Whether some execution fails under an overlay.
    pub(crate) fn fails(&mut self, overlay: &Overlay) -> Option<Arc<Bad>> {
        match self.try_overlay(overlay) {
            Tried::Bad(bad) => Some(bad),
            Tried::Good(_) | Tried::Unknown => None,
        }
    }

    /// Whether no execution fails under an overlay, as far as that was found out.
    pub(crate) fn repairs(&mut self, overlay: &Overlay) -> bool {
        self.try_overlay(overlay).good().is_some()
    }

    fn explore(&mut self, overlay: &Overlay) -> Tried {
        let whole = self.with_accesses(overlay);
        let applied = whole.as_ref();
        let memory = self.memory();
        let task = Task { overlay: applied, memory, budget: self.options.budget };
        let mut bad = None;
        let mut schedules = Schedules::default();
        let mut spans = Spans::default();
        let mut outputs: Option<Vec<String>> = None;
        let mut one_output = true;
        let mut stretches = Stretches::new(self.sections);
        let mut traces = Vec::new();
        let weak = self.weak;
        let explored = self.verifier.explore(task, &mut |ended| {
            if let Some(found) = Bad::of(ended) {
                bad = Some(found);
                return Go::Stop;
            }
            let trace = ended.trace;
            spans.add(trace);
            stretches.add(overlay, trace);
            if !weak {
                schedules.add(&without_waits(unfolded(trace, overlay), overlay));
            }
            let lines: Vec<String> = trace.console().map(str::to_owned).collect();
            one_output &= outputs.get_or_insert_with(|| lines.clone()) == &lines;
            if traces.len() < TRACES {
                traces.push(trace.clone());
            }
            Go::On
        });
        self.executions += explored.executions;
        if let Some(bad) = bad {
            return Tried::Bad(Arc::new(bad));
        }
        let mut executions = explored.executions;
        let mut complete = explored.complete;
        if !complete && self.out_of_time() {
            return Tried::Unknown;
        }
        if !complete {
            let report = self.fuzz(applied, self.options.samples, false);
            if let Some(failure) = report.failures.into_iter().next() {
                return Tried::Bad(Arc::new(bad_of(failure)));
            }
            if self.out_of_time() {
                return Tried::Unknown;
            }
            executions += report.stats.executions;
        } else if executions == 0 {
            // Every execution blocks: that repairs nothing.
            complete = false;
        }
        let mut counted = explored.complete;
        if weak && explored.complete {
            let task = Task { memory: MemoryModel::Sc, ..task };
            let again = self.counter.explore(task, &mut |ended| {
                schedules.add(&without_waits(unfolded(ended.trace, overlay), overlay));
                Go::On
            });
            self.executions += again.executions;
            counted = again.complete;
        }
        let certainty = if complete { Certainty::Verified } else { Certainty::Sampled };
        Tried::Good(Arc::new(Measured {
            verdict: Verdict { certainty, memory, executions },
            schedules: schedules.sum().filter(|_| counted),
            parallelism: spans.parallelism(),
            one_output: one_output && outputs.is_some_and(|lines| !lines.is_empty()),
            stretches,
            traces,
        }))
    }
}

/// A trace with what is known of its objects.
fn told(mut trace: Trace, knows_origins: bool) -> Trace {
    if !knows_origins {
        trace.objects.iter_mut().for_each(|object| object.created = None);
    }
    trace
}

fn add(seen: &mut Seen, ended: &Visit<'_>, trace: &Trace) {
    seen.all.add(trace);
    if ended.failure.is_none() {
        seen.good.add(trace);
    }
}

fn worth_keeping(kept: &[Bad], ended: &Visit<'_>) -> Option<Bad> {
    let message = &ended.failure?.message;
    let alike = kept.iter().filter(|bad| bad.message == *message).count();
    if alike >= KEPT_ALIKE || kept.len() >= KEPT { None } else { Bad::of(ended) }
}

pub(crate) fn bad_of(failure: Failure) -> Bad {
    Bad {
        kind: failure.kind,
        message: failure.message,
        thread: failure.thread,
        step: failure.step,
        detail: Some(failure.detail),
        trace: failure.trace,
    }
}

/// Whether an execution has accesses that may return anything but the newest store.
fn is_weak(trace: &Trace) -> bool {
    trace.events.iter().any(|event| match event.kind {
        OpKind::Fence => true,
        OpKind::Load | OpKind::Store | OpKind::Rmw => {
            event.object.is_some_and(|object| trace.object(object).kind == ObjectKind::Atomic)
        }
        _ => false,
    })
}
