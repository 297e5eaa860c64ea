//! The repairs of a program as text.

use super::fix_words::{
    ADVICE, PROPOSAL, advice_words, edit_words, measures, needed, sequential, title, verdict_words, wide,
};
use super::pen::{Pen, Role, cut, width};
use super::verdict::Head;
use super::{Style, verdict};
use crate::repair::{Hunk, Mark, hunks, is_typed};
use crate::words::{clean, count, number, one_line};
use crate::{Command, Sources, explain};
use racefuzz_trace::{Certainty, Fix, FixReport, Region};

/// What was found out about repairs, as text with a newline at its end.
pub fn fix_text(report: &FixReport, sources: &dyn Sources, style: &Style, next: &[Command]) -> String {
    let pen = Pen { style };
    let mut blocks = vec![fix_head(report, sources).lines(&pen)];
    let mut kind = None;
    for (index, fix) in report.fixes.iter().enumerate() {
        let mut lines = Vec::new();
        if kind != Some(fix.kind) {
            kind = Some(fix.kind);
            lines.push(format!(" {}", pen.paint(Role::Strong, fix.kind.word())));
        }
        lines.extend(one(&pen, report, index, fix, sources));
        blocks.push(lines);
    }
    let mut foot: Vec<String> = Vec::new();
    if report.fixes.iter().any(|fix| fix.verdict.certainty == Certainty::Verified && !is_typed(fix, sources))
    {
        foot.extend(pen.paragraph(ADVICE, 1));
    }
    if report.fixes.iter().any(|fix| fix.verdict.certainty == Certainty::Untried) {
        foot.extend(pen.paragraph(PROPOSAL, 1));
    }
    foot.extend(report.notes.iter().flat_map(|note| pen.paragraph(note, 1)));
    if !report.nothing_to_fix() {
        let tried = format!(
            "{} tried in {}",
            count(report.tried, "change", "changes"),
            count(report.executions, "execution", "executions")
        );
        let stopped = report.stopped.as_deref().map_or(String::new(), |why| format!("; {why}"));
        foot.extend(pen.paragraph(&format!("{tried}{stopped}"), 1));
    }
    foot.extend(super::next::commands(&pen, next));
    blocks.push(foot);
    blocks.retain(|block| !block.is_empty());
    let mut out = blocks.iter().map(|block| block.join("\n")).collect::<Vec<_>>().join("\n\n");
    out.push('\n');
    out
}

/// What is to be repaired.
pub(in crate::format) fn fix_head(report: &FixReport, sources: &dyn Sources) -> Head {
    let base = &report.baseline;
    let program = clean(&report.program);
    let Some(failure) = &report.failure else {
        let proof = report.holds.map(verdict_words).unwrap_or_default();
        if let Some(why) = &report.stopped {
            let text = format!("{program}: {why}; nothing fails so far");
            return Head::new(Role::Open, "incomplete", text, proof);
        }
        return Head::new(Role::Good, "ok", format!("{program}: nothing to fix"), proof);
    };
    let story = explain(failure, sources);
    let seen = match (base.schedules, base.good) {
        (Some(all), Some(good)) if base.weak_only && all > 1 && all == good => {
            format!("all {} interleavings are good", wide(all))
        }
        // Where what fails has the steps of what does not, in the same order, the counts tell nothing.
        (Some(all), Some(good)) if all > 1 && good < all => {
            format!("{} of {} schedules are good", wide(good), wide(all))
        }
        _ if base.complete => {
            format!("{} of {} fail", number(base.failing), count(base.executions, "execution", "executions"))
        }
        _ => "too many schedules to count".to_owned(),
    };
    let mut head = Head::new(Role::Bug, "fix", format!("{program}: {}", story.headline), seen);
    head.more.push(story.paragraph.clone());
    if base.weak_only {
        let memory = report.settings.memory;
        let pair = crate::anomaly::reordering(failure, sources).map(|(pair, why)| match &story.paragraph {
            // The reason stands there already.
            told if told.contains(&why) => format!(": {pair}"),
            _ => format!(": {pair}, because {why} and nothing else orders them"),
        });
        let text = format!(
            "Every interleaving of the steps is right: it is a reordering that {memory} allows which breaks it{}.",
            pair.unwrap_or_default(),
        );
        head.more.push(text);
    }
    if let Some(why) = &report.no_lock {
        let also = if report.fixes.iter().any(|fix| fix.kind.is_lock()) {
            "no lock alone fixes this"
        } else {
            "no lock placement fixes this"
        };
        head.more.push(format!("{also}: {}", clean(&one_line(why))));
    }
    if report.fixes.is_empty() {
        head.more.push("no change among those tried repairs it".to_owned());
    }
    head
}

/// Whether two repairs differ in the lock only.
pub(in crate::format) fn is_twin(one: &Fix, other: &Fix) -> bool {
    let place = |region: &Region| (region.first.clone(), region.last.clone(), region.shared);
    one.kind == other.kind
        && !one.regions.is_empty()
        && one.besides == other.besides
        && (one.kept, one.parallelism) == (other.kept, other.parallelism)
        && one.regions.iter().map(place).eq(other.regions.iter().map(place))
}

fn one(pen: &Pen<'_>, report: &FixReport, index: usize, fix: &Fix, sources: &dyn Sources) -> Vec<String> {
    let title = title(fix, sources);
    let sure = how_sure(fix, sources);
    let head = verdict::line(pen, Role::Good, &format!("{:>3}", index + 1), &title, &sure);
    let mut lines = head;
    // Who looks for the best repair need not read on.
    if let Some(by) = fix.dominated_by {
        lines.extend(pen.paragraph(&format!("({by} is at least as good in everything)"), 6));
        return lines;
    }
    if let Some(twin) = report.fixes[..index].iter().position(|other| is_twin(other, fix)) {
        lines.extend(pen.paragraph(&format!("(the same as {} with another lock)", twin + 1), 6));
        return lines;
    }
    lines.extend(facts(report, fix, sources).iter().flat_map(|text| pen.paragraph(text, 6)));
    for hunk in hunks(fix, sources) {
        lines.extend(shown(pen, &hunk));
    }
    lines
}

/// How sure a repair is.
pub(in crate::format) fn how_sure(fix: &Fix, sources: &dyn Sources) -> String {
    if is_typed(fix, sources) { verdict_words(fix.verdict) } else { advice_words(fix.verdict) }
}

/// What is to be said of a repair, a paragraph each.
pub(in crate::format) fn facts(report: &FixReport, fix: &Fix, sources: &dyn Sources) -> Vec<String> {
    let mut facts = Vec::new();
    for edit in &fix.besides {
        facts.push(format!("together with: {}", edit_words(edit)));
    }
    let measures = measures(report, fix);
    if !measures.is_empty() {
        facts.push(measures.join("; "));
    }
    facts.extend(sequential(fix));
    if let (Some(waits), Some(failure)) = (&fix.waits, &report.failure) {
        let names = crate::names::Names::new(&failure.trace, sources);
        let told = |step: u32| {
            let event = &failure.trace.events[step as usize];
            let object = event.object.map_or("", |object| names.object(object));
            format!("{} {} {object}", names.thread(event.thread), event.verb.word()).trim_end().to_owned()
        };
        let text = format!(
            "in the failing schedule, \u{201c}{}\u{201d} now waits until \u{201c}{}\u{201d} is done",
            told(waits.step),
            told(waits.until)
        );
        facts.push(text);
    }
    facts.extend(needed(&fix.needed));
    facts.extend(fix.notes.iter().cloned());
    facts
}

fn shown(pen: &Pen<'_>, hunk: &Hunk) -> Vec<String> {
    let gutter = hunk.lines.iter().filter_map(|line| line.number).max().unwrap_or(1).to_string().len().max(2);
    let mut lines = vec![format!("      {} {}", pen.paint(Role::Quiet, "suggestion"), clean(&hunk.file))];
    let room = pen.style.width.saturating_sub(6 + gutter + 3);
    for line in &hunk.lines {
        let (mark, role) = match line.mark {
            Mark::Keep => (' ', Role::Plain),
            Mark::Add => ('+', Role::Good),
            Mark::Remove => ('-', Role::Bug),
        };
        let number = line.number.map_or(String::new(), |number| number.to_string());
        let text = pen.glyphs(&clean(&line.text));
        // What is to be typed in stands there whole; what is there already is only found again by it.
        let parts = match line.mark {
            Mark::Add => wrapped(text.trim_end(), room),
            Mark::Keep | Mark::Remove => {
                vec![cut(text.trim_end(), room, if pen.style.ascii { "..." } else { "\u{2026}" })]
            }
        };
        let mut number = number.as_str();
        for part in &parts {
            let text = format!("{mark} {part}");
            lines.push(format!("      {number:>gutter$} {}", pen.paint(role, text.trim_end())));
            number = "";
        }
    }
    lines
}

/// A line of source in lines of at most `room` columns, where its blanks allow that: those behind the
/// first stand further in. Typed in as they are, they mean the same.
fn wrapped(line: &str, room: usize) -> Vec<String> {
    if width(line) <= room {
        return vec![line.to_owned()];
    }
    let code = line.trim_start();
    let indent = &line[..line.len() - code.len()];
    let further = format!("{indent}{}", if code.starts_with("//") { "// " } else { "    " });
    let mut lines: Vec<String> = Vec::new();
    for word in words(code) {
        match lines.last_mut() {
            Some(last) if width(last) + 1 + width(word) <= room => {
                last.push(' ');
                last.push_str(word);
            }
            Some(_) => lines.push(format!("{further}{word}")),
            None => lines.push(format!("{indent}{word}")),
        }
    }
    lines
}

/// The parts of a line of source between its blanks; a string is not broken.
fn words(code: &str) -> Vec<&str> {
    let (mut words, mut from, mut in_string, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in code.char_indices() {
        match c {
            ' ' if !in_string => {
                words.push(&code[from..at]);
                from = at + 1;
            }
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    words.push(&code[from..]);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_in_is_shown_whole() {
        let line = "    while self.wants[other].load(SeqCst) && self.first.load(Acquire) == \"a b\" {";
        let lines = wrapped(line, 40);
        assert_eq!(
            lines,
            [
                "    while self.wants[other].load(SeqCst)",
                "        && self.first.load(Acquire) ==",
                "        \"a b\" {"
            ]
        );
        let joined = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        assert_eq!(joined, line.trim());
        assert_eq!(wrapped("    // hold the lock from here", 24)[1], "    // from here");
        assert_eq!(wrapped("a_word_that_is_too_long", 8), ["a_word_that_is_too_long"]);
    }
}
