//! A second enumerator, which knows no axioms: it runs every interleaving on a memory with or without
//! store buffers and notes which graph each one makes.
//!
//! Without buffers that is sequential consistency. With them it is x86-TSO as Owens, Sarkar and Sewell
//! define the machine: a plain store enters the buffer of its thread and reaches memory later, in
//! order; a load takes the newest store to its location in the buffer of its own thread, else what
//! memory has; a locked instruction waits until the buffer is empty.

use crate::enumerate::{Counts, End, Graphs, end, final_state};
use crate::graph::{Graph, Key};
use crate::machine::{Code, Event, Next, State, compile};
use crate::program::Program;
use std::collections::{BTreeMap, HashSet, VecDeque};

#[derive(Clone)]
struct Machine {
    /// The events so far; its `mo` is the order in which stores reached memory.
    graph: Graph,
    states: Vec<State>,
    /// The stores that have not reached memory yet, oldest first.
    buffers: Vec<VecDeque<usize>>,
}

impl Machine {
    fn key(&self) -> (Key, Vec<usize>) {
        (self.graph.key(), self.buffers.iter().map(VecDeque::len).collect())
    }

    fn step(&self, thread: usize, event: Event, rf: Option<usize>, after: State, buffered: bool) -> Self {
        let mut machine = self.clone();
        let node = machine.graph.nodes.len();
        machine.states[thread] = after;
        if event.writes() && buffered && !event.locked {
            machine.graph.add(thread, event, rf, None);
            machine.buffers[thread].push_back(node);
        } else {
            let place = event.writes().then(|| machine.graph.mo[event.location].len());
            machine.graph.add(thread, event, rf, place);
        }
        machine
    }

    /// The store that a load of `thread` reads.
    fn visible(&self, thread: usize, location: usize) -> usize {
        let own = |&&node: &&usize| self.graph.nodes[node].event.location == location;
        let newest = self.graph.mo[location].last().expect("the initial write");
        *self.buffers[thread].iter().rev().find(own).unwrap_or(newest)
    }

    /// The machine after each thing that can happen next.
    fn successors(&self, codes: &[Code], buffered: bool) -> Vec<Self> {
        let mut successors = Vec::new();
        for (thread, code) in codes.iter().enumerate() {
            let state = &self.states[thread];
            let drained = self.buffers[thread].is_empty();
            match code.next(state) {
                Next::Done | Next::Stopped => {}
                Next::Act(event) if event.locked && !drained => {}
                Next::Act(event) => {
                    successors.push(self.step(thread, event, None, code.act(state), buffered))
                }
                Next::Read { locked: true, .. } if !drained => {}
                Next::Read { location, .. } => {
                    let rf = self.visible(thread, location);
                    if let Some((event, after)) = code.read(state, self.graph.nodes[rf].event.value) {
                        successors.push(self.step(thread, event, Some(rf), after, buffered));
                    }
                }
            }
            if !drained {
                let mut machine = self.clone();
                let node = machine.buffers[thread].pop_front().expect("not empty");
                machine.graph.mo[machine.graph.nodes[node].event.location].push(node);
                successors.push(machine);
            }
        }
        successors
    }
}

/// The graphs of all interleavings, with what they count and how they end.
fn run(program: &Program, buffered: bool, most: usize) -> Option<(Graphs, Counts)> {
    let codes = compile(program);
    let start = Machine {
        graph: Graph::new(program),
        states: codes.iter().map(Code::start).collect(),
        buffers: vec![VecDeque::new(); codes.len()],
    };
    let mut found = BTreeMap::new();
    let mut seen = HashSet::from([start.key()]);
    let mut work = vec![start];
    while let Some(machine) = work.pop() {
        let successors = machine.successors(&codes, buffered);
        if successors.is_empty() {
            let end = end(&codes, &machine.states, |location| machine.graph.last(location).event.value)
                .expect("a thread that can go on would have");
            let state = final_state(&machine.states, machine.graph.memory());
            found.insert((end as u8, machine.graph.key()), (end, state));
        }
        work.extend(successors.into_iter().filter(|successor| seen.insert(successor.key())));
        if seen.len() > most {
            return None;
        }
    }
    let mut counts = Counts::default();
    for (end, state) in found.values() {
        match end {
            End::Complete => {
                counts.complete += 1;
                counts.finals.insert(state.clone());
            }
            End::Blocked => counts.blocked += 1,
            End::Deadlock => counts.deadlocks += 1,
        }
    }
    Some((found.into_keys().collect(), counts))
}

/// What all interleavings on a machine with store buffers show: to be compared with
/// [`Model::Tso`](crate::Model). None if the machine has more than `most` states.
pub fn with_store_buffers(program: &Program, most: usize) -> Option<(Graphs, Counts)> {
    run(program, true, most)
}

/// What all interleavings on one memory show: to be compared with [`Model::Sc`](crate::Model). None if
/// the machine has more than `most` states.
pub fn on_one_memory(program: &Program, most: usize) -> Option<(Graphs, Counts)> {
    run(program, false, most)
}
