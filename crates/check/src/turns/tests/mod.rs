//! What the exploration of schedules is held against: how many preemptions each graph of a program needs, of
//! all graphs that are explored without a bound.

mod schedules;

use crate::explore::Explore;
use crate::graph::Graph;
use crate::options::Options;
use crate::turns::{Digest, Places, Turns};
use crate::work_item::WorkItem;
use racefuzz_oracle::{Sharing, generate, litmus, observed};
use racefuzz_runtime::{Record, Runner};
use racefuzz_trace::MemoryModel;
use schedules::Schedules;
use std::collections::BTreeSet;

/// Graphs after which a program is too large to be compared.
const MOST_GRAPHS: usize = 300;

/// Explores a program, and shows each complete graph, once; false if there are too many.
fn explored(
    program: &dyn Fn(),
    memory: MemoryModel,
    most: Option<u32>,
    show: &mut dyn FnMut(&Graph),
) -> bool {
    let mut config = Options::default().fuzz().config(&Options::default().settings);
    config.memory = memory;
    let mut runner = Runner::new(config);
    let mut places = Places::default();
    'anew: loop {
        let mut explore = Explore::new(memory);
        explore.turns = most.map(|most| Turns::new(most, places.clone()));
        explore.later.push(WorkItem::root());
        let mut graphs = Vec::new();
        while explore.load_next() {
            let ended = runner.run(program, &mut explore, Record::Choices);
            let spins = explore.is_trying() || explore.take_learned(false).is_some();
            if spins || graphs.len() > MOST_GRAPHS {
                return false;
            }
            if let Some(new) = explore.learn_places() {
                places.learn(&new);
                continue 'anew;
            }
            if explore.met_again() || !explore.is_consistent() {
                if !explore.met_again() {
                    explore.forget();
                }
            } else if !explore.is_counted() && ended.failure.is_none() {
                // Of one that ends in a deadlock the graph does not tell what its threads wait for.
                graphs.push(explore.graph.clone());
            }
            explore.seal();
        }
        graphs.iter().for_each(show);
        return true;
    }
}

#[test]
fn the_graphs_within_a_bound_are_those_that_have_such_a_schedule() {
    let (mut compared, mut seen, mut left_out) = (0, 0, 0);
    for program in litmus().into_iter().chain((0..150).map(generate)) {
        for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
            let run = observed(&program, Sharing::Free, |_| {});
            for most in 0..3 {
                let (mut expected, mut found) = (BTreeSet::new(), BTreeSet::new());
                let is_whole = explored(&run, memory, None, &mut |graph| {
                    if Schedules::of(graph).has_one_within(most) {
                        assert!(expected.insert(Digest::default().of_whole(graph)));
                    } else {
                        left_out += 1;
                    }
                });
                let is_whole = is_whole
                    && explored(&run, memory, Some(most), &mut |graph| {
                        assert!(found.insert(Digest::default().of_whole(graph)));
                    });
                if !is_whole {
                    continue;
                }
                assert_eq!(found, expected, "{memory}, {most} preemptions: {program}");
                compared += 1;
                seen += found.len();
            }
        }
    }
    assert!(compared > 1000 && left_out > 5_000, "{compared} compared, {seen} seen, {left_out} left out");
}
