//! Lines of the source under a lock, where accesses to memory are no events.
//!
//! A guard that is typed in for a region is held on all lines between the region's events, and on none behind them:
//! so is the lock of an overlay. Where accesses are no events that has to be said of each line, as seen in
//! executions; an access elsewhere ends the region.

use crate::clause::runs;
use crate::search::Search;
use racefuzz_trace::{Edit, Overlay, Site};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// As many lines as two events of a region may lie apart.
const MOST: u32 = 1_000;

impl Search<'_> {
    /// An overlay with the lines that its regions extend over, where that has to be said.
    pub(crate) fn with_lines<'o>(&self, overlay: &'o Overlay) -> Cow<'o, Overlay> {
        let locks = |edit: &Edit| matches!(edit, Edit::Lock { .. });
        if self.options.sees_accesses || !overlay.edits.iter().any(locks) {
            return Cow::Borrowed(overlay);
        }
        let mut whole = overlay.clone();
        for edit in &mut whole.edits {
            if let Edit::Lock { sites, shared, .. } = edit {
                let lines = self.lines(sites.iter().chain(&*shared));
                sites.extend(lines);
            }
        }
        Cow::Owned(whole)
    }

    /// The lines from each event at one of these places to the next one.
    fn lines<'s>(&self, places: impl Iterator<Item = &'s Site>) -> BTreeSet<Site> {
        let places: Vec<&Site> = places.collect();
        let covered: BTreeSet<usize> = places.iter().filter_map(|site| self.sites.known(site)).collect();
        let line = |file: &str, line: u32| Site { file: file.to_owned(), line, column: 0 };
        let mut lines: BTreeSet<Site> = places.iter().map(|site| line(&site.file, site.line)).collect();
        for trace in self.all_traces() {
            for run in runs(trace, &self.sites, &covered).iter().flatten() {
                for pair in run.windows(2) {
                    let [from, to] = [pair[0], pair[1]].map(|at| trace.site(trace.events[at].site));
                    if from.file == to.file && (from.line..from.line.saturating_add(MOST)).contains(&to.line)
                    {
                        lines.extend((from.line..=to.line).map(|number| line(&from.file, number)));
                    }
                }
            }
        }
        lines
    }
}
