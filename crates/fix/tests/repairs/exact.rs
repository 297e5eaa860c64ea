//! What is explored for a load and a store as one read-modify-write is the program that has the
//! read-modify-write, no more and no less.

use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{AtomicUsize, Ordering::*};
use racefuzz::thread;
use racefuzz_fix::{Edit, Go, Graphs, Limit, Overlay, Task, Verifier};
use racefuzz_trace::{Change, MemoryModel, MemoryOrder, OpKind, Site};
use std::collections::BTreeMap;

/// How often each outcome was seen, and the places of loads with the store behind them.
fn explored(program: fn(), overlay: &Overlay) -> (BTreeMap<String, u32>, Option<(Site, Site)>) {
    let mut outcomes = BTreeMap::new();
    let mut pair = None;
    let task = Task { overlay, memory: MemoryModel::Rc11, budget: 100_000 };
    let explored = Graphs::new(&program, racefuzz_check::Options::default(), Limit::default()).explore(
        task,
        &mut |visit| {
            let message = visit.failure.map_or("passes", |failure| &failure.message);
            *outcomes.entry(message.to_owned()).or_default() += 1;
            let events = &visit.trace.events;
            let stores = events.iter().find(|event| event.kind == OpKind::Store && event.thread.0 == 1);
            let loads = stores.and_then(|store| {
                let before = events[..store.step as usize].iter().rev();
                before.into_iter().find(|event| event.thread == store.thread).map(|load| (load, store))
            });
            pair = pair.take().or_else(|| {
                loads.map(|(load, store)| {
                    (visit.trace.site(load.site).clone(), visit.trace.site(store.site).clone())
                })
            });
            Go::On
        },
    );
    assert!(explored.complete);
    (outcomes, pair)
}

/// Two threads change a number, a third looks at it twice; what they see decides the outcome.
fn beside(change: fn(&AtomicUsize) -> usize) {
    let number = Arc::new(AtomicUsize::new(1));
    let changing: Vec<_> = (0..2)
        .map(|_| {
            let number = Arc::clone(&number);
            thread::spawn(move || change(&number))
        })
        .collect();
    let other = Arc::clone(&number);
    let looking = thread::spawn(move || (other.load(Acquire), other.load(Relaxed)));
    let seen: Vec<usize> = changing.into_iter().map(|thread| thread.join().unwrap()).collect();
    let looked = looking.join().unwrap();
    panic!("{seen:?} {looked:?} {}", number.load(Relaxed));
}

fn is_the_same(in_two: fn(), in_one: fn(), change: Change) {
    let (_, pair) = explored(in_two, &Overlay::default());
    let (load, store) = pair.expect("a store behind a load");
    let (order, failure) = (MemoryOrder::AcqRel, MemoryOrder::Acquire);
    let update = Edit::Update { load, store, change, order, failure };
    assert_eq!(explored(in_two, &vec![update].into()).0, explored(in_one, &Overlay::default()).0);
}

#[test]
fn a_swap_an_addition_and_an_exchange_are_explored_as_such() {
    fn store(number: &AtomicUsize) -> usize {
        let seen = number.load(Relaxed);
        number.store(7, Relaxed);
        seen
    }
    is_the_same(|| beside(store), || beside(|number| number.swap(7, AcqRel)), Change::Set(7));
    fn add(number: &AtomicUsize) -> usize {
        let seen = number.load(Relaxed);
        number.store(seen + 2, Relaxed);
        seen
    }
    is_the_same(|| beside(add), || beside(|number| number.fetch_add(2, AcqRel)), Change::Add(2));
    fn test(number: &AtomicUsize) -> usize {
        let seen = number.load(Relaxed);
        if seen == 1 {
            number.store(5, Relaxed);
        }
        seen
    }
    fn exchange(number: &AtomicUsize) -> usize {
        number.compare_exchange(1, 5, AcqRel, Acquire).unwrap_or_else(|seen| seen)
    }
    is_the_same(|| beside(test), || beside(exchange), Change::Map(vec![(1, 5)]));
}

#[test]
fn a_program_that_does_something_else_does_not_fit() {
    fn program() {
        let number = AtomicUsize::new(1);
        thread::scope(|scope| {
            scope.spawn(|| {
                let seen = number.load(Relaxed);
                number.store(seen * 3, Relaxed);
            });
        });
    }
    let (_, pair) = explored(program, &Overlay::default());
    let (load, store) = pair.unwrap();
    for change in [Change::Set(4), Change::Add(1), Change::Map(vec![(1, 4)]), Change::Map(vec![(2, 6)])] {
        let (load, store) = (load.clone(), store.clone());
        let (order, failure) = (MemoryOrder::AcqRel, MemoryOrder::Acquire);
        let update = Edit::Update { load, store, change, order, failure };
        let (outcomes, _) = explored(program, &vec![update].into());
        let all = ["the change does not fit what the program does here"];
        assert_eq!(outcomes.keys().collect::<Vec<_>>(), all);
    }
}
