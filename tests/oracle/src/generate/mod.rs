//! Small random programs, each a function of its seed.

mod loops;

use crate::program::{Expr, Location, Op, Operator, Order, Program, Thread};

/// SplitMix64 (Steele, Lea and Flood, OOPSLA'14).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Which orders a program has.
#[derive(Clone, Copy)]
enum Orders {
    Any,
    Relaxed,
    ReleaseAcquire,
    SeqCst,
    /// Relaxed or SeqCst.
    Extremes,
}

impl Orders {
    /// One of `allowed`, if any of them fits.
    fn pick(self, random: &mut Random, allowed: &[Order]) -> Order {
        let fits = |order: &Order| match self {
            Self::Any => true,
            Self::Relaxed => *order == Order::Rlx,
            Self::ReleaseAcquire => matches!(order, Order::Acq | Order::Rel | Order::Ar),
            Self::SeqCst => *order == Order::Sc,
            Self::Extremes => matches!(order, Order::Rlx | Order::Sc),
        };
        let fitting: Vec<Order> = allowed.iter().copied().filter(fits).collect();
        random.pick(if fitting.is_empty() { allowed } else { &fitting })
    }
}

const READ: &[Order] = &[Order::Rlx, Order::Acq, Order::Sc];
const WRITE: &[Order] = &[Order::Rlx, Order::Rel, Order::Sc];
const RMW: &[Order] = &[Order::Rlx, Order::Acq, Order::Rel, Order::Ar, Order::Sc];
const FENCE: &[Order] = &[Order::Acq, Order::Rel, Order::Ar, Order::Sc];

/// How often each kind of operation is drawn.
struct Weights {
    store: usize,
    load: usize,
    rmw: usize,
    cas: usize,
    fence: usize,
    branch: usize,
    lock: usize,
    try_lock: usize,
    wait: usize,
    assume: usize,
    repeat: usize,
    until: usize,
}

impl Weights {
    fn draw(random: &mut Random, locks: usize) -> Self {
        let mut some = |chance: usize, weight: usize| if random.percent(chance) { weight } else { 0 };
        Self {
            store: 30,
            load: 30,
            rmw: some(50, 15),
            cas: some(50, 15),
            fence: some(40, 15),
            branch: some(60, 20),
            lock: [0, 25, 60][locks],
            try_lock: if locks > 0 { some(50, 20) } else { 0 },
            wait: some(25, 15),
            assume: some(15, 10),
            repeat: some(10, 8),
            until: 0,
        }
    }
}

struct Generator {
    random: Random,
    orders: Orders,
    weights: Weights,
    locations: usize,
    locks: usize,
    /// Constants are below this, or all different if it is 0.
    values: i64,
    fresh: i64,
    /// Of the thread at work: registers, and operations it may still have.
    registers: usize,
    left: usize,
    /// The locks that it holds where the next operation goes.
    held: Vec<usize>,
}

impl Generator {
    fn location(&mut self) -> usize {
        self.random.below(self.locations)
    }

    /// A new register, or one that is there already.
    fn register(&mut self) -> usize {
        if self.registers > 0 && self.random.percent(15) {
            return self.random.below(self.registers);
        }
        self.registers += 1;
        self.registers - 1
    }

    fn constant(&mut self) -> i64 {
        self.fresh += 1;
        if self.values == 0 { self.fresh } else { 1 + self.random.below(self.values as usize) as i64 }
    }

    fn value(&mut self) -> Expr {
        let constant = Expr::Number(self.constant());
        match self.register_read() {
            Some(register) if self.random.percent(25) => {
                let operator = self.random.pick(&[Operator::Add, Operator::Xor, Operator::Sub]);
                Expr::binary(operator, register, constant)
            }
            _ => constant,
        }
    }

    /// A value that some location may well have.
    fn guess(&mut self) -> Expr {
        match self.register_read() {
            Some(register) if self.random.percent(15) => register,
            _ => Expr::Number(self.random.pick(&[0, 0, 1, 1, 2, 2, 3])),
        }
    }

    fn register_read(&mut self) -> Option<Expr> {
        (self.registers > 0).then(|| Expr::Register(self.random.below(self.registers)))
    }

    fn condition(&mut self) -> Option<Expr> {
        let register = self.register_read()?;
        let operator = self.random.pick(&[
            Operator::Eq,
            Operator::Eq,
            Operator::Ne,
            Operator::Ne,
            Operator::Lt,
            Operator::Ge,
        ]);
        Some(Expr::binary(operator, register, self.guess()))
    }

    /// Operations, `depth` blocks deep, until the thread has enough or the draw says so.
    fn block(&mut self, depth: usize, most: usize) -> Vec<Op> {
        let mut ops = Vec::new();
        for _ in 0..most {
            if self.left == 0 {
                break;
            }
            self.ops(depth, &mut ops);
        }
        ops
    }

    fn load(&mut self, into: &mut Vec<Op>) {
        let (location, register) = (self.location(), self.register());
        into.push(Op::Load { register, location, order: self.orders.pick(&mut self.random, READ) });
    }

    /// Draws one operation, or a locked section.
    fn ops(&mut self, depth: usize, into: &mut Vec<Op>) {
        let Weights { store, load, rmw, cas, fence, branch, lock, try_lock, wait, assume, repeat, until } =
            self.weights;
        let weights = [store, load, rmw, cas, fence, branch, lock, try_lock, wait, assume, repeat, until];
        let mut draw = self.random.below(weights.iter().sum());
        let kind = weights.iter().position(|weight| {
            let chosen = draw < *weight;
            draw = draw.saturating_sub(*weight);
            chosen
        });
        let orders = self.orders;
        self.left -= 1;
        match kind {
            Some(0) => {
                let (location, value) = (self.location(), self.value());
                into.push(Op::Store { location, value, order: orders.pick(&mut self.random, WRITE) });
            }
            Some(2) => {
                let (location, value) = (self.location(), self.value());
                let order = orders.pick(&mut self.random, RMW);
                let register = self.register();
                into.push(match self.random.percent(60) {
                    true => Op::Add { register, location, value, order },
                    false => Op::Swap { register, location, value, order },
                });
            }
            Some(3) => {
                let (location, expected, new) = (self.location(), self.guess(), self.value());
                let order = orders.pick(&mut self.random, RMW);
                let failure = orders.pick(&mut self.random, READ);
                let register = self.register();
                into.push(Op::Cas { register, location, expected, new, order, failure });
            }
            Some(4) => into.push(Op::Fence(orders.pick(&mut self.random, FENCE))),
            Some(5) if depth < 2 && self.registers > 0 && self.left > 0 => {
                let condition = self.condition().expect("there is a register");
                let then = self.block(depth + 1, 2);
                let other = if self.random.percent(30) { self.block(depth + 1, 1) } else { Vec::new() };
                into.push(Op::If { condition, then, other });
            }
            Some(6) => {
                let lock = self.random.below(self.locks);
                // Locking twice is a sure deadlock, so hardly ever.
                if self.held.contains(&lock) && !self.random.percent(5) {
                    return self.load(into);
                }
                self.held.push(lock);
                into.push(Op::Lock(lock));
                let most = self.random.pick(&[0, 1, 1, 2, 2]);
                into.extend(self.block(depth + 1, most));
                into.push(Op::Unlock(lock));
                self.held.pop();
            }
            Some(7) => {
                let (lock, register) = (self.random.below(self.locks), self.register());
                into.push(Op::TryLock { register, lock });
                self.held.push(lock);
                let most = self.random.below(3);
                let mut then = self.block(depth + 1, most);
                then.push(Op::Unlock(lock));
                self.held.pop();
                let condition = Expr::binary(Operator::Eq, Expr::Register(register), Expr::Number(1));
                let other = if self.random.percent(30) { self.block(depth + 1, 1) } else { Vec::new() };
                into.push(Op::If { condition, then, other });
            }
            Some(8) => {
                let location = self.location();
                // Waiting for the initial value, or for what nobody writes, shows little.
                let value = Expr::Number(self.random.pick(&[1, 1, 1, 2, 2, 0]).min(self.values.max(1)));
                into.push(Op::Await { location, value, order: orders.pick(&mut self.random, READ) });
            }
            Some(9) if self.registers > 0 => {
                let condition = self.condition().expect("there is a register");
                into.push(Op::Assume(condition));
            }
            Some(10) if depth == 0 && self.left > 0 => {
                let body = self.block(depth + 1, 1);
                self.left = self.left.saturating_sub(1);
                into.push(Op::Repeat { times: 2, body });
            }
            Some(11) if depth == 0 => self.until(into),
            // A load, also where what was drawn does not fit.
            _ => self.load(into),
        }
    }
}

/// How many reads and writes each location may have, branches taken or not, and each lock.
fn accesses(code: &[Op], times: usize, locations: &mut [(usize, usize)], locks: &mut [usize]) {
    for op in code {
        match op {
            Op::Store { location, .. } => locations[*location].1 += times,
            Op::Load { location, .. } | Op::Await { location, .. } => locations[*location].0 += times,
            Op::Add { location, .. } | Op::Swap { location, .. } | Op::Cas { location, .. } => {
                locations[*location].0 += times;
                locations[*location].1 += times;
            }
            Op::Lock(lock) => locks[*lock] += times,
            // It may fail as well.
            Op::TryLock { lock, .. } => locks[*lock] += 2 * times,
            Op::Until { most, body, .. } => accesses(body, times * *most as usize, locations, locks),
            Op::Repeat { times: again, body } => accesses(body, times * *again as usize, locations, locks),
            Op::If { then, other, .. } => {
                accesses(then, times, locations, locks);
                accesses(other, times, locations, locks);
            }
            Op::Fence(_) | Op::Let { .. } | Op::Assume(_) | Op::Unlock(_) => {}
        }
    }
}

/// A bound on the number of graphs: each read reads any write, and writes stand in any order.
fn bound(program: &Program) -> f64 {
    let mut locations = vec![(0, 0); program.locations.len()];
    let mut locks = vec![0; program.locks.len()];
    for thread in &program.threads {
        accesses(&thread.code, 1, &mut locations, &mut locks);
    }
    let factorial = |n: usize| (1..=n).map(|n| n as f64).product::<f64>();
    let of_location =
        |&(reads, writes): &(usize, usize)| ((writes + 1) as f64).powi(reads as i32) * factorial(writes);
    locations.iter().map(of_location).chain(locks.iter().map(|&uses| factorial(uses))).product()
}

/// In how many locations and locks threads meet: two of them use it and one writes it.
fn meeting_points(program: &Program) -> usize {
    let mut users = vec![(0, 0); program.locations.len() + program.locks.len()];
    for thread in &program.threads {
        let mut locations = vec![(0, 0); program.locations.len()];
        let mut locks = vec![0; program.locks.len()];
        accesses(&thread.code, 1, &mut locations, &mut locks);
        let of_thread = locations.into_iter().chain(locks.into_iter().map(|uses| (0, uses)));
        for (users, (reads, writes)) in users.iter_mut().zip(of_thread) {
            users.0 += usize::from(reads + writes > 0);
            users.1 += usize::from(writes > 0);
        }
    }
    users.into_iter().filter(|&(users, writers)| users > 1 && writers > 0).count()
}

/// The program of a seed: two to four threads of one to four operations each (the operations inside a
/// section or branch counted), over one to three locations and up to two locks. Small enough that all
/// its graphs can be enumerated naively in about a millisecond.
pub fn generate(seed: u64) -> Program {
    draw(seed, false)
}

/// The program of a seed in which some threads wait in loops. There are far more graphs of it.
pub fn generate_loops(seed: u64) -> Program {
    draw(seed, true)
}

fn draw(seed: u64, loops: bool) -> Program {
    let mut random = Random(seed);
    loop {
        let mut program = attempt(&mut random, loops);
        let waits = |op: &Op| matches!(op, Op::Until { .. });
        if loops && !program.threads.iter().any(|thread| thread.code.iter().any(waits)) {
            continue;
        }
        let wanted =
            if random.percent(10) { 0 } else { 2.min(program.locations.len() + program.locks.len()) };
        if program.threads.len() >= 2 && meeting_points(&program) >= wanted {
            program.name = format!("seed/{seed}");
            return program;
        }
    }
}

fn attempt(random: &mut Random, loops: bool) -> Program {
    let most_graphs = if loops { 1e6 } else { 4e3 };
    let orders = match random.below(10) {
        0..5 => Orders::Any,
        5 => Orders::Relaxed,
        6 => Orders::ReleaseAcquire,
        7 => Orders::SeqCst,
        _ => Orders::Extremes,
    };
    let threads = random.pick(&[2, 2, 2, 2, 3, 3, 3, 4]);
    let locations = random.pick(&[1, 2, 2, 2, 2, 3]);
    let locks = random.pick(&[0, 0, 0, 1, 2]);
    let mut weights = Weights::draw(random, locks);
    if loops {
        (weights.until, weights.assume) = (60, 0);
    }
    let mut generator = Generator {
        orders,
        weights,
        locations,
        locks,
        values: random.pick(&[0, 1, 2, 2]),
        random: Random(random.next()),
        fresh: 0,
        registers: 0,
        left: 0,
        held: Vec::new(),
    };
    let initial = |generator: &mut Generator| match generator.random.percent(10) {
        true => generator.constant(),
        false => 0,
    };
    let mut program = Program {
        name: "attempt".to_owned(),
        locations: (0..locations)
            .map(|index| Location { name: format!("x{index}"), initial: initial(&mut generator) })
            .collect(),
        locks: (0..locks).map(|index| format!("m{index}")).collect(),
        ..Program::default()
    };
    for _ in 0..threads {
        generator.registers = 0;
        generator.left = generator.random.pick(&[1, 2, 3, 3, 4, 4]);
        let code = generator.block(0, 4);
        let registers = (0..generator.registers).map(|index| format!("r{index}")).collect();
        program.threads.push(Thread { registers, code });
    }
    while bound(&program) > most_graphs {
        // From the thread that has most.
        let longest = program.threads.iter_mut().max_by_key(|thread| thread.code.len()).expect("a thread");
        drop_last(&mut longest.code);
    }
    program.threads.retain(|thread| !thread.code.is_empty());
    crate::shrink::tidy(&program)
}

/// Drops the last operation, with the whole section if it gives a lock back.
fn drop_last(code: &mut Vec<Op>) {
    if let Some(Op::Unlock(lock)) = code.pop() {
        while code.pop().is_some_and(|op| op != Op::Lock(lock)) {}
    }
}
