//! Who goes on: first the events that the graph holds, in its order, then the thread whose next
//! event is added.

use super::rounds::{LoopState, Wait};
use super::*;
use racefuzz_runtime::Wait as Awaits;

impl Explore {
    /// Whether a thread's next event in the graph can be executed.
    pub(super) fn is_due(&self, thread: u32, last: bool) -> bool {
        self.is_ready(thread, self.fronts[thread as usize].done, last)
    }

    /// Whether the event of a thread at a place in its order can be executed, as far as others are concerned.
    fn is_ready(&self, thread: u32, at: u32, last: bool) -> bool {
        let events = &self.graph.threads[thread as usize];
        let Some(id) = events.get(at as usize).copied() else { return false };
        if (Some(id) == self.revisited) != last {
            return false;
        }
        let mut event = self.graph.event(id);
        if event.rmw && event.kind == Kind::Read {
            // Both events happen at once.
            event = self.graph.event(events[at as usize + 1]);
        }
        let order = self.graph.run_order(event);
        (0..self.started)
            .all(|other| other == thread as usize || order.get(other as u32) <= self.fronts[other].done)
    }

    /// The place of a thread's next event that is no choice: what an operation chooses comes before what it reads,
    /// in one step. `None` if the graph holds no more of it than the choice.
    fn behind_choices(&self, thread: u32) -> Option<u32> {
        let done = self.fronts[thread as usize].done;
        let events = &self.graph.threads[thread as usize][done as usize..];
        let choices = events.iter().take_while(|id| self.graph.event(**id).kind == Kind::Choice).count();
        (choices < events.len()).then_some(done + choices as u32)
    }

    pub(super) fn replay(&mut self, standing: &Standing<'_>) -> Option<u32> {
        let current = self.threads.get(standing.current as usize).copied().unwrap_or(u32::MAX);
        let started = self.started as u32;
        let due = |explore: &Self, thread: u32, last: bool| {
            explore.is_due(thread, last) && standing.is_live(explore.fronts[thread as usize].runs_as)
        };
        // An operation that begins with a choice goes on to what it reads, which others may have to do first;
        // where the graph ends with the choice that is new, and happens behind all of the graph.
        let whole = |explore: &Self, thread: u32| {
            // Where there is no choice it was just seen to be due.
            let done = explore.fronts[thread as usize].done;
            explore.behind_choices(thread).is_some_and(|at| at == done || explore.is_ready(thread, at, false))
        };
        let is_whole = |thread: &u32| due(self, *thread, false) && whole(self, *thread);
        let up_to_date = |thread: &u32| is_whole(thread) && !self.reads_old_value(*thread);
        if current < started && up_to_date(&current) {
            return Some(current);
        }
        // A read of an old value comes late: what it names may be gone by then, and is used all the
        // same. A choice that is an operation of its own need not wait for what comes behind it. The read
        // revisited comes last, unless a write must be behind it.
        let find = |last| (0..started).find(|thread| due(self, *thread, last));
        let first = (0..started).find(up_to_date).or_else(|| (0..started).find(is_whole));
        first.or_else(|| find(false)).or_else(|| find(true))
    }

    /// Whether the next load of a thread is one of a value that the graph's newest write has replaced.
    fn reads_old_value(&self, thread: u32) -> bool {
        let Some(at) = self.behind_choices(thread) else { return false };
        let event = self.graph.event(self.graph.threads[thread as usize][at as usize]);
        let loads = event.kind == Kind::Read && !event.rmw && event.loc != NOWHERE;
        loads && !self.graph.loc(event.loc).ordered && event.rf != self.graph.newest(event.loc)
    }

    /// The read revisited turns out to wait: its thread is blocked there.
    pub(super) fn block_revisited(&mut self, read: Id) {
        let event = self.graph.event(read);
        let block =
            Block { thread: event.thread, po: event.po, stamp: read, seen: self.graph.len(), rf: event.rf };
        // What was left so far is left of the graph as it is.
        self.seal_copy();
        self.graph.blocks.push(block);
        let blocks = self.graph.blocks.iter();
        let (mut graph, numbers) = self.graph.restrict(Graph::default(), |id| id != read, blocks, None);
        graph.reorder(None);
        for join in self.fronts.iter_mut().flat_map(|front| &mut front.joins) {
            if *join > read {
                *join -= 1;
            }
        }
        let shifted = |id: Id| id - u32::from(id > read);
        self.changed = shifted(self.changed.start)..shifted(self.changed.end);
        let steps = std::mem::take(&mut self.steps);
        self.steps =
            steps.into_iter().enumerate().filter(|(id, _)| *id != read as usize).map(|(_, s)| s).collect();
        self.locs.iter_mut().for_each(|loc| *loc = numbers.loc(*loc));
        self.pseudo.iter_mut().for_each(|(_, loc)| *loc = numbers.loc(*loc));
        self.graph = graph;
        (self.left, self.loaded, self.given) = (0, 0, self.graph.len());
    }

    /// Which threads wait in loops; or who goes on before that is known, if anyone.
    pub(super) fn waiting(&mut self, standing: &Standing<'_>) -> Result<SmallVec<[bool; 8]>, Option<u32>> {
        // Who has come round is looked at first: whoever goes on may change what others have read, and a round that
        // is taken back is no news to those who wait.
        let mut waits: SmallVec<[bool; 8]> = SmallVec::from_elem(true, self.started);
        let (first, last): (SmallVec<[u32; 8]>, SmallVec<[u32; 8]>) =
            (0..self.started as u32).partition(|thread| self.fronts[*thread as usize].moves());
        for thread in first.into_iter().chain(last) {
            let state = match standing.is_live(self.fronts[thread as usize].runs_as) {
                true => self.loop_state(thread, standing),
                false => LoopState::Waits,
            };
            match state {
                LoopState::GoesOn => waits[thread as usize] = false,
                LoopState::Waits => {}
                LoopState::Tries if self.tries(standing).is_some() => return Err(Some(thread)),
                LoopState::Tries => {
                    self.end_trial();
                    if self.is_over() {
                        return Err(None);
                    }
                    if self.quiet.is_some() {
                        return self.waiting(standing);
                    }
                }
                LoopState::Ends => return Err(None),
            }
        }
        Ok(waits)
    }

    /// The thread whose next event is added: where schedules are explored who has the turn, else one that
    /// waited and can go on, else the lowest.
    pub(super) fn extend(&mut self, standing: &Standing<'_>) -> Option<u32> {
        if self.quiet.is_some() {
            return self.extend_quietly(standing);
        }
        if let Some(turn) = self.turn() {
            return self.extend_in_turn(turn, standing);
        }
        loop {
            let waits = match self.waiting(standing) {
                Ok(waits) => waits,
                Err(next) => return next,
            };
            let mut next = None;
            let mut last = None;
            let mut candidates: SmallVec<[u32; 8]> =
                (0..self.started as u32).filter(|thread| !waits[*thread as usize]).collect();
            candidates.sort_by_key(|thread| self.turns_had(*thread));
            for thread in candidates {
                let runs_as = self.fronts[thread as usize].runs_as;
                let enabled = standing.is_enabled(runs_as);
                let polls = enabled && self.is_about_to_poll(thread, standing);
                let Awaits::Word { object, test } = standing.waits_for(runs_as) else {
                    if polls {
                        last = last.or(Some((thread, None)));
                    } else if enabled {
                        next = next.or(Some((thread, None)));
                    }
                    continue;
                };
                let loc = self.loc(object);
                let po = self.fronts[thread as usize].done;
                let block = self.graph.blocks.iter().rfind(|block| block.thread == thread && block.po == po);
                match block.map(|block| block.seen) {
                    since if polls => last = last.or(Some((thread, since))),
                    Some(seen) if enabled => return self.go(thread, standing, Some(seen)),
                    Some(seen) => {
                        if loc != NOWHERE && self.graph.loc(loc).mo.iter().any(|write| *write >= seen) {
                            self.block(thread, standing, object, test, Some(seen));
                        }
                    }
                    None if enabled => next = next.or(Some((thread, None))),
                    None => next = next.or(Some((thread, Some((object, test))))),
                }
            }
            if let (None, Some((thread, since))) = (next, last) {
                return self.go(thread, standing, since);
            }
            let Some(next) = next else {
                self.leave_to_waiting();
                return None;
            };
            match next {
                (thread, None) => return self.go(thread, standing, None),
                (thread, Some((object, test))) => self.block(thread, standing, object, test, None),
            }
        }
    }

    /// Nobody can go on but threads that wait for others: begins anew, so that they do.
    pub(super) fn leave_to_waiting(&mut self) {
        let is_left = |front: &Front| matches!(front.wait, Wait::News(_));
        if self.quiet.is_none() && self.fronts[..self.started].iter().any(is_left) {
            self.begin_anew(true);
        }
    }

    /// The next event of `thread` is added; if it is on a state word, its other ways are kept.
    pub(super) fn go(&mut self, thread: u32, standing: &Standing<'_>, since: Option<u32>) -> Option<u32> {
        self.mark = self.left_here.len() as u32;
        let runs_as = self.fronts[thread as usize].runs_as;
        let op = standing.pending(runs_as);
        let test = match standing.waits_for(runs_as) {
            Awaits::Word { test, .. } => test,
            _ => Test::Always,
        };
        self.front(thread).waits = Some(test);
        if op.object != Op::NO_OBJECT && self.turn().is_none() {
            let loc = self.loc(op.object);
            if loc != NOWHERE && standing.is_state(op.object) {
                self.other_places(thread, loc, &op, test, standing.only_reads(runs_as), since);
            }
        }
        Some(thread)
    }

    /// The thread cannot go on: it waits, and may have gone on earlier.
    pub(super) fn block(
        &mut self,
        thread: u32,
        standing: &Standing<'_>,
        object: u32,
        test: Test,
        since: Option<u32>,
    ) {
        let runs_as = self.fronts[thread as usize].runs_as;
        let op = standing.pending(runs_as);
        let loc = self.loc_or_new(object, standing.word(object), true);
        self.front(thread).waits = Some(test);
        self.other_places(thread, loc, &op, test, standing.only_reads(runs_as), since);
        let block = Block {
            thread,
            po: self.fronts[thread as usize].done,
            stamp: self.graph.len(),
            seen: self.graph.len(),
            rf: self.graph.newest(loc),
        };
        self.graph.blocks.push(block);
    }
}
