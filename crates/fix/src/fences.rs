//! Memory fences: one, or where one is not enough the fewest of several.
//!
//! A fence orders what stands before it in its thread with what stands behind. Two threads that each store
//! and then look at what the other has stored need one each; so do relaxed accesses that guard several
//! locations, a release fence before the store and an acquire fence behind the load.

use crate::orderings::Ordered;
use crate::search::Search;
use racefuzz_trace::{Certificate, Edit, MemoryOrder, Overlay, Site};

/// Places beyond which no set of fences is looked for: each takes an exploration of its own.
const PLACES: usize = 16;

impl Search<'_> {
    /// Where a fence may stand: before each step that other threads run beside.
    fn fence_places(&self) -> Vec<Site> {
        let places = self.sites.steps.intersection(&self.sites.concurrent);
        places.map(|place| self.sites.site(*place)).filter(|site| self.may_change(site)).cloned().collect()
    }

    /// One fence, before any step, that repairs the program.
    pub(crate) fn fences(&mut self) -> Vec<Ordered> {
        let places = self.fence_places();
        let mut found: Vec<Ordered> = Vec::new();
        for order in [MemoryOrder::Acquire, MemoryOrder::Release, MemoryOrder::SeqCst] {
            for before in &places {
                if self.out_of_time() || found.len() >= 4 {
                    return found;
                }
                let overlay = Overlay::from(vec![Edit::Fence { before: before.clone(), order }]);
                // A stronger one at the same place says no more.
                let known = found.iter().any(|found| {
                    found
                        .overlay
                        .edits
                        .iter()
                        .any(|edit| matches!(edit, Edit::Fence { before: other, .. } if other == before))
                });
                if !known && self.repairs(&overlay) {
                    found.push(Ordered { overlay, needed: Vec::new() });
                }
            }
            if !found.is_empty() {
                break;
            }
        }
        found
    }

    /// The fewest fences that repair together where none does alone, found from both ends of the source.
    pub(crate) fn fence_sets(&mut self) -> Vec<Ordered> {
        let places = self.fence_places();
        let all: Vec<_> = places.into_iter().map(|place| (place, MemoryOrder::SeqCst)).collect();
        if all.len() > PLACES || !self.repairs(&overlay(&all)) {
            return Vec::new();
        }
        let mut found: Vec<Ordered> = Vec::new();
        for backwards in [false, true] {
            let mut kept = all.clone();
            if backwards {
                kept.reverse();
            }
            let mut at = 0;
            while at < kept.len() {
                let mut fewer = kept.clone();
                fewer.remove(at);
                if self.out_of_time() {
                    return found;
                }
                if self.repairs(&overlay(&fewer)) { kept = fewer } else { at += 1 }
            }
            for at in 0..kept.len() {
                for weaker in [MemoryOrder::Acquire, MemoryOrder::Release, MemoryOrder::AcqRel] {
                    let strongest = std::mem::replace(&mut kept[at].1, weaker);
                    if self.repairs(&overlay(&kept)) {
                        break;
                    }
                    kept[at].1 = strongest;
                }
            }
            kept.sort_by(|one, other| one.0.cmp(&other.0));
            let overlay = overlay(&kept);
            if !found.iter().any(|found| found.overlay == overlay) {
                let needed = (0..kept.len()).filter_map(|at| self.fence_needed(&kept, at)).collect();
                found.push(Ordered { overlay, needed });
            }
        }
        found
    }

    fn fence_needed(&mut self, fences: &[(Site, MemoryOrder)], at: usize) -> Option<Certificate> {
        let mut fewer = fences.to_vec();
        let (site, _) = fewer.remove(at);
        let bad = self.fails(&overlay(&fewer))?;
        let without = format!("without the fence before line {}", site.line);
        Some(Certificate { without, site, fails: bad.in_short() })
    }
}

fn overlay(fences: &[(Site, MemoryOrder)]) -> Overlay {
    let edit = |(before, order): &(Site, MemoryOrder)| Edit::Fence { before: before.clone(), order: *order };
    fences.iter().map(edit).collect::<Vec<_>>().into()
}
