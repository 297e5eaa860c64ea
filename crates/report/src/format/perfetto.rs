//! Chrome's trace events, which Perfetto and `chrome://tracing` open: a track for each thread, a slice
//! for each step, flow arrows from stores to the loads that return them and from wake-ups to what they
//! wake. There is no time in an execution; a step takes a microsecond.
//!
//! The form is that of "Trace Event Format" (Chromium project).

use super::json;
use super::story::Story;
use crate::Document;
use crate::action::{action, attempt};
use crate::view::writes;
use racefuzz_trace::{Event, ThreadEnd, ThreadId, Value};
use serde_json::{Map, Value as Json, json};

pub(super) fn render(document: &Document<'_>) -> String {
    let mut events = Vec::new();
    for (number, failure) in (1..).zip(document.content.failures()) {
        let story = Story::new(failure, document.sources);
        Track { story: &story, process: number }.write(&mut events);
    }
    let program = document.content.program();
    json::pretty(&json!({
        "displayTimeUnit": "ns",
        "otherData": { "tool": "racefuzz", "program": program, "time": "a microsecond for each step" },
        "traceEvents": events,
    }))
}

/// A failure as a process of the trace.
struct Track<'s, 'a> {
    story: &'s Story<'a>,
    process: u32,
}

impl Track<'_, '_> {
    fn write(&self, out: &mut Vec<Json>) {
        let view = &self.story.view;
        out.push(self.name("process_name", None, &self.story.told.headline));
        for thread in &view.trace.threads {
            out.push(self.name("thread_name", Some(thread.id), view.thread(thread.id)));
            out.push(json!({
                "ph": "M", "name": "thread_sort_index", "pid": self.process, "tid": thread.id,
                "args": { "sort_index": thread.id },
            }));
        }
        for event in view.events {
            if let Some(waited) = event.waited {
                let text = format!("waits: {}", action(view, event, false));
                out.push(self.wait(event.thread, waited.since, event.step, &text));
            }
            out.push(self.slice(event));
            out.extend(self.counter(event));
        }
        let end = view.events.len() as u32;
        for thread in &view.trace.threads {
            if let ThreadEnd::Blocked { verb, object, waiting, .. } = &thread.end {
                let text = format!("waits for ever: {}", attempt(view, *verb, *object));
                out.push(self.wait(thread.id, waiting.since.min(end), end + 1, &text));
            }
        }
        out.push(json!({
            "ph": "i", "s": "p", "name": self.story.told.headline, "cat": "failure", "pid": self.process,
            "tid": self.story.failure.thread, "ts": end,
        }));
        let graph = &self.story.graph;
        let between = |edge: &&crate::graph::Edge| view.event(edge.from).thread != view.event(edge.to).thread;
        let read = graph.reads_from.iter().filter(between).map(|edge| (edge, "reads from"));
        let woken = graph.synchronizes.iter().filter(|edge| !graph.reads_from.contains(edge));
        let woken = woken.map(|edge| (edge, "synchronizes with"));
        for (id, (edge, name)) in (1u32..).zip(read.chain(woken)) {
            // Flows of several failures are told apart by their numbers.
            let id = format!("{}.{id}", self.process);
            let flow = |phase: &str, step: u32| {
                json!({
                    "ph": phase, "id": id, "name": name, "cat": "flow", "pid": self.process,
                    "tid": view.event(step).thread, "ts": step, "bp": "e",
                })
            };
            out.push(flow("s", edge.from));
            out.push(flow("f", edge.to));
        }
    }

    fn name(&self, what: &str, thread: Option<ThreadId>, name: &str) -> Json {
        json!({ "ph": "M", "name": what, "pid": self.process, "tid": thread.unwrap_or(ThreadId::ROOT), "args": { "name": name } })
    }

    fn slice(&self, event: &Event) -> Json {
        let view = &self.story.view;
        let mut args = Map::new();
        let row = self.story.told.rows.iter().find(|row| row.event == Some(event.step));
        if let Some(number) = row.and_then(|row| row.number) {
            args.insert("step".into(), number.into());
        }
        if let Some(site) = self.story.site(event.site) {
            args.insert("at".into(), site.to_string().into());
        }
        if !event.order.name().is_empty() {
            args.insert("order".into(), event.order.name().into());
        }
        for mark in row.iter().flat_map(|row| &row.marks) {
            args.insert("note".into(), mark.as_str().into());
        }
        let cat = event.verb.word();
        json!({
            "ph": "X", "name": action(view, event, false), "cat": cat, "pid": self.process,
            "tid": event.thread, "ts": event.step, "dur": 1, "args": args,
        })
    }

    fn wait(&self, thread: ThreadId, since: u32, until: u32, text: &str) -> Json {
        json!({
            "ph": "X", "name": text, "cat": "wait", "pid": self.process, "tid": thread, "ts": since,
            "dur": until.saturating_sub(since),
        })
    }

    /// The value of a number after a write, as a track of its own.
    fn counter(&self, event: &Event) -> Option<Json> {
        let view = &self.story.view;
        let object = event.object.filter(|_| view.is_data(event) && writes(event) && !view.is_late(event))?;
        let Some(Value::Int(number)) = &event.wrote else { return None };
        let number = i64::try_from(*number).ok()?;
        let name = view.names.object(object);
        Some(json!({
            "ph": "C", "name": name, "pid": self.process, "ts": event.step, "args": { "value": number },
        }))
    }
}
