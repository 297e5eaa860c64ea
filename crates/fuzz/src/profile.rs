//! What a run has learned from its earlier executions.
//!
//! It is learned in iteration order and used only in later blocks of iterations, so that it is the
//! same for any number of workers.

use crate::corpus::{Corpus, Reads};

/// Iterations beyond this one are no longer observed for event counts: the averages stand.
pub(crate) const LEARNING: u64 = 1024;

/// Weights are averages, kept in so many parts of one event.
pub(crate) const PART: u64 = 16;

/// What is known of the program. Fixed within a block of iterations.
#[derive(Clone, Default)]
pub(crate) struct Profile {
    /// Threads by their place in the tree of spawns; the root is 0.
    nodes: Vec<Node>,
    /// Objects that threads contend for.
    pub(crate) objects: Vec<Contended>,
    /// The most choices of a thread in one execution.
    pub(crate) choices: u32,
    /// The most points in one execution where a fault could be injected.
    pub(crate) fault_points: u32,
    /// Some execution looked at a reference count.
    pub(crate) count_points: bool,
    /// Reads-from feedback.
    pub(crate) corpus: Corpus,
}

#[derive(Clone, Default)]
struct Node {
    children: Vec<usize>,
    segments: Vec<Segment>,
}

/// A stretch of a thread up to its next join.
#[derive(Clone, Default)]
struct Segment {
    /// Executions that came here.
    runs: u64,
    steps: u64,
    spawned: Vec<usize>,
    /// Accesses, by index in [`Profile::objects`].
    touched: Vec<(usize, u64)>,
}

/// An object as far as it is the same one in another execution: where it was made, and its number
/// among those made there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectKey {
    pub(crate) created: u64,
    pub(crate) nth: u32,
}

#[derive(Clone)]
pub(crate) struct Contended {
    pub(crate) key: ObjectKey,
    pub(crate) accesses: u64,
    /// The thread that touched it first, and whether another one did.
    node: usize,
    shared: bool,
}

impl Contended {
    /// How eagerly the object is picked: only what several threads touch can race.
    pub(crate) fn weight(&self) -> u64 {
        if self.shared { self.accesses } else { 0 }
    }
}

/// What is weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Steps,
    Accesses(usize),
}

/// Weights by thread and by stretch between joins, in [`PART`]s.
#[derive(Clone, Default)]
pub(crate) struct Weights {
    starts: Vec<usize>,
    parts: Vec<u64>,
}

impl Weights {
    pub(crate) fn get(&self, node: Option<usize>, segment: usize) -> u64 {
        let range = node.and_then(|node| Some(*self.starts.get(node)?..*self.starts.get(node + 1)?));
        range.and_then(|range| self.parts[range].get(segment)).copied().unwrap_or(0)
    }
}

impl Profile {
    /// The node of a thread's `nth` child (from 0).
    pub(crate) fn child(&self, node: Option<usize>, nth: usize) -> Option<usize> {
        self.nodes.get(node?)?.children.get(nth).copied()
    }

    /// What every thread and those it spawns are expected to do before its next join.
    pub(crate) fn weights(&self, measure: Measure) -> Weights {
        let mut weights = Weights { starts: Vec::with_capacity(self.nodes.len()), parts: Vec::new() };
        for node in &self.nodes {
            weights.starts.push(weights.parts.len());
            weights.parts.resize(weights.parts.len() + node.segments.len(), 0);
        }
        weights.starts.push(weights.parts.len());
        // Children come behind their parents.
        for (index, node) in self.nodes.iter().enumerate().rev() {
            for (place, segment) in node.segments.iter().enumerate() {
                let own = match measure {
                    Measure::Steps => segment.steps,
                    Measure::Accesses(object) => {
                        let touched = segment.touched.iter().find(|(known, _)| *known == object);
                        touched.map_or(0, |(_, count)| *count)
                    }
                };
                let spawned: u64 = segment.spawned.iter().map(|child| weights.get(Some(*child), 0)).sum();
                weights.parts[weights.starts[index] + place] =
                    (own * PART + segment.runs / 2) / segment.runs.max(1) + spawned;
            }
        }
        weights
    }

    pub(crate) fn learn(&mut self, delta: &ProfileDelta) {
        self.choices = self.choices.max(delta.choices);
        self.fault_points = self.fault_points.max(delta.fault_points);
        self.count_points |= delta.count_points;
        if let Some(reads) = &delta.reads {
            self.corpus.learn(reads);
        }
        if delta.threads.is_empty() {
            return;
        }
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut node_of = Vec::with_capacity(delta.threads.len());
        for seen in &delta.threads {
            let node = match seen.parent {
                None => 0,
                Some((parent, nth)) => {
                    let parent: usize = node_of[parent];
                    while self.nodes[parent].children.len() <= nth {
                        let fresh = self.nodes.len();
                        self.nodes[parent].children.push(fresh);
                        self.nodes.push(Node::default());
                    }
                    self.nodes[parent].children[nth]
                }
            };
            node_of.push(node);
        }
        let mut objects: Vec<Option<usize>> = vec![None; delta.objects.len()];
        for (seen, node) in delta.threads.iter().zip(&node_of) {
            for (index, stretch) in seen.stretches.iter().enumerate() {
                for (object, count) in &stretch.touched {
                    let number = *object as usize;
                    let Some(Some(key)) = delta.objects.get(number) else { continue };
                    let object = *objects[number].get_or_insert_with(|| self.object(*key, *node));
                    let contended = &mut self.objects[object];
                    contended.accesses += u64::from(*count);
                    contended.shared |= contended.node != *node;
                }
                let children: Vec<usize> =
                    stretch.spawned.iter().map(|nth| self.nodes[*node].children[*nth]).collect();
                let segments = &mut self.nodes[*node].segments;
                if segments.len() <= index {
                    segments.push(Segment::default());
                }
                let segment = &mut segments[index];
                segment.runs += 1;
                segment.steps += u64::from(stretch.steps);
                for child in children {
                    if let Err(place) = segment.spawned.binary_search(&child) {
                        segment.spawned.insert(place, child);
                    }
                }
                for (object, count) in &stretch.touched {
                    let Some(Some(object)) = objects.get(*object as usize) else { continue };
                    match segment.touched.iter_mut().find(|(known, _)| known == object) {
                        Some((_, total)) => *total += u64::from(*count),
                        None => segment.touched.push((*object, u64::from(*count))),
                    }
                }
            }
        }
    }

    fn object(&mut self, key: ObjectKey, node: usize) -> usize {
        match self.objects.iter().position(|known| known.key == key) {
            Some(index) => index,
            None => {
                self.objects.push(Contended { key, accesses: 0, node, shared: false });
                self.objects.len() - 1
            }
        }
    }
}

/// What one execution taught.
#[derive(Clone, Default)]
pub(crate) struct ProfileDelta {
    pub(crate) threads: Vec<ThreadSeen>,
    /// The objects of this execution, by number, as far as they were contended.
    pub(crate) objects: Vec<Option<ObjectKey>>,
    pub(crate) choices: u32,
    pub(crate) fault_points: u32,
    pub(crate) count_points: bool,
    pub(crate) reads: Option<Reads>,
}

#[derive(Clone, Default)]
pub(crate) struct ThreadSeen {
    /// The thread that spawned it, and how many that one had spawned before.
    pub(crate) parent: Option<(usize, usize)>,
    pub(crate) stretches: Vec<Stretch>,
}

/// What a thread did between two joins.
#[derive(Clone, Default)]
pub(crate) struct Stretch {
    pub(crate) steps: u32,
    pub(crate) spawned: Vec<usize>,
    /// Accesses by number of the object.
    pub(crate) touched: Vec<(u32, u32)>,
}
