//! A program that does not repeat the events of its graph: where it leaves them, and what it does there.

use super::{Event, Explore, Kind, OTHER_OBJECT};
use racefuzz_runtime::{Access, Standing, Step};
use racefuzz_trace::Verb;

/// Where a program has left the events that it was to repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Departure {
    /// The event that was there before, in words.
    pub(crate) expected: String,
    /// What the program did instead.
    pub(crate) found: String,
    /// Whether that is the last event of the execution; else nothing happened any more.
    pub(crate) happened: bool,
}

impl Explore {
    /// The running execution is not the one of its graph: `thread` did `found` where the graph has
    /// something else.
    #[cold]
    pub(super) fn departs(&mut self, thread: u32, found: impl FnOnce() -> String) {
        if !std::mem::replace(&mut self.diverged, true) {
            let expected = self.expected_event(thread);
            self.departure = Some(Departure { expected, found: found(), happened: true });
        }
    }

    /// The operation is another one than that of the graph, or on another object.
    #[cold]
    pub(super) fn departs_by(&mut self, access: &Access<'_>, what: &str) {
        let thread = self.threads[access.thread as usize];
        let found = operation(access.thread, access.verb);
        self.departs(thread, || format!("{found}{what}"));
    }

    /// The operation on a state word is on another object than that of the graph.
    #[cold]
    pub(super) fn departs_on_other(&mut self, step: &Step<'_>) {
        let thread = self.threads[step.thread as usize];
        let found = operation(step.thread, step.op.verb);
        self.departs(thread, || format!("{found}{OTHER_OBJECT}"));
    }

    /// No thread can execute what the graph holds.
    #[cold]
    pub(super) fn departs_in_silence(&mut self, standing: &Standing<'_>) {
        let is_left = |thread: &u32| {
            let front = &self.fronts[*thread as usize];
            (front.done as usize) < self.graph.threads[*thread as usize].len()
        };
        let thread = (0..self.started as u32).find(is_left);
        let found = thread.map_or_else(
            || "thread that was not created".to_owned(),
            |thread| {
                let runs_as = self.fronts[thread as usize].runs_as;
                match standing.is_live(runs_as) {
                    true => format!("{} waited", name(runs_as)),
                    false => format!("{} had ended", name(runs_as)),
                }
            },
        );
        self.departs(thread.unwrap_or(0), || found);
        if let Some(departure) = &mut self.departure {
            departure.happened = false;
        }
    }

    fn expected_event(&self, thread: u32) -> String {
        let runs_as = self.fronts[thread as usize].runs_as;
        let done = self.fronts[thread as usize].done as usize;
        let event = self.graph.threads[thread as usize].get(done).map(|id| self.graph.event(*id));
        match event {
            None => format!("{} had ended", name(runs_as)),
            Some(event) if event.kind == Kind::Choice => format!("{}: a choice", name(runs_as)),
            Some(event) => format!("{}{}", operation(runs_as, event.verb), came_of(event)),
        }
    }
}

/// What came of an operation that may succeed or fail.
fn came_of(event: &Event) -> &'static str {
    let may_fail = matches!(event.verb, Verb::CompareExchange | Verb::CompareExchangeWeak);
    match event.kind == Kind::Read && may_fail {
        true if event.rmw => ", which succeeded",
        true => ", which failed",
        false => "",
    }
}

/// An operation of a thread, in words.
pub(super) fn operation(runs_as: u32, verb: Verb) -> String {
    format!("{}: {}", name(runs_as), verb.word())
}

fn name(runs_as: u32) -> String {
    match runs_as {
        0 => "main".to_owned(),
        number => format!("thread {number}"),
    }
}
