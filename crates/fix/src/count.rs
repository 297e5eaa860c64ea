//! Counting schedules: the orders of steps that belong to one class.
//!
//! A class of executions is a partial order of its events; its schedules are the linear extensions of
//! that order, restricted to the steps. They are counted by walking over the order's ideals: the sets
//! of steps that are closed under "comes before", one number per thread.

use crate::steps::{before_oracles, is_step, writes};
use racefuzz_trace::{OpKind, Trace, Verb};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// For each thread its steps, and for each step how many steps of each thread come before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// Per thread, per step: what it is (place and values) and the steps needed before.
    threads: Vec<Vec<(u64, Vec<u16>)>>,
}

/// More ideals than this are not walked over.
const MOST_IDEALS: usize = 1 << 18;

impl Order {
    /// The order of the steps of an execution in which every read returns the newest value.
    pub fn of(trace: &Trace) -> Self {
        let threads = trace.threads.len();
        let mut order = vec![Vec::new(); threads];
        // What each thread, and each object's last write and reads since, have behind them.
        let mut clocks = vec![vec![0u16; threads]; threads];
        let mut ended = vec![vec![0u16; threads]; threads];
        let mut objects = vec![(vec![0u16; threads], vec![0u16; threads]); trace.objects.len()];
        let join = |clock: &mut Vec<u16>, other: &[u16]| {
            clock.iter_mut().zip(other).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
        };
        for event in before_oracles(trace) {
            let me = event.thread.index();
            match event.kind {
                OpKind::Spawn => {
                    if let Some(child) = event.other {
                        clocks[child.index()] = clocks[me].clone();
                    }
                }
                OpKind::Join => {
                    if let Some(target) = event.other {
                        let theirs = ended[target.index()].clone();
                        join(&mut clocks[me], &theirs);
                    }
                }
                OpKind::Finish => ended[me] = clocks[me].clone(),
                _ => {}
            }
            // A clone or a drop of a reference commutes with everything.
            let object = event.object.filter(|_| !matches!(event.verb, Verb::RefClone | Verb::RefDrop));
            if let Some(object) = object {
                let (written, read) = &objects[object.index()];
                join(&mut clocks[me], written);
                if writes(event) {
                    join(&mut clocks[me], read);
                }
            }
            // A thread that was woken by its token knows what the waker did.
            if event.verb == Verb::Unpark
                && let Some(target) = event.other
            {
                let mine = clocks[me].clone();
                join(&mut ended[target.index()], &mine);
            }
            if event.verb == Verb::Park {
                let token = ended[me].clone();
                join(&mut clocks[me], &token);
            }
            if is_step(trace, event) {
                let mut what = DefaultHasher::new();
                (trace.site(event.site), &event.read, &event.wrote, &event.text).hash(&mut what);
                order[me].push((what.finish(), clocks[me].clone()));
                clocks[me][me] += 1;
            }
            if let Some(object) = object {
                let mine = clocks[me].clone();
                let (written, read) = &mut objects[object.index()];
                join(if writes(event) { written } else { read }, &mine);
            }
        }
        Self { threads: order }
    }

    /// The number of orders of the steps that keep to this one; `None` if there are too many to count.
    pub fn linear_extensions(&self) -> Option<u128> {
        let goal: Vec<u16> = self.threads.iter().map(|steps| steps.len() as u16).collect();
        let total: usize = goal.iter().map(|steps| usize::from(*steps)).sum();
        let mut level = HashMap::from([(vec![0u16; goal.len()], 1u128)]);
        let mut ideals = 0;
        for _ in 0..total {
            let mut next: HashMap<Vec<u16>, u128> = HashMap::with_capacity(level.len() * 2);
            ideals += level.len();
            if ideals > MOST_IDEALS {
                return None;
            }
            for (ideal, ways) in level {
                for (thread, steps) in self.threads.iter().enumerate() {
                    let Some((_, needed)) = steps.get(usize::from(ideal[thread])) else { continue };
                    if needed.iter().zip(&ideal).all(|(needed, done)| needed <= done) {
                        let mut larger = ideal.clone();
                        larger[thread] += 1;
                        let sum = next.entry(larger).or_insert(0);
                        *sum = sum.checked_add(ways)?;
                    }
                }
            }
            level = next;
        }
        level.get(&goal).copied()
    }
}

/// The schedules of many classes together.
#[derive(Debug, Default)]
pub struct Schedules {
    /// For each order of steps whether it was seen; classes that differ in locks only have one.
    counted: HashSet<Order>,
    sum: u128,
    too_many: bool,
}

impl Schedules {
    /// Adds the schedules of an execution's class.
    pub fn add(&mut self, trace: &Trace) {
        if self.too_many {
            return;
        }
        let order = Order::of(trace);
        if self.counted.contains(&order) {
            return;
        }
        match order.linear_extensions().and_then(|count| self.sum.checked_add(count)) {
            Some(sum) => self.sum = sum,
            None => self.too_many = true,
        }
        self.counted.insert(order);
    }

    /// The schedules of all classes; `None` if they are too many to count.
    pub fn sum(&self) -> Option<u128> {
        (!self.too_many).then_some(self.sum)
    }
}
