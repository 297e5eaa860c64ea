//! Where it comes from: one line for a single place, an excerpt where several belong together.

use super::pen::{Pen, Role, cut, pad, width, wrap};
use crate::words::clean;
use crate::{Explanation, Place, Sources};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use racefuzz_trace::{Site, Trace};
use std::ops::Range;

/// Blanks before a place.
const INDENT: usize = 6;

/// The places of the story.
pub(super) fn excerpts(
    pen: &Pen<'_>,
    story: &Explanation,
    trace: &Trace,
    sources: &dyn Sources,
) -> Vec<String> {
    let labelled = story.places.len() > 1 && story.places.iter().all(|place| !place.label.is_empty());
    let excerpt = if labelled { annotated(pen, &story.places, trace, sources) } else { None };
    excerpt.unwrap_or_else(|| lines(pen, &story.places, trace, sources))
}

/// `file:line  source`, or what happens there where the source is unknown.
fn lines(pen: &Pen<'_>, places: &[Place], trace: &Trace, sources: &dyn Sources) -> Vec<String> {
    let names: Vec<String> = places.iter().map(|place| clean(&trace.site(place.site).to_string())).collect();
    let widest = names.iter().map(|name| width(name)).max().unwrap_or(0);
    let mut out: Vec<String> = Vec::new();
    for (place, name) in places.iter().zip(&names) {
        let source = source_line(trace.site(place.site), sources).map(|source| pen.glyphs(&source));
        let label = pen.glyphs(&place.label);
        let known = source.is_some();
        let first = source.unwrap_or_else(|| label.clone());
        let room = pen.style.width.saturating_sub(INDENT + widest + 3);
        let lead = " ".repeat(INDENT);
        let below = if room >= 24 || width(&first) <= room {
            let text = cut(&first, room, &pen.glyphs("…"));
            let line = format!("{lead}{}   {text}", pen.paint(Role::Quiet, &pad(name, widest)));
            push_new(&mut out, line.trim_end().to_owned());
            " ".repeat(widest + 3)
        } else {
            // The path takes the line for itself; it must stay whole to be copied or clicked.
            push_new(&mut out, format!("{lead}{}", pen.paint(Role::Quiet, name)));
            let text = cut(&first, pen.style.width.saturating_sub(INDENT + 2), &pen.glyphs("…"));
            push_new(&mut out, format!("{lead}  {text}"));
            "  ".to_owned()
        };
        if !known || label.is_empty() || places.len() < 2 {
            continue;
        }
        let room = pen.style.width.saturating_sub(INDENT + below.len() + 2).max(12);
        for (index, line) in wrap(&label, room).iter().enumerate() {
            let bullet = if index == 0 { "- " } else { "  " };
            out.push(format!("{lead}{below}{bullet}{}", pen.paint(Role::Mark, line)));
        }
    }
    out
}

/// Adds a line unless it stands there already, from another label on the same place.
fn push_new(out: &mut Vec<String>, line: String) {
    if !out.contains(&line) {
        out.push(line);
    }
}

fn source_line(site: &Site, sources: &dyn Sources) -> Option<String> {
    let text = sources.text(&site.file)?;
    let line = text.lines().nth((site.line as usize).checked_sub(1)?)?;
    Some(clean(line.trim())).filter(|line| !line.is_empty())
}

/// All places in excerpts of their files, if every one has source and the labels have room.
fn annotated(pen: &Pen<'_>, places: &[Place], trace: &Trace, sources: &dyn Sources) -> Option<Vec<String>> {
    let mut files: Vec<(String, String, Vec<Annotated>)> = Vec::new();
    for place in places {
        let site = trace.site(place.site);
        let index = match files.iter().position(|(file, ..)| *file == site.file) {
            Some(index) => index,
            None => {
                files.push((site.file.clone(), printable(&sources.text(&site.file)?), Vec::new()));
                files.len() - 1
            }
        };
        let (_, text, annotated) = &mut files[index];
        let span = span(text, site)?;
        let label = pen.glyphs(&place.label);
        annotated.push(Annotated { span, label });
    }
    let mut group = Group::with_level(Level::NOTE);
    for (file, text, annotated) in &files {
        let snippet = Snippet::source(text.as_str()).path(clean(file)).fold(true);
        let annotations = annotated.iter().enumerate().map(|(index, one)| {
            let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            kind.span(one.span.clone()).label(one.label.as_str())
        });
        group = group.element(snippet.annotations(annotations));
    }
    let renderer = if pen.style.color { Renderer::styled() } else { Renderer::plain() };
    let decor = if pen.style.ascii { DecorStyle::Ascii } else { DecorStyle::Unicode };
    let room = pen.style.width.saturating_sub(2);
    let rendered = renderer.decor_style(decor).term_width(room).render(&[group]);
    let lines: Vec<String> = rendered.lines().map(|line| format!("  {}", line.trim_end())).collect();
    // The width of a label is not the renderer's concern; too wide a one is told in plain lines.
    let fits = |line: &String| {
        width(&strip(line)) <= pen.style.width || files.iter().any(|(f, ..)| line.contains(f))
    };
    lines.iter().all(fits).then_some(lines)
}

struct Annotated {
    span: Range<usize>,
    label: String,
}

/// The source without what could reach the terminal; as many bytes as before, so that spans fit.
fn printable(text: &str) -> String {
    let keep = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') && c.is_ascii() { ' ' } else { c };
    text.chars().map(keep).collect()
}

/// The bytes of the expression at a site, as far as its line goes.
fn span(text: &str, site: &Site) -> Option<Range<usize>> {
    let line = text.split_inclusive('\n').nth((site.line as usize).checked_sub(1)?)?;
    let start = line.as_ptr() as usize - text.as_ptr() as usize;
    let column = (site.column as usize).checked_sub(1)?;
    let from = line.char_indices().nth(column)?.0;
    let rest = line[from..].trim_end();
    let (mut depth, mut end) = (0usize, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ')' if depth <= 1 => {
                end = if depth == 1 { at + 1 } else { at };
                break;
            }
            ')' => depth -= 1,
            ' ' | ';' | ',' | '=' | '{' if depth == 0 => break,
            _ => {}
        }
        end = at + c.len_utf8();
    }
    (end > 0).then(|| start + from..start + from + end)
}

/// The text without escape sequences, to measure it.
fn strip(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split('\u{1b}');
    out.push_str(parts.next().unwrap_or(""));
    for part in parts {
        out.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    out
}
