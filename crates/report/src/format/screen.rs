//! The panes of the page in a terminal: the trace, the source, the state, for one step at a time.

use super::html::sources::Files;
use super::html::stepping::{Stepping, stepping};
use super::story::Story;
use super::text::{Pen, Role, cut, pad, trace_lines, width, wrap};
use crate::words::clean;
use crate::{RowKind, Sources, Style};
use racefuzz_trace::{Failure, ThreadId};

/// A failure to step through in a terminal.
pub struct Stepper<'a> {
    story: Story<'a>,
    data: Stepping,
    sources: &'a dyn Sources,
    /// The rows that one can stand on.
    stops: Vec<usize>,
}

/// Lines of the story on a screen of ordinary height.
const STORY: usize = 3;
/// Lines of state, at most.
const STATE: usize = 7;

impl<'a> Stepper<'a> {
    /// Steps through a failure; `None` if it has no step.
    pub fn new(failure: &'a Failure, sources: &'a dyn Sources) -> Option<Self> {
        let story = Story::new(failure, sources);
        let data = stepping(&story, &mut Files::new(sources));
        let is_stop = |kind| matches!(kind, RowKind::Step | RowKind::Wait | RowKind::End);
        let rows = story.told.rows.iter().enumerate();
        let stops: Vec<usize> = rows.filter(|(_, row)| is_stop(row.kind)).map(|(at, _)| at).collect();
        (!stops.is_empty()).then_some(Self { story, data, sources, stops })
    }

    /// The places to stand on; they are numbered from 0.
    pub fn stops(&self) -> usize {
        self.stops.len()
    }

    /// Where to begin: at the last remark, where the story ends.
    pub fn first(&self) -> usize {
        self.marked_before(self.stops.len()).unwrap_or(self.stops.len() - 1)
    }

    /// The next place with a remark.
    pub fn marked_behind(&self, at: usize) -> Option<usize> {
        (at + 1..self.stops.len()).find(|stop| self.is_marked(*stop))
    }

    /// The place before with a remark.
    pub fn marked_before(&self, at: usize) -> Option<usize> {
        (0..at).rev().find(|stop| self.is_marked(*stop))
    }

    fn is_marked(&self, stop: usize) -> bool {
        let marks = &self.story.told.rows[self.stops[stop]].marks;
        marks.iter().any(|mark| mark != crate::decision::MARK)
    }

    /// The screen at a place: `height` lines of at most the style's width. The current row is marked in
    /// front, and in reverse where there are colours.
    pub fn screen(&self, at: usize, style: &Style, height: usize) -> Vec<String> {
        let pen = Pen { style };
        let at = at.min(self.stops.len() - 1);
        let mut lines = self.head(&pen, at, if height >= 20 { STORY } else { 1 });
        let state = self.state(&pen, at);
        let keys = pen.glyphs("↓ ↑ step   n p remark   g G ends   q quit");
        let room = height.saturating_sub(lines.len() + state.len() + 2);
        // The source has a third of what is left, the trace the rest.
        let source = self.source(&pen, at, (room / 3).clamp(3, 9));
        let trace = self.trace(&pen, at, room.saturating_sub(source.len() + 1).max(3));
        lines.extend(trace);
        lines.push(self.rule(&pen));
        lines.extend(source);
        lines.push(self.rule(&pen));
        lines.extend(state);
        lines.truncate(height.saturating_sub(1));
        lines.resize(height.saturating_sub(1), String::new());
        lines.push(pen.paint(Role::Quiet, &cut(&keys, style.width, "")));
        lines
    }

    fn rule(&self, pen: &Pen<'_>) -> String {
        let dash = if pen.style.ascii { "-" } else { "─" };
        pen.paint(Role::Quiet, &dash.repeat(pen.style.width))
    }

    fn head(&self, pen: &Pen<'_>, at: usize, story: usize) -> Vec<String> {
        let room = pen.style.width;
        let row = &self.story.told.rows[self.stops[at]];
        let last = self.story.told.rows.iter().filter_map(|row| row.number).max().unwrap_or(0);
        let place = match row.number {
            Some(number) => format!("step {number} of {last}"),
            None => format!("{} of {}", at + 1, self.stops.len()),
        };
        let ellipsis = pen.glyphs("…");
        let left =
            cut(&pen.glyphs(&self.story.told.headline), room.saturating_sub(width(&place) + 3), &ellipsis);
        let left = pad(&format!(" {left}"), room.saturating_sub(width(&place) + 1));
        let mut lines = vec![format!("{}{}", pen.paint(Role::Bug, &left), pen.paint(Role::Strong, &place))];
        let told = wrap(&pen.glyphs(&self.story.told.paragraph), room.saturating_sub(2));
        let more = told.len() > story;
        for (index, line) in told.into_iter().take(story).enumerate() {
            let line = line.replace('\u{a0}', " ");
            let end = if more && index + 1 == story { ellipsis.as_str() } else { "" };
            lines.push(format!(" {}{end}", cut(&line, room.saturating_sub(2 + width(end)), "")));
        }
        lines
    }

    /// The rows around the current one.
    fn trace(&self, pen: &Pen<'_>, at: usize, height: usize) -> Vec<String> {
        let narrower = Style { width: pen.style.width.saturating_sub(1), color: false, ..*pen.style };
        let all = trace_lines(&Pen { style: &narrower }, &self.story.told);
        let current = self.stops[at];
        let (head, rows) = all.split_at(1);
        let here = rows.iter().position(|(row, _)| *row == Some(current)).unwrap_or(0);
        let height = height.saturating_sub(1);
        let from = here.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
        let mut lines = vec![pen.paint(Role::Strong, &format!(" {}", head[0].1))];
        for (row, line) in rows.iter().skip(from).take(height) {
            let line = cut(line, narrower.width, "");
            let own = *row == Some(current);
            let line = format!("{}{line}", if own { ">" } else { " " });
            let role = match row.map(|row| self.story.told.rows[row].kind) {
                Some(RowKind::Step) => Role::Plain,
                Some(RowKind::End) => Role::Bug,
                _ => Role::Quiet,
            };
            lines.push(match own && pen.style.color {
                true => format!("\u{1b}[7m{}\u{1b}[0m", pad(&line, pen.style.width)),
                false => pen.paint(role, &line),
            });
        }
        lines
    }

    /// The source around the current step.
    fn source(&self, pen: &Pen<'_>, at: usize, height: usize) -> Vec<String> {
        let row = &self.story.told.rows[self.stops[at]];
        let site = row.site.and_then(|site| self.story.site(site));
        let text = site.and_then(|site| self.sources.text(&site.file));
        let (Some(site), Some(text)) = (site, text) else {
            let place = site.map_or_else(|| "no place".to_owned(), |site| clean(&site.to_string()));
            return vec![pen.paint(Role::Quiet, &format!(" {place}: the source is not known"))];
        };
        let mut lines = vec![
            pen.paint(Role::Quiet, &cut(&format!(" {}", clean(&site.to_string())), pen.style.width, "")),
        ];
        let height = height.saturating_sub(1);
        let line = site.line as usize;
        let from = line.saturating_sub(height / 2).max(1);
        for (number, text) in (1..).zip(text.lines()).skip(from - 1).take(height) {
            let own = number == line;
            let code = clean(&text.replace('\t', "    "));
            let text = format!("{}{number:>5}  {code}", if own { ">" } else { " " });
            let text = cut(&pen.glyphs(&text), pen.style.width, "");
            lines.push(if own { pen.paint(Role::Strong, &text) } else { text });
        }
        lines
    }

    /// What the objects of the story hold before and after the step, and who waits.
    fn state(&self, pen: &Pen<'_>, at: usize) -> Vec<String> {
        let rows = &self.story.told.rows;
        let step = rows[..=self.stops[at]].iter().rev().find_map(|row| row.event);
        let own = rows[self.stops[at]].event;
        let held = |until: Option<u32>, with: bool| {
            let mut held: Vec<&str> =
                self.data.objects.iter().map(|object| object.initial.as_str()).collect();
            let past = |step: u32| until.is_some_and(|until| step < until || with && step == until);
            for event in self.data.events.iter().filter(|event| past(event.step)) {
                event.sets.iter().for_each(|(object, value)| held[*object] = value);
            }
            held
        };
        let (before, after) = (held(step, own.is_none()), held(step, true));
        let mut lines = Vec::new();
        for (index, object) in self.data.objects.iter().enumerate() {
            if !object.story && before[index] == after[index] {
                continue;
            }
            let value = |value: &str| match object.lock && value != "free" {
                true => format!("held by {value}"),
                false => value.to_owned(),
            };
            let text = match before[index] == after[index] {
                true => format!(" {}: {}", object.name, value(after[index])),
                false => format!(" {}: {} → {}", object.name, value(before[index]), value(after[index])),
            };
            let role = if before[index] == after[index] { Role::Quiet } else { Role::State };
            lines.push(pen.paint(role, &cut(&pen.glyphs(&text), pen.style.width, "")));
        }
        let now = step.map_or(0, |step| step + 1);
        let shown = self.story.told.threads();
        let waits = self.data.waits.iter().filter(|wait| {
            shown.contains(&ThreadId(wait.thread))
                && wait.since <= now
                && wait.until.is_none_or(|until| until >= now)
        });
        for wait in waits {
            let name = |thread: u32| self.story.view.thread(ThreadId(thread)).to_owned();
            let holder = wait.holder.filter(|holder| *holder != wait.thread);
            let holder =
                holder.map_or_else(String::new, |holder| format!(", {} is in the way", name(holder)));
            let text = format!(" {} waits: {}{holder}", name(wait.thread), wait.text);
            lines.push(pen.paint(Role::Mark, &cut(&pen.glyphs(&text), pen.style.width, "")));
        }
        lines.truncate(STATE);
        lines
    }
}
