//! An audit as text.

use super::Style;
use super::fix_words::{list, sequential_words, verdict_words};
use super::pen::{Pen, Role};
use super::verdict::Head;
use crate::words::{clean, count};
use crate::{Command, Sources, explain};
use racefuzz_trace::{AuditReport, Audited, Finding, Site, Subject, Told};

/// What was found out about a program's synchronisation, as text with a newline at its end.
pub fn audit_text(report: &AuditReport, sources: &dyn Sources, style: &Style, next: &[Command]) -> String {
    let pen = Pen { style };
    let name = |site: &Site| name_of(site, sources);
    let mut lines = audit_head(report, sources).lines(&pen);
    lines.push(String::new());
    for audited in &report.audited {
        // What is said of a lock is not said again of each of its guards.
        if !matches!(audited, Audited { subject: Subject::Guard { .. }, finding: Finding::Needed { .. } }) {
            lines.extend(one(&pen, audited, alone(report, &audited.subject), &name));
        }
        if let Subject::Lock(lock) = &audited.subject {
            lines.extend(needed_guards(&pen, report, lock));
        }
    }
    lines.extend(audit_remarks(report, sources).iter().flat_map(|text| pen.paragraph(text, 1)));
    let executions = count(report.executions, "execution", "executions");
    let stopped = report.stopped.as_deref().map_or(String::new(), |why| format!("; {why}"));
    lines.extend(pen.paragraph(&format!("{executions}{stopped}"), 1));
    lines.extend(super::next::commands(&pen, next));
    let mut out = lines.join("\n");
    out.push('\n');
    out
}

/// What was audited, and whether it holds as it is.
pub(in crate::format) fn audit_head(report: &AuditReport, sources: &dyn Sources) -> Head {
    let program = clean(&report.program);
    if let Some(failure) = &report.failure {
        let story = explain(failure, sources);
        let mut head = Head::new(Role::Bug, "bug", format!("{program}: {}", story.headline), String::new());
        head.more.push(story.paragraph);
        return head;
    }
    let holds = report.holds.map(verdict_words).unwrap_or_default();
    match &report.stopped {
        Some(why) => {
            Head::new(Role::Open, "incomplete", format!("{program}: {why}; nothing fails so far"), holds)
        }
        None => Head::new(Role::Good, "ok", format!("{program}: nothing fails"), holds),
    }
}

/// What is to be said of the synchronisation as a whole, a paragraph each.
pub(in crate::format) fn audit_remarks(report: &AuditReport, sources: &dyn Sources) -> Vec<String> {
    let name = |site: &Site| name_of(site, sources);
    let mut remarks = Vec::new();
    let spare =
        |audited: &&Audited| matches!(audited.finding, Finding::NotNeeded(_) | Finding::TooLong { .. });
    if report.audited.iter().filter(spare).count() > 1 {
        let text = "each was tried alone: of two that are not needed, one may be if the other is gone";
        remarks.push(text.to_owned());
    }
    for (inner, outer) in &report.nested {
        let text = format!("{} is only ever taken while {} is held", name(inner), name(outer));
        remarks.push(text);
    }
    for (object, bare) in &report.unprotected {
        let at: Vec<String> = bare.iter().map(|site| site.line.to_string()).collect();
        let at = match &at[..] {
            [] => String::new(),
            [line] => format!("; line {line} has none"),
            lines => format!("; lines {} have none", list(lines)),
        };
        remarks.push(format!("{}: no lock is held at all of its accesses{at}", name(object)));
    }
    for cycle in &report.cycles {
        let names: Vec<String> = cycle.iter().map(name).collect();
        let text = format!("locks are taken in a circle: {}, then {} again", names.join(", then "), names[0]);
        remarks.push(text);
    }
    if let Some(parallelism) = report.parallelism {
        let text = format!(
            "parallelism {:.2}: {} steps, {} in a row",
            parallelism.mean, parallelism.work, parallelism.span
        );
        remarks.push(text);
        if parallelism.is_sequential() {
            remarks.push(sequential_words(report.one_output));
        }
    }
    remarks
}

/// Whether no other ordering stands on the line of this one.
fn alone(report: &AuditReport, subject: &Subject) -> bool {
    let line = |subject: &Subject| match subject {
        Subject::Ordering { site, .. } => Some((site.file.clone(), site.line)),
        _ => None,
    };
    let others = report.audited.iter().filter(|other| line(&other.subject) == line(subject));
    others.count() < 2
}

/// The guards of a lock that are needed, too, in one sentence.
fn needed_guards(pen: &Pen<'_>, report: &AuditReport, lock: &Site) -> Vec<String> {
    let guards = report.audited.iter().filter_map(|audited| match (&audited.subject, &audited.finding) {
        (Subject::Guard { lock: of, taken }, Finding::Needed { .. }) if of == lock => {
            Some(taken.line.to_string())
        }
        _ => None,
    });
    let lines: Vec<String> = guards.collect();
    match &lines[..] {
        [] => Vec::new(),
        [line] => pen.paragraph(&format!("the guard taken on line {line} is needed, too"), 6),
        lines => pen.paragraph(&format!("each guard is needed: those taken on lines {}", list(lines)), 6),
    }
}

/// What was found out about one piece: how good that is, in a word or two, and in a sentence.
#[cfg(feature = "json")]
pub(in crate::format) fn audit_words(
    report: &AuditReport,
    audited: &Audited,
    sources: &dyn Sources,
) -> (Role, &'static str, String) {
    words(audited, alone(report, &audited.subject), &|site| name_of(site, sources))
}

/// What is created at a place, for a sentence.
fn name_of(site: &Site, sources: &dyn Sources) -> String {
    sources
        .text(&site.file)
        .and_then(|text| crate::names::name_at(&text, site.line, site.column))
        .map_or_else(|| format!("what line {} creates", site.line), |name| format!("`{name}`"))
}

/// The words for one piece; `alone` if no other ordering stands on its line.
fn words(audited: &Audited, alone: bool, name: &dyn Fn(&Site) -> String) -> (Role, &'static str, String) {
    let subject = match &audited.subject {
        Subject::Lock(site) => name(site),
        Subject::Locks(sites) => {
            format!("{} together", list(&sites.iter().map(name).collect::<Vec<_>>()))
        }
        Subject::Guard { lock, taken } => format!("{} as taken on line {}", name(lock), taken.line),
        Subject::Ordering { site, order, weaker } => {
            let place = if alone { site.line.to_string() } else { format!("{}:{}", site.line, site.column) };
            format!("{} on line {place} (rather than {})", order.name(), weaker.name())
        }
        Subject::Join(site) => format!("the join on line {}", site.line),
    };
    match &audited.finding {
        Finding::NotNeeded(verdict) => {
            let are = if matches!(audited.subject, Subject::Locks(_)) { "are" } else { "is" };
            (Role::Open, "not needed", format!("{subject} {are} never needed: {}", verdict_words(*verdict)))
        }
        Finding::Needed { fails, .. } => {
            let it = if matches!(audited.subject, Subject::Locks(_)) { "them" } else { "it" };
            (Role::Good, "needed", format!("{subject}: without {it}, {}", clean(fails)))
        }
        Finding::Orders { first, then } => {
            (Role::Good, "orders", format!("{subject} puts line {} before line {}", first.line, then.line))
        }
        Finding::OrdersNothing => {
            (Role::Open, "orders nothing", format!("{subject} orders no two steps that conflict"))
        }
        Finding::TooLong { before, verdict } => (
            Role::Open,
            "too long",
            format!("{subject} could be given back before line {}: {}", before.line, verdict_words(*verdict)),
        ),
        Finding::NotTaken { first, last, threads } => (
            Role::Bug,
            "not respected",
            format!(
                "{subject} does not protect lines {} to {}: {} {} there without it",
                first.line,
                last.line,
                clean(&list(threads)),
                if threads.len() == 1 { "is" } else { "are" }
            ),
        ),
        Finding::GivenBackBetween { first, last } => (
            Role::Bug,
            "too short",
            format!(
                "{subject} does not protect lines {} to {}: it is given back in between",
                first.line, last.line
            ),
        ),
    }
}

/// One piece; `alone` if no other ordering stands on its line.
fn one(pen: &Pen<'_>, audited: &Audited, alone: bool, name: &dyn Fn(&Site) -> String) -> Vec<String> {
    let (role, word, text) = words(audited, alone, name);
    let mut lines = vec![format!(" {}", pen.paint(role, word))];
    lines.extend(pen.paragraph(&text, 6));
    if let Finding::Needed { schedule, .. } = &audited.finding {
        const SHOWN: usize = 12;
        for step in schedule.iter().take(SHOWN) {
            lines.extend(pen.paragraph(&told(step, name), 8));
        }
        if schedule.len() > SHOWN {
            lines.extend(pen.paragraph(&format!("and {} more steps", schedule.len() - SHOWN), 8));
        }
    }
    lines
}

/// A step of a schedule, in words.
#[cfg(feature = "json")]
pub(in crate::format) fn told_step(step: &Told, sources: &dyn Sources) -> String {
    told(step, &|site| name_of(site, sources))
}

fn told(step: &Told, name: &dyn Fn(&Site) -> String) -> String {
    let object = match (&step.object, &step.created) {
        (Some(object), _) => object.clone(),
        (None, Some(created)) => name(created).trim_matches('`').to_owned(),
        (None, None) => String::new(),
    };
    let words = [&step.thread, ": ", step.verb.word(), " ", &object, " ", &step.value].concat();
    let words: Vec<&str> = words.split_whitespace().collect();
    format!("{} (line {})", clean(&words.join(" ")), step.site.line)
}
