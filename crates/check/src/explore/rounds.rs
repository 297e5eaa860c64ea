//! Threads that come round: see [`waiting`](crate::waiting) for what becomes of them and why.

use super::stutter::{After, TakenBack};
use super::*;
use crate::waiting::{
    COUNTED_ROUNDS, Effect, Expected, LONGEST, MOST_ATTEMPTS, OFTEN, Purpose, UNTRIED_ROUNDS, choice,
    is_choice, mix, place,
};
use racefuzz_runtime::Standstill;
use racefuzz_runtime::Wait as Awaits;
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
}

/// Whether a thread can be scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    GoesOn,
    Waits,
    /// It goes on alone, to find out whether it waits.
    Tries,
    /// The execution ends here.
    Ends,
}

/// A round that a thread has just ended.
struct Round {
    /// Its events, in program order.
    events: Range<u32>,
    /// A number of the loop: its thread and places.
    key: u64,
    /// A number of the operation that comes next, and with which it began.
    begins: u64,
    /// Choices behind it that are part of the operation which comes next.
    choices: u32,
}

impl Explore {
    /// Whether a thread can be scheduled, or waits in a loop.
    pub(super) fn turn(&mut self, thread: u32, standing: &Standing<'_>) -> Turn {
        match &self.fronts[thread as usize].wait {
            Wait::No => {}
            Wait::Seen(round) => {
                let round = round.clone();
                if !self.is_seen(thread, &round) {
                    return Turn::Waits;
                }
                if self.fronts[thread as usize].strayed && !self.quiet {
                    return self.goes_on_anew(thread);
                }
                return self.goes_on_behind(thread);
            }
            Wait::News(known) => {
                if known.iter().all(|(loc, newest)| self.graph.newest(*loc) == *newest) {
                    return Turn::Waits;
                }
                if self.quiet {
                    let front = self.front(thread);
                    (front.wait, front.looked) = (Wait::No, front.done);
                    return Turn::GoesOn;
                }
                return self.goes_on_anew(thread);
            }
        }
        let front = &self.fronts[thread as usize];
        if front.looked == front.done || front.done == 0 {
            return Turn::GoesOn;
        }
        let is_first = front.looked == 0;
        self.front(thread).looked = front.done;
        if is_first && self.loaded > 0 && self.loops.lengths_of_waits().next().is_some() {
            self.front(thread).seen = self.seen_before(thread);
        }
        if self.attempts(thread, standing) >= MOST_ATTEMPTS {
            return self.attempted_enough(standing);
        }
        let Some(round) = self.round(thread, standing) else { return Turn::GoesOn };
        self.came_round(thread, round)
    }

    /// How many rounds in a row, whatever they did, a thread has made in a loop that is known to wait, where
    /// it stands before another one: those that others see stay. Of rounds that take locks it is not known
    /// whether they did what they were for, so they count if others have seen them.
    fn attempts(&self, thread: u32, standing: &Standing<'_>) -> u32 {
        let front = &self.fronts[thread as usize];
        let Some(next) = self.next_place(thread, standing) else { return 0 };
        let end = front.trail.len();
        let Some((length, equal)) = self.looped(thread, end, next, self.next_site(thread, standing)) else {
            return 0;
        };
        if !self.takes_lock(thread, &((end - length) as u32..end as u32)) {
            return equal as u32;
        }
        self.seen_rounds(thread, end, length).take(equal).count() as u32
    }

    /// The length and the number of the equal rounds that end with the event before `end`, if that is where a
    /// thread stood before another round of a loop that is known to wait.
    fn looped(&self, thread: u32, end: usize, next: u64, site: u64) -> Option<(usize, usize)> {
        let trail = &self.fronts[thread as usize].trail[..end];
        let lengths = self.loops.lengths_of_waits().map(|length| length as usize);
        let length = lengths.filter(|length| *length <= end).find(|length| {
            let round = end - length..end;
            trail[round.clone()].iter().find(|place| !is_choice(**place)) == Some(&next)
                && self.loops.rounds(self.key(thread, round, site)) == Some(1)
        })?;
        let round = &trail[end - length..];
        Some((length, trail.rchunks_exact(length).take_while(|earlier| *earlier == round).count()))
    }

    /// The rounds of such a length before `end`, the last first, up to one that nobody has seen.
    fn seen_rounds(&self, thread: u32, end: usize, length: usize) -> impl Iterator<Item = Range<u32>> + '_ {
        let rounds = (1..=end / length).map(move |back| {
            let start = (end - back * length) as u32;
            start..start + length as u32
        });
        rounds.take_while(move |round| self.is_seen(thread, round))
    }

    /// Whether a thread goes round, wherever in a round it stands, and others have seen its last rounds: in a
    /// loop that is known to wait, or in one whose last rounds read the same and left nothing.
    fn is_undone(&self, thread: u32) -> bool {
        let front = &self.fronts[thread as usize];
        let most = self.loops.lengths_of_waits().max().unwrap_or(0) as usize;
        let len = front.trail.len();
        (len.saturating_sub(most)..len).rev().any(|end| {
            let Some(next) = (end..len).find(|at| !is_choice(front.trail[*at])) else { return false };
            let known = self.looped(thread, end, front.trail[next], front.sites[next]);
            let known = known.filter(|(_, equal)| *equal > 1).map(|(length, _)| length);
            let length = known.or_else(|| {
                (1..=most.min(end / 2)).find(|length| {
                    let round = (end - length) as u32..end as u32;
                    front.trail[end - length] == front.trail[next]
                        && self.is_equal(thread, &round, 1, false)
                        && self.effect(thread, &round).0 != Effect::Lasting
                })
            });
            length.is_some_and(|length| self.seen_rounds(thread, end, length).take(2).count() == 2)
        })
    }

    /// A thread that waits has been seen so often that more of it is not explored. If all that have not
    /// ended are like that, they keep each other from what they wait for.
    fn attempted_enough(&mut self, standing: &Standing<'_>) -> Turn {
        let goes_round = |thread: &u32| {
            standing.is_live(self.fronts[*thread as usize].runs_as)
                && (self.attempts(*thread, standing) > 1 || self.is_undone(*thread))
        };
        let looping: Vec<u32> = (0..self.started as u32).filter(goes_round).collect();
        let waits = |thread: u32| {
            let front = &self.fronts[thread as usize];
            !standing.is_live(front.runs_as)
                || !standing.is_enabled(front.runs_as)
                || !matches!(front.wait, Wait::No)
                || looping.contains(&thread)
        };
        // What their last rounds read has been overwritten by rounds of theirs only.
        let length = self.loops.lengths_of_waits().max().unwrap_or(0) as usize;
        let is_among_them = |read: &Id| {
            let event = self.graph.event(*read);
            event.kind != Kind::Read || {
                let mo = &self.graph.loc(event.loc).mo;
                let newer = &mo[self.graph.place(event.loc, event.rf)..];
                newer.iter().all(|write| looping.contains(&self.graph.event(*write).thread))
            }
        };
        let keeps_up = |thread: &u32| {
            let ids = &self.graph.threads[*thread as usize];
            ids[ids.len().saturating_sub(length)..].iter().all(is_among_them)
        };
        if looping.len() > 1 && looping.iter().all(keeps_up) && (0..self.started as u32).all(waits) {
            let threads = looping.iter().map(|thread| self.fronts[*thread as usize].runs_as);
            self.livelocked = threads.collect();
        } else {
            (self.dead, self.bounded) = (true, true);
        }
        Turn::Ends
    }

    /// The place of what a thread does next, without the location.
    fn next_site(&self, thread: u32, standing: &Standing<'_>) -> u64 {
        let runs_as = self.fronts[thread as usize].runs_as;
        let op = standing.pending(runs_as);
        place(standing.site(runs_as), op.verb, NOWHERE, !op.kind.reads())
    }

    /// How many events a thread whose events are those of the graph had executed when others had seen its
    /// last round.
    fn seen_before(&self, thread: u32) -> u32 {
        let front = &self.fronts[thread as usize];
        let trail = &front.trail;
        let mut seen = 0;
        for end in 1..trail.len() {
            let Some(next) = (end..trail.len()).find(|at| !is_choice(trail[*at])) else { break };
            for length in self.loops.lengths_of_waits().map(|length| length as usize) {
                let Some(start) = end.checked_sub(length).filter(|start| *start >= seen) else { continue };
                let begins = trail[start..end].iter().find(|place| !is_choice(**place));
                if begins == Some(&trail[next])
                    && self.loops.rounds(self.key(thread, start..end, front.sites[next])) == Some(1)
                    && self.is_seen(thread, &(start as u32..end as u32))
                {
                    seen = end;
                    break;
                }
            }
        }
        seen as u32
    }

    /// A number of what a thread does next: its place in the source, and the thread.
    fn operation(&self, thread: u32, standing: &Standing<'_>) -> u64 {
        let runs_as = self.fronts[thread as usize].runs_as;
        place(standing.site(runs_as), standing.pending(runs_as).verb, NOWHERE, false) ^ self.path(thread)
    }

    /// Whether a thread is about to begin a round that takes locks, in a loop that is known to wait.
    pub(super) fn is_about_to_poll(&self, thread: u32, standing: &Standing<'_>) -> bool {
        self.loops.is_poll(self.operation(thread, standing))
    }

    /// The place of what a thread does next, if that is an event on a location.
    fn next_place(&self, thread: u32, standing: &Standing<'_>) -> Option<u64> {
        let runs_as = self.fronts[thread as usize].runs_as;
        let op = standing.pending(runs_as);
        let loc = (op.object != Op::NO_OBJECT).then(|| self.loc(op.object))?;
        Some(place(standing.site(runs_as), op.verb, loc, !op.kind.reads()))
    }

    /// Whether a round takes a lock: what that guards is no event.
    fn takes_lock(&self, thread: u32, events: &Range<u32>) -> bool {
        self.ids(thread, events).iter().any(|id| self.graph.event(*id).verb.takes_lock())
    }

    /// The thread's last round has been seen: it goes on, and only a whole round from here may be a wait.
    fn goes_on_behind(&mut self, thread: u32) -> Turn {
        let front = self.front(thread);
        (front.wait, front.looked, front.seen) = (Wait::No, front.done, front.done);
        Turn::GoesOn
    }

    /// A thread goes on of which there is more than its events say: from the graph alone, but perhaps first
    /// as it is, to find out whether that makes a difference.
    fn goes_on_anew(&mut self, thread: u32) -> Turn {
        if !self.stutters(thread, After::Explored) {
            return self.begin_anew(false);
        }
        self.seal_copy();
        match self.fronts[thread as usize].wait {
            Wait::Seen(_) => self.goes_on_behind(thread),
            _ => {
                let front = self.front(thread);
                (front.wait, front.looked) = (Wait::No, front.done);
                Turn::GoesOn
            }
        }
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
    pub(super) fn begin_anew(&mut self, forced: bool) -> Turn {
        self.anew = Some(forced);
        Turn::Ends
    }

    /// The round that a thread has just ended, if it is one that may be a wait.
    fn round(&self, thread: u32, standing: &Standing<'_>) -> Option<Round> {
        let front = &self.fronts[thread as usize];
        let next = self.next_place(thread, standing)?;
        let trail = &front.trail;
        // Choices at the end are part of the operation that comes next.
        let end = trail.len() - trail.iter().rev().take_while(|place| is_choice(**place)).count();
        let choices = trail.len() - end;
        // A round may begin with choices: those that its first operation makes before it is stated, which the
        // next operation has made, too, and those that it makes when it happens.
        let begins = |start: usize| {
            let round = &trail[start..end];
            round.starts_with(&trail[end..]) && round.iter().find(|place| !is_choice(**place)) == Some(&next)
        };
        let longest = (end - front.seen as usize).min(LONGEST);
        for length in (1..=longest).filter(|length| begins(end - length)) {
            let events = (end - length) as u32..end as u32;
            let repeats = self.is_equal(thread, &events, 1, false);
            if !repeats && !self.loops.has_waits_of(length as u32) {
                continue;
            }
            let key = self.key(thread, end - length..end, self.next_site(thread, standing));
            let known = self.loops.rounds(key);
            let single = known == Some(1);
            if single || repeats {
                // Longer rounds would be several of this one.
                let rounds = known.unwrap_or(2);
                let strict = known.is_some_and(|rounds| rounds > 1);
                let equal = (1..rounds).all(|back| self.is_equal(thread, &events, back, strict));
                return equal.then_some(Round {
                    events,
                    key,
                    begins: self.operation(thread, standing),
                    choices: choices as u32,
                });
            }
        }
        None
    }

    /// A number of a loop and of the place where its rounds are looked at: in the middle of one the thread
    /// may remember what it has read and not yet looked at.
    fn key(&self, thread: u32, events: Range<usize>, next: u64) -> u64 {
        // Locations are numbered anew in each execution; the places in the source are not.
        let sites = &self.fronts[thread as usize].sites[events];
        let pairs = sites.iter().zip(sites.iter().cycle().skip(1));
        let sum = pairs.fold(0u64, |sum, (a, b)| sum.wrapping_add(mix(*a, *b)));
        mix(mix(sum, sites.len() as u64), mix(self.path(thread), next))
    }

    /// A number of a thread's place in the tree of threads.
    pub(super) fn path(&self, thread: u32) -> u64 {
        let (mut at, mut path) = (thread, 0);
        while at != 0 {
            let (parent, child) = self.graph.tree[at as usize];
            (at, path) = (parent, mix(path, u64::from(child) + 1));
        }
        path
    }

    /// Whether a round is equal to that so many rounds earlier, value by value. If this is to be `strict`,
    /// nobody else may have had a lock meanwhile, as what it guards is no event.
    fn is_equal(&self, thread: u32, events: &Range<u32>, back: u32, strict: bool) -> bool {
        let length = events.len() as u32;
        let Some(start) = events.start.checked_sub(length * back) else { return false };
        let ids = &self.graph.threads[thread as usize];
        events.clone().zip(start..).all(|(at, earlier)| {
            let front = &self.fronts[thread as usize];
            let (now, before) = (ids[at as usize], ids[earlier as usize]);
            front.trail[at as usize] == front.trail[earlier as usize]
                && self.does_the_same(now, before, strict)
        })
    }

    fn does_the_same(&self, now: Id, before: Id, strict: bool) -> bool {
        let (event, earlier) = (self.graph.event(now), self.graph.event(before));
        if (event.kind, event.rmw, event.choice) != (earlier.kind, earlier.rmw, earlier.choice) {
            return false;
        }
        if event.rmw && self.counts_up(now).is_some_and(|by| self.counts_up(before) == Some(by)) {
            return true;
        }
        match event.kind {
            Kind::Read if strict && event.verb.takes_lock() && event.rmw => {
                self.is_own(event.thread, event.rf) && self.is_own(event.thread, earlier.rf)
            }
            Kind::Read => self.read_word(now) == self.read_word(before),
            Kind::Write => event.value == earlier.value,
            Kind::Fence | Kind::Choice => true,
        }
    }

    fn read_word(&self, read: Id) -> u64 {
        let event = self.graph.event(read);
        self.graph.word(event.loc, event.rf)
    }

    /// Of an event of a read-modify-write that is not what it does for all others: by how much it changes
    /// the word.
    fn counts_up(&self, id: Id) -> Option<u64> {
        let event = self.graph.event(id);
        let counts = matches!(event.verb, Verb::FetchAdd | Verb::FetchSub);
        if !event.rmw || !counts {
            return None;
        }
        let ids = &self.graph.threads[event.thread as usize];
        let (read, write) = match event.kind {
            Kind::Read => (id, *ids.get(event.po as usize + 1)?),
            _ => (ids[event.po as usize - 1], id),
        };
        Some(self.graph.event(write).value.wrapping_sub(self.read_word(read))).filter(|by| *by != 0)
    }

    fn ids(&self, thread: u32, events: &Range<u32>) -> SmallVec<[Id; 8]> {
        SmallVec::from_slice(&self.graph.threads[thread as usize][events.start as usize..events.end as usize])
    }

    /// What a round did to memory.
    fn effect(&self, thread: u32, events: &Range<u32>) -> (Effect, SmallVec<[u32; 2]>) {
        let ids = self.ids(thread, events);
        if self.fronts[thread as usize].spawned_at > events.start {
            return (Effect::Lasting, SmallVec::new());
        }
        // For each location written: the word before, and now.
        let mut words: SmallVec<[(u32, u64, u64); 4]> = SmallVec::new();
        let mut effect = Effect::Silent;
        for id in &ids {
            let event = self.graph.event(*id);
            if event.kind != Kind::Write {
                continue;
            }
            match words.iter_mut().find(|(loc, ..)| *loc == event.loc) {
                Some((_, before, now)) => {
                    *now = event.value;
                    if *before != event.value {
                        effect = Effect::Transient;
                    }
                }
                None => {
                    let place = self.graph.place(event.loc, *id);
                    let before = self.graph.word(event.loc, self.graph.write_at(event.loc, place - 1));
                    words.push((event.loc, before, event.value));
                    if before != event.value {
                        effect = Effect::Transient;
                    }
                }
            }
        }
        // Memory that is freed and allocated again lies where it was, and is not what it was.
        let recurs = |word: u64| racefuzz_runtime::alloc::may_recur(word, self.reuses);
        if effect == Effect::Transient && words.iter().any(|(_, before, now)| before == now && recurs(*now)) {
            return (Effect::Lasting, SmallVec::new());
        }
        let mut lasting = words.iter().filter(|(_, before, now)| before != now).peekable();
        if lasting.peek().is_none() {
            return (effect, SmallVec::new());
        }
        // A statistic: only such rounds touch it.
        let private = |loc: u32| self.is_statistic(loc);
        let rest_is_silent = words.iter().all(|(loc, before, now)| before == now || private(*loc));
        let others_silent = ids.iter().all(|id| {
            let event = self.graph.event(*id);
            event.kind != Kind::Write || private(event.loc) || {
                let place = self.graph.place(event.loc, *id);
                self.graph.word(event.loc, self.graph.write_at(event.loc, place - 1)) == event.value
            }
        });
        if !(rest_is_silent && others_silent) {
            return (Effect::Lasting, SmallVec::new());
        }
        let lasting = words.iter().filter(|(_, before, now)| before != now);
        (Effect::Silent, lasting.map(|(loc, ..)| *loc).collect())
    }

    /// Whether a round ends with a lock that it has taken last.
    fn holds_lock(&self, thread: u32, events: &Range<u32>) -> bool {
        let ids = self.ids(thread, events);
        let mut writes = ids.iter().rev().map(|id| self.graph.event(*id));
        let last = writes
            .find(|event| event.kind == Kind::Write && (event.verb.takes_lock() || event.verb.gives_lock()));
        last.is_some_and(|event| event.verb.takes_lock())
    }

    /// Whether all that events change are locks, of which they take one at a time and give it back.
    fn is_critical_section(&self, ids: &[Id]) -> bool {
        let mut held = None;
        for id in ids {
            let event = self.graph.event(*id);
            if event.kind != Kind::Write {
                continue;
            }
            match (event.verb.takes_lock(), held) {
                (true, None) => held = Some(event.loc),
                (false, Some(loc)) if event.verb.gives_lock() && loc == event.loc => held = None,
                _ => {
                    let place = self.graph.place(event.loc, *id);
                    if self.graph.word(event.loc, self.graph.write_at(event.loc, place - 1)) != event.value {
                        return false;
                    }
                }
            }
        }
        held.is_none()
    }

    /// Whether nobody but additions to it has read a location: what it holds is nobody's business.
    fn is_statistic(&self, loc: u32) -> bool {
        let reads = &self.graph.loc(loc).reads;
        reads.iter().all(|read| self.counts_up(*read).is_some())
    }

    /// Whether a thread other than its own has read what a location held in the middle of a round only.
    fn is_seen(&self, thread: u32, events: &Range<u32>) -> bool {
        let mut before: SmallVec<[(u32, u64); 4]> = SmallVec::new();
        self.ids(thread, events).iter().any(|id| {
            let event = self.graph.event(*id);
            if event.kind != Kind::Write {
                return false;
            }
            if !before.iter().any(|(loc, _)| *loc == event.loc) {
                let place = self.graph.place(event.loc, *id);
                before
                    .push((event.loc, self.graph.word(event.loc, self.graph.write_at(event.loc, place - 1))));
            }
            let first = before.iter().find(|(loc, _)| *loc == event.loc);
            first.is_some_and(|(_, word)| *word != event.value)
                && self.graph.readers(event.loc, *id).any(|read| self.graph.event(read).thread != thread)
        })
    }

    /// A thread has ended a round that may be a wait.
    fn came_round(&mut self, thread: u32, round: Round) -> Turn {
        let (effect, statistics) = self.effect(thread, &round.events);
        if effect == Effect::Lasting {
            return Turn::GoesOn;
        }
        if let Some(turn) = self.counts_in(thread, &round, &statistics) {
            return turn;
        }
        // State words are in real memory: what they were once cannot be read again. Nor can a thread that
        // has chosen otherwise do the same.
        let start = round.events.start;
        let chooses = |at: u32| self.graph.event(self.graph.threads[thread as usize][at as usize]).choice;
        let same_choices = (0..round.choices).all(|at| chooses(start + at) == chooses(round.events.end + at));
        let repeatable = same_choices
            && self.ids(thread, &round.events).iter().all(|id| {
                let is_state = |event: &Event| event.loc != NOWHERE && !event.verb.is_atomic();
                !is_state(self.graph.event(*id)) || self.finds_newest_write(*id)
            });
        if self.loops.rounds(round.key).is_none() {
            if self.holds_lock(thread, &round.events) {
                // The same loop is looked at again where it holds none.
                return Turn::GoesOn;
            }
            if !repeatable {
                // Others act between any two rounds. So many of them in a row, each alike, are no accident.
                if !(1..UNTRIED_ROUNDS).all(|back| self.is_equal(thread, &round.events, back, false)) {
                    return Turn::GoesOn;
                }
                self.front(thread).wait = Wait::Seen(round.events.clone());
                let seen = self.is_seen(thread, &round.events);
                return if seen { self.goes_on_behind(thread) } else { Turn::Waits };
            }
            return self.try_loop(thread, &round, Purpose::Learn);
        }
        self.bounded |= self.loops.counts(round.key);
        let ids = self.ids(thread, &round.events);
        let values = ids.iter().fold(round.key, |sum, id| match self.graph.event(*id).kind {
            Kind::Read => mix(sum, self.read_word(*id)),
            _ => sum,
        });
        self.front(thread).taken_back = TakenBack { key: round.key, values };
        let first = ids[0];
        let changed = |id: &Id| self.changed.contains(id);
        // Whoever waits for a lock finds it as if nobody had had it.
        let unseen = effect == Effect::Silent || !self.loops.tries() && self.is_critical_section(&ids);
        if unseen && !self.forced && !self.quiet && ids.iter().any(changed) {
            // It read something else than the newest, and it is no use.
            self.dead = true;
            self.forget_others(thread, first);
            self.dead_end = Some((thread, round.events.start));
            let purpose = self.confirms(round.key);
            return if repeatable { self.try_loop(thread, &round, purpose) } else { Turn::Ends };
        }
        let events_behind = self.graph.len() - first;
        let done = self.fronts[thread as usize].done;
        let is_last = first >= self.given && events_behind == done - round.events.start;
        if effect == Effect::Silent && !self.forced && is_last {
            let expected = self.expected(thread, &round.events);
            let poll = self.takes_lock(thread, &round.events).then_some(round.begins);
            self.take_back(thread, first, round.events.start);
            if !repeatable {
                return Turn::Waits;
            }
            let purpose = self.confirms(round.key);
            return self.start_trial(thread, &round, (purpose, poll), expected);
        }
        self.front(thread).wait = Wait::Seen(round.events.clone());
        if self.is_seen(thread, &round.events) {
            return self.goes_on_behind(thread);
        }
        let done = self.fronts[thread as usize].done;
        if !repeatable || self.known_to_wait.contains(&(thread, done)) {
            return Turn::Waits;
        }
        let purpose = self.confirms(round.key);
        self.try_loop(thread, &round, purpose)
    }

    /// What becomes of a round that only counts in these locations; `None` if nobody else reads them.
    fn counts_in(&mut self, thread: u32, round: &Round, statistics: &[u32]) -> Option<Turn> {
        let made = |loc: &u32| self.made.get(*loc as usize).copied().unwrap_or(0);
        let statistics: SmallVec<[u64; 2]> = statistics.iter().map(made).collect();
        if let Some(new) = statistics.iter().find(|made| !self.loops.is_statistic(**made)) {
            self.learned = Some(Loops::statistic(*new, false));
            return Some(Turn::Ends);
        }
        if !statistics.iter().any(|made| self.loops.is_read(*made)) {
            return None;
        }
        if (1..COUNTED_ROUNDS).all(|back| self.is_equal(thread, &round.events, back, true)) {
            (self.dead, self.bounded) = (true, true);
            return Some(Turn::Ends);
        }
        Some(Turn::GoesOn)
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

    /// Goes on quietly behind a dead end, as if the round had never been, to find out whether its thread
    /// remembers it.
    pub(super) fn leave_dead_end(&mut self) {
        let Some((thread, start)) = self.dead_end.take() else { return };
        let first = self.graph.threads[thread as usize][start as usize];
        let events_behind = self.graph.len() - first;
        let values = self.fronts[thread as usize].taken_back.values;
        let is_last = events_behind == self.fronts[thread as usize].done - start;
        if !is_last || self.learned.is_some() || !self.examines || self.is_examined(values) {
            return;
        }
        // What was left of the round stays: with another way behind, it may succeed.
        self.seal_copy();
        self.take_back(thread, first, start);
        if self.graph.ordered {
            // What it read was before what came behind that.
            self.graph.reorder(None);
            for thread in 0..self.started as u32 {
                if let Some(last) = self.last_event(thread) {
                    let ord = self.graph.event(last).ord.clone();
                    self.front(thread).ord = ord;
                }
            }
        }
        self.given = self.graph.len();
        self.changed = 0..0;
        self.front(thread).wait = Wait::No;
        self.dead = !self.stutters(thread, After::Done);
    }

    /// The round as it is expected to come again.
    fn expected(&self, thread: u32, events: &Range<u32>) -> Vec<Expected> {
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

    fn is_own(&self, thread: u32, write: Id) -> bool {
        write != INIT && self.graph.event(write).thread == thread
    }

    /// The loop is found to wait once more.
    fn confirms(&mut self, key: u64) -> Purpose {
        let times = self.confirmed.entry(key).or_insert(0);
        *times += 1;
        Purpose::Confirm { often: *times > OFTEN }
    }

    fn try_loop(&mut self, thread: u32, round: &Round, purpose: Purpose) -> Turn {
        let expected = self.expected(thread, &round.events);
        let poll = self.takes_lock(thread, &round.events).then_some(round.begins);
        self.start_trial(thread, round, (purpose, poll), expected)
    }

    fn start_trial(
        &mut self,
        thread: u32,
        round: &Round,
        (purpose, poll): (Purpose, Option<u64>),
        expected: Vec<Expected>,
    ) -> Turn {
        let known = self.loops.rounds(round.key).unwrap_or(0);
        let at = round.choices as usize;
        self.trial = Some(Trial::new(thread, (round.key, known), purpose, expected, at).polls(poll));
        Turn::Tries
    }

    /// Takes the last events of a thread back, which are the last of the graph.
    fn take_back(&mut self, thread: u32, first: Id, start: u32) {
        let porf = self.graph.porf_before(first);
        let mut ord = match start {
            0 => Clock::default(),
            po => self.graph.event(self.graph.threads[thread as usize][po as usize - 1]).ord.clone(),
        };
        let joins: SmallVec<[Id; 2]> = self.graph.joins_of(first).collect();
        for join in &joins {
            ord.join(&self.graph.event(*join).ord);
        }
        let mut known: SmallVec<[(u32, Id); 4]> = SmallVec::new();
        let taken_back = &self.graph.events[first as usize..];
        let spurious = taken_back.iter().filter(|event| event.site == choice(Point::Spurious));
        let spurious: u32 = spurious.map(|event| event.choice).sum();
        let locs = taken_back.iter().map(|event| event.loc);
        let locs: SmallVec<[u32; 8]> = locs.filter(|loc| *loc != NOWHERE).collect();
        self.graph.truncate(first);
        self.loaded = self.loaded.min(first);
        for loc in locs {
            if !known.iter().any(|(other, _)| *other == loc) {
                known.push((loc, self.graph.newest(loc)));
            }
        }
        self.left_here.truncate(self.left_before[first as usize] as usize);
        self.left_before.truncate(first as usize);
        self.steps.truncate(first as usize);
        let front = self.front(thread);
        front.done = start;
        front.spurious -= spurious.min(front.spurious);
        front.trail.truncate(start as usize);
        front.sites.truncate(start as usize);
        (front.porf, front.ord, front.joins) = (porf, ord, joins);
        (front.wait, front.looked) = (Wait::News(known), start);
    }

    /// How an execution stands in which no thread goes on.
    pub(super) fn stands_still(&self, standing: &Standing<'_>) -> Standstill {
        let waits = |front: &Front| !matches!(front.wait, Wait::No);
        if self.quiet && self.fronts[..self.started].iter().any(waits) {
            return Standstill::Discarded;
        }
        if self.diverged || self.dead || self.anew.is_some() || self.trial.is_some() || self.learned.is_some()
        {
            return Standstill::Discarded;
        }
        if !self.livelocked.is_empty() {
            return Standstill::Livelock(self.livelocked.clone());
        }
        let rounds = |thread: usize| match &self.fronts[thread].wait {
            Wait::Seen(round) => Some(self.ids(thread as u32, round)),
            _ => None,
        };
        let spinning: Vec<usize> = (0..self.started).filter(|thread| rounds(*thread).is_some()).collect();
        let Some(first) = spinning.first() else { return Standstill::Stuck };
        let rounds: Vec<_> = spinning.iter().filter_map(|thread| rounds(*thread)).collect();
        let newest = rounds.iter().flatten().all(|id| self.finds_newest(*id));
        // The rounds of others may pass through a word that lets a thread on which only looks. Threads that
        // all undo what they do keep each other from it.
        let writes = |loc: u32| {
            let events = rounds.iter().flatten().map(|id| self.graph.event(*id));
            events.filter(move |event| event.kind == Kind::Write && event.loc == loc)
        };
        let looks = |round: &SmallVec<[Id; 8]>| {
            let mut events = round.iter().map(|id| self.graph.event(*id));
            events.clone().all(|event| event.kind != Kind::Write || event.rmw && self.wrote_the_same(event))
                && {
                    events.any(|event| {
                        let read = || self.graph.word(event.loc, event.rf);
                        event.kind == Kind::Read && writes(event.loc).any(|write| write.value != read())
                    })
                }
        };
        let lets_on = |thread: usize| {
            let runs_as = self.fronts[thread].runs_as;
            let Awaits::Word { object, test } = standing.waits_for(runs_as) else { return false };
            standing.is_live(runs_as) && writes(self.loc(object)).any(|event| test.holds(event.value))
        };
        let others = (0..self.started).filter(|thread| !spinning.contains(thread));
        if !newest || rounds.iter().any(looks) || others.into_iter().any(lets_on) {
            return Standstill::Blocked(self.fronts[*first].runs_as);
        }
        Standstill::Livelock(spinning.iter().map(|thread| self.fronts[*thread].runs_as).collect())
    }

    /// Whether a read-modify-write wrote what it had read.
    fn wrote_the_same(&self, write: &Event) -> bool {
        let place = self.graph.place(write.loc, self.graph.threads[write.thread as usize][write.po as usize]);
        self.graph.word(write.loc, self.graph.write_at(write.loc, place - 1)) == write.value
    }

    /// Whether an event of a loop finds the same word when it comes again: the newest one, or what its own
    /// thread left.
    fn finds_newest(&self, id: Id) -> bool {
        let event = self.graph.event(id);
        // The words of counted references say nothing.
        let counted = matches!(event.verb, Verb::RefCount | Verb::RefClone | Verb::RefDrop);
        let same = || self.graph.word(event.loc, self.graph.newest(event.loc)) == self.read_word(id);
        self.finds_newest_write(id) || !counted && same()
    }

    fn finds_newest_write(&self, id: Id) -> bool {
        let event = self.graph.event(id);
        if event.kind != Kind::Read {
            return true;
        }
        let newest = self.graph.newest(event.loc);
        newest == event.rf || self.is_own(event.thread, newest)
    }
}
