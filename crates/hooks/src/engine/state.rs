//! What the host keeps of the program, between executions and within one.

use super::blocks::Blocks;
use super::events::Events;
use super::exhaustive::threads::Scope;
use super::futex::Futexes;
use super::output::Output;
use super::rounds::Rounds;
use super::segments::Segments;
use super::threads::Threads;
use super::words::Words;
use racefuzz_runtime::ops::Waiters;
use std::cell::UnsafeCell;
use std::collections::{HashMap, HashSet};

/// All of it. Used by the operating-system thread that drives the program, and by nobody else.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) blocks: Blocks,
    pub(crate) segments: Option<Segments>,
    pub(crate) threads: Threads,
    pub(crate) words: Words,
    pub(crate) futexes: Futexes,
    pub(crate) events: Events,
    pub(crate) output: Output,
    pub(crate) rounds: Rounds,
    /// What the program has used that is not virtual, in any execution.
    pub(crate) real: Option<&'static str>,
    /// What was met that is not seen, where every execution is explored.
    pub(crate) unseen: Vec<String>,
    /// There, too: who waits on condition variables, by their addresses; scopes, and of threads that make another
    /// one in which; and what stands for threads' tokens.
    pub(crate) waiters: HashMap<usize, Waiters>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) spawning: HashMap<usize, usize>,
    pub(crate) tokens: Vec<usize>,
    /// And where the library's own counts lie.
    pub(crate) aside: HashSet<usize>,
    /// Folders that places are shown relative to.
    pub(crate) roots: Vec<String>,
    /// Loads may read older stores than the newest.
    pub(crate) reads_stale: bool,
    /// Bytes of randomness given out in this execution: to anybody, or, where every execution is explored, to each thread.
    pub(crate) drawn: Vec<u64>,
}

impl State {
    /// An execution begins.
    pub(crate) fn begin(&mut self) {
        self.threads.begin();
        self.words.begin();
        self.futexes.begin();
        self.events.begin();
        self.output.begin();
        self.rounds.begin();
        self.drawn.clear();
        self.waiters.clear();
        self.scopes.clear();
        self.spawning.clear();
        self.tokens.clear();
        self.aside.clear();
    }
}

struct Cell(UnsafeCell<Option<State>>);

// SAFETY: one thread uses it, as `with` asks.
unsafe impl Sync for Cell {}

static STATE: Cell = Cell(UnsafeCell::new(None));

/// Runs `f` on the state. Called on the host's side, by the operating-system thread that drives the program.
///
/// `f` must not state an operation: another coroutine may then run, which comes here again.
pub(crate) fn with<R>(f: impl FnOnce(&mut State) -> R) -> R {
    debug_assert!(!super::border::in_program());
    // SAFETY: only that one thread comes here, and not again before `f` has returned.
    let state = unsafe { &mut *STATE.0.get() };
    f(state.get_or_insert_with(State::default))
}
