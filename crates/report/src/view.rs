//! A failure with everything at hand that explaining it takes.

use crate::names::Names;
use crate::words::StepRef;
use crate::{Sources, action};
use racefuzz_trace::{
    Event, Failure, FailureDetail, ObjectId, ObjectKind, OpKind, RacingAccess, ReadsFrom, SiteId, ThreadId,
    Trace, Value, Verb,
};

/// A failure and what was worked out about it once.
pub(crate) struct View<'a> {
    pub(crate) failure: &'a Failure,
    pub(crate) trace: &'a Trace,
    pub(crate) names: Names,
    /// The events up to the failure.
    pub(crate) events: &'a [Event],
    /// Whether the event happened while no other thread had anything left to do or had begun:
    /// set-up and the checks at the end, which no schedule can change.
    pub(crate) alone: Vec<bool>,
    /// The accesses to each object that holds data, as indices into the events.
    by_object: Vec<Vec<u32>>,
}

/// A lock held by a thread.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    pub(crate) object: ObjectId,
    /// The event that took it.
    pub(crate) taken: u32,
}

impl<'a> View<'a> {
    pub(crate) fn new(failure: &'a Failure, sources: &dyn Sources) -> Self {
        let trace = &failure.trace;
        let end = (failure.step as usize).min(trace.events.len());
        let events = &trace.events[..end];
        let names = Names::new(trace, sources);
        let by_object = vec![Vec::new(); trace.objects.len()];
        let mut view = Self { failure, trace, names, events, alone: alone(trace, events), by_object };
        for event in events {
            if let Some(object) = event.object.filter(|_| view.is_data(event)) {
                view.by_object[object.index()].push(event.step);
            }
        }
        view
    }

    pub(crate) fn event(&self, step: u32) -> &'a Event {
        &self.trace.events[step as usize]
    }

    /// The thread's name, for a sentence.
    pub(crate) fn thread(&self, id: ThreadId) -> &str {
        self.names.thread(id)
    }

    /// The object's name, for a sentence.
    pub(crate) fn object(&self, id: ObjectId) -> String {
        format!("`{}`", self.names.object(id))
    }

    /// The number of the event's row, for a sentence.
    pub(crate) fn step(&self, event: &Event) -> StepRef {
        StepRef(event.step)
    }

    /// A place, for a sentence.
    pub(crate) fn place(&self, site: SiteId) -> String {
        self.trace.sites.get(site.index()).map_or_else(|| "an unknown place".to_owned(), ToString::to_string)
    }

    /// Whether the event, a read, did not return the newest value.
    pub(crate) fn is_stale(&self, event: &Event) -> bool {
        event.newer.is_some() && reads(event)
    }

    /// Whether the event, a store, did not become the newest: others that were executed before it
    /// come behind it in modification order.
    pub(crate) fn is_late(&self, event: &Event) -> bool {
        event.newer.is_some() && !reads(event)
    }

    /// What the event, a read, knew: writes to the object with a greater step are news to it. For a
    /// stale read that is the write it returned (`None`: the initial value), else the read itself.
    pub(crate) fn knew(&self, read: &Event) -> Option<u32> {
        match read.reads_from {
            Some(ReadsFrom::Initial) if self.is_stale(read) => None,
            Some(ReadsFrom::Step(step)) if self.is_stale(read) => Some(step),
            _ => Some(read.step),
        }
    }

    /// The newest write that the event, a read, did not return, or, a store, did not come behind.
    pub(crate) fn newer(&self, event: &Event) -> Option<&'a Event> {
        self.trace.events.get(event.newer? as usize)
    }

    /// The event that an access of a failure's detail is, if it was executed.
    pub(crate) fn executed(&self, access: &RacingAccess) -> Option<&'a Event> {
        let event = self.events.get(access.step? as usize)?;
        (event.thread == access.thread && event.verb == access.verb).then_some(event)
    }

    /// The last step of the thread of an access that is no step itself: a box that is freed.
    pub(crate) fn step_before(&self, access: &RacingAccess) -> Option<&'a Event> {
        let event = self.events.get(access.step? as usize)?;
        (event.thread == access.thread && event.verb != access.verb).then_some(event)
    }

    /// What the event read, for a sentence.
    pub(crate) fn read(&self, event: &Event) -> String {
        event.read.as_ref().map_or_else(|| "a value".to_owned(), action::value)
    }

    /// What the event wrote, for a sentence.
    pub(crate) fn wrote(&self, event: &Event) -> String {
        event.wrote.as_ref().map_or_else(|| "a value".to_owned(), action::value)
    }

    pub(crate) fn kind(&self, object: ObjectId) -> ObjectKind {
        // An object that the trace does not describe is of no kind that any detector asks for.
        self.trace.objects.get(object.index()).map_or(ObjectKind::Console, |info| info.kind)
    }

    /// Whether the event is an access to data: a variable, an atomic, a cell.
    pub(crate) fn is_data(&self, event: &Event) -> bool {
        use OpKind::{Load, Read, Rmw, Store, Write};
        matches!(event.kind, Load | Store | Rmw | Read | Write)
            && event.verb != Verb::Inside
            && event.object.is_some_and(|object| {
                matches!(self.kind(object), ObjectKind::Variable | ObjectKind::Atomic | ObjectKind::Cell)
            })
    }

    /// The accesses to data, in order.
    pub(crate) fn accesses(&self) -> impl DoubleEndedIterator<Item = &'a Event> {
        self.events.iter().filter(|event| self.is_data(event))
    }

    /// The accesses to one object, in order.
    pub(crate) fn accesses_of(&self, object: ObjectId) -> impl DoubleEndedIterator<Item = &'a Event> {
        self.by_object[object.index()].iter().map(|step| &self.events[*step as usize])
    }

    /// The objects that hold data and are used, in the order of their identifiers.
    pub(crate) fn data_objects(&self) -> Vec<ObjectId> {
        let used = |object: &u32| !self.by_object[*object as usize].is_empty();
        (0..self.by_object.len() as u32).filter(used).map(ObjectId).collect()
    }

    /// The value the object ends with.
    pub(crate) fn last_value(&self, object: ObjectId) -> Option<&'a Value> {
        let written = self.accesses_of(object).rfind(|event| writes(event) && !self.is_late(event));
        match written {
            Some(event) => event.wrote.as_ref(),
            None => self.trace.object(object).initial.as_ref(),
        }
    }

    /// The values that the check which failed saw: what its thread last read from each object, or,
    /// at the end, what each object ended with.
    pub(crate) fn seen(&self) -> Vec<&'a Value> {
        if self.fails_at_end() {
            return self.data_objects().into_iter().filter_map(|object| self.last_value(object)).collect();
        }
        let mut objects = Vec::new();
        let mut seen = Vec::new();
        for event in self.accesses().rev().filter(|e| e.thread == self.failure.thread && reads(e)) {
            if !objects.contains(&event.object) {
                objects.push(event.object);
                seen.extend(event.read.as_ref());
            }
        }
        seen
    }

    /// Whether what the object held after `step` reached the check that failed: the thread that
    /// failed read it later, or the check ran at the end, where it sees everything.
    pub(crate) fn observed(&self, object: ObjectId, step: u32) -> bool {
        self.fails_at_end()
            || self
                .accesses_of(object)
                .rev()
                .take_while(|event| event.step > step)
                .any(|event| event.step > step && event.thread == self.failure.thread && reads(event))
    }

    /// Whether the failure was found when all the concurrency was over.
    pub(crate) fn fails_at_end(&self) -> bool {
        matches!(self.failure.detail, FailureDetail::Panic { at_end: true, .. })
    }

    /// Whether the failure is of this thread, or of a check that runs behind all threads and so
    /// judges what every one of them did.
    pub(crate) fn concerns(&self, thread: ThreadId) -> bool {
        self.failure.thread == thread || self.checked_behind_all()
    }

    /// Whether a check behind all other threads failed: at the end, or in a thread left alone.
    pub(crate) fn checked_behind_all(&self) -> bool {
        self.fails_at_end()
            || self
                .trace
                .threads
                .iter()
                .filter(|thread| thread.id != self.failure.thread)
                .all(|thread| self.is_done(thread.id))
    }

    /// Whether the thread has nothing more to do when the failure is found.
    pub(crate) fn is_done(&self, thread: ThreadId) -> bool {
        let finished = self.events.iter().rev().any(|e| e.thread == thread && e.kind == OpKind::Finish);
        let started = self.events.iter().any(|event| event.thread == thread);
        finished || started && matches!(self.trace.thread(thread).end, racefuzz_trace::ThreadEnd::Finished)
    }

    /// Why nothing kept a write out of what another thread did from `first` to `last`, as a clause:
    /// the locks say whether none was held, one was given back too early, or one was not respected.
    pub(crate) fn not_kept_out(&self, intruder: &Event, first: &Event, last: &Event) -> String {
        let (from, to) = (self.held(first.thread, first.step), self.held(last.thread, last.step));
        let theirs = self.held(intruder.thread, intruder.step);
        let (me, other) = (self.thread(first.thread), self.thread(intruder.thread));
        for lock in &from {
            let Some(later) = to.iter().find(|later| later.object == lock.object) else { continue };
            let name = self.object(lock.object);
            if later.taken != lock.taken {
                return format!("{name} was given back between the two steps");
            }
            if !theirs.iter().any(|held| held.object == lock.object) {
                return format!("{other} did not take {name}, which {me} held all the while");
            }
        }
        format!(
            "nothing kept step {} out of steps {} to {}",
            self.step(intruder),
            self.step(first),
            self.step(last)
        )
    }

    /// Why a read did not return a write that was executed before it, as a clause.
    pub(crate) fn not_visible(&self, write: &Event, read: &Event) -> String {
        format!(
            "{} did not see it yet, because {} and nothing else orders them",
            self.thread(read.thread),
            self.orders(write, read),
        )
    }

    /// The memory orderings of a write and of an access that does not know of it, as a clause.
    pub(crate) fn orders(&self, write: &Event, event: &Event) -> String {
        let (first, second) = (write.order.name(), event.order.name());
        let compares = matches!(event.verb, Verb::CompareExchange | Verb::CompareExchangeWeak);
        if compares && !event.ok {
            return format!(
                "the store is {first} and the {} failed, so that it is a load with its failure ordering, {second},",
                event.verb.word()
            );
        }
        match first == second {
            true => format!("both accesses are {first}"),
            false if writes(event) => format!("the stores are {first} and {second}"),
            false => format!("the store is {first} and the load {second}"),
        }
    }

    /// What is remarkable about a read that does not know of a write.
    pub(crate) fn stale_mark(&self, read: &Event, write: &Event) -> String {
        match write.step < read.step {
            true => format!("stale: step {} wrote {}", self.step(write), self.wrote(write)),
            false => format!("goes stale at step {}", self.step(write)),
        }
    }

    /// The locks a thread holds before the event at `step`, oldest first.
    pub(crate) fn held(&self, thread: ThreadId, step: u32) -> Vec<Held> {
        let mut held: Vec<Held> = Vec::new();
        let own = |event: &&&Event| event.thread == thread && event.step < step;
        for event in self.events.iter().filter(|event| own(&event)) {
            let Some(object) = event.object else { continue };
            if event.verb.takes_lock() && event.ok {
                held.push(Held { object, taken: event.step });
            } else if event.verb.gives_lock()
                && let Some(index) = held.iter().rposition(|lock| lock.object == object)
            {
                held.remove(index);
            }
        }
        held
    }

    /// The step of the write the event read, where it is not the initial value.
    pub(crate) fn source(&self, event: &Event) -> Option<&'a Event> {
        match event.reads_from? {
            ReadsFrom::Step(step) => self.trace.events.get(step as usize),
            ReadsFrom::Initial => None,
        }
    }
}

/// Whether the event read data.
pub(crate) fn reads(event: &Event) -> bool {
    event.kind.reads()
}

/// Whether the event changed data.
pub(crate) fn writes(event: &Event) -> bool {
    matches!(event.kind, OpKind::Store | OpKind::Write) || event.kind == OpKind::Rmw && event.ok
}

/// Whether the event both reads and writes in one step.
pub(crate) fn updates(event: &Event) -> bool {
    event.kind == OpKind::Rmw && event.ok
}

/// Events that only manage threads; a thread with nothing else is no actor.
pub(crate) fn is_housekeeping(verb: Verb) -> bool {
    use Verb::{
        Alloc, DropReceiver, DropSender, Finish, Free, Inside, IsFinished, Join, Poll, RefClone, RefCount,
        RefDrop, Spawn, SpinLoop, Yield,
    };
    matches!(
        verb,
        Spawn
            | Join
            | IsFinished
            | Finish
            | RefClone
            | RefDrop
            | RefCount
            | Alloc
            | Free
            | DropSender
            | DropReceiver
            | Yield
            | SpinLoop
            | Poll
            | Inside
    )
}

/// Whether `thread` was spawned by `ancestor`, or by a thread that was.
fn descends(trace: &Trace, thread: ThreadId, ancestor: ThreadId) -> bool {
    let parents = std::iter::successors(trace.thread(thread).parent, |parent| trace.thread(*parent).parent);
    parents.take(trace.threads.len()).any(|parent| parent == ancestor)
}

/// For each event, whether it is of a thread whose descendants had not begun, or had ended and been
/// joined, with no thread besides: no schedule could have put anything of theirs elsewhere. The last
/// steps of one of several siblings are not of this kind, nor are those behind the last step of a
/// thread that nobody has waited for: they are what the schedule arranged.
fn alone(trace: &Trace, events: &[Event]) -> Vec<bool> {
    let threads = trace.threads.len();
    let (mut first, mut joined, mut ended) = (vec![None; threads], vec![None; threads], vec![false; threads]);
    for event in &trace.events {
        let index = event.thread.index();
        if let (Verb::Spawn, Some(child)) = (event.verb, event.other) {
            first[child.index()].get_or_insert(event.step);
        }
        if let (Verb::Join, true, Some(other)) = (event.verb, event.ok, event.other) {
            joined[other.index()].get_or_insert(event.step);
        }
        if event.kind == OpKind::Finish {
            ended[index] = true;
        }
        // An access does not wait: its thread came to the end of a scope, which is no step.
        if event.waited.is_some()
            && matches!(event.kind, OpKind::Load | OpKind::Store | OpKind::Read | OpKind::Write)
        {
            for (thread, joined) in joined.iter_mut().enumerate().filter(|(thread, _)| ended[*thread]) {
                if descends(trace, ThreadId(thread as u32), event.thread) {
                    joined.get_or_insert(event.step.saturating_sub(1));
                }
            }
        }
        if !is_housekeeping(event.verb) {
            first[index].get_or_insert(event.step);
        }
    }
    for thread in &trace.threads {
        // What has not ended may still act; what only spawns and joins never does.
        let ended = matches!(
            thread.end,
            racefuzz_trace::ThreadEnd::Finished | racefuzz_trace::ThreadEnd::Panicked(_)
        );
        if !ended && thread.id != ThreadId::ROOT {
            first[thread.id.index()].get_or_insert(0);
        }
    }
    let spans: Vec<_> = first.into_iter().zip(joined).map(|(first, joined)| Some((first?, joined))).collect();
    let alone = |event: &Event| {
        spans
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != event.thread.index())
            .filter_map(|(index, span)| Some((ThreadId(index as u32), (*span)?)))
            .all(|(thread, (first, joined))| {
                descends(trace, thread, event.thread)
                    && (event.step < first || joined.is_some_and(|joined: u32| event.step > joined))
            })
    };
    events.iter().map(alone).collect()
}
