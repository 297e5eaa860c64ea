//! A unit of work: graphs to be explored, depth first, for some number of executions.
//!
//! Units share nothing, but that all know which rounds the first one has held against their absence. What one
//! leaves undone is split into units again; all of them stand in the order of the whole exploration, so that any
//! number of workers comes to the same counts and the same first failure.

use crate::explore::{Departure, Examined, Explore, Pair};
use crate::graph::Graph;
use crate::kept_out;
use crate::model;
use crate::recheck::{Rechecks, Unrepeatable};
use crate::turns::{Places, Turns};
use crate::waiting::Loops;
use crate::work_item::WorkItem;
use racefuzz_fuzz::{Executed, Pulse, Sight};
use racefuzz_runtime::{Config, Detected, Ended, Record, Runner};
use racefuzz_trace::{FailureKind, normalize_path};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// An execution that failed.
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Failed {
    pub(crate) graph: Graph,
    pub(crate) detected: Detected,
    /// Executions of the unit before it.
    pub(crate) before: u64,
}

/// What a unit came to.
#[derive(Default)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Done {
    pub(crate) executions: u64,
    pub(crate) blocked: u64,
    pub(crate) failing: u64,
    /// Executions that were ended where others had been.
    pub(crate) met_again: u64,
    pub(crate) steps: u64,
    pub(crate) abandoned: u64,
    pub(crate) relaxed: bool,
    /// Threads that wait could see each other more often than was explored.
    pub(crate) bounded: bool,
    /// Threads could go round for longer than was explored.
    pub(crate) rounds_cut: bool,
    /// The first execution of each failure.
    pub(crate) failed: Vec<Failed>,
    /// A graph that the program did not follow.
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) diverged: Option<Graph>,
    /// A failure that no graph repeats.
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) unrepeatable: Option<Box<Unrepeatable>>,
    /// The first difference in a value between two executions of one graph.
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) values: Option<String>,
    /// A limit ended an execution, whose graph is not explored therefore.
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) stopped: bool,
    /// What was seen of the program.
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) sight: Sight,
    /// A loop was tried: the exploration is to begin anew.
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) learned: Loops,
    /// What was learned of loops while it went on.
    pub(crate) in_passing: Loops,
    /// The loops that it went on without a trial of.
    pub(crate) untried: BTreeSet<u64>,
    /// Places before which it matters whether a thread is interrupted: the exploration is to begin anew.
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) places: Places,
    /// The program looks at reference counts.
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) counts_observed: bool,
    /// Where an execution was blocked.
    pub(crate) blocked_at: Option<String>,
    /// What it began with, as it may have to be explored again.
    pub(crate) start: Vec<WorkItem>,
    /// What is left, the next graph last.
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) rest: Vec<WorkItem>,
}

/// Explores units.
pub(crate) struct Worker {
    pub(crate) runner: Runner,
    explore: Explore,
    /// What is known of loops when a unit begins.
    loops: Loops,
    /// How often rounds were held against their absence before a unit begins.
    examined: HashMap<u64, Examined>,
    /// The last graph, where it is no longer the explorer's: others are made of it.
    sealed: Option<Arc<Graph>>,
    pub(crate) rechecks: Rechecks,
    /// What the watchdog sees of it.
    pub(crate) pulse: Option<Arc<Pulse>>,
    count_points: bool,
    keep_going: bool,
}

impl Worker {
    pub(crate) fn new(config: Config, loops: &Loops, keep_going: bool) -> Self {
        let mut explore = Explore::new(config.memory);
        explore.loops = loops.clone();
        explore.reuses = config.inject.reuse;
        explore.limit_steps(config.max_steps);
        let count_points = config.count_points;
        let rechecks = Rechecks::default();
        let (runner, sealed, pulse) = (Runner::new(config), None, None);
        let (loops, examined) = (loops.clone(), HashMap::new());
        Self { runner, explore, loops, examined, sealed, rechecks, pulse, count_points, keep_going }
    }

    /// The same that explores what needs no more preemptions than these, if there is a bound; it matters
    /// at these places whether a thread is interrupted, and perhaps at others.
    pub(crate) fn bounded(mut self, preemptions: Option<u32>, places: &Places) -> Self {
        self.explore.turns = preemptions.map(|most| Turns::new(most, places.clone()));
        self
    }

    /// Units begin with these rounds held against their absence so often.
    pub(crate) fn begins_with(&mut self, examined: &BTreeMap<u64, Examined>) {
        self.examined = examined.iter().map(|(number, examined)| (*number, *examined)).collect();
    }

    /// How often rounds were held against their absence when the last unit ended.
    pub(crate) fn examined(&self) -> BTreeMap<u64, Examined> {
        self.explore.examined.iter().map(|(number, examined)| (*number, *examined)).collect()
    }

    /// What is known of schedules within a bound.
    pub(crate) fn turns(&mut self) -> Option<&mut Turns> {
        self.explore.turns.as_mut()
    }

    /// Explores for at most `fuel` executions, `most` complete ones, to the first failure, or until
    /// `stop`, told how many executions there were, says so.
    pub(crate) fn explore(
        &mut self,
        program: &dyn Fn(),
        items: Vec<WorkItem>,
        fuel: u64,
        most: u64,
        stop: &mut dyn FnMut(u64) -> bool,
    ) -> Done {
        let mut done = Done::default();
        let mut met = HashSet::new();
        let mut ran = 0;
        self.explore.begin_unit(&self.loops);
        self.explore.later = items;
        self.explore.confirmed.clear();
        self.explore.examined.clone_from(&self.examined);
        let mut last = None;
        while ran < fuel && done.executions < most && !stop(ran) {
            if !self.explore.load_next() {
                break;
            }
            if self.explore.is_known_dead_end() {
                (last, done.blocked) = (None, done.blocked + 1);
                ran = done.executions + done.blocked + done.met_again;
                continue;
            }
            let passed = done.executions - done.failing;
            let record = self.rechecks.record();
            let ended = self.one(program, record, &mut done, &mut met, &mut |_, _| true);
            self.examine_pairs(program, &mut done);
            last = (done.executions - done.failing > passed).then_some(ended);
            ran = done.executions + done.blocked + done.met_again;
            if self.is_over(&done) {
                break;
            }
        }
        self.recheck_last(program, last.as_ref(), &mut done);
        (done.in_passing, done.untried) = self.explore.end_unit();
        done.rest = std::mem::take(&mut self.explore.later);
        done
    }

    /// Explores until `show`, which sees each complete execution with its trace, says that it is
    /// enough.
    pub(crate) fn visit(&mut self, program: &dyn Fn(), show: &mut dyn FnMut(&Ended, &Done) -> bool) -> Done {
        let mut done = Done::default();
        let mut met = HashSet::new();
        self.explore.begin_unit(&self.loops);
        self.explore.later = vec![WorkItem::root()];
        while self.explore.load_next() {
            if self.explore.is_known_dead_end() {
                done.blocked += 1;
                continue;
            }
            let before = done.executions;
            let mut goes_on = true;
            let ended = self.one(program, Record::Trace, &mut done, &mut met, &mut |ended, done| {
                goes_on &= show(ended, done);
                goes_on
            });
            goes_on = goes_on && (done.executions == before || show(&ended, &done));
            self.examine_pairs(program, &mut done);
            if !goes_on || self.is_over(&done) {
                break;
            }
        }
        (done.in_passing, done.untried) = self.explore.end_unit();
        done.rest = std::mem::take(&mut self.explore.later);
        done
    }

    /// Whether there is nothing to be had from exploring on.
    fn is_over(&self, done: &Done) -> bool {
        let failed = !done.failed.is_empty() && !self.keep_going;
        let learned = done.learned != Loops::default() || !done.places.is_empty();
        let unrepeatable = done.unrepeatable.is_some();
        failed
            || learned
            || unrepeatable
            || done.stopped
            || done.diverged.is_some()
            || (done.counts_observed && !self.count_points)
    }

    /// Runs one execution, and shows those that only keeping readers out adds.
    fn one(
        &mut self,
        program: &dyn Fn(),
        record: Record,
        done: &mut Done,
        met: &mut HashSet<u64>,
        show: &mut dyn FnMut(&Ended, &Done) -> bool,
    ) -> Ended {
        let (executions, passed) = (done.executions, done.executions - done.failing);
        self.explore.examines = true;
        let ended = self.runner.run(program, &mut self.explore, record);
        self.explore.examines = false;
        done.abandoned += u64::from(ended.abandoned);
        done.counts_observed |= ended.counts_observed;
        if ended.stopped {
            done.stopped = true;
            self.explore.forget();
            self.explore.seal();
            return ended;
        }
        done.bounded |= self.explore.bounded;
        done.rounds_cut |= self.explore.rounds_cut;
        if self.explore.is_whole() {
            done.steps += u64::from(ended.steps);
        }
        let mut prefixes = Vec::new();
        done.sight.look(self.runner.log(), ended.threads);
        let mut again = None;
        let steps = ended.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::StepLimit);
        if ended.unseen {
            again = Some(self.explore.graph.clone());
        } else if let Some(learned) = self.explore.take_learned(steps) {
            if self.explore.learns_in_passing(&learned) && self.explore.is_had_again() {
                return ended;
            }
            done.learned = learned;
        } else if self.explore.diverged {
            done.diverged = Some(self.explore.graph.clone());
        } else if let Some(places) = self.explore.learn_places() {
            done.places = places;
        } else if self.explore.takes_up_again() {
            return ended;
        } else if self.explore.met_again() {
            done.met_again += 1;
        } else if let Some(learned) = self.explore.refuted(&ended) {
            let is_new = self.explore.loops.clone().learn(&learned);
            done.bounded |= !is_new;
            done.blocked += 1;
            if is_new {
                done.learned = learned;
            }
        } else if self.explore.is_dead_end() {
            done.blocked += 1;
        } else if steps && ended.steps >= self.runner.config_mut().max_steps && self.explore.is_unfair() {
            (done.rounds_cut, done.blocked) = (true, done.blocked + 1);
        } else if self.explore.is_consistent() {
            self.count(&ended, done, met);
            if ended.failure.is_none() || self.keep_going {
                prefixes = kept_out::prefixes(&self.explore.graph);
            }
        } else {
            self.explore.forget();
        }
        if done.executions - done.failing > passed && self.rechecks.counts() {
            again = Some(self.explore.graph.clone());
        }
        let first = again.as_ref().map(|_| Executed::new(&ended, self.runner.log()));
        self.sealed = self.explore.seal();
        if !prefixes.is_empty() {
            let whole = self.explore.graph.clone();
            let fails = self.keep_readers_out(program, record, prefixes, done, met, show);
            self.explore.graph = whole;
            self.rechecks.forget_last();
            if fails && ended.failure.is_none() {
                // One that blocks was not counted.
                done.executions += u64::from(done.executions == executions);
                done.failing += 1;
            }
        }
        if let (Some(graph), Some(first)) = (again, first) {
            self.recheck(program, graph, &ended, &first, done);
        }
        ended
    }

    /// Holds executions with a round of a loop that was taken for a wait against those without it.
    fn examine_pairs(&mut self, program: &dyn Fn(), done: &mut Done) {
        let pairs = std::mem::take(&mut self.explore.pairs);
        if pairs.is_empty() || self.is_over(done) {
            return;
        }
        self.rechecks.forget_last();
        let whole = std::mem::take(&mut self.explore.graph);
        for pair in pairs {
            self.examine(program, &pair, done);
            if self.is_over(done) {
                break;
            }
        }
        self.explore.graph = whole;
    }

    fn examine(&mut self, program: &dyn Fn(), pair: &Pair, done: &mut Done) {
        let mut is_idle = true;
        for seed in pair.orders() {
            let Some(with) = self.goes_on_quietly(program, pair, true, seed, done) else { return };
            // Where old values are read, other rounds need to be looked at no less.
            is_idle &= Pair::reads_older(seed) || !self.explore.goes_on_behind_round(pair);
            let Some(without) = self.goes_on_quietly(program, pair, false, seed, done) else { return };
            match (with, without) {
                (Some(with), Some(without)) if with == without => {}
                (Some(_), Some(_)) => {
                    done.learned = self.explore.loops.told_apart(pair.key());
                    return;
                }
                _ => {
                    done.bounded |= self.explore.comes_to_nothing(pair);
                    return;
                }
            }
        }
        if is_idle {
            self.explore.was_idle(pair);
        }
    }

    /// What one of a pair comes to if threads go on in this order, if it says anything; `None` if the exploration
    /// does not go on behind it.
    fn goes_on_quietly(
        &mut self,
        program: &dyn Fn(),
        pair: &Pair,
        is_with: bool,
        seed: u64,
        done: &mut Done,
    ) -> Option<Option<u64>> {
        loop {
            self.explore.load_quietly(pair, is_with, seed);
            let ended = self.runner.run(program, &mut self.explore, Record::Choices);
            done.abandoned += u64::from(ended.abandoned);
            done.stopped |= ended.stopped;
            let is_endless = ended.failure.as_ref().is_some_and(|found| found.kind == FailureKind::StepLimit);
            match self.explore.take_learned(is_endless) {
                _ if done.stopped => return None,
                Some(learned) if self.explore.learns_in_passing(&learned) => {}
                Some(learned) => {
                    done.learned = learned;
                    return None;
                }
                None => return Some(self.explore.came_to(&ended, pair, is_with)),
            }
        }
    }

    /// Runs the prefixes of the execution just run in which readers may be kept out for ever. It counts
    /// as one that fails if that is so in any, which is what is returned.
    fn keep_readers_out(
        &mut self,
        program: &dyn Fn(),
        record: Record,
        prefixes: Vec<Graph>,
        done: &mut Done,
        met: &mut HashSet<u64>,
        show: &mut dyn FnMut(&Ended, &Done) -> bool,
    ) -> bool {
        let mut fails = false;
        for graph in prefixes {
            self.explore.later.push(WorkItem::of(graph.clone(), None));
            self.explore.load_next();
            let ended = self.runner.run(program, &mut self.explore, record);
            self.explore.forget();
            let deadlock = ended.failure.clone().filter(|found| found.kind == FailureKind::Deadlock);
            let Some(detected) = deadlock.filter(|_| !self.explore.diverged) else { continue };
            fails = true;
            if met.insert(detected.identity) {
                let before = done.executions.saturating_sub(1);
                done.failed.push(Failed { graph, detected, before });
            }
            if !show(&ended, done) {
                break;
            }
        }
        fails
    }

    fn count(&mut self, ended: &Ended, done: &mut Done, met: &mut HashSet<u64>) {
        if self.explore.is_counted() {
            done.met_again += 1;
            return;
        }
        done.relaxed = done.relaxed || model::might_buffer_loads(&self.explore.graph);
        if let Some(detected) = &ended.failure {
            done.failing += 1;
            if met.insert(detected.identity) {
                let (graph, before) = (self.explore.graph.clone(), done.executions);
                done.failed.push(Failed { graph, detected: detected.clone(), before });
            }
        } else if ended.blocked {
            done.blocked += 1;
            if done.blocked_at.is_none() {
                let roots: Vec<&str> = self.runner.config_mut().roots.iter().map(String::as_str).collect();
                done.blocked_at = ended.blocked_at.map(|site| {
                    let place = site.location();
                    format!("{}:{}", normalize_path(place.file(), &roots), place.line())
                });
            }
            return;
        }
        done.executions += 1;
    }

    /// Runs the execution of one graph again, with a recorder.
    pub(crate) fn record(&mut self, program: &dyn Fn(), item: WorkItem) -> Ended {
        self.explore.later = vec![item];
        assert!(self.explore.load_next(), "the graph was executed before");
        let ended = self.runner.run(program, &mut self.explore, Record::Trace);
        self.explore.later.clear();
        ended
    }

    /// Where the last execution has left its graph.
    pub(crate) fn departure(&self) -> Option<&Departure> {
        self.explore.departure.as_ref()
    }

    /// As [`record`](Self::record), in the middle of an exploration, which goes on as if nothing had
    /// been.
    pub(crate) fn repeat(&mut self, program: &dyn Fn(), graph: Graph) -> Ended {
        let later = std::mem::take(&mut self.explore.later);
        let ended = self.record(program, WorkItem::of(graph, None));
        self.explore.later = later;
        ended
    }

    /// The graph of the last execution, if nothing is left to explore.
    pub(crate) fn last_graph(&self) -> Option<&Graph> {
        let graph = self.sealed.as_deref().unwrap_or(&self.explore.graph);
        self.explore.later.is_empty().then_some(graph)
    }

    /// Runs one graph, and returns the graphs that it leaves to explore; `None` if these are so many
    /// that nobody wants them side by side.
    pub(crate) fn children(
        &mut self,
        program: &dyn Fn(),
        item: WorkItem,
        done: &mut Done,
    ) -> Option<Vec<WorkItem>> {
        const MOST: usize = 1_000;
        self.explore.later = vec![item];
        if !self.explore.load_next() {
            return Some(Vec::new());
        }
        self.explore.later.clear();
        self.one(program, Record::Choices, done, &mut HashSet::new(), &mut |_, _| true);
        self.explore.pairs.clear();
        let mut children = Vec::new();
        while self.explore.later.len() + children.len() <= MOST {
            match self.explore.take_next() {
                Some(loaded) => children.push(WorkItem::again(loaded)),
                None => return Some(children),
            }
        }
        self.explore.later.clear();
        None
    }
}
