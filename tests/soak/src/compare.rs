//! The enumerator against racefuzz.

use crate::machine;
use crate::outcome::Outcome;
use crate::program::Program;
use crate::run::Running;
use racefuzz_check::{Options, visit};
use racefuzz_runtime::{Alternatives, Config, Explorer, Record, Runner, ThreadChoice};
use racefuzz_trace::{FailureKind, MemoryModel, Settings, ThreadId};
use std::collections::BTreeSet;

/// How much a comparison may cost; beyond that a program is left out.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of the enumerator.
    pub states: usize,
    /// Of the checker, under each model.
    pub executions: u64,
    /// Random executions.
    pub samples: usize,
    /// The memory models of which all graphs are explored.
    pub graphs: &'static [MemoryModel],
    /// That of which schedules are explored, too, within so many preemptions that no class of the program needs more.
    pub schedules: Option<(MemoryModel, u32)>,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They agree; how many outcomes there are, and how many of them the samples showed.
    Agree {
        /// Of the program.
        outcomes: usize,
        /// Of those that samples showed.
        sampled: usize,
    },
    /// The program is too large.
    TooLarge,
    /// They do not; what is missing on a side, and which one.
    Differ(String),
}

impl Verdict {
    /// Whether they disagree.
    pub fn differs(&self) -> bool {
        matches!(self, Self::Differ(_))
    }
}

/// Compares outcomes: those of the enumerator must be those of the checker under `sc` and, as all
/// atomics are SeqCst, under the other models (at least, where the program looks at something without learning
/// what happened before); those of samples must be among them.
pub fn compare(program: &Program, limits: &Limits) -> Verdict {
    let settled = |found: BTreeSet<Outcome>| -> BTreeSet<Outcome> {
        found.into_iter().map(|outcome| outcome.settled(program)).collect()
    };
    let Some(expected) = machine::outcomes(program, limits.states).map(settled) else {
        return Verdict::TooLarge;
    };
    let graphs = limits.graphs.iter().map(|memory| (*memory, None));
    let schedules = limits.schedules.map(|(memory, most)| (memory, Some(most)));
    for (memory, most) in graphs.chain(schedules) {
        let who = format!("check under {memory:?}{}", if most.is_some() { " of schedules" } else { "" });
        match checked(program, memory, most, limits.executions).map(|found| found.map(settled)) {
            None => return Verdict::TooLarge,
            Some(Err(text)) => return Verdict::Differ(format!("{who}: {text}")),
            Some(Ok(found)) if !matches(&found, &expected, memory != MemoryModel::Sc && program.looks()) => {
                return Verdict::Differ(difference(&expected, &found, &who));
            }
            Some(Ok(_)) => {}
        }
    }
    let sampled = settled(sampled(program, limits.samples));
    if !expected.contains(&Outcome::Race(0)) && !sampled.is_subset(&expected) {
        return Verdict::Differ(difference(&expected, &sampled, "samples"));
    }
    Verdict::Agree { outcomes: expected.len(), sampled: sampled.len() }
}

/// The outcomes that no random execution shows, of so many as `limits` says; nothing where the program is too large,
/// races, as what comes behind a race is no outcome, or tries the same again and again: sampling takes for granted
/// that others act then.
///
/// It must be able to show whatever else an execution may come to, however many executions that takes.
pub fn unreached(program: &Program, limits: &Limits) -> Option<BTreeSet<Outcome>> {
    let settled = |found: BTreeSet<Outcome>| -> BTreeSet<Outcome> {
        found.into_iter().map(|outcome| outcome.settled(program)).collect()
    };
    if program.repeats() {
        return None;
    }
    let mut expected = settled(machine::outcomes(program, limits.states)?);
    if expected.contains(&Outcome::Race(0)) {
        return None;
    }
    if program.spins() {
        // Samples that spin for long are not looked at.
        expected.retain(|outcome| !outcome.is_deadlock());
    }
    Some(&expected - &settled(sampled(program, limits.samples)))
}

/// Whether they are the same; where `more` is possible, whether nothing is missing.
///
/// Where there is a race, whether they have that in common. It ends the execution that shows it, and
/// with it what would have come of that; and steps of a channel or a read lock may be ordered where std
/// does not promise it (a sender that goes, and one that sends), so that only the other order shows it.
fn matches(found: &BTreeSet<Outcome>, expected: &BTreeSet<Outcome>, more: bool) -> bool {
    let race = Outcome::Race(0);
    match expected.contains(&race) {
        true => found.contains(&race),
        false => expected.is_subset(found) && (more || found == expected),
    }
}

fn difference(expected: &BTreeSet<Outcome>, found: &BTreeSet<Outcome>, who: &str) -> String {
    let mut text = format!("{who}: {} outcomes, expected {}\n", found.len(), expected.len());
    let (missing, more) = (expected.difference(found), found.difference(expected));
    missing.take(8).for_each(|outcome| text += &format!("  missing: {outcome}\n"));
    more.take(8).for_each(|outcome| text += &format!("  wrong:   {outcome}\n"));
    text
}

/// The outcomes of every execution, within a bound on preemptions if there is one; or nothing if there are
/// too many.
fn checked(
    program: &Program,
    memory: MemoryModel,
    preemptions: Option<u32>,
    most: u64,
) -> Option<Result<BTreeSet<Outcome>, String>> {
    let running = Running::new(program);
    let mut options =
        Options { max_executions: Some(most), preemptions, minimise: false, ..Options::default() };
    options.settings.memory = memory;
    options.settings.inject.spurious = false;
    let (mut found, mut begun_anew) = (BTreeSet::new(), 0);
    let counts = visit(&options, &|| running.execute(), &mut |visited| {
        if std::mem::replace(&mut begun_anew, visited.begun_anew) != visited.begun_anew {
            found.clear();
        }
        found.insert(running.outcome(visited.failure));
        true
    });
    if counts.executions >= most {
        return None;
    }
    Some(if counts.whole { Ok(found) } else { Err(format!("the exploration broke off: {counts:?}")) })
}

/// A random walk.
struct Walk(u64);

impl Walk {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u32
    }
}

impl Explorer for Walk {
    fn begin(&mut self) {}

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        choice.options[self.below(choice.options.len() as u32) as usize]
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.below(alternatives.count)
    }
}

/// The outcomes of so many random executions.
fn sampled(program: &Program, count: usize) -> BTreeSet<Outcome> {
    let running = Running::new(program);
    let mut settings = Settings { memory: MemoryModel::Sc, max_steps: 2_000, ..Settings::default() };
    settings.inject.timeout = true;
    let mut runner = Runner::new(Config { count_points: true, ..Config::new(&settings) });
    let mut walk = Walk(0x9e37_79b9_7f4a_7c15);
    let mut found = BTreeSet::new();
    for _ in 0..count {
        let ended = runner.run(&|| running.execute(), &mut walk, Record::Choices);
        // A random walk spins for long before it does something else.
        let spins = ended.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::StepLimit);
        if !ended.blocked && !spins {
            found.insert(running.outcome(ended.failure.as_ref()));
        }
    }
    found
}
