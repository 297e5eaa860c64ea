//! Rounds of threads that repeat themselves: what is a round, which loop it belongs to, and how often
//! others have seen such rounds.

use super::{Explore, Front, Graph, INIT, Id, Kind, NOWHERE, Standing};
use crate::waiting::{LONGEST, LoopKey, MOST_ATTEMPTS, MOST_IN_VAIN, is_choice, mix, place};
use racefuzz_runtime::Op;
use racefuzz_trace::Verb;
use smallvec::SmallVec;
use std::ops::Range;

/// A round that a thread has just ended.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// Its events, in program order.
    pub(super) events: Range<u32>,
    /// The loop.
    pub(super) key: LoopKey,
    /// A number of the operation that comes next, and with which it began.
    pub(super) begins: u64,
    /// Choices behind it that are part of the operation which comes next.
    pub(super) choices: u32,
}

/// Rounds of a loop that waits which others may see, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    /// The loop's [ring](LoopKey::ring).
    pub(super) ring: u64,
    pub(super) count: u32,
}

/// Equal rounds, one after the other, of a loop that is known to wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looped {
    key: LoopKey,
    /// How many events each has.
    pub(super) length: usize,
    pub(super) count: usize,
}

/// What a thread does next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    /// Its place, if it says on which location it is: what counts references or asks whether a thread has
    /// ended does not.
    pub(super) place: Option<u64>,
    /// Its place without the location.
    pub(super) site: u64,
}

impl Next {
    /// Whether it is the same operation as one that the thread has done.
    fn is(&self, place: u64, site: u64) -> bool {
        self.place.map_or(self.site == site, |next| next == place)
    }
}

impl Explore {
    /// The round that a thread has just ended, if it is one that may be a wait.
    pub(super) fn round(&self, thread: u32, standing: &Standing<'_>) -> Option<Round> {
        let front = &self.fronts[thread as usize];
        let next = self.next_operation(thread, standing);
        let trail = &front.trail;
        // Choices at the end are part of the operation that comes next.
        let end = trail.len() - trail.iter().rev().take_while(|place| is_choice(**place)).count();
        let choices = trail.len() - end;
        let longest = (end - front.seen as usize).min(LONGEST);
        for length in self.lengths(thread, end, longest, next) {
            let start = end - length;
            let events = start as u32..end as u32;
            // The round before this one ended with the same operation, which tells most of them apart.
            let ends_alike = start > 0 && trail[start - 1] == trail[end - 1];
            let repeats = ends_alike && self.is_equal(thread, &events, 1, false);
            if !repeats && !self.loops.has_waits_of(length as u32) {
                continue;
            }
            let key = self.key(thread, end - length..end, next.site);
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

    /// The lengths, up to `longest`, of what ends before `end` and begins with the operation that comes
    /// next, ascending. A round may begin with choices: those that its first operation makes before it is
    /// stated, which the next operation has made, too, and those that it makes when it happens.
    fn lengths(
        &self,
        thread: u32,
        end: usize,
        longest: usize,
        next: Next,
    ) -> impl Iterator<Item = usize> + '_ {
        let Front { trail, sites, occurrences, .. } = &self.fronts[thread as usize];
        let made = &trail[end..];
        let least = end - longest;
        let at = occurrences.of(next.site, sites, least).filter(move |at| {
            *at < end && !is_choice(trail[*at]) && next.place.is_none_or(|place| trail[*at] == place)
        });
        let starts = at.flat_map(move |at| {
            let choices = trail[least..at].iter().rev().take_while(|place| is_choice(**place)).count();
            (at - choices..=at).rev()
        });
        starts
            .filter(move |start| made.is_empty() || trail[*start..end].starts_with(made))
            .map(move |start| end - start)
    }

    /// The loop whose round these events are, if what comes next begins another one.
    pub(super) fn key(&self, thread: u32, events: Range<usize>, next: u64) -> LoopKey {
        // Locations are numbered anew in each execution; the places in the source are not.
        let sites = &self.fronts[thread as usize].sites[events];
        let pairs = sites.iter().zip(sites.iter().cycle().skip(1));
        let sum = pairs.fold(0u64, |sum, (a, b)| sum.wrapping_add(mix(*a, *b)));
        let ring = mix(mix(sum, sites.len() as u64), self.path(thread));
        LoopKey { ring, start: mix(ring, next) }
    }

    /// A number of a thread's place in the tree of threads.
    pub(super) fn path(&self, thread: u32) -> u64 {
        path(&self.graph, thread)
    }

    pub(super) fn ids(&self, thread: u32, events: &Range<u32>) -> SmallVec<[Id; 8]> {
        SmallVec::from_slice(&self.graph.threads[thread as usize][events.start as usize..events.end as usize])
    }

    /// Whether a round is equal to that so many rounds earlier, value by value. If this is to be `strict`,
    /// nobody else may have had a lock meanwhile, as what it guards is no event.
    pub(super) fn is_equal(&self, thread: u32, events: &Range<u32>, back: u32, strict: bool) -> bool {
        let length = events.len() as u32;
        let Some(start) = events.start.checked_sub(length * back) else { return false };
        if (start as usize) < self.before_quiet(thread) {
            return false;
        }
        let trail = &self.fronts[thread as usize].trail;
        let places = |start: u32| &trail[start as usize..(start + length) as usize];
        // Where two rounds differ, it is most often in their last events, as they begin alike.
        if !places(events.start).iter().rev().eq(places(start).iter().rev()) {
            return false;
        }
        let ids = &self.graph.threads[thread as usize];
        events
            .clone()
            .zip(start..)
            .all(|(at, earlier)| self.does_the_same(ids[at as usize], ids[earlier as usize], strict))
    }

    pub(super) fn does_the_same(&self, now: Id, before: Id, strict: bool) -> bool {
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

    pub(super) fn read_word(&self, read: Id) -> u64 {
        let event = self.graph.event(read);
        self.graph.word(event.loc, event.rf)
    }

    /// Of an event of a read-modify-write that is not what it does for all others: by how much it changes
    /// the word.
    pub(super) fn counts_up(&self, id: Id) -> Option<u64> {
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

    /// The place of what a thread does next, without the location.
    pub(super) fn next_site(&self, thread: u32, standing: &Standing<'_>) -> u64 {
        let runs_as = self.fronts[thread as usize].runs_as;
        let op = standing.pending(runs_as);
        let writes = op.object != Op::NO_OBJECT && !op.kind.reads();
        place(standing.site(runs_as), op.verb, NOWHERE, writes)
    }

    /// What a thread does next.
    pub(super) fn next_operation(&self, thread: u32, standing: &Standing<'_>) -> Next {
        let runs_as = self.fronts[thread as usize].runs_as;
        let op = standing.pending(runs_as);
        let loc = (op.object != Op::NO_OBJECT).then(|| self.loc(op.object));
        let place = loc.map(|loc| place(standing.site(runs_as), op.verb, loc, !op.kind.reads()));
        Next { place, site: self.next_site(thread, standing) }
    }

    /// A number of what a thread does next: its place in the source, and the thread.
    pub(super) fn operation(&self, thread: u32, standing: &Standing<'_>) -> u64 {
        let runs_as = self.fronts[thread as usize].runs_as;
        place(standing.site(runs_as), standing.pending(runs_as).verb, NOWHERE, false) ^ self.path(thread)
    }

    /// Whether a thread is about to begin a round that takes locks, in a loop that is known to wait.
    pub(super) fn is_about_to_poll(&self, thread: u32, standing: &Standing<'_>) -> bool {
        self.loops.is_poll(self.operation(thread, standing))
    }

    /// The equal rounds that end with the event before `end`, if that is where a thread stood before another round of
    /// a loop that is known to wait.
    pub(super) fn looped(&self, thread: u32, end: usize, next: Next) -> Option<Looped> {
        let front = &self.fronts[thread as usize];
        let trail = &front.trail[..end];
        let lengths = self.loops.lengths_of_waits().map(|length| length as usize);
        let (length, key) = lengths.filter(|length| *length <= end).find_map(|length| {
            let mut round = end - length..end;
            let first = round.find(|at| !is_choice(trail[*at]));
            first.filter(|at| next.is(trail[*at], front.sites[*at]))?;
            let key = self.key(thread, end - length..end, next.site);
            (self.loops.rounds(key) == Some(1)).then_some((length, key))
        })?;
        let round = &trail[end - length..];
        let count = trail.rchunks_exact(length).take_while(|earlier| *earlier == round).count();
        Some(Looped { key, length, count })
    }

    /// The rounds of such a length before `end`, the last first, up to one that nobody has seen.
    pub(super) fn seen_rounds(
        &self,
        thread: u32,
        end: usize,
        length: usize,
    ) -> impl Iterator<Item = Range<u32>> + '_ {
        let rounds = (1..=end / length).map(move |back| {
            let start = (end - back * length) as u32;
            start..start + length as u32
        });
        rounds.take_while(move |round| self.is_seen(thread, round))
    }

    /// How many events a thread whose events are those of the graph had executed when others had seen its
    /// last round.
    pub(super) fn seen_before(&self, thread: u32) -> u32 {
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

    /// How many rounds in a row, whatever they did, a thread has made in a loop that is known to wait, where
    /// it stands before another one: those that others see stay. Of rounds that take locks it is not known
    /// whether they did what they were for, so they count if others have seen them. A round that found something
    /// which no such loop has written does not: of these there are no more than others bring about.
    pub(super) fn attempts(&self, thread: u32, standing: &Standing<'_>) -> Attempts {
        let front = &self.fronts[thread as usize];
        let next = self.next_operation(thread, standing);
        let end = front.trail.len();
        let Some(Looped { key, length, count }) = self.looped(thread, end, next) else {
            return Attempts::default();
        };
        let ring = key.ring;
        let equal = count.min((end - self.before_quiet(thread)) / length);
        let rounds = (1..=equal).map(|back| (end - back * length) as u32..(end - (back - 1) * length) as u32);
        let many = equal >= MOST_IN_VAIN as usize;
        let counts = |round: &Range<u32>| many || !self.finds_work(thread, round, standing);
        if !self.takes_lock(thread, &((end - length) as u32..end as u32)) {
            return Attempts { ring, count: rounds.filter(counts).count() as u32 };
        }
        let seen = self.seen_rounds(thread, end, length).take(equal).filter(counts);
        Attempts { ring, count: seen.count() as u32 }
    }

    /// Whether a round read something that the one before it had not read, and that another thread wrote elsewhere
    /// than in rounds of a loop that is known to wait, or that are all alike.
    fn finds_work(&self, thread: u32, round: &Range<u32>, standing: &Standing<'_>) -> bool {
        let ids = &self.graph.threads[thread as usize];
        round.clone().any(|at| {
            let event = self.graph.event(ids[at as usize]);
            if event.kind != Kind::Read || event.rf == INIT || self.is_own(thread, event.rf) {
                return false;
            }
            let before = at.checked_sub(round.len() as u32).map(|at| self.graph.event(ids[at as usize]).rf);
            before != Some(event.rf) && !self.repeats(event.rf) && !self.is_of_wait(event.rf, standing)
        })
    }

    /// Whether an event ends several rounds of its thread that are alike, of any loop.
    fn repeats(&self, id: Id) -> bool {
        let event = self.graph.event(id);
        let trail = &self.fronts[event.thread as usize].trail[..=event.po as usize];
        let most = (trail.len() / MOST_ATTEMPTS as usize).min(LONGEST);
        (1..=most).any(|length| {
            let round = (trail.len() - length) as u32..trail.len() as u32;
            trail[trail.len() - 1 - length] == trail[trail.len() - 1]
                && (1..MOST_ATTEMPTS).all(|back| self.is_equal(event.thread, &round, back, false))
        })
    }

    /// Whether an event is one of a round of a loop that is known to wait.
    fn is_of_wait(&self, id: Id, standing: &Standing<'_>) -> bool {
        let event = self.graph.event(id);
        let Front { trail, sites, runs_as, .. } = &self.fronts[event.thread as usize];
        let at = event.po as usize;
        let longest = self.loops.lengths_of_waits().max().unwrap_or(0) as usize;
        (at + 1..=trail.len().min(at + longest)).any(|end| {
            let next = match (end..trail.len()).find(|at| !is_choice(trail[*at])) {
                Some(next) => Next { place: Some(trail[next]), site: sites[next] },
                None if standing.is_live(*runs_as) => self.next_operation(event.thread, standing),
                None => return false,
            };
            self.looped(event.thread, end, next).is_some_and(|looped| end - looped.length <= at)
        })
    }
}

/// A number of a thread's place in a graph's tree of threads.
pub(super) fn path(graph: &Graph, thread: u32) -> u64 {
    let (mut at, mut path) = (thread, 0);
    while at != 0 {
        let (parent, child) = graph.tree[at as usize];
        (at, path) = (parent, mix(path, u64::from(child) + 1));
    }
    path
}
