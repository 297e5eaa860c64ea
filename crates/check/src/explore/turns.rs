//! Schedules within a bound on preemptions: who has the turn, and who else could have got it. See
//! [`turns`](crate::turns) for which schedules are enough.

use super::rounds::Wait;
use super::*;
use crate::turns::{Interruption, Places, Stuck, Turn, TurnState, executed_before};

impl Explore {
    /// Who has the turn; `None` where it is graphs that are explored.
    pub(super) fn turn(&self) -> Option<Turn> {
        self.turns.as_ref().and_then(|turns| turns.now)
    }

    /// Gives the turn in the execution that is about to begin.
    pub(super) fn take_turn(&mut self, turn: Option<Turn>) {
        if let Some(turns) = &mut self.turns {
            turns.now = turn;
        }
    }

    /// An execution begins.
    pub(super) fn begin_turns(&mut self) {
        let len = self.graph.len();
        if let Some(turns) = &mut self.turns {
            turns.begin(len);
        }
    }

    /// Events of the graph are about to be taken back: others may come in their places.
    pub(super) fn forget_hash(&mut self) {
        if let Some(turns) = &mut self.turns {
            turns.digest.clear();
        }
    }

    /// Whether the execution was ended where another one had been.
    pub(crate) fn met_again(&self) -> bool {
        self.turns.as_ref().is_some_and(|turns| turns.met_again)
    }

    /// Whether a graph that is to be executed is one to which nothing has come so cheaply.
    pub(super) fn is_new_state(&mut self, loaded: &Loaded) -> bool {
        let (Some(turns), Some(turn)) = (&mut self.turns, loaded.turn) else { return true };
        turns.digest.clear();
        let state = turns.digest.of_state(&loaded.graph, turn.thread, turn.stand(), 0);
        turns.is_new(state, turn.spent)
    }

    /// Whether the complete graph of the execution was counted before; it is now.
    pub(crate) fn is_counted(&mut self) -> bool {
        let Some(turns) = self.turns.as_mut().filter(|turns| turns.now.is_some()) else { return false };
        let whole = turns.digest.of_whole(&self.graph);
        !turns.is_new(whole, 0)
    }

    fn new_places(&mut self) -> Option<Places> {
        let turns = self.turns.as_mut().filter(|turns| turns.now.is_some())?;
        let mut new = std::mem::take(&mut turns.taken_back).unknown_to(&turns.places);
        new.learn(&turns.places.new_ones(&self.graph, &turns.stuck));
        Some(new).filter(|places| !places.is_empty())
    }

    /// The events from this one on are about to be taken back, which are those of a round. It matters whether
    /// its thread is interrupted in the middle of it: what others do there may end the loop.
    pub(super) fn learn_middle(&mut self, first: Id) {
        let Some(turns) = &mut self.turns else { return };
        let accesses = self.graph.events[first as usize..].iter().filter(|event| event.loc != NOWHERE);
        accesses.skip(1).for_each(|event| turns.taken_back.add(event.site));
    }

    /// A round of these events comes to nothing, as others went on in the middle of it. What they did comes before a
    /// whole round if its thread is interrupted before it, which it is only where that matters: the thread may not
    /// have come round there yet, and so not give way.
    pub(super) fn learn_beginning(&mut self, round: &[Id]) {
        let Some(turns) = &mut self.turns else { return };
        let first = round.iter().map(|id| self.graph.event(*id)).find(|event| event.loc != NOWHERE);
        first.into_iter().for_each(|event| turns.taken_back.add(event.site));
    }

    /// Whether a schedule has room for an event where it comes next: on an ordered location it is behind
    /// all others, and behind the SeqCst writes if it is SeqCst.
    pub(super) fn is_in_order(&self, event: &Event, way: Way) -> bool {
        if self.turn().is_none() {
            return true;
        }
        let first = |order| executed_before(&self.graph, event.loc, order);
        match way {
            Way::Read { rf, order } => self.graph.place(event.loc, rf) >= first(order),
            Way::Update { rf, .. } => self.graph.place(event.loc, rf) >= first(event.order),
            Way::Write { place } => place as usize > first(event.order),
            Way::Choice(_) => true,
        }
    }

    /// The thread whose next event is added, where schedules are explored: whoever has the turn, until it
    /// gives way. Whoever else could have got it is left for later.
    pub(super) fn extend_in_turn(&mut self, turn: Turn, standing: &Standing<'_>) -> Option<u32> {
        let waits = match self.waiting(standing) {
            Ok(waits) => waits,
            Err(next) => return next,
        };
        let goes_on = |thread: &u32| {
            !waits[*thread as usize] && standing.is_enabled(self.fronts[*thread as usize].runs_as)
        };
        let mut able: SmallVec<[u32; 8]> = (0..self.started as u32).filter(goes_on).collect();
        let front = &self.fronts[turn.thread as usize];
        // A wait that is to expire lasts until then.
        let yields = front.yields || self.is_about_to_expire(turn.thread);
        let came_round = matches!(front.wait, Wait::News(_));
        let is_able = able.contains(&turn.thread);
        let stand = if came_round && !turn.is_new { TurnState::CameRound } else { turn.stand() };
        if !self.is_new_here(turn, stand) {
            return self.meet_again();
        }
        if is_able && (turn.is_new || !yields) {
            able.retain(|thread| *thread != turn.thread);
            self.may_be_interrupted(turn, able);
            return self.go_in_turn(turn, standing);
        }
        if able.is_empty() {
            self.note_stuck(standing);
            self.leave_to_waiting();
            return None;
        }
        // Who gives way in a loop that is not known comes round soonest if it goes on; those that are known to
        // poll come last.
        able.sort_by_key(|thread| (self.is_about_to_poll(*thread, standing), *thread != turn.thread));
        let given = |thread: u32| Turn { thread, is_new: true, ..turn };
        let next = able.iter().position(|thread| self.is_new_turn(given(*thread)));
        let Some(next) = next else { return self.meet_again() };
        let at = self.moment();
        for thread in able.drain(next + 1..).rev() {
            self.leave_turn(at, given(thread));
        }
        self.go_in_turn(Turn { thread: able[next], ..turn }, standing)
    }

    /// Notes who waits for a word at the end of the execution.
    fn note_stuck(&mut self, standing: &Standing<'_>) {
        let mut stuck = Vec::new();
        for thread in 0..self.started as u32 {
            let front = &self.fronts[thread as usize];
            let racefuzz_runtime::Wait::Word { object, .. } = standing.waits_for(front.runs_as) else {
                continue;
            };
            let loc = self.loc(object);
            if loc != NOWHERE && standing.is_live(front.runs_as) {
                stuck.push(Stuck { thread, loc, prefix: front.porf.clone() });
            }
        }
        if let Some(turns) = &mut self.turns {
            turns.stuck = stuck;
        }
    }

    /// Whether a thread has chosen that the wait before which it stands ends by a timeout.
    fn is_about_to_expire(&self, thread: u32) -> bool {
        let last = self.last_event(thread).map(|id| self.graph.event(id));
        last.is_some_and(|event| event.choice == 1 && event.site == waiting::choice(Point::Timeout))
    }

    /// Whether the execution is where no other one has been so cheaply.
    fn is_new_here(&mut self, turn: Turn, stand: TurnState) -> bool {
        let (explores, variant) = (self.explores(), self.variant());
        let Some(turns) = self.turns.as_mut().filter(|_| explores) else { return true };
        if !turns.has_changed(self.graph.len(), stand) {
            return true;
        }
        // Between two places that matter nothing else could have been done.
        let matters = |event: &Event| event.kind == Kind::Choice || turns.places.holds(event.site);
        if stand == TurnState::Moved && !self.graph.events.last().is_some_and(matters) {
            return true;
        }
        let state = turns.digest.of_state(&self.graph, turn.thread, stand, variant);
        turns.is_new(state, turn.spent)
    }

    /// Whether nobody was given this turn in the present state so cheaply.
    fn is_new_turn(&mut self, turn: Turn) -> bool {
        let (explores, variant) = (self.explores(), self.variant());
        let Some(turns) = self.turns.as_mut().filter(|_| explores) else { return true };
        let state = turns.digest.of_state(&self.graph, turn.thread, TurnState::New, variant);
        turns.is_new(state, turn.spent)
    }

    /// A number of what else makes a difference for what comes: which threads only wait.
    fn variant(&self) -> u64 {
        let forced = u64::from(self.forced);
        let known = self.known_to_wait.iter();
        known.fold(forced, |sum, (thread, done)| {
            waiting::mix(sum, u64::from(*thread) << 32 | u64::from(*done))
        })
    }

    /// A thread that has created another one is no longer where it got the turn; unless it had done so before
    /// it got it.
    pub(super) fn has_spawned(&mut self, thread: u32) {
        if self.left > 0 {
            return;
        }
        if let Some(now) = self.turns.as_mut().and_then(|turns| turns.now.as_mut())
            && now.thread == thread
        {
            now.is_new = false;
        }
    }

    fn meet_again(&mut self) -> Option<u32> {
        self.dead = true;
        if let Some(turns) = &mut self.turns {
            turns.met_again = true;
        }
        None
    }

    fn go_in_turn(&mut self, turn: Turn, standing: &Standing<'_>) -> Option<u32> {
        if let Some(turns) = &mut self.turns {
            turns.now = Some(Turn { is_new: false, ..turn });
        }
        self.go(turn.thread, standing, None)
    }

    /// Notes who could get the turn by a preemption before the event that is about to be added.
    fn may_be_interrupted(&mut self, turn: Turn, others: SmallVec<[u32; 8]>) {
        let (explores, at) = (self.explores(), self.moment());
        let Some(turns) = &mut self.turns else { return };
        if explores && !turn.is_new && turn.spent < turns.most && !others.is_empty() {
            turns.interruptions.push(Interruption { at, turn, others });
        }
    }

    /// The preemptions before events at places where that matters become work; `base` is the graph of the
    /// execution. The others are kept for later.
    pub(super) fn leave_interruptions(&mut self, base: &Arc<Graph>) {
        let Some(turns) = &mut self.turns else { return };
        let mut left_out = Vec::new();
        for left in turns.interruptions.drain(..) {
            // Whatever an operation chooses comes before what it does.
            let mut events = base.events[left.at.events as usize..].iter();
            let event = events.find(|event| event.kind != Kind::Choice);
            let Some(event) = event.filter(|event| event.thread == left.turn.thread) else { continue };
            if turns.places.holds(event.site) {
                self.later.extend(left.turns().map(|turn| Self::with_turn(base, left.at, turn)));
            } else if matches!(event.kind, Kind::Read | Kind::Write) {
                left_out.push((event.site, left));
            }
        }
        turns.deferred.add(base, left_out);
    }

    fn with_turn(base: &Arc<Graph>, at: Moment, turn: Turn) -> WorkItem {
        WorkItem::new(base, Change::Turn { at }, Some(turn))
    }

    /// Learns before which places it matters whether a thread is interrupted, as far as the execution shows
    /// ones that were not known. Those for which the exploration has to begin anew are returned.
    pub(crate) fn learn_places(&mut self) -> Option<Places> {
        let new = self.new_places()?;
        let Some(left_out) = self.turns.as_mut().and_then(|turns| turns.learn(&new)) else {
            return Some(new);
        };
        for (base, left) in left_out {
            self.later.extend(left.turns().map(|turn| Self::with_turn(&base, left.at, turn)));
        }
        None
    }

    /// Nothing is left of the preemptions of an execution.
    pub(super) fn forget_interruptions(&mut self) {
        if let Some(turns) = &mut self.turns {
            turns.interruptions.clear();
        }
    }

    fn leave_turn(&mut self, at: Moment, turn: Turn) {
        if self.explores() {
            self.left_here.push(leaving::Left::new(Change::Turn { at }, Some(turn)));
        }
    }

    /// A thread has ended a round of which others may see the middle. If they do not, it is as if it had
    /// given way before it.
    pub(super) fn leave_round(&mut self, thread: u32, first: Id) {
        let Some(turn) = self.turn().filter(|turn| turn.thread == thread) else { return };
        let at = Moment { events: first, blocks: self.moment().blocks };
        for other in (0..self.started as u32).filter(|other| *other != thread).rev() {
            self.leave_turn(at, Turn { thread: other, is_new: true, ..turn });
        }
    }
}
