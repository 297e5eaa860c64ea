//! Loops that wait by trying again.
//!
//! A thread that spins until another one has stored something takes any number of rounds, and an
//! exploration that tells executions apart by their number of rounds never ends. SAVer (Kokologiannakis,
//! Ren & Vafeiadis, FMCAD'21) proves of a loop that a round which fails leaves everything as it was, and
//! then explores the last round only: an execution with failed rounds and the one without them differ in
//! nothing else, as taking reads away takes nothing from the executions that a memory model allows. It
//! reads that off the program's code. Here there is no code to read, so it is found out by watching.
//!
//! **A round** is a piece of a thread's events behind which the thread is about to do what the round began
//! with: the same operation, at the same place in the source, on the same location. No hint in the loop is
//! needed, nor does the shape of the code matter. What a round did to memory is known:
//!
//! * it is *silent* if each of its writes wrote what was there (a load, a compare_exchange that fails, a swap of
//!   the same value);
//! * it is *transient* if it leaves memory as it found it, but had changed it meanwhile (announce oneself and
//!   take it back; take a lock, look, give it back; give oneself a token and take it);
//! * else it has an *effect*, and is no wait. (But a statistic which only the loop itself updates is
//!   nobody's business: see [`Effect`].)
//!
//! **What cannot be seen** is whether the thread itself remembers the round: a number of retries, a value it
//! compares with. So a loop is *tried* before it is taken for a wait: its thread goes on alone and is given
//! again what it read, until it leaves the loop or has gone through as many steps as an execution may take. A
//! loop that leaves is bounded, and each of its rounds is explored. A loop that does not would never
//! end in this memory: it waits. What is learned holds for the places of the loop, so each single round that
//! is taken for a wait is tried again, for some rounds, from where it is (a thread that has read what it waited
//! for, and stands before another wait at the same place, then leaves); a loop that is refuted so is
//! taken for a wait only once its rounds are equal, value by value, [`Rounds`] times in a row.
//!
//! **What the thread remembers** is found out by what it does: see [`stutter`](crate::explore::stutter).
//! Executions that go on behind a round which is taken for a wait are held against those without it. Of a loop
//! whose thread tells the two apart, wherever its rounds are said to begin, a round is taken for a wait only
//! behind one that is equal, then behind two, as they may have been the last rounds of earlier waits at the same
//! place. If the thread tells those apart, too, it *counts*: its first [`COUNTED_ROUNDS`] equal rounds are
//! explored, and the exploration is not called complete.
//!
//! **What becomes of a wait.** A silent round is taken back, as if its thread had not been scheduled:
//! the thread is left aside until a location that it read has another newest write, and then the execution is
//! begun anew from its graph, so that each execution counted is one in which these rounds never happened. The
//! order in which events are added stays a function of the graph, which is what TruSt asks for: a
//! thread whose round would fail comes behind all others. A round that read something else than the newest
//! writes, and fails, is a dead end, like an `assume` that does not hold: with the newest ones the thread comes to
//! wait, too, and finds all that others write later. (Where equal rounds have to come first it may not wait there;
//! so there others go on, and may still change what the round read.) A transient round stays in the graph,
//! as others may see its middle: its thread goes on once somebody has, and else never, as the execution
//! without the round is explored elsewhere (zero-net-effect loops in SAVer).
//!
//! That has a gap. Let two threads see the middles of two rounds, one each, so that an order between these threads
//! tells the rounds apart. If the thread that sees the second one was added before the other, it could read it
//! only by a revisit; but the round is made only once somebody has seen the first, and the event that did so
//! is no maximal one, which forbids the revisit. Such an execution is met in some orders of threads only. So
//! explorations that took rounds back [sample](crate::sample), too.
//!
//! That may go on for ever: threads whose rounds see each other's take part in ever larger graphs. After
//! [`MOST_ATTEMPTS`] rounds in a row the rest is not explored, and the exploration is not called complete. A round
//! that found what no such loop has brought does not count: there are as many of these as there is work. Where all
//! threads do nothing else, they may undo each other's work, which is a livelock, too; or they hand each other
//! something, and each counts for itself how often. So they go on as in their last rounds: if they end, more
//! rounds in a row are explored.
//!
//! A round that takes a lock is transient, and others come behind it in the lock's order: they cannot be
//! revisited into it any more. So where such a round would begin, all other threads come first.
//! One that was put there by a revisit of its own, and fails, is a dead end, too: whoever waits for a lock
//! finds it as if nobody had had it. Somebody who only *tries* to take one does not, so where a program does
//! that, such rounds are like any others.
//!
//! A statistic that such rounds count in is known by the place where it was made; if anybody reads it, the
//! loop's rounds matter, and it is bounded like one that counts.
//!
//! **Livelocks.** Where all threads that have not ended wait, and read the newest writes, and none of them is
//! let on by what the rounds of the others pass through, no fair schedule gets any further (await termination:
//! Oberhauser et al., ASPLOS'21).

use racefuzz_trace::{Point, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// Steps in which a loop that is tried must be left, or is taken for endless: as many as an execution may
/// take by default.
pub(crate) const TRIAL_STEPS: u32 = 100_000;

/// Rounds for which a single wait is tried, at first and once its loop has often been found to wait.
pub(crate) const PROBE_ROUNDS: [u32; 2] = [40, 4];

/// Waits of a loop after which it has often been found to wait.
pub(crate) const OFTEN: u32 = 64;

/// Equal rounds that are a wait where the loop cannot be tried: state words cannot be read as they were.
pub(crate) const UNTRIED_ROUNDS: u32 = 8;

/// Rounds of a loop that waits which others may see, one after the other.
pub(crate) const MOST_ATTEMPTS: u32 = 4;

/// The same where threads were found to end behind more of them, at most.
pub(crate) const MOST_IN_VAIN: u32 = 64;

/// Equal rounds in a row that are explored of a loop whose thread acts on them.
pub(crate) const COUNTED_ROUNDS: Rounds = 4;

/// Equal rounds in a row that are a wait at the most, however often a loop is left behind as many.
pub(crate) const MOST_REFUTED: Rounds = 16;

/// The longest round that is looked for, in events.
pub(crate) const LONGEST: usize = 256;

/// How many equal rounds in a row are a wait.
pub(crate) type Rounds = u32;

/// A loop, and the place where its rounds are looked at: in the middle of one the thread may remember what
/// it has read and not yet looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct LoopKey {
    /// A number of its thread and places, wherever its rounds begin.
    pub(crate) ring: u64,
    /// The same with the place where they begin.
    pub(crate) start: u64,
}

/// What is known of a loop where its rounds begin at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
struct Known {
    ring: u64,
    /// How many equal rounds are a wait.
    rounds: Rounds,
    /// How many events a round has.
    length: u32,
}

/// What is known of the loops of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Loops {
    /// Each by its [start](LoopKey::start).
    known: BTreeMap<u64, Known>,
    /// For each [ring](LoopKey::ring) whose thread acts on its rounds: how many equal ones are a wait at least,
    /// wherever they begin.
    told_apart: BTreeMap<u64, Rounds>,
    /// The lengths of those of which one round is a wait.
    waits: BTreeSet<u32>,
    /// The rings of those whose threads act on how often they went round, or on what they read in rounds that
    /// fail.
    counting: BTreeSet<u64>,
    /// For each ring whose threads ended, although it seemed that rounds of others keep them going round: how many
    /// rounds in a row are explored.
    attempts: BTreeMap<u64, u32>,
    /// What such loops only count in, by the place where it was made, and whether somebody reads it.
    statistics: BTreeMap<u64, bool>,
    /// Somebody tries to take a lock: whether it is held can be seen.
    tries: bool,
    /// The operations with which rounds begin that take locks, each a number of its place and thread.
    polls: BTreeSet<u64>,
}

impl Loops {
    /// How many equal rounds of the loop are a wait; `None` if it was never tried.
    pub(crate) fn rounds(&self, key: LoopKey) -> Option<Rounds> {
        self.known.get(&key.start).map(|known| self.rounds_of(known))
    }

    fn rounds_of(&self, known: &Known) -> Rounds {
        self.told_apart.get(&known.ring).map_or(known.rounds, |least| known.rounds.max(*least))
    }

    /// Whether a single round of such a length may be a wait.
    pub(crate) fn has_waits_of(&self, length: u32) -> bool {
        self.waits.contains(&length)
    }

    /// Whether rounds of loops were taken for waits.
    pub(crate) fn are_taken_back(&self) -> bool {
        !self.waits.is_empty()
    }

    /// The lengths of rounds of which a single one may be a wait.
    pub(crate) fn lengths_of_waits(&self) -> impl Iterator<Item = u32> + '_ {
        self.waits.iter().copied()
    }

    /// Takes over what the other knows; whether that was something new.
    pub(crate) fn learn(&mut self, other: &Self) -> bool {
        let before = (self.known.clone(), self.counting.len(), self.tries, self.statistics.clone());
        let told_apart = self.told_apart.clone();
        for (ring, rounds) in &other.told_apart {
            let known = self.told_apart.entry(*ring).or_default();
            *known = (*known).max(*rounds);
        }
        let attempts = self.attempts.clone();
        for (ring, most) in &other.attempts {
            let known = self.attempts.entry(*ring).or_default();
            *known = (*known).max(*most);
        }
        self.polls.extend(&other.polls);
        self.counting.extend(&other.counting);
        self.tries |= other.tries;
        for (made, read) in &other.statistics {
            *self.statistics.entry(*made).or_insert(false) |= *read;
        }
        for (start, theirs) in &other.known {
            let known = self.known.entry(*start).or_insert(*theirs);
            known.rounds = known.rounds.max(theirs.rounds);
        }
        let waits = self.known.values().filter(|known| self.rounds_of(known) == 1);
        self.waits = waits.map(|known| known.length).collect();
        (&self.known, self.counting.len(), self.tries, &self.statistics)
            != (&before.0, before.1, before.2, &before.3)
            || self.told_apart != told_apart
            || self.attempts != attempts
    }

    /// How many rounds in a row of a loop that waits are explored if others may see them.
    pub(crate) fn most_attempts(&self, ring: u64) -> u32 {
        self.attempts.get(&ring).copied().unwrap_or(MOST_ATTEMPTS)
    }

    /// That the thread of this loop has ended, although so many rounds in a row had been explored as are: if they are
    /// not the most, twice as many are from now on.
    pub(crate) fn attempted(&self, ring: u64) -> Self {
        let most = (2 * self.most_attempts(ring)).min(MOST_IN_VAIN);
        Self { attempts: BTreeMap::from([(ring, most)]), ..Self::default() }
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something is known of a loop where its rounds begin there.
    pub(crate) fn knows(&self, start: u64) -> bool {
        self.known.contains_key(&start)
    }

    /// Whether something is known of one of these loops.
    pub(crate) fn knows_one_of(&self, starts: &BTreeSet<u64>) -> bool {
        starts.iter().any(|start| self.knows(*start))
    }

    /// The start of the only loop of which something is known, if that is that it is no wait, and nothing else is
    /// known.
    pub(crate) fn only_no_wait(&self) -> Option<u64> {
        let (start, known) =
            self.known.first_key_value().filter(|(_, known)| known.rounds >= COUNTED_ROUNDS)?;
        let only = Self { known: BTreeMap::from([(*start, *known)]), ..Self::default() };
        (*self == only).then_some(*start)
    }

    /// Whether an operation may begin a round that takes locks, and waits.
    pub(crate) fn is_poll(&self, operation: u64) -> bool {
        !self.polls.is_empty() && self.polls.contains(&operation)
    }

    /// Whether rounds that take locks are known to wait.
    pub(crate) fn has_polls(&self) -> bool {
        !self.polls.is_empty()
    }

    /// The same, of a loop whose rounds take locks and begin with this operation.
    pub(crate) fn polling(mut self, operation: u64) -> Self {
        self.polls.insert(operation);
        self
    }

    /// That so many equal rounds of this loop are a wait.
    pub(crate) fn of(key: LoopKey, rounds: Rounds, length: u32) -> Self {
        let waits = if rounds == 1 { BTreeSet::from([length]) } else { BTreeSet::new() };
        let known = Known { ring: key.ring, rounds, length };
        Self { known: BTreeMap::from([(key.start, known)]), waits, ..Self::default() }
    }

    /// That the thread of this loop acts on the last of so many equal rounds as were taken for a wait. They may
    /// have been the last rounds of earlier waits at the same place, so that the next one is the first that
    /// fails; if the thread acts on one more again and again, it counts.
    pub(crate) fn told_apart(&self, key: LoopKey) -> Self {
        match self.rounds(key) {
            Some(rounds) if rounds < COUNTED_ROUNDS => {
                Self { told_apart: BTreeMap::from([(key.ring, rounds + 1)]), ..Self::default() }
            }
            _ => Self::counting(key),
        }
    }

    /// That so many equal rounds as were taken for a wait were none, where they begin at this place: the
    /// thread has gone on.
    pub(crate) fn gone_on(&self, key: LoopKey) -> Self {
        match self.rounds(key) {
            Some(rounds) if rounds < COUNTED_ROUNDS => Self::of(key, rounds + 1, 0),
            _ => Self::counting(key),
        }
    }

    /// That the thread of this loop acts on its rounds.
    pub(crate) fn counting(key: LoopKey) -> Self {
        Self {
            told_apart: BTreeMap::from([(key.ring, COUNTED_ROUNDS)]),
            counting: BTreeSet::from([key.ring]),
            ..Self::default()
        }
    }

    /// Whether the thread of a loop acts on its rounds, so that those which are not explored may matter.
    pub(crate) fn counts(&self, key: LoopKey) -> bool {
        self.counting.contains(&key.ring)
    }

    /// That a loop counts in what was made at this place, and whether others read it.
    pub(crate) fn statistic(made: u64, read: bool) -> Self {
        Self { statistics: BTreeMap::from([(made, read)]), ..Self::default() }
    }

    /// Whether loops count in what was made at this place.
    pub(crate) fn is_statistic(&self, made: u64) -> bool {
        self.statistics.contains_key(&made)
    }

    /// Whether it is read by others, too.
    pub(crate) fn is_read(&self, made: u64) -> bool {
        self.statistics.get(&made).is_some_and(|read| *read)
    }

    /// That somebody tries to take a lock.
    pub(crate) fn trying() -> Self {
        Self { tries: true, ..Self::default() }
    }

    /// Whether somebody tries to take a lock.
    pub(crate) fn tries(&self) -> bool {
        self.tries
    }
}

/// What a round did to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Every write wrote what was there; or counted up where nobody looks but the round itself.
    Silent,
    /// Memory is as it was, and was not meanwhile.
    Transient,
    /// Memory is not as it was.
    Lasting,
}

/// One event of a round, as it is expected to come again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// Its place: see [`place`].
    pub(crate) place: u64,
    pub(crate) loc: u32,
    pub(crate) read: Option<u64>,
    pub(crate) wrote: Option<u64>,
    pub(crate) choice: u32,
    /// Each round reads and writes another value here.
    pub(crate) counts: bool,
    /// The write that was read, for what it publishes.
    pub(crate) source: u32,
}

/// What a trial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To find out whether a loop is a wait; the exploration begins anew then.
    Learn,
    /// To find out whether the thread still waits; the execution goes on.
    Confirm {
        /// Its loop has often been found to wait.
        often: bool,
    },
}

/// A thread that goes on alone, and is given what it read in the last round again and again.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    /// The thread, in the graph's numbering.
    pub(crate) thread: u32,
    key: LoopKey,
    /// How many equal rounds were taken for a wait.
    known: Rounds,
    pub(crate) purpose: Purpose,
    round: Vec<Expected>,
    /// The event of the round that comes next.
    at: usize,
    rounds: u32,
    steps: u32,
    /// It did something else.
    pub(crate) left: bool,
    /// The operation with which its rounds begin, if they take locks.
    poll: Option<u64>,
    /// What it wrote in the trial: location and word.
    written: Vec<(u32, u64)>,
}

impl Trial {
    /// A trial of a loop, of which so many equal rounds were taken for a wait; the thread has done `at`
    /// of the events of a round.
    pub(crate) fn new(
        thread: u32,
        (key, known): (LoopKey, Rounds),
        purpose: Purpose,
        round: Vec<Expected>,
        at: usize,
    ) -> Self {
        let (rounds, steps) = (0, 0);
        // What is counted goes on from where it is: destructors that end the trial find it so.
        let mut written: Vec<(u32, u64)> = Vec::new();
        for (loc, word) in
            round.iter().filter(|event| event.counts).filter_map(|event| Some((event.loc, event.wrote?)))
        {
            written.retain(|(known, _)| *known != loc);
            written.push((loc, word));
        }
        Self { thread, key, known, purpose, round, at, rounds, steps, left: false, poll: None, written }
    }

    /// Its rounds take locks, and begin with this operation.
    pub(crate) fn polls(mut self, operation: Option<u64>) -> Self {
        self.poll = operation;
        self
    }

    /// Whether there is nothing more to find out.
    pub(crate) fn is_over(&self) -> bool {
        self.left
            || match self.purpose {
                Purpose::Learn => self.steps >= TRIAL_STEPS,
                Purpose::Confirm { often } => self.rounds >= PROBE_ROUNDS[usize::from(often)],
            }
    }

    /// The event that comes next, if it is the one expected; else the thread has left the loop.
    pub(crate) fn expect(&mut self, place: u64) -> Option<Expected> {
        let expected = self.round[self.at];
        if self.left || expected.place != place {
            self.left = true;
            return None;
        }
        self.steps += 1;
        self.at += 1;
        if self.at == self.round.len() {
            self.at = 0;
            self.rounds += 1;
        }
        Some(expected)
    }

    /// The place of the event that comes next.
    pub(crate) fn next_place(&self) -> u64 {
        let operation = self.round[self.at..].iter().chain(&self.round).find(|next| !is_choice(next.place));
        operation.map_or(0, |next| next.place)
    }

    /// Whether the event that comes next is this choice.
    pub(crate) fn chooses_next(&self, point: Point) -> bool {
        self.round[self.at].place == choice(point)
    }

    /// The choice that the event that comes next makes.
    pub(crate) fn next_choice(&self) -> u32 {
        self.round[self.at].choice
    }

    /// The word that is read where `expected` is.
    pub(crate) fn word(&self, expected: &Expected) -> u64 {
        let written = self.written.iter().find(|(loc, _)| *loc == expected.loc);
        written.map_or(expected.read.unwrap_or_default(), |(_, word)| *word)
    }

    /// A word is written, and must be the one expected.
    pub(crate) fn write(&mut self, expected: &Expected, word: u64) {
        if !expected.counts && expected.wrote != Some(word) {
            self.left = true;
        }
        match self.written.iter_mut().find(|(loc, _)| *loc == expected.loc) {
            Some(known) => known.1 = word,
            None => self.written.push((expected.loc, word)),
        }
    }

    /// The thread does something that no round of the loop does.
    pub(crate) fn leave(&mut self) {
        self.left = true;
    }

    /// What the trial has shown.
    pub(crate) fn result(&self) -> Loops {
        if self.purpose != Purpose::Learn && self.left && self.known >= MOST_REFUTED {
            return Loops::counting(self.key);
        }
        let rounds = match (self.purpose, self.left) {
            (_, false) => 1,
            // So many rounds may come, and a few for the way there.
            (Purpose::Learn, true) => self.rounds + 4,
            (Purpose::Confirm { .. }, true) => {
                if self.known < 2 {
                    2
                } else {
                    self.known + self.rounds + 2
                }
            }
        };
        let loops = Loops::of(self.key, rounds, self.round.len() as u32);
        match self.poll {
            Some(operation) if rounds == 1 => loops.polling(operation),
            _ => loops,
        }
    }
}

/// A number of an event's place: where in the source, what, and on which location.
pub(crate) fn place(site: u64, verb: Verb, loc: u32, write: bool) -> u64 {
    mix(mix(site ^ u64::from(write) << 62, verb as u64), u64::from(loc))
}

/// The place of a choice, of which there are few kinds.
pub(crate) fn choice(point: Point) -> u64 {
    1 + point as u64
}

/// Whether a place is that of a choice.
pub(crate) fn is_choice(place: u64) -> bool {
    place < 16
}

/// Two numbers as one.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
    (product as u64) ^ (product >> 64) as u64
}
