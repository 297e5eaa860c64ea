//! What reads-from feedback has seen and keeps to mutate.

use crate::iteration_rng::IterationRng;
use racefuzz_trace::ThreadId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// An event, as far as it is the same in another execution.
pub(crate) type Abstract = u32;

/// "The read takes its value from the write", or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Constraint {
    pub(crate) read: Abstract,
    pub(crate) write: Abstract,
    pub(crate) holds: bool,
}

/// The pairs (read, write) of an execution, and the constraints it ran under.
#[derive(Clone, Default)]
pub(crate) struct Reads {
    pub(crate) pairs: Vec<(Abstract, Abstract)>,
    pub(crate) constraints: Vec<Constraint>,
}

/// What reads-from feedback remembers.
#[derive(Clone, Default)]
pub(crate) struct Corpus {
    /// How often each pair was seen.
    seen: HashMap<(Abstract, Abstract), u32, BuildHasherDefault<PairHasher>>,
    pairs: Vec<(Abstract, Abstract)>,
    cases: Vec<Case>,
}

#[derive(Clone)]
struct Case {
    constraints: Vec<Constraint>,
    /// The pair that was new.
    pair: (Abstract, Abstract),
}

impl Corpus {
    /// Pairs remembered; a program with more has its first ones mutated.
    const PAIRS: usize = 4096;

    pub(crate) fn learn(&mut self, reads: &Reads) {
        for pair in &reads.pairs {
            if let Some(count) = self.seen.get_mut(pair) {
                *count = count.saturating_add(1);
            } else if self.pairs.len() < Self::PAIRS {
                self.seen.insert(*pair, 1);
                self.pairs.push(*pair);
                self.cases.push(Case { constraints: reads.constraints.clone(), pair: *pair });
            }
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pairs.len() >= Self::PAIRS
    }

    pub(crate) fn knows(&self, pair: &(Abstract, Abstract)) -> bool {
        self.seen.contains_key(pair)
    }

    /// Some pair (read, write) that was seen.
    fn pair(&self, rng: &mut IterationRng) -> (Abstract, Abstract) {
        self.pairs[rng.below(self.pairs.len() as u32) as usize]
    }

    /// The rarer of two cases.
    fn pick(&self, rng: &mut IterationRng) -> &[Constraint] {
        let mut draw = || &self.cases[rng.below(self.cases.len() as u32) as usize];
        let (one, other) = (draw(), draw());
        let count = |case: &Case| self.seen.get(&case.pair).copied().unwrap_or(0);
        if count(one) <= count(other) { &one.constraints } else { &other.constraints }
    }

    /// The constraints of a case, changed a little; now and then none.
    pub(crate) fn mutated(&self, rng: &mut IterationRng, constraints: &mut Vec<Constraint>) {
        constraints.clear();
        if self.cases.is_empty() || rng.one_in(4) {
            return;
        }
        constraints.extend_from_slice(self.pick(rng));
        for _ in 0..1 + rng.below(2) {
            let (pair, other) = (self.pair(rng), self.pair(rng));
            match rng.below(4) {
                0 if !constraints.is_empty() => {
                    let index = rng.below(constraints.len() as u32) as usize;
                    constraints.swap_remove(index);
                }
                1 => constrain(constraints, pair.0, pair.1, false),
                // A pair nobody has seen yet, perhaps one that cannot be.
                2 => constrain(constraints, pair.0, other.1, true),
                _ => constrain(constraints, pair.0, pair.1, true),
            }
        }
    }
}

fn constrain(constraints: &mut Vec<Constraint>, read: Abstract, write: Abstract, holds: bool) {
    constraints.retain(|known| known.read != read || !(known.holds || holds));
    if constraints.len() < 8 {
        constraints.push(Constraint { read, write, holds });
    }
}

/// What an execution has done to each object.
#[derive(Default)]
pub(crate) struct PerObject {
    objects: Vec<Accessed>,
    used: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Accessed {
    /// The last write.
    pub(crate) written: Abstract,
    /// Some constraint asks for a read of that: `None` while nobody has found out.
    pub(crate) is_awaited: Option<bool>,
    /// How often each thread has touched it.
    pub(crate) touched: Vec<(ThreadId, u32)>,
}

impl Accessed {
    /// How often a thread has touched it.
    #[inline]
    pub(crate) fn times(&self, thread: ThreadId) -> u32 {
        self.touched.iter().find(|known| known.0 == thread).map_or(0, |known| known.1)
    }

    /// A thread touches it: how often it has before.
    #[inline]
    pub(crate) fn touch(&mut self, thread: ThreadId) -> u32 {
        match self.touched.iter_mut().find(|known| known.0 == thread) {
            Some(known) => {
                known.1 += 1;
                known.1 - 1
            }
            None => {
                self.touched.push((thread, 1));
                0
            }
        }
    }
}

impl PerObject {
    /// Beyond these are objects that the fuzzer does not follow, and none at all.
    pub(crate) const LIMIT: u32 = 1 << 16;

    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }

    #[inline]
    pub(crate) fn get(&mut self, object: u32) -> &mut Accessed {
        let index = object as usize;
        if index >= self.used {
            self.begin(index);
        }
        &mut self.objects[index]
    }

    /// The objects up to this one were not accessed yet.
    #[cold]
    fn begin(&mut self, index: usize) {
        if index >= self.objects.len() {
            self.objects.resize(index + 1, Accessed::default());
        }
        while self.used <= index {
            (self.objects[self.used].written, self.objects[self.used].is_awaited) = (0, None);
            self.objects[self.used].touched.clear();
            self.used += 1;
        }
    }
}

/// The numbers of a pair are hashes already.
#[derive(Clone, Default)]
struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = self.0.rotate_left(32) ^ u64::from(number);
    }
}

/// Mixes two numbers into one.
pub(crate) fn hash(a: u32, b: u32) -> u32 {
    let product = (u64::from(a) << 32 | u64::from(b)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product ^ product >> 32) as u32
}
