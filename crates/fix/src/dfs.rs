//! Depth-first exploration of the runtime's choices, one execution per class.
//!
//! Sleep sets (Godefroid, LNCS 1032, chapter 5) keep two executions of one class from being visited
//! twice; executions that turn out to be redundant are run to their end and not counted. There is no
//! memory of states: the explorer repeats the choices that lead to the next branch.

use crate::options::Limit;
use crate::verifier::{Explored, Go, Task, Verifier, Visit};
use racefuzz_runtime::{Alternatives, Config, Explorer, Op, Record, Runner, ThreadChoice};
use racefuzz_trace::{FailureKind, MemoryModel, MemoryOrder, OpKind, ThreadId, Verb};
use std::collections::HashSet;
use std::sync::Arc;

/// A point where an execution could have gone on differently.
enum Node {
    Threads {
        /// The threads that may go on and what each would do; those tried come first.
        options: Vec<(ThreadId, Op)>,
        /// How many of them have been tried, the present one included.
        tried: usize,
        /// What needs not be tried here, because it was before.
        sleep: Vec<(ThreadId, Op)>,
    },
    Alternatives {
        count: u32,
        chosen: u32,
    },
}

/// The choices of one execution after another.
struct Path {
    nodes: Vec<Node>,
    at: usize,
    sleep: Vec<(ThreadId, Op)>,
    /// Another execution of the same class was visited before.
    redundant: bool,
    weak: bool,
}

impl Path {
    /// Whether the order of two operations of different threads matters.
    fn dependent(&self, one: &Op, other: &Op) -> bool {
        let ordered = |op: &Op| {
            op.order == MemoryOrder::SeqCst
                && matches!(op.kind, OpKind::Load | OpKind::Store | OpKind::Rmw | OpKind::Fence)
                && !matches!(op.verb, Verb::Get | Verb::Set)
        };
        one.races_with(other)
            || self.weak && ordered(one) && ordered(other)
            || matches!(one.verb, Verb::IsFinished | Verb::Sleep)
            || matches!(other.verb, Verb::IsFinished | Verb::Sleep)
    }

    /// Moves on to the next execution; false if there is none.
    fn advance(&mut self) -> bool {
        while let Some(node) = self.nodes.last_mut() {
            let more = match node {
                Node::Threads { options, tried, .. } => {
                    let more = *tried < options.len();
                    *tried += usize::from(more);
                    more
                }
                Node::Alternatives { count, chosen } => {
                    *chosen += 1;
                    chosen < count
                }
            };
            if more {
                return true;
            }
            self.nodes.pop();
        }
        false
    }
}

impl Explorer for Path {
    fn begin(&mut self) {
        self.at = 0;
        self.sleep.clear();
        self.redundant = false;
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        if self.redundant {
            return choice.default_thread();
        }
        if self.at == self.nodes.len() {
            let asleep = |thread: &ThreadId| self.sleep.iter().any(|(other, _)| other == thread);
            let mut options: Vec<_> =
                choice.options.iter().copied().filter(|thread| !asleep(thread)).collect();
            // The running thread first: the executions with few switches come early.
            if let Some(current) =
                choice.current.and_then(|current| options.iter().position(|t| *t == current))
            {
                options[..=current].rotate_right(1);
            }
            let options: Vec<_> =
                options.into_iter().map(|thread| (thread, choice.pending(thread))).collect();
            if options.is_empty() {
                self.redundant = true;
                return choice.default_thread();
            }
            self.nodes.push(Node::Threads { options, tried: 1, sleep: self.sleep.clone() });
        }
        let Node::Threads { options, tried, sleep } = &self.nodes[self.at] else {
            panic!("the program is not deterministic: a choice of a thread where there was none before")
        };
        self.at += 1;
        let (before, here) = (&options[..*tried - 1], options[*tried - 1].0);
        self.sleep.clear();
        self.sleep.extend(sleep.iter().chain(before));
        here
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        if self.redundant {
            return 0;
        }
        if self.at == self.nodes.len() {
            self.nodes.push(Node::Alternatives { count: alternatives.count, chosen: 0 });
        }
        let Node::Alternatives { chosen, .. } = &self.nodes[self.at] else {
            panic!("the program is not deterministic: a choice of a value where there was none before")
        };
        self.at += 1;
        *chosen
    }

    fn observes(&self) -> bool {
        true
    }

    fn executed(&mut self, thread: ThreadId, op: &Op) {
        if self.sleep.is_empty() {
            return;
        }
        if matches!(op.kind, OpKind::Spawn | OpKind::Join | OpKind::Finish) {
            return;
        }
        let mut sleep = std::mem::take(&mut self.sleep);
        if sleep.iter().any(|(other, pending)| *other == thread && pending.verb == op.verb) {
            self.redundant = true;
        }
        sleep.retain(|(other, pending)| *other != thread && !self.dependent(pending, op));
        self.sleep = sleep;
    }
}

/// Explores one program.
pub struct Dfs<'a> {
    program: &'a (dyn Fn() + Sync),
    config: Config,
    limit: Limit<'a>,
}

impl<'a> Dfs<'a> {
    /// An explorer of the program; past the limit no further execution is begun.
    pub fn new(program: &'a (dyn Fn() + Sync), config: Config, limit: Limit<'a>) -> Self {
        Self { program, config, limit }
    }

    fn run(
        &self,
        task: Task<'_>,
        count_points: bool,
        visit: &mut dyn FnMut(&Visit<'_>) -> Go,
    ) -> Option<Explored> {
        let overlay = (!task.overlay.is_empty()).then(|| Arc::new(task.overlay.clone()));
        let config = Config { memory: task.memory, overlay, count_points, ..self.config.clone() };
        let mut runner = Runner::new(config);
        let weak = task.memory != MemoryModel::Sc;
        let mut path = Path { nodes: Vec::new(), at: 0, sleep: Vec::new(), redundant: false, weak };
        let mut seen = HashSet::new();
        let mut explored = Explored::default();
        let mut runs = 0u64;
        loop {
            let ended = runner.run(self.program, &mut path, Record::Trace);
            runs += 1;
            if ended.counts_observed && !count_points {
                return None;
            }
            if ended.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::StepLimit) {
                // A loop that spins: there is no end to its schedules.
                return Some(explored);
            }
            if !path.redundant {
                if ended.blocked {
                    explored.blocked += 1;
                } else if let Some(trace) = &ended.trace
                    && seen.insert(ended.class)
                {
                    explored.executions += 1;
                    if visit(&Visit { trace, failure: ended.failure.as_ref() }) == Go::Stop {
                        return Some(explored);
                    }
                }
            }
            let late = || runs.is_multiple_of(32) && self.limit.reached().is_some();
            if explored.executions >= task.budget || runs >= task.budget.saturating_mul(8) || late() {
                explored.complete = !path.advance();
                return Some(explored);
            }
            if !path.advance() {
                explored.complete = true;
                return Some(explored);
            }
        }
    }
}

impl Verifier for Dfs<'_> {
    fn explore(&mut self, task: Task<'_>, visit: &mut dyn FnMut(&Visit<'_>) -> Go) -> Explored {
        // A program that looks at a reference count shows itself in its first execution, or its first
        // in which it does: then all begins anew, and what was visited is visited again.
        match self.run(task, false, visit) {
            Some(explored) => explored,
            None => self.run(task, true, visit).unwrap_or_default(),
        }
    }
}
