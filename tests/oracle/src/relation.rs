//! Relations over the events of one graph, as rows of bits.

/// The most events that a graph may have.
pub(crate) const MOST: usize = 64;

/// The numbers of the bits set.
pub(crate) fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (set != 0).then(|| {
            let bit = set.trailing_zeros() as usize;
            set &= set - 1;
            bit
        })
    })
}

/// A binary relation: bit `b` of row `a` is set if the pair (a, b) is in it.
#[derive(Clone)]
pub(crate) struct Relation {
    rows: [u64; MOST],
    events: usize,
}

impl Relation {
    pub(crate) fn new(events: usize) -> Self {
        Self { rows: [0; MOST], events }
    }

    pub(crate) fn add(&mut self, a: usize, b: usize) {
        self.rows[a] |= 1 << b;
    }

    pub(crate) fn row(&self, a: usize) -> u64 {
        self.rows[a]
    }

    pub(crate) fn has(&self, a: usize, b: usize) -> bool {
        self.rows[a] >> b & 1 != 0
    }

    fn map(&self, f: impl Fn(usize) -> u64) -> Self {
        let mut result = Self::new(self.events);
        for a in 0..self.events {
            result.rows[a] = f(a);
        }
        result
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        self.map(|a| self.rows[a] | other.rows[a])
    }

    /// The pairs that `keep` has, too: `keep(a)` is the set of allowed b.
    pub(crate) fn filter(&self, keep: impl Fn(usize) -> u64) -> Self {
        self.map(|a| self.rows[a] & keep(a))
    }

    /// `self ; other`
    pub(crate) fn then(&self, other: &Self) -> Self {
        self.map(|a| bits(self.rows[a]).fold(0, |row, b| row | other.rows[b]))
    }

    /// `self?`
    pub(crate) fn or_same(&self) -> Self {
        self.map(|a| self.rows[a] | 1 << a)
    }

    /// `self+`
    pub(crate) fn closure(mut self) -> Self {
        for b in 0..self.events {
            let row = self.rows[b];
            for a in 0..self.events {
                if self.rows[a] >> b & 1 != 0 {
                    self.rows[a] |= row;
                }
            }
        }
        self
    }

    pub(crate) fn irreflexive(&self) -> bool {
        (0..self.events).all(|a| !self.has(a, a))
    }

    pub(crate) fn acyclic(self) -> bool {
        self.closure().irreflexive()
    }
}
