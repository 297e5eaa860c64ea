//! Guards that end before their thread waits: for another lock, the end of a thread, a message, a token.
//!
//! Who waits with a lock keeps out those who could end the wait. Where nothing is done under the lock behind
//! the wait, the guard may end before it.

use crate::search::Search;
use racefuzz_trace::{Edit, FailureDetail};

impl Search<'_> {
    /// The guards that threads have which wait for good, each given back before the wait.
    pub(crate) fn held_while_waiting(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for known in &self.known {
            let Some(FailureDetail::Deadlock { waiting, .. }) = &known.bad.detail else { continue };
            let trace = &known.bad.trace;
            for edge in waiting {
                // Who else waits for something that this thread has.
                for other in waiting.iter().filter(|other| other.thread != edge.thread) {
                    let mine = other.holders.iter().find(|(holder, _)| *holder == edge.thread);
                    let created = other.object.and_then(|object| trace.object(object).created);
                    let (Some((_, Some(taken))), Some(created)) = (mine, created) else { continue };
                    let edit = Edit::LetGo {
                        created: trace.site(created).clone(),
                        guards: vec![trace.site(*taken).clone()],
                        before: trace.site(edge.site).clone(),
                        used: false,
                    };
                    if taken != &edge.site && !edits.contains(&edit) {
                        edits.push(edit);
                    }
                }
            }
        }
        edits
    }
}
