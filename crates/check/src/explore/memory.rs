//! What the runtime asks: the seam's methods.

use super::livelock::Livelock;
use super::*;
use crate::waiting::{choice, place};
use racefuzz_runtime::Standstill;

impl Explorer for Explore {
    fn begin(&mut self) {
        self.fronts[..self.started].iter_mut().for_each(Front::reset);
        self.started = 0;
        self.order.clear();
        self.reordered = false;
        self.threads.clear();
        self.renumbered = false;
        self.left_here.clear();
        self.begin_turns();
        self.locs.clear();
        self.bound.clear();
        self.pseudo.clear();
        self.left = self.graph.len();
        (self.loaded, self.given) = (self.left, self.left);
        self.part = Part::default();
        (self.diverged, self.dead, self.doomed, self.anew) = (false, false, false, None);
        self.departure = None;
        (self.trial, self.learned) = (None, None);
        self.quiet = self.quiet_next.take();
        (self.bounded, self.rounds_cut, self.alone) = (false, false, None);
        self.livelock = Livelock::None;
        self.left_before.clear();
        self.mark = 0;
        self.start_thread(0, 0);
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        choice.default_thread()
    }

    fn choose(&mut self, _: Alternatives) -> u32 {
        0
    }

    fn memory(&mut self) -> Option<&mut dyn Memory> {
        Some(self)
    }
}

impl Memory for Explore {
    fn next(&mut self, standing: &Standing<'_>) -> Option<u32> {
        if self.trial.is_some() {
            if let Some(thread) = self.tries(standing) {
                return Some(thread);
            }
            self.end_trial();
        }
        if self.is_over() {
            return None;
        }
        if self.diverged {
            return None;
        }
        if self.left > 0 {
            if let Some(thread) = self.replay(standing) {
                let runs_as = self.fronts[thread as usize].runs_as;
                if standing.is_enabled(runs_as) {
                    return Some(runs_as);
                }
                match self.revisited.take() {
                    Some(read) if self.graph.event(read).thread == thread => self.block_revisited(read),
                    _ => {
                        self.departs_in_silence(standing);
                        return None;
                    }
                }
            } else {
                self.departs_in_silence(standing);
                return None;
            }
        }
        if self.graph.kept_out {
            // Nothing is added. It ends as its graph says only if no other thread could go on.
            if !standing.enabled().iter().all(|thread| standing.may_be_kept_out(thread.0)) {
                self.departs_in_silence(standing);
            }
            return None;
        }
        if !self.livelock.is_doubted() {
            let next = self.extend(standing).map(|thread| self.fronts[thread as usize].runs_as);
            if next.is_some() || self.met_again() {
                return next;
            }
            if !self.livelock.is_doubted() {
                if !self.is_livelock_in_doubt(standing) {
                    return None;
                }
                self.doubt();
            }
        }
        self.take_turns(standing)
    }

    fn load(&mut self, access: &Access<'_>, step: u32) -> Read<'_> {
        let thread = self.threads[access.thread as usize];
        if self.trial.is_some() {
            return self.load_again(access);
        }
        let id = match self.replayed(thread, Kind::Read, access.verb) {
            Some(id) => {
                self.meet(access, id);
                id
            }
            None => self.add_read(thread, access, access.order, None),
        };
        self.pass(id, step);
        let event = self.graph.event(id);
        self.answer(event.loc, event.rf)
    }

    fn store(&mut self, access: &Access<'_>, value: u64, step: u32) -> bool {
        if self.trial.is_some() {
            self.write_again(access, value);
            return true;
        }
        let thread = self.threads[access.thread as usize];
        let id = match self.replayed(thread, Kind::Write, access.verb) {
            Some(id) => {
                self.meet(access, id);
                // Addresses differ from one execution to the next.
                self.graph.event_mut(id).value = value;
                self.graph.event_mut(id).release = self.published(access);
                id
            }
            None => self.add_store(thread, access, value),
        };
        self.pass(id, step);
        let loc = self.graph.event(id).loc;
        self.diverged || self.graph.newest(loc) == id
    }

    fn rmw(
        &mut self,
        access: &Access<'_>,
        failure: MemoryOrder,
        step: u32,
        f: &dyn Fn(u64) -> Option<u64>,
    ) -> Read<'_> {
        if self.trial.is_some() {
            return self.load_again(access);
        }
        let thread = self.threads[access.thread as usize];
        let id = match self.replayed(thread, Kind::Read, access.verb) {
            Some(id) => {
                self.meet(access, id);
                let event = self.graph.event(id);
                let (loc, rf, fresh) = (event.loc, event.rf, event.fresh);
                if self.diverged {
                    // The thread goes no further.
                } else if fresh {
                    let fails = f(self.graph.word(loc, rf)).is_none();
                    let order = if fails { failure } else { access.order };
                    self.reordered |= order != self.graph.event(id).order;
                    let counted = self.graph.counts_as_seq_cst(self.graph.event(id));
                    self.graph.event_mut(id).order = order;
                    let counts = self.graph.counts_as_seq_cst(self.graph.event(id));
                    self.graph.seq_cst = self.graph.seq_cst + u32::from(counts) - u32::from(counted);
                    self.graph.event_mut(id).fresh = false;
                } else {
                    // A compare_exchange that turns out otherwise.
                    let writes = f(self.graph.word(loc, rf)).is_some();
                    if writes != self.graph.event(id).rmw {
                        self.departs_by(access, if writes { ", which succeeded" } else { ", which failed" });
                    }
                }
                id
            }
            None => self.add_read(thread, access, failure, Some(f)),
        };
        self.pass(id, step);
        let event = self.graph.event(id);
        self.answer(event.loc, event.rf)
    }

    fn rmw_writes(&mut self, access: &Access<'_>, value: u64, step: u32) -> bool {
        if self.trial.is_some() {
            self.write_again(access, value);
            return true;
        }
        let thread = self.threads[access.thread as usize];
        let id = match self.replayed(thread, Kind::Write, access.verb) {
            Some(id) => {
                let read = self.last_event(thread).unwrap_or_else(|| unreachable!("it has just read"));
                let again = self.write_of(read, access, value);
                let write = self.graph.event_mut(id);
                (write.value, write.time, write.site) = (value, again.time, again.site);
                (write.before, write.release) = (again.before, again.release);
                id
            }
            None => self.add_rmw_write(thread, access, value),
        };
        self.pass(id, step);
        let loc = self.graph.event(id).loc;
        self.diverged || self.graph.newest(loc) == id
    }

    fn fence(&mut self, access: &Access<'_>, step: u32) {
        if let Some(trial) = &mut self.trial {
            trial.expect(place(access.site, access.verb, NOWHERE, false));
            return;
        }
        let thread = self.threads[access.thread as usize];
        let id = match self.replayed(thread, Kind::Fence, access.verb) {
            Some(id) => {
                self.refresh(access, id);
                id
            }
            None => {
                let mut event = self.blank(thread, Kind::Fence, NOWHERE, access.order, access.verb);
                (event.time, event.site) = (access.time, access.site);
                event.before = self.in_graph(access.clock);
                let joins = self.joins(thread);
                self.graph.add(event, &joins)
            }
        };
        self.pass(id, step);
    }

    fn value(&mut self, thread: u32, point: Point, count: u32) -> u32 {
        let thread = self.threads[thread as usize];
        let spent = point == Point::Spurious && self.front(thread).spurious > 0;
        if let Some(trial) = &mut self.trial {
            if spent && !trial.chooses_next(point) {
                return 0;
            }
            return trial.expect(choice(point)).map_or(0, |expected| expected.choice.min(count - 1));
        }
        if spent {
            return 0;
        }
        self.mark = self.left_here.len() as u32;
        let verb = Verb::Nondet;
        let id = match self.replayed(thread, Kind::Choice, verb) {
            Some(id) => id,
            None => {
                let mut event = self.blank(thread, Kind::Choice, NOWHERE, MemoryOrder::Plain, verb);
                event.site = choice(point);
                let joins = self.joins(thread);
                for choice in (1..count).rev() {
                    self.leave_choice(self.graph.len(), Event { choice, ..event.clone() }, &joins);
                }
                event.choice = self.chooses_quietly(thread, point, count);
                self.graph.add(event, &joins)
            }
        };
        self.pass(id, 0);
        let choice = self.graph.event(id).choice;
        if point == Point::Spurious {
            self.front(thread).spurious += choice;
        }
        choice.min(count - 1)
    }

    fn part(&mut self, thread: u32, count: u32) -> u32 {
        if let Some(trial) = &self.trial {
            return trial.next_choice().min(count - 1);
        }
        let thread = self.threads[thread as usize];
        let done = self.fronts[thread as usize].done as usize;
        let events = &self.graph.threads[thread as usize];
        let (choice, open) = match events.get(done) {
            // A choice of 0 in an event that was never executed is none yet.
            Some(id) => (
                self.graph.event(*id).choice,
                self.graph.event(*id).fresh && self.graph.event(*id).choice == 0,
            ),
            None => (self.chooses_quietly(thread, Point::Value, count), true),
        };
        self.part = Part { count: if open { count } else { 0 } };
        choice.min(count - 1)
    }

    fn stepped(&mut self, step: &Step<'_>) {
        if self.trial.is_some() {
            return self.step_again(step);
        }
        let thread = self.threads[step.thread as usize];
        let part = std::mem::take(&mut self.part);
        let reads = !matches!(step.op.kind, OpKind::Store | OpKind::Print);
        let first = if reads { Kind::Read } else { Kind::Write };
        let held = self.replayed(thread, first, step.op.verb);
        let start = self.graph.len();
        let is_new = held.is_none();
        if is_new {
            if step.op.verb.tries_lock() && !self.loops.tries() {
                self.learned = Some(Loops::trying());
            }
            let loc = self.loc_or_new(step.object, step.before, true);
            let mut event = self.blank(thread, first, loc, step.op.order, step.op.verb);
            let joins = self.joins(thread);
            if reads {
                event.rf = self.graph.newest(loc);
                event.rmw = step.writes;
                self.graph.add(event, &joins);
            } else {
                let place = self.graph.loc(loc).mo.len() + 1;
                self.graph.add_write(event, &joins, place);
            }
        }
        let id = held.unwrap_or(start);
        let loc = self.graph.event(id).loc;
        match self.loc(step.object) {
            NOWHERE => {
                if !is_new && loc != NOWHERE && !self.binds(loc) {
                    self.departs_on_other(step);
                }
                self.set_loc(step.object, loc);
            }
            known if known != loc => self.departs_on_other(step),
            _ => {}
        }
        self.fill(id, step);
        self.pass(id, step.step);
        if reads && step.writes {
            let write = match self.replayed(thread, Kind::Write, step.op.verb) {
                Some(write) => write,
                None => self.add_state_write(thread, id, step, !is_new),
            };
            self.fill(write, step);
            self.pass(write, step.step);
        }
        for choice in (1..part.count).rev() {
            let event = Event { choice, ..self.graph.event(id).clone() };
            self.leave_choice(id, event, &[]);
        }
    }

    fn spawned(&mut self, parent: u32, child: u32) {
        let parent = self.threads[parent as usize];
        if let Some(trial) = &mut self.trial {
            trial.leave();
        }
        self.front(parent).spawned_at = self.front(parent).done;
        let number = self.front(parent).children;
        self.front(parent).children += 1;
        let thread = self.graph.thread(parent, number);
        self.start_thread(thread, child);
        self.has_spawned(parent);
        let last = self.last_event(parent);
        let front = &self.fronts[parent as usize];
        let (porf, ord) = (front.porf.clone(), front.ord.clone());
        let mut joins = front.joins.clone();
        joins.extend(last);
        let child = self.front(thread);
        (child.porf, child.ord, child.joins) = (porf, ord, joins);
    }

    fn joined(&mut self, thread: u32, target: u32) {
        if let Some(trial) = &mut self.trial {
            trial.leave();
        }
        let (thread, target) = (self.threads[thread as usize], self.threads[target as usize]);
        let last = self.last_event(target);
        let other = &self.fronts[target as usize];
        let (porf, ord) = (other.porf.clone(), other.ord.clone());
        let mut joins = other.joins.clone();
        joins.extend(last);
        let front = self.front(thread);
        front.porf.join(&porf);
        front.ord.join(&ord);
        front.joins.extend(joins);
    }

    fn looked_at(&mut self, made: u64) {
        self.is_looked_at(made);
    }

    fn gives_way(&mut self, thread: u32) {
        let thread = self.threads[thread as usize];
        self.front(thread).yields = true;
    }

    fn standstill(&self, standing: &Standing<'_>) -> Standstill {
        self.stands_still(standing)
    }

    fn has_diverged(&self) -> bool {
        self.diverged
    }

    fn is_repeating(&self) -> bool {
        self.trial.is_some()
    }

    fn events(&self, thread: u32) -> u32 {
        self.fronts[self.threads[thread as usize] as usize].done
    }

    fn unordered(&self, object: u32, clock: &Clock, writes: bool) -> Option<(u32, u32)> {
        let loc = self.locs.get(object as usize).copied().filter(|loc| *loc != NOWHERE)?;
        let loc = self.graph.loc(loc);
        let reads = loc.reads.iter().filter(|_| writes);
        loc.mo.iter().chain(reads).find_map(|id| {
            let event = self.graph.event(*id);
            let front = &self.fronts[event.thread as usize];
            let unknown = front.done > event.po && !clock.knows(front.runs_as, event.time);
            unknown.then(|| (front.runs_as, self.step_of(*id)))
        })
    }
}
