//! Work and span: what would run at once if every thread had a processor of its own.
//!
//! A step takes one unit of time, everything else none. A step waits for the one before it in its
//! thread, and for what others must do first: end, give a lock back, notify, send. That a variable was
//! written before makes nobody wait.

use crate::steps::{before_oracles, is_step};
use racefuzz_trace::{Event, ObjectId, OpKind, Parallelism, Trace, Verb};
use std::collections::HashMap;

/// The steps of an execution, and the longest chain of them.
pub fn work_and_span(trace: &Trace) -> (u64, u64) {
    let mut thread_time = vec![0u64; trace.threads.len()];
    let mut token_time = vec![0u64; trace.threads.len()];
    // When each object was last given back, or told something: by those who exclude all, by all.
    let mut given: HashMap<ObjectId, (u64, u64)> = HashMap::new();
    let mut work = 0;
    for event in before_oracles(trace) {
        let me = event.thread.index();
        let mut time = thread_time[me];
        match event.kind {
            OpKind::Join => {
                if let Some(target) = event.other {
                    time = time.max(thread_time[target.index()]);
                }
            }
            OpKind::Spawn => {
                if let Some(child) = event.other {
                    thread_time[child.index()] = time;
                }
            }
            _ => {}
        }
        if event.verb == Verb::Park {
            time = time.max(token_time[me]);
        }
        if let Some(object) = event.object {
            let (exclusive, all) = given.get(&object).copied().unwrap_or_default();
            time = match waits(event) {
                Waits::All => time.max(all),
                Waits::Writers => time.max(exclusive),
                Waits::Nobody => time,
            };
        }
        if is_step(trace, event) {
            work += 1;
            time += 1;
        }
        thread_time[me] = time;
        if event.verb == Verb::Unpark
            && let Some(target) = event.other
        {
            token_time[target.index()] = token_time[target.index()].max(time);
        }
        if let Some(object) = event.object
            && tells(event)
        {
            let (exclusive, all) = given.entry(object).or_default();
            *all = (*all).max(time);
            if event.verb != Verb::ReadUnlock {
                *exclusive = (*exclusive).max(time);
            }
        }
    }
    (work, thread_time.into_iter().max().unwrap_or(0))
}

/// For whom an event waits.
enum Waits {
    All,
    Writers,
    Nobody,
}

fn waits(event: &Event) -> Waits {
    use Verb::{Await, Lock, OnceBegin, OnceCheck, Pass, Poll, ReadLock, Recv, Woken, WriteLock};
    match event.verb {
        Lock | WriteLock | Woken | Pass | OnceBegin | OnceCheck | Recv | Poll | Await => Waits::All,
        ReadLock => Waits::Writers,
        _ => Waits::Nobody,
    }
}

/// Whether others wait for this event.
fn tells(event: &Event) -> bool {
    use Verb::{Arrive, DropSender, NotifyAll, NotifyOne, OnceEnd, Send, TrySend, Wake};
    event.verb.gives_lock()
        || matches!(event.verb, Arrive | DropSender | NotifyAll | NotifyOne | OnceEnd | Send | TrySend | Wake)
}

/// The parallelism over many orders of grants.
#[derive(Debug, Default)]
pub struct Spans {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    work: u64,
    span: u64,
}

impl Spans {
    /// Adds an execution.
    pub fn add(&mut self, trace: &Trace) {
        let (work, span) = work_and_span(trace);
        if span == 0 {
            return;
        }
        let parallelism = work as f64 / span as f64;
        if self.count == 0 || parallelism < self.min {
            self.min = parallelism;
        }
        if self.count == 0 || parallelism > self.max {
            self.max = parallelism;
            (self.work, self.span) = (work, span);
        }
        self.sum += parallelism;
        self.count += 1;
    }

    /// The parallelism, if any execution had steps.
    pub fn parallelism(&self) -> Option<Parallelism> {
        (self.count > 0).then(|| Parallelism {
            work: self.work,
            span: self.span,
            min: self.min,
            mean: self.sum / self.count as f64,
            max: self.max,
        })
    }
}
