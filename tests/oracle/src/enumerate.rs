//! The enumerator: every graph of a program that a model allows, once.
//!
//! Graphs are built event by event along po ∪ rf: a read takes each write there is, a write each
//! place in modification order, and what the model forbids is dropped. That alone would build a
//! graph once for each order of its events. So only one order is followed, the one in which the
//! lowest thread that can go on always does: if a thread steps while a lower one stands at a read,
//! that read must not have been possible yet, so it reads a write that is added now or later.
//! ([`in_any_order`] does without this and drops duplicates instead; tests compare the two.)

use crate::axioms::{Model, consistent};
use crate::graph::{Graph, Key};
use crate::machine::{Code, Next, State, Waits, compile};
use crate::program::Program;
use std::collections::{BTreeSet, HashSet};

/// What the enumerator found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Graphs in which every thread ran to its end.
    pub complete: u64,
    /// Graphs in which no thread can go on and some stand at a false `assume` or wait for a value
    /// that does not come. (A thread at an `await` goes on at the latest when the newest store of its
    /// location has the value.)
    pub blocked: u64,
    /// Graphs in which no thread can go on and all that are left wait for locks.
    pub deadlocks: u64,
    /// The final states of the complete graphs: the registers of all threads, then the locations, as
    /// [`Program::state_names`] lists them.
    pub finals: BTreeSet<Vec<i64>>,
}

/// How a graph ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum End {
    Complete,
    Blocked,
    Deadlock,
}

/// How a graph ends whose threads are in these states; none if one of them can go on.
pub(crate) fn end(codes: &[Code], states: &[State], newest: impl Fn(usize) -> i64) -> Option<End> {
    let mut end = End::Complete;
    for (code, state) in codes.iter().zip(states) {
        end = match (code.next(state), end) {
            (Next::Done, end) => end,
            (Next::Stopped, _) => End::Blocked,
            (Next::Act(_) | Next::Read { waits: Waits::Never, .. }, _) => return None,
            (Next::Read { location, .. }, _) if code.read(state, newest(location)).is_some() => return None,
            (Next::Read { waits: Waits::Lock, .. }, End::Complete | End::Deadlock) => End::Deadlock,
            (Next::Read { .. }, _) => End::Blocked,
        };
    }
    Some(end)
}

struct Search<'a, F> {
    codes: &'a [Code],
    model: Model,
    /// Graphs, complete or not, that it may still visit.
    left: u64,
    found: F,
}

impl<F: FnMut(End, &Graph, &[State])> Search<'_, F> {
    /// The graphs that `graph` can be extended to; `floors` holds for each thread the first node that
    /// its pending read may read from.
    fn visit(&mut self, graph: &Graph, states: &[State], floors: &[usize]) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        if let Some(end) = end(self.codes, states, |location| graph.last(location).event.value) {
            (self.found)(end, graph, states);
        }
        let mut floors = floors.to_vec();
        for thread in 0..states.len() {
            let floor = std::mem::take(&mut floors[thread]);
            extend(self.codes, graph, states, thread, floor, &mut |graph, states| {
                if consistent(graph, self.model) {
                    self.visit(graph, states, &floors);
                }
            });
            match self.codes[thread].next(&states[thread]) {
                Next::Done | Next::Stopped => {}
                Next::Act(_) => return,
                Next::Read { .. } => floors[thread] = graph.nodes.len(),
            }
        }
    }
}

/// Every way in which `thread` can go on by one event that reads from node `floor` or a later one.
fn extend(
    codes: &[Code],
    graph: &Graph,
    states: &[State],
    thread: usize,
    floor: usize,
    then: &mut dyn FnMut(&Graph, &[State]),
) {
    let code = &codes[thread];
    let mut go = |event: crate::machine::Event, rf: Option<usize>, after: State| {
        let mut states = states.to_vec();
        states[thread] = after;
        let places = if event.writes() { 1..graph.mo[event.location].len() + 1 } else { 0..1 };
        for place in places {
            let mut graph = graph.clone();
            graph.add(thread, event, rf, event.writes().then_some(place));
            then(&graph, &states);
        }
    };
    match code.next(&states[thread]) {
        Next::Done | Next::Stopped => {}
        Next::Act(event) => go(event, None, code.act(&states[thread])),
        Next::Read { location, .. } => {
            for &write in graph.mo[location].iter().filter(|&&write| write >= floor) {
                if let Some((event, after)) = code.read(&states[thread], graph.nodes[write].event.value) {
                    go(event, Some(write), after);
                }
            }
        }
    }
}

pub(crate) fn final_state(states: &[State], memory: impl Iterator<Item = i64>) -> Vec<i64> {
    states.iter().flat_map(|state| state.registers.iter().copied()).chain(memory).collect()
}

/// Whether it visits no more than so many graphs, complete or not.
fn search(program: &Program, model: Model, most: u64, found: impl FnMut(End, &Graph, &[State])) -> bool {
    let codes = compile(program);
    let states: Vec<State> = codes.iter().map(Code::start).collect();
    let floors = vec![0; states.len()];
    let mut search = Search { codes: &codes, model, left: most, found };
    search.visit(&Graph::new(program), &states, &floors);
    search.left > 0
}

/// Counts the graphs of a program under a model.
///
/// # Panics
///
/// If a graph has more than 64 events.
pub fn enumerate(program: &Program, model: Model) -> Counts {
    enumerate_within(program, model, u64::MAX).expect("there are fewer")
}

/// The same, unless more than `most` graphs are met, complete or not.
///
/// # Panics
///
/// If a graph has more than 64 events.
pub fn enumerate_within(program: &Program, model: Model, most: u64) -> Option<Counts> {
    let mut counts = Counts::default();
    let is_all = search(program, model, most, |end, graph, states| match end {
        End::Complete => {
            counts.complete += 1;
            counts.finals.insert(final_state(states, graph.memory()));
        }
        End::Blocked => counts.blocked += 1,
        End::Deadlock => counts.deadlocks += 1,
    });
    is_all.then_some(counts)
}

/// A program's graphs, each as something that equals it only.
pub type Graphs = BTreeSet<(u8, Vec<u32>)>;

/// The graphs themselves, to compare enumerators by more than their counts.
///
/// # Panics
///
/// If a graph is found twice, or has more than 64 events.
pub fn graphs(program: &Program, model: Model) -> Graphs {
    let mut graphs = Graphs::new();
    search(program, model, u64::MAX, |end, graph, _| {
        assert!(graphs.insert((end as u8, graph.key())), "a graph was found twice");
    });
    graphs
}

/// The same, building the graphs in every order of their events. None if there are more than `most`
/// on the way.
pub fn in_any_order(program: &Program, model: Model, most: usize) -> Option<Graphs> {
    let codes = compile(program);
    let mut graphs = Graphs::new();
    let mut seen: HashSet<Key> = HashSet::new();
    let mut work = vec![(Graph::new(program), codes.iter().map(Code::start).collect::<Vec<State>>())];
    while let Some((graph, states)) = work.pop() {
        if let Some(end) = end(&codes, &states, |location| graph.last(location).event.value) {
            graphs.insert((end as u8, graph.key()));
        }
        for thread in 0..states.len() {
            extend(&codes, &graph, &states, thread, 0, &mut |graph, states| {
                if consistent(graph, model) && seen.insert(graph.key()) {
                    work.push((graph.clone(), states.to_vec()));
                }
            });
        }
        if seen.len() > most {
            return None;
        }
    }
    Some(graphs)
}
