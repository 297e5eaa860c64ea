//! Executions as stretches of threads, and moving these together.

use super::Search;
use super::recording_explorer::Proposal;
use racefuzz_trace::{Choice, Point};

/// An execution: which thread runs for how many events, one stretch after another; and the choices
/// that are no threads, each known by its thread and its number there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The thread, its events in this stretch, and its events up to the end of it.
    stretches: Vec<(u32, u32, u32)>,
    value_choices: Vec<(u32, u32, Choice)>,
}

impl Plan {
    pub(super) fn len(&self) -> usize {
        self.stretches.len()
    }

    pub(super) fn switches(&self) -> usize {
        self.stretches.len().saturating_sub(1)
    }

    /// How odd the choices are that are no threads. A store that goes behind later ones is harder to
    /// imagine than a read that comes too early.
    pub(super) fn oddities(&self) -> usize {
        let odd = |choice: Choice| if choice.point() == Point::Place { 2 } else { 1 };
        self.value_choices.iter().map(|(_, _, choice)| odd(*choice)).sum()
    }

    /// The thread, and how many events it has executed when the stretch ends.
    pub(super) fn stretch(&self, index: usize) -> (u32, u32) {
        (self.stretches[index].0, self.stretches[index].2)
    }

    pub(super) fn side(&self, thread: u32, number: u32, point: Point, count: u32) -> u32 {
        let place = self.value_choices.binary_search_by_key(&(thread, number), |side| (side.0, side.1));
        let fits = place
            .ok()
            .map(|place| &self.value_choices[place])
            .filter(|side| side.2.point() == point && side.2.index() < count);
        fits.map_or(0, |side| side.2.index())
    }

    pub(super) fn note_side(&mut self, thread: u32, number: u32, choice: Choice) {
        self.value_choices.push((thread, number, choice));
    }

    pub(super) fn note_event(&mut self, thread: u32) {
        match self.stretches.last_mut() {
            Some(last) if last.0 == thread => last.1 += 1,
            _ => self.stretches.push((thread, 1, 0)),
        }
    }

    /// The plan of which each event is executed by the thread given here, with the same other choices.
    pub(crate) fn in_order(&self, threads: impl IntoIterator<Item = u32>) -> Self {
        let mut plan = Self { stretches: Vec::new(), value_choices: self.value_choices.clone() };
        threads.into_iter().for_each(|thread| plan.note_event(thread));
        plan.count();
        plan
    }

    /// The plan that takes the default in place of the choice with this number among those that are no
    /// threads and not the default, in the order in which they were made.
    pub(crate) fn without_side(&self, number: usize) -> Self {
        let mut plan = self.clone();
        plan.value_choices.remove(number);
        plan.count();
        plan
    }

    /// The plan with other stretches.
    fn with(&self, stretches: impl IntoIterator<Item = (u32, u32, u32)>) -> Self {
        let mut plan =
            Self { stretches: Vec::with_capacity(self.len()), value_choices: self.value_choices.clone() };
        for stretch in stretches {
            match plan.stretches.last_mut() {
                Some(last) if last.0 == stretch.0 => last.1 += stretch.1,
                _ => plan.stretches.push(stretch),
            }
        }
        plan.count();
        plan
    }

    /// Makes the plan ready to be followed: counts each thread's events up to the end of each stretch.
    fn count(&mut self) {
        self.value_choices.sort_unstable_by_key(|side| (side.0, side.1));
        let threads = self.stretches.iter().map(|stretch| stretch.0 as usize + 1).max().unwrap_or(0);
        let mut totals = vec![0; threads];
        for stretch in &mut self.stretches {
            totals[stretch.0 as usize] += stretch.1;
            stretch.2 = totals[stretch.0 as usize];
        }
    }

    /// Within a window every thread runs in one stretch.
    fn serialised(&self, from: usize, to: usize) -> Self {
        let window = &self.stretches[from..to];
        let mut order: Vec<u32> = Vec::new();
        for stretch in window {
            if !order.contains(&stretch.0) {
                order.push(stretch.0);
            }
        }
        let grouped = order.iter().flat_map(|thread| window.iter().filter(move |s| s.0 == *thread));
        let (before, behind) = (&self.stretches[..from], &self.stretches[to..]);
        self.with(before.iter().chain(grouped).chain(behind).copied())
    }

    /// The stretch at `from` put before the one at `to`.
    fn moved(&self, from: usize, to: usize) -> Self {
        let mut stretches = self.stretches.clone();
        let stretch = stretches.remove(from);
        stretches.insert(if to > from { to - 1 } else { to }, stretch);
        self.with(stretches)
    }
}

/// Moves stretches together, from large windows to single ones, then does without stale reads.
pub(super) fn search(search: &mut Search<'_, '_>) {
    windows(search);
    neighbours(search);
    anywhere(search);
    value_choices(search);
    ends(search);
}

fn propose(search: &mut Search<'_, '_>, plan: &Plan) -> bool {
    search.propose(Proposal::Plan(plan)).0
}

fn counted(search: &Search<'_, '_>) -> Plan {
    let mut plan = search.best.plan.clone();
    plan.count();
    plan
}

fn windows(search: &mut Search<'_, '_>) {
    let mut size = search.best.plan.len();
    while size > 2 {
        let mut from = 0;
        while from + 2 < search.best.plan.len() && !search.spent() {
            let plan = counted(search);
            let to = (from + size).min(plan.len());
            let proposal = plan.serialised(from, to);
            if proposal.len() == plan.len() || !propose(search, &proposal) {
                from += (size / 2).max(1);
            }
        }
        size /= 2;
    }
}

fn neighbours(search: &mut Search<'_, '_>) {
    let mut index = 0;
    while index + 1 < search.best.plan.len() && !search.spent() {
        let plan = counted(search);
        let thread = plan.stretches[index].0;
        let next = (index + 1..plan.len()).find(|next| plan.stretches[*next].0 == thread);
        let better = next.is_some_and(|next| {
            propose(search, &plan.moved(next, index + 1)) || propose(search, &plan.moved(index, next))
        });
        index = if better { index.saturating_sub(1) } else { index + 1 };
    }
}

/// Moves single stretches of short plans to every other place: threads that others wait for (a
/// join, a lock) then end when that costs no switch.
fn anywhere(search: &mut Search<'_, '_>) {
    const SHORT: usize = 40;
    let mut from = 0;
    while from < search.best.plan.len() && search.best.plan.len() <= SHORT {
        let plan = counted(search);
        let better = (0..=plan.len()).any(|to| {
            to != from && to != from + 1 && !search.spent() && propose(search, &plan.moved(from, to))
        });
        if !better {
            from += 1;
        }
    }
}

fn value_choices(search: &mut Search<'_, '_>) {
    let mut batch = search.best.plan.value_choices.len();
    while batch > 0 {
        let mut from = 0;
        while from < search.best.plan.value_choices.len() && !search.spent() {
            let mut plan = counted(search);
            plan.value_choices.drain(from..(from + batch).min(plan.value_choices.len()));
            if !propose(search, &plan) {
                from += batch;
            }
        }
        batch /= 2;
    }
}

/// From some stretch on everything by default.
fn ends(search: &mut Search<'_, '_>) {
    let mut cut = search.best.plan.len() / 2;
    let mut keep = 0;
    while cut > 0 && !search.spent() {
        let mut plan = counted(search);
        if keep + cut > plan.len() {
            return;
        }
        plan.stretches.truncate(keep + cut);
        if !propose(search, &plan) {
            keep += cut;
        }
        cut /= 2;
    }
}
