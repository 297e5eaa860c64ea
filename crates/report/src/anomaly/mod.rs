//! Names a failure and tells its story.
//!
//! Each anomaly is one file with one function `detect(&View) -> Option<Finding>`, computed from
//! events alone: who read which write, who overwrote what, who held which lock. Where several
//! match, the order of [`DETECTORS`] decides:
//!
//! 1. what the runtime itself saw (a race, a leak, a deadlock) keeps its name;
//! 2. among blocked threads the more specific comes first: a thread that waits for itself, a cycle,
//!    a notification that came too early, then any other wait that cannot end;
//! 3. for a panic, unsafe publication comes first, which no sequentially consistent execution can
//!    show; then the narrow patterns on one object (ABA, lost update); then any other step out of
//!    the order of execution, because such steps are only left in where the failure needs them;
//!    then the wider patterns on one object (dirty read, non-repeatable read), then those over two objects (write skew, read skew), then the wide
//!    ones (check-then-act, order violation), of which those come last that say least of how the
//!    failing check came to see what it saw, and critical sections of which only the order is known;
//! 4. what matches nothing is a failed assertion or a panic and is not called anything else.

mod aba;
mod check_then_act;
mod data_race;
mod deadlock;
mod dirty_read;
mod leak;
mod livelock;
mod lost_update;
mod lost_wake_up;
mod non_repeatable_read;
mod nondeterminism;
mod order_violation;
mod panic;
mod read_skew;
#[cfg(feature = "fix")]
mod reordering;
mod self_deadlock;
mod two_sections;
mod unended;
mod unsafe_publication;
mod unseen;
mod use_after_free;
mod write_skew;

use crate::explanation::{Anomaly, Explanation, Place};
use crate::rows::Rows;
use crate::view::View;
use crate::{Sources, decision, message, rows, words};
use racefuzz_trace::{Event, Failure, FailureKind, ObjectId, SiteId};

/// A named failure, while its story still refers to events rather than to rows.
pub(crate) struct Finding {
    pub(crate) anomaly: Anomaly,
    pub(crate) headline: String,
    pub(crate) paragraph: String,
    pub(crate) objects: Vec<ObjectId>,
    /// Events to show whatever they are.
    pub(crate) keys: Vec<u32>,
    pub(crate) marks: Vec<(u32, String)>,
    pub(crate) places: Vec<Place>,
}

impl Finding {
    fn new(anomaly: Anomaly, headline: String, paragraph: String) -> Self {
        let (objects, keys, marks, places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { anomaly, headline, paragraph, objects, keys, marks, places }
    }

    /// Adds an object the story is about.
    fn about(mut self, object: Option<ObjectId>) -> Self {
        self.objects.extend(object.filter(|object| !self.objects.contains(object)));
        self
    }

    /// Says what is remarkable about an event.
    fn mark(mut self, event: &Event, text: String) -> Self {
        self.marks.push((event.step, text));
        self
    }

    /// Adds a place without a word about it: the row that stands for it says enough.
    fn from(mut self, event: &Event) -> Self {
        if !self.places.iter().any(|place| place.site == event.site) {
            self.places.push(Place { site: event.site, label: String::new() });
        }
        self
    }

    /// Adds a place and what happens there.
    fn at(mut self, site: SiteId, label: String) -> Self {
        self.places.push(Place { site, label });
        self
    }

    /// Puts row numbers in place of references to events.
    pub(crate) fn resolve(&mut self, number: impl Fn(u32) -> Option<u32>) {
        let resolve = |text: &mut String| *text = words::resolve(text, &number);
        resolve(&mut self.headline);
        resolve(&mut self.paragraph);
        self.marks.iter_mut().for_each(|(_, text)| resolve(text));
        self.places.iter_mut().for_each(|place| resolve(&mut place.label));
    }
}

#[cfg(feature = "fix")]
pub(crate) use reordering::reordering;

type Detector = fn(&View<'_>) -> Option<Finding>;

/// The detectors for each kind of failure, the first that matches names it.
const DETECTORS: &[(FailureKind, &[Detector])] = &[
    (FailureKind::DataRace, &[unsafe_publication::detect_birth, data_race::detect]),
    (FailureKind::UseAfterFree, &[use_after_free::detect]),
    (FailureKind::Leak, &[leak::detect]),
    (FailureKind::StepLimit, &[unseen::detect, livelock::detect]),
    (FailureKind::Nondeterminism, &[unseen::detect, nondeterminism::detect]),
    (
        FailureKind::Deadlock,
        &[self_deadlock::detect, deadlock::detect_cycle, lost_wake_up::detect, deadlock::detect],
    ),
    (FailureKind::Panic, BY_PATTERN),
    (FailureKind::Exit, BY_PATTERN),
];

/// Where the program itself says that it went wrong: why, by what its events are to each other.
const BY_PATTERN: &[Detector] = &[
    unseen::detect,
    unsafe_publication::detect,
    aba::detect,
    lost_update::detect,
    order_violation::detect_weak,
    dirty_read::detect,
    non_repeatable_read::detect,
    write_skew::detect,
    read_skew::detect,
    check_then_act::detect,
    order_violation::detect,
    check_then_act::reread,
    check_then_act::elsewhere,
    check_then_act::woken_for_nothing,
    two_sections::detect,
];

/// Explains a failure: its name, its story, its trace as people read it.
pub fn explain(failure: &Failure, sources: &dyn Sources) -> Explanation {
    explain_in(failure, sources, Rows::Telling)
}

/// What happened in an execution that failed, with every step of it in a row.
pub(crate) fn explain_all(failure: &Failure, sources: &dyn Sources) -> Explanation {
    explain_in(failure, sources, Rows::All)
}

fn explain_in(failure: &Failure, sources: &dyn Sources, which: Rows) -> Explanation {
    let view = View::new(failure, sources);
    let mut finding = find(&view);
    finding.objects.sort_unstable();
    finding.objects.retain(|object| rows::has_state(&view, *object));
    finding.objects.truncate(3);
    let rows = rows::build(&view, &mut finding, which);
    let decision = failure.decision.as_ref().and_then(|decision| decision::sentence(decision, &rows));
    Explanation {
        anomaly: finding.anomaly,
        headline: finding.headline,
        paragraph: finding.paragraph,
        objects: finding.objects,
        rows,
        decision,
        places: finding.places,
        thread_names: view.names.threads,
        object_names: view.names.objects,
    }
}

fn find(view: &View<'_>) -> Finding {
    let failure = view.failure;
    let detectors = DETECTORS.iter().filter(|(kind, _)| *kind == failure.kind).flat_map(|(_, list)| *list);
    let found = detectors.into_iter().find_map(|detect| detect(view));
    let mut finding = found.unwrap_or_else(|| panic::fallback(view));
    unended::tell(view, &mut finding);
    finding
}

/// Further back than this many events a detector that compares pairs does not look: what matters is
/// near the failure, and executions may be long.
const WINDOW: usize = 256;

/// The headline alone, without the work of laying out rows.
pub(crate) fn headline_of(failure: &Failure, sources: &dyn Sources) -> String {
    find(&View::new(failure, sources)).headline
}

/// `lost update on X: expected 7, found 6`: the anomaly, and what the assertion said.
fn headline(view: &View<'_>, anomaly: Anomaly, object: Option<ObjectId>) -> String {
    let name = match object {
        Some(object) => format!("{anomaly} on {}", view.object(object)),
        None => anomaly.to_string(),
    };
    let outcome = outcome(view);
    // A long message is in the paragraph; the headline is to be taken in at a glance.
    if outcome.chars().count() <= 64 { format!("{name}: {outcome}") } else { name }
}

/// What the failing assertion said.
fn outcome(view: &View<'_>) -> String {
    message::outcome(&view.failure.message, &view.seen())
}

/// `thread 1 holds` and the like need the place of a lock's acquisition as a step where there is one.
fn taken(view: &View<'_>, thread: racefuzz_trace::ThreadId, object: ObjectId) -> Option<u32> {
    view.held(thread, u32::MAX).iter().rev().find(|lock| lock.object == object).map(|lock| lock.taken)
}

/// How a thread that holds a lock for good ended, for a sentence.
fn fate(view: &View<'_>, thread: racefuzz_trace::ThreadId) -> Option<&'static str> {
    use racefuzz_trace::ThreadEnd;
    match view.trace.thread(thread).end {
        ThreadEnd::Killed => Some("was killed"),
        ThreadEnd::Panicked(_) => Some("panicked"),
        ThreadEnd::Finished => Some("ended"),
        _ => None,
    }
}
