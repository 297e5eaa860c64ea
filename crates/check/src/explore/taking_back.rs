//! Rounds that are taken back, as if their threads had not been scheduled.

use super::rounds::Wait;
use super::{Clock, Event, Explore, Id, Kind, NOWHERE};
use crate::waiting::choice;
use racefuzz_trace::Point;
use smallvec::SmallVec;

impl Explore {
    /// Takes the last events of a thread back, which are the last of the graph.
    pub(super) fn take_back(&mut self, thread: u32, first: Id, start: u32) {
        if self.turn().is_some() {
            // What others would have done in the middle of the round stays.
            self.seal_copy();
            self.forget_hash();
            self.learn_middle(first);
        }
        let porf = self.graph.porf_before(first);
        let mut ord = match start {
            0 => Clock::default(),
            po => self.graph.event(self.graph.threads[thread as usize][po as usize - 1]).ord.clone(),
        };
        let joins: SmallVec<[Id; 2]> = self.graph.joins_of(first).collect();
        for join in &joins {
            ord.join(&self.graph.event(*join).ord);
        }
        let mut known: SmallVec<[(u32, Id); 4]> = SmallVec::new();
        let taken_back = &self.graph.events[first as usize..];
        let spurious = spurious_failures(taken_back);
        let choices = taken_back.iter().filter(|event| event.kind == Kind::Choice).count() as u32;
        let locs = taken_back.iter().map(|event| event.loc);
        let locs: SmallVec<[u32; 8]> = locs.filter(|loc| *loc != NOWHERE).collect();
        self.graph.truncate(first);
        // It knows the events taken back.
        self.order.clear();
        self.loaded = self.loaded.min(first);
        for loc in locs {
            if !known.iter().any(|(other, _)| *other == loc) {
                known.push((loc, self.graph.newest(loc)));
            }
        }
        self.left_here.truncate(self.left_before[first as usize] as usize);
        self.left_before.truncate(first as usize);
        self.steps.truncate(first as usize);
        let front = self.front(thread);
        front.done = start;
        front.choices -= choices;
        front.spurious -= spurious.min(front.spurious);
        front.occurrences.truncate(&front.sites, start as usize);
        front.trail.truncate(start as usize);
        front.sites.truncate(start as usize);
        (front.porf, front.ord, front.joins) = (porf, ord, joins);
        (front.wait, front.looked) = (Wait::News(known), start);
    }
}

/// How often events of a round were chosen to fail for no reason, which a thread does so often only: without the
/// round it has not.
pub(super) fn spurious_failures<'a>(round: impl IntoIterator<Item = &'a Event>) -> u32 {
    let chosen = round.into_iter().filter(|event| event.site == choice(Point::Spurious));
    chosen.map(|event| event.choice).sum()
}
