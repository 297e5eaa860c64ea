//! The search against the definition, on every graph of programs that mix orderings and fences.

use super::{Addition, Node, Order, Part, is_acyclic, stays_acyclic};
use crate::explore::Explore;
use crate::graph::{Event, Graph, INIT, Id, Kind, NOWHERE};
use crate::model::rc11;
use crate::options::Options;
use crate::work_item::WorkItem;
use racefuzz_oracle::{Sharing, generate, litmus, observed};
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::{AtomicUsize, Ordering::*, fence};
use racefuzz_primitives::thread;
use racefuzz_runtime::{Record, Runner};
use racefuzz_trace::MemoryOrder;

/// Graphs of one program.
const MOST: usize = 500;

/// Graphs of the program, each no more than once.
fn explore(program: &dyn Fn(), look: &mut dyn FnMut(&Graph)) {
    let config = Options::default().fuzz().config(&Options::default().settings);
    let (mut explore, mut runner) = (Explore::new(config.memory), Runner::new(config));
    explore.later.push(WorkItem::root());
    for _ in 0..MOST {
        if !explore.load_next() {
            break;
        }
        runner.run(program, &mut explore, Record::Choices);
        look(&explore.graph);
        explore.seal();
    }
}

/// The first place in modification order at which an access that is last in its thread is coherent.
fn floor(graph: &Graph, event: &Event) -> usize {
    rc11::floor(graph, event.loc, &event.before)
}

/// Graphs of the program, and what becomes of it when the last reads of its threads read other
/// writes, as far as that is coherent.
fn graphs(program: &dyn Fn(), look: &mut dyn FnMut(&Graph)) {
    explore(program, &mut |graph| {
        let mut all = vec![graph.clone()];
        for read in graph.threads.iter().filter_map(|thread| thread.last().copied()) {
            if graph.event(read).kind != Kind::Read || !is_free(graph, read) {
                continue;
            }
            let loc = graph.event(read).loc;
            let mut without = graph.clone();
            without.locs[loc as usize].reads.retain(|other| *other != read);
            for mut other in std::mem::take(&mut all) {
                for place in floor(&without, graph.event(read))..=graph.loc(loc).mo.len() {
                    other.event_mut(read).rf = graph.write_at(loc, place);
                    all.push(other.clone());
                }
            }
        }
        all.iter().for_each(&mut *look);
    });
}

type Body = fn(&[AtomicUsize; 2]);

fn run(bodies: &[Body]) {
    let shared = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let threads: Vec<_> = bodies
        .iter()
        .map(|body| {
            let (body, shared) = (*body, Arc::clone(&shared));
            thread::spawn(move || body(&shared))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Store buffering and its like, by accesses, by fences, and by some of each; what is published; and
/// random ones.
fn programs() -> Vec<Box<dyn Fn()>> {
    let random = (0..200).map(generate);
    let others = litmus()
        .into_iter()
        .chain(random)
        .map(|program| -> Box<dyn Fn()> { Box::new(observed(&program, Sharing::Free, |_| {})) });
    let own: [Vec<Body>; 8] = [
        vec![|x| sb(x, 0, SeqCst, false), |x| sb(x, 1, SeqCst, false)],
        vec![|x| sb(x, 0, Relaxed, true), |x| sb(x, 1, Release, true)],
        vec![|x| sb(x, 0, SeqCst, true), |x| sb(x, 1, SeqCst, false)],
        vec![|x| rmw(x, 0), |x| rmw(x, 1)],
        vec![|x| sb(x, 0, SeqCst, true), |x| rmw(x, 1)],
        // Writes in the middle of modification order, and reads of them behind fences.
        vec![|x| writes(x, 0), |x| writes(x, 1), |x| reads(x, 0)],
        vec![|x| writes(x, 0), |x| reads(x, 1), |x| reads(x, 0)],
        vec![|x| fenced_reads(x, 0), |x| fenced_reads(x, 1), |x| x[0].store(7, SeqCst)],
    ];
    let own = own.into_iter().map(|bodies| -> Box<dyn Fn()> { Box::new(move || run(&bodies)) });
    own.chain(others).collect()
}

#[test]
fn the_search_finds_a_cycle_where_the_definition_has_one() {
    let (mut cyclic, mut acyclic) = (0, 0);
    for program in programs() {
        graphs(&program, &mut |graph| {
            let psc = rc11::psc_is_acyclic(graph);
            assert_eq!(is_acyclic(graph), psc, "{graph:?}");
            *if psc { &mut acyclic } else { &mut cyclic } += 1;
        });
    }
    assert!(cyclic > 1000 && acyclic > 1000, "{cyclic} cyclic, {acyclic} acyclic");
}

/// What came last in a thread, so that it can be put back in another way.
struct Last {
    /// The graph without it.
    rest: Graph,
    event: Event,
    /// Of a read-modify-write the write.
    write: Option<Event>,
    joins: Vec<Id>,
}

/// Whether an event accesses a location that is not ordered by itself.
fn is_free(graph: &Graph, id: Id) -> bool {
    let loc = graph.event(id).loc;
    loc != NOWHERE && !graph.loc(loc).ordered
}

fn takes_back(graph: &Graph, thread: usize) -> Option<Last> {
    let events = &graph.threads[thread];
    let last = *events.last()?;
    let is_rmw = graph.event(last).kind == Kind::Write && graph.event(last).rmw;
    let first = if is_rmw { events[events.len() - 2] } else { last };
    let gone = |id: Id| id == first || id == last;
    let used = graph.events.iter().any(|event| event.rf != INIT && gone(event.rf));
    if used || graph.joins.iter().any(|(_, join)| gone(*join)) || !is_free(graph, last) {
        return None;
    }
    if !graph
        .events
        .iter()
        .enumerate()
        .any(|(id, event)| event.loc == graph.event(last).loc && !gone(id as Id))
    {
        // The location would be gone, too.
        return None;
    }
    let (rest, numbers) = graph.restrict(Graph::default(), |id| !gone(id), [].iter(), None);
    let renumbered = |id: Id| {
        let mut event = graph.event(id).clone();
        event.loc = numbers.loc(event.loc);
        event.rf = if event.rf == INIT { INIT } else { numbers.event(event.rf) };
        event
    };
    let joins = graph.joins_of(first).map(|join| numbers.event(join)).collect();
    Some(Last { rest, event: renumbered(first), write: is_rmw.then(|| renumbered(last)), joins })
}

/// The graphs in which an event is put back, each with the event's place and what was added.
fn put_back(last: &Last) -> Vec<(Event, usize, Graph, Vec<Id>)> {
    let loc = last.event.loc;
    let free = |place: &usize| last.event.kind == Kind::Read && last.write.is_none() || !splits(last, *place);
    (floor(&last.rest, &last.event)..=last.rest.loc(loc).mo.len())
        .filter(free)
        .map(|place| {
            let mut graph = last.rest.clone();
            let mut event = last.event.clone();
            let mut added = Vec::new();
            if event.kind == Kind::Read {
                event.rf = graph.write_at(loc, place);
                added.push(graph.add(event.clone(), &last.joins));
            } else {
                added.push(graph.add_write(event.clone(), &last.joins, place + 1));
            }
            if let Some(write) = &last.write {
                let before = graph.hb(added[0]);
                added.push(graph.add_write(Event { before, ..write.clone() }, &[], place + 1));
            }
            (event, place, graph, added)
        })
        .collect()
}

/// Whether a write behind this place would part a read-modify-write from what it reads.
fn splits(last: &Last, place: usize) -> bool {
    last.rest.loc(last.event.loc).mo.get(place).is_some_and(|next| last.rest.event(*next).rmw)
}

/// Whether an event was newest when it was added, and nothing that was there has come to depend on it.
fn was_newest(graph: &Graph, id: Id) -> bool {
    let event = graph.event(id);
    let is_last = |write: Id| {
        let place = graph.place(event.loc, write);
        graph.loc(event.loc).mo[place..].iter().all(|newer| *newer > id)
    };
    match event.kind {
        Kind::Read => (event.rf == INIT || event.rf < id) && is_last(event.rf),
        Kind::Write => is_last(id) && graph.readers(event.loc, id).all(|read| read > id),
        Kind::Fence | Kind::Choice => true,
    }
}

/// The order of a graph, computed of a beginning of it and then grown, and by how many events.
fn grown(graph: &Graph) -> (Order, u32) {
    let newest = (0..graph.len()).rev().take_while(|id| was_newest(graph, *id)).count() as u32;
    let half = graph.len() - newest / 2;
    // Not between the two events of a read-modify-write.
    let splits = half < graph.len() && graph.event(half).rmw && graph.event(half).kind == Kind::Write;
    let half = half - u32::from(splits);
    let (beginning, _) = graph.restrict(Graph::default(), |id| id < half, [].iter(), None);
    let mut order = Order::default();
    order.grow(&beginning);
    for id in (0..half).filter(|id| beginning.event(*id).order == MemoryOrder::SeqCst) {
        order.search(&beginning, Node::new(id, Part::Event));
    }
    (order, graph.len() - half)
}

#[test]
fn what_is_added_is_admitted_where_the_definition_has_no_cycle() {
    let (mut cyclic, mut acyclic, mut middle, mut grew) = (0, 0, 0, 0);
    for program in programs() {
        explore(&program, &mut |graph| {
            for last in (0..graph.threads.len()).filter_map(|thread| takes_back(graph, thread)) {
                if !rc11::psc_is_acyclic(&last.rest) {
                    // With locks, what happens before what is known late.
                    continue;
                }
                // One order, asked about everything.
                let (mut order, events) = grown(&last.rest);
                grew += events;
                for (event, place, graph, added) in put_back(&last) {
                    let psc = rc11::psc_is_acyclic(&graph);
                    let writes = event.kind == Kind::Write || last.write.is_some();
                    let addition = Addition { event: &event, place, writes };
                    assert_eq!(order.admits(&last.rest, addition), psc, "{event:?} at {place} {graph:?}");
                    assert_eq!(stays_acyclic(&graph, &added), psc, "{event:?} at {place} {graph:?}");
                    *if psc { &mut acyclic } else { &mut cyclic } += 1;
                    middle += u32::from(psc && place < last.rest.loc(event.loc).mo.len());
                }
            }
        });
    }
    assert!(cyclic > 1000 && acyclic > 1000 && middle > 1000, "{cyclic}, {acyclic}, {middle}");
    assert!(grew > 1000, "{grew} events");
}

fn sb(x: &[AtomicUsize; 2], mine: usize, store: std::sync::atomic::Ordering, fenced: bool) {
    x[mine].store(1 + mine, store);
    if fenced {
        fence(SeqCst);
    }
    x[1 - mine].store(3 + mine, Relaxed);
    if fenced {
        fence(SeqCst);
    }
    x[mine].store(5 + mine, store);
    x[1 - mine].load(if store == SeqCst { SeqCst } else { Relaxed });
}

fn rmw(x: &[AtomicUsize; 2], mine: usize) {
    x[mine].fetch_add(1, SeqCst);
    fence(SeqCst);
    x[1 - mine].fetch_add(1, AcqRel);
    x[mine].load(Acquire);
}

fn writes(x: &[AtomicUsize; 2], mine: usize) {
    x[mine].store(1 + mine, Release);
    fence(SeqCst);
    x[1 - mine].store(3 + mine, SeqCst);
}

fn reads(x: &[AtomicUsize; 2], first: usize) {
    x[first].load(Acquire);
    fence(SeqCst);
    x[1 - first].fetch_add(5, SeqCst);
}

fn fenced_reads(x: &[AtomicUsize; 2], mine: usize) {
    x[mine].store(1 + mine, Relaxed);
    fence(SeqCst);
    x[1 - mine].load(Acquire);
    fence(SeqCst);
    x[mine].load(SeqCst);
}
