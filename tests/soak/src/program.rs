//! The language: programs over every primitive, small enough for all their interleavings.
//!
//! Each statement that is executed adds one number to its thread's log: what it observed.

use std::fmt;

/// One statement. The numbers name objects of the program.
#[allow(missing_docs, reason = "each is what its name, or the call in its text, says")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Load(usize),
    Store(usize, i64),
    Add(usize, i64),
    Swap(usize, i64),
    /// Expected and new value; the log has the old value.
    CompareExchange(usize, i64, i64),
    /// A non-atomic read or write, checked for races.
    Read(usize),
    Write(usize, i64),
    /// Takes a mutex unless the thread has it; the log has its data and whether it is poisoned.
    Lock(usize),
    TryLock(usize),
    /// Adds to the data and gives the mutex back, if the thread has it.
    Unlock(usize, i64),
    /// Waits on a condvar with a mutex, if the thread has it.
    Wait(usize, usize),
    WaitTimeout(usize, usize),
    NotifyOne(usize),
    NotifyAll(usize),
    /// Takes a read-write lock unless the thread has it in some way.
    LockShared(usize),
    LockExclusive(usize),
    TryLockShared(usize),
    TryLockExclusive(usize),
    /// Gives a read-write lock back; adds to the data where the thread may.
    UnlockRw(usize, i64),
    Send(usize, i64),
    TrySend(usize, i64),
    Receive(usize),
    TryReceive(usize),
    ReceiveTimeout(usize),
    DropSender(usize),
    DropReceiver(usize),
    Park,
    ParkTimeout,
    /// Of an earlier thread.
    Unpark(usize),
    /// Runs `Add` on a variable in a `Once`; the log says whether.
    CallOnce(usize, usize, i64),
    /// Panics in a `Once`.
    PanicOnce(usize),
    IsCompleted(usize),
    /// The value, and an `Add` on a variable by who makes it.
    GetOrInit(usize, usize, i64),
    Set(usize, i64),
    Get(usize),
    /// Drops the thread's reference; the last one's drop adds to a variable.
    DropArc(usize),
    StrongCount(usize),
    TryUnwrap(usize),
    IntoInner(usize),
    /// Upgrades the thread's weak reference, and drops what it got.
    Upgrade(usize),
    Barrier(usize),
    /// Puts a box with a value into a pointer, frees what was there, and logs its value.
    PutBox(usize, i64),
    TakeBox(usize),
    /// Loads a variable until it is this.
    Await(usize, i64),
    /// The same by a read-modify-write that changes nothing.
    AwaitUpdate(usize, i64),
    /// Swaps a value in until it finds another one.
    AwaitSwap(usize, i64),
    /// Replaces the one value by the other, once it is there.
    AwaitCompareExchange(usize, i64, i64),
    /// Loads a variable until it is the first of these; adds ten to it if it was the second one before.
    AwaitNoticing(usize, i64, i64),
    /// Loads two variables, one after the other, until they are these.
    AwaitBoth([usize; 2], [i64; 2]),
    /// Tries to lock a mutex until it has it.
    LockByTrying(usize),
    /// Looks at a variable under a mutex until it is this.
    AwaitLocked(usize, usize, i64),
    /// Looks at a variable, in some way, until it is this; adds to it what it kept of the rounds before.
    AwaitKeeping(Looks, Keeps, usize, i64),
    Yield,
    /// Whether a thread has ended.
    IsFinished(usize),
    /// Asks that until it has.
    AwaitFinished(usize),
    /// Adds 100 to a variable when the thread's local values are destroyed.
    KeepLocal(usize),
    Panic,
    /// Skips the next statements unless the thread's last observation was this.
    Unless(i64, usize),
}

/// How a variable is looked at in a round of a loop.
#[allow(missing_docs, reason = "each is what its name, or the call in its text, says")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Looks {
    Load,
    /// By a read-modify-write that changes nothing.
    Update,
    /// With the first mutex.
    Locked,
}

/// What a thread keeps of the rounds in which a variable was not what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keeps {
    /// What it saw in the first one.
    First,
    /// What it saw in the last one.
    Last,
    /// The largest of what it saw.
    Most,
    /// That there were two.
    Twice,
    /// That two of them saw something else.
    Change,
}

impl Keeps {
    /// What is kept behind a round that saw this: 0 where there was none yet, less than 10 while it makes no
    /// difference, and 10, 20 or 30.
    pub fn with(self, kept: i64, seen: i64) -> i64 {
        let now = 1 + seen % 3;
        match self {
            Self::First if kept != 0 => kept,
            Self::Most => kept.max(10 * now),
            Self::First | Self::Last => 10 * now,
            Self::Twice => {
                if kept == 0 {
                    1
                } else {
                    10
                }
            }
            Self::Change => {
                if kept == 0 || kept == now {
                    now
                } else {
                    10
                }
            }
        }
    }
}

/// How a channel is made.
#[allow(missing_docs, reason = "each is what its name, or the call in its text, says")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capacity {
    Unbounded,
    Bounded(usize),
}

/// Threads that the main thread spawns and joins, and what they share.
#[allow(missing_docs, reason = "each is what its name, or the call in its text, says")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub threads: Vec<Vec<Op>>,
    pub variables: usize,
    pub cells: usize,
    pub mutexes: usize,
    pub condvars: usize,
    pub rwlocks: usize,
    pub channels: Vec<Capacity>,
    pub onces: usize,
    pub once_locks: usize,
    /// For each counted value the variable that its destructor adds 100 to.
    pub arcs: Vec<usize>,
    /// For each barrier its number of threads.
    pub barriers: Vec<usize>,
    pub boxes: usize,
    /// Whether the threads are scoped.
    pub scoped: bool,
}

impl Program {
    /// Whether a thread owns a sender of a channel.
    pub fn sends(&self, thread: usize, channel: usize) -> bool {
        let uses =
            |op: &Op| matches!(op, Op::Send(c, _) | Op::TrySend(c, _) | Op::DropSender(c) if *c == channel);
        self.threads[thread].iter().any(uses)
    }

    /// Whether a thread owns the receiver of a channel: the first one that uses it.
    pub fn receives(&self, thread: usize, channel: usize) -> bool {
        let uses = |op: &Op| matches!(op, Op::Receive(c) | Op::TryReceive(c) | Op::ReceiveTimeout(c) | Op::DropReceiver(c) if *c == channel);
        self.threads.iter().position(|ops| ops.iter().any(uses)) == Some(thread)
    }

    /// Whether a thread owns a strong reference.
    pub fn owns(&self, thread: usize, arc: usize) -> bool {
        let uses = |op: &Op| matches!(op, Op::DropArc(a) | Op::StrongCount(a) | Op::TryUnwrap(a) | Op::IntoInner(a) if *a == arc);
        self.threads[thread].iter().any(uses)
    }

    /// Whether a thread owns a weak reference.
    pub fn watches(&self, thread: usize, arc: usize) -> bool {
        self.threads[thread].iter().any(|op| matches!(op, Op::Upgrade(a) if *a == arc))
    }

    /// Whether some statement may look at what another thread did without being ordered behind it: a
    /// `try_lock` that fails, a notification, a count. What follows may then read values that are older.
    pub fn looks(&self) -> bool {
        let looks = |op: &Op| {
            matches!(
                op,
                Op::TryLock(_)
                    | Op::Wait(..)
                    | Op::IsCompleted(_)
                    | Op::IsFinished(_)
                    | Op::AwaitFinished(_)
                    | Op::Get(_)
                    | Op::TryLockShared(_)
                    | Op::TryLockExclusive(_)
                    | Op::TrySend(..)
                    | Op::TryReceive(_)
                    | Op::ReceiveTimeout(_)
                    | Op::WaitTimeout(..)
                    | Op::StrongCount(_)
                    | Op::TryUnwrap(_)
                    | Op::IntoInner(_)
                    | Op::Upgrade(_)
                    | Op::DropArc(_)
            )
        };
        self.threads.iter().flatten().any(looks)
    }

    /// Whether somebody waits by trying again.
    pub fn spins(&self) -> bool {
        let spins = |op: &Op| {
            matches!(
                op,
                Op::Await(..)
                    | Op::AwaitUpdate(..)
                    | Op::AwaitSwap(..)
                    | Op::AwaitCompareExchange(..)
                    | Op::AwaitNoticing(..)
                    | Op::AwaitKeeping(..)
                    | Op::AwaitBoth(..)
                    | Op::AwaitLocked(..)
                    | Op::AwaitFinished(_)
                    | Op::LockByTrying(_)
            )
        };
        self.threads.iter().flatten().any(spins)
    }

    /// Whether some thread tries the same again as often as makes it one that waits. All statements of a kind are
    /// executed at one place.
    pub fn repeats(&self) -> bool {
        let most = |op: &Op| match op {
            Op::IsFinished(_) | Op::Yield | Op::ParkTimeout | Op::WaitTimeout(..) | Op::ReceiveTimeout(_) => {
                1
            }
            Op::Load(_) => 3,
            _ => usize::MAX,
        };
        let alike = |one: &Op, other: &Op| std::mem::discriminant(one) == std::mem::discriminant(other);
        self.threads
            .iter()
            .any(|ops| ops.iter().any(|op| ops.iter().filter(|other| alike(op, other)).count() > most(op)))
    }

    /// Whether somebody asks whether a thread has ended.
    pub fn asks(&self) -> bool {
        self.threads.iter().flatten().any(|op| matches!(op, Op::IsFinished(_) | Op::AwaitFinished(_)))
    }

    /// The number of statements.
    pub fn size(&self) -> usize {
        self.threads.iter().map(Vec::len).sum()
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Load(x) => write!(f, "x{x}.load(SeqCst)"),
            Self::Store(x, v) => write!(f, "x{x}.store({v}, SeqCst)"),
            Self::Add(x, v) => write!(f, "x{x}.fetch_add({v}, SeqCst)"),
            Self::Swap(x, v) => write!(f, "x{x}.swap({v}, SeqCst)"),
            Self::CompareExchange(x, a, b) => write!(f, "x{x}.compare_exchange({a}, {b}, SeqCst, SeqCst)"),
            Self::Read(d) => write!(f, "d{d}.read()"),
            Self::Write(d, v) => write!(f, "d{d}.write({v})"),
            Self::Lock(m) => write!(f, "let g{m} = m{m}.lock()"),
            Self::TryLock(m) => write!(f, "let g{m} = m{m}.try_lock()"),
            Self::Unlock(m, v) => write!(f, "*g{m} += {v}; drop(g{m})"),
            Self::Wait(c, m) => write!(f, "g{m} = c{c}.wait(g{m})"),
            Self::WaitTimeout(c, m) => write!(f, "g{m} = c{c}.wait_timeout(g{m}, ..)"),
            Self::NotifyOne(c) => write!(f, "c{c}.notify_one()"),
            Self::NotifyAll(c) => write!(f, "c{c}.notify_all()"),
            Self::LockShared(l) => write!(f, "let r{l} = l{l}.read()"),
            Self::LockExclusive(l) => write!(f, "let r{l} = l{l}.write()"),
            Self::TryLockShared(l) => write!(f, "let r{l} = l{l}.try_read()"),
            Self::TryLockExclusive(l) => write!(f, "let r{l} = l{l}.try_write()"),
            Self::UnlockRw(l, v) => write!(f, "*r{l} += {v} /* if it may */; drop(r{l})"),
            Self::Send(c, v) => write!(f, "s{c}.send({v})"),
            Self::TrySend(c, v) => write!(f, "s{c}.try_send({v})"),
            Self::Receive(c) => write!(f, "q{c}.recv()"),
            Self::TryReceive(c) => write!(f, "q{c}.try_recv()"),
            Self::ReceiveTimeout(c) => write!(f, "q{c}.recv_timeout(..)"),
            Self::DropSender(c) => write!(f, "drop(s{c})"),
            Self::DropReceiver(c) => write!(f, "drop(q{c})"),
            Self::Park => write!(f, "park()"),
            Self::ParkTimeout => write!(f, "park_timeout(..)"),
            Self::Unpark(t) => write!(f, "t{t}.unpark()"),
            Self::CallOnce(o, x, v) => write!(f, "o{o}.call_once(|| x{x}.fetch_add({v}, SeqCst))"),
            Self::PanicOnce(o) => write!(f, "o{o}.call_once(|| panic!())"),
            Self::IsCompleted(o) => write!(f, "o{o}.is_completed()"),
            Self::GetOrInit(k, x, v) => {
                write!(f, "k{k}.get_or_init(|| {{ x{x}.fetch_add(1, SeqCst); {v} }})")
            }
            Self::Set(k, v) => write!(f, "k{k}.set({v})"),
            Self::Get(k) => write!(f, "k{k}.get()"),
            Self::DropArc(a) => write!(f, "drop(a{a})"),
            Self::StrongCount(a) => write!(f, "Arc::strong_count(&a{a})"),
            Self::TryUnwrap(a) => write!(f, "Arc::try_unwrap(a{a})"),
            Self::IntoInner(a) => write!(f, "Arc::into_inner(a{a})"),
            Self::Upgrade(a) => write!(f, "w{a}.upgrade()"),
            Self::Barrier(b) => write!(f, "b{b}.wait()"),
            Self::PutBox(p, v) => write!(f, "drop(p{p}.swap(Box::new({v}), SeqCst))"),
            Self::TakeBox(p) => write!(f, "drop(p{p}.swap(null, SeqCst))"),
            Self::Await(x, v) => write!(f, "while x{x}.load(SeqCst) != {v} {{ spin_loop() }}"),
            Self::AwaitUpdate(x, v) => write!(f, "while x{x}.fetch_or(0, SeqCst) != {v} {{ spin_loop() }}"),
            Self::AwaitSwap(x, v) => write!(f, "while x{x}.swap({v}, SeqCst) == {v} {{ spin_loop() }}"),
            Self::AwaitCompareExchange(x, a, b) => {
                write!(f, "while x{x}.compare_exchange({a}, {b}, SeqCst, SeqCst).is_err() {{ spin_loop() }}")
            }
            Self::AwaitNoticing(x, v, w) => write!(
                f,
                "loop {{ match x{x}.load(SeqCst) {{ {v} => break, {w} => noticed = true, _ => spin_loop() }} }} \
                 if noticed {{ x{x}.fetch_add(10, SeqCst) }}"
            ),
            Self::AwaitKeeping(looks, keeps, x, v) => {
                let seen = match looks {
                    Looks::Load => format!("x{x}.load(SeqCst)"),
                    Looks::Update => format!("x{x}.fetch_or(0, SeqCst)"),
                    Looks::Locked => format!("{{ let _g = m0.lock(); x{x}.load(SeqCst) }}"),
                };
                let kept = match keeps {
                    Keeps::First => "if kept == 0 { 10 * now } else { kept }",
                    Keeps::Last => "10 * now",
                    Keeps::Most => "kept.max(10 * now)",
                    Keeps::Twice => "if kept == 0 { 1 } else { 10 }",
                    Keeps::Change => "if kept == 0 || kept == now { now } else { 10 }",
                };
                write!(
                    f,
                    "loop {{ let seen = {seen}; if seen == {v} {{ break }} let now = 1 + seen % 3; \
                     kept = {kept}; spin_loop() }} if kept >= 10 {{ x{x}.fetch_add(kept, SeqCst) }}"
                )
            }
            Self::AwaitBoth([x, y], values) => {
                write!(f, "while [x{x}.load(SeqCst), x{y}.load(SeqCst)] != {values:?} {{ spin_loop() }}")
            }
            Self::LockByTrying(m) => {
                write!(f, "let g{m} = loop {{ if let Ok(g) = m{m}.try_lock() {{ break g }} yield_now() }}")
            }
            Self::AwaitLocked(m, x, v) => {
                write!(f, "while {{ let _g = m{m}.lock(); x{x}.load(SeqCst) != {v} }} {{ spin_loop() }}")
            }
            Self::Yield => write!(f, "yield_now()"),
            Self::IsFinished(t) => write!(f, "t{t}.is_finished()"),
            Self::AwaitFinished(t) => write!(f, "while !t{t}.is_finished() {{}}"),
            Self::KeepLocal(x) => write!(f, "LOCAL.push(AddsOnDrop(&x{x}, 100))"),
            Self::Panic => write!(f, "panic!()"),
            Self::Unless(v, n) => write!(f, "if seen == {v} {{ /* the next {n} */ }}"),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (channel, capacity) in self.channels.iter().enumerate() {
            match capacity {
                Capacity::Unbounded => writeln!(f, "let (s{channel}, q{channel}) = channel();")?,
                Capacity::Bounded(n) => writeln!(f, "let (s{channel}, q{channel}) = sync_channel({n});")?,
            }
        }
        for (arc, variable) in self.arcs.iter().enumerate() {
            writeln!(f, "let a{arc} = Arc::new(AddsOnDrop(&x{variable}, 100));")?;
        }
        for (barrier, count) in self.barriers.iter().enumerate() {
            writeln!(f, "let b{barrier} = Barrier::new({count});")?;
        }
        let spawn = if self.scoped { "scope.spawn" } else { "spawn" };
        for (thread, ops) in self.threads.iter().enumerate() {
            writeln!(f, "let t{thread} = {spawn}(|| {{")?;
            for op in ops {
                writeln!(f, "    {op};")?;
            }
            writeln!(f, "}});")?;
        }
        Ok(())
    }
}
