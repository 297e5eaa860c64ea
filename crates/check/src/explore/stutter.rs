//! Whether a thread remembers rounds that are taken for waits: executions with them are held against ones
//! without.
//!
//! A round that is taken for a wait leaves memory as it was, but the thread may have kept what it read, or
//! counted. So two graphs are kept of an execution in which a thread has ended such a round: what came before
//! it, with the round and without it. Later both are executed, and go on *quietly*: nothing is left of
//! them to be explored. Threads take turns in an order that follows from a seed and from how far each has
//! come, the round left out, and so do their choices. So both come to the same unless the thread acts on what it remembers (they are
//! stuttering equivalent: Lamport, *What good is temporal logic?*, IFIP'83). If they do not, the loop
//! [counts](crate::waiting::Loops::counting).
//!
//! What a thread remembers follows from all that it has read, its history. A round is held against its absence
//! behind each history, and the first few times that a loop's thread reads the same, in other orders each
//! time; where the thread goes on waiting in all of them, behind whatever else came before the round, too. What
//! does not come before the round happens anew, but for what was overwritten when the round ended: who has read
//! it cannot read it again. So a round is also held against its absence behind its whole past. And what ends the loop may
//! be overwritten by then, so there are orders in which some reads pass over the newest writes. What
//! needs yet another order, or shows only behind several rounds together, is not noticed. That is why such
//! explorations [sample](crate::sample), too.

use super::finding::Round;
use super::pairs::{ORDERS, Pair};
use super::taking_back::spurious_failures;
use super::*;
use crate::waiting::{LoopKey, Purpose, choice, mix};
use racefuzz_runtime::{Ended, alloc};
use racefuzz_trace::FailureKind;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

/// How many reads pass over newer writes in one execution: who goes round with them is not to be taken for one that does
/// so for ever.
const MOST_OLDER: usize = 2;

/// Marks the numbers of reads that may pass over newer writes.
const OF_READ: u64 = 0x006f_6c64_6572;

/// How one of a pair goes on.
#[derive(Clone, Debug)]
pub(super) struct Quiet {
    /// The thread that has gone round, and the events of its round; none in the graph without.
    thread: u32,
    round: Range<u32>,
    seed: u64,
    /// The thread is to go through more such rounds first.
    tries: Option<Round>,
    /// How many events the thread had executed when the graph had been, as soon as it has.
    begun: Option<u32>,
    /// The loop, and further rounds of it that are taken for waits and stay: who goes round more often in one of the two
    /// need not remember it.
    key: LoopKey,
    further: Vec<Range<u32>>,
    /// How many events of the graph were looked at.
    looked: Id,
    /// How often others have changed a word since.
    changes: u32,
    /// How many newer writes reads have passed over, by the number of the order and of how far their threads had come when
    /// they first stood before them: in the graph without the round they read the same.
    older: BTreeMap<u64, u32>,
}

impl Quiet {
    /// After how many changes by others the thread goes on, before everybody else; `None` if it has no place of its
    /// own in the order.
    fn comes_back(&self) -> Option<u32> {
        let seed = Pair::place(self.seed);
        let number = 1 + seed / 2 + seed / ORDERS[0];
        (self.seed % 2 == 1).then(|| 1 + number.trailing_zeros())
    }

    /// Whether reads may pass over newer writes in this order.
    fn passes_over(&self) -> bool {
        Pair::reads_older(self.seed)
    }

    /// Whether a thread comes before all others, among them, or behind them.
    fn turn(&self, thread: u32) -> Ordering {
        match self.comes_back() {
            Some(changes) if thread == self.thread && self.changes < changes => Ordering::Greater,
            Some(_) if thread == self.thread => Ordering::Less,
            _ => Ordering::Equal,
        }
    }
}

impl Explore {
    /// Whether the thread of a pair has gone on behind its round, and not only round once more.
    pub(crate) fn goes_on_behind_round(&self, pair: &Pair) -> bool {
        let thread = pair.thread as usize;
        let rounds = self.quiet.iter().flat_map(|quiet| &quiet.further);
        let further: usize = rounds.map(|round| round.len()).sum();
        self.graph.threads[thread].len() > pair.with.threads[thread].len() + further
    }

    /// Makes one of a pair the next graph, to be executed quietly.
    pub(crate) fn load_quietly(&mut self, pair: &Pair, is_with: bool, seed: u64) {
        let graph = if is_with { pair.with.clone() } else { pair.without.clone() };
        let older = match self.quiet.take() {
            Some(quiet) if !is_with => quiet.older,
            _ => BTreeMap::new(),
        };
        self.load(Loaded::new(graph, None));
        let (thread, round) = (pair.thread, pair.events(is_with));
        let tries = pair.tries.clone().filter(|_| is_with);
        let (key, further) = (pair.key(), Vec::new());
        let (begun, looked, changes) = (None, 0, 0);
        self.quiet_next =
            Some(Quiet { thread, round, seed, tries, begun, key, further, looked, changes, older });
    }

    /// The thread whose next event is added where one of a pair goes on.
    pub(super) fn extend_quietly(&mut self, standing: &Standing<'_>) -> Option<u32> {
        self.begin_quietly();
        self.count_changes();
        if let Some(thread) = self.trial.as_ref().map(|trial| trial.thread) {
            if self.tries(standing).is_some() {
                return Some(thread);
            }
            self.end_trial();
            if self.is_over() {
                return None;
            }
        }
        let waits = match self.waiting(standing) {
            Ok(waits) => waits,
            Err(next) => return next,
        };
        let quiet = self.quiet.as_ref()?;
        let goes_on = |thread: &u32| {
            !waits[*thread as usize] && standing.is_enabled(self.fronts[*thread as usize].runs_as)
        };
        // Who polls comes last.
        let polls = |thread: &u32| self.is_about_to_poll(*thread, standing);
        let rank = |thread: &u32| (quiet.turn(*thread), polls(thread), self.quiet_number(quiet, *thread));
        let next = (0..self.started as u32).filter(goes_on).min_by_key(rank)?;
        self.go(next, standing, None)
    }

    /// Notes a round of a thread that is taken for a wait and stays.
    pub(super) fn note_further_round(&mut self, thread: u32, ended: &Round) {
        if let Some(quiet) =
            self.quiet.as_mut().filter(|quiet| quiet.thread == thread && quiet.key == ended.key)
        {
            quiet.further.push(ended.events.clone());
        }
    }

    /// Counts how often others have changed a word since the graph has been executed.
    fn count_changes(&mut self) {
        let Some(quiet) = self.quiet.as_mut() else { return };
        let graph = &self.graph;
        let changes = |id: &Id| {
            let event = graph.event(*id);
            event.thread != quiet.thread && event.kind == Kind::Write && graph.word_before(*id) != event.value
        };
        quiet.changes += (quiet.looked..graph.len()).filter(changes).count() as u32;
        quiet.looked = graph.len();
    }

    /// A number of the order in which one of a pair goes on and of how far a thread has come in it, the round left
    /// out. Choices do not count: some may have been made in the trial.
    fn quiet_number(&self, quiet: &Quiet, thread: u32) -> u64 {
        let front = &self.fronts[thread as usize];
        let of_round = match thread == quiet.thread {
            true => self.ids(thread, &quiet.round),
            false => SmallVec::new(),
        };
        let counts = |id: &&Id| self.graph.event(**id).kind != Kind::Choice;
        let done = front.done - front.choices - of_round.iter().filter(counts).count() as u32;
        mix(quiet.seed, mix(u64::from(thread), u64::from(done)))
    }

    /// What a thread chooses that goes on quietly: what the first choice leads to may hide what else others could
    /// have done, so that each order has choices of its own. 0 where nobody goes on quietly.
    pub(super) fn chooses_quietly(&self, thread: u32, point: Point, count: u32) -> u32 {
        let Some(quiet) = &self.quiet else { return 0 };
        let begun = quiet.begun.unwrap_or(u32::MAX) as usize;
        let events = self.graph.threads[thread as usize].get(begun..).unwrap_or_default();
        // Behind a round that was tried, what comes next has been chosen in the trial.
        let is_next = events.iter().all(|id| self.graph.event(*id).kind == Kind::Choice);
        if thread == quiet.thread && is_next {
            return 0;
        }
        (mix(self.quiet_number(quiet, thread), choice(point)) % u64::from(count)) as u32
    }

    /// How many newer writes a thread that goes on quietly passes over in its next read, if it may: what a round has shown
    /// may matter only to who reads what is overwritten by then. In some orders half of the reads pass over one or more. 0 where nobody goes quietly.
    pub(super) fn reads_older_quietly(&self, thread: u32, access: &Access<'_>) -> u32 {
        let Some(quiet) = self.quiet.as_ref().filter(|quiet| quiet.passes_over()) else { return 0 };
        if !access.verb.is_atomic() {
            return 0;
        }
        let number = self.quiet_number(quiet, thread);
        // A read that was taken back comes again.
        match quiet.older.get(&number) {
            Some(passed) => *passed,
            None if quiet.round.is_empty() => 0,
            None if quiet.older.values().filter(|passed| **passed > 0).count() >= MOST_OLDER => 0,
            None => mix(number, OF_READ).trailing_zeros(),
        }
    }

    /// Notes how many newer writes a read that comes next has passed over.
    pub(super) fn note_older_read(&mut self, thread: u32, passed: u32) {
        let number = self.quiet.as_ref().map(|quiet| self.quiet_number(quiet, thread));
        if let (Some(number), Some(quiet)) = (number, self.quiet.as_mut().filter(|quiet| quiet.passes_over()))
        {
            quiet.older.entry(number).or_insert(passed);
        }
    }

    /// The graph has been executed: its thread goes on, with or without the round.
    fn begin_quietly(&mut self) {
        let Some(quiet) = self.quiet.as_mut().filter(|quiet| quiet.begun.is_none()) else { return };
        let (thread, round) = (quiet.thread, quiet.round.clone());
        quiet.begun = Some(self.fronts[thread as usize].done);
        quiet.looked = self.graph.len();
        let tries = quiet.tries.take();
        let ids = self.ids(thread, &round);
        let spurious = spurious_failures(ids.iter().map(|id| self.graph.event(*id)));
        let front = self.front(thread);
        front.spurious -= spurious.min(front.spurious);
        (front.looked, front.seen) = (front.done, front.done);
        let confirm = Purpose::Confirm { often: false };
        self.trial = tries.map(|round| self.trial_of(thread, &round, 0, confirm));
    }

    /// Whether an event is of the round in which one of a pair differs from the other.
    pub(super) fn is_of_round(&self, event: &Event) -> bool {
        let is_of = |quiet: &Quiet| event.thread == quiet.thread && quiet.round.contains(&event.po);
        self.quiet.as_ref().is_some_and(is_of)
    }

    /// How many of a thread's events were executed before one of a pair went on.
    pub(super) fn before_quiet(&self, thread: u32) -> usize {
        let quiet = self.quiet.as_ref().filter(|quiet| quiet.thread == thread);
        quiet.and_then(|quiet| quiet.begun).map_or(0, |begun| begun as usize)
    }

    /// A number of what one of a pair came to, whatever the order of its events, and without the round; `None`
    /// if it says nothing.
    pub(crate) fn came_to(&self, ended: &Ended, pair: &Pair, is_with: bool) -> Option<u64> {
        let (left_out, further) = (pair.events(is_with), self.quiet.as_ref().map(|quiet| &quiet.further));
        let is_left_out = |event: &Event| {
            let of_wait = |rounds: &Vec<Range<u32>>| rounds.iter().any(|round| round.contains(&event.po));
            event.thread == pair.thread && (left_out.contains(&event.po) || further.is_some_and(of_wait))
        };
        let endless = ended.failure.as_ref().is_some_and(|found| found.kind == FailureKind::StepLimit);
        let in_trial = self.trial.is_some();
        if ended.stopped || ended.unseen || self.diverged || in_trial || endless {
            return None;
        }
        let failure = ended.failure.as_ref().map_or(0, |found| mix(found.identity, found.kind as u64));
        let threads = self.graph.threads.iter().zip(0..);
        Some(threads.fold(failure, |sum, (events, thread)| {
            let counts = |id: &&Id| {
                let event = self.graph.event(**id);
                // The choice of what happens anyway may have been made in the trial.
                let is_none = event.kind == Kind::Choice && event.choice == 0;
                !is_none && !is_left_out(event)
            };
            let events = events.iter().filter(counts);
            let number = events.fold(self.path(thread), |number, id| mix(number, self.shown(*id)));
            sum.wrapping_add(number)
        }))
    }

    /// A number of what an event does. Addresses may differ, as the thread has perhaps allocated in its round;
    /// and so may the words of locks and channels, which number those that wait, and what nobody looks at.
    fn shown(&self, id: Id) -> u64 {
        let event = self.graph.event(id);
        let word = match event.kind {
            Kind::Read | Kind::Write if !event.verb.is_atomic() => 0,
            _ if self.counts_up(id).is_some() && self.is_statistic(event.loc) => 0,
            Kind::Read => self.graph.word(event.loc, event.rf),
            Kind::Write => event.value,
            Kind::Fence | Kind::Choice => u64::from(event.choice),
        };
        let word = alloc::without_address(word);
        let what = (event.verb as u64) << 3 | (event.kind as u64) << 1 | u64::from(event.rmw);
        mix(mix(event.site, what), word)
    }
}
