//! One execution along one graph: replays what the graph holds, adds what comes next in the way
//! that is newest, and keeps every other way for later.
//!
//! The way of an operation: the runtime asks [`Memory::next`] who goes on; the operation that is
//! chosen asks what it reads or tells what it writes. If the graph holds the event, that is the
//! answer. If not, the event is added: a read reads the newest write, a write becomes the newest;
//! every other consistent read or place is left for later as a [`WorkItem`], and so is every backward
//! revisit.

mod atomic;
mod dead_ends;
mod departing;
mod effect;
mod finding;
mod learning;
mod leaving;
mod livelock;
mod long_runs;
mod memory;
mod occurrences;
mod pairs;
mod rounds;
mod schedule;
mod state;
mod stutter;
mod taking_back;
mod trying;
mod turns;

pub(crate) use departing::Departure;
pub(crate) use pairs::{Examined, Pair};

use crate::graph::{Block, Event, Graph, INIT, Id, Kind, NOWHERE};
use crate::model::{self, Addition, Stand};
use crate::turns::Turns;
use crate::waiting::{self, Loops, Trial};
use crate::work_item::{Change, Loaded, Moment, NextEvent, Revisitor, Way, WorkItem};
use racefuzz_runtime::{
    Access, Alternatives, Clock, Explorer, Memory, Op, Read, Standing, Step, Test, ThreadChoice,
};
use racefuzz_trace::{MemoryModel, MemoryOrder, OpKind, Point, ThreadId, Verb};
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What a program does otherwise that executes the operation of its graph on another object.
const OTHER_OBJECT: &str = ", on another object";

/// Graphs whose memory is kept for others.
const SPARE: usize = 64;

/// Where a thread of the running execution stands.
#[derive(Clone, Debug, Default)]
struct Front {
    /// The thread's number in the running execution.
    runs_as: u32,
    /// Events of the graph executed.
    done: u32,
    /// How many of these are choices.
    choices: u32,
    children: u32,
    /// Its prefix, and what else is ordered before its next event.
    porf: Clock,
    ord: Clock,
    joins: SmallVec<[Id; 2]>,
    spurious: u32,
    /// It has given way since its last event.
    yields: bool,
    /// What its next event waits for.
    waits: Option<Test>,
    /// The place of each event, and the same without the location.
    trail: Vec<u64>,
    sites: Vec<u64>,
    /// Where it was at which of the latter.
    occurrences: occurrences::Occurrences,
    /// What it waits for in a loop.
    wait: rounds::Wait,
    /// The round that was taken back last, or is to be.
    taken_back: pairs::TakenBack,
    /// It went on alone, in a trial: it is not where its events say.
    strayed: bool,
    /// The events it had executed when it was looked at whether it waits.
    looked: u32,
    /// The events it had executed when others had seen its last round.
    seen: u32,
    /// The events it had executed when it spawned a thread last.
    spawned_at: u32,
    /// How many turns it had had when it was looked at last what becomes of it behind one.
    turns: u32,
}

impl Front {
    /// Whether it does not wait in a loop, as far as is known.
    fn moves(&self) -> bool {
        matches!(self.wait, rounds::Wait::No)
    }

    /// As new, keeping its memory.
    fn reset(&mut self) {
        let (mut trail, mut sites) = (std::mem::take(&mut self.trail), std::mem::take(&mut self.sites));
        let mut occurrences = std::mem::take(&mut self.occurrences);
        trail.clear();
        sites.clear();
        occurrences.clear();
        *self = Self { trail, sites, occurrences, ..Self::default() };
    }
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
    pub(crate) later: Vec<WorkItem>,
    /// What the running execution has left, until its graph is complete.
    left_here: Vec<leaving::Left>,
    fronts: Vec<Front>,
    started: usize,
    /// For each thread of the running execution its number in the graph.
    threads: Vec<u32>,
    /// Some of these numbers differ: threads are created in another order than before.
    renumbered: bool,
    /// What the running execution is told that a write publishes, in its own numbers.
    told: Clock,
    /// For each object of the running execution its location.
    locs: Vec<u32>,
    /// For each location whether its object was met in the running execution.
    bound: Vec<bool>,
    pseudo: Vec<(u32, u32)>,
    /// For each location the number of the place where its object was made, as far as it was read.
    made: Vec<u64>,
    /// Events of the graph that are still to be executed.
    left: u32,
    /// How many events it had when the execution began.
    loaded: u32,
    /// How many of them the exploration has chosen: what comes behind follows from them.
    given: u32,
    /// The step at which each event was executed.
    steps: Vec<u32>,
    part: Part,
    /// What is known of loops that spin, and the one that is being tried.
    pub(crate) loops: Loops,
    trial: Option<Trial>,
    /// How often each loop was found to wait in this unit of work.
    pub(crate) confirmed: BTreeMap<u64, u32>,
    learned: Option<Loops>,
    /// What is learned without beginning anew.
    learning: learning::Learning,
    /// Reads that are known to come to nothing.
    dead_ends: dead_ends::DeadEnds,
    /// For each event that was added, how much had been left for later before it; and now.
    left_before: Vec<u32>,
    mark: u32,
    /// The events in which the graph that was loaded differs from those explored before it.
    changed: std::ops::Range<Id>,
    /// Threads that can only wait in loops do so: their rounds stay.
    forced: bool,
    /// A thread read something else than the newest, and waits: no execution comes of this.
    dead: bool,
    /// The same, but the execution goes on, as what the thread read may be changed by others.
    doomed: bool,
    /// More attempts of threads that wait could be seen than were explored.
    pub(crate) bounded: bool,
    /// A thread would have gone round for longer than was explored.
    pub(crate) rounds_cut: bool,
    /// The thread that had the turn when others could have gone on, and the number of events then.
    alone: Option<(u32, Id)>,
    /// The events of a turn at the most.
    longest_turn: u32,
    /// Freed memory may be allocated again.
    pub(crate) reuses: bool,
    /// Whether threads keep each other going round.
    livelock: livelock::Livelock,
    /// The execution is to begin anew from the graph that it has come to, perhaps with `forced`.
    anew: Option<bool>,
    /// The ends of rounds, as thread and number of events, of which it is known that their threads wait.
    known_to_wait: Vec<(u32, u32)>,
    /// How often rounds were held against their absence.
    pub(crate) examined: HashMap<u64, pairs::Examined>,
    /// Rounds that are taken back are to be held against their absence.
    pub(crate) examines: bool,
    /// Pairs that are to be held against each other.
    pub(crate) pairs: Vec<Pair>,
    /// The execution is one of a pair: nothing of it is left to be explored.
    quiet: Option<stutter::Quiet>,
    /// The next one is like that.
    quiet_next: Option<stutter::Quiet>,
    /// Memory for graphs.
    spare: Vec<Graph>,
    /// The program did something else than before.
    pub(crate) diverged: bool,
    /// Where that was.
    pub(crate) departure: Option<Departure>,
    empty: Clock,
    /// Schedules are explored, within a bound on preemptions.
    pub(crate) turns: Option<Turns>,
    /// The order of the graph's SeqCst events.
    order: model::Order,
    /// The ordering of an access of the graph is another one than when the graph was made: a
    /// compare-exchange succeeds that failed, or fails that succeeded.
    reordered: bool,
}

impl Explore {
    pub(crate) fn new(model: MemoryModel) -> Self {
        Self {
            model,
            graph: Graph::new(),
            revisited: None,
            later: Vec::new(),
            left_here: Vec::new(),
            fronts: Vec::new(),
            started: 0,
            threads: Vec::new(),
            renumbered: false,
            told: Clock::default(),
            locs: Vec::new(),
            bound: Vec::new(),
            pseudo: Vec::new(),
            made: Vec::new(),
            left: 0,
            loaded: 0,
            given: 0,
            steps: Vec::new(),
            part: Part::default(),
            loops: Loops::default(),
            trial: None,
            confirmed: BTreeMap::new(),
            reuses: false,
            learned: None,
            learning: learning::Learning::default(),
            dead_ends: dead_ends::DeadEnds::default(),
            left_before: Vec::new(),
            mark: 0,
            changed: 0..0,
            forced: false,
            dead: false,
            doomed: false,
            bounded: false,
            rounds_cut: false,
            alone: None,
            longest_turn: u32::MAX,
            livelock: livelock::Livelock::None,
            anew: None,
            known_to_wait: Vec::new(),
            examined: HashMap::new(),
            examines: false,
            pairs: Vec::new(),
            quiet: None,
            quiet_next: None,
            spare: Vec::new(),
            diverged: false,
            departure: None,
            empty: Clock::default(),
            turns: None,
            order: model::Order::default(),
            reordered: false,
        }
    }

    /// Makes this graph the next to be explored.
    pub(crate) fn load(&mut self, loaded: Loaded) {
        let before = std::mem::replace(&mut self.graph, loaded.graph);
        self.recycle(before);
        self.revisited = loaded.revisited;
        (self.changed, self.forced) = (loaded.changed, loaded.forced);
        self.known_to_wait = loaded.known_to_wait;
        self.take_turn(loaded.turn);
    }

    fn recycle(&mut self, graph: Graph) {
        if self.spare.len() < SPARE {
            self.spare.push(graph);
        }
    }

    /// What is before the next event of a thread by spawns and joins.
    fn joins(&self, thread: u32) -> SmallVec<[Id; 2]> {
        self.fronts[thread as usize].joins.clone()
    }

    /// Whether the graph is consistent now that all its events have been executed: what happens before
    /// an operation on a state word, and the ordering of a compare-exchange that was given another
    /// write, was not known when the graph was made.
    ///
    /// What was added behind these is newest, and changes nothing; so if the graph is not consistent,
    /// neither is what was left of it, see [`forget`](Self::forget).
    pub(crate) fn is_consistent(&self) -> bool {
        !(self.graph.ordered || self.reordered)
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
        self.renumbered |= thread != runs_as;
    }

    /// A clock of the running execution with the graph's thread numbers.
    fn in_graph(&self, clock: &Clock) -> Clock {
        if !self.renumbered {
            return clock.clone();
        }
        let mut mine = Clock::default();
        for (runs_as, thread) in self.threads.iter().enumerate() {
            if *thread != u32::MAX {
                mine.set(*thread, clock.get(runs_as as u32));
            }
        }
        mine
    }

    /// A clock of the graph with the running execution's thread numbers.
    fn in_execution(&self, clock: &Clock) -> Clock {
        let mut theirs = Clock::default();
        for (runs_as, thread) in self.threads.iter().enumerate() {
            if *thread != u32::MAX {
                theirs.set(runs_as as u32, clock.get(*thread));
            }
        }
        theirs
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

    /// The object at a location of the graph is met in this execution; false if another one was met there.
    fn binds(&mut self, loc: u32) -> bool {
        if self.bound.len() <= loc as usize {
            self.bound.resize(loc as usize + 1, false);
        }
        !std::mem::replace(&mut self.bound[loc as usize], true)
    }

    /// An access executes an event of the graph.
    fn meet(&mut self, access: &Access<'_>, id: Id) {
        let loc = self.graph.event(id).loc;
        if loc == NOWHERE {
            // A fence: see `replayed`.
            return;
        }
        match self.loc(access.object) {
            NOWHERE => {
                if !self.binds(loc) {
                    self.departs_by(access, OTHER_OBJECT);
                }
                self.set_loc(access.object, loc);
                self.graph.locs[loc as usize].initial = access.initial;
            }
            known if known != loc => self.departs_by(access, OTHER_OBJECT),
            _ => {}
        }
        self.note_made(access, loc);
        self.refresh(access, id);
    }

    /// What an event of the graph knows and when it happens: events that the graph does not hold
    /// (accesses to plain memory, reference counts) may differ from one execution of it to the next.
    fn refresh(&mut self, access: &Access<'_>, id: Id) {
        let before = self.in_graph(access.clock);
        let event = self.graph.event_mut(id);
        (event.time, event.site, event.before) = (access.time, access.site, before);
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
            let runs_as = self.fronts[thread as usize].runs_as;
            self.departs(thread, || departing::operation(runs_as, verb));
        }
        Some(id)
    }

    /// The thread has executed an event that the graph holds.
    fn pass(&mut self, id: Id, step: u32) {
        let event = &self.graph.events[id as usize];
        let front = &mut self.fronts[event.thread as usize];
        front.done += 1;
        let (here, site) = match event.kind {
            Kind::Choice => {
                front.choices += 1;
                (event.site, event.site)
            }
            kind => {
                let write = kind == Kind::Write;
                let place = |loc| waiting::place(event.site, event.verb, loc, write);
                (place(event.loc), place(NOWHERE))
            }
        };
        front.trail.push(here);
        front.sites.push(site);
        if self.left_before.len() <= id as usize {
            self.left_before.resize(id as usize + 1, self.mark);
        }
        front.porf.copy_from(&event.porf);
        if self.graph.ordered {
            front.ord.copy_from(&event.ord);
        }
        front.joins.clear();
        front.yields = false;
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
            #[cfg(test)]
            yields: front.yields,
            #[cfg(test)]
            waits: front.waits.unwrap_or(Test::Always),
            readers: 0,
            site: 0,
            time: 0,
            before: Clock::default(),
            release: Clock::default(),
            porf: front.porf.clone(),
            ord: if self.graph.ordered { front.ord.clone() } else { Clock::default() },
        }
    }

    fn step_of(&self, write: Id) -> u32 {
        if write == INIT { 0 } else { self.steps.get(write as usize).copied().unwrap_or(0) }
    }

    fn answer(&mut self, loc: u32, write: Id) -> Read<'_> {
        if loc == NOWHERE {
            // The graph has a fence there: the thread goes no further, whatever it is told.
            return Read { value: 0, release: &self.empty, source: 0, newer: None };
        }
        let newest = self.graph.newest(loc);
        if self.renumbered && write != INIT {
            self.told = self.in_execution(&self.graph.event(write).release);
        }
        Read {
            value: self.graph.word(loc, write),
            release: match write {
                INIT => &self.empty,
                _ if self.renumbered => &self.told,
                write => &self.graph.event(write).release,
            },
            source: self.step_of(write),
            newer: (newest != write).then(|| self.step_of(newest)).filter(|step| *step != 0),
        }
    }

    fn last_event(&self, thread: u32) -> Option<Id> {
        let done = self.fronts[thread as usize].done as usize;
        done.checked_sub(1).map(|last| self.graph.threads[thread as usize][last])
    }
}
