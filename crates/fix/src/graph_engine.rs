//! The graph engine as a verifier.

use crate::options::Limit;
use crate::verifier::{Explored, Go, Task, Verifier, Visit};
use racefuzz_check::Options;
use racefuzz_trace::{ReadsFrom, Trace};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Explores one program's execution graphs.
pub struct Graphs<'a> {
    program: &'a (dyn Fn() + Sync),
    options: Options,
    limit: Limit<'a>,
}

impl<'a> Graphs<'a> {
    /// An explorer of the program; past the limit no further execution is begun.
    pub fn new(program: &'a (dyn Fn() + Sync), options: Options, limit: Limit<'a>) -> Self {
        Self { program, options, limit }
    }
}

impl Verifier for Graphs<'_> {
    fn explore(&mut self, task: Task<'_>, visit: &mut dyn FnMut(&Visit<'_>) -> Go) -> Explored {
        let mut options = self.options.clone();
        options.settings.memory = task.memory;
        options.max_executions = Some(task.budget);
        options.overlay = (!task.overlay.is_empty()).then(|| Arc::new(task.overlay.clone()));
        // The engine begins anew when it learns something of the program: each class counts once.
        let mut seen = HashSet::new();
        let mut stopped = false;
        let counts = racefuzz_check::visit_watched(
            &options,
            self.program,
            &|| self.limit.looked_at().is_some(),
            &mut |visited| {
                if seen.insert(class(visited.trace)) {
                    stopped = visit(&Visit { trace: visited.trace, failure: visited.failure }) == Go::Stop;
                }
                !stopped && self.limit.reached().is_none()
            },
        );
        Explored {
            complete: counts.whole && !stopped,
            executions: seen.len() as u64,
            blocked: counts.blocked,
        }
    }
}

/// A number for what the threads did and whose stores they read: equal for executions of one class.
fn class(trace: &Trace) -> u64 {
    // An event is known by its thread and its place there.
    let mut places = vec![0u32; trace.threads.len()];
    let names: Vec<(u32, u32)> = trace
        .events
        .iter()
        .map(|event| {
            let place = &mut places[event.thread.index()];
            *place += 1;
            (event.thread.0, *place)
        })
        .collect();
    let mut threads: Vec<DefaultHasher> = vec![DefaultHasher::new(); trace.threads.len()];
    let mut objects: Vec<DefaultHasher> = vec![DefaultHasher::new(); trace.objects.len()];
    for (event, name) in trace.events.iter().zip(&names) {
        let from = match event.reads_from {
            Some(ReadsFrom::Step(step)) => names.get(step as usize).copied(),
            _ => None,
        };
        let what =
            (event.verb, trace.site(event.site), &event.read, &event.wrote, event.ok, from, &event.text);
        what.hash(&mut threads[event.thread.index()]);
        if let Some(object) = event.object
            && event.kind.writes()
        {
            (name, event.newer.is_some()).hash(&mut objects[object.index()]);
        }
    }
    let all = threads.iter().map(Hasher::finish).collect::<Vec<_>>();
    // Objects are numbered in the order of first use: only the sum is the same.
    let orders = objects.iter().fold(0u64, |sum, object| sum.wrapping_add(object.finish()));
    let mut class = DefaultHasher::new();
    (all, orders).hash(&mut class);
    class.finish()
}
