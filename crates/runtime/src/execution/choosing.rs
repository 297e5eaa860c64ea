//! Asking the explorer: which thread, which alternative.

use super::Execution;
use super::events::PATIENCE;
use crate::explorer::{Alternatives, ThreadChoice};
use crate::graph::Standing;
use racefuzz_trace::{Choice, Point, ThreadId};

/// The index that stands for a chosen thread: 0 for the default, the other options follow in
/// ascending order.
#[cfg_attr(not(debug_assertions), inline(always))]
fn index_of(chosen: ThreadId, default: ThreadId, options: &[ThreadId]) -> u32 {
    if chosen == default {
        return 0;
    }
    let position = match options.len() {
        0..=8 => options.iter().position(|option| *option == chosen),
        _ => options.binary_search(&chosen).ok(),
    };
    match position {
        Some(position) => position as u32 + u32::from(chosen < default),
        None => panic!("an explorer chose {chosen:?}, which cannot run"),
    }
}

impl Execution {
    /// Asks for one of `count` alternatives; not a choice if there is only one.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn choose(&mut self, point: Point, count: usize) -> usize {
        if count < 2 { 0 } else { self.choose_among(point, count) }
    }

    #[inline(never)]
    fn choose_among(&mut self, point: Point, count: usize) -> usize {
        let count = count as u32;
        if let Some(memory) = self.driver.memory {
            // SAFETY: as in `event`.
            return unsafe { (*memory).value(self.current, point, count) as usize };
        }
        let alternatives = Alternatives { point, thread: ThreadId(self.current), count };
        // SAFETY: as in `observed`.
        let chosen = unsafe { (*self.driver.explorer).choose(alternatives) };
        assert!(chosen < count, "an explorer chose alternative {chosen} of {count}");
        let chosen = self.schedule.fairness.alternative(point, chosen);
        self.driver.choices.push(Choice::new(point, chosen));
        chosen as usize
    }

    /// The thread to run next; `None` if none can.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn pick(&mut self) -> Option<u32> {
        if let Some(thread) = self.schedule.ready.pop() {
            return Some(thread);
        }
        if self.driver.memory.is_some() {
            return self.pick_from_memory();
        }
        if self.config.process {
            return self.pick_in_process();
        }
        match self.schedule.enabled[..] {
            [] => self.fire_timeout(),
            [only] => Some(only.0),
            _ => Some(self.ask_uniformly().unwrap_or_else(|| self.ask())),
        }
    }

    /// [`ask`](Self::ask) where every thread may be chosen and an explorer does so uniformly: by its next random
    /// word.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn ask_uniformly(&mut self) -> Option<u32> {
        if self.schedule.yielded != 0 || !self.schedule.chooses_freely {
            return None;
        }
        let options = &self.schedule.enabled[..];
        let place = self.driver.uniform.as_ref()?.choose(options.len());
        let chosen = options[place];
        let goes_on = self.threads.get(self.current as usize).is_some_and(|thread| thread.waiting.listed);
        let default = if goes_on { ThreadId(self.current) } else { options[0] };
        let index = if chosen == default { 0 } else { place as u32 + u32::from(chosen < default) };
        self.driver.choices.push(Choice::new(Point::Thread, index));
        Some(chosen.0)
    }

    #[inline(never)]
    fn pick_from_memory(&mut self) -> Option<u32> {
        // SAFETY: as in `event`.
        self.driver.memory.and_then(|memory| unsafe { (*memory).next(&self.standing()) })
    }

    /// Where the threads stand.
    pub(crate) fn standing(&self) -> Standing<'_> {
        Standing {
            threads: &self.threads[..self.schedule.thread_count],
            objects: &self.objects[..self.storage.object_count],
            enabled: &self.schedule.enabled,
            current: self.current,
            blocked: self.outcome.blocked_at.is_some(),
        }
    }

    /// Asks for one of the enabled threads, of which there are several.
    pub(crate) fn ask(&mut self) -> u32 {
        let mut version = Some(self.schedule.changes);
        let options = if self.schedule.yielded == 0 {
            &self.schedule.enabled[..]
        } else {
            version = None;
            if self.schedule.enabled.iter().all(|thread| self.threads[thread.index()].spinning.yielded) {
                self.offer_again();
            }
            self.schedule.offered.clear();
            let threads = &self.threads;
            self.schedule.offered.extend(
                self.schedule
                    .enabled
                    .iter()
                    .copied()
                    .filter(|thread| !threads[thread.index()].spinning.yielded),
            );
            match self.schedule.offered[..] {
                [only] => return only.0,
                _ => &self.schedule.offered[..],
            }
        };
        let last = ThreadId(self.current);
        let thread = self.threads.get(last.index());
        let current =
            thread.is_some_and(|thread| thread.waiting.listed && !thread.spinning.yielded).then_some(last);
        let choice = ThreadChoice { options, current, step: self.schedule.steps, execution: self };
        // SAFETY: as in `observed`.
        let chosen = unsafe { (*self.driver.explorer).choose_thread(&choice) };
        let index = index_of(chosen, choice.default_thread(), options);
        self.driver.choices.push(Choice::new(Point::Thread, index));
        self.schedule.fairness.overrule(options, version, chosen).0
    }

    /// Asks for one of all enabled threads, of which there are several; `me` is one of them, and
    /// nobody has given way.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn ask_for_any(&mut self, me: u32) -> u32 {
        let options = &self.schedule.enabled[..];
        let Some(words) = &self.driver.uniform else { return self.ask_explorer(me) };
        let place = words.choose(options.len());
        invariant!(place < options.len());
        // SAFETY: the place is below their number.
        let chosen = unsafe { *options.as_ptr().wrapping_add(place) };
        let index = if chosen.0 == me { 0 } else { place as u32 + u32::from(chosen.0 < me) };
        self.driver.choices.push(Choice::new(Point::Thread, index));
        chosen.0
    }

    #[inline(never)]
    fn ask_explorer(&mut self, me: u32) -> u32 {
        let options = &self.schedule.enabled[..];
        let choice =
            ThreadChoice { options, current: Some(ThreadId(me)), step: self.schedule.steps, execution: self };
        // SAFETY: as in `observed`.
        let chosen = unsafe { (*self.driver.explorer).choose_thread(&choice) };
        let index = index_of(chosen, ThreadId(me), options);
        self.driver.choices.push(Choice::new(Point::Thread, index));
        chosen.0
    }

    /// All have given way, so all are offered; but of those that have spun for long each has its
    /// turn before one has another.
    #[cold]
    fn offer_again(&mut self) {
        for thread in &self.schedule.enabled {
            let spinner = &mut self.threads[thread.index()];
            if thread.0 != self.current || spinner.spinning.spins <= PATIENCE {
                spinner.spinning.yielded = false;
                self.schedule.yielded -= 1;
            }
        }
    }

    /// Nothing can run: the wait with the earliest deadline ends, virtual time moves on.
    fn fire_timeout(&mut self) -> Option<u32> {
        let key = |thread: &u32| (self.threads[*thread as usize].pending.deadline, *thread);
        let next = *self.schedule.timed.iter().min_by_key(|thread| key(thread))?;
        let thread = &mut self.threads[next as usize];
        self.schedule.advance_to(thread.pending.deadline.unwrap_or(0));
        thread.waiting.timed_out = true;
        Some(next)
    }
}
