//! Where a failing execution was decided: from prefixes of its schedule on, other schedules are sampled.
//!
//! The step that decides is the first after which every schedule sampled fails. All schedules that
//! begin with a longer prefix begin with the shorter one, too, so the prefixes from which every schedule
//! fails are the longest ones, and the shortest of them is found by bisection. (A. Zeller, "Isolating
//! cause-effect chains", FSE'02, looks for a cause in the same way; J.-D. Choi, A. Zeller, "Isolating
//! failure-inducing thread schedules", ISSTA'02, for a pair of schedules that differ in one switch.)
//!
//! Beside it, the nearest execution that passes is looked for: one in which two adjacent steps that
//! depend on each other come in the other order, or in which one load reads the newest store.
//!
//! Everything is a function of the failure's schedule: what is drawn is seeded with its fingerprint, and
//! the work is limited by executions and steps.

use crate::guard::Guard;
use crate::log;
use crate::minimise::recording_explorer::{Proposal, RecordingExplorer};
use crate::minimise::schedule_blocks::Plan;
use crate::options::Options;
use crate::profile::Profile;
use crate::replay::ReplayExplorer;
use crate::schedule_runner::ScheduleRunner;
use crate::strategy::{Sampler, Samplers};
use racefuzz_runtime::{Alternatives, Ended, Explorer, Record, ThreadChoice};
use racefuzz_trace::{
    Choice, Decision, Event, Failure, FailureDetail, FailureKind, MemoryModel, Passes, Point, Share,
    Strategy, ThreadId, Verb,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Schedules sampled from a prefix.
const SAMPLES: u64 = 256;
/// With fewer schedules, nothing is said.
const LEAST_SAMPLES: u64 = 48;
/// Steps in all executions together.
const STEPS: u64 = 300_000;
/// Neighbours of the failing execution that are tried.
const NEIGHBOURS: usize = 48;

/// Where a failure was decided. `None` where nothing is to be said of that: every schedule fails, no
/// schedule leads to the failure, or its executions are too long to be sampled.
pub fn decide(
    options: &Options,
    program: &(dyn Fn() + Sync),
    guard: &Guard,
    failure: &Failure,
    count_points: bool,
) -> Option<Decision> {
    let mut runner = ScheduleRunner::new(options, &failure.schedule.settings, program, Some(guard));
    runner.count_points(count_points);
    decision(&mut runner, options, failure)
}

/// The same with a runner that is there.
pub(crate) fn decision(
    runner: &mut ScheduleRunner<'_>,
    options: &Options,
    failure: &Failure,
) -> Option<Decision> {
    let settings = &failure.schedule.settings;
    let is_sampled = !settings.explored && settings.memory != MemoryModel::Tso && failure.is_replayable();
    let is_repeated = !matches!(failure.kind, FailureKind::Nondeterminism | FailureKind::StepLimit)
        && !matches!(failure.detail, FailureDetail::Unseen(_));
    // With freed memory given out again, what fails may be at work on memory that is somebody else's: it is
    // not run once more than it must be.
    if !options.minimise || !is_sampled || !is_repeated || settings.inject.reuse {
        return None;
    }
    let mut points = Points::new(&failure.schedule.choices);
    let ended = runner.explore(&mut points, Record::Choices);
    let choices = runner.choices().to_vec();
    let asked = points.asked;

    if ended.failure.is_none() || ended.unseen || asked.len() != choices.len() {
        return None;
    }
    let samples = (STEPS / (u64::from(ended.steps.max(1)) * 10)).min(SAMPLES);
    if samples < LEAST_SAMPLES {
        return None;
    }
    let samplers = Samplers::new(Strategy::Random, failure.schedule.fingerprint.into(), options.depth);
    let mut search = Search { runner, samplers, samples, steps: 0, choices };
    let start = search.share(0)?;
    // What comes behind the failure decides nothing.
    let (mut open, mut decided) = (0, asked.iter().take_while(|asked| **asked < failure.step).count());
    let mut after = Share { count: 1, total: 1 };

    if start.count == start.total || decided == 0 {
        return None;
    }
    let mut measured = Vec::new();
    while decided - open > 1 {
        let middle = open + (decided - open) / 2;
        let share = search.share(middle)?;
        measured.extend(asked.get(middle).map(|step| (*step, share)));
        if share.count == share.total {
            (decided, after) = (middle, share);
        } else {
            open = middle;
        }
    }
    let before = if open == 0 { start } else { search.share(open)? };
    if before.count == before.total {
        return None;
    }
    let step = asked[open];
    let passes = search.passes(failure, step, &asked);
    // What stands in the other fields stands there only.
    measured.retain(|(at, share)| *at != step && share.count < share.total);
    measured.sort_by_key(|(at, _)| *at);
    #[cfg(feature = "tracing")]
    tracing::debug!(step, steps = search.steps, "decided");
    Some(Decision { step, start, before, after, measured, passes })
}

/// Looks at executions around the failing one.
struct Search<'l, 'a> {
    runner: &'l mut ScheduleRunner<'a>,
    samplers: Samplers,
    samples: u64,
    /// Steps taken.
    steps: u64,
    /// The choices of the failing execution, all of them.
    choices: Vec<Choice>,
}

impl Search<'_, '_> {
    /// How many schedules fail that begin with so many choices of the failing one. `None` if that took
    /// too many steps.
    fn share(&mut self, prefix: usize) -> Option<Share> {
        let profile: Arc<Profile> = Arc::default();
        let mut share = Share { count: 0, total: 0 };
        for sample in 0..self.samples {
            if self.steps > STEPS || self.runner.is_late() {
                return None;
            }
            let then = self.samplers.start(sample, &profile);
            let follow = ReplayExplorer::new(&self.choices[..prefix]);
            let ended = self.runner.explore(&mut Prefix { follow, left: prefix, then }, Record::Choices);
            self.steps += u64::from(ended.steps);
            if ended.stopped || ended.unseen {
                return None;
            }
            if ended.failure.is_some() || !ended.blocked {
                share.total += 1;
                share.count += u64::from(ended.failure.is_some());
            }
        }
        (share.total >= LEAST_SAMPLES).then_some(share)
    }

    /// The nearest execution that passes.
    fn passes(&mut self, failure: &Failure, decided: u32, asked: &[u32]) -> Option<Passes> {
        let mut track = RecordingExplorer::new(Proposal::Choices(&self.choices));
        self.runner.explore(&mut track, Record::Choices);
        let plan = track.plan;
        let events = &failure.trace.events[..(failure.step as usize).min(failure.trace.events.len())];
        self.newest(&plan, events, asked).or_else(|| self.swapped(&plan, events, decided))
    }

    /// A load that reads an old store, and without which the execution passes.
    fn newest(&mut self, plan: &Plan, events: &[Event], asked: &[u32]) -> Option<Passes> {
        let odd = self.choices.iter().zip(asked);
        let odd = odd.filter(|(choice, _)| choice.point() != Point::Thread && !choice.is_default());
        let loads: Vec<(usize, u32)> = odd
            .enumerate()
            .filter(|(_, (choice, _))| choice.point() == Point::Store)
            .map(|(number, (_, asked))| (number, *asked))
            .collect();
        loads.into_iter().take(NEIGHBOURS).find_map(|(number, step)| {
            events.get(step as usize).filter(|event| event.newer.is_some())?;
            let ended = self.runner.explore(
                &mut RecordingExplorer::new(Proposal::Plan(&plan.without_side(number))),
                Record::Choices,
            );
            passed(&ended).then_some(Passes::Newest { step })
        })
    }

    /// Two steps that come in the other order where the execution passes; those that are nearest to the
    /// step that decides.
    fn swapped(&mut self, plan: &Plan, events: &[Event], decided: u32) -> Option<Passes> {
        let mut pairs: Vec<(usize, usize)> =
            (0..events.len()).flat_map(|first| adjacent(events, first)).collect();
        pairs.sort_by_key(|(first, second)| {
            let distance = |step: &usize| step.abs_diff(decided as usize);
            (distance(first).min(distance(second)), second - first, *first)
        });
        pairs.into_iter().take(NEIGHBOURS).find_map(|(first, second)| {
            let order = exchanged(events, first, second);
            let ended = self.runner.explore(
                &mut RecordingExplorer::new(Proposal::Plan(
                    &plan.in_order(order.iter().map(|event| event.thread.0)),
                )),
                Record::Choices,
            );
            let followed = in_order(&order[..first], &order[first..=second], self.runner.log());
            let (first, second) = (events[first].step, events[second].step);
            (passed(&ended) && followed).then_some(Passes::Swapped { first, second })
        })
    }
}

fn passed(ended: &Ended) -> bool {
    ended.failure.is_none() && !ended.blocked && !ended.stopped && !ended.unseen
}

/// Whether two events of different threads may not be exchanged without a difference.
fn depend(one: &Event, other: &Event) -> bool {
    let named = |one: &Event, other: &Event| one.other == Some(other.thread);
    let same = one.object.is_some() && one.object == other.object;
    same && (one.kind.writes() || other.kind.writes()) || named(one, other) || named(other, one)
}

/// The events of other threads that can be put before this one, with what their thread does up to them,
/// so that no other pair of events that depend on each other changes its order.
fn adjacent(events: &[Event], first: usize) -> Vec<(usize, usize)> {
    /// Further apart than this, two events are not compared.
    const WINDOW: usize = 64;
    let end = (first + WINDOW).min(events.len());
    let fits = |second: &usize| {
        let thread = events[*second].thread;
        let stays: Vec<&Event> =
            events[first..*second].iter().filter(|event| event.thread != thread).collect();
        let moves = events[first..=*second].iter().filter(|event| event.thread == thread);
        let mut reversed = moves.flat_map(|event| stays.iter().map(move |stays| (*stays, event)));
        let only = |(stays, moves): (&Event, &Event)| {
            !depend(stays, moves) || stays.step == events[first].step && moves.step == events[*second].step
        };
        thread != events[first].thread && depend(&events[first], &events[*second]) && reversed.all(only)
    };
    (first + 1..end).filter(fits).map(|second| (first, second)).collect()
}

/// The events in an order in which the thread of `second` has come to that event before `first`.
fn exchanged(events: &[Event], first: usize, second: usize) -> Vec<&Event> {
    let thread = events[second].thread;
    let window = || events[first..=second].iter();
    let moved = window().filter(|event| event.thread == thread);
    let stays = window().filter(|event| event.thread != thread);
    events[..first].iter().chain(moved).chain(stays).chain(&events[second + 1..]).collect()
}

/// Whether the events of an execution come as planned where they depend on each other: a step that could
/// not be taken where it should be was put off, and what is no step is executed with the one before it.
fn in_order(before: &[&Event], planned: &[&Event], log: &[u64]) -> bool {
    let mut done: BTreeMap<u32, usize> = BTreeMap::new();
    for event in before {
        *done.entry(event.thread.0).or_default() += 1;
    }
    let mut at = Vec::with_capacity(planned.len());
    for event in planned {
        let number = done.entry(event.thread.0).or_default();
        let mut own = log.iter().enumerate().filter(|(_, word)| log::thread(**word) == event.thread.0);
        let Some((place, word)) = own.nth(*number) else { return false };
        if Verb::ALL.get(usize::from(log::verb(*word))) != Some(&event.verb) {
            return false;
        }
        *number += 1;
        at.push(place);
    }
    (0..planned.len()).all(|later| {
        (0..later).all(|earlier| !depend(planned[earlier], planned[later]) || at[earlier] < at[later])
    })
}

/// Follows choices and notes when they are asked for.
struct Points<'a> {
    follow: ReplayExplorer<'a>,
    executed: u32,
    /// The event that each choice is about, by the number of those before it.
    asked: Vec<u32>,
}

impl<'a> Points<'a> {
    fn new(choices: &'a [Choice]) -> Self {
        Self { follow: ReplayExplorer::new(choices), executed: 0, asked: Vec::new() }
    }
}

impl Explorer for Points<'_> {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.asked.push(choice.step);
        self.follow.choose_thread(choice)
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        // What a load or a store is asked, it is asked when it is executed.
        let within = matches!(alternatives.point, Point::Store | Point::Place | Point::Value);
        self.asked.push(self.executed - u32::from(within));
        self.follow.choose(alternatives)
    }

    fn observes(&self) -> bool {
        true
    }

    fn executed(&mut self, _: ThreadId, _: &racefuzz_runtime::Op) {
        self.executed += 1;
    }
}

/// Follows so many choices, then draws.
struct Prefix<'a> {
    follow: ReplayExplorer<'a>,
    left: usize,
    then: &'a mut dyn Sampler,
}

impl Prefix<'_> {
    fn follows(&mut self) -> bool {
        let follows = self.left > 0;
        self.left -= usize::from(follows);
        follows
    }
}

impl Explorer for Prefix<'_> {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        if self.follows() { self.follow.choose_thread(choice) } else { self.then.choose_thread(choice) }
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        if self.follows() { self.follow.choose(alternatives) } else { self.then.choose(alternatives) }
    }
}
