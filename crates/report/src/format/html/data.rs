//! What the page shows, as data: `page/model.js` says the same in its types.

use super::audited::{self, Audit};
use super::repairs::{self, Repair};
use super::sources::{Files, SourceFile};
use super::stepping::{self, Stepping};
use crate::format::story::Story;
use crate::format::text::{self, Head, Role};
use crate::words::number;
use crate::{Content, Document, explain};
use racefuzz_trace::{Failure, Outcome};
use serde::Serialize;

/// Everything on a page.
#[derive(Serialize)]
pub(super) struct Data {
    pub(super) version: &'static str,
    pub(super) program: String,
    pub(super) verdict: Verdict,
    /// What else is to be said, a paragraph each.
    pub(super) remarks: Vec<String>,
    pub(super) token: Option<String>,
    pub(super) commands: Vec<Line>,
    pub(super) files: Vec<SourceFile>,
    pub(super) stepping: Option<Stepping>,
    pub(super) repairs: Vec<Repair>,
    pub(super) audit: Option<Audit>,
}

/// The verdict, as it stands on top.
#[derive(Serialize)]
pub(super) struct Verdict {
    pub(super) word: &'static str,
    /// `bad`, `good` or `open`.
    pub(super) tone: &'static str,
    pub(super) headline: String,
    pub(super) run: String,
    pub(super) paragraphs: Vec<String>,
}

/// A command to type.
#[derive(Serialize)]
pub(super) struct Line {
    pub(super) label: String,
    pub(super) line: String,
}

pub(super) fn data(document: &Document<'_>) -> Data {
    let (content, sources) = (document.content, document.sources);
    let first = content.failures().first();
    let story = first.map(|failure| Story::new(failure, sources));
    let mut files = Files::new(sources);
    let stepping = story.as_ref().map(|story| stepping::stepping(story, &mut files));
    let (head, remarks) = words(document, first);
    let tone = tone(head.role);
    let replays = document.next.iter().any(|command| command.label == "replay");
    let token = story.as_ref().and_then(Story::token).filter(|_| replays || document.next.is_empty());
    let repairs = match content {
        Content::Fix(report) => repairs::repairs(report, sources, story.as_ref(), &mut files),
        _ => Vec::new(),
    };
    let audit = match content {
        Content::Audit(report) => Some(audited::audit(report, sources, &mut files)),
        _ => None,
    };
    Data {
        version: env!("CARGO_PKG_VERSION"),
        program: content.program().to_owned(),
        verdict: Verdict {
            word: head.word,
            tone,
            headline: head.left,
            run: head.right,
            paragraphs: head.more,
        },
        remarks,
        token,
        commands: document
            .next
            .iter()
            .map(|command| Line { label: command.label.clone(), line: command.line.clone() })
            .collect(),
        files: files.into_list(),
        stepping,
        repairs,
        audit,
    }
}

/// How a verdict, or a piece of one, looks.
pub(super) fn tone(role: Role) -> &'static str {
    match role {
        Role::Bug => "bad",
        Role::Good => "good",
        _ => "open",
    }
}

/// The verdict, and what is to be said behind everything else.
fn words(document: &Document<'_>, first: Option<&Failure>) -> (Head, Vec<String>) {
    let sources = document.sources;
    let mut remarks = Vec::new();
    let head = match document.content {
        Content::Run(report) => {
            remarks.extend(text::exploration_words(report).map(|words| words.replace('\u{a0}', " ")));
            let head = match first {
                Some(failure) => {
                    if !failure.is_replayable() {
                        remarks.push(text::no_replay(report, failure));
                    }
                    text::bug(report, failure, &explain(failure, sources))
                }
                None => text::other(report),
            };
            remarks.extend(text::expectation_words(report));
            if report.outcome != Outcome::Failed {
                remarks.extend(report.warnings.iter().map(text::warning_words));
            }
            remarks.extend(others(&report.failures, sources));
            head
        }
        Content::Fix(report) => {
            remarks.extend(report.notes.iter().cloned());
            let (tried, executions) = (number(report.tried), number(report.executions));
            if !report.nothing_to_fix() {
                remarks.push(format!("{tried} changes tried in {executions} executions"));
            }
            text::fix_head(report, sources)
        }
        Content::Audit(report) => {
            remarks.extend(text::audit_remarks(report, sources));
            remarks.push(format!("{} executions", number(report.executions)));
            text::audit_head(report, sources)
        }
    };
    (head, remarks)
}

/// The failures after the first.
fn others(failures: &[Failure], sources: &dyn crate::Sources) -> Vec<String> {
    const SHOWN: usize = 10;
    let told = |failure: &Failure| {
        format!("also {} (execution {})", explain(failure, sources).headline, number(failure.iteration + 1))
    };
    failures.iter().skip(1).take(SHOWN).map(told).collect()
}
