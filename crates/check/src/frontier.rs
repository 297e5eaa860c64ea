//! What is left to explore: units of work, in the order of the exploration.
//!
//! Workers take units in any order; what they came to leaves in the order of the exploration, so that
//! counts and the first failure are the same for any number of workers.

use crate::unit::Done;
use crate::work_item::WorkItem;
use std::collections::BTreeMap;

/// Units that the rest of a unit is split into.
const PIECES: usize = 4;

/// A unit's place in the order of the exploration.
pub(crate) type Place = Vec<u32>;

#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Unit {
    Waiting(Vec<WorkItem>),
    /// Somebody explores it; until that is done it counts as unexplored.
    Taken(Vec<WorkItem>),
    Done(Box<Done>),
}

#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Frontier {
    units: BTreeMap<Place, Unit>,
}

impl Frontier {
    /// All is to be explored, from the empty graph on.
    pub(crate) fn whole() -> Self {
        Self { units: BTreeMap::from([(Place::new(), Unit::Waiting(vec![WorkItem::root()]))]) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The first unit that nobody works at, if there is one.
    pub(crate) fn take(&mut self) -> Option<(Place, Vec<WorkItem>)> {
        let (place, unit) = self.units.iter_mut().find(|(_, unit)| matches!(unit, Unit::Waiting(_)))?;
        let Unit::Waiting(items) = std::mem::replace(unit, Unit::Taken(Vec::new())) else {
            unreachable!("just seen")
        };
        *unit = Unit::Taken(items.clone());
        Some((place.clone(), items))
    }

    /// Whoever worked at a unit does so no more.
    #[cfg(feature = "checkpoint")]
    pub(crate) fn abandon(&mut self) {
        for unit in self.units.values_mut() {
            if let Unit::Taken(items) = unit {
                *unit = Unit::Waiting(std::mem::take(items));
            }
        }
    }

    /// Hands in what a unit came to. What it left undone becomes units right behind it.
    pub(crate) fn hand_in(&mut self, place: Place, mut done: Done) {
        let mut rest = std::mem::take(&mut done.rest);
        let size = rest.len().div_ceil(PIECES);
        let mut piece = 0;
        while !rest.is_empty() {
            // The last graph is the next: pieces from the end come first.
            let items = rest.split_off(rest.len().saturating_sub(size));
            let mut place = place.clone();
            place.push(piece);
            self.units.insert(place, Unit::Waiting(items));
            piece += 1;
        }
        if let Some(Unit::Taken(items)) = self.units.remove(&place) {
            done.start = items;
        }
        self.units.insert(place, Unit::Done(Box::new(done)));
    }

    /// What the first unit of all came to, if it is done; it leaves.
    pub(crate) fn next_done(&mut self) -> Option<Done> {
        let first = self.units.first_entry().filter(|entry| matches!(entry.get(), Unit::Done(_)))?;
        let Unit::Done(done) = first.remove() else { unreachable!("just seen") };
        Some(*done)
    }

    /// What all units that are done came to, where the rest will not be explored.
    pub(crate) fn into_done(self) -> impl Iterator<Item = Done> {
        self.units.into_values().filter_map(|unit| match unit {
            Unit::Done(done) => Some(*done),
            Unit::Waiting(_) | Unit::Taken(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    fn rest(graphs: usize) -> Done {
        Done { rest: (0..graphs).map(|_| WorkItem::root()).collect(), ..Done::default() }
    }

    fn counted(executions: u64) -> Done {
        Done { executions, ..Done::default() }
    }

    #[test]
    fn what_is_done_leaves_in_the_order_of_the_exploration() {
        let mut frontier = Frontier::whole();
        let (root, _) = frontier.take().unwrap();
        frontier.hand_in(root, rest(2));
        assert!(frontier.next_done().is_some(), "the first unit");
        let (first, _) = frontier.take().unwrap();
        let (second, _) = frontier.take().unwrap();
        assert!(frontier.take().is_none());
        frontier.hand_in(second, counted(2));
        assert!(frontier.next_done().is_none(), "the one before it is not done");
        frontier.hand_in(first, counted(1));
        assert_eq!(frontier.next_done().map(|done| done.executions), Some(1));
        assert_eq!(frontier.next_done().map(|done| done.executions), Some(2));
        assert!(frontier.is_empty());
    }

    #[test]
    fn the_rest_of_a_unit_comes_right_behind_it() {
        let mut frontier = Frontier::whole();
        let (root, _) = frontier.take().unwrap();
        frontier.hand_in(root, rest(2));
        let (first, _) = frontier.take().unwrap();
        let (second, _) = frontier.take().unwrap();
        frontier.hand_in(second, counted(3));
        frontier.hand_in(first.clone(), Done { executions: 1, ..rest(1) });
        let (rest, _) = frontier.take().unwrap();
        assert!(rest.starts_with(&first));
        frontier.hand_in(rest, counted(2));
        let executions: Vec<u64> =
            std::iter::from_fn(|| frontier.next_done()).map(|done| done.executions).collect();
        assert_eq!(executions, [0, 1, 2, 3]);
    }

    #[cfg(feature = "checkpoint")]
    #[test]
    fn an_abandoned_unit_can_be_taken_again() {
        let mut frontier = Frontier::whole();
        frontier.take().unwrap();
        assert!(frontier.take().is_none());
        frontier.abandon();
        assert_eq!(frontier.take().map(|(_, items)| items.len()), Some(1));
    }

    #[test]
    fn the_last_graph_of_a_rest_is_the_next() {
        let mut frontier = Frontier::whole();
        let (root, _) = frontier.take().unwrap();
        let mut items: Vec<WorkItem> = (0..8).map(|_| WorkItem::root()).collect();
        items[7] = WorkItem::of(Graph::new(), Some(7));
        items[6] = WorkItem::of(Graph::new(), Some(6));
        frontier.hand_in(root, Done { rest: items, ..Done::default() });
        let (_, next) = frontier.take().unwrap();
        assert_eq!(next.iter().map(|item| item.revisited()).collect::<Vec<_>>(), [Some(6), Some(7)]);
    }
}
