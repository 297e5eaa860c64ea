//! From events to the rows people read: what is shown, in which words, under which number.

mod fold;
mod select;
mod state;

pub(crate) use state::has_state;
#[cfg(feature = "json")]
pub(crate) use state::{States, is_lock};

use crate::action::{action, attempt};
use crate::anomaly::Finding;
use crate::decision;
use crate::explanation::{Anomaly, Row, RowKind};
use crate::view::{View, is_housekeeping};
use crate::words::{self, StepRef};
use fold::Piece;
use racefuzz_trace::{Event, FailureDetail, FailureKind, SiteId, ThreadEnd, ThreadId, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// Which events have rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Those that tell something, with loops folded.
    Telling,
    /// All.
    All,
}

/// Builds the rows and puts row numbers into the finding's texts.
pub(crate) fn build(view: &View<'_>, finding: &mut Finding, which: Rows) -> Vec<Row> {
    mark_stale(view, finding);
    let keys = keys(finding);
    let selected = match which {
        Rows::Telling => select::select(view, finding, &keys),
        Rows::All => view.events.iter().map(|event| event.step).collect(),
    };
    let orders = matters(view, finding, &selected);
    let texts: Vec<String> = selected.iter().map(|step| action(view, view.event(*step), orders)).collect();
    let pieces = match which {
        Rows::Telling => select::thin(fold::fold(view, &selected, &texts, &keys), view, finding, &keys),
        Rows::All => (0..selected.len()).map(Piece::Step).collect(),
    };
    let numbers: BTreeMap<u32, u32> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Step(index) => Some(selected[*index]),
            _ => None,
        })
        .zip(1..)
        .collect();
    finding.resolve(|step| numbers.get(&step).copied());
    let mut writer = Writer {
        view,
        finding,
        numbers: &numbers,
        states: state::States::new(view, &finding.objects),
        waits: waits(view, &selected),
        rows: Vec::new(),
        last: None,
    };
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Step(index) => writer.step(selected[*index], &texts[*index]),
            Piece::Repeat { from, of, times } => {
                let thread = view.event(selected[*from]).thread;
                writer.repeat(thread, *of, *times);
            }
            Piece::Gap(hidden) => writer.gap(*hidden, at),
        }
    }
    writer.finish();
    writer.rows
}

/// A read that did not return the newest value surprises everybody, so it is always marked, and so
/// is a store that did not become the newest.
fn mark_stale(view: &View<'_>, finding: &mut Finding) {
    for event in view.events {
        let Some(newest) = view.newer(event) else { continue };
        let shown = finding.objects.iter().any(|object| event.object == Some(*object));
        if shown && !finding.marks.iter().any(|(step, _)| *step == event.step) {
            finding.marks.push((event.step, stale(view, event, newest)));
        }
    }
}

/// What is to be said of an event that does not know of a newer write.
fn stale(view: &View<'_>, event: &Event, newest: &Event) -> String {
    let newer = StepRef(newest.step);
    match view.is_late(event) {
        true => format!("goes before step {newer}: {} stays", view.wrote(newest)),
        false => format!("stale: step {newer} wrote {}", view.wrote(newest)),
    }
}

/// The events that the story refers to; they are shown whatever they are.
fn keys(finding: &Finding) -> BTreeSet<u32> {
    let marks = finding.marks.iter();
    let mut keys: BTreeSet<u32> = finding.keys.iter().copied().collect();
    keys.extend(words::references(&finding.paragraph));
    for (step, text) in marks {
        keys.insert(*step);
        keys.extend(words::references(text));
    }
    keys
}

/// Whether memory orderings are part of the story.
fn matters(view: &View<'_>, finding: &Finding, selected: &[u32]) -> bool {
    matches!(finding.anomaly, Anomaly::DataRace | Anomaly::UnsafePublication)
        || selected.iter().any(|step| view.event(*step).newer.is_some())
}

/// A thread that could not go on, from a point of the execution on.
struct Wait {
    since: u32,
    thread: ThreadId,
    site: SiteId,
    text: String,
}

/// The waits, in the order in which they began.
fn waits(view: &View<'_>, selected: &[u32]) -> Vec<Wait> {
    let words = |thread: ThreadId, verb, object, holder: Option<ThreadId>| {
        let what = attempt(view, verb, object);
        match holder {
            Some(holder) if holder == thread => format!("{what}: waits for itself"),
            Some(holder) => format!("{what}: waits for {}", view.thread(holder)),
            None => format!("{what}: waits"),
        }
    };
    let mut waits = Vec::new();
    for (index, step) in selected.iter().enumerate() {
        let event = view.event(*step);
        // What an access waits for is the end of a scope before it.
        let Some(waited) = event.waited.filter(|_| !view.is_data(event)) else { continue };
        // With nothing shown in between, the wait explains nothing.
        if index > 0 && selected[index - 1] >= waited.since {
            let text = words(event.thread, event.verb, event.object, waited.holder);
            waits.push(Wait { since: waited.since, thread: event.thread, site: event.site, text });
        }
    }
    let deadlock = view.failure.kind == FailureKind::Deadlock;
    let in_cycle = |thread: ThreadId| match &view.failure.detail {
        FailureDetail::Deadlock { cycle, .. } => cycle.contains(&thread),
        _ => false,
    };
    let has_rows = |thread| selected.iter().any(|step| view.event(*step).thread == thread);
    for thread in &view.trace.threads {
        let ThreadEnd::Blocked { verb, object, waiting, site } = &thread.end else { continue };
        if in_cycle(thread.id) || (deadlock || has_rows(thread.id)) && *verb != Verb::Join {
            let text = words(thread.id, *verb, *object, waiting.holder);
            waits.push(Wait { since: waiting.since, thread: thread.id, site: *site, text });
        }
    }
    waits.sort_by_key(|wait| (wait.since, wait.thread));
    waits
}

struct Writer<'v, 'a> {
    view: &'v View<'a>,
    finding: &'v Finding,
    numbers: &'v BTreeMap<u32, u32>,
    states: state::States,
    waits: Vec<Wait>,
    rows: Vec<Row>,
    /// The event of the last row that shows one, while no other row has explained a switch.
    last: Option<u32>,
}

impl Writer<'_, '_> {
    fn push(&mut self, kind: RowKind, thread: Option<ThreadId>, text: String) {
        let (number, event, site, states, marks) = (None, None, None, Vec::new(), Vec::new());
        self.rows.push(Row { kind, number, event, thread, site, text, states, marks });
    }

    /// Says where the last row stands in the source.
    fn site(&mut self, site: SiteId) {
        if let Some(row) = self.rows.last_mut() {
            row.site = Some(site);
        }
    }

    fn step(&mut self, step: u32, text: &str) {
        self.begin_waits(step);
        let event = self.view.event(step);
        if let Some(last) = self.last.map(|last| self.view.event(last))
            && last.thread != event.thread
        {
            let text = format!("switch ({})", reason(self.view, last, event));
            self.push(RowKind::Switch, Some(last.thread), text);
        }
        let marks = self.finding.marks.iter().filter(|(marked, _)| *marked == step);
        let mut marks: Vec<String> = marks.map(|(_, text)| text.clone()).collect();
        // Beside the story, a row that is there anyway says so if the other one is there, too.
        let newer = self.view.newer(event).filter(|newest| self.numbers.contains_key(&newest.step));
        let beside = newer.filter(|_| marks.is_empty()).map(|newest| stale(self.view, event, newest));
        marks.extend(beside.map(|text| words::resolve(&text, |step| self.numbers.get(&step).copied())));
        // A row that is marked anyway is found by its number.
        let decides = self.view.failure.decision.as_ref().is_some_and(|decision| decision.step == step);
        if decides && marks.is_empty() {
            marks.push(decision::MARK.to_owned());
        }
        self.rows.push(Row {
            kind: RowKind::Step,
            number: self.numbers.get(&step).copied(),
            event: Some(step),
            thread: Some(event.thread),
            site: Some(event.site),
            text: text.to_owned(),
            states: self.states.after(self.view, step).to_vec(),
            marks,
        });
        self.last = Some(step);
        self.end_if_last(event);
    }

    /// Shows the waits that began before the event.
    fn begin_waits(&mut self, step: u32) {
        let due = self.waits.iter().take_while(|wait| wait.since <= step).count();
        for wait in self.waits.drain(..due).collect::<Vec<_>>() {
            if self.last.is_some_and(|last| self.view.event(last).thread == wait.thread) {
                self.last = None;
            }
            self.push(RowKind::Wait, Some(wait.thread), wait.text);
            self.site(wait.site);
        }
    }

    /// Says how a thread ended, after its last event, where it did not simply return.
    fn end_if_last(&mut self, event: &Event) {
        // What a thread does behind the failure is no part of the story, nor is how it ends then.
        let all = &self.view.trace.events;
        if all[self.view.events.len()..].iter().any(|other| other.thread == event.thread) {
            return;
        }
        let later = |other: &&Event| other.thread == event.thread && other.step > event.step;
        if self.view.events.iter().filter(later).any(|other| !is_housekeeping(other.verb)) {
            return;
        }
        let text = match self.view.trace.thread(event.thread).end {
            // The fault that was injected has its own row already.
            ThreadEnd::Killed | ThreadEnd::Panicked(_) if event.verb == Verb::Note && !event.ok => return,
            ThreadEnd::Killed => "killed".to_owned(),
            ThreadEnd::Panicked(_) if event.thread != self.view.failure.thread => "panics".to_owned(),
            ThreadEnd::Finished if self.view.failure.kind == FailureKind::Deadlock => {
                let held = self.view.held(event.thread, u32::MAX);
                let Some(lock) = held.last() else { return };
                format!("ends with {} held", self.view.names.object(lock.object))
            }
            _ => return,
        };
        self.push(RowKind::End, Some(event.thread), text);
        self.last = None;
    }

    fn repeat(&mut self, thread: ThreadId, of: usize, times: usize) {
        let text = match of {
            1 => format!("... repeated {} times", words::number(times as u64)),
            of => format!("... {of} steps repeated {} times", words::number(times as u64)),
        };
        self.push(RowKind::Repeat, Some(thread), text);
    }

    fn gap(&mut self, hidden: usize, at: usize) {
        let place = if at == 0 { "before" } else { "in between" };
        let text = format!("... {} {place}", words::count(hidden as u64, "step", "steps"));
        self.push(RowKind::Gap, None, text);
        self.last = None;
    }

    fn finish(&mut self) {
        self.begin_waits(u32::MAX);
        let thread = self.view.failure.thread;
        let has_rows = self.rows.iter().any(|row| row.thread == Some(thread));
        match &self.view.failure.detail {
            FailureDetail::Panic { at_end: false, site } if has_rows => {
                self.push(RowKind::End, Some(thread), "panics".to_owned());
                site.iter().for_each(|site| self.site(*site));
            }
            FailureDetail::Exit { code } if has_rows => {
                self.push(RowKind::End, Some(thread), format!("exits with code {code}"));
            }
            // The fatal access itself was stopped before it became an event.
            FailureDetail::UseAfterFree { object, used: access, .. }
            | FailureDetail::DataRace { object, second: access, .. }
                if self.view.executed(access).is_none() =>
            {
                let text = attempt(self.view, access.verb, Some(*object));
                self.push(RowKind::End, Some(access.thread), text);
                self.site(access.site);
            }
            _ => {}
        }
    }
}

/// Why the execution left the thread of `from` for that of `to`.
fn reason(view: &View<'_>, from: &Event, to: &Event) -> String {
    let name = view.thread(from.thread);
    let rest = || view.trace.events[from.step as usize + 1..].iter().filter(|e| e.thread == from.thread);
    let own = view.trace.events[from.step as usize..to.step as usize].iter().rev();
    let verbs = own.filter(|event| event.thread == from.thread).map(|event| event.verb);
    let left = verbs.into_iter().find(|verb| matches!(verb, Verb::Await | Verb::Sleep | Verb::Yield));
    let why = match left {
        Some(Verb::Await) => Some("awaits"),
        Some(Verb::Sleep) => Some("sleeps"),
        Some(Verb::Yield) => Some("yields"),
        _ => None,
    };
    if let Some(why) = why {
        return format!("{name} {why}");
    }
    if let Some(next) = rest().find(|event| !is_housekeeping(event.verb) || event.waited.is_some()) {
        let holder = next.waited.filter(|waited| waited.since <= to.step).and_then(|waited| waited.holder);
        return match holder {
            Some(holder) => format!("{name} waits for {}", view.thread(holder)),
            None => format!("{name} was delayed"),
        };
    }
    match &view.trace.thread(from.thread).end {
        ThreadEnd::Finished => format!("{name} finished"),
        ThreadEnd::Killed => format!("{name} was killed"),
        ThreadEnd::Panicked(_) if from.thread != view.failure.thread => format!("{name} panicked"),
        _ => format!("{name} was delayed"),
    }
}
