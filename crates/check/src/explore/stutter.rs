//! Whether a thread remembers rounds that are taken back: the execution with them is held against the one
//! without.
//!
//! A round that is taken for a wait leaves memory as it was, but the thread may have kept what it read, or
//! counted. So the first time that a loop's round with such values is taken back, the execution in which it
//! happened goes on *quietly*: nothing is left of it to be explored. Then the same graph, without the round,
//! is executed quietly, too. Both add events in the order that is a function of the graph, so they come to the
//! same unless the thread acts on what it remembers (they are stuttering equivalent: Lamport, *What good is
//! temporal logic?*, IFIP'83). If they do not, the loop [counts](crate::waiting::Loops::counting).
//!
//! A few pairs of executions stand for all others in which such a round is taken back: a thread that uses
//! what it remembers in other interleavings only, or what it remembers of several rounds together, is not
//! noticed. That is why such explorations [sample](crate::sample), too.

use super::*;
use crate::turns::Turn;
use crate::waiting::mix;
use racefuzz_runtime::Ended;
use racefuzz_trace::FailureKind;

/// How often a round is held against its absence while that comes to nothing.
const MOST_FOR_NOTHING: u8 = 3;

/// How often a round is held against its absence, in one execution after the other, while both come to the
/// same.
const MOST_PAIRS: u8 = 8;

/// What came of holding a round against its absence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Examined {
    /// How often both came to the same.
    same: u8,
    /// How often one of them said nothing.
    nothing: u8,
}

impl Examined {
    fn is_enough(self) -> bool {
        self.same >= MOST_PAIRS || self.nothing >= MOST_FOR_NOTHING
    }
}

/// A round that was taken back: a number of its loop, and the same with what it read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TakenBack {
    pub(super) key: u64,
    pub(super) values: u64,
}

/// What becomes of a graph once it is known whether its thread remembers the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It is explored.
    Explored,
    /// It was explored before.
    Done,
}

/// An execution that goes on in spite of a round which is not in its graph.
pub(crate) struct Stutter {
    /// The graph when it was to be begun anew.
    pub(crate) base: Graph,
    known_to_wait: Vec<(u32, u32)>,
    turn: Option<Turn>,
    round: TakenBack,
    pub(crate) after: After,
}

impl Stutter {
    /// The number of the loop whose round it is.
    pub(crate) fn key(&self) -> u64 {
        self.round.key
    }

    /// The graph without the round, to be executed.
    pub(crate) fn without(&self) -> Loaded {
        let known_to_wait = self.known_to_wait.clone();
        Loaded { known_to_wait, turn: self.turn, ..Loaded::new(self.base.clone(), None) }
    }
}

impl Explore {
    /// Goes on quietly, behind a round that is taken back, if that is worth it: such a one was not yet held
    /// against its absence.
    pub(super) fn stutters(&mut self, thread: u32, after: After) -> bool {
        let round = self.fronts[thread as usize].taken_back;
        if !self.examines || self.quiet || self.is_examined(round.values) {
            return false;
        }
        let (known_to_wait, turn) = (self.known_to_wait(), self.turn());
        self.stutter = Some(Stutter { base: self.graph.clone(), known_to_wait, turn, round, after });
        // What there is belongs to both.
        (self.quiet, self.given) = (true, self.graph.len());
        true
    }

    /// The execution that has just ended was continued behind a round that is not in its graph.
    pub(crate) fn take_stutter(&mut self) -> Option<Stutter> {
        self.stutter.take()
    }

    /// Whether such a round was held against its absence often enough, or that came to nothing too often.
    pub(super) fn is_examined(&self, values: u64) -> bool {
        self.examined.get(&values).is_some_and(|examined| examined.is_enough())
    }

    /// Such a round was held against its absence, or that came to nothing; whether it did so too often, so
    /// that nothing is known of it.
    pub(crate) fn examined(&mut self, stutter: &Stutter, came_to_something: bool) -> bool {
        let examined = self.examined.entry(stutter.round.values).or_default();
        match came_to_something {
            true => examined.same += 1,
            false => examined.nothing += 1,
        }
        examined.same == 0 && examined.nothing >= MOST_FOR_NOTHING
    }

    /// Makes the graph without the round the next, to be executed quietly.
    pub(crate) fn load_quietly(&mut self, loaded: Loaded) {
        self.load(loaded);
        self.quiet_next = true;
    }

    /// A number of what the execution came to, whatever the order of its events; `None` if it says nothing.
    pub(crate) fn came_to(&self, ended: &Ended) -> Option<u64> {
        let endless = ended.failure.as_ref().is_some_and(|found| found.kind == FailureKind::StepLimit);
        let in_trial = self.trial.is_some();
        if ended.stopped || ended.unseen || self.diverged || in_trial || endless {
            return None;
        }
        let failure = ended.failure.as_ref().map_or(0, |found| mix(found.identity, found.kind as u64));
        let threads = self.graph.threads.iter().zip(0..);
        Some(threads.fold(failure, |sum, (events, thread)| {
            // The choice of what happens anyway may have been made in the trial.
            let is_none = |event: &Event| event.kind == Kind::Choice && event.choice == 0;
            let events = events.iter().filter(|id| !is_none(self.graph.event(**id)));
            let number = events.fold(self.path(thread), |number, id| mix(number, self.shown(*id)));
            sum.wrapping_add(number)
        }))
    }

    /// A number of what an event does. Addresses may differ, as the thread has perhaps allocated in its round;
    /// and so may the words of locks and channels, which number those that wait.
    fn shown(&self, id: Id) -> u64 {
        let event = self.graph.event(id);
        let word = match event.kind {
            Kind::Read | Kind::Write if !event.verb.is_atomic() => 0,
            Kind::Read => self.graph.word(event.loc, event.rf),
            Kind::Write => event.value,
            Kind::Fence | Kind::Choice => u64::from(event.choice),
        };
        let word = if word > u64::from(u32::MAX) { u64::MAX } else { word };
        let what = (event.verb as u64) << 3 | (event.kind as u64) << 1 | u64::from(event.rmw);
        mix(mix(event.site, what), word)
    }
}
