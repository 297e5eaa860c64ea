//! A program as a closure over racefuzz's real types, for an engine to run. This module alone knows
//! racefuzz; nothing in the enumerators does.

use crate::program::{Op, Order, Program};
use racefuzz_primitives::sync::atomic::{AtomicI64, Ordering, fence};
use racefuzz_primitives::sync::{Arc as CountedArc, Mutex, MutexGuard};
use racefuzz_primitives::{choose, hint, thread};
use std::ops::Deref;
use std::sync::Arc;

/// The locations and locks of one execution.
#[derive(Debug)]
pub struct Shared {
    /// In the order of [`Program::locations`].
    pub locations: Vec<AtomicI64>,
    /// In the order of [`Program::locks`].
    pub locks: Vec<Mutex<()>>,
    /// Of a program with loops, for each thread a word that shows what it remembers in the end.
    shown: Vec<AtomicI64>,
}

impl Shared {
    /// Those of a program, with their initial values.
    pub fn new(program: &Program) -> Self {
        let locations = program.locations.iter().map(|location| AtomicI64::new(location.initial)).collect();
        let locks = program.locks.iter().map(|_| Mutex::new(())).collect();
        let threads = program.threads.iter().filter(|_| program.has_loops());
        Self { locations, locks, shown: threads.map(|_| AtomicI64::new(0)).collect() }
    }
}

/// How the threads share the locations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// By a std `Arc`, whose clones and drops are no steps.
    Free,
    /// By racefuzz's `Arc`: each thread owns a clone. There must not be more graphs for it.
    Counted,
}

/// Runs one thread of a program to its end and returns its registers.
pub fn run(program: &Program, shared: &Shared, index: usize) -> Vec<i64> {
    let thread = &program.threads[index];
    let guards = shared.locks.iter().map(|_| None).collect();
    let mut thread_run = Run { shared, registers: vec![0; thread.registers.len()], guards };
    thread_run.code(&thread.code);
    if let Some(shown) = shared.shown.get(index) {
        // What could be an address says nothing.
        let sum = |sum: i64, value: &i64| (sum * 31 + *value).rem_euclid(i64::from(i32::MAX));
        shown.store(thread_run.registers.iter().fold(0, sum), Ordering::Relaxed);
    }
    // A lock that the program does not give back stays taken.
    thread_run.guards.into_iter().for_each(std::mem::forget);
    thread_run.registers
}

/// Waits until a location has a value. The place to put an engine's own way of waiting.
#[track_caller]
pub fn await_value(location: &AtomicI64, value: i64, order: Ordering) {
    loop {
        if location.load(order) == value {
            break;
        }
        hint::spin_loop();
    }
}

fn ordering(order: Order) -> Ordering {
    match order {
        Order::Na | Order::Rlx => Ordering::Relaxed,
        Order::Acq => Ordering::Acquire,
        Order::Rel => Ordering::Release,
        Order::Ar => Ordering::AcqRel,
        Order::Sc => Ordering::SeqCst,
    }
}

struct Run<'a> {
    shared: &'a Shared,
    registers: Vec<i64>,
    guards: Vec<Option<MutexGuard<'a, ()>>>,
}

impl Run<'_> {
    fn code(&mut self, code: &[Op]) {
        code.iter().for_each(|op| self.op(op));
    }

    fn op(&mut self, op: &Op) {
        let locations = &self.shared.locations;
        let value = |expr: &crate::program::Expr| expr.eval(&self.registers);
        let (register, read) = match op {
            Op::Store { location, value: new, order } => {
                return locations[*location].store(value(new), ordering(*order));
            }
            Op::Load { register, location, order } => (register, locations[*location].load(ordering(*order))),
            Op::Add { register, location, value: add, order } => {
                (register, locations[*location].fetch_add(value(add), ordering(*order)))
            }
            Op::Swap { register, location, value: new, order } => {
                (register, locations[*location].swap(value(new), ordering(*order)))
            }
            Op::Cas { register, location, expected, new, order, failure } => {
                let (expected, new) = (value(expected), value(new));
                let (order, failure) = (ordering(*order), ordering(*failure));
                match locations[*location].compare_exchange(expected, new, order, failure) {
                    Ok(old) | Err(old) => (register, old),
                }
            }
            Op::Fence(order) => return fence(ordering(*order)),
            Op::Let { register, value: new } => (register, value(new)),
            Op::Assume(condition) => return choose::assume(value(condition) != 0),
            Op::Until { condition, body, .. } => loop {
                self.code(body);
                if condition.eval(&self.registers) != 0 {
                    return;
                }
            },
            Op::Repeat { times, body } => return (0..*times).for_each(|_| self.code(body)),
            Op::If { condition, then, other } => {
                return self.code(if value(condition) != 0 { then } else { other });
            }
            Op::Lock(lock) => {
                let guard = self.shared.locks[*lock].lock().expect("no thread panics");
                // A guard that is there already is of a thread that is torn down in its deadlock.
                std::mem::forget(self.guards[*lock].replace(guard));
                return;
            }
            Op::Unlock(lock) => return self.guards[*lock] = None,
            Op::TryLock { register, lock } => {
                let guard = self.shared.locks[*lock].try_lock();
                let taken = guard.is_ok();
                if let Ok(guard) = guard {
                    std::mem::forget(self.guards[*lock].replace(guard));
                }
                (register, i64::from(taken))
            }
            Op::Await { location, value: awaited, order } => {
                return await_value(&locations[*location], value(awaited), ordering(*order));
            }
        };
        self.registers[*register] = read;
    }
}

/// Spawns the threads of a program, joins them in order, and returns their registers.
fn execute<P>(program: &Arc<Program>, shared: &P) -> Vec<i64>
where
    P: Deref<Target = Shared> + Clone + Send + 'static,
{
    let spawn = |index| {
        let (program, shared) = (Arc::clone(program), shared.clone());
        thread::spawn(move || run(&program, &shared, index))
    };
    let threads: Vec<_> = (0..program.threads.len()).map(spawn).collect();
    threads.into_iter().flat_map(|thread| thread.join().expect("no thread panics")).collect()
}

/// The closure that runs a program: its threads and nothing else.
pub fn closure(program: &Program) -> impl Fn() + Send + Sync + 'static {
    let program = Arc::new(program.clone());
    move || {
        execute(&program, &Arc::new(Shared::new(&program)));
    }
}

/// The same, and at the end of each complete execution the final state goes to `observe`, as
/// [`Counts::finals`](crate::Counts::finals) has it. The main thread reads the locations for it, after
/// the joins.
pub fn observed(
    program: &Program,
    sharing: Sharing,
    observe: impl Fn(Vec<i64>) + Send + Sync + 'static,
) -> impl Fn() + Send + Sync + 'static {
    fn state<P>(program: &Arc<Program>, shared: &P) -> Vec<i64>
    where
        P: Deref<Target = Shared> + Clone + Send + 'static,
    {
        let mut state = execute(program, shared);
        state.extend(shared.locations.iter().map(|location| location.load(Ordering::Relaxed)));
        state
    }
    let program = Arc::new(program.clone());
    move || {
        let shared = Shared::new(&program);
        observe(match sharing {
            Sharing::Free => state(&program, &Arc::new(shared)),
            Sharing::Counted => state(&program, &CountedArc::new(shared)),
        });
    }
}
