//! The threads that wait at a condition variable, whose word has one bit per waiter that was woken and has not
//! noticed yet.

use super::Told;
use racefuzz_trace::ThreadId;

/// The bit that all waiters share for whom there is none of their own.
const SHARED_BIT: u32 = 63;

/// Who waits at a condition variable, those who have waited longest first.
///
/// Its methods are what [`update`](super::update) does to the variable's word: entering, waking and leaving are
/// each part of one event.
#[derive(Debug, Default)]
pub struct Waiters {
    threads: Vec<Waiter>,
}

/// A thread that waits, or was woken and has not noticed yet.
#[derive(Debug)]
struct Waiter {
    thread: ThreadId,
    bit: u32,
    woken: bool,
}

impl Waiters {
    /// Nobody waits any more.
    pub fn clear(&mut self) {
        self.threads.clear();
    }

    /// The bit that the next one to enter gets: the lowest that nobody has, or the one that is shared.
    pub fn next_bit(&self) -> u32 {
        let used = self.threads.iter().fold(0u64, |used, waiter| used | 1 << waiter.bit);
        used.trailing_ones().min(SHARED_BIT)
    }

    /// Adds a thread, and gives its bit.
    pub fn enter(&mut self, thread: ThreadId) -> u32 {
        let bit = self.next_bit();
        self.threads.push(Waiter { thread, bit, woken: false });
        bit
    }

    /// The bit of a thread that has entered.
    pub fn bit(&self, thread: ThreadId) -> Option<u32> {
        self.threads.iter().find(|waiter| waiter.thread == thread).map(|waiter| waiter.bit)
    }

    /// How many there are that nobody has woken: the ways that a notification of one may go.
    pub fn asleep(&self) -> usize {
        self.threads.iter().filter(|waiter| !waiter.woken).count()
    }

    /// Wakes one of those whom nobody has woken, if there are any.
    pub fn wake(&mut self, chosen: usize, word: &mut u64, told: &mut Told<'_>) {
        if let Some(waiter) = self.threads.iter_mut().filter(|waiter| !waiter.woken).nth(chosen) {
            waiter.wake(word);
            told.other(waiter.thread);
        }
    }

    /// Wakes all.
    pub fn wake_all(&mut self, word: &mut u64, told: &mut Told<'_>) {
        let mut count = 0;
        for waiter in self.threads.iter_mut().filter(|waiter| !waiter.woken) {
            waiter.wake(word);
            if count == 0 {
                told.other(waiter.thread);
            }
            count += 1;
        }
        if count > 1 {
            told.text(|| format!("wakes {count} threads"));
        }
    }

    /// Takes out a thread whose bit is set if it was woken, or, if `spurious`, for no reason; whether it is gone.
    /// It is not if the bit was set for another of those who share it.
    pub fn leave(&mut self, thread: ThreadId, spurious: bool, word: &mut u64, told: &mut Told<'_>) -> bool {
        let Some(index) = self.threads.iter().position(|waiter| waiter.thread == thread) else { return true };
        if !self.threads[index].woken {
            if !spurious {
                told.failed();
                return false;
            }
            told.text(|| "for no reason".to_owned());
        }
        let gone = self.threads.remove(index);
        if gone.woken && !self.threads.iter().any(|waiter| waiter.woken && waiter.bit == gone.bit) {
            *word &= !(1 << gone.bit);
        }
        true
    }

    /// Takes out a thread whose time was up. That is no change of the word: its bit was not set.
    pub fn give_up(&mut self, thread: ThreadId) {
        self.threads.retain(|waiter| waiter.thread != thread);
    }
}

impl Waiter {
    fn wake(&mut self, word: &mut u64) {
        self.woken = true;
        *word |= 1 << self.bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ThreadId = ThreadId(1);
    const TWO: ThreadId = ThreadId(2);
    const THREE: ThreadId = ThreadId(3);

    fn entered(threads: &[ThreadId]) -> Waiters {
        let mut waiters = Waiters::default();
        for thread in threads {
            waiters.enter(*thread);
        }
        waiters
    }

    #[test]
    fn bits_are_given_again() {
        let mut waiters = entered(&[ONE, TWO, THREE]);
        assert_eq!([ONE, TWO, THREE].map(|thread| waiters.bit(thread)), [Some(0), Some(1), Some(2)]);
        waiters.give_up(TWO);
        assert_eq!((waiters.bit(TWO), waiters.next_bit(), waiters.enter(TWO)), (None, 1, 1));
        assert_eq!(waiters.next_bit(), 3);
    }

    #[test]
    fn one_is_woken_and_notices() {
        let (mut waiters, mut word) = (entered(&[ONE, TWO, THREE]), 0);
        let (_, heard) = Told::heard(|told| waiters.wake(1, &mut word, told));
        assert_eq!((heard.other, word, waiters.asleep()), (Some(2), 0b10, 2));
        // The first of those who are left to be woken.
        Told::heard(|told| waiters.wake(1, &mut word, told));
        assert_eq!((word, waiters.asleep()), (0b110, 1));
        let (gone, heard) = Told::heard(|told| waiters.leave(TWO, true, &mut word, told));
        assert_eq!((gone, heard.ok, heard.text, word), (true, true, None, 0b100));
    }

    #[test]
    fn nobody_is_there_to_be_woken() {
        let (mut waiters, mut word) = (Waiters::default(), 0);
        let (_, heard) = Told::heard(|told| {
            waiters.wake(0, &mut word, told);
            waiters.wake_all(&mut word, told);
        });
        assert_eq!((heard.other, heard.text, word), (None, None, 0));
    }

    #[test]
    fn all_are_woken_who_were_not() {
        let (mut waiters, mut word) = (entered(&[ONE, TWO, THREE]), 0);
        Told::heard(|told| waiters.wake(0, &mut word, told));
        let (_, heard) = Told::heard(|told| waiters.wake_all(&mut word, told));
        assert_eq!((heard.other, heard.text.as_deref()), (Some(2), Some("wakes 2 threads")));
        assert_eq!((word, waiters.asleep()), (0b111, 0));
    }

    #[test]
    fn a_wait_ends_for_no_reason() {
        let (mut waiters, mut word) = (entered(&[ONE, TWO]), 0);
        let (gone, heard) = Told::heard(|told| waiters.leave(ONE, true, &mut word, told));
        assert_eq!((gone, heard.ok, heard.text.as_deref()), (true, true, Some("for no reason")));
        assert_eq!((waiters.bit(ONE), waiters.bit(TWO)), (None, Some(1)));
    }

    #[test]
    fn those_who_share_a_bit_leave_when_they_are_woken() {
        let threads: Vec<ThreadId> = (0..66).map(ThreadId).collect();
        let (mut waiters, mut word) = (entered(&threads), 0);
        assert_eq!([62, 63, 64, 65].map(|thread| waiters.bit(ThreadId(thread)).unwrap()), [62, 63, 63, 63]);
        Told::heard(|told| waiters.wake(64, &mut word, told));
        Told::heard(|told| waiters.wake(64, &mut word, told));
        assert_eq!(word, 1 << 63);
        // It sees the bit of the others.
        let (gone, heard) = Told::heard(|told| waiters.leave(ThreadId(63), false, &mut word, told));
        assert_eq!((gone, heard.ok, word), (false, false, 1 << 63));
        let (gone, _) = Told::heard(|told| waiters.leave(ThreadId(64), false, &mut word, told));
        assert_eq!((gone, word), (true, 1 << 63));
        let (gone, _) = Told::heard(|told| waiters.leave(ThreadId(65), false, &mut word, told));
        assert_eq!((gone, word), (true, 0));
    }
}
