//! An audit as text.

use super::fix_words::{sequential_words, verdict_words};
use super::pen::{Pen, Role};
use super::{Style, verdict};
use crate::words::{clean, count};
use crate::{Command, Sources, explain};
use racefuzz_trace::{AuditReport, Audited, Finding, Site, Subject};

/// What was found out about a program's synchronisation, as text with a newline at its end.
pub fn audit_text(report: &AuditReport, sources: &dyn Sources, style: &Style, next: &[Command]) -> String {
    let pen = Pen { style };
    let name = |site: &Site| {
        sources
            .text(&site.file)
            .and_then(|text| crate::names::name_at(&text, site.line, site.column))
            .map_or_else(|| format!("what line {} creates", site.line), |name| format!("`{name}`"))
    };
    let program = clean(&report.program);
    let mut lines = match (&report.failure, report.holds) {
        (Some(failure), _) => {
            let story = explain(failure, sources);
            let mut lines =
                verdict::line(&pen, Role::Bug, "bug", &format!("{program}: {}", story.headline), "");
            lines.extend(pen.paragraph(&story.paragraph, 6));
            lines
        }
        (None, holds) => {
            let holds = holds.map(verdict_words).unwrap_or_default();
            verdict::line(&pen, Role::Good, "ok", &format!("{program}: nothing fails"), &holds)
        }
    };
    lines.push(String::new());
    for audited in &report.audited {
        lines.extend(one(&pen, audited, &name));
    }
    for (inner, outer) in &report.nested {
        let text = format!("{} is only ever taken while {} is held", name(inner), name(outer));
        lines.extend(pen.paragraph(&text, 1));
    }
    for (object, bare) in &report.unprotected {
        let at: Vec<String> = bare.iter().map(|site| site.line.to_string()).collect();
        let at = match at.is_empty() {
            true => String::new(),
            false => format!("; line {} has none", at.join(", ")),
        };
        lines.extend(
            pen.paragraph(&format!("{}: no lock is held at all of its accesses{at}", name(object)), 1),
        );
    }
    for cycle in &report.cycles {
        let names: Vec<String> = cycle.iter().map(name).collect();
        let text = format!("locks are taken in a circle: {}, then {} again", names.join(", then "), names[0]);
        lines.extend(pen.paragraph(&text, 1));
    }
    if let Some(parallelism) = report.parallelism {
        let text = format!(
            "parallelism {:.2}: {} steps, {} in a row",
            parallelism.mean, parallelism.work, parallelism.span
        );
        lines.extend(pen.paragraph(&text, 1));
        if parallelism.is_sequential() {
            lines.extend(pen.paragraph(&sequential_words(report.one_output), 1));
        }
    }
    lines.extend(pen.paragraph(&count(report.executions, "execution", "executions"), 1));
    lines.extend(super::next::commands(&pen, next));
    let mut out = lines.join("\n");
    out.push('\n');
    out
}

fn one(pen: &Pen<'_>, audited: &Audited, name: &dyn Fn(&Site) -> String) -> Vec<String> {
    let subject = match &audited.subject {
        Subject::Lock(site) => name(site),
        Subject::Guard { lock, taken } => format!("{} as taken on line {}", name(lock), taken.line),
        Subject::Ordering { site, order, weaker } => {
            format!("{} on line {} (rather than {})", order.name(), site.line, weaker.name())
        }
        Subject::Join(site) => format!("the join on line {}", site.line),
    };
    let (role, word, text) = match &audited.finding {
        Finding::NotNeeded(verdict) => {
            (Role::Open, "not needed", format!("{subject} is never needed: {}", verdict_words(*verdict)))
        }
        Finding::Needed { fails, .. } => {
            (Role::Good, "needed", format!("{subject}: without it, {}", clean(fails)))
        }
        Finding::Orders { first, then } => {
            (Role::Good, "orders", format!("{subject} puts line {} before line {}", first.line, then.line))
        }
        Finding::OrdersNothing => {
            (Role::Open, "orders nothing", format!("{subject} orders no two steps that conflict"))
        }
        Finding::GivenBackBetween { first, last } => (
            Role::Bug,
            "too short",
            format!(
                "{subject} does not protect lines {} to {}: it is given back in between",
                first.line, last.line
            ),
        ),
    };
    let mut lines = vec![format!(" {}", pen.paint(role, word))];
    lines.extend(pen.paragraph(&text, 6));
    if let Finding::Needed { schedule, .. } = &audited.finding {
        const SHOWN: usize = 12;
        for (step, site) in schedule.iter().take(SHOWN) {
            lines.extend(pen.paragraph(&format!("{} (line {})", clean(step), site.line), 8));
        }
        if schedule.len() > SHOWN {
            lines.extend(pen.paragraph(&format!("and {} more steps", schedule.len() - SHOWN), 8));
        }
    }
    lines
}
