//! How large is the tree of graphs? Random probes from the root (Knuth, *Estimating the Efficiency
//! of Backtrack Programs*, 1975): unbiased, with a variance that may be large, so that a small
//! spread is no promise.

use crate::unit::{Done, Failed, Worker};
use crate::work_item::WorkItem;

/// Probes taken.
const PROBES: u32 = 32;
/// Executions that a probe may take.
const DEEPEST: u32 = 200;

/// What the probes say.
pub(crate) struct Probed {
    /// Executions in all.
    pub(crate) mean: f64,
    /// The standard error of that.
    pub(crate) error: f64,
    /// An execution that failed on the way.
    pub(crate) failed: Option<Failed>,
}

impl Probed {
    /// Too large to be probed.
    const UNKNOWN: Self = Self { mean: f64::INFINITY, error: f64::INFINITY, failed: None };
}

/// Takes probes, the same for every run of a program.
pub(crate) fn probe(worker: &mut Worker, program: &dyn Fn()) -> Probed {
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        ((u128::from(random) * bound as u128) >> 64) as usize
    };
    let mut done = Done::default();
    let mut sizes = Vec::new();
    for _ in 0..PROBES {
        let mut item = WorkItem::root();
        let (mut size, mut weight) = (1.0, 1.0);
        for _ in 0..DEEPEST {
            let Some(mut children) = worker.children(program, item, &mut done) else {
                return Probed::UNKNOWN;
            };
            if children.is_empty() || !done.failed.is_empty() {
                break;
            }
            weight *= children.len() as f64;
            size += weight;
            item = children.swap_remove(below(children.len()));
        }
        if let Some(failed) = done.failed.pop() {
            return Probed { mean: size, error: f64::INFINITY, failed: Some(failed) };
        }
        sizes.push(size);
    }
    let count = sizes.len() as f64;
    let mean = sizes.iter().sum::<f64>() / count;
    let variance = sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Probed { mean, error: (variance / count).sqrt(), failed: None }
}
