//! The threads as machines: at which memory event a thread stands, and where it goes from there for
//! each value that it may read. Knows nothing about memory models.

use crate::program::{Expr, Op, Order, Program};

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    /// Reads and writes in one event.
    Rmw,
    Fence,
}

/// A memory event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    pub(crate) order: Order,
    /// The location; locks follow the locations. [`NOWHERE`] for a fence.
    pub(crate) location: usize,
    /// The value written.
    pub(crate) value: i64,
    /// Whether x86 performs it as a locked instruction, which drains the store buffer: a SeqCst
    /// store, a read-modify-write (a compare-and-swap also where it fails), a SeqCst fence.
    pub(crate) locked: bool,
}

pub(crate) const NOWHERE: usize = usize::MAX;

impl Event {
    pub(crate) fn writes(&self) -> bool {
        matches!(self.kind, Kind::Write | Kind::Rmw)
    }
}

/// What a thread stands at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// Its end.
    Done,
    /// A false `assume`.
    Stopped,
    /// An event that reads nothing.
    Act(Event),
    /// An event that reads this location; see [`Code::read`].
    Read { location: usize, locked: bool, waits: Waits },
}

/// Whether a read may have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    Never,
    /// Until a lock is free.
    Lock,
    /// Until a location has a value.
    Await,
}

#[derive(Clone, Debug)]
enum Instruction {
    /// Anything but `if` and `repeat`; the operation's lock is a location already.
    Plain(Op),
    Unless(Expr, usize),
    Goto(usize),
}

/// The code of a thread, without structure: `repeat` is unrolled, `if` has become jumps.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    /// What a lock word holds while this thread has the lock; 0 is a free lock.
    me: i64,
    registers: usize,
    instructions: Vec<Instruction>,
}

/// Where a thread is, and what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    at: usize,
    /// The lock words held.
    held: Vec<usize>,
    pub(crate) registers: Vec<i64>,
}

/// The codes of a program's threads.
pub(crate) fn compile(program: &Program) -> Vec<Code> {
    let first_lock = program.locations.len();
    let compile = |(index, thread): (usize, &crate::program::Thread)| {
        let mut instructions = Vec::new();
        flatten(&thread.code, first_lock, &mut instructions);
        Code { me: index as i64 + 1, registers: thread.registers.len(), instructions }
    };
    program.threads.iter().enumerate().map(compile).collect()
}

fn flatten(code: &[Op], first_lock: usize, into: &mut Vec<Instruction>) {
    for op in code {
        match op {
            Op::Repeat { times, body } => (0..*times).for_each(|_| flatten(body, first_lock, into)),
            Op::Until { condition, most, body } => {
                let mut ends = Vec::new();
                for _ in 1..*most {
                    flatten(body, first_lock, into);
                    let fails = into.len() + 2;
                    into.push(Instruction::Unless(condition.clone(), fails));
                    ends.push(into.len());
                    into.push(Instruction::Goto(0));
                }
                flatten(body, first_lock, into);
                into.push(Instruction::Plain(Op::Assume(condition.clone())));
                let end = into.len();
                ends.into_iter().for_each(|at| into[at] = Instruction::Goto(end));
            }
            Op::If { condition, then, other } => {
                let branch = into.len();
                into.push(Instruction::Goto(0));
                flatten(then, first_lock, into);
                let end_of_then = into.len();
                into.push(Instruction::Goto(0));
                into[branch] = Instruction::Unless(condition.clone(), into.len());
                flatten(other, first_lock, into);
                into[end_of_then] = Instruction::Goto(into.len());
            }
            Op::Lock(lock) => into.push(Instruction::Plain(Op::Lock(first_lock + lock))),
            Op::Unlock(lock) => into.push(Instruction::Plain(Op::Unlock(first_lock + lock))),
            Op::TryLock { register, lock } => {
                let op = Op::TryLock { register: *register, lock: first_lock + lock };
                into.push(Instruction::Plain(op));
            }
            other => into.push(Instruction::Plain(other.clone())),
        }
    }
}

fn event(kind: Kind, order: Order, location: usize, value: i64, locked: bool) -> Event {
    Event { kind, order, location, value, locked }
}

impl Code {
    /// The state at the first event.
    pub(crate) fn start(&self) -> State {
        let mut state = State { at: 0, held: Vec::new(), registers: vec![0; self.registers] };
        self.settle(&mut state);
        state
    }

    /// Goes on to the next event, end or false `assume`.
    fn settle(&self, state: &mut State) {
        while let Some(instruction) = self.instructions.get(state.at) {
            state.at = match instruction {
                Instruction::Goto(target) => *target,
                Instruction::Unless(condition, target) if condition.eval(&state.registers) == 0 => *target,
                Instruction::Plain(Op::Let { register, value }) => {
                    state.registers[*register] = value.eval(&state.registers);
                    state.at + 1
                }
                Instruction::Plain(Op::Assume(condition)) if condition.eval(&state.registers) == 0 => return,
                Instruction::Plain(Op::Unlock(lock)) if !state.held.contains(lock) => state.at + 1,
                Instruction::Unless(..) | Instruction::Plain(Op::Assume(_)) => state.at + 1,
                Instruction::Plain(_) => return,
            };
        }
    }

    fn op(&self, state: &State) -> Option<&Op> {
        match self.instructions.get(state.at) {
            Some(Instruction::Plain(op)) => Some(op),
            _ => None,
        }
    }

    /// What the thread stands at.
    pub(crate) fn next(&self, state: &State) -> Next {
        let read = |location: &usize, locked, waits| Next::Read { location: *location, locked, waits };
        match self.op(state) {
            None => Next::Done,
            Some(Op::Assume(_)) => Next::Stopped,
            Some(Op::Store { location, value, order }) => {
                let value = value.eval(&state.registers);
                Next::Act(event(Kind::Write, *order, *location, value, *order == Order::Sc))
            }
            Some(Op::Fence(order)) => Next::Act(event(Kind::Fence, *order, NOWHERE, 0, *order == Order::Sc)),
            Some(Op::Load { location, .. }) => read(location, false, Waits::Never),
            Some(Op::Await { location, .. }) => read(location, false, Waits::Await),
            Some(Op::Lock(lock)) => read(lock, true, Waits::Lock),
            Some(Op::Unlock(lock) | Op::TryLock { lock, .. }) => read(lock, true, Waits::Never),
            Some(Op::Add { location, .. } | Op::Swap { location, .. } | Op::Cas { location, .. }) => {
                read(location, true, Waits::Never)
            }
            Some(Op::Let { .. } | Op::Repeat { .. } | Op::Until { .. } | Op::If { .. }) => {
                unreachable!("settled and flattened")
            }
        }
    }

    /// The state behind an event that reads nothing.
    pub(crate) fn act(&self, state: &State) -> State {
        let mut after = state.clone();
        after.at += 1;
        self.settle(&mut after);
        after
    }

    /// The event that reads `value`, and the state behind it; none if the thread waits for another
    /// value.
    pub(crate) fn read(&self, state: &State, value: i64) -> Option<(Event, State)> {
        let registers = &state.registers;
        let rmw = |order: &Order, location: &usize, new| event(Kind::Rmw, *order, *location, new, true);
        let mut after = state.clone();
        let (event, result) = match self.op(state)? {
            Op::Load { register, location, order } => {
                (event(Kind::Read, *order, *location, 0, false), Some((*register, value)))
            }
            Op::Add { register, location, value: add, order } => {
                let new = value.wrapping_add(add.eval(registers));
                (rmw(order, location, new), Some((*register, value)))
            }
            Op::Swap { register, location, value: new, order } => {
                (rmw(order, location, new.eval(registers)), Some((*register, value)))
            }
            Op::Cas { register, location, expected, new, order, failure } => {
                let event = match value == expected.eval(registers) {
                    true => rmw(order, location, new.eval(registers)),
                    false => event(Kind::Read, *failure, *location, 0, true),
                };
                (event, Some((*register, value)))
            }
            Op::Await { location, value: awaited, order } => {
                if value != awaited.eval(registers) {
                    return None;
                }
                (event(Kind::Read, *order, *location, 0, false), None)
            }
            Op::Lock(lock) => {
                if value != 0 {
                    return None;
                }
                after.held.push(*lock);
                (rmw(&Order::Acq, lock, self.me), None)
            }
            Op::TryLock { register, lock } if value == 0 => {
                after.held.push(*lock);
                (rmw(&Order::Acq, lock, self.me), Some((*register, 1)))
            }
            // A failing try_lock synchronises with nobody.
            Op::TryLock { register, lock } => {
                (event(Kind::Read, Order::Rlx, *lock, 0, true), Some((*register, 0)))
            }
            Op::Unlock(lock) => {
                if value != self.me {
                    return None;
                }
                after.held.retain(|held| held != lock);
                (rmw(&Order::Rel, lock, 0), None)
            }
            _ => return None,
        };
        if let Some((register, value)) = result {
            after.registers[register] = value;
        }
        after.at += 1;
        self.settle(&mut after);
        Some((event, after))
    }
}
