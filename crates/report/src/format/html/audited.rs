//! An audit on a page: each piece of synchronisation, and what it is good for.

use super::data::tone;
use super::sources::Files;
use crate::Sources;
use crate::format::sarif::subject_sites;
use crate::format::text::{audit_words, told_step};
use racefuzz_trace::{AuditReport, Audited, Finding};
use serde::Serialize;

/// An audit.
#[derive(Serialize)]
pub(super) struct Audit {
    pieces: Vec<Piece>,
}

/// A piece of synchronisation.
#[derive(Serialize)]
struct Piece {
    word: &'static str,
    /// `bad`, `good` or `open`.
    tone: &'static str,
    text: String,
    place: Option<(usize, u32, u32)>,
    /// The schedule that fails without it: each step, and where it stands.
    schedule: Vec<(String, (usize, u32, u32))>,
}

/// Steps of a schedule that are shown.
const MOST_STEPS: usize = 60;

pub(super) fn audit(report: &AuditReport, sources: &dyn Sources, files: &mut Files<'_>) -> Audit {
    let piece = |audited: &Audited| {
        let (role, word, text) = audit_words(report, audited, sources);
        let schedule = match &audited.finding {
            Finding::Needed { schedule, .. } => &schedule[..schedule.len().min(MOST_STEPS)],
            _ => &[],
        };
        Piece {
            word,
            tone: tone(role),
            text,
            place: subject_sites(audited).first().map(|site| files.place(site)),
            schedule: schedule
                .iter()
                .map(|step| (told_step(step, sources), files.place(&step.site)))
                .collect(),
        }
    };
    Audit { pieces: report.audited.iter().map(piece).collect() }
}
