//! The search as a whole: which kinds of repair are tried, in which order, and what is said of them.

use crate::describe;
use crate::graph_engine::Graphs;
use crate::locks::waits_for_added;
use crate::options::Options;
use crate::placement::Placement;
use crate::rank;
use crate::search::{Measured, Search, Seen, Tried};
use crate::verifier::Verifier;
use racefuzz_trace::{
    Baseline, Certainty, Certificate, Edit, FORMAT_VERSION, Failure, FailureDetail, FailureKind, Fix,
    FixKind, FixReport, LockName, Overlay, Schedule, Verb, Verdict,
};
use std::sync::Arc;
use std::time::Instant;

/// Searches for repairs of the program.
pub fn fix(options: &Options, program: &(dyn Fn() + Sync)) -> FixReport {
    let deadline = options.max_time.and_then(|time| Instant::now().checked_add(time));
    fix_with(options, program, Box::new(Graphs::new(program, options.check(), deadline)), deadline)
}

/// The same with a verifier of the caller's.
pub fn fix_with<'a>(
    options: &'a Options,
    program: &'a (dyn Fn() + Sync),
    verifier: Box<dyn Verifier + 'a>,
    deadline: Option<Instant>,
) -> FixReport {
    let mut search = Search::new(options, program, verifier, deadline);
    let seen = search.look();
    let (failure, sampled) = match seen.failing == 0 && seen.complete {
        true => (None, 0),
        false => search.sample(),
    };
    let failure = failure.or_else(|| failure_of(&search));
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
        Some(failure) => {
            let failure = failure.clone();
            if !seen.complete {
                search.sample_kinds();
            }
            search.remember(crate::search::bad_of(failure.clone()));
            let mut plan =
                Plan { search: &mut search, failure, found: Vec::new(), no_lock: None, notes: Vec::new() };
            plan.all();
            let Plan { mut found, no_lock, notes, .. } = plan;
            rank::keep(&mut found, seen.good.sum().filter(|_| seen.complete));
            report.fixes = rank::rank(found.into_iter().map(|(fix, _)| fix).collect());
            (report.no_lock, report.notes) = (no_lock, notes);
        }
    }
    (report.tried, report.executions) = (search.tried, search.executions);
    if search.out_of_time() {
        report.stopped = Some("the time limit was reached".to_owned());
    }
    report
}

fn baseline(seen: &Seen) -> Baseline {
    Baseline {
        executions: seen.executions,
        complete: seen.complete,
        failing: seen.failing,
        schedules: seen.all.sum().filter(|_| seen.complete),
        good: seen.good.sum().filter(|_| seen.complete),
        parallelism: seen.spans.parallelism().or_else(|| seen.any_spans.parallelism()),
    }
}

/// The first bad execution that exploring has met, where sampling meets none.
fn failure_of(search: &Search<'_>) -> Option<Failure> {
    let bad = &search.known.first()?.bad;
    let settings = search.options.settings.clone();
    Some(Failure {
        kind: bad.kind,
        message: bad.message.clone(),
        thread: bad.thread,
        step: bad.step,
        detail: bad.detail.clone().unwrap_or(FailureDetail::Panic { site: None, at_end: false }),
        iteration: 0,
        found_by: "check".to_owned(),
        trace: bad.trace.clone(),
        schedule: Schedule {
            program: search.options.program.clone(),
            settings,
            fingerprint: 0,
            choices: Vec::new(),
        },
    })
}

struct Plan<'s, 'a> {
    search: &'s mut Search<'a>,
    failure: Failure,
    found: Vec<(Fix, Option<u128>)>,
    no_lock: Option<String>,
    notes: Vec<String>,
}

impl Plan<'_, '_> {
    fn all(&mut self) {
        let cycle = matches!(
            &self.failure.detail,
            FailureDetail::Deadlock { cycle, .. } if !cycle.is_empty()
        );
        if cycle {
            self.no_lock = Some(
                "each thread has a lock that another one waits for; one more lock is not what is missing"
                    .to_owned(),
            );
            self.lock_order();
        } else {
            self.locks();
        }
        self.one_step();
        if self.search.weak {
            self.orderings();
        }
        self.order();
        self.wake_all();
        self.advise();
    }

    fn add(
        &mut self,
        kind: FixKind,
        overlay: Overlay,
        besides: &Overlay,
        measured: &Measured,
        needed: Vec<Certificate>,
    ) {
        let sites = &self.search.sites;
        let fix = Fix {
            kind,
            besides: besides.edits.clone(),
            verdict: measured.verdict,
            regions: describe::regions(&overlay, &measured.traces, sites),
            kept: None,
            parallelism: measured.parallelism,
            locks: describe::locks(&overlay),
            guarded: describe::guarded(&overlay, sites),
            waits: describe::now_waits(&overlay, &self.failure.trace, sites),
            needed,
            dominated_by: None,
            one_output: measured.one_output,
            notes: Vec::new(),
            overlay,
        };
        self.found.push((fix, measured.schedules));
    }

    /// Tries an overlay, and adds it if it repairs.
    fn try_as(&mut self, kind: FixKind, overlay: Overlay, besides: &Overlay) -> bool {
        match self.search.try_overlay(&overlay.with(besides)) {
            Tried::Good(measured) => {
                self.add(kind, overlay, besides, &measured, Vec::new());
                true
            }
            Tried::Bad(_) => false,
        }
    }

    /// Whether mutual exclusion can repair the program, and with which order edges.
    fn locks(&mut self) {
        let everything = Placement::one(self.search.sites.concurrent.clone()).overlay(&self.search.sites);
        let none = Overlay::default();
        let mut base = none.clone();
        if let Tried::Bad(bad) = self.search.try_overlay(&everything)
            && !waits_for_added(&bad)
        {
            self.no_lock = Some(format!(
                "with everything that threads do under one lock it still fails: {}",
                bad.message
            ));
            self.search.remember((*bad).clone());
            match self.search.order_edges(&everything, 1).into_iter().next() {
                Some(edge) => base = vec![edge].into(),
                None => return,
            }
            if self.search.fails(&base).is_none() {
                // The edge alone does it; no lock is needed.
                return;
            }
        }
        let placed = self.search.place_locks(&base);
        for mut placed in placed {
            self.search.shrink(&mut placed, &base);
            let overlay = placed.placement.overlay(&self.search.sites);
            let same = |(fix, _): &(Fix, _)| fix.overlay == overlay;
            if self.found.iter().any(same) {
                continue;
            }
            self.add(FixKind::NewLock, overlay, &base, &placed.measured, placed.needed);
            if placed.placement.locks.len() == 1 {
                self.variants(&placed.placement, &base);
            }
        }
        if self.found.is_empty() && self.no_lock.is_none() {
            self.no_lock = Some("no placement of locks among those tried repairs it".to_owned());
        }
    }

    /// The same region under a lock that is there, or under one beside each object.
    fn variants(&mut self, placement: &Placement, base: &Overlay) {
        let places = &placement.locks[0];
        let sites: Vec<_> = places.iter().map(|place| self.search.sites.site(*place).clone()).collect();
        if let Some(created) = self.search.many_at(places) {
            let lock = LockName::Beside(0, created);
            let edit = Edit::Lock { lock, sites: sites.clone(), shared: Vec::new() };
            self.try_as(FixKind::NewLock, vec![edit].into(), base);
        }
        for created in self.search.single_locks() {
            let edit = Edit::Lock { lock: LockName::Own(created), sites: sites.clone(), shared: Vec::new() };
            self.try_as(FixKind::OwnLock, vec![edit].into(), base);
        }
    }

    fn lock_order(&mut self) {
        let pairs = self.search.nested_locks();
        let sort = |(first, second, created): &(_, _, Vec<_>)| {
            let (first, second): (&racefuzz_trace::Site, &racefuzz_trace::Site) = (first, second);
            Edit::Sort { first: first.clone(), second: second.clone(), created: created.clone() }
        };
        let none = Overlay::default();
        // One pair first: where the order there is turned round, the others have the right one.
        for pair in &pairs {
            self.try_as(FixKind::LockOrder, vec![sort(pair)].into(), &none);
        }
        if self.found.is_empty() && pairs.len() > 1 {
            self.try_as(FixKind::LockOrder, pairs.iter().map(sort).collect::<Vec<_>>().into(), &none);
        }
    }

    fn one_step(&mut self) {
        for (overlay, ..) in self.search.one_steps() {
            self.try_as(FixKind::OneStep, overlay, &Overlay::default());
        }
    }

    fn orderings(&mut self) {
        let none = Overlay::default();
        let ordered = self.search.order_accesses().into_iter().map(|ordered| (FixKind::Ordering, ordered));
        let mut all: Vec<_> = ordered.collect();
        all.extend(self.search.fences().into_iter().map(|ordered| (FixKind::Fence, ordered)));
        for (kind, ordered) in all {
            let measured: Option<Arc<Measured>> = self.search.try_overlay(&ordered.overlay).good();
            if let Some(measured) = measured {
                self.add(kind, ordered.overlay, &none, &measured, ordered.needed);
            }
        }
    }

    fn order(&mut self) {
        let none = Overlay::default();
        for edge in self.search.order_edges(&none, 3) {
            self.try_as(FixKind::Order, vec![edge].into(), &none);
        }
    }

    fn wake_all(&mut self) {
        if self.failure.kind != FailureKind::Deadlock {
            return;
        }
        let waits = |edge: &racefuzz_trace::WaitEdge| edge.verb == Verb::Woken;
        if let FailureDetail::Deadlock { waiting, .. } = &self.failure.detail
            && waiting.iter().any(waits)
        {
            let none = Overlay::default();
            for site in self.search.notifications() {
                self.try_as(FixKind::WakeAll, vec![Edit::WakeAll { site }].into(), &none);
            }
        }
    }

    /// What no virtual edit can try, where the failure shows that it is called for.
    fn advise(&mut self) {
        let trace = &self.failure.trace;
        let found = !self.found.is_empty();
        match &self.failure.detail {
            FailureDetail::Deadlock { waiting, cycle } if cycle.len() == 1 => {
                let edge = waiting.iter().find(|edge| edge.thread == cycle[0]);
                let line = edge.map_or(0, |edge| trace.site(edge.site).line);
                self.notes.push(format!(
                    "do this instead: give the lock back before it is taken again on line {line}, and look \
                     again at what was read under it"
                ));
            }
            FailureDetail::Deadlock { waiting, .. } => {
                let gone = waiting.iter().flat_map(|edge| &edge.holders).find_map(|(holder, site)| {
                    let ended = trace.thread(*holder).end == racefuzz_trace::ThreadEnd::Finished;
                    site.filter(|_| ended).map(|site| trace.site(site).line)
                });
                if let Some(line) = gone {
                    self.notes.push(format!(
                        "do this instead: give back the lock that is taken on line {line} on every way out"
                    ));
                } else if waiting.iter().any(|edge| edge.verb == Verb::Woken) {
                    self.notes.push(
                        "a condition variable remembers nothing: set a flag under the lock before the \
                         notification, and wait in a loop until it is set"
                            .to_owned(),
                    );
                }
            }
            _ if !found && trace.events.iter().any(|event| event.verb == Verb::Woken) => {
                self.notes.push(
                    "do this instead: look at the condition again after every wait, `while` and not `if`"
                        .to_owned(),
                );
            }
            _ if !found && trace.threads.iter().any(|thread| thread.task) => {
                self.notes.push(
                    "do this instead: do not await between the read and the write, or hold an async lock \
                     over both; a lock that blocks would stop the other tasks with the executor"
                        .to_owned(),
                );
            }
            _ => {}
        }
        let own_locks = trace.objects.iter().any(|object| {
            matches!(object.kind, racefuzz_trace::ObjectKind::Mutex | racefuzz_trace::ObjectKind::RwLock)
        });
        let exchanges = trace
            .events
            .iter()
            .any(|event| matches!(event.verb, Verb::CompareExchange | Verb::CompareExchangeWeak));
        if exchanges && !own_locks {
            for (fix, _) in self.found.iter_mut().filter(|(fix, _)| fix.kind.is_lock()) {
                fix.notes.push("with a lock this is no longer lock-free".to_owned());
            }
        }
    }
}
