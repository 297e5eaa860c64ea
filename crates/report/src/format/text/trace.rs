//! The trace: in one column per thread where there is room, else one row below the other.

use super::pen::{Pen, Role, cut, pad, width, wrap};
use crate::{Explanation, Row, RowKind};
use racefuzz_trace::ThreadId;

/// Width of the step numbers, with the blank before them.
const STEP: usize = 5;
/// Blanks between columns.
const GAP: usize = 2;
/// A thread column narrower than this is harder to read than no columns.
const NARROWEST: usize = 20;
/// States wider than this are cut; their values stand in the rows as well.
const WIDEST_STATE: usize = 24;
/// Marks wrap down to this width to save the columns.
const NARROWEST_MARK: usize = 14;
/// Down to this width they read well.
const GOOD_MARK: usize = 20;

/// The rows of the trace.
pub(super) fn trace(pen: &Pen<'_>, story: &Explanation) -> Vec<String> {
    trace_lines(pen, story).into_iter().map(|(_, line)| line).collect()
}

/// The lines of the trace, each with the index of its row; the header has none.
pub(in crate::format) fn trace_lines(pen: &Pen<'_>, story: &Explanation) -> Vec<(Option<usize>, String)> {
    if story.rows.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(pen, story);
    if table.fit() {
        return trimmed(table.columns());
    }
    // Columns are worth more than a mark that the text below the trace gives the number of.
    let unmarked = without_decision(story);
    let mut narrower = Table::new(pen, &unmarked);
    trimmed(if narrower.fit() { narrower.columns() } else { table.list() })
}

fn without_decision(story: &Explanation) -> Explanation {
    let mut story = story.clone();
    story.rows.iter_mut().for_each(|row| row.marks.retain(|mark| mark != crate::decision::MARK));
    story
}

fn trimmed(lines: Vec<(Option<usize>, String)>) -> Vec<(Option<usize>, String)> {
    lines.into_iter().map(|(row, line)| (row, line.trim_end().to_owned())).collect()
}

struct Table<'a> {
    pen: &'a Pen<'a>,
    story: &'a Explanation,
    threads: Vec<ThreadId>,
    thread_widths: Vec<usize>,
    /// The widths that the steps alone would take.
    step_widths: Vec<usize>,
    /// Whether rows without a step run over the columns to their right, which are empty there.
    spill: bool,
    state_names: Vec<String>,
    state_widths: Vec<usize>,
    mark_width: usize,
}

impl<'a> Table<'a> {
    fn new(pen: &'a Pen<'a>, story: &'a Explanation) -> Self {
        let threads = story.threads();
        let name = |thread: &ThreadId| width(&story.thread_names[thread.index()]);
        let widest = |thread: &ThreadId, steps_only: bool| {
            let own = story.rows.iter().filter(|row| row.thread == Some(*thread));
            let own = own.filter(|row| !steps_only || row.kind == RowKind::Step);
            own.map(|row| width(&pen.glyphs(&row.text))).max().unwrap_or(0).max(name(thread))
        };
        let thread_widths = threads.iter().map(|thread| widest(thread, false)).collect();
        let step_widths = threads.iter().map(|thread| widest(thread, true)).collect();
        let state_names: Vec<String> =
            story.objects.iter().map(|object| story.object_names[object.index()].clone()).collect();
        let state_width = |(index, name): (usize, &String)| {
            let states = story.rows.iter().filter_map(|row| row.states.get(index));
            let widest = states.map(|state| width(&pen.glyphs(state))).max().unwrap_or(0);
            widest.max(width(name)).min(WIDEST_STATE)
        };
        let state_widths = state_names.iter().enumerate().map(state_width).collect();
        let marks = story.rows.iter().flat_map(|row| row.marks.iter());
        let mark_width = marks.map(|mark| width(&pen.glyphs(&format!("◂ {mark}")))).max().unwrap_or(0);
        Self {
            pen,
            story,
            threads,
            thread_widths,
            step_widths,
            spill: false,
            state_names,
            state_widths,
            mark_width,
        }
    }

    /// What all columns but the threads' take.
    fn fixed(&self) -> usize {
        let states: usize = self.state_widths.iter().map(|width| width + GAP).sum();
        STEP + states + if self.mark_width > 0 { self.mark_width + GAP } else { 0 }
    }

    fn total(&self) -> usize {
        self.fixed() + self.thread_widths.iter().map(|width| width + GAP).sum::<usize>()
    }

    /// Makes the columns fit by narrowing what can be narrowed; says whether that was possible.
    fn fit(&mut self) -> bool {
        let room = self.pen.style.width;
        if self.total() > room {
            self.thread_widths.clone_from(&self.step_widths);
            self.spill = true;
        }
        // Long marks wrap first: they are the least regular part of the table.
        self.narrow_marks(room, GOOD_MARK);
        // Then the widest thread column, again and again, so that the narrow ones stay whole.
        while self.total() > room {
            let widest = (0..self.threads.len()).max_by_key(|index| (self.thread_widths[*index], *index));
            match widest {
                Some(index) if self.thread_widths[index] > NARROWEST => self.thread_widths[index] -= 1,
                _ => break,
            }
        }
        self.narrow_marks(room, NARROWEST_MARK);
        !self.threads.is_empty() && self.total() <= room && self.is_readable()
    }

    fn narrow_marks(&mut self, room: usize, to: usize) {
        if self.total() > room && self.mark_width > to {
            self.mark_width = self.mark_width.saturating_sub(self.total() - room).max(to);
        }
    }

    /// Whether no row is broken into more than two lines; a list reads better than such a table.
    fn is_readable(&self) -> bool {
        self.story.rows.iter().all(|row| {
            let column = row.thread.and_then(|thread| self.threads.iter().position(|own| *own == thread));
            let room = column.filter(|_| row.kind == RowKind::Step || !self.spill);
            let cell =
                room.map_or(1, |column| wrap(&self.pen.glyphs(&row.text), self.thread_widths[column]).len());
            cell <= 2 && self.marks(row, self.mark_width).len() <= 2
        })
    }

    fn columns(&self) -> Vec<(Option<usize>, String)> {
        let mut header = format!("{:>STEP$}", "step");
        for (thread, to) in self.threads.iter().zip(&self.thread_widths) {
            header.push_str(&gap());
            header.push_str(&self.cell(&self.story.thread_names[thread.index()], *to));
        }
        for (name, to) in self.state_names.iter().zip(&self.state_widths) {
            header.push_str(&gap());
            header.push_str(&self.cell(name, *to));
        }
        let mut lines = vec![(None, self.pen.paint(Role::Strong, header.trim_end()))];
        for (index, row) in self.story.rows.iter().enumerate() {
            let mut own = Vec::new();
            self.row(row, &mut own);
            lines.extend(own.into_iter().map(|line| (Some(index), line)));
        }
        lines
    }

    /// The text at exactly the width of its column.
    fn cell(&self, text: &str, to: usize) -> String {
        pad(&cut(text, to, &self.pen.glyphs("…")), to)
    }

    fn row(&self, row: &Row, lines: &mut Vec<String>) {
        let text = self.pen.glyphs(&row.text);
        let column = row.thread.and_then(|thread| self.threads.iter().position(|own| *own == thread));
        let Some(column) = column else {
            let room = self.pen.style.width.saturating_sub(STEP + GAP);
            for line in wrap(&text, room) {
                lines.push(format!("{}{}{}", " ".repeat(STEP), gap(), self.pen.paint(Role::Quiet, &line)));
            }
            return;
        };
        if self.spill && row.kind != RowKind::Step {
            let start = STEP + GAP + self.thread_widths[..column].iter().map(|to| to + GAP).sum::<usize>();
            for line in wrap(&text, self.pen.style.width.saturating_sub(start)) {
                lines.push(format!("{}{}", " ".repeat(start), self.pen.paint(role(row.kind), &line)));
            }
            return;
        }
        let cell = wrap(&text, self.thread_widths[column]);
        let marks = self.marks(row, self.mark_width);
        for index in 0..cell.len().max(marks.len()).max(1) {
            let number = row.number.filter(|_| index == 0).map_or_else(String::new, |n| n.to_string());
            let mut line = self.pen.paint(Role::Quiet, &format!("{number:>STEP$}"));
            for (at, to) in self.thread_widths.iter().enumerate() {
                let text = if at == column { cell.get(index).map_or("", String::as_str) } else { "" };
                line.push_str(&gap());
                line.push_str(&self.pen.paint(role(row.kind), &pad(text, *to)));
            }
            for (at, to) in self.state_widths.iter().enumerate() {
                let state = row.states.get(at).filter(|_| index == 0);
                let state = state.map_or_else(String::new, |state| self.pen.glyphs(state));
                line.push_str(&gap());
                line.push_str(&self.pen.paint(Role::State, &self.cell(&state, *to)));
            }
            if let Some(mark) = marks.get(index) {
                line.push_str(&gap());
                line.push_str(&self.pen.paint(Role::Mark, mark));
            }
            lines.push(line);
        }
    }

    fn marks(&self, row: &Row, room: usize) -> Vec<String> {
        let lead = self.pen.glyphs("◂ ");
        let mut lines = Vec::new();
        for mark in &row.marks {
            let text = wrap(&self.pen.glyphs(mark), room.saturating_sub(width(&lead)));
            for (index, line) in text.into_iter().enumerate() {
                let lead = if index == 0 { lead.clone() } else { " ".repeat(width(&lead)) };
                lines.push(format!("{lead}{line}"));
            }
        }
        lines
    }

    /// Whether the list is so full of switches that they hide the steps; the names tell as much.
    fn mostly_switches(&self) -> bool {
        let of = |kind| self.story.rows.iter().filter(|row| row.kind == kind).count();
        of(RowKind::Switch) > 4 && of(RowKind::Switch) * 2 > of(RowKind::Step)
    }

    /// One row below the other: step, thread, action; marks below the row they belong to.
    fn list(&self) -> Vec<(Option<usize>, String)> {
        let names = self.threads.iter().map(|thread| width(&self.story.thread_names[thread.index()]));
        let name_width = names.max().unwrap_or(0).max("thread".len()).min(self.pen.style.width / 3);
        let start = STEP + GAP + name_width + GAP;
        let room = self.pen.style.width.saturating_sub(start).max(12);
        let header = format!("{:>STEP$}{}{}{}action", "step", gap(), pad("thread", name_width), gap());
        let mut lines = vec![(None, self.pen.paint(Role::Strong, &header))];
        let quiet = self.mostly_switches();
        for (at, row) in self.story.rows.iter().enumerate() {
            if quiet && row.kind == RowKind::Switch {
                continue;
            }
            let name = row.thread.map_or("", |thread| self.story.thread_names[thread.index()].as_str());
            let name = cut(name, name_width, &self.pen.glyphs("…"));
            let text = self.pen.glyphs(&row.text);
            let number = row.number.map_or_else(String::new, |number| number.to_string());
            for (index, line) in wrap(&text, room).into_iter().enumerate() {
                let (number, name) = if index == 0 { (number.as_str(), name.as_str()) } else { ("", "") };
                let line = format!(
                    "{}{}{}{}{}",
                    self.pen.paint(Role::Quiet, &format!("{number:>STEP$}")),
                    gap(),
                    pad(name, name_width),
                    gap(),
                    self.pen.paint(role(row.kind), &line)
                );
                lines.push((Some(at), line));
            }
            let marks = self.marks(row, room);
            if let ([mark], Some((_, last))) = (marks.as_slice(), lines.last_mut())
                && start + width(&text) + GAP + width(mark) <= self.pen.style.width
            {
                last.push_str(&format!("{}{}", gap(), self.pen.paint(Role::Mark, mark)));
                continue;
            }
            for mark in marks {
                let line = format!("{}{}", " ".repeat(start), self.pen.paint(Role::Mark, &mark));
                lines.push((Some(at), line));
            }
        }
        lines
    }
}

fn gap() -> String {
    " ".repeat(GAP)
}

fn role(kind: RowKind) -> Role {
    match kind {
        RowKind::Step => Role::Plain,
        RowKind::End => Role::Bug,
        _ => Role::Quiet,
    }
}
