//! Memory models: which graphs are consistent.
//!
//! All of them forbid cycles in `po ∪ rf`, which is how the exploration builds graphs, and keep
//! read-modify-writes atomic, which it sees to itself. A model says two things of the rest: from
//! which place in modification order on a thread may read or write a location
//! ([`floor`]), which decides most cases at once, and whether a whole graph is consistent
//! ([`is_consistent`]) where that cannot be seen so simply.

mod psc;
mod rc11;
mod tso;

pub(crate) use psc::{Addition, Order};

use crate::graph::{Graph, Id, Kind, Loc, NOWHERE};
use racefuzz_runtime::Clock;
use racefuzz_trace::{MemoryModel, MemoryOrder};

/// Where a thread stands that is about to access a location.
pub(crate) struct Stand<'a> {
    /// What happens before the access.
    pub(crate) before: &'a Clock,
    /// What is before it in the order of ordered locations.
    pub(crate) ord: &'a Clock,
}

/// The lowest place in modification order whose write the access may read, or behind which a write
/// may go.
pub(crate) fn floor(model: MemoryModel, graph: &Graph, loc: u32, stand: &Stand<'_>) -> usize {
    if loc == NOWHERE {
        return 0;
    }
    let entry = graph.loc(loc);
    if entry.ordered {
        return ordered_floor(graph, entry, stand.ord);
    }
    match model {
        MemoryModel::Sc => ordered_floor(graph, entry, stand.ord),
        // Where something happens before the access, `tso` has it before it, too: what synchronises are
        // writes that others read, and those leave the buffer in order.
        MemoryModel::Rc11 | MemoryModel::Tso => rc11::floor(graph, loc, stand.before),
    }
}

/// Sequential consistency: `po ∪ rf ∪ mo ∪ fr` has no cycle. A new read is before the write behind
/// the one it reads, a new write before the one behind it; so that one must not be before them.
fn ordered_floor(graph: &Graph, loc: &Loc, ord: &Clock) -> usize {
    loc.mo.iter().rposition(|write| crate::graph::holds(ord, graph.event(*write))).map_or(0, |at| at + 1)
}

/// Whether a graph that respects the floors is consistent.
pub(crate) fn is_consistent(model: MemoryModel, graph: &Graph) -> bool {
    match model {
        MemoryModel::Sc => true,
        MemoryModel::Rc11 => graph.seq_cst < 2 || psc::is_acyclic(graph),
        MemoryModel::Tso => tso::is_consistent(graph),
    }
}

/// Whether a consistent graph stays consistent with an access that respects the floor, as far as that
/// is seen before the graph is made.
///
/// `order` is the graph's, or that of a beginning of it from which it grew by reads of the newest
/// write, writes that became the newest, and fences.
pub(crate) fn admits(model: MemoryModel, order: &mut Order, graph: &Graph, addition: Addition<'_>) -> bool {
    match model {
        MemoryModel::Sc | MemoryModel::Tso => true,
        MemoryModel::Rc11 => graph.seq_cst == 0 || order.admits(graph, addition),
    }
}

/// Whether a graph that respects the floors is consistent, given that it was without these events:
/// each is the last of its thread, but for a read-modify-write's write behind its read, and read by
/// no other one than these.
pub(crate) fn stays_consistent(model: MemoryModel, graph: &Graph, added: &[Id]) -> bool {
    match model {
        MemoryModel::Rc11 => graph.seq_cst < 2 || psc::stays_acyclic(graph, added),
        MemoryModel::Sc | MemoryModel::Tso => is_consistent(model, graph),
    }
}

/// For each event those that the order of SeqCst events (`psc`) puts before it.
pub(crate) fn sc_order(graph: &Graph) -> Vec<Vec<Id>> {
    match graph.seq_cst {
        0 => vec![Vec::new(); graph.events.len()],
        _ => rc11::before_in_psc(graph),
    }
}

/// Whether a graph has a relaxed load before a relaxed store of the same thread: such a program may
/// show load buffering, which RC11 excludes.
pub(crate) fn might_buffer_loads(graph: &Graph) -> bool {
    graph.threads.iter().any(|thread| {
        let mut loads = thread.iter().map(|id| graph.event(*id)).skip_while(|event| {
            event.kind != Kind::Read || event.order.acquires() || event.order == MemoryOrder::Plain
        });
        loads.any(|event| {
            event.kind == Kind::Write && !event.order.releases() && !graph.loc(event.loc).ordered
        })
    })
}

/// Whether [`is_consistent`] may say no.
pub(crate) fn looks_at_wholes(model: MemoryModel, graph: &Graph) -> bool {
    match model {
        MemoryModel::Sc => false,
        MemoryModel::Rc11 => graph.seq_cst > 0,
        MemoryModel::Tso => true,
    }
}
