//! An explorer that proposes an execution and notes what came of it.

use super::is_side;
use super::schedule_blocks::Plan;
use crate::replay::{ReplayExplorer, nth};
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::{Choice, Point, ThreadId};

/// What to follow.
pub(crate) enum Proposal<'a> {
    Choices(&'a [Choice]),
    Plan(&'a Plan),
}

enum Leader<'a> {
    Choices(ReplayExplorer<'a>),
    Plan(&'a Plan),
}

/// Follows a way as far as it goes.
pub(crate) struct RecordingExplorer<'a> {
    leader: Leader<'a>,
    /// The stretch of the plan that is being followed.
    at: usize,
    /// Events and side choices by thread.
    done: Vec<(u32, u32)>,
    /// What happened.
    pub(crate) plan: Plan,
    /// The number of alternatives at each choice, and what was chosen of.
    pub(super) arities: Vec<(Point, u32)>,
}

impl<'a> RecordingExplorer<'a> {
    pub(crate) fn new(way: Proposal<'a>) -> Self {
        let leader = match way {
            Proposal::Choices(choices) => Leader::Choices(ReplayExplorer::new(choices)),
            Proposal::Plan(plan) => Leader::Plan(plan),
        };
        Self { leader, at: 0, done: Vec::new(), plan: Plan::default(), arities: Vec::new() }
    }

    fn done(&mut self, thread: ThreadId) -> &mut (u32, u32) {
        if thread.index() >= self.done.len() {
            self.done.resize(thread.index() + 1, (0, 0));
        }
        &mut self.done[thread.index()]
    }
}

impl Explorer for RecordingExplorer<'_> {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.arities.push((Point::Thread, choice.options.len() as u32));
        let plan = match &mut self.leader {
            Leader::Choices(follow) => return follow.choose_thread(choice),
            Leader::Plan(plan) => *plan,
        };
        let done = &self.done;
        let open = |index: usize| {
            let (thread, until) = plan.stretch(index);
            done.get(thread as usize).map_or(0, |done| done.0) < until
        };
        while self.at < plan.len() && !open(self.at) {
            self.at += 1;
        }
        // A thread that cannot go on yet is passed over, and comes back when it can.
        let next = (self.at..plan.len()).find_map(|index| {
            let thread = ThreadId(plan.stretch(index).0);
            (choice.options.binary_search(&thread).is_ok() && open(index)).then_some(thread)
        });
        next.unwrap_or_else(|| nth(choice, 0))
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.arities.push((alternatives.point, alternatives.count));
        let thread = alternatives.thread;
        let done = self.done(thread);
        let number = done.1;
        done.1 += 1;
        let index = match &mut self.leader {
            Leader::Choices(follow) => follow.choose(alternatives),
            Leader::Plan(plan) => plan.side(thread.0, number, alternatives.point, alternatives.count),
        };
        if index != 0 && is_side(alternatives.point) {
            self.plan.note_side(thread.0, number, Choice::new(alternatives.point, index));
        }
        index
    }

    fn observes(&self) -> bool {
        true
    }

    fn executed(&mut self, thread: ThreadId, _: &Op) {
        self.done(thread).0 += 1;
        self.plan.note_event(thread.0);
    }
}
