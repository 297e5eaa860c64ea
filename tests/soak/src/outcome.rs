//! What an execution of a program comes to.

use crate::program::{Op, Program};
use std::fmt;

/// How far a thread came.
#[allow(missing_docs, reason = "said above each")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    Done,
    Panicked,
    /// It waits.
    Waits,
}

/// What an execution comes to.
#[allow(missing_docs, reason = "said above each")]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It ends; or it does not, where a thread waits. For each thread its observations and its end, and
    /// the variables.
    Ends { logs: Vec<Vec<i64>>, ends: Vec<End>, variables: Vec<i64> },
    /// Two accesses to a cell are not ordered.
    Race(usize),
    /// Something that no program here does.
    Other(String),
}

impl Outcome {
    /// Whether some thread waits for ever.
    pub fn is_deadlock(&self) -> bool {
        matches!(self, Self::Ends { ends, .. } if ends.contains(&End::Waits))
    }

    /// The same, where a thread that spins for ever has not passed the waits just before.
    ///
    /// All waits are executed at one place in `Running`, so that several of them, one
    /// after the other, are to a checker one loop; in which of its rounds a thread is stuck that nothing
    /// lets on is no difference.
    pub fn settled(mut self, program: &Program) -> Self {
        if let Self::Ends { logs, ends, .. } = &mut self {
            let threads = logs.iter_mut().zip(ends).zip(&program.threads);
            for ((log, _), ops) in threads.filter(|((_, end), _)| **end == End::Waits) {
                let passed = waits_passed(ops, log);
                log.truncate(log.len() - passed);
            }
        }
        self
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ends { logs, ends, variables } => {
                for (thread, (log, end)) in logs.iter().zip(ends).enumerate() {
                    let end = match end {
                        End::Done => "",
                        End::Panicked => " panics",
                        End::Waits => " WAITS",
                    };
                    write!(f, "t{thread} {log:?}{end}  ")?;
                }
                write!(f, "x {variables:?}")
            }
            Self::Race(cell) => write!(f, "data race on d{cell}"),
            Self::Other(text) => write!(f, "{text}"),
        }
    }
}

/// How many waits for the same, in the same way, a thread has passed just before the one in which it is; 0 if
/// it is in none.
fn waits_passed(ops: &[Op], log: &[i64]) -> usize {
    let mut done: Vec<Op> = Vec::new();
    let mut at = 0;
    while let Some(op) = ops.get(at).copied() {
        at += 1;
        match op {
            Op::Unless(value, count) => {
                if done.is_empty() || log[done.len() - 1] != value {
                    at += count;
                }
            }
            _ if done.len() < log.len() => done.push(op),
            _ => return done.iter().rev().take_while(|earlier| is_same_wait(**earlier, op)).count(),
        }
    }
    0
}

fn is_same_wait(one: Op, other: Op) -> bool {
    match (one, other) {
        (Op::Await(x, _), Op::Await(y, _)) | (Op::AwaitUpdate(x, _), Op::AwaitUpdate(y, _)) => x == y,
        (Op::AwaitNoticing(x, ..), Op::AwaitNoticing(y, ..)) => x == y,
        (Op::AwaitKeeping(a, _, x, _), Op::AwaitKeeping(b, _, y, _)) => (a, x) == (b, y),
        (Op::AwaitBoth(x, _), Op::AwaitBoth(y, _)) => x == y,
        (Op::AwaitLocked(m, x, _), Op::AwaitLocked(n, y, _)) => (m, x) == (n, y),
        _ => false,
    }
}
