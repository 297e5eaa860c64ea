//! The failing execution, as the page steps through it.

use super::sources::Files;
use crate::action::{action, attempt};
use crate::format::story::Story;
use crate::rows::{States, has_state, is_lock};
use crate::view::is_housekeeping;
use crate::{Row, RowKind};
use racefuzz_trace::{Event, ObjectId, OpKind, Passes, ReadsFrom, Share, ThreadEnd};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// The execution.
#[derive(Serialize)]
pub(in crate::format) struct Stepping {
    threads: Vec<Thread>,
    pub(in crate::format) objects: Vec<Object>,
    /// The events that can be stepped to, in order.
    pub(in crate::format) events: Vec<Shown>,
    rows: Vec<Line>,
    pub(in crate::format) waits: Vec<Wait>,
    /// Pairs of steps: a store and the one behind it in modification order.
    modification: Vec<(u32, u32)>,
    /// Pairs of steps: one synchronises with the other.
    synchronizes: Vec<(u32, u32)>,
    decision: Option<Decided>,
}

#[derive(Serialize)]
struct Thread {
    name: String,
    /// Whether it has a column.
    column: bool,
}

#[derive(Serialize)]
pub(in crate::format) struct Object {
    pub(in crate::format) name: String,
    kind: &'static str,
    pub(in crate::format) lock: bool,
    /// Whether the story is about it.
    pub(in crate::format) story: bool,
    pub(in crate::format) initial: String,
}

/// An event.
#[derive(Serialize)]
pub(in crate::format) struct Shown {
    pub(in crate::format) step: u32,
    thread: u32,
    text: String,
    order: &'static str,
    place: Option<(usize, u32, u32)>,
    /// What objects hold once it is done, where that is another value than at the event before: the
    /// object's index, and the value.
    pub(in crate::format) sets: Vec<(usize, String)>,
    /// The step of the store that it read, -1 for an initial value.
    reads: Option<i64>,
    /// The store that it missed.
    missed: Option<u32>,
    /// The events of the page that happen before it; none where that is not known.
    after: Option<Vec<u32>>,
    /// Whether it only manages threads.
    quiet: bool,
}

/// A row.
#[derive(Serialize)]
struct Line {
    kind: RowKind,
    number: Option<u32>,
    step: Option<u32>,
    thread: Option<u32>,
    text: String,
    marks: Vec<String>,
    place: Option<(usize, u32, u32)>,
    /// Events between this row and the next one that are not shown, as far as the page has them.
    hidden: Vec<u32>,
    /// How many more there are.
    more: usize,
}

/// A thread that could not go on.
#[derive(Serialize)]
pub(in crate::format) struct Wait {
    pub(in crate::format) thread: u32,
    pub(in crate::format) text: String,
    object: Option<usize>,
    pub(in crate::format) holder: Option<u32>,
    /// The step before which it could not go on.
    pub(in crate::format) since: u32,
    /// The step with which it went on, if it did.
    pub(in crate::format) until: Option<u32>,
}

/// Where the failure was decided.
#[derive(Serialize)]
struct Decided {
    sentence: Option<String>,
    step: u32,
    /// Shares of failing schedules among those that begin with all steps before this one; the number of
    /// steps is that of rows.
    curve: Vec<(u32, f64)>,
    /// Two steps that come in the other order in an execution that passes.
    swapped: Option<(u32, u32)>,
    /// A load that reads the newest store in an execution that passes.
    newest: Option<u32>,
}

/// Hidden events that a page holds between two rows.
const MOST_HIDDEN: usize = 40;
/// And in all.
const MOST_EVENTS: usize = 600;

pub(in crate::format) fn stepping(story: &Story<'_>, files: &mut Files<'_>) -> Stepping {
    let view = &story.view;
    let objects: Vec<ObjectId> = (0..view.trace.objects.len() as u32)
        .map(ObjectId)
        .filter(|object| has_state(view, *object))
        .collect();
    let index: HashMap<ObjectId, usize> = objects.iter().copied().zip(0..).collect();
    let mut rows = lines(story, files);
    let chosen = chosen(story, &mut rows);
    let columns = story.told.threads();
    let mut states = States::new(view, &objects);
    let mut held = states.now().to_vec();
    let initial = held.clone();
    let events = chosen.iter().map(|step| {
        let event = view.event(*step);
        let sets = changes(&mut held, states.after(view, *step));
        Shown {
            step: *step,
            thread: event.thread.0,
            text: action(view, event, false),
            // That of a variable is not the program's choice.
            order: if event.verb.is_atomic() || event.kind == OpKind::Fence {
                event.order.name()
            } else {
                ""
            },
            place: story.site(event.site).map(|site| files.place(site)),
            sets,
            reads: event.reads_from.filter(|_| view.is_data(event)).map(|from| match from {
                ReadsFrom::Initial => -1,
                ReadsFrom::Step(step) => i64::from(step),
            }),
            missed: event.newer.filter(|_| view.is_stale(event)),
            after: before(story, &chosen, *step),
            quiet: is_housekeeping(event.verb),
        }
    });
    let events: Vec<Shown> = events.collect();
    let known = |pair: &(u32, u32)| chosen.contains(&pair.0) && chosen.contains(&pair.1);
    let pairs =
        |edges: &[crate::graph::Edge]| edges.iter().map(|edge| (edge.from, edge.to)).filter(known).collect();
    let object = |(id, initial): (&ObjectId, String)| Object {
        name: view.names.object(*id).to_owned(),
        kind: view.kind(*id).word(),
        lock: is_lock(view.kind(*id)),
        story: story.told.objects.contains(id),
        initial,
    };
    Stepping {
        threads: view
            .trace
            .threads
            .iter()
            .map(|thread| Thread {
                name: view.thread(thread.id).to_owned(),
                column: columns.contains(&thread.id),
            })
            .collect(),
        objects: objects.iter().zip(initial).map(object).collect(),
        waits: waits(story, &index),
        modification: pairs(&story.graph.modification),
        synchronizes: pairs(&story.graph.synchronizes),
        decision: decided(story),
        events,
        rows,
    }
}

fn lines(story: &Story<'_>, files: &mut Files<'_>) -> Vec<Line> {
    let line = |row: &Row| Line {
        kind: row.kind,
        number: row.number,
        step: row.event,
        thread: row.thread.map(|thread| thread.0),
        text: row.text.clone(),
        marks: row.marks.clone(),
        place: row.site.and_then(|site| story.site(site)).map(|site| files.place(site)),
        hidden: Vec::new(),
        more: 0,
    };
    story.told.rows.iter().map(line).collect()
}

/// The events on the page: those with rows, what is folded or left out between them, as far as there is
/// room, and what is told of a repair. Says which are hidden behind each row.
fn chosen(story: &Story<'_>, rows: &mut [Line]) -> BTreeSet<u32> {
    let mut chosen: BTreeSet<u32> = rows.iter().filter_map(|row| row.step).collect();
    let shown: Vec<u32> = chosen.iter().copied().collect();
    let end = story.view.events.len() as u32;
    let mut room = MOST_EVENTS;
    let starts = std::iter::once(None).chain(shown.iter().copied().map(Some));
    let ends = shown.iter().copied().chain([end]);
    for (from, to) in starts.zip(ends) {
        let hidden: Vec<u32> = (from.map_or(0, |from| from + 1)..to).collect();
        let kept = hidden.len().min(MOST_HIDDEN).min(room);
        room -= kept;
        // Behind the last row of what stands before them: a fold or a gap, where there is one.
        let at = rows.iter().position(|row| row.step == Some(to)).unwrap_or(rows.len());
        let folded = rows[..at].iter().rposition(|row| matches!(row.kind, RowKind::Repeat | RowKind::Gap));
        let shown = from.and_then(|from| rows.iter().position(|row| row.step == Some(from)));
        let Some(row) = folded.filter(|folded| shown.is_none_or(|shown| *folded > shown)).or(shown) else {
            continue;
        };
        rows[row].more = hidden.len() - kept;
        rows[row].hidden = hidden[..kept].to_vec();
        chosen.extend(&rows[row].hidden);
    }
    chosen
}

/// What differs from what is known, which is brought up to date.
fn changes(known: &mut [String], now: &[String]) -> Vec<(usize, String)> {
    let mut changes = Vec::new();
    for (at, (known, now)) in known.iter_mut().zip(now).enumerate().filter(|(_, (known, now))| known != now) {
        known.clone_from(now);
        changes.push((at, now.clone()));
    }
    changes
}

/// The events of the page that happen before one; `None` where that is not known.
fn before(story: &Story<'_>, chosen: &BTreeSet<u32>, step: u32) -> Option<Vec<u32>> {
    let rows = story.told.rows.iter().filter_map(|row| row.event).filter(|event| chosen.contains(event));
    let mut before = Vec::new();
    for first in rows {
        if story.graph.happens_before(&story.view, first, step)? {
            before.push(first);
        }
    }
    Some(before)
}

fn waits(story: &Story<'_>, index: &HashMap<ObjectId, usize>) -> Vec<Wait> {
    let view = &story.view;
    let of_event = |event: &Event| {
        let waited = event.waited?;
        Some(Wait {
            thread: event.thread.0,
            text: attempt(view, event.verb, event.object),
            object: event.object.and_then(|object| index.get(&object).copied()),
            holder: waited.holder.map(|holder| holder.0),
            since: waited.since,
            until: Some(event.step),
        })
    };
    let mut waits: Vec<Wait> = view.events.iter().filter_map(of_event).collect();
    for thread in &view.trace.threads {
        if let ThreadEnd::Blocked { verb, object, waiting, .. } = &thread.end {
            waits.push(Wait {
                thread: thread.id.0,
                text: attempt(view, *verb, *object),
                object: object.and_then(|object| index.get(&object).copied()),
                holder: waiting.holder.map(|holder| holder.0),
                since: waiting.since,
                until: None,
            });
        }
    }
    waits.sort_by_key(|wait| (wait.since, wait.thread));
    waits.truncate(MOST_EVENTS);
    waits
}

fn decided(story: &Story<'_>) -> Option<Decided> {
    let decision = story.failure.decision.as_ref()?;
    // How many rows with numbers come before an event.
    let rows = |step: u32| story.steps().filter(|(_, event)| event.step < step).count() as u32;
    let share = |share: Share| share.value();
    let mut curve = vec![(0, share(decision.start))];
    for (step, measured) in &decision.measured {
        // Of places without a row in between the last one counts.
        if (1..rows(decision.step)).contains(&rows(*step)) {
            curve.retain(|(known, _)| *known != rows(*step));
            curve.push((rows(*step), share(*measured)));
        }
    }
    if rows(decision.step) > 0 {
        curve.push((rows(decision.step), share(decision.before)));
    }
    curve.push((rows(decision.step + 1).max(rows(decision.step) + 1), share(decision.after)));
    let (swapped, newest) = match decision.passes {
        Some(Passes::Swapped { first, second }) => (Some((first, second)), None),
        Some(Passes::Newest { step }) => (None, Some(step)),
        _ => (None, None),
    };
    Some(Decided { sentence: story.told.decision.clone(), step: decision.step, curve, swapped, newest })
}
