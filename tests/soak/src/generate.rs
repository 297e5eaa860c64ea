//! Programs from seeds.

use crate::program::{Capacity, Keeps, Looks, Op, Program};

/// A small generator (SplitMix64), so that a seed is the same program for ever.
pub struct Random(u64);

impl Random {
    /// One that starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of the numbers below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What a program may be about.
#[allow(missing_docs, reason = "each is a primitive")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Atomics,
    Cells,
    Mutexes,
    Condvars,
    RwLocks,
    Channels,
    Parking,
    Onces,
    OnceLocks,
    Arcs,
    Barriers,
    Boxes,
    Waiting,
    Panics,
    Spinning,
    Remembering,
    Keeping,
    Ends,
}

impl Theme {
    /// Those of which programs consist that wait by trying again. Nobody only tries to take a lock: that would
    /// see rounds which the enumerator does not go through.
    pub const OF_WAITS: [Self; 6] =
        [Self::Spinning, Self::Spinning, Self::Waiting, Self::Atomics, Self::Cells, Self::Parking];
    /// Those of which programs consist whose threads remember rounds, or wait for what is never there at once.
    pub const OF_MEMORY: [Self; 4] = [Self::Remembering, Self::Remembering, Self::Remembering, Self::Waiting];
    /// Those of which programs consist whose threads keep something of each round.
    pub const OF_KEEPING: [Self; 4] = [Self::Keeping, Self::Keeping, Self::Remembering, Self::Waiting];
    /// Those of which programs consist that look for the ends of threads.
    pub const OF_ENDS: [Self; 5] = [Self::Ends, Self::Ends, Self::Ends, Self::Atomics, Self::Panics];
    /// All of them, but for what those do.
    pub const ALL: [Self; 14] = [
        Self::Atomics,
        Self::Cells,
        Self::Mutexes,
        Self::Condvars,
        Self::RwLocks,
        Self::Channels,
        Self::Parking,
        Self::Onces,
        Self::OnceLocks,
        Self::Arcs,
        Self::Barriers,
        Self::Boxes,
        Self::Waiting,
        Self::Panics,
    ];
}

/// The program of a seed, about one to three of the themes.
pub fn generate(seed: u64, themes: &[Theme]) -> Program {
    let mut random = Random::new(seed);
    let mut chosen: Vec<Theme> = Vec::new();
    for _ in 0..1 + random.below(3) {
        let theme = themes[random.below(themes.len())];
        if !chosen.contains(&theme) {
            chosen.push(theme);
        }
    }
    let count = match random.below(8) {
        0..=3 => 2,
        4..=6 => 3,
        _ => 4,
    };
    let size = if count == 2 { 5 + random.below(5) } else { 4 + count + random.below(3) };
    let mut program = Program {
        threads: vec![Vec::new(); count],
        variables: 2,
        cells: usize::from(chosen.contains(&Theme::Cells)),
        mutexes: 2,
        condvars: 1,
        rwlocks: 1,
        channels: vec![match random.below(5) {
            0 | 1 => Capacity::Unbounded,
            2 => Capacity::Bounded(0),
            3 => Capacity::Bounded(1),
            _ => Capacity::Bounded(2),
        }],
        onces: 1,
        once_locks: 1,
        arcs: vec![0],
        barriers: vec![2 + random.below(count - 1)],
        boxes: 1,
        scoped: random.one_in(4),
    };
    let mut left = size;
    while left > 0 {
        let thread = random.below(count);
        let theme = chosen[random.below(chosen.len())];
        let ops = statements(&mut random, theme, &program, thread);
        left = left.saturating_sub(ops.len());
        program.threads[thread].extend(ops);
        if random.one_in(12) && left > 0 {
            let seen = [0, 1, -1, -2, 2][random.below(5)];
            let skipped = 1 + random.below(2);
            program.threads[thread].push(Op::Unless(seen, skipped));
        }
    }
    program
}

/// A statement, or a few that go together.
fn statements(random: &mut Random, theme: Theme, program: &Program, thread: usize) -> Vec<Op> {
    let x = random.below(2);
    let v = 1 + random.below(2) as i64;
    let bounded0 = program.channels[0] == Capacity::Bounded(0);
    match theme {
        Theme::Atomics => vec![match random.below(6) {
            0 | 1 => Op::Load(x),
            2 => Op::Store(x, v),
            3 => Op::Add(x, v),
            4 => Op::Swap(x, v),
            _ => Op::CompareExchange(x, random.below(2) as i64, v),
        }],
        Theme::Cells => match random.below(5) {
            0 => vec![Op::Read(0)],
            1 => vec![Op::Write(0, v)],
            2 => vec![Op::Write(0, v), Op::Store(0, 1)],
            3 => vec![Op::Load(0), Op::Unless(1, 1), Op::Read(0)],
            _ => vec![Op::Lock(0), if x == 0 { Op::Read(0) } else { Op::Write(0, v) }, Op::Unlock(0, 0)],
        },
        Theme::Mutexes => match random.below(7) {
            0 | 1 => vec![Op::Lock(x), Op::Unlock(x, v)],
            2 => vec![Op::TryLock(x), Op::Unlock(x, v)],
            3 => vec![Op::Lock(x), Op::Lock(1 - x), Op::Unlock(1 - x, v)],
            4 => vec![Op::Lock(x)],
            5 => vec![Op::Unlock(x, v)],
            _ => vec![Op::TryLock(x)],
        },
        Theme::Condvars => match random.below(9) {
            0 | 1 => vec![Op::Lock(0), Op::Wait(0, 0), Op::Unlock(0, v)],
            2 => vec![Op::Lock(0), Op::WaitTimeout(0, 0), Op::Unlock(0, v)],
            3 => vec![Op::Lock(0), Op::Unlock(0, v), Op::NotifyOne(0)],
            4 => vec![Op::Lock(0), Op::NotifyAll(0), Op::Unlock(0, v)],
            5 => vec![Op::NotifyOne(0)],
            6 => vec![Op::NotifyAll(0)],
            7 => vec![Op::Lock(0), Op::Unless(0, 1), Op::Wait(0, 0), Op::Unlock(0, v)],
            _ => vec![Op::Lock(0), Op::Unlock(0, v)],
        },
        Theme::RwLocks => match random.below(7) {
            0 => vec![Op::LockShared(0), Op::UnlockRw(0, v)],
            1 => vec![Op::LockExclusive(0), Op::UnlockRw(0, v)],
            2 => vec![Op::TryLockShared(0), Op::UnlockRw(0, v)],
            3 => vec![Op::TryLockExclusive(0), Op::UnlockRw(0, v)],
            4 => vec![Op::LockShared(0)],
            5 => vec![Op::LockExclusive(0)],
            _ => vec![Op::UnlockRw(0, v)],
        },
        Theme::Channels => vec![match random.below(10) {
            0 | 1 => Op::Send(0, 10 * (thread as i64 + 1) + v),
            2 if !bounded0 => Op::TrySend(0, 10 * (thread as i64 + 1) + v),
            2 | 3 => Op::Send(0, 10 * (thread as i64 + 1) + v),
            4 | 5 => Op::Receive(0),
            6 if !bounded0 => Op::TryReceive(0),
            7 if !bounded0 => Op::ReceiveTimeout(0),
            8 if random.one_in(2) => Op::DropReceiver(0),
            _ => Op::DropSender(0),
        }],
        Theme::Parking => vec![match random.below(5) {
            0 | 1 if thread > 0 => Op::Unpark(random.below(thread)),
            2 => Op::ParkTimeout,
            3 => Op::Add(x, v),
            _ => Op::Park,
        }],
        Theme::Onces => vec![match random.below(5) {
            0..=2 => Op::CallOnce(0, x, v),
            3 if random.one_in(2) => Op::PanicOnce(0),
            _ => Op::IsCompleted(0),
        }],
        Theme::OnceLocks => vec![match random.below(4) {
            0 | 1 => Op::GetOrInit(0, x, 10 * (thread as i64 + 1) + v),
            2 => Op::Set(0, 10 * (thread as i64 + 1) + v),
            _ => Op::Get(0),
        }],
        Theme::Arcs => vec![match random.below(7) {
            0 | 1 => Op::DropArc(0),
            2 => Op::StrongCount(0),
            3 => Op::TryUnwrap(0),
            4 => Op::IntoInner(0),
            5 => Op::Upgrade(0),
            _ => Op::Load(0),
        }],
        Theme::Barriers => vec![if random.one_in(3) { Op::Add(x, v) } else { Op::Barrier(0) }],
        Theme::Boxes => {
            vec![if random.one_in(2) { Op::PutBox(0, 10 * (thread as i64 + 1) + v) } else { Op::TakeBox(0) }]
        }
        Theme::Waiting => vec![match random.below(4) {
            0 => Op::Await(x, v),
            1 => Op::Yield,
            2 => Op::Store(x, v),
            _ => Op::Add(x, v),
        }],
        Theme::Spinning => match random.below(12) {
            0 => vec![Op::AwaitUpdate(x, v)],
            1 | 2 => vec![Op::AwaitSwap(x, 1), Op::Store(x, 0)],
            3 => vec![Op::AwaitSwap(x, v)],
            4 | 5 => vec![Op::AwaitCompareExchange(x, 0, v), Op::Store(x, 0)],
            6 => vec![Op::AwaitCompareExchange(x, v - 1, v)],
            7 => vec![Op::LockByTrying(0), Op::Unlock(0, v)],
            8 => vec![Op::Lock(0), Op::Unlock(0, v)],
            9 => vec![Op::Lock(0), Op::Store(x, v), Op::Unlock(0, 0)],
            10 => vec![Op::AwaitLocked(0, x, v)],
            _ => vec![Op::Add(x, v)],
        },
        Theme::Remembering => vec![match random.below(8) {
            0 | 1 => Op::AwaitNoticing(x, v, 1 + random.below(3) as i64),
            2 | 3 => Op::AwaitBoth([x, 1 - x], [v, 1]),
            4 | 5 => Op::Store(x, v),
            6 => Op::Store(x, 1),
            _ => Op::Add(x, 1),
        }],
        Theme::Keeping => match random.below(8) {
            0..=2 => {
                // Threads that keep something and see each other's rounds have no end of executions.
                let looks = [Looks::Load, Looks::Update, Looks::Locked][random.below(3)];
                let looks = if thread == 0 { looks } else { Looks::Load };
                let keeps =
                    [Keeps::First, Keeps::Last, Keeps::Most, Keeps::Twice, Keeps::Change][random.below(5)];
                vec![Op::AwaitKeeping(looks, keeps, x, v)]
            }
            3 => vec![Op::Lock(0), Op::Store(x, v), Op::Unlock(0, v)],
            4 => vec![Op::Load(x)],
            5 => vec![Op::Add(x, 1)],
            _ => vec![Op::Store(x, v)],
        },
        Theme::Ends => vec![match random.below(6) {
            0 | 1 if thread > 0 => Op::IsFinished(random.below(thread)),
            2 if thread > 0 => Op::AwaitFinished(random.below(thread)),
            3 => Op::KeepLocal(x),
            4 => Op::Load(x),
            _ => Op::Add(x, v),
        }],
        Theme::Panics => vec![if random.one_in(3) { Op::Panic } else { Op::Add(x, v) }],
    }
}
