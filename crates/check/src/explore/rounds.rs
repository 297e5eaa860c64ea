//! Threads that come round: see [`waiting`](crate::waiting) for what becomes of them and why.

use super::finding::Round;
use super::pairs::TakenBack;
use super::{Event, Explore, Front, Id, Kind, NOWHERE};
use crate::waiting::{COUNTED_ROUNDS, Effect, Loops, Purpose, UNTRIED_ROUNDS, mix};
use racefuzz_runtime::{Access, Standing};
use racefuzz_trace::Verb;
use smallvec::SmallVec;
use std::ops::Range;

/// What a thread that waits waits for.
#[derive(Clone, Debug, Default)]
pub(super) enum Wait {
    /// It does not wait.
    #[default]
    No,
    /// For another newest write to one of the locations that a round read which was taken back.
    News(SmallVec<[(u32, Id); 4]>),
    /// For somebody who sees the middle of this round, which stays.
    Seen(Range<u32>),
    /// For nothing: no execution comes of this unless others change what the round read.
    Never,
}

/// Whether a thread can be scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopState {
    GoesOn,
    Waits,
    /// It goes on alone, to find out whether it waits.
    Tries,
    /// The execution ends here.
    Ends,
}

impl Explore {
    /// Whether a thread can be scheduled, or waits in a loop.
    pub(super) fn loop_state(&mut self, thread: u32, standing: &Standing<'_>) -> LoopState {
        match &self.fronts[thread as usize].wait {
            Wait::No => {}
            Wait::Never => return LoopState::Waits,
            Wait::Seen(round) => {
                let round = round.clone();
                if !self.is_seen(thread, &round) {
                    // What a graph leaves to be explored includes that others change what was read; one of a pair
                    // leaves nothing.
                    let goes_on = self.quiet.is_some() && self.finds_change(thread, &round);
                    return if goes_on { self.goes_on_behind(thread) } else { LoopState::Waits };
                }
                if self.fronts[thread as usize].strayed && self.quiet.is_none() {
                    // There is more of it than its events say.
                    return self.begin_anew(false);
                }
                return self.goes_on_behind(thread);
            }
            Wait::News(known) => {
                if known.iter().all(|(loc, newest)| self.graph.newest(*loc) == *newest) {
                    return LoopState::Waits;
                }
                if self.quiet.is_some() {
                    let front = self.front(thread);
                    (front.wait, front.looked) = (Wait::No, front.done);
                    return LoopState::GoesOn;
                }
                return self.begin_anew(false);
            }
        }
        let front = &self.fronts[thread as usize];
        if front.looked == front.done || front.done == 0 {
            return LoopState::GoesOn;
        }
        let is_first = front.looked == 0;
        self.front(thread).looked = front.done;
        if is_first && self.loaded > 0 && self.loops.lengths_of_waits().next().is_some() {
            self.front(thread).seen = self.seen_before(thread);
        }
        let attempts = self.attempts(thread, standing);
        if attempts.count >= self.loops.most_attempts(attempts.ring) {
            return self.attempted_enough(standing);
        }
        if let Some(ends) = self.ends_turn(thread, standing) {
            return ends;
        }
        let front = self.front(thread);
        front.occurrences.follow(&front.sites);
        let Some(round) = self.round(thread, standing) else { return LoopState::GoesOn };
        self.came_round(thread, round)
    }

    /// A thread has ended a round that may be a wait.
    fn came_round(&mut self, thread: u32, round: Round) -> LoopState {
        let (effect, statistics) = self.effect(thread, &round.events);
        if effect == Effect::Lasting {
            return LoopState::GoesOn;
        }
        // State words are in real memory: what they were once cannot be read again. Nor can a thread that
        // has chosen otherwise do the same.
        let start = round.events.start;
        let chooses = |at: u32| self.graph.event(self.graph.threads[thread as usize][at as usize]).choice;
        let same_choices = (0..round.choices).all(|at| chooses(start + at) == chooses(round.events.end + at));
        let repeatable = same_choices
            && !self.loops.counts(round.key)
            && self.ids(thread, &round.events).iter().all(|id| {
                let is_told = |event: &Event| event.verb.is_atomic() || event.verb == Verb::IsFinished;
                let is_state = |event: &Event| event.loc != NOWHERE && !is_told(event);
                !is_state(self.graph.event(*id)) || self.finds_newest_write(*id)
            });
        if let Some(turn) = self.counts_in(thread, &round, &statistics, repeatable) {
            return turn;
        }
        if self.loops.rounds(round.key).is_none() {
            if self.holds_lock(thread, &round.events) {
                // The same loop is looked at again where it holds none.
                self.goes_untried(thread, &round);
                return LoopState::GoesOn;
            }
            if !repeatable {
                self.goes_untried(thread, &round);
                // Others act between any two rounds. So many of them in a row, each alike, are no accident.
                if !(1..UNTRIED_ROUNDS).all(|back| self.is_equal(thread, &round.events, back, false)) {
                    return LoopState::GoesOn;
                }
                self.front(thread).wait = Wait::Seen(round.events.clone());
                let seen = self.is_seen(thread, &round.events);
                return if seen { self.goes_on_behind(thread) } else { LoopState::Waits };
            }
            return self.try_loop(thread, &round, Purpose::Learn);
        }
        self.bounded |= self.loops.counts(round.key);
        let ids = self.ids(thread, &round.events);
        let key = round.key;
        let values = self.mix_read(thread, &round.events, key.start);
        let history = self.history(thread, &round.events);
        self.front(thread).taken_back = TakenBack { key, values, history };
        if !self.loops.counts(key) {
            self.leave_pair(thread, &round, repeatable);
        }
        let first = ids[0];
        let changed = |id: &Id| self.changed.contains(id);
        // Whoever waits for a lock finds it as if nobody had had it.
        let unseen = effect == Effect::Silent || !self.loops.tries() && self.is_critical_section(&ids);
        let events_behind = self.graph.len() - first;
        let done = self.fronts[thread as usize].done;
        let is_last = first >= self.given && events_behind == done - round.events.start;
        // Others went on in its middle, for nothing: it could as well not have begun.
        let is_torn = effect == Effect::Silent && !is_last && self.turn().is_some();
        if unseen && self.quiet.is_none() && (is_torn && !self.forced || ids.iter().any(changed)) {
            // It read something else than the newest, and it is no use.
            if is_torn {
                self.learn_beginning(&ids);
            }
            // A backward revisit that has somebody wait for the round has lost what others did meanwhile: they may
            // still change what it read.
            let has_others_wait = self.graph.blocks.iter().any(|block| ids.contains(&block.rf));
            let ends = self.loops.rounds(key) == Some(1) && !has_others_wait || self.turn().is_some();
            if ends {
                self.dead = true;
                self.note_dead_end(&ids);
                self.forget_others(thread, first);
            } else {
                // Others may still change what it read.
                self.doomed = true;
                self.front(thread).wait = Wait::Never;
            }
            let purpose = self.confirms(round.key);
            return match (repeatable, ends) {
                (true, _) => self.try_loop(thread, &round, purpose),
                (false, true) => LoopState::Ends,
                (false, false) => LoopState::Waits,
            };
        }
        let reads_older = || ids.iter().any(|id| !self.finds_newest(*id));
        if effect == Effect::Silent && self.quiet.is_some() && (!is_last || reads_older()) {
            // Others went on in its middle, or it read what was overwritten.
            self.note_further_round(thread, &round);
            return self.goes_on_behind(thread);
        }
        if effect == Effect::Silent && !self.forced && is_last {
            let trial = repeatable.then(|| {
                let purpose = self.confirms(round.key);
                self.trial_of(thread, &round, round.choices, purpose)
            });
            self.take_back(thread, first, round.events.start);
            if trial.is_none() {
                return LoopState::Waits;
            }
            self.trial = trial;
            return LoopState::Tries;
        }
        self.note_further_round(thread, &round);
        self.front(thread).wait = Wait::Seen(round.events.clone());
        if self.is_seen(thread, &round.events) {
            return self.goes_on_behind(thread);
        }
        if is_last {
            self.leave_round(thread, first);
        }
        if !repeatable || self.known_to_wait.contains(&(thread, done)) {
            return LoopState::Waits;
        }
        let purpose = self.confirms(round.key);
        self.try_loop(thread, &round, purpose)
    }

    /// The thread's last round has been seen: it goes on, and only a whole round from here may be a wait.
    fn goes_on_behind(&mut self, thread: u32) -> LoopState {
        let front = self.front(thread);
        (front.wait, front.looked, front.seen) = (Wait::No, front.done, front.done);
        LoopState::GoesOn
    }

    /// A number of the words that some events of a thread read, and of another number.
    fn mix_read(&self, thread: u32, events: &Range<u32>, number: u64) -> u64 {
        self.ids(thread, events).iter().fold(number, |sum, id| match self.graph.event(*id).kind {
            Kind::Read => mix(sum, self.read_word(*id)),
            Kind::Choice => mix(sum, u64::from(self.graph.event(*id).choice)),
            Kind::Write | Kind::Fence => sum,
        })
    }

    /// A number of all that a thread has read and chosen up to the end of a round, from which follows what it
    /// remembers.
    fn history(&self, thread: u32, round: &Range<u32>) -> u64 {
        self.mix_read(thread, &(0..round.end), mix(self.path(thread), u64::from(round.start)))
    }

    /// The ends of rounds of which it is known that their threads wait.
    pub(super) fn known_to_wait(&self) -> Vec<(u32, u32)> {
        let strayed = |(front, thread): (&Front, u32)| {
            (front.strayed && matches!(front.wait, Wait::Seen(_))).then_some((thread, front.done))
        };
        let now = self.fronts[..self.started].iter().zip(0..).filter_map(strayed);
        self.known_to_wait.iter().copied().chain(now).collect()
    }

    /// The execution is begun anew from the graph that it has come to.
    pub(super) fn begin_anew(&mut self, forced: bool) -> LoopState {
        self.anew = Some(forced);
        LoopState::Ends
    }

    /// What becomes of a round that only counts in these locations; `None` if nobody else reads them.
    fn counts_in(
        &mut self,
        thread: u32,
        round: &Round,
        statistics: &[u32],
        repeatable: bool,
    ) -> Option<LoopState> {
        let made = |loc: &u32| self.made.get(*loc as usize).copied().unwrap_or(0);
        let statistics: SmallVec<[u64; 2]> = statistics.iter().map(made).collect();
        if let Some(new) = statistics.iter().find(|made| !self.loops.is_statistic(**made)) {
            self.learned = Some(Loops::statistic(*new, false));
            return Some(LoopState::Ends);
        }
        if !statistics.iter().any(|made| self.loops.is_read(*made)) {
            return None;
        }
        let known = self.loops.rounds(round.key);
        if known.is_some_and(|rounds| rounds < COUNTED_ROUNDS) {
            // It was a wait while nobody read them.
            self.learned = Some(Loops::counting(round.key));
            return Some(LoopState::Ends);
        }
        if !(1..COUNTED_ROUNDS).all(|back| self.is_equal(thread, &round.events, back, true)) {
            return Some(LoopState::GoesOn);
        }
        if repeatable && known.is_none() {
            // It may go round so often whatever others do.
            return Some(self.try_loop(thread, round, Purpose::Learn));
        }
        if known.is_none() {
            self.goes_untried(thread, round);
        }
        self.bounded = true;
        if self.quiet.is_some() || self.turn().is_some() {
            self.dead = true;
            return Some(LoopState::Ends);
        }
        // Others may still change what it read.
        self.doomed = true;
        self.front(thread).wait = Wait::Never;
        Some(LoopState::Waits)
    }

    /// Notes where the object at a location was made.
    pub(super) fn note_made(&mut self, access: &Access<'_>, loc: u32) {
        if self.made.len() <= loc as usize {
            self.made.resize(loc as usize + 1, 0);
        }
        self.made[loc as usize] = access.made;
    }

    /// Notes where the object was made that is read; if it is one that loops count in, their rounds matter.
    pub(super) fn looks_at(&mut self, access: &Access<'_>, loc: u32) {
        self.note_made(access, loc);
        if !matches!(access.verb, Verb::FetchAdd | Verb::FetchSub) {
            self.is_looked_at(access.made);
        }
    }

    /// The value is seen of what was made at this place.
    pub(super) fn is_looked_at(&mut self, made: u64) {
        if self.loops.is_statistic(made) && !self.loops.is_read(made) {
            self.learned = Some(Loops::statistic(made, true));
        }
    }
}
