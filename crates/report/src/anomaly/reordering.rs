//! The pair of accesses that a weak memory model lets happen in another order than they were executed in.

use crate::Sources;
use crate::view::{View, updates};
use racefuzz_trace::Failure;

/// Which access of a failing execution does not see which store that came before it, as a clause, and their
/// memory orderings, as another; places are lines, so that it can be said without the trace.
pub(crate) fn reordering(failure: &Failure, sources: &dyn Sources) -> Option<(String, String)> {
    let view = View::new(failure, sources);
    let line = |site| view.trace.site(site).line;
    let stale = view.events.iter().rev().filter(|event| view.is_stale(event));
    let (look, missed) = stale.filter_map(|look| Some((look, view.newer(look)?))).next()?;
    // A read-modify-write reads what is next to it in modification order.
    let sees = if updates(look) { "comes before" } else { "does not see" };
    let pair = format!(
        "the {} of {} by {} on line {} {sees} the {} by {} on line {}",
        look.verb.word(),
        view.object(look.object?),
        view.thread(look.thread),
        line(look.site),
        missed.verb.word(),
        view.thread(missed.thread),
        line(missed.site),
    );
    Some((pair, view.orders(missed, look)))
}
