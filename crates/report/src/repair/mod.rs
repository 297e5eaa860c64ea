//! A repair as changes of source lines, as far as its places allow that.

mod calls;
mod edits;
mod given_back;
mod guard;
mod harness;
mod law;
mod lines;
mod moved;
mod one_step;
mod passed_on;
mod patch;
#[cfg(feature = "json")]
mod replaced;
mod retest;
mod update;
mod waits;
mod way_out;

pub use harness::put_harness_last;
pub use patch::{Patch, patch, patches, proposals};
#[cfg(feature = "json")]
pub(crate) use replaced::replacements;
pub(crate) use waits::in_words as wait_in_words;
pub(crate) use way_out::function;

use crate::Sources;
use lines::{has_word, imports, one_block};
use racefuzz_trace::{Certainty, Edit, Fix, FixKind, FixReport, MemoryOrder, Region};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What happens to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Keep,
    Add,
    Remove,
}

/// One line of a suggestion.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) number: Option<usize>,
    pub(crate) mark: Mark,
    pub(crate) text: String,
}

/// Lines of one file.
#[derive(Clone, Debug)]
pub(crate) struct Hunk {
    pub(crate) file: String,
    pub(crate) lines: Vec<Line>,
}

/// Changes of one file: what goes in front of a line, what comes behind it, what replaces it.
#[derive(Default)]
struct Changes {
    before: BTreeMap<usize, Vec<String>>,
    behind: BTreeMap<usize, Vec<String>>,
    instead: BTreeMap<usize, String>,
    /// Lines that go.
    gone: BTreeSet<usize>,
    /// The parts of lines that are replaced, last first.
    tokens: BTreeMap<usize, Vec<(Range<usize>, String)>>,
    /// Something is only described in a comment, or is not what was explored.
    by_hand: bool,
}

impl Changes {
    /// The lines that something happens at.
    fn touched(&self) -> Vec<usize> {
        let all = self.before.keys().chain(self.behind.keys()).chain(self.instead.keys()).chain(&self.gone);
        let mut touched: Vec<usize> = all.copied().collect();
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    fn comment(&mut self, at: usize, text: String) {
        push(&mut self.before, at, text);
        self.by_hand = true;
    }
}

/// The suggestion of a repair, one hunk a file; empty where the source is not known.
pub(crate) fn hunks(fix: &Fix, sources: &dyn Sources) -> Vec<Hunk> {
    changes(fix, sources, Names::Short)
        .files
        .into_iter()
        .filter_map(|(file, changes)| Some(hunk(&file, &sources.text(&file)?, &changes)))
        .collect()
}

/// Whether the text of a repair is the whole of it, and does what was explored. Any other repair is
/// advice: what was explored is what its words say, and nobody has explored what is typed in.
pub fn is_typed(fix: &Fix, sources: &dyn Sources) -> bool {
    fix.verdict.certainty != Certainty::Untried && changes(fix, sources, Names::Paths).complete
}

/// How items of the library are named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// So that people see at once what is meant.
    Short,
    /// So that the compiler finds them: with their path where the file does not import them.
    Paths,
}

/// A repair as text.
struct Typed {
    files: BTreeMap<String, Changes>,
    /// Whether that is the whole repair, and does what was explored.
    complete: bool,
}

fn changes(fix: &Fix, sources: &dyn Sources, names: Names) -> Typed {
    let mut files: BTreeMap<String, Changes> = BTreeMap::new();
    let mut complete = true;
    if fix.kind != FixKind::OneStep {
        guard::guards(fix, sources, &mut files);
    }
    for edit in fix.overlay.edits.iter().chain(&fix.besides) {
        let site = match edit {
            // Above, by their regions.
            Edit::Lock { .. } if fix.kind == FixKind::OneStep => {
                complete &= one_step::write(fix, sources, names, &mut files);
                continue;
            }
            Edit::Lock { .. } => {
                complete &= !fix.regions.is_empty();
                continue;
            }
            Edit::Update { .. } => {
                complete &= update::write(edit, sources, names, &mut files);
                continue;
            }
            Edit::TestAgain { wait } => {
                complete &= retest::write(wait, sources, &mut files);
                continue;
            }
            Edit::LoadAgain { .. } | Edit::WaitFor { .. } => {
                complete &= waits::write(fix, edit, sources, names, &mut files);
                continue;
            }
            Edit::GiveBackTaken { taken, was, looked } => {
                complete &= given_back::write(taken, was, looked, sources, names, &mut files);
                continue;
            }
            Edit::PassOn { wait, looked } => {
                complete &= passed_on::write(wait, looked, sources, &mut files);
                continue;
            }
            Edit::MoveUp { statement, before } => {
                complete &= moved::write(statement, before, sources, &mut files);
                continue;
            }
            Edit::Order { site, .. }
            | Edit::FailureOrder { site, .. }
            | Edit::Swap { site }
            | Edit::WakeAll { site } => site,
            Edit::Fence { before, .. }
            | Edit::Join { before, .. }
            | Edit::Await { before, .. }
            | Edit::LetGo { before, .. } => before,
            Edit::UnparkSelf { wait } if !wait.is_empty() => &wait[0],
            _ => {
                complete = false;
                continue;
            }
        };
        match sources.text(&site.file) {
            Some(text) => {
                let changes = files.entry(site.file.clone()).or_default();
                edits::write(&edits::Place { fix, edit, site, text: &text, names, sources }, changes);
            }
            None => complete = false,
        }
    }
    complete &= !files.is_empty() && files.values().all(|changes| !changes.by_hand);
    files.retain(|_, changes| !changes.touched().is_empty());
    complete &= !files.is_empty();
    Typed { files, complete }
}

fn push(lines: &mut BTreeMap<usize, Vec<String>>, at: usize, text: String) {
    let here = lines.entry(at).or_default();
    if !here.contains(&text) {
        here.push(text);
    }
}

/// Leaves out what nobody has explored and cannot be typed in either. Of what may be a wait that is tested for
/// only once a note is left.
pub fn leave_out_unwritten(report: &mut FixReport, sources: &dyn Sources) {
    let written = |fix: &Fix| {
        fix.verdict.certainty != Certainty::Untried || changes(fix, sources, Names::Paths).complete
    };
    let kept: Vec<bool> = report.fixes.iter().map(written).collect();
    let number = |old: u32| {
        let at = old as usize - 1;
        kept[at].then(|| kept[..at].iter().filter(|kept| **kept).count() as u32 + 1)
    };
    for (fix, _) in report.fixes.iter().zip(&kept).filter(|(_, kept)| !**kept) {
        report.notes.extend(fix.overlay.edits.iter().filter_map(|edit| match edit {
            Edit::TestAgain { wait } => retest::in_words(wait, sources),
            _ => None,
        }));
    }
    for fix in &mut report.fixes {
        fix.dominated_by = fix.dominated_by.and_then(number);
    }
    let mut all = kept.iter();
    report.fixes.retain(|_| all.next().is_some_and(|kept| *kept));
}

/// A name of `sync::atomic` with its path.
fn atomic(text: &str, name: &str) -> String {
    let of = if text.contains("racefuzz::") { "racefuzz" } else { "std" };
    format!("{of}::sync::atomic::{name}")
}

/// An ordering as the file can name it.
fn order_name(order: MemoryOrder, text: &str, names: Names) -> String {
    match names == Names::Short || imports(text, order.name()) {
        true => order.name().to_owned(),
        false if imports(text, "Ordering") => format!("Ordering::{}", order.name()),
        false => format!("{}::{}", atomic(text, "Ordering"), order.name()),
    }
}

/// The variable for the guard of a new lock: one that the file does not use for anything else.
fn guard_name(number: u32, text: &str) -> String {
    let name = if has_word(text, "guard") { "new_guard" } else { "guard" };
    if number == 0 { name.to_owned() } else { format!("{name}_{}", number + 1) }
}

/// The static of a new lock.
fn static_name(number: u32) -> String {
    if number == 0 { "NEW_LOCK".to_owned() } else { format!("NEW_LOCK_{}", number + 1) }
}

/// The line of a region's first step, or of a lock taken before it in the same block: a lock that is
/// taken behind that one would be taken in the other order.
pub(crate) fn first_line(region: &Region, lines: &[&str]) -> usize {
    let (first, begins) = (region.first.line as usize, region.begins.line as usize);
    let known = 0 < begins && begins < first && first <= lines.len();
    if known && region.begins.file == region.first.file && one_block(lines, begins, first - 1) {
        return begins;
    }
    first
}

/// The regions that are not the beginning of another one, where a thread turns off early.
pub(crate) fn whole_regions(fix: &Fix) -> impl Iterator<Item = &Region> {
    let is_part = |at: usize, region: &Region| {
        fix.regions.iter().enumerate().any(|(other_at, other)| {
            let longer = (other.sites.len(), &other.last, at) > (region.sites.len(), &region.last, other_at);
            longer
                && (&other.lock, &other.first, other.shared) == (&region.lock, &region.first, region.shared)
                && region.sites.iter().all(|site| other.sites.contains(site))
        })
    };
    fix.regions.iter().enumerate().filter(move |(at, region)| !is_part(*at, region)).map(|(_, region)| region)
}

fn hunk(file: &str, text: &str, changes: &Changes) -> Hunk {
    let touched = changes.touched();
    let (first, last) = (touched.first().copied().unwrap_or(1), touched.last().copied().unwrap_or(1));
    let mut lines = Vec::new();
    let mut skipped = false;
    for (number, text) in (1..).zip(text.lines()).filter(|(number, _)| (first..=last).contains(number)) {
        let near = touched.iter().any(|at| at.abs_diff(number) <= 2);
        if !near {
            if !std::mem::replace(&mut skipped, true) {
                lines.push(Line { number: None, mark: Mark::Keep, text: "...".to_owned() });
            }
            continue;
        }
        skipped = false;
        let add = |text: &String| Line { number: None, mark: Mark::Add, text: text.clone() };
        lines.extend(changes.before.get(&number).into_iter().flatten().map(add));
        match changes.instead.get(&number) {
            Some(new) => {
                lines.push(Line { number: Some(number), mark: Mark::Remove, text: text.to_owned() });
                lines.push(add(new));
            }
            None => {
                let mark = if changes.gone.contains(&number) { Mark::Remove } else { Mark::Keep };
                lines.push(Line { number: Some(number), mark, text: text.to_owned() });
            }
        }
        lines.extend(changes.behind.get(&number).into_iter().flatten().map(add));
    }
    Hunk { file: file.to_owned(), lines }
}
