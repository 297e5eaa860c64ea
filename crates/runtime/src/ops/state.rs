//! Operations on objects whose state is one word that is always read up to date: locks, channels,
//! condition variables, and the plain shared variable.
//!
//! A blocked thread is always one that *awaits a test of an object's word*; the operation and the
//! test are one atomic event.

use crate::execution::{Absent, Execution, enter, with};
use crate::explorer::Op;
use crate::foreign;
use crate::object::{Primitive, Shown, Test};
use crate::ops::atomic::{note_repeated_read, reads_from};
use crate::overlay;
use crate::schedule::post;
use crate::site::Site;
use crate::thread::{Condition, Pending};
use racefuzz_trace::{MemoryOrder, OpKind, Point, ThreadId, Verb};
use std::time::Duration;

/// What an operation does to the set of holders of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    No,
    /// The thread becomes a holder, if the operation succeeds.
    Take,
    /// The thread is no longer a holder.
    Give,
}

/// How an operation on a state word behaves.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// What the user wrote.
    pub verb: Verb,
    /// How it acts on the word: `Load`, `Store`, `Rmw` or `Print`.
    pub kind: OpKind,
    /// What must hold for the operation to happen.
    pub test: Test,
    /// For how long to wait for that, in virtual time.
    pub timeout: Option<Duration>,
    /// What it synchronises with: `Acquire` learns what others released to the object, `Release`
    /// publishes, `AcqRel` both, `Relaxed` neither.
    pub order: MemoryOrder,
    /// What it does to the holders.
    pub hold: Hold,
    /// The words under which the operation, although it is a read-modify-write, only reads: it is
    /// refused. A refused operation need not be told; one that is not told is taken for a write.
    pub refuses: Test,
    /// Whether `site` is not where the operation stands but where it was caused (a guard's drop).
    pub implied: bool,
    /// Whether it may be kept out, although its test holds, while a thread waits to write-lock the
    /// object: a reader of a lock. A word of 0 is one that nobody holds.
    pub may_be_kept_out: bool,
}

impl Update {
    /// An unconditional read-modify-write that acquires and releases.
    pub const fn new(verb: Verb) -> Self {
        Self {
            verb,
            kind: OpKind::Rmw,
            test: Test::Always,
            timeout: None,
            order: MemoryOrder::AcqRel,
            hold: Hold::No,
            refuses: Test::Never,
            implied: false,
            may_be_kept_out: false,
        }
    }

    /// The same, once the word passes the test.
    pub const fn when(verb: Verb, test: Test) -> Self {
        Self { test, ..Self::new(verb) }
    }
}

/// The condition did not come to hold within the time given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

/// What the operation tells the trace, besides the words before and after.
pub struct Told<'a> {
    ok: &'a mut bool,
    other: &'a mut Option<u32>,
    hold: &'a mut bool,
    text: &'a mut Option<String>,
    recorded: bool,
}

impl Told<'_> {
    /// For operations that nobody records.
    pub(crate) fn unheard<R>(f: impl FnOnce(&mut Told<'_>) -> R) -> R {
        let (mut ok, mut hold) = (true, true);
        let (mut other, mut text) = (None, None);
        f(&mut Told { ok: &mut ok, other: &mut other, hold: &mut hold, text: &mut text, recorded: false })
    }

    /// For tests: what it comes to.
    #[cfg(test)]
    pub(super) fn heard<R>(f: impl FnOnce(&mut Told<'_>) -> R) -> (R, Heard) {
        let (mut ok, mut hold) = (true, true);
        let (mut other, mut text) = (None, None);
        let told =
            &mut Told { ok: &mut ok, other: &mut other, hold: &mut hold, text: &mut text, recorded: true };
        let result = f(told);
        (result, Heard { ok, other, text })
    }

    /// The operation did not do what it was asked (a `try_lock` on a taken lock); it does not
    /// become a holder.
    pub fn failed(&mut self) {
        *self.ok = false;
        *self.hold = false;
    }

    /// The other thread involved: woken, notified.
    pub fn other(&mut self, thread: ThreadId) {
        *self.other = Some(thread.0);
    }

    /// A text to show; evaluated only if the execution is recorded.
    pub fn text(&mut self, text: impl FnOnce() -> String) {
        if self.recorded {
            *self.text = Some(text());
        }
    }
}

/// What an operation has told the trace.
#[cfg(test)]
pub(super) struct Heard {
    pub(super) ok: bool,
    pub(super) other: Option<u32>,
    pub(super) text: Option<String>,
}

/// Performs an operation on the state word: `f` changes it and returns what the caller needs.
///
/// `f` must not run code of the program under test.
#[inline]
pub fn update<P: Primitive + ?Sized, R>(
    primitive: &P,
    how: Update,
    site: Site,
    f: impl FnOnce(&mut u64, &mut Told<'_>) -> R,
) -> Result<Result<R, TimedOut>, Absent> {
    update_choosing(primitive, how, site, || 1, |word, told, _| f(word, told))
}

/// The same for an operation that may go one of several ways (whom a notification wakes): `count`
/// says how many there are when the operation happens, and `f` gets the one chosen.
///
/// Neither closure must run code of the program under test.
#[inline]
pub fn update_choosing<P: Primitive + ?Sized, R>(
    primitive: &P,
    how: Update,
    site: Site,
    count: impl FnOnce() -> usize,
    f: impl FnOnce(&mut u64, &mut Told<'_>, usize) -> R,
) -> Result<Result<R, TimedOut>, Absent> {
    if let Some(session) = foreign::hosted(primitive, how.verb, site) {
        return session.update(primitive, &how, count, f).map(Ok);
    }
    overlay::before(site, |execution| execution.resolve(primitive, how.verb, site).ok())?;
    if let Some(word) = overlay::replace(primitive, how.verb, site)? {
        return Ok(Ok(unrecorded(word, f)));
    }
    let lock = how.hold != Hold::No;
    let object =
        enter(|execution| execution.resolve(primitive, how.verb, site))?.or_else(super::misuse::unwind)?;
    let op = Op { kind: how.kind, verb: how.verb, order: how.order, object, lock };
    let condition = match how.test {
        Test::Always => Condition::Always,
        test => Condition::Word { object, test },
    };
    let deadline = match how.timeout {
        Some(timeout) => Some(with(|execution| deadline(execution, timeout))?),
        None => None,
    };
    let mut pending = Pending { op, site, condition, deadline, invisible: false };
    with(|execution| prepare_for_memory(execution, &mut pending, &how))?;
    post(pending)?;
    while how.may_be_kept_out && with(|execution| keep_out(execution, object))? {
        pending.condition = Condition::KeptOut { object, test: how.test };
        post(pending)?;
    }
    with(|execution| {
        execution.admit(primitive, object, how.verb, site)?;
        Ok(apply(execution, primitive, &how, &op, site, count, f))
    })?
    .or_else(super::misuse::unwind)
}

/// Whether the running thread, a reader whose turn it is, is kept out because a writer waits for the
/// readers that are there.
#[cold]
fn keep_out(execution: &mut Execution, object: u32) -> bool {
    execution.driver.memory.is_none()
        && execution.objects[object as usize].value != 0
        && execution.waiting_writer(execution.current, object).is_some()
        && execution.choose(Point::Spurious, 2) == 1
}

/// Where an explorer keeps the memory, whether a wait times out is a choice made before it: one that
/// does takes its step where its condition does not hold.
#[inline]
fn prepare_for_memory(execution: &mut Execution, pending: &mut Pending, how: &Update) {
    if execution.driver.memory.is_none() {
        return;
    }
    let me = execution.current as usize;
    let mut refuses = how.refuses;
    let (deadline, expires) = choose_timeout(execution, pending.deadline);
    pending.deadline = deadline;
    if let (true, Condition::Word { object, test }) = (expires, pending.condition) {
        pending.condition = Condition::Word { object, test: test.negated() };
        refuses = Test::Never;
        execution.threads[me].enumerated.expires = true;
        sleeps(execution, how.timeout.unwrap_or_default());
    }
    execution.threads[me].enumerated.refuses = refuses;
}

/// The running thread has let so much time pass: noted where an explorer keeps the memory.
pub(super) fn sleeps(execution: &mut Execution, time: Duration) {
    if execution.driver.memory.is_some() {
        let slept = &mut execution.threads[execution.current as usize].enumerated.slept;
        *slept = slept.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// Where an explorer keeps the memory: no deadline, but whether the wait times out.
pub(super) fn choose_timeout(execution: &mut Execution, deadline: Option<u64>) -> (Option<u64>, bool) {
    if execution.driver.memory.is_none() {
        return (deadline, false);
    }
    let me = execution.current as usize;
    execution.threads[me].enumerated.timed = deadline.is_some();
    (None, deadline.is_some() && execution.choose(Point::Timeout, 2) == 1)
}

/// What an operation gives that finds this word, and is no event.
#[cold]
fn unrecorded<R>(mut word: u64, f: impl FnOnce(&mut u64, &mut Told<'_>, usize) -> R) -> R {
    let (mut ok, mut other, mut hold, mut text) = (true, None, false, None);
    let told =
        &mut Told { ok: &mut ok, other: &mut other, hold: &mut hold, text: &mut text, recorded: false };
    f(&mut word, told, 0)
}

pub(super) fn deadline(execution: &Execution, timeout: Duration) -> u64 {
    execution.schedule.now().saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
}

#[inline]
fn choose_part(execution: &mut Execution, count: usize) -> usize {
    if count < 2 {
        return 0;
    }
    match execution.driver.memory {
        // SAFETY: see `Execution::event`.
        Some(memory) => unsafe { (*memory).part(execution.current, count as u32) as usize },
        None => execution.choose(Point::Value, count),
    }
}

fn apply<P: Primitive + ?Sized, R>(
    execution: &mut Execution,
    primitive: &P,
    how: &Update,
    op: &Op,
    site: Site,
    count: impl FnOnce() -> usize,
    f: impl FnOnce(&mut u64, &mut Told<'_>, usize) -> R,
) -> Result<R, TimedOut> {
    let now = execution.event(op);
    let me = now.thread;
    let mut expired = false;
    if execution.driver.memory.is_some() {
        // What comes next may be an operation of another kind, which sets neither.
        let enumerated = &mut *execution.threads[me as usize].enumerated;
        (enumerated.refuses, enumerated.timed) = (Test::Never, false);
        expired = std::mem::take(&mut enumerated.expires);
    }
    if expired {
        execution.threads[me as usize].waiting.timed_out = true;
        let word = execution.objects[op.object as usize].value;
        super::graphed::stepped(execution, &now, op, (word, word), true);
    }
    if std::mem::take(&mut execution.threads[me as usize].waiting.timed_out) {
        execution.complete(&now, op, u64::MAX);
        execution.record(op, site, |_, event| {
            event.ok = false;
            event.text = Some("timed out".into());
        });
        execution.give_way_again(site);
        return Err(TimedOut);
    }
    let chosen = choose_part(execution, count());
    let has_clocks = execution.order.has_clocks;
    let recorded = execution.recorder.is_some();
    let entry = &mut execution.objects[op.object as usize];
    let before = entry.value;
    let (mut ok, mut other, mut text) = (true, None, None);
    let mut holds = how.hold == Hold::Take;
    let result = f(
        &mut entry.value,
        &mut Told { ok: &mut ok, other: &mut other, hold: &mut holds, text: &mut text, recorded },
        chosen,
    );
    let after = entry.value;
    if holds {
        entry.holders.push((me, site));
    } else if how.hold == Hold::Give {
        let mine = entry.holders.iter().rposition(|(holder, _)| *holder == me);
        // A guard may be dropped by another thread than the one that took it.
        if let Some(place) = mine.or_else(|| entry.holders.len().checked_sub(1)) {
            entry.holders.remove(place);
        }
    }
    let thread = &mut execution.threads[me as usize];
    // As in std, a try that fails synchronises with nobody.
    let tries = matches!(how.verb, Verb::TryLock | Verb::TryReadLock | Verb::TryWriteLock);
    if how.order.acquires() && (ok || !tries) {
        thread.learn(&entry.released.sync, &entry.released.sync_seen);
    }
    let write = entry.last_write;
    let mut writes = how.kind != OpKind::Load && ok;
    if execution.driver.memory.is_some() {
        // A refusal that was not announced is a write: it has its place among the others.
        writes = how.kind != OpKind::Load && !how.refuses.holds(before);
        invariant!(writes || before == after, "{:?} was to read only", how.verb);
        super::graphed::stepped(execution, &now, op, (before, after), writes);
        if writes {
            // What is read between two such operations, under a lock say, is not all that repeats.
            execution.threads[me as usize].spinning.last_read = (None, 0);
        }
    }
    let thread = &mut execution.threads[me as usize];
    let entry = &mut execution.objects[op.object as usize];
    if writes {
        if has_clocks && how.order.releases() {
            entry.released.sync.join(&thread.clock);
            entry.released.sync_seen.join(&thread.coherence.seen);
        }
        entry.last_write = now.write;
    }
    // A failed try is a read; a store does not look at what was there but replaces it.
    execution.edge(if writes { 2 } else { 1 }, now.write, write);
    if !writes {
        note_repeated_read(execution, site, write);
    } else if before != after {
        execution.touched(op.object);
    }
    execution.complete(&now, op, after);
    execution.record(op, site, |recorder, event| {
        event.implied = how.implied;
        event.ok = ok;
        event.other = other.map(ThreadId);
        event.text = text;
        if op.kind.reads() {
            event.reads_from = Some(reads_from(write));
            event.read = match primitive.show(before) {
                Shown::Nothing => None,
                shown => recorder.value(shown),
            };
        }
        if writes {
            event.wrote = recorder.value(primitive.show(after));
        }
    });
    Ok(result)
}
