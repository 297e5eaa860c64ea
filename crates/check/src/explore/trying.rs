//! A thread that goes on alone in a loop, and is given what it read there before: nothing of that becomes
//! part of the graph.

use super::finding::Round;
use super::rounds::LoopState;
use super::*;
use crate::waiting::{Expected, LoopKey, OFTEN, Purpose, place};
use std::ops::Range;

impl Explore {
    /// The loop is found to wait once more.
    pub(super) fn confirms(&mut self, key: LoopKey) -> Purpose {
        let times = self.confirmed.entry(key.start).or_insert(0);
        *times += 1;
        Purpose::Confirm { often: *times > OFTEN }
    }

    pub(super) fn try_loop(&mut self, thread: u32, round: &Round, purpose: Purpose) -> LoopState {
        self.trial = Some(self.trial_of(thread, round, round.choices, purpose));
        LoopState::Tries
    }

    /// A trial of the loop whose round the thread has ended; it has made so many of the choices of the next one.
    pub(super) fn trial_of(&self, thread: u32, round: &Round, at: u32, purpose: Purpose) -> Trial {
        let at = at as usize;
        let expected = self.expected(thread, &round.events);
        let poll = self.takes_lock(thread, &round.events).then_some(round.begins);
        let known = self.loops.rounds(round.key).unwrap_or(0);
        Trial::new(thread, (round.key, known), purpose, expected, at).polls(poll)
    }

    /// The round as it is expected to come again.
    pub(super) fn expected(&self, thread: u32, events: &Range<u32>) -> Vec<Expected> {
        let front = &self.fronts[thread as usize];
        let expected = |(at, id): (u32, &Id)| {
            let event = self.graph.event(*id);
            Expected {
                place: front.trail[at as usize],
                loc: event.loc,
                read: (event.kind == Kind::Read).then(|| self.read_word(*id)),
                wrote: (event.kind == Kind::Write).then_some(event.value),
                choice: event.choice,
                counts: self.counts_up(*id).is_some(),
                // What the round itself publishes is nothing new to its thread.
                source: if self.is_own(thread, event.rf) { INIT } else { event.rf },
            }
        };
        events.clone().zip(&self.ids(thread, events)).map(expected).collect()
    }

    /// The thread that is tried, in the running execution's numbers, if the trial goes on.
    pub(super) fn tries(&mut self, standing: &Standing<'_>) -> Option<u32> {
        let thread = self.trial.as_ref()?.thread;
        let runs_as = self.fronts[thread as usize].runs_as;
        let op = standing.pending(runs_as);
        let elsewhere =
            matches!(op.kind, OpKind::Join | OpKind::Finish | OpKind::Spawn) || op.verb == Verb::Finish;
        let has_ended = !standing.is_live(runs_as) || elsewhere;
        let object = (op.object != Op::NO_OBJECT).then(|| self.loc(op.object));
        let next = object.map(|loc| place(standing.site(runs_as), op.verb, loc, !op.kind.reads()));
        let trial = self.trial.as_mut()?;
        if has_ended || next.is_some_and(|next| next != trial.next_place()) {
            trial.leave();
        }
        // One that waits for a word has not left its loop.
        let goes_on = !trial.is_over() && standing.is_enabled(runs_as);
        goes_on.then_some(runs_as)
    }

    /// What the thread reads once more.
    pub(super) fn load_again(&mut self, access: &Access<'_>) -> Read<'_> {
        let here = place(access.site, access.verb, self.loc(access.object), false);
        let mut read = (0, INIT);
        if let Some(trial) = &mut self.trial {
            match trial.expect(here) {
                Some(expected) => read = (trial.word(&expected), expected.source),
                None => {
                    let loc = self.loc(access.object);
                    let newest = if loc == NOWHERE { INIT } else { self.graph.newest(loc) };
                    let word = if loc == NOWHERE { access.initial } else { self.graph.word(loc, newest) };
                    read = (word, newest);
                }
            }
        }
        let (value, source) = read;
        if source != INIT && self.renumbered {
            self.told = self.in_execution(&self.graph.event(source).release);
        }
        let release = match source {
            INIT => &self.empty,
            _ if self.renumbered => &self.told,
            source => &self.graph.event(source).release,
        };
        Read { value, release, source: self.step_of(source), newer: None }
    }

    /// What it writes once more.
    pub(super) fn write_again(&mut self, access: &Access<'_>, value: u64) {
        let here = place(access.site, access.verb, self.loc(access.object), true);
        if let Some(trial) = &mut self.trial
            && let Some(expected) = trial.expect(here)
        {
            trial.write(&expected, value);
        }
    }

    /// What it does to a state word once more.
    pub(super) fn step_again(&mut self, step: &Step<'_>) {
        let loc = self.loc(step.object);
        let here = |write| place(step.site, step.op.verb, loc, write);
        let Some(trial) = &mut self.trial else { return };
        if !matches!(step.op.kind, OpKind::Store | OpKind::Print) {
            match trial.expect(here(false)) {
                Some(expected) if !expected.counts && trial.word(&expected) != step.before => trial.leave(),
                _ => {}
            }
            if !step.writes {
                return;
            }
        }
        if let Some(expected) = trial.expect(here(true)) {
            trial.write(&expected, step.after);
        }
    }

    /// The trial is over; what it has shown is kept.
    pub(super) fn end_trial(&mut self) {
        let Some(trial) = self.trial.take() else { return };
        if trial.purpose == Purpose::Learn || trial.left {
            self.learned = Some(trial.result());
        } else {
            self.front(trial.thread).strayed = true;
        }
    }

    /// Whether a thread is being tried.
    #[cfg(test)]
    pub(crate) fn is_trying(&self) -> bool {
        self.trial.is_some()
    }

    /// Whether the execution was one from its beginning to its end: nothing was tried in it, nor taken back,
    /// so that its steps count.
    pub(crate) fn is_whole(&self) -> bool {
        let strays = self.fronts[..self.started].iter().any(|front| front.strayed);
        !(strays || self.quiet.is_some() || self.is_over() || self.trial.is_some())
    }

    /// Whether no execution comes of this: a thread waits that has read something else than the newest.
    pub(crate) fn is_dead_end(&self) -> bool {
        self.dead || self.doomed
    }

    /// Whether the execution has nothing more to say.
    pub(super) fn is_over(&self) -> bool {
        let begins_anew = self.learned.is_some() || self.anew.is_some();
        self.dead || self.diverged || begins_anew
    }

    /// What was learned of loops, for which the exploration begins anew. If a thread was being tried when
    /// the execution ended, it has left its loop, unless that was for the number of steps.
    pub(crate) fn take_learned(&mut self, out_of_steps: bool) -> Option<Loops> {
        if let Some(trial) = self.trial.as_mut().filter(|trial| !out_of_steps && !trial.is_over()) {
            trial.leave();
        }
        self.end_trial();
        self.learned.take()
    }

    /// Whether the execution is to begin anew from the graph that it has come to: it then is the next.
    pub(crate) fn takes_up_again(&mut self) -> bool {
        let Some(forced) = self.anew.take() else { return false };
        let known = self.known_to_wait();
        let base = Arc::new(std::mem::replace(&mut self.graph, self.spare.pop().unwrap_or_default()));
        self.become_work(&base);
        let changed = if self.doomed { self.changed.clone() } else { 0..0 };
        let same = Change::Same { revisited: None, changed, forced, known_to_wait: known };
        self.later.push(WorkItem::new(&base, same, self.turn()));
        true
    }
}
