//! The repairs of a program as text.

use super::pen::{Pen, Role, cut};
use super::{Style, verdict};
use crate::repair::{Hunk, Mark, hunks};
use crate::words::{clean, count, number};
use crate::{Command, Sources, explain};
use racefuzz_trace::{Certainty, Edit, Fix, FixKind, FixReport, Kept, LockName, Parallelism, Site, Verdict};

/// What was found out about repairs, as text with a newline at its end.
pub fn fix_text(report: &FixReport, sources: &dyn Sources, style: &Style, next: &[Command]) -> String {
    let pen = Pen { style };
    let mut blocks = vec![head(&pen, report, sources)];
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
    let mut foot: Vec<String> = report.notes.iter().flat_map(|note| pen.paragraph(note, 1)).collect();
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

fn head(pen: &Pen<'_>, report: &FixReport, sources: &dyn Sources) -> Vec<String> {
    let base = &report.baseline;
    let program = clean(&report.program);
    let Some(failure) = &report.failure else {
        let proof = report.holds.map(verdict_words).unwrap_or_default();
        return verdict::line(pen, Role::Good, "ok", &format!("{program}: nothing to fix"), &proof);
    };
    let story = explain(failure, sources);
    let seen = match (base.schedules, base.good) {
        (Some(all), Some(good)) if all > 1 => {
            format!("{} of {} schedules are good", wide(good), wide(all))
        }
        _ if base.complete => {
            format!("{} of {} fail", number(base.failing), count(base.executions, "execution", "executions"))
        }
        _ => "too many schedules to count".to_owned(),
    };
    let mut lines = verdict::line(pen, Role::Bug, "fix", &format!("{program}: {}", story.headline), &seen);
    lines.extend(pen.paragraph(&story.paragraph, 6));
    if let Some(why) = &report.no_lock {
        let also = if report.fixes.iter().any(|fix| fix.kind.is_lock()) {
            "no lock alone fixes this"
        } else {
            "no lock placement fixes this"
        };
        lines.extend(pen.paragraph(&format!("{also}: {}", clean(why)), 6));
    }
    if report.fixes.is_empty() {
        lines.extend(pen.paragraph("no change among those tried repairs it", 6));
    }
    lines
}

fn one(pen: &Pen<'_>, report: &FixReport, index: usize, fix: &Fix, sources: &dyn Sources) -> Vec<String> {
    let title = title(fix);
    let head =
        verdict::line(pen, Role::Good, &format!("{:>3}", index + 1), &title, &verdict_words(fix.verdict));
    let mut lines = head;
    if let Some(by) = fix.dominated_by {
        lines.extend(pen.paragraph(&format!("({by} is at least as good in everything)"), 6));
    }
    for edit in &fix.besides {
        lines.extend(pen.paragraph(&format!("together with: {}", edit_words(edit)), 6));
    }
    let measures = measures(report, fix);
    if !measures.is_empty() {
        lines.extend(pen.paragraph(&measures.join("; "), 6));
    }
    lines.extend(sequential(fix).into_iter().flat_map(|text| pen.paragraph(&text, 6)));
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
        lines.extend(pen.paragraph(&text, 6));
    }
    for needed in &fix.needed {
        let text = format!("{} it fails again: {}", needed.without, clean(&needed.fails));
        lines.extend(pen.paragraph(&text, 6));
    }
    lines.extend(fix.notes.iter().flat_map(|note| pen.paragraph(note, 6)));
    for hunk in hunks(fix, sources) {
        lines.extend(shown(pen, &hunk));
    }
    lines
}

fn title(fix: &Fix) -> String {
    let edits: Vec<String> = fix.overlay.edits.iter().map(edit_words).collect();
    if fix.kind == FixKind::OneStep {
        return match fix.regions.first() {
            Some(region) => {
                format!("lines {} and {} as one read-modify-write", region.first.line, region.last.line)
            }
            None => "one read-modify-write".to_owned(),
        };
    }
    if fix.regions.is_empty() {
        return edits.join("; ");
    }
    let mut parts: Vec<String> = Vec::new();
    for region in &fix.regions {
        let part = format!("{} over {}", lock_words(&region.lock), stretch(&region.first, &region.last));
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join(", ")
}

fn stretch(first: &Site, last: &Site) -> String {
    if first.line == last.line {
        format!("line {}", first.line)
    } else {
        format!("lines {}..{}", first.line, last.line)
    }
}

fn lock_words(lock: &LockName) -> String {
    match lock {
        LockName::New(0) => "a lock".to_owned(),
        LockName::New(1) => "a second lock".to_owned(),
        LockName::New(_) => "a further lock".to_owned(),
        LockName::Beside(_, created) => format!("a lock beside each object of line {}", created.line),
        LockName::Own(created) => format!("the lock of line {}", created.line),
    }
}

fn edit_words(edit: &Edit) -> String {
    match edit {
        Edit::Join { spawned, before } => {
            format!("join the threads spawned on line {} before line {}", spawned.line, before.line)
        }
        Edit::Await { first, before } => {
            format!("line {} waits until line {} is done", before.line, first.line)
        }
        Edit::Order { site, order } => format!("{} on line {}", order.name(), site.line),
        Edit::Fence { before, order } => format!("a fence({}) before line {}", order.name(), before.line),
        Edit::Sort { first, second, .. } => {
            format!("take the locks of lines {} and {} in one order everywhere", first.line, second.line)
        }
        Edit::WakeAll { site } => format!("notify_all on line {}", site.line),
        Edit::Lock { lock, .. } => lock_words(lock),
        Edit::Drop { created, .. } => format!("without the lock of line {}", created.line),
        Edit::Share { created, .. } => format!("readers of the lock of line {} share it", created.line),
    }
}

/// No bug: how sure.
pub(super) fn verdict_words(verdict: Verdict) -> String {
    match verdict.certainty {
        Certainty::Verified => {
            format!("verified, {}, {}", count(verdict.executions, "execution", "executions"), verdict.memory)
        }
        Certainty::Sampled => format!("no bug in {}, {}", number(verdict.executions), verdict.memory),
    }
}

fn measures(report: &FixReport, fix: &Fix) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(fix.kept.map(kept_words));
    if let Some(left) = fix.parallelism {
        let before = report
            .baseline
            .parallelism
            .map_or(String::new(), |before| format!("{} \u{2192} ", ratio(before)));
        parts.push(format!("parallelism {before}{}", ratio(left)));
    }
    if fix.locks > 0 {
        parts.push(format!(
            "{}, {} guarded",
            count(fix.locks.into(), "lock", "locks"),
            count(fix.guarded.into(), "step", "steps")
        ));
    }
    parts
}

fn ratio(parallelism: Parallelism) -> String {
    if parallelism.max - parallelism.min < 0.005 {
        format!("{:.2}", parallelism.mean)
    } else {
        format!("{:.2} ({:.2} to {:.2})", parallelism.mean, parallelism.min, parallelism.max)
    }
}

fn kept_words(kept: Kept) -> String {
    if kept.schedules > kept.of {
        return format!("permits {} good schedules, {} before", wide(kept.schedules), wide(kept.of));
    }
    let of = if kept.relative { "schedules that the most permissive repair keeps" } else { "good schedules" };
    let share = 100.0 * kept.share();
    let share = if kept.is_all() { "100 %".to_owned() } else { format!("{share:.2} %") };
    format!("keeps {share} ({} of {} {of})", wide(kept.schedules), wide(kept.of))
}

/// What a program is that is sequential as it stands.
pub(super) fn sequential_words(one_output: bool) -> String {
    let loop_ =
        if one_output { ", and every execution prints the same lines: a plain loop suffices" } else { "" };
    format!("sequential: no two steps ever run at once{loop_}")
}

/// What it means that nothing runs at once.
fn sequential(fix: &Fix) -> Vec<String> {
    if !fix.is_sequential() {
        return Vec::new();
    }
    let mut out = Vec::new();
    match fix.kept {
        Some(kept) if kept.is_all() && !kept.relative => out.push(
            "sequential, and that is all there is: every good schedule is kept, so no lock leaves more \
             parallelism, and a plain loop does the same"
                .to_owned(),
        ),
        _ => {
            out.push("sequential: no two steps run at once any more; shrink it where that matters".to_owned())
        }
    }
    if fix.one_output {
        out.push(
            "every execution prints the same lines in the same order: a plain loop without threads suffices"
                .to_owned(),
        );
    }
    out
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
        let text = format!(
            "{mark} {}",
            cut(text.trim_end(), room, if pen.style.ascii { "..." } else { "\u{2026}" })
        );
        lines.push(format!("      {number:>gutter$} {}", pen.paint(role, text.trim_end())));
    }
    lines
}

/// A large number with commas.
fn wide(value: u128) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
