//! Executes some graphs again, and notes what racefuzz cannot see: see `racefuzz_fuzz::compare`.

use crate::graph::Graph;
use crate::unit::{Done, Worker};
use racefuzz_fuzz::{Difference, Executed, Order, compare, is_sampled};
use racefuzz_runtime::{Detected, Ended, Record};
use racefuzz_trace::Trace;

/// Which executions of a worker are executed again.
#[derive(Default)]
pub(crate) struct Rechecks {
    /// Complete executions so far.
    executions: u64,
    /// The last one was executed again.
    is_last_done: bool,
}

impl Rechecks {
    /// How the next execution is to be recorded: one of the sample has to be known in full.
    pub(crate) fn record(&self) -> Record {
        if is_sampled(self.executions) { Record::Trace } else { Record::Choices }
    }
}

/// A failure that a graph does not repeat, with the execution that shows it.
pub(crate) struct Unrepeatable {
    pub(crate) detected: Detected,
    pub(crate) trace: Trace,
    /// Executions of the unit before it.
    pub(crate) before: u64,
}

impl Rechecks {
    /// The runner has executed something else since the last execution, so that its log is not that one's.
    pub(crate) fn forget_last(&mut self) {
        self.is_last_done = true;
    }

    /// Counts a complete execution that passed; whether it is to be executed again.
    pub(crate) fn counts(&mut self) -> bool {
        let index = self.executions;
        self.executions += 1;
        self.is_last_done = is_sampled(index);
        self.is_last_done
    }
}

impl Worker {
    /// Executes the graph of an execution again: one of the sample, or one in which something acted
    /// that racefuzz does not see.
    pub(crate) fn recheck(
        &mut self,
        program: &dyn Fn(),
        graph: Graph,
        ended: &Ended,
        first: &Executed,
        done: &mut Done,
    ) {
        match ended.failure.as_ref().filter(|_| ended.unseen) {
            Some(detected) => self.show_unseen(program, graph, detected.clone(), done),
            None => self.execute_twice(program, &graph, first, done),
        }
    }

    /// Executes the last graph of a unit again.
    pub(crate) fn recheck_last(&mut self, program: &dyn Fn(), last: Option<&Ended>, done: &mut Done) {
        let Some(ended) = last.filter(|_| !std::mem::replace(&mut self.rechecks.is_last_done, true)) else {
            return;
        };
        if let Some(graph) = self.last_graph().cloned() {
            let first = Executed::new(ended, self.runner.log());
            self.execute_twice(program, &graph, &first, done);
        }
    }

    fn execute_twice(&mut self, program: &dyn Fn(), graph: &Graph, first: &Executed, done: &mut Done) {
        let mut again = || {
            let ended = self.repeat(program, graph.clone());
            (Executed::new(&ended, self.runner.log()), ended)
        };
        let (second, ended) = again();
        if ended.stopped {
            done.stopped = true;
            return;
        }
        if ended.blocked && !ended.unseen {
            // A loop that waited for a write finds it at once now, or waits where it did not.
            return;
        }
        let detected = if ended.unseen {
            ended.failure
        } else {
            match compare(first, &second, Order::ByThread, || again().0) {
                None => None,
                Some(Difference::Value(text)) => {
                    done.values.get_or_insert(text);
                    None
                }
                Some(Difference::Events(detected)) => Some(*detected),
            }
        };
        if let Some(detected) = detected {
            let trace = ended.trace.unwrap_or_else(|| unreachable!("it was recorded"));
            let before = done.executions.saturating_sub(1);
            done.unrepeatable = Some(Box::new(Unrepeatable { detected, trace, before }));
        }
    }

    /// Something that racefuzz cannot see acted in an execution: shows it, if possible in one more
    /// execution of the graph.
    fn show_unseen(&mut self, program: &dyn Fn(), graph: Graph, detected: Detected, done: &mut Done) {
        let hurry = |worker: &Self, hurry| worker.pulse.iter().for_each(|pulse| pulse.set_hurry(hurry));
        hurry(self, true);
        let again = self.repeat(program, graph);
        hurry(self, false);
        let detected = again.failure.filter(|_| again.unseen).unwrap_or(detected);
        let trace = again.trace.unwrap_or_else(|| unreachable!("it was recorded"));
        let before = done.executions;
        done.unrepeatable = Some(Box::new(Unrepeatable { detected, trace, before }));
    }
}
