//! Rounds that are taken back, as if their threads had not been scheduled.

use super::rounds::Wait;
use super::stutter::After;
use super::{Clock, Explore, Id, NOWHERE};
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
        let spurious = taken_back.iter().filter(|event| event.site == choice(Point::Spurious));
        let spurious: u32 = spurious.map(|event| event.choice).sum();
        let locs = taken_back.iter().map(|event| event.loc);
        let locs: SmallVec<[u32; 8]> = locs.filter(|loc| *loc != NOWHERE).collect();
        self.graph.truncate(first);
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
        front.spurious -= spurious.min(front.spurious);
        front.trail.truncate(start as usize);
        front.sites.truncate(start as usize);
        (front.porf, front.ord, front.joins) = (porf, ord, joins);
        (front.wait, front.looked) = (Wait::News(known), start);
    }

    /// Goes on quietly behind a dead end, as if the round had never been, to find out whether its thread
    /// remembers it.
    pub(super) fn leave_dead_end(&mut self) {
        let Some((thread, start)) = self.dead_end.take() else { return };
        let first = self.graph.threads[thread as usize][start as usize];
        let events_behind = self.graph.len() - first;
        let values = self.fronts[thread as usize].taken_back.values;
        let is_last = events_behind == self.fronts[thread as usize].done - start;
        if !is_last || self.learned.is_some() || !self.examines || self.is_examined(values) {
            return;
        }
        // What was left of the round stays: with another way behind, it may succeed.
        self.seal_copy();
        self.take_back(thread, first, start);
        if self.graph.ordered {
            // What it read was before what came behind that.
            self.graph.reorder(None);
            for thread in 0..self.started as u32 {
                if let Some(last) = self.last_event(thread) {
                    let ord = self.graph.event(last).ord.clone();
                    self.front(thread).ord = ord;
                }
            }
        }
        self.given = self.graph.len();
        self.changed = 0..0;
        self.front(thread).wait = Wait::No;
        self.dead = !self.stutters(thread, After::Done);
    }
}
