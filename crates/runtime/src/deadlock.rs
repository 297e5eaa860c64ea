//! Executions that cannot go on: deadlocks, and programs that never end.

use crate::execution::{Execution, Phase};
use crate::failure::{Detected, identity};
use crate::graph::Standstill;
use crate::site::Site;
use crate::thread::{Condition, Thread, ThreadState};
use racefuzz_trace::{
    FailureDetail, FailureKind, ObjectId, ObjectKind, ThreadId, Verb, WaitEdge, normalize_path,
};
use smallvec::SmallVec;
use std::collections::HashSet;

/// A thread that waits, the threads it waits for, and where they took what they hold.
struct Edge {
    thread: u32,
    holders: SmallVec<[(u32, Option<Site>); 2]>,
}

/// No thread can run although some have not ended.
pub(crate) fn nobody_can_run(execution: &mut Execution) {
    execution.set_phase(Phase::TearDown);
    let standstill = standstill(execution);
    execution.outcome.discarded = standstill == Some(Standstill::Discarded);
    if standstill == Some(Standstill::Discarded)
        || execution.outcome.failure.is_some()
        || crate::panics::report_unhandled(execution)
    {
        return;
    }
    // One may wait for something that another execution has.
    let elsewhere = execution.outcome.blocked_at.is_some() || waits_for_a_time(execution);
    match standstill {
        Some(Standstill::Livelock(threads)) if !elsewhere => return livelock(execution, &threads),
        Some(Standstill::Stuck) if !elsewhere => {}
        Some(Standstill::Blocked(thread)) => {
            let site = execution.threads[thread as usize].pending.site;
            execution.outcome.blocked_at.get_or_insert(site);
            return;
        }
        Some(_) => {
            execution.outcome.blocked_at.get_or_insert(execution.threads[0].pending.site);
            return;
        }
        None => {}
    }
    keep_readers_out(execution);
    if execution.config.process {
        find_kept_out(execution);
    }
    let edges = edges(execution);
    let cycle = cycle(&edges);
    let sites = edges.iter().map(|edge| Some(execution.threads[edge.thread as usize].pending.site));
    let identity = identity(FailureKind::Deadlock, sites);
    let thread = cycle.first().copied().or_else(|| edges.first().map(|edge| edge.thread)).unwrap_or(0);
    let message = describe(execution, &edges, &cycle);
    let detail = detail(execution, &edges, &cycle);
    execution.outcome.failure = Some(Detected {
        kind: FailureKind::Deadlock,
        message,
        thread: ThreadId(thread),
        step: execution.schedule.steps,
        identity,
        detail,
    });
}

/// Readers that could go on wait, if an explorer that keeps the memory has decided so.
fn keep_readers_out(execution: &mut Execution) {
    for index in 0..execution.schedule.thread_count {
        let thread = &mut execution.threads[index];
        let reads = thread.state == ThreadState::Live && thread.pending.op.verb == Verb::ReadLock;
        if let (true, false, Condition::Word { object, test }) =
            (reads, thread.waiting.blocked, thread.pending.condition)
        {
            thread.waiting.blocked = true;
            thread.pending.condition = Condition::KeptOut { object, test };
            let writer = execution.waiting_writer(index as u32, object);
            execution.threads[index].waiting.blocked_at.get_or_insert((execution.schedule.steps, writer));
        }
    }
}

/// Readers of a process's own locks that wait where a writer does, too: a lock that somebody has for writing is waited
/// for by that writer as well.
fn find_kept_out(execution: &mut Execution) {
    for index in 0..execution.schedule.thread_count {
        let thread = &execution.threads[index];
        let Condition::Word { object, test } = thread.pending.condition else { continue };
        let waits = thread.state == ThreadState::Live && thread.waiting.blocked;
        if waits
            && thread.pending.op.verb == Verb::ReadLock
            && execution.waiting_writer(index as u32, object).is_some()
        {
            execution.threads[index].pending.condition = Condition::KeptOut { object, test };
        }
    }
}

/// How the execution stands, where an explorer keeps the memory.
fn standstill(execution: &Execution) -> Option<Standstill> {
    // SAFETY: see `Execution::event`.
    execution.driver.memory.map(|memory| unsafe { (*memory).standstill(&execution.standing()) })
}

fn livelock(execution: &mut Execution, threads: &[u32]) {
    let spinning: Vec<ThreadId> = threads.iter().copied().map(ThreadId).collect();
    execution.outcome.blocked_at = None;
    execution.outcome.failure = Some(Detected {
        kind: FailureKind::StepLimit,
        message: "a thread spins for ever: nobody is left to change what it reads".to_owned(),
        thread: spinning.first().copied().unwrap_or(ThreadId::ROOT),
        step: execution.schedule.steps,
        identity: identity(FailureKind::StepLimit, []),
        detail: execution.recorder.is_some().then_some(FailureDetail::StepLimit { spinning }),
    });
}

/// Whether some thread waits for a limited time: that this is up is another execution.
fn waits_for_a_time(execution: &Execution) -> bool {
    execution.threads[..execution.schedule.thread_count]
        .iter()
        .any(|thread| thread.state == ThreadState::Live && thread.waiting.blocked && thread.enumerated.timed)
}

fn edges(execution: &Execution) -> Vec<Edge> {
    let live = execution.threads[..execution.schedule.thread_count]
        .iter()
        .enumerate()
        .filter(|(_, thread)| thread.state == ThreadState::Live && thread.waiting.blocked);
    let several = execution.schedule.unfinished > 1;
    let live = live.filter(|(index, _)| *index > 0 || !(execution.config.harness && several));
    live.filter_map(|(index, thread)| {
        let holders = match thread.pending.condition {
            Condition::Word { object, .. } => execution.objects[object as usize]
                .holders
                .iter()
                .map(|(holder, site)| (*holder, Some(*site)))
                .collect(),
            Condition::KeptOut { object, .. } => execution
                .waiting_writer(index as u32, object)
                .map(|writer| (writer, None))
                .into_iter()
                .collect(),
            Condition::Finished(target) => SmallVec::from_iter([(target, None)]),
            // The root waits for everybody; that is no edge of its own making.
            Condition::AllFinished => return None,
            _ => SmallVec::new(),
        };
        Some(Edge { thread: index as u32, holders })
    })
    .collect()
}

/// A cycle of threads each of which waits for the next, starting at the lowest.
fn cycle(edges: &[Edge]) -> Vec<u32> {
    let mut done = HashSet::new();
    for start in edges {
        // The way here, and for each thread on it the number of holders looked at.
        let mut path: Vec<(&Edge, usize)> = vec![(start, 0)];
        while let Some((at, looked)) = path.last_mut() {
            let Some((holder, _)) = at.holders.get(*looked) else {
                done.insert(at.thread);
                path.pop();
                continue;
            };
            *looked += 1;
            if let Some(place) = path.iter().position(|(edge, _)| edge.thread == *holder) {
                let mut cycle: Vec<u32> = path[place..].iter().map(|(edge, _)| edge.thread).collect();
                let lowest = (0..cycle.len()).min_by_key(|place| cycle[*place]).unwrap_or(0);
                cycle.rotate_left(lowest);
                return cycle;
            }
            // Edges are in the order of their threads.
            if let Ok(next) = edges.binary_search_by_key(holder, |edge| edge.thread)
                && !done.contains(holder)
            {
                path.push((&edges[next], 0));
            }
        }
    }
    Vec::new()
}

/// What people call a thread.
pub(crate) fn name_of(execution: &Execution, thread: u32) -> String {
    match (&execution.threads[thread as usize].origin.name, thread) {
        (Some(name), _) => name.clone(),
        (None, 0) => "main".to_owned(),
        (None, _) => format!("thread {thread}"),
    }
}

fn describe(execution: &Execution, edges: &[Edge], cycle: &[u32]) -> String {
    let name = |thread: u32| name_of(execution, thread);
    let mut parts = Vec::new();
    for edge in edges {
        if !cycle.is_empty() && !cycle.contains(&edge.thread) {
            continue;
        }
        let thread = &execution.threads[edge.thread as usize];
        let what = match thread.pending.condition {
            Condition::Word { object, .. } | Condition::KeptOut { object, .. } => {
                wish(thread.pending.op.verb, execution.objects[object as usize].kind)
            }
            Condition::Finished(target) => format!("waits to join {}", name(target)),
            _ => wish(thread.pending.op.verb, ObjectKind::Thread),
        };
        let held = match edge.holders.first() {
            Some((holder, Some(_))) if *holder == edge.thread => ", which it holds itself".to_owned(),
            Some((writer, None)) if matches!(thread.pending.condition, Condition::KeptOut { .. }) => {
                format!(", kept out by {}, which waits to write", name(*writer))
            }
            Some((holder, Some(_))) => {
                let gone = gone(&execution.threads[*holder as usize]);
                let held = if thread.pending.op.verb == Verb::OnceBegin { "begun" } else { "held" };
                format!(", {held} by {}{gone}", name(*holder))
            }
            _ => String::new(),
        };
        parts.push(format!("{} {what}{held}", name(edge.thread)));
    }
    match parts.is_empty() {
        true => "no thread can go on".to_owned(),
        false => parts.join("; "),
    }
}

/// What a thread does that cannot go on, in words.
fn wish(verb: Verb, kind: ObjectKind) -> String {
    let object = kind.word();
    match verb {
        Verb::Wait | Verb::Woken if kind == ObjectKind::Condvar => {
            "waits to be notified on a condvar".to_owned()
        }
        Verb::Wait if kind == ObjectKind::Channel => "waits for events of descriptors".to_owned(),
        Verb::Wait | Verb::Woken => format!("waits to be woken on a {object}"),
        Verb::Await => "waits to be woken".to_owned(),
        Verb::Poll => "waits for a task to be woken".to_owned(),
        Verb::Park => "is parked, and waits to be unparked".to_owned(),
        Verb::Arrive | Verb::Pass => "waits at a barrier for others to arrive".to_owned(),
        Verb::OnceBegin | Verb::OnceEnd | Verb::OnceCheck => "waits for an initialisation to end".to_owned(),
        Verb::Send => format!("waits to send to a {object}"),
        Verb::Recv => format!("waits to receive from a {object}"),
        Verb::Join => "waits for the threads of its scope to end".to_owned(),
        Verb::Sleep => "sleeps".to_owned(),
        verb => format!("waits to {} a {object}", verb.word()),
    }
}

/// How a thread that will never run again ended, for whoever waits for what it holds.
fn gone(thread: &Thread) -> &'static str {
    match thread.state {
        ThreadState::Finished if thread.panics.panicked.is_some() => ", which panicked",
        ThreadState::Finished => ", which has ended",
        ThreadState::Killed => ", which was killed",
        ThreadState::Stopped | ThreadState::Live => "",
    }
}

fn detail(execution: &mut Execution, edges: &[Edge], cycle: &[u32]) -> Option<FailureDetail> {
    let recorder = execution.recorder.as_mut()?;
    let waiting = edges
        .iter()
        .map(|edge| {
            let pending = &execution.threads[edge.thread as usize].pending;
            let object = match pending.condition {
                Condition::Word { object, .. } | Condition::KeptOut { object, .. } => Some(ObjectId(object)),
                _ => None,
            };
            let holders = edge
                .holders
                .iter()
                .map(|(holder, site)| (ThreadId(*holder), site.map(|site| recorder.site(site))))
                .collect();
            WaitEdge {
                thread: ThreadId(edge.thread),
                verb: pending.op.verb,
                object,
                site: recorder.site(pending.site),
                holders,
            }
        })
        .collect();
    Some(FailureDetail::Deadlock { waiting, cycle: cycle.iter().copied().map(ThreadId).collect() })
}

/// Where the threads of a process are that has not ended: so long an execution is not repeated to be shown.
fn whereabouts(execution: &Execution) -> String {
    /// More threads than this are not told of.
    const MOST: usize = 4;
    if !execution.config.process {
        return String::new();
    }
    let roots: Vec<&str> = execution.config.roots.iter().map(String::as_str).collect();
    let live = execution.threads[..execution.schedule.thread_count]
        .iter()
        .enumerate()
        .filter(|(index, thread)| {
            thread.state == ThreadState::Live && !(*index == 0 && execution.config.harness)
        })
        .take(MOST);
    let told: Vec<String> = live
        .map(|(index, thread)| {
            let place = thread.pending.site.location();
            let does = match (thread.waiting.blocked, thread.pending.condition) {
                (false, _) => "runs".to_owned(),
                (true, Condition::Word { object, .. } | Condition::KeptOut { object, .. }) => {
                    wish(thread.pending.op.verb, execution.objects[object as usize].kind)
                }
                (true, Condition::Finished(target)) => {
                    format!("waits to join {}", name_of(execution, target))
                }
                (true, _) => wish(thread.pending.op.verb, ObjectKind::Thread),
            };
            let (name, file) = (name_of(execution, index as u32), normalize_path(place.file(), &roots));
            format!("{name} {does} at {file}:{}", place.line())
        })
        .collect();
    if told.is_empty() { String::new() } else { format!(": {}", told.join("; ")) }
}

/// The execution has taken as many steps as it may.
pub(crate) fn step_limit(execution: &mut Execution) {
    execution.set_phase(Phase::TearDown);
    if execution.outcome.failure.is_some() || crate::panics::report_unhandled(execution) {
        return;
    }
    if execution.schedule.steps < execution.config.max_steps {
        execution.outcome.stopped = true;
        return;
    }
    let spinning: Vec<ThreadId> = execution.schedule.enabled.clone();
    let sites = spinning.iter().map(|thread| Some(execution.threads[thread.index()].pending.site));
    // Where a spinning thread stands when the limit strikes is chance; that it spins is not.
    let identity = identity(FailureKind::StepLimit, sites.take(0));
    execution.outcome.failure = Some(Detected {
        kind: FailureKind::StepLimit,
        message: format!(
            "the execution did not end within {} steps{}",
            execution.config.max_steps,
            whereabouts(execution)
        ),
        thread: spinning.first().copied().unwrap_or(ThreadId::ROOT),
        step: execution.schedule.steps,
        identity,
        detail: execution.recorder.is_some().then_some(FailureDetail::StepLimit { spinning }),
    });
}
