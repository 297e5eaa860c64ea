//! What outlives the process: where an exploration stands, so that another one can go on from there.

use crate::driver::State;
use crate::graph::Graph;
use crate::turns::{Places, Turns};
use crate::unit::Worker;
use crate::waiting::Loops;
use crate::work_item::WorkItem;
use racefuzz_runtime::StableHasher;
use racefuzz_trace::{Event, Trace};
use std::hash::{Hash, Hasher};

/// Where an exploration stands.
#[cfg_attr(not(feature = "checkpoint"), expect(dead_code, reason = "nothing keeps it"))]
pub(crate) struct Kept<'a> {
    /// A number of the program: see [`fingerprint`].
    pub(crate) fingerprint: u64,
    /// Clones and drops of counted references are events.
    pub(crate) count_points: bool,
    pub(crate) loops: &'a Loops,
    /// What is known of schedules within a bound.
    pub(crate) turns: Option<&'a Turns>,
    pub(crate) state: &'a State,
}

/// The same, to go on from.
pub(crate) struct Start {
    pub(crate) fingerprint: u64,
    pub(crate) count_points: bool,
    pub(crate) loops: Loops,
    pub(crate) places: Places,
    /// States that were explored within a bound on preemptions, and with how few each.
    pub(crate) seen: Vec<(u128, u32)>,
    pub(crate) state: State,
}

/// Keeps it.
pub(crate) trait Keeper: Sync {
    /// Whether it is time to.
    fn is_due(&self) -> bool;

    /// Does it.
    fn keep(&self, kept: &Kept<'_>);
}

/// A number that differs for programs whose first execution differs, but for what it computes with:
/// an address is another one in each process. `None` if a limit ended that execution.
pub(crate) fn fingerprint(worker: &mut Worker, program: &dyn Fn()) -> Option<u64> {
    let ended = worker.record(program, WorkItem::of(Graph::new(), None));
    (!ended.stopped).then(|| ended.trace.as_ref().map_or(0, hash))
}

fn hash(trace: &Trace) -> u64 {
    let mut hasher = StableHasher::new();
    for Event { thread, verb, object, site, .. } in &trace.events {
        let site = trace.site(*site);
        (thread.index() as u64, object.map(|object| object.index() as u64)).hash(&mut hasher);
        format!("{verb:?}").hash(&mut hasher);
        (site.file.as_str(), site.line, site.column).hash(&mut hasher);
    }
    hasher.finish()
}
