//! The seam between the runtime, which knows what *may* happen, and whoever decides what *does*.

use crate::execution::Execution;
use racefuzz_trace::{MemoryOrder, OpKind, Point, ThreadId, Verb};
use std::cell::Cell;
use std::rc::Rc;

/// What a thread is about to do, or has just done.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// How it acts on memory.
    pub kind: OpKind,
    /// What the user wrote.
    pub verb: Verb,
    /// Its memory ordering.
    pub order: MemoryOrder,
    /// The object it acts on, numbered in the order of first use; [`Op::NO_OBJECT`] if none.
    pub object: u32,
    /// Whether it takes a lock that excludes others, or gives one back.
    pub lock: bool,
}

impl Op {
    /// The number that stands for no object.
    pub const NO_OBJECT: u32 = u32::MAX;

    /// Whether two operations of different threads race in the sense of partial order sampling:
    /// they name the same object and at least one changes it.
    #[inline]
    pub fn races_with(&self, other: &Self) -> bool {
        self.object == other.object
            && self.object != Self::NO_OBJECT
            && (self.kind.writes() || other.kind.writes())
    }
}

/// A point where more than one thread may go on.
pub struct ThreadChoice<'a> {
    /// The threads that may go on, ascending; at least two.
    pub options: &'a [ThreadId],
    /// The thread that executed the last event, if it is among the options.
    pub current: Option<ThreadId>,
    /// Events executed so far.
    pub step: u32,
    pub(crate) execution: &'a Execution,
}

impl ThreadChoice<'_> {
    /// What `thread` will do if it goes on.
    #[inline]
    pub fn pending(&self, thread: ThreadId) -> Op {
        self.execution.threads[thread.index()].pending.op
    }

    /// The threads that may go on, each with what it will do then.
    #[inline]
    pub fn each(&self) -> impl Iterator<Item = (ThreadId, &Op)> {
        self.options.iter().map(|thread| {
            invariant!(thread.index() < self.execution.schedule.thread_count);
            // SAFETY: the options are threads of the execution; nobody else makes a choice.
            let entry = unsafe { self.execution.threads.get_unchecked(thread.index()) };
            (*thread, &entry.pending.op)
        })
    }

    /// Whether `thread` gave way at its last step (a yield, a spin, a repeated read of one value).
    #[inline]
    pub fn yielded(&self, thread: ThreadId) -> bool {
        self.execution.threads[thread.index()].spinning.yielded
    }

    /// Whether `thread` is in a round of a loop that waits, in which it is not to be interrupted: see
    /// [`Config::insistence`](crate::Config::insistence).
    #[inline]
    pub fn insists(&self, thread: ThreadId) -> bool {
        let thread = &self.execution.threads[thread.index()];
        thread.spinning.insistence.until > thread.time
    }

    /// Where an object of this execution was made, as a number that is the same in every execution
    /// and every build of the same sources (two places may share one, though hardly ever do).
    pub fn created(&self, object: u32) -> Option<u64> {
        let objects = &self.execution.objects[..self.execution.storage.object_count];
        Some(objects.get(object as usize)?.created.number_of_origin())
    }

    /// The default: the current thread if it may go on, else the lowest.
    pub fn default_thread(&self) -> ThreadId {
        self.current.unwrap_or(self.options[0])
    }
}

/// A choice among alternatives that are not threads.
#[derive(Clone, Copy, Debug)]
pub struct Alternatives {
    /// What is chosen.
    pub point: Point,
    /// The thread that is about to act.
    pub thread: ThreadId,
    /// How many alternatives there are, at least two; 0 is the default (see [`Point`]).
    pub count: u32,
}

/// Decides, at each point where an execution could go on in more than one way.
///
/// The sampling strategies, the replayer, the minimiser and exhaustive explorers implement it. The
/// runtime asks only where there is a choice, always in the same order for the same answers, and
/// never looks at a clock or an address, so an execution is a function of the answers.
pub trait Explorer {
    /// An execution begins.
    fn begin(&mut self) {}

    /// Which thread goes on?
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId;

    /// Which of the alternatives happens? Must be below [`Alternatives::count`].
    fn choose(&mut self, alternatives: Alternatives) -> u32;

    /// Whether [`Explorer::executed`] and [`Explorer::spawned`] should be called.
    fn observes(&self) -> bool {
        false
    }

    /// A thread executed an event; called only if [`Explorer::observes`].
    fn executed(&mut self, thread: ThreadId, op: &Op) {
        let _ = (thread, op);
    }

    /// A thread was created; called only if [`Explorer::observes`].
    fn spawned(&mut self, parent: ThreadId, child: ThreadId) {
        let _ = (parent, child);
    }

    /// Its random words, if it chooses each thread uniformly by the next of them, and has no interest in the
    /// choice itself. The runtime then draws them without asking, as [`Words::choose`] does. Called when an execution
    /// begins.
    fn uniform(&self) -> Option<Rc<Words>> {
        None
    }

    /// Itself, if it keeps the memory of executions: then it is asked through that, and none of the
    /// other methods but `begin` and `end` is called.
    fn memory(&mut self) -> Option<&mut dyn crate::graph::Memory> {
        None
    }

    /// The execution ended.
    fn end(&mut self) {}
}

/// Where random words come from.
pub trait WordSource {
    /// The next block of them.
    fn refill(&self, words: &Words);
}

/// A block of random words, drawn one after another by an explorer and, where it lends them, by the runtime; with the
/// last of them comes the next block.
pub struct Words {
    words: [Cell<u32>; Self::COUNT],
    taken: Cell<usize>,
    /// Threads chosen.
    choices: Cell<u32>,
    source: Rc<dyn WordSource>,
}

impl std::fmt::Debug for Words {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Words").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Words {
    /// Words of a block.
    pub const COUNT: usize = 16;

    /// The words of a source.
    pub fn new(source: Rc<dyn WordSource>) -> Self {
        Self { words: Default::default(), taken: Cell::new(Self::COUNT), choices: Cell::new(0), source }
    }

    /// None is left of the present block, and no thread was chosen.
    pub fn clear(&self) {
        self.taken.set(Self::COUNT);
        self.choices.set(0);
    }

    /// A new block, of which `word` gives the word at each place.
    #[inline]
    pub fn fill(&self, word: impl Fn(usize) -> u32) {
        self.words.iter().enumerate().for_each(|(place, into)| into.set(word(place)));
        self.taken.set(0);
    }

    /// The next word.
    #[inline]
    pub fn draw(&self) -> u32 {
        let taken = self.taken.get();
        match self.words.get(taken) {
            Some(word) => {
                self.taken.set(taken + 1);
                word.get()
            }
            None => self.draw_first(),
        }
    }

    /// The first word of the next block.
    #[inline(never)]
    fn draw_first(&self) -> u32 {
        self.source.refill(self);
        self.taken.set(1);
        self.words[0].get()
    }

    /// Chooses one of `count` threads by the next word: its place.
    #[inline]
    pub fn choose(&self, count: usize) -> usize {
        let word = self.draw();
        self.choices.set(self.choices.get() + 1);
        // Multiplied, not rejected: the bias is below 2^-32 times the bound.
        ((u64::from(word) * count as u64) >> 32) as usize
    }

    /// How many threads were chosen.
    pub fn choices(&self) -> u32 {
        self.choices.get()
    }
}

/// Who decides before the first execution: nothing.
pub(crate) struct Nobody;

impl Explorer for Nobody {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        choice.default_thread()
    }

    fn choose(&mut self, _: Alternatives) -> u32 {
        0
    }
}
