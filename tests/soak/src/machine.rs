//! The enumerator: a machine that takes one small step of one thread at a time, every way.
//!
//! It shares no code with racefuzz, and is written after std's documentation: locks exclude, a
//! notification wakes some thread that waits, a channel keeps each sender's order, nothing wakes up
//! for no reason. A wait with a limit may end at any moment at which what it waits for is not there.
//! Whether a reader is let in while a writer waits is open: where nobody else can go on, all may wait.
//! All atomics are SeqCst, so that interleavings are all there is. States are visited once.
//!
//! Races are found by happens-before, kept as vector clocks where the program has cells: a thread's
//! start and end, a mutex given back and taken, a message sent and received, an atomic written and
//! read, `unpark` and `park`, an initialisation and its use, an `Arc` let go and its value destroyed.

use crate::outcome::{End, Outcome};
use crate::program::{Capacity, Looks, Op, Program};
use std::collections::{BTreeSet, HashSet};

type Clock = Vec<u8>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Progress {
    New,
    Running,
    Done,
    Poisoned,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Thread {
    at: usize,
    /// How far it is in its statement.
    stage: u8,
    log: Vec<i64>,
    /// The mutexes and read-write locks it has, in the order in which it took them.
    held: Vec<Held>,
    senders: Vec<bool>,
    receivers: Vec<bool>,
    strong: Vec<bool>,
    token: bool,
    token_clock: Clock,
    /// It was notified.
    woken: bool,
    /// Its offer to a channel without a buffer was taken, or refused.
    taken: Option<bool>,
    end: End,
    /// Others may be told that it has ended.
    finished: bool,
    /// The variables that its local values add to when they are destroyed, behind that.
    locals: Vec<usize>,
    panics: bool,
    clock: Clock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Held {
    Mutex(usize),
    Shared(usize),
    Exclusive(usize),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Lock {
    owned: bool,
    readers: usize,
    poisoned: bool,
    data: i64,
    clock: Clock,
    /// What readers knew when they gave it back.
    read_clock: Clock,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Channel {
    queue: Vec<(i64, Clock)>,
    /// For a channel without a buffer, who offers what.
    offers: Vec<(usize, i64)>,
    senders: usize,
    receiver: bool,
    /// What the receiver knew when it made room, and what senders knew when they left.
    room: Clock,
    left: Clock,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Once {
    progress: Progress,
    value: i64,
    clock: Clock,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Cell {
    value: i64,
    written: Option<(usize, u8)>,
    read: Vec<(usize, u8)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    threads: Vec<Thread>,
    variables: Vec<(i64, Clock)>,
    cells: Vec<Cell>,
    mutexes: Vec<Lock>,
    rwlocks: Vec<Lock>,
    /// Who waits on a condvar and was not woken.
    condvars: Vec<Vec<usize>>,
    channels: Vec<Channel>,
    onces: Vec<Once>,
    once_locks: Vec<Once>,
    arcs: Vec<(usize, Clock)>,
    barriers: Vec<(usize, usize, Clock)>,
    boxes: Vec<(Option<i64>, Clock)>,
    race: Option<usize>,
}

/// The outcomes of a program, or nothing where it has more than `most` states.
pub fn outcomes(program: &Program, most: usize) -> Option<BTreeSet<Outcome>> {
    let mut left = vec![start(program)];
    let mut seen = HashSet::new();
    let mut found = BTreeSet::new();
    while let Some(state) = left.pop() {
        if let Some(cell) = state.race {
            found.insert(Outcome::Race(cell));
            continue;
        }
        if seen.len() > most {
            return None;
        }
        if !seen.insert(state.clone()) {
            continue;
        }
        let mut next = Vec::new();
        let mut goes_on = false;
        for thread in 0..state.threads.len() {
            let before = next.len();
            goes_on |= step(program, &state, thread, &mut next);
            goes_on |= next.len() > before && !may_be_kept_out(program, &state, thread);
        }
        if !goes_on {
            found.insert(end(&state));
        }
        left.extend(next);
    }
    Some(found)
}

/// Whether a thread wants to read what others read and somebody waits to write.
fn may_be_kept_out(program: &Program, state: &State, me: usize) -> bool {
    let wants = |thread: usize| program.threads[thread].get(state.threads[thread].at).copied();
    let Some(Op::LockShared(l)) = wants(me) else { return false };
    let has = |thread: usize| {
        let held = &state.threads[thread].held;
        held.contains(&Held::Shared(l)) || held.contains(&Held::Exclusive(l))
    };
    let writer = |thread| wants(thread) == Some(Op::LockExclusive(l)) && !has(thread);
    state.rwlocks[l].readers > 0 && !has(me) && (0..state.threads.len()).any(writer)
}

fn end(state: &State) -> Outcome {
    let ends: Vec<End> = state.threads.iter().map(|thread| thread.end).collect();
    let variables = match ends.contains(&End::Waits) {
        true => Vec::new(),
        false => state.variables.iter().map(|(value, _)| *value).collect(),
    };
    Outcome::Ends { logs: state.threads.iter().map(|thread| thread.log.clone()).collect(), ends, variables }
}

fn start(program: &Program) -> State {
    let count = program.threads.len();
    let clock = || if program.cells > 0 { vec![0; count] } else { Vec::new() };
    let threads = (0..count)
        .map(|thread| {
            let mut own = clock();
            if let Some(time) = own.get_mut(thread) {
                *time = 1;
            }
            Thread {
                at: 0,
                stage: 0,
                log: Vec::new(),
                held: Vec::new(),
                senders: (0..program.channels.len()).map(|c| program.sends(thread, c)).collect(),
                receivers: (0..program.channels.len()).map(|c| program.receives(thread, c)).collect(),
                strong: (0..program.arcs.len()).map(|a| program.owns(thread, a)).collect(),
                token: false,
                token_clock: clock(),
                woken: false,
                taken: None,
                end: End::Waits,
                finished: false,
                locals: Vec::new(),
                panics: false,
                clock: own,
            }
        })
        .collect::<Vec<_>>();
    let lock = || Lock { clock: clock(), read_clock: clock(), ..Lock::default() };
    let once = || Once { progress: Progress::New, value: -1, clock: clock() };
    State {
        variables: vec![(0, clock()); program.variables],
        cells: vec![Cell::default(); program.cells],
        mutexes: (0..program.mutexes).map(|_| lock()).collect(),
        rwlocks: (0..program.rwlocks).map(|_| lock()).collect(),
        condvars: vec![Vec::new(); program.condvars],
        channels: (0..program.channels.len())
            .map(|c| Channel {
                senders: threads.iter().filter(|thread| thread.senders[c]).count(),
                receiver: threads.iter().any(|thread| thread.receivers[c]),
                room: clock(),
                left: clock(),
                ..Channel::default()
            })
            .collect(),
        onces: (0..program.onces).map(|_| once()).collect(),
        once_locks: (0..program.once_locks).map(|_| once()).collect(),
        arcs: (0..program.arcs.len())
            .map(|a| (threads.iter().filter(|thread| thread.strong[a]).count(), clock()))
            .collect(),
        barriers: vec![(0, 0, clock()); program.barriers.len()],
        boxes: vec![(None, clock()); program.boxes],
        race: None,
        threads,
    }
}

fn join(into: &mut Clock, other: &Clock) {
    into.iter_mut().zip(other).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
}

/// One thread's step in one way.
struct Way {
    state: State,
    me: usize,
}

impl Way {
    fn me(&mut self) -> &mut Thread {
        &mut self.state.threads[self.me]
    }

    fn learn(&mut self, clock: &Clock) {
        join(&mut self.me().clock, clock);
    }

    /// What the thread knows, for others to learn; what it does from now on is not part of it.
    fn publish(&mut self) -> Clock {
        let me = self.me;
        let thread = self.me();
        let clock = thread.clock.clone();
        if let Some(time) = thread.clock.get_mut(me) {
            *time += 1;
        }
        clock
    }

    fn done(mut self, seen: i64) -> State {
        let thread = self.me();
        thread.log.push(seen);
        thread.at += 1;
        thread.stage = 0;
        self.state
    }

    fn stage(mut self, stage: u8) -> State {
        self.me().stage = stage;
        self.state
    }

    fn panic(mut self) -> State {
        let thread = self.me();
        thread.panics = true;
        thread.stage = 0;
        thread.at = usize::MAX;
        self.state
    }

    fn load(&mut self, x: usize) -> i64 {
        let clock = self.state.variables[x].1.clone();
        self.learn(&clock);
        self.state.variables[x].0
    }

    fn store(&mut self, x: usize, value: i64) {
        let clock = self.publish();
        self.state.variables[x] = (value, clock);
    }

    fn update(&mut self, x: usize, value: i64) -> i64 {
        let old = self.load(x);
        let mut clock = self.publish();
        join(&mut clock, &self.state.variables[x].1);
        self.state.variables[x] = (value, clock);
        old
    }

    fn add(&mut self, x: usize, value: i64) -> i64 {
        let new = self.state.variables[x].0 + value;
        self.update(x, new)
    }

    fn has(&self, held: Held) -> bool {
        self.state.threads[self.me].held.contains(&held)
    }

    fn take_mutex(&mut self, m: usize) -> i64 {
        let clock = self.state.mutexes[m].clock.clone();
        self.learn(&clock);
        self.state.mutexes[m].owned = true;
        self.me().held.push(Held::Mutex(m));
        seen_in(&self.state.mutexes[m])
    }

    fn give(&mut self, held: Held) {
        let panics = self.me().panics;
        self.me().held.retain(|other| *other != held);
        let clock = self.publish();
        match held {
            Held::Mutex(m) => {
                let lock = &mut self.state.mutexes[m];
                lock.owned = false;
                lock.poisoned |= panics;
                lock.clock = clock;
            }
            Held::Exclusive(l) => {
                let lock = &mut self.state.rwlocks[l];
                lock.owned = false;
                lock.poisoned |= panics;
                lock.clock = clock;
            }
            Held::Shared(l) => {
                let lock = &mut self.state.rwlocks[l];
                lock.readers -= 1;
                join(&mut lock.read_clock, &clock);
            }
        }
    }

    fn take_rw(&mut self, l: usize, exclusive: bool) -> i64 {
        let lock = &self.state.rwlocks[l];
        let (clock, read_clock) = (lock.clock.clone(), lock.read_clock.clone());
        self.learn(&clock);
        if exclusive {
            self.learn(&read_clock);
            self.state.rwlocks[l].owned = true;
            self.me().held.push(Held::Exclusive(l));
        } else {
            self.state.rwlocks[l].readers += 1;
            self.me().held.push(Held::Shared(l));
        }
        seen_in(&self.state.rwlocks[l])
    }

    /// Lets a strong reference go; whether it was the last.
    fn let_go(&mut self, a: usize) -> bool {
        self.me().strong[a] = false;
        self.unhold(a)
    }

    fn unhold(&mut self, a: usize) -> bool {
        let clock = self.publish();
        let (count, known) = &mut self.state.arcs[a];
        *count -= 1;
        join(known, &clock);
        let last = *count == 0;
        if last {
            let known = self.state.arcs[a].1.clone();
            self.learn(&known);
        }
        last
    }

    fn drop_sender(&mut self, c: usize) {
        self.me().senders[c] = false;
        let clock = self.publish();
        let channel = &mut self.state.channels[c];
        channel.senders -= 1;
        join(&mut channel.left, &clock);
    }

    fn drop_receiver(&mut self, c: usize) {
        self.me().receivers[c] = false;
        let clock = self.publish();
        let channel = &mut self.state.channels[c];
        channel.receiver = false;
        channel.queue.clear();
        join(&mut channel.room, &clock);
        for (sender, _) in std::mem::take(&mut channel.offers) {
            self.state.threads[sender].taken = Some(false);
        }
    }

    /// The next message, if there is one.
    fn receive(&mut self, c: usize) -> Option<i64> {
        let channel = &mut self.state.channels[c];
        if !channel.offers.is_empty() {
            let (sender, value) = channel.offers.remove(0);
            let clock = self.state.threads[sender].clock.clone();
            self.learn(&clock);
            let mine = self.publish();
            self.state.threads[sender].taken = Some(true);
            join(&mut self.state.channels[c].room, &mine);
            return Some(value);
        }
        if channel.queue.is_empty() {
            return None;
        }
        let (value, clock) = channel.queue.remove(0);
        self.learn(&clock);
        let mine = self.publish();
        join(&mut self.state.channels[c].room, &mine);
        Some(value)
    }

    fn access(&mut self, d: usize, writes: bool) {
        let me = self.me;
        let clock = self.me().clock.clone();
        let cell = &mut self.state.cells[d];
        let unknown = |access: &(usize, u8)| access.0 != me && clock[access.0] < access.1;
        if cell.written.iter().any(unknown) || (writes && cell.read.iter().any(unknown)) {
            self.state.race = Some(d);
        }
        if writes {
            (cell.written, cell.read) = (Some((me, clock[me])), Vec::new());
        } else {
            cell.read.retain(|access| access.0 != me);
            cell.read.push((me, clock[me]));
            cell.read.sort_unstable();
        }
    }
}

/// Added to what a thread keeps when its wait is over.
const OVER: i64 = 100;

fn seen_in(lock: &Lock) -> i64 {
    lock.data * 2 + i64::from(lock.poisoned)
}

/// Adds the states after each way in which a thread may step. Whether it waits with a limit and will
/// go on by itself, though not now: never, as limits may be up at any moment.
#[allow(clippy::too_many_lines, reason = "one arm for each statement")]
fn step(program: &Program, state: &State, me: usize, next: &mut Vec<State>) -> bool {
    let thread = &state.threads[me];
    if thread.end != End::Waits {
        next.extend(behind_its_end(program, Way { state: state.clone(), me }));
        return false;
    }
    let mut way = Way { state: state.clone(), me };
    let Some(op) = program.threads[me].get(thread.at).copied() else {
        next.push(cleanup(program, way));
        return false;
    };
    match op {
        Op::Load(x) => {
            let value = way.load(x);
            next.push(way.done(value));
        }
        Op::Await(x, wanted) => {
            if state.variables[x].0 == wanted {
                way.load(x);
                next.push(way.done(0));
            }
        }
        Op::AwaitNoticing(x, wanted, other) => {
            let now = state.variables[x].0;
            if thread.stage == 2 {
                let old = way.add(x, 10);
                next.push(way.done(old));
            } else if now == wanted {
                way.load(x);
                next.push(if thread.stage == 1 { way.stage(2) } else { way.done(-1) });
            } else if now == other && thread.stage == 0 {
                way.load(x);
                next.push(way.stage(1));
            }
        }
        // Of a round that fails nothing is left. Which one does not is guessed when it begins: whoever waits
        // for ever behind a wrong guess waits for ever without it.
        Op::AwaitBoth(both, wanted) => {
            let at = usize::from(thread.stage != 0);
            if state.variables[both[at]].0 == wanted[at] {
                way.load(both[at]);
                next.push(if at == 0 { way.stage(1) } else { way.done(0) });
            }
        }
        Op::AwaitUpdate(x, wanted) => {
            if state.variables[x].0 == wanted {
                way.update(x, wanted);
                next.push(way.done(0));
            }
        }
        Op::AwaitSwap(x, value) => {
            if state.variables[x].0 != value {
                let old = way.update(x, value);
                next.push(way.done(old));
            }
        }
        Op::AwaitCompareExchange(x, expected, value) => {
            if state.variables[x].0 == expected {
                way.update(x, value);
                next.push(way.done(0));
            }
        }
        Op::Store(x, value) => {
            way.store(x, value);
            next.push(way.done(0));
        }
        Op::Add(x, value) => {
            let old = way.add(x, value);
            next.push(way.done(old));
        }
        Op::Swap(x, value) => {
            let old = way.update(x, value);
            next.push(way.done(old));
        }
        Op::CompareExchange(x, expected, value) => {
            let old = state.variables[x].0;
            if old == expected {
                way.update(x, value)
            } else {
                way.load(x)
            };
            next.push(way.done(old));
        }
        Op::Read(d) => {
            way.access(d, false);
            let value = way.state.cells[d].value;
            next.push(way.done(value));
        }
        Op::Write(d, value) => {
            way.access(d, true);
            way.state.cells[d].value = value;
            next.push(way.done(0));
        }
        Op::Lock(m) | Op::LockByTrying(m) | Op::AwaitLocked(m, ..) if way.has(Held::Mutex(m)) => {
            next.push(way.done(-9));
        }
        Op::AwaitKeeping(Looks::Locked, ..) if way.has(Held::Mutex(0)) => next.push(way.done(-9)),
        // A round that changes nothing of what is kept could as well not have been.
        Op::AwaitKeeping(looks, keeps, x, wanted) => {
            let now = state.variables[x].0;
            let is_over = now == wanted;
            let kept = i64::from(thread.stage);
            let keeps = keeps.with(kept % OVER, now);
            if kept > OVER {
                let old = way.add(x, kept - OVER);
                next.push(way.done(old));
            } else if (is_over || keeps != kept) && !(looks == Looks::Locked && state.mutexes[0].owned) {
                match looks {
                    Looks::Load => _ = way.load(x),
                    Looks::Update => _ = way.update(x, now),
                    Looks::Locked => {
                        way.take_mutex(0);
                        way.load(x);
                        way.give(Held::Mutex(0));
                    }
                }
                next.push(match (is_over, kept) {
                    (true, ..10) => way.done(-1),
                    (true, _) => way.stage((OVER + kept) as u8),
                    (false, _) => way.stage(keeps as u8),
                });
            }
        }
        // Rounds that fail take the lock and give it back: only who tries to take it could tell.
        Op::AwaitLocked(m, x, wanted) => {
            if !state.mutexes[m].owned && state.variables[x].0 == wanted {
                way.take_mutex(m);
                way.load(x);
                way.give(Held::Mutex(m));
                next.push(way.done(0));
            }
        }
        Op::Lock(m) | Op::LockByTrying(m) => {
            if !state.mutexes[m].owned {
                let seen = way.take_mutex(m);
                next.push(way.done(seen));
            }
        }
        Op::TryLock(m) if state.mutexes[m].owned => next.push(way.done(-1)),
        Op::TryLock(m) => {
            let seen = way.take_mutex(m);
            next.push(way.done(seen));
        }
        Op::Unlock(m, value) => {
            if !way.has(Held::Mutex(m)) {
                next.push(way.done(-9));
            } else {
                way.state.mutexes[m].data += value;
                way.give(Held::Mutex(m));
                next.push(way.done(0));
            }
        }
        Op::Wait(c, m) | Op::WaitTimeout(c, m) => wait(way, (c, m), matches!(op, Op::WaitTimeout(..)), next),
        Op::NotifyOne(c) => {
            if state.condvars[c].is_empty() {
                next.push(way.done(0));
            } else {
                for place in 0..state.condvars[c].len() {
                    let mut way = Way { state: state.clone(), me };
                    let woken = way.state.condvars[c].remove(place);
                    way.state.threads[woken].woken = true;
                    next.push(way.done(0));
                }
            }
        }
        Op::NotifyAll(c) => {
            for woken in std::mem::take(&mut way.state.condvars[c]) {
                way.state.threads[woken].woken = true;
            }
            next.push(way.done(0));
        }
        Op::LockShared(l) | Op::LockExclusive(l) | Op::TryLockShared(l) | Op::TryLockExclusive(l) => {
            let exclusive = matches!(op, Op::LockExclusive(_) | Op::TryLockExclusive(_));
            let tries = matches!(op, Op::TryLockShared(_) | Op::TryLockExclusive(_));
            let lock = &state.rwlocks[l];
            let free = !lock.owned && (!exclusive || lock.readers == 0);
            if way.has(Held::Shared(l)) || way.has(Held::Exclusive(l)) {
                next.push(way.done(-9));
            } else if free {
                let seen = way.take_rw(l, exclusive);
                next.push(way.done(seen));
            } else if tries {
                next.push(way.done(-1));
            }
        }
        Op::UnlockRw(l, value) => {
            if way.has(Held::Exclusive(l)) {
                way.state.rwlocks[l].data += value;
                way.give(Held::Exclusive(l));
                next.push(way.done(0));
            } else if way.has(Held::Shared(l)) {
                way.give(Held::Shared(l));
                next.push(way.done(0));
            } else {
                next.push(way.done(-9));
            }
        }
        Op::Send(c, value) => send(program, way, c, value, next),
        Op::TrySend(c, value) => {
            let channel = &state.channels[c];
            let full = matches!(program.channels[c], Capacity::Bounded(n) if channel.queue.len() >= n);
            if !way.me().senders[c] {
                next.push(way.done(-9));
            } else if !channel.receiver {
                next.push(way.done(-1));
            } else if full {
                next.push(way.done(-2));
            } else {
                push(&mut way, c, value);
                next.push(way.done(0));
            }
        }
        Op::Receive(c) | Op::TryReceive(c) | Op::ReceiveTimeout(c) => {
            if !way.me().receivers[c] {
                next.push(way.done(-9));
            } else if let Some(value) = way.receive(c) {
                next.push(way.done(value));
            } else if state.channels[c].senders == 0 {
                let clock = way.state.channels[c].left.clone();
                way.learn(&clock);
                next.push(way.done(-1));
            } else if matches!(op, Op::TryReceive(_)) {
                next.push(way.done(-2));
            } else if matches!(op, Op::ReceiveTimeout(_)) {
                next.push(way.done(-3));
            }
        }
        Op::DropSender(c) => {
            let had = way.me().senders[c];
            if had {
                way.drop_sender(c);
            }
            next.push(way.done(if had { 0 } else { -9 }));
        }
        Op::DropReceiver(c) => {
            let had = way.me().receivers[c];
            if had {
                way.drop_receiver(c);
            }
            next.push(way.done(if had { 0 } else { -9 }));
        }
        Op::Park | Op::ParkTimeout => {
            if thread.token {
                let clock = thread.token_clock.clone();
                way.learn(&clock);
                way.me().token = false;
                next.push(way.done(0));
            } else if matches!(op, Op::ParkTimeout) {
                next.push(way.done(0));
            }
        }
        Op::Unpark(other) => {
            let clock = way.publish();
            let target = &mut way.state.threads[other];
            target.token = true;
            join(&mut target.token_clock, &clock);
            next.push(way.done(0));
        }
        Op::CallOnce(o, ..) | Op::PanicOnce(o) => {
            let once = &state.onces[o];
            match (thread.stage, once.progress) {
                (0, Progress::Done) => {
                    let clock = once.clock.clone();
                    way.learn(&clock);
                    next.push(way.done(0));
                }
                (0, Progress::Poisoned) => next.push(way.panic()),
                (0, Progress::Running) => {}
                (0, Progress::New) => {
                    way.state.onces[o].progress = Progress::Running;
                    next.push(way.stage(1));
                }
                (1, _) => {
                    if let Op::CallOnce(_, x, value) = op {
                        way.add(x, value);
                        next.push(way.stage(2));
                    } else {
                        let clock = way.publish();
                        way.state.onces[o] = Once { progress: Progress::Poisoned, value: -1, clock };
                        next.push(way.panic());
                    }
                }
                _ => {
                    let clock = way.publish();
                    way.state.onces[o] = Once { progress: Progress::Done, value: -1, clock };
                    next.push(way.done(1));
                }
            }
        }
        Op::IsCompleted(o) => {
            let once = state.onces[o].clone();
            if once.progress == Progress::Done {
                way.learn(&once.clock);
            }
            next.push(way.done(i64::from(once.progress == Progress::Done)));
        }
        Op::GetOrInit(k, ..) | Op::Set(k, _) => {
            let once = state.once_locks[k].clone();
            match (thread.stage, once.progress) {
                (0, Progress::Done) => {
                    way.learn(&once.clock);
                    next.push(way.done(if matches!(op, Op::Set(..)) { 0 } else { once.value }));
                }
                (0, Progress::Running) => {}
                (0, _) => {
                    way.state.once_locks[k].progress = Progress::Running;
                    next.push(way.stage(if matches!(op, Op::Set(..)) { 2 } else { 1 }));
                }
                (1, _) => {
                    let Op::GetOrInit(_, x, _) = op else { unreachable!("`set` runs no code") };
                    way.add(x, 1);
                    next.push(way.stage(2));
                }
                _ => {
                    let (value, seen) = match op {
                        Op::GetOrInit(_, _, value) => (value, value),
                        Op::Set(_, value) => (value, 1),
                        _ => unreachable!("see above"),
                    };
                    let clock = way.publish();
                    way.state.once_locks[k] = Once { progress: Progress::Done, value, clock };
                    next.push(way.done(seen));
                }
            }
        }
        Op::Get(k) => {
            let once = state.once_locks[k].clone();
            if once.progress == Progress::Done {
                way.learn(&once.clock);
                next.push(way.done(once.value));
            } else {
                next.push(way.done(-1));
            }
        }
        Op::DropArc(a) | Op::IntoInner(a) | Op::TryUnwrap(a) => {
            if thread.stage == 1 {
                way.add(program.arcs[a], 100);
                next.push(way.done(i64::from(!matches!(op, Op::DropArc(_)))));
            } else if !thread.strong[a] {
                next.push(way.done(-9));
            } else if matches!(op, Op::TryUnwrap(_)) && state.arcs[a].0 != 1 {
                next.push(way.done(0));
            } else if way.let_go(a) {
                next.push(way.stage(1));
            } else {
                next.push(way.done(0));
            }
        }
        Op::StrongCount(a) => {
            let seen = if thread.strong[a] { state.arcs[a].0 as i64 } else { -9 };
            next.push(way.done(seen));
        }
        Op::Upgrade(a) => match thread.stage {
            0 if state.arcs[a].0 == 0 => next.push(way.done(0)),
            0 => {
                way.state.arcs[a].0 += 1;
                next.push(way.stage(1));
            }
            1 => {
                let last = way.unhold(a);
                next.push(if last { way.stage(2) } else { way.done(1) });
            }
            _ => {
                way.add(program.arcs[a], 100);
                next.push(way.done(1));
            }
        },
        Op::Barrier(b) => {
            if thread.stage == 0 {
                let clock = way.publish();
                let (arrived, generation, known) = &mut way.state.barriers[b];
                join(known, &clock);
                *arrived += 1;
                if *arrived >= program.barriers[b].max(1) {
                    *arrived = 0;
                    *generation += 1;
                    let known = known.clone();
                    way.learn(&known);
                    next.push(way.done(1));
                } else {
                    let stage = 1 + *generation as u8;
                    next.push(way.stage(stage));
                }
            } else if state.barriers[b].1 + 1 > usize::from(thread.stage) {
                let clock = state.barriers[b].2.clone();
                way.learn(&clock);
                next.push(way.done(0));
            }
        }
        Op::PutBox(p, _) | Op::TakeBox(p) => {
            let new = if let Op::PutBox(_, value) = op { Some(value) } else { None };
            let (old, known) = state.boxes[p].clone();
            way.learn(&known);
            let mut clock = way.publish();
            join(&mut clock, &known);
            way.state.boxes[p] = (new, clock);
            next.push(way.done(old.unwrap_or(-1)));
        }
        Op::Yield => next.push(way.done(0)),
        Op::IsFinished(other) => next.push(way.done(i64::from(state.threads[other].finished))),
        Op::AwaitFinished(other) => {
            if state.threads[other].finished {
                next.push(way.done(0));
            }
        }
        Op::KeepLocal(x) => {
            way.me().locals.push(x);
            next.push(way.done(0));
        }
        Op::Panic => next.push(way.panic()),
        Op::Unless(value, count) => {
            let skips = thread.log.last() != Some(&value);
            let target = if skips { thread.at + 1 + count } else { thread.at + 1 };
            way.me().at = target;
            next.push(way.state);
        }
    }
    false
}

fn wait(mut way: Way, (c, m): (usize, usize), limited: bool, next: &mut Vec<State>) {
    let me = way.me;
    let stage = way.me().stage;
    match stage {
        0 if !way.has(Held::Mutex(m)) => next.push(way.done(-9)),
        0 => {
            way.give(Held::Mutex(m));
            way.state.condvars[c].push(me);
            way.state.condvars[c].sort_unstable();
            next.push(way.stage(1));
        }
        1 => {
            if way.me().woken {
                way.me().woken = false;
                next.push(way.stage(2));
            } else if limited {
                way.state.condvars[c].retain(|other| *other != me);
                next.push(way.stage(3));
            }
        }
        _ => {
            if !way.state.mutexes[m].owned {
                let seen = way.take_mutex(m);
                next.push(way.done(seen * 2 + i64::from(stage == 3)));
            }
        }
    }
}

fn push(way: &mut Way, c: usize, value: i64) {
    let mut room = way.state.channels[c].room.clone();
    way.learn(&std::mem::take(&mut room));
    let clock = way.publish();
    way.state.channels[c].queue.push((value, clock));
}

fn send(program: &Program, mut way: Way, c: usize, value: i64, next: &mut Vec<State>) {
    let me = way.me;
    if way.me().stage == 1 {
        if let Some(taken) = way.me().taken.take() {
            let room = way.state.channels[c].room.clone();
            way.learn(&room);
            next.push(way.done(if taken { 0 } else { -1 }));
        }
        return;
    }
    if !way.me().senders[c] {
        return next.push(way.done(-9));
    }
    let channel = &mut way.state.channels[c];
    if !channel.receiver {
        return next.push(way.done(-1));
    }
    match program.channels[c] {
        Capacity::Bounded(0) => {
            channel.offers.push((me, value));
            way.publish();
            next.push(way.stage(1));
        }
        Capacity::Bounded(n) if channel.queue.len() >= n => {}
        _ => {
            push(&mut way, c, value);
            next.push(way.done(0));
        }
    }
}

/// What a thread does at its end: gives back locks, the last first, then drops senders, receivers and
/// references, each in a step.
fn cleanup(program: &Program, mut way: Way) -> State {
    if way.me().stage > 0 {
        // It dropped a last reference.
        let arc = usize::from(way.me().stage) - 1;
        way.add(program.arcs[arc], 100);
        return way.stage(0);
    }
    if let Some(held) = way.me().held.last().copied() {
        way.give(held);
    } else if let Some(c) = way.me().senders.iter().position(|has| *has) {
        way.drop_sender(c);
    } else if let Some(c) = way.me().receivers.iter().position(|has| *has) {
        way.drop_receiver(c);
    } else if let Some(a) = way.me().strong.iter().position(|has| *has) {
        if way.let_go(a) {
            return way.stage(1 + a as u8);
        }
    } else {
        way.me().end = if way.me().panics { End::Panicked } else { End::Done };
    }
    way.state
}

/// What a thread does when its body has ended: it is finished, then its local values are destroyed.
fn behind_its_end(program: &Program, mut way: Way) -> Option<State> {
    let asked = program.asks();
    let thread = way.me();
    if asked && !thread.finished {
        thread.finished = true;
    } else {
        let x = (!thread.locals.is_empty()).then(|| thread.locals.remove(0))?;
        way.add(x, 100);
    }
    Some(way.state)
}
