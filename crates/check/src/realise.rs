//! From a graph to a schedule: runs the program on the runtime's own store histories, in an order that
//! can be read (see [`linearize`](crate::linearize)), choosing at each point what the graph has there,
//! so that the choices can be replayed, minimised and shown.
//!
//! The histories miss some of RC11's executions (see `racefuzz-runtime`'s `memory`), and know nothing of
//! TSO's. Where a graph is one of these the run leaves it, unless the settings say that the execution
//! is [explored](racefuzz_trace::Settings::explored): then every store may be read, and the run has the
//! graph's word for it that this one is possible.

use crate::graph::{Graph, INIT, Id, Kind};
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::{MemoryOrder, OpKind, Point, ThreadId, Verb};

/// Follows a graph, in a given order of its events.
pub(crate) struct Realise<'a> {
    graph: &'a Graph,
    /// For each thread of the execution its number in the graph, and its children.
    threads: Vec<(u32, u32)>,
    /// For each thread of the graph the events executed.
    done: Vec<u32>,
    /// For each location the writes executed, in modification order.
    written: Vec<Vec<Id>>,
    /// For each write its place in modification order.
    ranks: Vec<u32>,
    /// The order in which the events happen, and how many of them did.
    order: Vec<Id>,
    at: usize,
    executed: Vec<bool>,
    /// The event that happens now, and of which more may be asked.
    now: Option<Id>,
    /// A choice that stands before that event in the graph, and is asked for inside of it here.
    skipped: u32,
}

impl<'a> Realise<'a> {
    pub(crate) fn new(graph: &'a Graph, order: Vec<Id>) -> Self {
        let mut ranks = vec![0; graph.events.len()];
        for (rank, write) in graph.locs.iter().flat_map(|loc| loc.mo.iter().enumerate()) {
            ranks[*write as usize] = rank as u32;
        }
        Self {
            graph,
            threads: Vec::new(),
            done: Vec::new(),
            written: Vec::new(),
            ranks,
            order,
            at: 0,
            executed: Vec::new(),
            now: None,
            skipped: 0,
        }
    }

    fn next(&self, thread: ThreadId) -> Option<Id> {
        let thread = self.threads.get(thread.index())?.0;
        self.graph.threads.get(thread as usize)?.get(self.done[thread as usize] as usize).copied()
    }

    /// The thread of the execution whose event comes next in the order; `None` if all have happened.
    /// A choice has no turn of its own.
    fn due(&mut self) -> Option<ThreadId> {
        let is_over = |id: &Id| self.executed[*id as usize] || self.graph.event(*id).kind == Kind::Choice;
        self.at += self.order[self.at..].iter().take_while(|id| is_over(id)).count();
        let thread = self.graph.event(*self.order.get(self.at)?).thread;
        self.threads.iter().position(|known| known.0 == thread).map(|thread| ThreadId(thread as u32))
    }

    fn pass(&mut self, id: Id) {
        let event = self.graph.event(id);
        self.done[event.thread as usize] += 1;
        self.executed[id as usize] = true;
        if event.kind == Kind::Write {
            let place = self.place_of(event.loc, id);
            self.written[event.loc as usize].insert(place, id);
        }
    }

    /// The event that happened last is over.
    fn settle(&mut self) {
        if let Some(id) = self.now.take() {
            let event = self.graph.event(id);
            self.pass(id);
            if event.kind == Kind::Read && event.rmw {
                self.pass(self.graph.threads[event.thread as usize][event.po as usize + 1]);
            }
        }
    }

    /// The place of a write among those executed, 0 being the initial one.
    fn place(&self, loc: u32, write: Id) -> usize {
        match write {
            INIT => 0,
            _ => match self.place_of(loc, write) {
                place if self.written[loc as usize].get(place) == Some(&write) => place + 1,
                _ => 0,
            },
        }
    }

    /// How many of the writes executed come before this one in modification order.
    fn place_of(&self, loc: u32, write: Id) -> usize {
        let rank = |id: Id| self.ranks[id as usize];
        self.written[loc as usize].partition_point(|other| rank(*other) < rank(write))
    }

    /// Whether the runtime offers a place to a read-modify-write: not if it would succeed on a write
    /// that another one has read.
    fn is_offered(&self, id: Id, place: usize, end: usize) -> bool {
        let event = self.graph.event(id);
        let word = |place: usize| match place {
            0 => self.graph.loc(event.loc).initial,
            _ => self.graph.word(event.loc, self.written[event.loc as usize][place - 1]),
        };
        let compares = matches!(event.verb, Verb::CompareExchange | Verb::CompareExchangeWeak);
        let fails = compares && (!event.rmw || word(place) != self.graph.word(event.loc, event.rf));
        place == end || !self.is_taken(event.loc, place) || fails
    }

    fn is_taken(&self, loc: u32, place: usize) -> bool {
        let write = if place == 0 { INIT } else { self.written[loc as usize][place - 1] };
        self.graph.consumer(loc, write).is_some_and(|read| self.executed[read as usize])
    }
}

impl Explorer for Realise<'_> {
    fn begin(&mut self) {
        self.threads = vec![(0, 0)];
        self.done = vec![0; self.graph.threads.len()];
        self.written = vec![Vec::new(); self.graph.locs.len()];
        self.executed = vec![false; self.graph.events.len()];
        self.at = 0;
        self.now = None;
    }

    fn observes(&self) -> bool {
        true
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.settle();
        let due = self.due();
        if let Some(thread) = due.filter(|thread| choice.options.contains(thread)) {
            return thread;
        }
        // What the graph does not hold comes first or never: it commutes with everything.
        let free = |thread: &ThreadId| choice.pending(*thread).kind == OpKind::Local;
        choice.options.iter().copied().find(free).unwrap_or_else(|| choice.default_thread())
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        if alternatives.point == Point::Spurious
            && self.now.is_some_and(|id| is_weak(self.graph.event(id).verb))
        {
            return self.skipped.min(alternatives.count - 1);
        }
        if alternatives.point == Point::Spurious {
            self.settle();
            if self.graph.kept_out && self.next(alternatives.thread).is_none() {
                return 1;
            }
        }
        let Some(id) = self.now.or_else(|| self.next(alternatives.thread)) else { return 0 };
        let event = self.graph.event(id);
        let chosen = match (alternatives.point, event.kind) {
            (Point::Value | Point::Spurious, Kind::Choice) => {
                let choice = event.choice;
                self.pass(id);
                choice
            }
            (Point::Value, _) => event.choice,
            (Point::Store, Kind::Read) => {
                let (target, end) = (self.place(event.loc, event.rf), self.written[event.loc as usize].len());
                let newer = target + 1..=end;
                match event.verb {
                    Verb::Load => newer.count() as u32,
                    // Writes that belong to a read-modify-write are offered to those that fail only.
                    _ => newer.filter(|place| self.is_offered(id, *place, end)).count() as u32,
                }
            }
            (Point::Place, Kind::Write) => {
                let target = self.place_of(event.loc, id);
                let end = self.written[event.loc as usize].len();
                (target + 1..=end).filter(|place| *place == end || !self.is_taken(event.loc, *place)).count()
                    as u32
            }
            _ => 0,
        };
        chosen.min(alternatives.count - 1)
    }

    fn executed(&mut self, thread: ThreadId, op: &Op) {
        self.settle();
        self.skipped = 0;
        // Timeouts are no choice here but the turn of a thread that waits.
        while let Some(id) = self.next(thread).filter(|id| {
            let event = self.graph.event(*id);
            event.kind == Kind::Choice && event.verb != op.verb
        }) {
            self.skipped = self.graph.event(id).choice;
            self.pass(id);
        }
        let Some(id) = self.next(thread) else { return };
        let event = self.graph.event(id);
        let fence = op.kind == OpKind::Fence;
        // What a library does inside of something is called by what it is while it is one of many executions.
        let inside = op.verb == Verb::Inside
            && match event.kind {
                Kind::Read => op.kind.reads(),
                Kind::Write => op.kind == OpKind::Store,
                Kind::Fence => fence,
                Kind::Choice => false,
            };
        if event.verb != op.verb && !inside
            || (fence && op.order != MemoryOrder::SeqCst)
            || op.verb == Verb::Nondet
        {
            return;
        }
        // The runtime chooses what the event reads after it says that it happens.
        self.now = Some(id);
    }

    fn end(&mut self) {
        self.settle();
    }

    fn spawned(&mut self, parent: ThreadId, child: ThreadId) {
        let (number, children) = self.threads[parent.index()];
        self.threads[parent.index()].1 += 1;
        let thread = self.graph.tree.iter().position(|place| *place == (number, children));
        while self.threads.len() <= child.index() {
            self.threads.push((u32::MAX, 0));
        }
        self.threads[child.index()].0 = thread.map_or(u32::MAX, |thread| thread as u32);
    }
}

fn is_weak(verb: Verb) -> bool {
    verb == Verb::CompareExchangeWeak
}
