//! Every execution of a test, explored by `racefuzz-check`: what has to be different for that.
//!
//! Sampling asks of an operation that it is stated in its turn. An exploration asks more: what threads do to each
//! other must be operations, all of it, since an execution is known by its operations, and of those that differ in
//! nothing else only one is run. Where the standard library comes compiled that is not so. Hence, while all
//! executions are explored:
//!
//! # Stand-ins
//! By what of the standard library threads block is not run, but stands for an operation of the runtime on one
//! word, as racefuzz's own types do:
//! * a lock ([`locks`]): it is taken and given back by an atomic operation in code that is inlined into the
//!   program, and that operation is the lock's; the part that is not inlined is never come to;
//! * [`condvar`], [`barrier`], [`threads`] (parking), whose functions are replaced as a whole ([`functions`]);
//! * what is done [`once`]: its function is run when it is its turn, and its end is an operation, too;
//! * the end of a scope ([`threads`]) waits for the ends of its threads.
//!
//! The test's harness is no thread beside the test: it runs the test in the place of waiting for it
//! ([`threads`](super::threads)).
//!
//! # What is not seen
//! Other code that is not instrumented ([`unseen`]) gets a breakpoint where it may synchronise: where a function
//! has an instruction that locks the bus, and in everything of the standard library that is about synchronisation.
//! A thread that comes there while there are others ends the exploration, without an answer that could be a
//! proof ([`give_up`]). So does memory of an atomic that has changed without an operation, a call of the system
//! that waits or wakes, a descriptor that is real, and an access that is not kept well enough to be compared with
//! others.
//!
//! # What a proof takes for granted
//! That the standard library's own code does what its documentation says, and touches no memory of the program's
//! but for what it is given; that the program's output and what the library counts for itself (threads' numbers,
//! panics) order nothing.

pub(super) mod atomics;
mod barrier;
mod condvar;
pub(super) mod copies;
mod functions;
mod locks;
mod once;
pub(super) mod threads;
pub(super) mod unseen;
mod uses;

use super::border::as_host;
use super::missed::Missed;
use super::roles::{Part, Role};
use super::words::Word;
use super::{shadow, state};
use racefuzz_runtime::Site;
use racefuzz_runtime::ops::process::{self, End};
use racefuzz_trace::{ObjectKind, normalize_path};
use std::sync::atomic::{AtomicBool, Ordering};

/// The name of the parameter, in a schedule's settings, that says so of the executions it is one of.
pub(crate) const PARAMETER: &str = "stand-ins";

static IS_ON: AtomicBool = AtomicBool::new(false);
static IS_OVER: AtomicBool = AtomicBool::new(false);
static IS_TIMED: AtomicBool = AtomicBool::new(false);

/// Whether executions of this process are such that all of them can be explored.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// They are, from now on.
pub(crate) fn switch_on() {
    IS_ON.store(true, Ordering::Relaxed);
}

/// Whether something was met for which an exploration has no answer.
pub(crate) fn is_over() -> bool {
    IS_OVER.load(Ordering::Relaxed) || Missed::first().is_some()
}

/// What that was. On the host's side.
pub(crate) fn why_over() -> Option<String> {
    if let Some(missed) = Missed::first() {
        note(missed.words().to_owned());
    }
    state::with(|state| state.unseen.first().cloned())
}

/// Time plays a part: a thread sleeps, or asks for the time.
pub(crate) fn note_time() {
    IS_TIMED.store(true, Ordering::Relaxed);
}

/// Whether it did in any execution.
pub(crate) fn is_timed() -> bool {
    IS_TIMED.load(Ordering::Relaxed)
}

/// Something was met that is not seen: the exploration has no answer. On the host's side.
pub(crate) fn note(reason: String) {
    IS_OVER.store(true, Ordering::Relaxed);
    // What comes behind the first depends on how soon the exploration ends.
    let first = Missed::first().map_or(reason, |missed| missed.words().to_owned());
    state::with(|state| {
        if state.unseen.is_empty() {
            state.unseen.push(first);
        }
    });
}

/// The same, and the execution goes no further. On the host's side; returns only outside of an execution.
pub(crate) fn give_up(reason: String) {
    note(reason);
    process::end(End::Passed);
}

/// A place, as it is told to a person.
pub(crate) fn place(site: Site) -> String {
    let place = site.location();
    let roots = state::with(|state| state.roots.clone());
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    format!("{}:{}", normalize_path(place.file(), &roots), place.line())
}

/// Whether a block begins with a count of the library's own, of which not all operations are seen.
pub(crate) fn is_aside(block: usize) -> bool {
    as_host(|block| state::with(|state| state.aside.contains(&block)), block)
}

/// Where something was made that is used at a place first, as executions are compared by that: in enumerated ones
/// nobody is the first.
pub(crate) fn made(site: Site) -> Site {
    if is_on() && process::is_enumerated() { Site::of_code(0) } else { site }
}

/// Puts stand-ins in place, the first time.
pub(crate) fn prepare() {
    if is_on() {
        unseen::prepare();
        copies::prepare();
    }
}

/// The first word of an object of a kind whose memory holds this.
pub(crate) fn initial(kind: ObjectKind, real: u64) -> u64 {
    match kind {
        // What lies there is something else.
        ObjectKind::Condvar | ObjectKind::Thread => 0,
        ObjectKind::Barrier => racefuzz_runtime::ops::barrier::INITIAL,
        ObjectKind::Once => once::initial(real),
        _ => real,
    }
}

/// The word of something at an address, for one operation. What the program has written there by other means than
/// an operation is what a new object begins with.
fn state_word<'a>(address: usize, bytes: u8, site: Site, part: Part) -> &'a Word {
    let (word, unseen, overlaps) = state::with(|state| {
        let overlaps = bytes != threads::TOKEN && state.words.overlaps(address, bytes);
        let word = state.words.at(address, bytes, (site, part));
        // SAFETY: atomics that were met are boxed and stay while executions run.
        let unseen =
            bytes != threads::TOKEN && unsafe { &*word }.begins_anew(state.threads.has_had_several());
        (word, unseen, overlaps)
    });
    if overlaps {
        give_up(format!("an atomic of which parts are atomics, too, used at {}", place(site)));
    }
    // How far it is with what is done once is written by the library, behind the operation that says so.
    if unseen && part.role != Role::Once {
        give_up(format!(
            "code that is not instrumented has written to an atomic that is used at {}",
            place(site)
        ));
    }
    // SAFETY: as above.
    let word = unsafe { &*word };
    // Which part of the library asks is told by the place of the call, of which the compiler may have left too little.
    if bytes != threads::TOKEN && !word.is_taken_for(part.role.kind()) {
        give_up(format!("what is done to a lock at {}", place(site)));
    }
    word
}

/// An operation on it is done.
fn done(word: &Word) {
    shadow::publish();
    word.done();
}
