//! Faults that are injected before a thread's step.

use super::leaving::{leave, stop_current};
use crate::execution::{Absent, Execution};
use crate::explorer::Op;
use crate::thread::ThreadState;
use racefuzz_trace::{OpKind, Point, Verb};

/// Fault injection: the current thread may panic or stop before its operation.
#[cold]
pub(super) fn inject_fault(execution: &mut Execution) -> Result<(), Absent> {
    let inject = execution.config.inject;
    let me = execution.current as usize;
    if execution.threads[me].panicking || me == 0 {
        return Ok(());
    }
    // Giving back what a thread holds does not panic, and if it did, would not have been done.
    let verb = execution.threads[me].pending.op.verb;
    let gives = verb.gives_lock()
        || matches!(verb, Verb::OnceEnd | Verb::DropSender | Verb::DropReceiver | Verb::RefDrop);
    let panic = inject.panic && !gives;
    let count = 1 + usize::from(panic) + usize::from(inject.kill);
    match execution.choose(Point::Fault, count) {
        0 => return Ok(()),
        1 if panic => {
            execution.driver.faults_left -= 1;
            let (op, site) = (local(Verb::Note), execution.threads[me].pending.site);
            execution.record(&op, site, |_, event| {
                event.ok = false;
                event.text = Some("injected panic".into());
            });
        }
        _ => {
            execution.driver.faults_left -= 1;
            let (op, site) = (local(Verb::Note), execution.threads[me].pending.site);
            execution.record(&op, site, |_, event| {
                event.ok = false;
                event.text = Some("injected kill".into());
            });
            stop_current(execution);
            execution.threads[me].state = ThreadState::Killed;
            return leave(execution);
        }
    }
    std::panic::panic_any(Injected)
}

/// The payload of an injected panic.
pub(crate) struct Injected;

fn local(verb: Verb) -> Op {
    Op {
        kind: OpKind::Local,
        verb,
        order: racefuzz_trace::MemoryOrder::Plain,
        object: Op::NO_OBJECT,
        lock: false,
    }
}
