//! Every execution with none, one, two choices other than the default, where these are not many:
//! first choices of threads alone, then with stale reads and other oddities among them.

use super::recording_explorer::Proposal;
use super::{Search, is_side};
use racefuzz_trace::{Choice, Point};

/// Executions this may take.
const LIMIT: usize = 1_200;

/// An execution that was tried: its choices up to the last that is not the default, and what could
/// have been chosen at each.
struct Tried {
    choices: Vec<Choice>,
    arities: Vec<(Point, u32)>,
}

impl Tried {
    /// The number of executions with one more choice that is not the default.
    fn successors(&self, may: fn(Point) -> bool) -> usize {
        self.arities[self.choices.len().min(self.arities.len())..]
            .iter()
            .filter(|(point, _)| may(*point))
            .map(|(_, count)| *count as usize - 1)
            .sum()
    }
}

pub(super) fn search(search: &mut Search<'_, '_>) {
    let (better, track) = search.propose(Proposal::Choices(&[]));
    if better {
        return;
    }
    let root = || vec![Tried { choices: Vec::new(), arities: track.arities.clone() }];
    if !levels(search, root(), |point| !is_side(point)) {
        levels(search, root(), |_| true);
    }
}

/// Tries one and two more choices, of such points. Whether it found a better execution.
fn levels(search: &mut Search<'_, '_>, mut level: Vec<Tried>, may: fn(Point) -> bool) -> bool {
    let mut left = LIMIT;
    for _ in 0..2 {
        let total: usize = level.iter().map(|tried| tried.successors(may)).sum();
        if total > left {
            return false;
        }
        left -= total;
        let mut found = false;
        let mut next = Vec::with_capacity(total);
        for tried in &level {
            for place in tried.choices.len()..tried.arities.len() {
                let (point, count) = tried.arities[place];
                if !may(point) {
                    continue;
                }
                for index in 1..count {
                    if search.spent() {
                        return found;
                    }
                    let mut choices = tried.choices.clone();
                    choices.resize(place, Choice::DEFAULT);
                    choices.push(Choice::new(point, index));
                    let (better, track) = search.propose(Proposal::Choices(&choices));
                    found |= better;
                    let arities = track.arities;
                    next.push(Tried { choices, arities });
                }
            }
        }
        if found {
            return true;
        }
        level = next;
    }
    false
}
