//! Park tokens that the wrong wait has taken: the wait gives one back when it is over.
//!
//! A thread has one token. A wait that parks in a loop until its own condition holds may take the token
//! that somebody meant for another wait of the same thread; that one then sleeps for good. So whoever
//! parks on behalf of others unparks itself when its wait is over: at worst the next park returns for
//! no reason, which every park may do (rust-lang/rust 145816). The same goes for a wait that is a single
//! park.

use crate::search::Search;
use crate::sites::by_thread;
use racefuzz_trace::{Edit, FailureDetail, Site, Trace, Verb};
use std::collections::BTreeSet;

impl Search<'_> {
    /// Waits by parking that a thread was in before the park in which it sleeps for good.
    pub(crate) fn inner_waits(&self) -> Vec<Edit> {
        let mut waits: BTreeSet<Vec<Site>> = BTreeSet::new();
        for known in &self.known {
            let Some(FailureDetail::Deadlock { waiting, .. }) = &known.bad.detail else { continue };
            let trace = &known.bad.trace;
            for edge in waiting.iter().filter(|edge| edge.verb == Verb::Park) {
                let taken = trace.events.iter().filter(|event| {
                    event.thread == edge.thread && event.verb == Verb::Park && event.site != edge.site
                });
                let taken: BTreeSet<&Site> = taken.map(|event| trace.site(event.site)).collect();
                let around = |park: &Site| self.wait_around(park).unwrap_or_else(|| vec![park.clone()]);
                waits.extend(taken.into_iter().map(around));
            }
        }
        waits.into_iter().map(|wait| Edit::UnparkSelf { wait }).collect()
    }

    /// The places of the loop around a park: the park, and the test that comes before it and behind it.
    fn wait_around(&self, park: &Site) -> Option<Vec<Site>> {
        let traces = self.traces.iter().chain(self.known.iter().map(|known| &known.bad.trace));
        let mut places = BTreeSet::new();
        for trace in traces {
            for events in by_thread(trace) {
                let at = |index: usize| trace.site(trace.events[events[index]].site);
                for index in (1..events.len()).filter(|index| at(*index) == park) {
                    let behind = (index + 1..events.len()).find(|other| at(*other) == at(index - 1));
                    if behind == Some(index + 1) && is_test(trace, events[index - 1]) {
                        places.extend([at(index - 1).clone(), park.clone()]);
                    }
                }
            }
        }
        (!places.is_empty()).then(|| places.into_iter().collect())
    }
}

/// Whether an event only looks.
fn is_test(trace: &Trace, at: usize) -> bool {
    let event = &trace.events[at];
    event.kind.reads() && !crate::steps::writes(event)
}
