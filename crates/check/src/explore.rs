//! One execution along one graph: replays what the graph holds, adds what comes next in the way
//! that is newest, and keeps every other way for later.
//!
//! The way of an operation: the runtime asks [`Memory::next`] who goes on; the operation that is
//! chosen asks what it reads or tells what it writes. If the graph holds the event, that is the
//! answer. If not, the event is added: a read reads the newest write, a write becomes the newest;
//! every other consistent read or place becomes an [`Item`], and so does every backward revisit.

use crate::graph::{Block, Event, Graph, INIT, Id, Kind, NOWHERE, holds};
use crate::model::{self, Stand};
use crate::revisit::Revisit;
use crate::spin::{Loops, Trial};
use racefuzz_runtime::{
    Access, Alternatives, Clock, Explorer, Memory, Op, Read, Standing, Step, Test, ThreadChoice, Wait,
};
use racefuzz_trace::{MemoryModel, MemoryOrder, OpKind, Point, ThreadId, Verb};
use smallvec::SmallVec;

/// A graph to be explored.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) graph: Graph,
    /// The read that a backward revisit gave another write: its thread runs last.
    pub(crate) revisited: Option<Id>,
}

/// Graphs whose memory is kept for others.
const SPARE: usize = 64;

/// Where a thread of the running execution stands.
#[derive(Clone, Debug, Default)]
struct Front {
    /// The thread's number in the running execution.
    runs_as: u32,
    /// Events of the graph executed.
    done: u32,
    children: u32,
    /// Its prefix, and what else is ordered before its next event.
    porf: Clock,
    ord: Clock,
    joins: SmallVec<[Id; 2]>,
    spurious: u32,
    /// Where it gave way in a loop last: the place, and the events it had executed.
    spun: Option<(u64, u32)>,
    /// It spins for good: the events that it would repeat.
    spinning: Option<(u32, u32)>,
}

/// What the running operation chose besides.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// How many ways there are; 0 where they are explored elsewhere.
    count: u32,
}

/// Explores graphs; between executions it holds what is left to do.
pub(crate) struct Explore {
    model: MemoryModel,
    pub(crate) graph: Graph,
    revisited: Option<Id>,
    /// Graphs to be explored later, the next one last.
    pub(crate) later: Vec<Item>,
    fronts: Vec<Front>,
    started: usize,
    /// For each thread of the running execution its number in the graph.
    threads: Vec<u32>,
    /// For each object of the running execution its location.
    locs: Vec<u32>,
    pseudo: Vec<(u32, u32)>,
    /// Events of the graph that are still to be executed.
    left: u32,
    /// How many events it had when the execution began.
    loaded: u32,
    /// The step at which each event was executed.
    steps: Vec<u32>,
    part: Part,
    /// What is known of loops that spin, and the one that is being tried.
    pub(crate) loops: Loops,
    pub(crate) trial: Option<Trial>,
    /// The trial is over.
    stopped: bool,
    /// Memory for graphs.
    spare: Vec<Graph>,
    /// The program did something else than before.
    pub(crate) diverged: bool,
    empty: Clock,
}

impl Explore {
    pub(crate) fn new(model: MemoryModel) -> Self {
        Self {
            model,
            graph: Graph::new(),
            revisited: None,
            later: Vec::new(),
            fronts: Vec::new(),
            started: 0,
            threads: Vec::new(),
            locs: Vec::new(),
            pseudo: Vec::new(),
            left: 0,
            loaded: 0,
            steps: Vec::new(),
            part: Part::default(),
            loops: Loops::default(),
            trial: None,
            stopped: false,
            spare: Vec::new(),
            diverged: false,
            empty: Clock::default(),
        }
    }

    /// Makes this graph the next to be explored.
    pub(crate) fn load(&mut self, item: Item) {
        let before = std::mem::replace(&mut self.graph, item.graph);
        self.recycle(before);
        self.revisited = item.revisited;
    }

    fn recycle(&mut self, graph: Graph) {
        if self.spare.len() < SPARE {
            self.spare.push(graph);
        }
    }

    /// A copy of the graph.
    fn copy(&mut self) -> Graph {
        let mut graph = self.spare.pop().unwrap_or_default();
        graph.clone_from(&self.graph);
        graph
    }

    /// What is before the next event of a thread by spawns and joins.
    fn joins(&self, thread: u32) -> SmallVec<[Id; 2]> {
        self.fronts[thread as usize].joins.clone()
    }

    /// Whether the graph is consistent now that all its events have been executed.
    pub(crate) fn is_consistent(&self) -> bool {
        !self.graph.ordered
            || !model::looks_at_wholes(self.model, &self.graph)
            || model::is_consistent(self.model, &self.graph)
    }

    fn front(&mut self, thread: u32) -> &mut Front {
        &mut self.fronts[thread as usize]
    }

    fn start_thread(&mut self, thread: u32, runs_as: u32) {
        while self.fronts.len() <= thread as usize {
            self.fronts.push(Front::default());
        }
        self.started = self.started.max(thread as usize + 1);
        let front = &mut self.fronts[thread as usize];
        front.runs_as = runs_as;
        while self.threads.len() <= runs_as as usize {
            self.threads.push(u32::MAX);
        }
        self.threads[runs_as as usize] = thread;
    }

    /// The location of an object of the running execution, if one of its events is in the graph.
    fn loc(&self, object: u32) -> u32 {
        match object >> 28 {
            0 => self.locs.get(object as usize).copied().unwrap_or(NOWHERE),
            _ => self.pseudo.iter().find(|(known, _)| *known == object).map_or(NOWHERE, |(_, loc)| *loc),
        }
    }

    fn set_loc(&mut self, object: u32, loc: u32) {
        match object >> 28 {
            0 => {
                let index = object as usize;
                if self.locs.len() <= index {
                    self.locs.resize(index + 1, NOWHERE);
                }
                self.locs[index] = loc;
            }
            _ => {
                if self.loc(object) == NOWHERE {
                    self.pseudo.push((object, loc));
                }
            }
        }
    }

    /// An event of the graph acts on this object of the running execution.
    fn meet(&mut self, access: &Access<'_>, loc: u32) {
        if self.loc(access.object) == NOWHERE {
            self.set_loc(access.object, loc);
            self.graph.locs[loc as usize].initial = access.initial;
        }
    }

    fn loc_or_new(&mut self, object: u32, initial: u64, ordered: bool) -> u32 {
        let known = self.loc(object);
        if known != NOWHERE {
            return known;
        }
        let ordered = ordered || self.model == MemoryModel::Sc;
        let was = self.graph.ordered;
        let loc = self.graph.new_loc(initial, ordered);
        if !was && ordered {
            self.fronts.iter_mut().for_each(|front| front.ord.copy_from(&front.porf));
        }
        self.set_loc(object, loc);
        loc
    }

    /// The event of the graph that a thread executes now, if it holds one.
    fn replayed(&mut self, thread: u32, kind: Kind, verb: Verb) -> Option<Id> {
        let done = self.fronts[thread as usize].done as usize;
        let id = *self.graph.threads[thread as usize].get(done)?;
        let event = self.graph.event(id);
        if event.kind != kind || event.verb != verb {
            self.diverged = true;
        }
        Some(id)
    }

    /// The thread has executed an event that the graph holds.
    fn pass(&mut self, id: Id, step: u32) {
        let event = &self.graph.events[id as usize];
        let front = &mut self.fronts[event.thread as usize];
        front.done += 1;
        front.porf.copy_from(&event.porf);
        if self.graph.ordered {
            front.ord.copy_from(&event.ord);
        }
        front.joins.clear();
        if self.steps.len() <= id as usize {
            self.steps.resize(id as usize + 1, 0);
        }
        self.steps[id as usize] = step;
        if id < self.loaded {
            self.left -= 1;
        }
        if self.revisited == Some(id) {
            self.revisited = None;
        }
    }

    /// An event that comes next in its thread, as far as is known before what it reads is.
    fn blank(&self, thread: u32, kind: Kind, loc: u32, order: MemoryOrder, verb: Verb) -> Event {
        let front = &self.fronts[thread as usize];
        Event {
            thread,
            po: front.done,
            kind,
            loc,
            order,
            verb,
            rf: INIT,
            rmw: false,
            value: 0,
            choice: 0,
            fresh: false,
            time: 0,
            before: Clock::default(),
            release: Clock::default(),
            porf: front.porf.clone(),
            ord: if self.graph.ordered { front.ord.clone() } else { Clock::default() },
        }
    }

    fn later(&mut self, graph: Graph, revisited: Option<Id>) {
        if self.trial.is_none() && model::is_consistent(self.model, &graph) {
            self.later.push(Item { graph, revisited });
        } else {
            self.recycle(graph);
        }
    }

    fn step_of(&self, write: Id) -> u32 {
        if write == INIT { 0 } else { self.steps.get(write as usize).copied().unwrap_or(0) }
    }

    fn answer(&self, loc: u32, write: Id) -> Read<'_> {
        let newest = self.graph.newest(loc);
        Read {
            value: self.graph.word(loc, write),
            release: if write == INIT { &self.empty } else { &self.graph.event(write).release },
            source: self.step_of(write),
            newer: (newest != write).then(|| self.step_of(newest)).filter(|step| *step != 0),
        }
    }

    /// Every backward revisit that a write of `thread` allows. The write comes next in its thread;
    /// if it is that of a read-modify-write, `reads` is that event, else it goes to any place.
    ///
    /// `prefix` is the write's prefix; `write` and `reads` have everything but their place.
    fn revisits(&mut self, loc: u32, reads: Option<&Event>, write: &Event, prefix: &Clock) {
        let candidates: Vec<Id> = self.graph.loc(loc).reads.clone();
        for read in candidates.into_iter().rev() {
            if holds(prefix, self.graph.event(read)) {
                continue;
            }
            let revisit = Revisit::new(&self.graph, read, prefix);
            if let Some(reads) = reads
                && let Some(consumer) = self.graph.consumer(loc, reads.rf)
                && consumer != read
                && revisit.keeps(consumer)
            {
                continue;
            }
            if !revisit.is_maximal() {
                continue;
            }
            let spare = self.spare.pop().unwrap_or_default();
            let (graph, number) = Revisit::new(&self.graph, read, prefix).restricted(spare);
            self.revisit(graph, &number, number[read as usize], loc, reads, write);
        }
    }

    /// Adds the write to the restricted graph, at each place, and lets the read read it.
    fn revisit(
        &mut self,
        mut graph: Graph,
        number: &[Id],
        read: Id,
        loc: u32,
        reads: Option<&Event>,
        write: &Event,
    ) {
        let thread = write.thread as usize;
        let joins: SmallVec<[Id; 2]> =
            self.fronts[thread].joins.iter().map(|join| number[*join as usize]).collect();
        // The read has no write now.
        graph.event_mut(read).rf = INIT;
        graph.locs[loc as usize].reads.retain(|other| *other != read);
        if !self.settle(&mut graph, read) {
            return;
        }
        match reads {
            Some(reads) => {
                let mut reads = reads.clone();
                if reads.rf != INIT {
                    reads.rf = number[reads.rf as usize];
                }
                let place = graph.place(loc, reads.rf) + 1;
                reads.rmw = true;
                self.refresh(&graph, &mut reads, &joins);
                graph.add(reads, &joins);
                let mut write = write.clone();
                self.refresh(&graph, &mut write, &[]);
                let write = graph.add_write(write, &[], place);
                self.reread(graph, read, write);
            }
            None => {
                let mut write = write.clone();
                self.refresh(&graph, &mut write, &joins);
                let stand = Stand { before: &write.before, ord: &write.ord };
                let floor = model::floor(self.model, &graph, loc, &stand);
                for place in (floor + 1..=graph.loc(loc).mo.len() + 1).rev() {
                    if self.splits(&graph, loc, place) {
                        continue;
                    }
                    let mut graph = graph.clone();
                    let write = graph.add_write(write.clone(), &joins, place);
                    self.reread(graph, read, write);
                }
            }
        }
    }

    /// Recomputes the order of a graph that lost events; false where it has a cycle.
    fn settle(&self, graph: &mut Graph, read: Id) -> bool {
        // While the read has no write it is not in its location, and its prefix is what is before it.
        let porf = graph.porf_before(read);
        let event = graph.event_mut(read);
        let (thread, po) = (event.thread, event.po);
        event.porf = porf;
        event.porf.set(thread, po + 1);
        if !graph.ordered {
            return true;
        }
        if graph.order_is_stale(read) {
            return graph.reorder(Some(read));
        }
        graph.order_alone(read);
        true
    }

    /// The prefixes of an event that is about to be added to a graph which lost events.
    fn refresh(&self, graph: &Graph, event: &mut Event, joins: &[Id]) {
        if !graph.ordered {
            return;
        }
        event.ord.clear();
        if event.po > 0 {
            let before = graph.threads[event.thread as usize][event.po as usize - 1];
            event.ord.copy_from(&graph.event(before).ord);
        }
        for join in joins {
            event.ord.join(&graph.event(*join).ord);
        }
    }

    /// Whether a place lies between a read-modify-write and what it reads.
    fn splits(&self, graph: &Graph, loc: u32, place: usize) -> bool {
        graph.loc(loc).mo.get(place - 1).is_some_and(|next| graph.event(*next).rmw)
    }

    /// Lets a read that has no write read `write`.
    fn reread(&mut self, mut graph: Graph, read: Id, write: Id) {
        let loc = graph.event(read).loc;
        let (before, ord) = {
            let event = graph.event(read);
            // Of an ordered location `before` may tell of what was learned there.
            (event.before.clone(), event.ord.clone())
        };
        let place = graph.place(loc, write);
        if place < model::floor(self.model, &graph, loc, &Stand { before: &before, ord: &ord }) {
            return;
        }
        let event = graph.event_mut(read);
        event.rf = write;
        event.rmw = false;
        event.choice = 0;
        event.fresh = true;
        let at = graph.locs[loc as usize].reads.partition_point(|other| *other < read);
        graph.locs[loc as usize].reads.insert(at, read);
        let porf = graph.event(write).porf.clone();
        graph.event_mut(read).porf.join(&porf);
        if graph.ordered {
            // No cycle: the write behind this one is not before the read, see above, nor before the
            // write; and nothing is behind the read.
            let ord = graph.event(write).ord.clone();
            graph.event_mut(read).ord.join(&ord);
            graph.order_read(read);
        }
        self.later(graph, Some(read));
    }

    /// The other ways of an operation on an ordered location that comes next in `thread`: it stands
    /// at the end of the location's order, or waits there.
    fn other_places(
        &mut self,
        thread: u32,
        loc: u32,
        op: &Op,
        test: Test,
        only_reads: Test,
        since: Option<u32>,
    ) {
        let ord = self.fronts[thread as usize].ord.clone();
        let floor = model::floor(self.model, &self.graph, loc, &Stand { before: &self.empty, ord: &ord });
        let end = self.graph.loc(loc).mo.len();
        let is_old = |write: Id| since.is_some_and(|since| write == INIT || write < since);
        if matches!(op.kind, OpKind::Store | OpKind::Print) {
            let mut write = self.blank(thread, Kind::Write, loc, op.order, op.verb);
            write.fresh = true;
            let joins = self.joins(thread);
            for place in (floor + 1..=end).rev() {
                if !self.splits(&self.graph, loc, place) {
                    let mut graph = self.copy();
                    graph.add_write(write.clone(), &joins, place);
                    self.later(graph, None);
                }
            }
            let mut prefix = write.porf.clone();
            prefix.set(thread, write.po + 1);
            self.revisits(loc, None, &write, &prefix);
            return;
        }
        for place in (floor..=end).rev() {
            let write = self.graph.write_at(loc, place);
            let word = self.graph.word(loc, write);
            if !test.holds(word) || is_old(write) {
                continue;
            }
            let mut read = self.blank(thread, Kind::Read, loc, op.order, op.verb);
            read.rf = write;
            read.fresh = true;
            if only_reads.holds(word) {
                if place < end {
                    let mut graph = self.copy();
                    graph.add(read, &self.joins(thread));
                    self.later(graph, None);
                }
                continue;
            }
            let mut prefix = read.porf.clone();
            if write != INIT {
                prefix.join(&self.graph.event(write).porf);
            }
            prefix.set(thread, read.po + 2);
            let mut writes = self.blank(thread, Kind::Write, loc, op.order, op.verb);
            (writes.po, writes.rmw, writes.fresh) = (read.po + 1, true, true);
            writes.porf = prefix.clone();
            self.revisits(loc, Some(&read), &writes, &prefix);
        }
    }

    /// Whether a thread's next event in the graph can be executed.
    fn is_due(&self, thread: u32, last: bool) -> bool {
        let front = &self.fronts[thread as usize];
        let events = &self.graph.threads[thread as usize];
        let Some(id) = events.get(front.done as usize).copied() else { return false };
        if (Some(id) == self.revisited) != last {
            return false;
        }
        let mut event = self.graph.event(id);
        if event.rmw && event.kind == Kind::Read {
            // Both events happen at once.
            event = self.graph.event(events[front.done as usize + 1]);
        }
        let order = self.graph.run_order(event);
        (0..self.started)
            .all(|other| other == thread as usize || order.get(other as u32) <= self.fronts[other].done)
    }

    fn replay(&mut self, standing: &Standing<'_>) -> Option<u32> {
        let current = self.threads.get(standing.current as usize).copied().unwrap_or(u32::MAX);
        let started = self.started as u32;
        let due = |explore: &Self, thread: u32, last: bool| {
            explore.is_due(thread, last) && standing.is_live(explore.fronts[thread as usize].runs_as)
        };
        if current < started && due(self, current, false) {
            return Some(current);
        }
        // The read revisited comes last, unless a write must be behind it.
        let find = |last| (0..started).find(|thread| due(self, *thread, last));
        find(false).or_else(|| find(true))
    }

    /// The read revisited turns out to wait: its thread is blocked there.
    fn block_revisited(&mut self, read: Id) {
        let event = self.graph.event(read);
        let block =
            Block { thread: event.thread, po: event.po, stamp: read, seen: self.graph.len(), rf: event.rf };
        let (mut graph, _) = {
            let mut with = self.copy();
            with.blocks.push(block);
            with.restrict(Graph::default(), |id| id != read, |_| true)
        };
        graph.reorder(None);
        for join in self.fronts.iter_mut().flat_map(|front| &mut front.joins) {
            if *join > read {
                *join -= 1;
            }
        }
        let steps = std::mem::take(&mut self.steps);
        self.steps =
            steps.into_iter().enumerate().filter(|(id, _)| *id != read as usize).map(|(_, s)| s).collect();
        self.graph = graph;
        (self.left, self.loaded) = (0, 0);
    }

    /// The thread whose next event is added: one that waited and can go on, else the lowest.
    fn extend(&mut self, standing: &Standing<'_>) -> Option<u32> {
        loop {
            let mut next = None;
            for thread in 0..self.started as u32 {
                let runs_as = self.fronts[thread as usize].runs_as;
                if !standing.is_live(runs_as) {
                    continue;
                }
                let enabled = standing.is_enabled(runs_as);
                let Wait::Word { object, test } = standing.waits_for(runs_as) else {
                    if enabled {
                        next = next.or(Some((thread, None)));
                    }
                    continue;
                };
                let loc = self.loc(object);
                let po = self.fronts[thread as usize].done;
                let block = self.graph.blocks.iter().rfind(|block| block.thread == thread && block.po == po);
                match block.map(|block| block.seen) {
                    Some(seen) if enabled => return self.go(thread, standing, Some(seen)),
                    Some(seen) => {
                        if loc != NOWHERE && self.graph.loc(loc).mo.iter().any(|write| *write >= seen) {
                            self.block(thread, standing, object, test, Some(seen));
                        }
                    }
                    None if enabled => next = next.or(Some((thread, None))),
                    None => next = next.or(Some((thread, Some((object, test))))),
                }
            }
            match next? {
                (thread, None) => return self.go(thread, standing, None),
                (thread, Some((object, test))) => self.block(thread, standing, object, test, None),
            }
        }
    }

    /// The next event of `thread` is added; if it is on a state word, its other ways are kept.
    fn go(&mut self, thread: u32, standing: &Standing<'_>, since: Option<u32>) -> Option<u32> {
        let runs_as = self.fronts[thread as usize].runs_as;
        let op = standing.pending(runs_as);
        let test = match standing.waits_for(runs_as) {
            Wait::Word { test, .. } => test,
            _ => Test::Always,
        };
        if op.object != Op::NO_OBJECT {
            let loc = self.loc(op.object);
            if loc != NOWHERE && standing.is_state(op.object) {
                self.other_places(thread, loc, &op, test, standing.only_reads(runs_as), since);
            }
        }
        Some(thread)
    }

    /// The thread cannot go on: it waits, and may have gone on earlier.
    fn block(&mut self, thread: u32, standing: &Standing<'_>, object: u32, test: Test, since: Option<u32>) {
        let runs_as = self.fronts[thread as usize].runs_as;
        let op = standing.pending(runs_as);
        let loc = self.loc_or_new(object, standing.word(object), true);
        self.other_places(thread, loc, &op, test, standing.only_reads(runs_as), since);
        let block = Block {
            thread,
            po: self.fronts[thread as usize].done,
            stamp: self.graph.len(),
            seen: self.graph.len(),
            rf: self.graph.newest(loc),
        };
        self.graph.blocks.push(block);
    }

    /// Adds a load, or the read of a read-modify-write `f`, that comes next in its thread.
    fn add_read(
        &mut self,
        thread: u32,
        access: &Access<'_>,
        failure: MemoryOrder,
        f: Option<&dyn Fn(u64) -> Option<u64>>,
    ) -> Id {
        let loc = self.loc_or_new(access.object, access.initial, false);
        let mut read = self.blank(thread, Kind::Read, loc, access.order, access.verb);
        read.time = access.time;
        read.before = access.clock.clone();
        let stand = Stand { before: access.clock, ord: &read.ord };
        let floor = model::floor(self.model, &self.graph, loc, &stand);
        let end = self.graph.loc(loc).mo.len();
        let mut chosen = None;
        let joins = self.joins(thread);
        // A loop is tried by giving it what it had before, which may not be the newest.
        let again = self.trial.and_then(|_| self.last_read_of(thread, loc));
        if let Some(rf) = again.filter(|rf| f.is_none_or(|f| f(self.graph.word(loc, *rf)).is_none())) {
            let order = if f.is_some() { failure } else { access.order };
            return self.graph.add(Event { rf, order, ..read }, &joins);
        }
        // Read-modify-writes that would push another one away exist only together with a revisit.
        for place in (floor..=end).rev() {
            let rf = self.graph.write_at(loc, place);
            let wrote = f.and_then(|f| f(self.graph.word(loc, rf)));
            let mut read = Event { rf, ..read.clone() };
            let Some(value) = wrote else {
                if f.is_some() {
                    read.order = failure;
                }
                if chosen.is_none() && self.agrees(&read, None) {
                    chosen = Some(read);
                } else {
                    let mut graph = self.copy();
                    graph.add(read, &joins);
                    self.later(graph, None);
                }
                continue;
            };
            let consumed = self.graph.consumer(loc, rf).is_some();
            if chosen.is_none() && !consumed && self.agrees(&read, Some(value)) {
                // Its write is added, with its revisits, when the operation goes on.
                chosen = Some(read);
                continue;
            }
            let write = self.write_of(&read, access, value);
            if !consumed {
                let mut graph = self.copy();
                graph.add(Event { rmw: true, ..read.clone() }, &joins);
                graph.add_write(write.clone(), &[], place + 1);
                self.later(graph, None);
            }
            let prefix = write.porf.clone();
            self.revisits(loc, Some(&read), &write, &prefix);
        }
        let read = chosen.unwrap_or_else(|| unreachable!("the newest write can be read"));
        self.graph.add(read, &joins)
    }

    /// Whether the graph is consistent with this read, which the newest writes nearly always are.
    fn agrees(&self, read: &Event, _writes: Option<u64>) -> bool {
        if !model::looks_at_wholes(self.model, &self.graph) {
            return true;
        }
        let mut graph = self.graph.clone();
        graph.add(read.clone(), &self.joins(read.thread));
        model::is_consistent(self.model, &graph)
    }

    /// The write of a read-modify-write that comes next, with its whole prefix.
    fn write_of(&self, read: &Event, access: &Access<'_>, value: u64) -> Event {
        let mut porf = read.porf.clone();
        let mut before = access.clock.clone();
        let mut release = Clock::default();
        if read.rf != INIT {
            let source = self.graph.event(read.rf);
            porf.join(&source.porf);
            release.copy_from(&source.release);
            if access.order.acquires() {
                before.join(&source.release);
            }
        }
        porf.set(read.thread, read.po + 2);
        release.join(if access.order.releases() { &before } else { access.release_fence });
        Event {
            po: read.po + 1,
            kind: Kind::Write,
            order: access.order,
            rf: INIT,
            rmw: true,
            value,
            before,
            release,
            porf,
            ord: read.ord.clone(),
            ..read.clone()
        }
    }
}

impl Explorer for Explore {
    fn begin(&mut self) {
        for front in &mut self.fronts[..self.started] {
            *front = Front::default();
        }
        self.started = 0;
        self.threads.clear();
        self.locs.clear();
        self.pseudo.clear();
        self.left = self.graph.len();
        self.loaded = self.left;
        self.part = Part::default();
        self.diverged = false;
        (self.trial, self.stopped) = (None, false);
        self.start_thread(0, 0);
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        choice.default_thread()
    }

    fn choose(&mut self, _: Alternatives) -> u32 {
        0
    }

    fn memory(&mut self) -> Option<&mut dyn Memory> {
        Some(self)
    }
}

impl Memory for Explore {
    fn next(&mut self, standing: &Standing<'_>) -> Option<u32> {
        if let Some(trial) = self.trial {
            let runs_as = self.fronts[trial.thread as usize].runs_as;
            let goes_on = !self.stopped && standing.is_live(runs_as) && standing.is_enabled(runs_as);
            return goes_on.then_some(runs_as);
        }
        if self.left > 0 {
            if let Some(thread) = self.replay(standing) {
                let runs_as = self.fronts[thread as usize].runs_as;
                if standing.is_enabled(runs_as) {
                    return Some(runs_as);
                }
                match self.revisited.take() {
                    Some(read) if self.graph.event(read).thread == thread => self.block_revisited(read),
                    _ => {
                        self.diverged = true;
                        return None;
                    }
                }
            } else {
                self.diverged = true;
                return None;
            }
        }
        self.extend(standing).map(|thread| self.fronts[thread as usize].runs_as)
    }

    fn load(&mut self, access: &Access<'_>, step: u32) -> Read<'_> {
        let thread = self.threads[access.thread as usize];
        let id = match self.replayed(thread, Kind::Read, access.verb) {
            Some(id) => {
                let loc = self.graph.event(id).loc;
                self.meet(access, loc);
                id
            }
            None => self.add_read(thread, access, access.order, None),
        };
        self.pass(id, step);
        let event = self.graph.event(id);
        self.answer(event.loc, event.rf)
    }

    fn store(&mut self, access: &Access<'_>, value: u64, step: u32) -> bool {
        let thread = self.threads[access.thread as usize];
        let id = match self.replayed(thread, Kind::Write, access.verb) {
            Some(id) => {
                let loc = self.graph.event(id).loc;
                self.meet(access, loc);
                // Addresses differ from one execution to the next.
                self.graph.event_mut(id).value = value;
                id
            }
            None => self.add_store(thread, access, value),
        };
        self.pass(id, step);
        let loc = self.graph.event(id).loc;
        self.graph.newest(loc) == id
    }

    fn rmw(
        &mut self,
        access: &Access<'_>,
        failure: MemoryOrder,
        step: u32,
        f: &dyn Fn(u64) -> Option<u64>,
    ) -> Read<'_> {
        let thread = self.threads[access.thread as usize];
        let id = match self.replayed(thread, Kind::Read, access.verb) {
            Some(id) => {
                let event = self.graph.event(id);
                let (loc, rf, fresh) = (event.loc, event.rf, event.fresh);
                self.meet(access, loc);
                if fresh {
                    let fails = f(self.graph.word(loc, rf)).is_none();
                    let order = if fails { failure } else { access.order };
                    let counted = self.graph.counts_as_seq_cst(self.graph.event(id));
                    self.graph.event_mut(id).order = order;
                    let counts = self.graph.counts_as_seq_cst(self.graph.event(id));
                    self.graph.seq_cst = self.graph.seq_cst + u32::from(counts) - u32::from(counted);
                    self.graph.event_mut(id).fresh = false;
                }
                id
            }
            None => self.add_read(thread, access, failure, Some(f)),
        };
        self.pass(id, step);
        let event = self.graph.event(id);
        self.answer(event.loc, event.rf)
    }

    fn rmw_writes(&mut self, access: &Access<'_>, value: u64, step: u32) -> bool {
        let thread = self.threads[access.thread as usize];
        let id = match self.replayed(thread, Kind::Write, access.verb) {
            Some(id) => {
                self.graph.event_mut(id).value = value;
                id
            }
            None => self.add_rmw_write(thread, access, value),
        };
        self.pass(id, step);
        let loc = self.graph.event(id).loc;
        self.graph.newest(loc) == id
    }

    fn fence(&mut self, access: &Access<'_>, step: u32) {
        let thread = self.threads[access.thread as usize];
        let id = match self.replayed(thread, Kind::Fence, access.verb) {
            Some(id) => id,
            None => {
                let mut event = self.blank(thread, Kind::Fence, NOWHERE, access.order, access.verb);
                event.time = access.time;
                event.before = access.clock.clone();
                let joins = self.joins(thread);
                self.graph.add(event, &joins)
            }
        };
        self.pass(id, step);
    }

    fn value(&mut self, thread: u32, point: Point, count: u32) -> u32 {
        let thread = self.threads[thread as usize];
        if point == Point::Spurious && self.front(thread).spurious > 0 {
            return 0;
        }
        let verb = Verb::Nondet;
        let id = match self.replayed(thread, Kind::Choice, verb) {
            Some(id) => id,
            None => {
                let event = self.blank(thread, Kind::Choice, NOWHERE, MemoryOrder::Plain, verb);
                let joins = self.joins(thread);
                for choice in (1..count).rev() {
                    let mut graph = self.copy();
                    graph.add(Event { choice, ..event.clone() }, &joins);
                    let revisited = self.revisited;
                    self.later(graph, revisited);
                }
                self.graph.add(event, &joins)
            }
        };
        self.pass(id, 0);
        let choice = self.graph.event(id).choice;
        if point == Point::Spurious {
            self.front(thread).spurious += choice;
        }
        choice.min(count - 1)
    }

    fn part(&mut self, thread: u32, count: u32) -> u32 {
        let thread = self.threads[thread as usize];
        let done = self.fronts[thread as usize].done as usize;
        let events = &self.graph.threads[thread as usize];
        let (choice, open) = match events.get(done) {
            // A choice of 0 in an event that was never executed is none yet.
            Some(id) => (
                self.graph.event(*id).choice,
                self.graph.event(*id).fresh && self.graph.event(*id).choice == 0,
            ),
            None => (0, true),
        };
        self.part = Part { count: if open { count } else { 0 } };
        choice.min(count - 1)
    }

    fn stepped(&mut self, step: &Step<'_>) {
        let thread = self.threads[step.thread as usize];
        let part = std::mem::take(&mut self.part);
        let reads = !matches!(step.op.kind, OpKind::Store | OpKind::Print);
        let first = if reads { Kind::Read } else { Kind::Write };
        let held = self.replayed(thread, first, step.op.verb);
        let start = self.graph.len();
        let is_new = held.is_none();
        if is_new {
            let loc = self.loc_or_new(step.object, step.before, true);
            let mut event = self.blank(thread, first, loc, step.op.order, step.op.verb);
            let joins = self.joins(thread);
            if reads {
                event.rf = self.graph.newest(loc);
                event.rmw = step.writes;
                self.graph.add(event, &joins);
            } else {
                let place = self.graph.loc(loc).mo.len() + 1;
                self.graph.add_write(event, &joins, place);
            }
        }
        let id = held.unwrap_or(start);
        let loc = self.graph.event(id).loc;
        self.set_loc(step.object, loc);
        self.fill(id, step);
        self.pass(id, step.step);
        if reads && step.writes {
            let write = match self.replayed(thread, Kind::Write, step.op.verb) {
                Some(write) => write,
                None => self.add_state_write(thread, id, step, !is_new),
            };
            self.fill(write, step);
            self.pass(write, step.step);
        }
        for choice in (1..part.count).rev() {
            let mut graph = self.copy();
            graph.event_mut(id).choice = choice;
            graph.event_mut(id).fresh = true;
            self.later.push(Item { graph, revisited: self.revisited });
        }
    }

    fn spawned(&mut self, parent: u32, child: u32) {
        let parent = self.threads[parent as usize];
        let number = self.front(parent).children;
        self.front(parent).children += 1;
        let thread = self.graph.thread(parent, number);
        self.start_thread(thread, child);
        let last = self.last_event(parent);
        let front = &self.fronts[parent as usize];
        let (porf, ord) = (front.porf.clone(), front.ord.clone());
        let mut joins = front.joins.clone();
        joins.extend(last);
        let child = self.front(thread);
        (child.porf, child.ord, child.joins) = (porf, ord, joins);
    }

    fn joined(&mut self, thread: u32, target: u32) {
        let (thread, target) = (self.threads[thread as usize], self.threads[target as usize]);
        let last = self.last_event(target);
        let other = &self.fronts[target as usize];
        let (porf, ord) = (other.porf.clone(), other.ord.clone());
        let mut joins = other.joins.clone();
        joins.extend(last);
        let front = self.front(thread);
        front.porf.join(&porf);
        front.ord.join(&ord);
        front.joins.extend(joins);
    }

    fn spins(&mut self, thread: u32, site: u64) -> bool {
        let thread = self.threads[thread as usize];
        let done = self.front(thread).done;
        let Some((place, before)) = self.front(thread).spun.replace((site, done)) else { return false };
        let length = done - before;
        if place != site || length == 0 || length > before {
            return false;
        }
        let events = &self.graph.threads[thread as usize];
        let repeats = (before..done).all(|at| {
            let (now, earlier) = (events[at as usize], events[(at - length) as usize]);
            self.reads_nothing_new(now, earlier)
        });
        repeats && self.waits(thread, site, before)
    }

    fn repeats(&mut self, thread: u32, site: u64) -> bool {
        let thread = self.threads[thread as usize];
        let before = self.front(thread).done.saturating_sub(1);
        self.waits(thread, site, before)
    }

    fn spins_on_newest(&self) -> bool {
        let spinning = (0..self.started).filter_map(|thread| Some((thread, self.fronts[thread].spinning?)));
        spinning.into_iter().all(|(thread, (from, to))| {
            self.graph.threads[thread][from as usize..to as usize].iter().all(|id| {
                let event = self.graph.event(*id);
                // A read-modify-write that writes what it read looks at its own write next.
                let next = if event.rmw { self.next_in_thread(*id) } else { event.rf };
                event.kind != Kind::Read || self.graph.newest(event.loc) == next
            })
        })
    }

    fn events(&self, thread: u32) -> u32 {
        self.fronts[self.threads[thread as usize] as usize].done
    }

    fn unordered(&self, object: u32, clock: &Clock, writes: bool) -> Option<(u32, u32)> {
        let loc = self.locs.get(object as usize).copied().filter(|loc| *loc != NOWHERE)?;
        let loc = self.graph.loc(loc);
        let reads = loc.reads.iter().filter(|_| writes);
        loc.mo.iter().chain(reads).find_map(|id| {
            let event = self.graph.event(*id);
            let front = &self.fronts[event.thread as usize];
            let unknown = front.done > event.po && !clock.knows(front.runs_as, event.time);
            unknown.then(|| (front.runs_as, self.step_of(*id)))
        })
    }
}

impl Explore {
    /// A thread has repeated itself since it had executed `before` events: whether it waits.
    fn waits(&mut self, thread: u32, site: u64, before: u32) -> bool {
        if let Some(trial) = &mut self.trial {
            self.stopped |= trial.goes_on(site);
            return self.stopped;
        }
        let endless = self.loops.is_endless(site);
        if endless.is_none() {
            self.trial = Some(Trial::new(thread, site));
        }
        if endless == Some(true) {
            let front = self.front(thread);
            front.spinning = Some((before, front.done));
        }
        endless == Some(true)
    }

    /// Whether an event of a loop finds what the same event of the round before found: it reads the
    /// same write; or, a read-modify-write that writes what it reads, what that one left.
    fn reads_nothing_new(&self, now: Id, earlier: Id) -> bool {
        let (event, before) = (self.graph.event(now), self.graph.event(earlier));
        if (event.kind, event.loc, event.rmw) != (before.kind, before.loc, before.rmw) {
            return false;
        }
        match event.kind {
            Kind::Read if !event.rmw => event.rf == before.rf,
            // Read and write of one operation stand side by side in program order.
            Kind::Read => event.rf == self.next_in_thread(earlier),
            Kind::Write => {
                event.rmw && event.value == before.value && {
                    let read = self.graph.threads[event.thread as usize][event.po as usize - 1];
                    let rf = self.graph.event(read).rf;
                    self.graph.word(event.loc, rf) == event.value
                }
            }
            Kind::Fence => true,
            Kind::Choice => false,
        }
    }

    /// What a thread read when it last read a location.
    fn last_read_of(&self, thread: u32, loc: u32) -> Option<Id> {
        let mut events = self.graph.threads[thread as usize].iter().rev().map(|id| self.graph.event(*id));
        let last = events.find(|event| event.loc == loc)?;
        (last.kind == Kind::Read).then_some(last.rf)
    }

    fn next_in_thread(&self, id: Id) -> Id {
        let event = self.graph.event(id);
        self.graph.threads[event.thread as usize].get(event.po as usize + 1).copied().unwrap_or(INIT)
    }

    fn last_event(&self, thread: u32) -> Option<Id> {
        let done = self.fronts[thread as usize].done as usize;
        done.checked_sub(1).map(|last| self.graph.threads[thread as usize][last])
    }

    /// What an event on a state word turned out to be.
    fn fill(&mut self, id: Id, step: &Step<'_>) {
        let event = self.graph.event_mut(id);
        event.fresh = false;
        event.time = step.time;
        event.before.copy_from(step.clock);
        event.value = step.after;
    }

    fn add_store(&mut self, thread: u32, access: &Access<'_>, value: u64) -> Id {
        let loc = self.loc_or_new(access.object, access.initial, false);
        let mut write = self.blank(thread, Kind::Write, loc, access.order, access.verb);
        write.time = access.time;
        write.value = value;
        write.before = access.clock.clone();
        write.release =
            if access.order.releases() { access.clock.clone() } else { access.release_fence.clone() };
        let floor =
            model::floor(self.model, &self.graph, loc, &Stand { before: access.clock, ord: &write.ord });
        let end = self.graph.loc(loc).mo.len();
        let joins = self.joins(thread);
        for place in (floor + 1..=end).rev() {
            if !self.splits(&self.graph, loc, place) {
                let mut graph = self.copy();
                graph.add_write(write.clone(), &joins, place);
                self.later(graph, None);
            }
        }
        let mut prefix = write.porf.clone();
        prefix.set(thread, write.po + 1);
        self.revisits(loc, None, &write, &prefix);
        self.graph.add_write(write, &joins, end + 1)
    }

    /// The write of the read-modify-write whose read is the thread's last event.
    fn add_rmw_write(&mut self, thread: u32, access: &Access<'_>, value: u64) -> Id {
        let read = self.last_event(thread).unwrap_or_else(|| unreachable!("it has just read"));
        let (loc, rf) = (self.graph.event(read).loc, self.graph.event(read).rf);
        // `access.clock` is that after the read.
        let write = self.write_of(&self.graph.event(read).clone(), access, value);
        let mut write = Event { ord: self.fronts[thread as usize].ord.clone(), ..write };
        write.time = access.time;
        let reads = self.graph.event(read).clone();
        let prefix = write.porf.clone();
        self.revisits_of_last(loc, &reads, &write, &prefix);
        self.graph.event_mut(read).rmw = true;
        let place = self.graph.place(loc, rf) + 1;
        self.graph.add_write(write, &[], place)
    }

    /// The write of an operation on a state word whose read is in the graph.
    fn add_state_write(&mut self, thread: u32, read: Id, step: &Step<'_>, again: bool) -> Id {
        let mut write =
            self.blank(thread, Kind::Write, self.graph.event(read).loc, step.op.order, step.op.verb);
        write.rmw = true;
        let (loc, rf) = (write.loc, self.graph.event(read).rf);
        if again {
            let reads = self.graph.event(read).clone();
            let mut prefix = write.porf.clone();
            prefix.set(thread, write.po + 1);
            let write = Event { porf: prefix.clone(), fresh: true, ..write.clone() };
            self.revisits_of_last(loc, &reads, &write, &prefix);
        }
        self.graph.event_mut(read).rmw = true;
        let place = self.graph.place(loc, rf) + 1;
        self.graph.add_write(write, &[], place)
    }

    /// As [`Self::revisits`], where the read of the read-modify-write is in the graph.
    fn revisits_of_last(&mut self, loc: u32, reads: &Event, write: &Event, prefix: &Clock) {
        let candidates: Vec<Id> = self.graph.loc(loc).reads.clone();
        for read in candidates.into_iter().rev() {
            if holds(prefix, self.graph.event(read)) {
                continue;
            }
            let revisit = Revisit::new(&self.graph, read, prefix);
            if !revisit.is_maximal() {
                continue;
            }
            let spare = self.spare.pop().unwrap_or_default();
            let (mut graph, number) = Revisit::new(&self.graph, read, prefix).restricted(spare);
            let read = number[read as usize];
            graph.event_mut(read).rf = INIT;
            graph.locs[loc as usize].reads.retain(|other| *other != read);
            if !self.settle(&mut graph, read) {
                continue;
            }
            let mine = graph.threads[reads.thread as usize][reads.po as usize];
            let rf = graph.event(mine).rf;
            graph.event_mut(mine).rmw = true;
            let place = graph.place(loc, rf) + 1;
            let mut write = write.clone();
            self.refresh(&graph, &mut write, &[]);
            let write = graph.add_write(write, &[], place);
            self.reread(graph, read, write);
        }
    }
}
