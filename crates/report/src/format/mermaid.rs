//! Mermaid: the interleaving as a sequence diagram, for issues and chats. Threads and the objects of the
//! story are participants; a step on such an object is a message to it, any other one a note.

use super::story::Story;
use crate::view::reads;
use crate::{Document, RowKind};
use racefuzz_trace::{ObjectId, ThreadId};
use std::fmt::Write;

pub(super) fn render(document: &Document<'_>) -> String {
    let mut out = String::from("sequenceDiagram\n");
    match document.content.failures().first() {
        Some(failure) => diagram(&mut out, &Story::new(failure, document.sources)),
        None => {
            // A diagram needs a participant.
            let _ = writeln!(out, "    participant T0 as {}", text(document.content.program()));
            let _ = writeln!(out, "    Note over T0: no failure to draw");
        }
    }
    out
}

fn diagram(out: &mut String, story: &Story<'_>) {
    let told = &story.told;
    let _ = writeln!(out, "    %% {}", text(&told.headline));
    let threads = told.threads();
    for thread in &threads {
        let _ =
            writeln!(out, "    participant {} as {}", thread_id(*thread), text(story.view.thread(*thread)));
    }
    for object in &told.objects {
        let _ = writeln!(
            out,
            "    participant {} as {}",
            object_id(*object),
            text(story.view.names.object(*object))
        );
    }
    let (first, last) = match threads[..] {
        [] => return,
        [only] => (only, only),
        [first, .., last] => (first, last),
    };
    let across =
        if first == last { thread_id(first) } else { format!("{},{}", thread_id(first), thread_id(last)) };
    for row in &told.rows {
        let whose = row.thread.map_or_else(|| across.clone(), thread_id);
        match row.kind {
            RowKind::Switch => {}
            RowKind::Step => {
                let event = row.event.map(|step| story.view.event(step));
                let object =
                    event.and_then(|event| event.object).filter(|object| told.objects.contains(object));
                let number = row.number.map_or(String::new(), |number| format!("{number} · "));
                let line = text(&format!("{number}{}", row.text));
                match (event, object) {
                    (Some(event), Some(object))
                        if reads(event) && event.wrote.is_none() && story.view.is_data(event) =>
                    {
                        let _ = writeln!(out, "    {}-->>{whose}: {line}", object_id(object));
                    }
                    (_, Some(object)) => _ = writeln!(out, "    {whose}->>{}: {line}", object_id(object)),
                    _ => _ = writeln!(out, "    Note over {whose}: {line}"),
                }
                for mark in &row.marks {
                    let _ = writeln!(out, "    Note right of {whose}: ◂ {}", text(mark));
                }
            }
            RowKind::Wait => _ = writeln!(out, "    {whose}-x{whose}: {}", text(&row.text)),
            RowKind::End | RowKind::Repeat => _ = writeln!(out, "    Note over {whose}: {}", text(&row.text)),
            RowKind::Gap => _ = writeln!(out, "    Note over {across}: {}", text(&row.text)),
        }
    }
}

fn thread_id(thread: ThreadId) -> String {
    format!("T{}", thread.0)
}

fn object_id(object: ObjectId) -> String {
    format!("O{}", object.0)
}

/// Text without what Mermaid takes for syntax: it ends a statement at a semicolon, and names characters
/// by `#number;`.
fn text(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '#' | ';' | '<' | '>' | '%' => _ = write!(out, "#{};", u32::from(c)),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
