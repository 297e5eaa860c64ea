//! Readers that are kept out: `RwLock` lets a reader wait while a writer waits.
//!
//! Whether a lock that readers hold lets one more reader in while a writer waits is the lock's own
//! affair: std promises neither. A reader that is kept out for a while has done nothing that anybody
//! could tell from its having been scheduled later, so what the two policies have in common is
//! explored already: the only execution that keeping readers out adds is one that never goes on. It
//! ends in a state, which is a *prefix* of an execution in which readers are let in, where every
//! thread waits, each of them
//!
//! * as threads wait anyway (for a lock that is held, a message, another thread's end), or
//! * to read-lock an object that readers hold and that another thread waits to write-lock.
//!
//! Each state that a program can reach is a prefix of an execution that is explored, as whatever
//! happens next, the execution goes on to some end. So it is enough to look for such prefixes in
//! every execution explored, and no execution is added where there is none. A prefix holds with each
//! event all that is ordered before it (`ord`: program order, reads-from, the order of state words),
//! so it is what is left when some events, and all behind them, are taken away. Those taken away
//! first are read-locks that are kept out; one for each lock will do, as those of one lock are totally
//! ordered. Nor need others be tried than those that, in the execution at hand, found the lock held
//! by readers: right behind the prefix all readers that are kept out can be let in, one after the
//! other, and that execution is explored, too.
//!
//! Few read-locks come into question at all. A holder of the lock must be unable to go on, or the
//! writer would have its turn: it is the reader itself, or it has something to wait for before it
//! gives the lock back. Programs that hold no lock while they wait have none, and pay nothing.
//!
//! What is found is run, so that the runtime has the last word: it names the threads that wait.

use crate::graph::{Event, Graph, INIT, Id, Kind, NOWHERE, holds};
use racefuzz_trace::Verb;

/// Prefixes of an execution in which every thread may wait for ever, as graphs to be run.
pub(crate) fn prefixes(graph: &Graph) -> Vec<Graph> {
    let cuts = cuts(graph);
    let mut found = Vec::new();
    if !cuts.is_empty() {
        try_cuts(graph, &cuts, &mut Vec::new(), &mut found);
    }
    found
}

/// The read-locks that may be kept out: those that found the lock held by threads of which none can
/// be sure to give it back, and behind which somebody write-locks it.
fn cuts(graph: &Graph) -> Vec<Id> {
    let mut cuts = Vec::new();
    for (loc, entry) in graph.locs.iter().enumerate() {
        if !entry.ordered {
            continue;
        }
        let is = |id: &Id, verb: Verb| graph.event(*id).verb == verb;
        let Some(last_writer) = entry.mo.iter().rposition(|id| is(id, Verb::WriteLock)) else { continue };
        let mut holders: Vec<Id> = Vec::new();
        for id in &entry.mo[..last_writer] {
            let event = graph.event(*id);
            match event.verb {
                Verb::ReadLock => {
                    let read = graph.threads[event.thread as usize][event.po as usize - 1];
                    let stays = |holder: &Id| may_stay(graph, loc as u32, *holder, event.thread);
                    if !holders.is_empty() && holders.iter().all(stays) {
                        cuts.push(read);
                    }
                    holders.push(*id);
                }
                Verb::TryReadLock => holders.push(*id),
                Verb::ReadUnlock => {
                    // A guard may be dropped by another thread than the one that took it.
                    let own = holders.iter().position(|holder| graph.event(*holder).thread == event.thread);
                    let taken = own.or_else(|| holders.len().checked_sub(1));
                    taken.map(|taken| holders.remove(taken));
                }
                // A writer that becomes a reader.
                Verb::WriteUnlock if event.value != 0 => holders.push(*id),
                _ => {}
            }
        }
    }
    cuts
}

/// Whether a thread that holds a lock from `taken` on may be unable to go on before it gives it back:
/// it is the reader that is kept out, or may have to wait for something else.
fn may_stay(graph: &Graph, loc: u32, taken: Id, reader: u32) -> bool {
    let event = graph.event(taken);
    if event.thread == reader {
        return true;
    }
    for id in &graph.threads[event.thread as usize][event.po as usize + 1..] {
        let next = graph.event(*id);
        if may_wait(next.verb) || graph.joins_of(*id).next().is_some() {
            return true;
        }
        if next.loc == loc && next.verb == Verb::ReadUnlock {
            return false;
        }
    }
    // Not given back at all: it may wait at its end, for another thread's.
    true
}

/// Whether an operation may have to wait for something.
fn may_wait(verb: Verb) -> bool {
    use Verb::{Await, Lock, OnceBegin, OnceCheck, Park, Pass, Poll, ReadLock, Recv, Send, Woken, WriteLock};
    matches!(
        verb,
        Lock | ReadLock
            | WriteLock
            | Woken
            | Pass
            | OnceBegin
            | OnceCheck
            | Send
            | Recv
            | Park
            | Await
            | Poll
    )
}

/// Tries the read-locks in `taken` together with any of `cuts`, at most one for each lock.
fn try_cuts(graph: &Graph, cuts: &[Id], taken: &mut Vec<Id>, found: &mut Vec<Graph>) {
    for (at, cut) in cuts.iter().enumerate() {
        let loc = graph.event(*cut).loc;
        if taken.iter().any(|other| graph.event(*other).loc == loc) || !is_in(graph, taken, *cut) {
            continue;
        }
        taken.push(*cut);
        if all_wait(graph, taken) {
            found.push(prefix(graph, taken));
        }
        try_cuts(graph, &cuts[at + 1..], taken, found);
        taken.pop();
    }
}

/// Whether an event is in the prefix that is left when these are taken away.
fn is_in(graph: &Graph, taken: &[Id], id: Id) -> bool {
    let order = graph.run_order(graph.event(id));
    !taken.iter().any(|cut| holds(order, graph.event(*cut)))
}

/// Whether every thread seems to wait behind that prefix.
fn all_wait(graph: &Graph, taken: &[Id]) -> bool {
    let is_in = |id: Id| is_in(graph, taken, id);
    let next: Vec<Option<Id>> =
        graph.threads.iter().map(|events| events.iter().copied().find(|id| !is_in(*id))).collect();
    let word = |loc: u32| {
        let newest = graph.loc(loc).mo.iter().rev().copied().find(|write| is_in(*write));
        graph.word(loc, newest.unwrap_or(INIT))
    };
    let writer_waits = |loc: u32| {
        let waits = |event: &Event| event.loc == loc && event.verb == Verb::WriteLock;
        next.iter().flatten().any(|id| waits(graph.event(*id)))
    };
    next.iter().flatten().all(|id| {
        let event = graph.event(*id);
        let joins = graph.joins_of(*id).any(|join| !is_in(join));
        joins
            || event.kind == Kind::Read
                && event.loc != NOWHERE
                && match event.verb {
                    Verb::ReadLock => word(event.loc) != 0 && writer_waits(event.loc),
                    Verb::Lock | Verb::WriteLock => word(event.loc) != 0,
                    verb => may_wait(verb),
                }
    })
}

/// The prefix, as a graph in which whoever wants to read may be kept out.
fn prefix(graph: &Graph, taken: &[Id]) -> Graph {
    let (mut prefix, _) =
        graph.restrict(Graph::default(), |id| is_in(graph, taken, id), std::iter::empty(), None);
    prefix.reorder(None);
    prefix.kept_out = true;
    prefix
}
