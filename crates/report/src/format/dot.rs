//! Graphviz: the execution graph of each failure. Events are boxes, those of a thread one below the
//! other (program order); a load points back at the store that it returns (`rf`), stores of one object
//! stand in modification order (`mo`), and what synchronises is joined by `sw`.

use super::story::Story;
use crate::graph::Edge;
use crate::{Document, RowKind};
use racefuzz_trace::ThreadId;
use std::collections::BTreeSet;
use std::fmt::Write;

pub(super) fn render(document: &Document<'_>) -> String {
    let mut out = String::new();
    let program = document.content.program();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "digraph {} {{", quoted(program));
    if document.content.failures().is_empty() {
        let _ = writeln!(out, "  label={};", quoted(&format!("{program}: no failure to draw")));
    }
    out.push_str("  rankdir=TB;\n  newrank=true;\n  compound=true;\n");
    out.push_str(
        "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=Helvetica, fontsize=10];\n",
    );
    out.push_str("  edge [fontname=Helvetica, fontsize=9];\n");
    for (number, failure) in (1..).zip(document.content.failures()) {
        graph(&mut out, number, &Story::new(failure, document.sources));
    }
    out.push_str("}\n");
    out
}

fn graph(out: &mut String, number: usize, story: &Story<'_>) {
    let view = &story.view;
    let node = |step: u32| format!("f{number}_{step}");
    let _ = writeln!(out, "  subgraph cluster_f{number} {{");
    let _ = writeln!(out, "    label={};", quoted(&story.told.headline));
    let shown: BTreeSet<u32> = story.steps().map(|(_, event)| event.step).collect();
    let mut waits: Vec<(ThreadId, String)> = Vec::new();
    for thread in story.told.threads() {
        let _ = writeln!(out, "    subgraph cluster_f{number}_t{} {{", thread.0);
        let _ = writeln!(out, "      label={}; color=gray;", quoted(view.thread(thread)));
        let mut before: Option<String> = None;
        for (at, row) in story.told.rows.iter().enumerate().filter(|(_, row)| row.thread == Some(thread)) {
            let name = match (row.kind, row.event) {
                (RowKind::Step, Some(step)) => node(step),
                (RowKind::Wait | RowKind::End | RowKind::Repeat, _) => format!("f{number}_row{at}"),
                _ => continue,
            };
            let step = row.number.map_or(String::new(), |number| format!("{number}  "));
            let site = row.site.and_then(|site| story.site(site));
            let site = site.map_or(String::new(), |site| format!("\n{site}"));
            let marks: String = row.marks.iter().map(|mark| format!("\n◂ {mark}")).collect();
            let look = match row.kind {
                RowKind::Step if row.marks.is_empty() => "",
                RowKind::Step => ", fillcolor=lightyellow, color=firebrick",
                RowKind::Wait => ", style=\"rounded,dashed\", color=firebrick",
                _ => ", style=dashed, color=gray",
            };
            let label = quoted(&format!("{step}{}{marks}{site}", row.text));
            let _ = writeln!(out, "      {name} [label={label}{look}];");
            if let Some(before) = before.replace(name.clone()) {
                let _ = writeln!(out, "      {before} -> {name} [weight=10];");
            }
            if row.kind == RowKind::Wait {
                waits.push((thread, name));
            }
        }
        out.push_str("    }\n");
    }
    let edges = |out: &mut String, edges: &[Edge], look: &str| {
        let shown = edges.iter().filter(|edge| shown.contains(&edge.from) && shown.contains(&edge.to));
        for edge in shown {
            let _ = writeln!(out, "    {} -> {} [{look}];", node(edge.from), node(edge.to));
        }
    };
    edges(
        out,
        &story.graph.reads_from,
        "xlabel=rf, color=forestgreen, fontcolor=forestgreen, constraint=false",
    );
    edges(
        out,
        &story.graph.modification,
        "xlabel=mo, color=darkorange, fontcolor=darkorange, style=dashed, constraint=false",
    );
    let between: Vec<Edge> = story
        .graph
        .synchronizes
        .iter()
        .filter(|edge| !story.graph.reads_from.contains(edge))
        .copied()
        .collect();
    edges(out, &between, "xlabel=sw, color=royalblue, fontcolor=royalblue, style=bold, constraint=false");
    for thread in &view.trace.threads {
        // The last wait is the one that does not end.
        let wait = waits.iter().rfind(|(waiting, _)| *waiting == thread.id);
        let (Some((_, wait)), Some(taken)) = (wait, story.stands_in_the_way(thread)) else { continue };
        if shown.contains(&taken) {
            let look = "xlabel=\"waits for\", color=firebrick, fontcolor=firebrick, constraint=false";
            let _ = writeln!(out, "    {wait} -> {} [{look}];", node(taken));
        }
    }
    for (_, event) in story.steps().filter(|(_, event)| view.is_stale(event)) {
        let Some(newer) = view.newer(event).filter(|newer| shown.contains(&newer.step)) else { continue };
        let look = "xlabel=missed, color=firebrick, fontcolor=firebrick, style=dotted, constraint=false";
        let _ = writeln!(out, "    {} -> {} [{look}];", node(newer.step), node(event.step));
    }
    out.push_str("  }\n");
}

/// A string of DOT.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
