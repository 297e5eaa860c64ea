//! Accesses of executions in which nothing is on but the program: nearly every step that is sampled.
//!
//! An execution is *lean* ([`Execution::lean`]) as long as it keeps neither clocks nor store histories and no
//! step has to look for anything but its own effect. An access is then one read or write of the newest word:
//! its object is found by one comparison of its identity, the step is stated, the coroutine is suspended if
//! another thread is chosen, and the effect is what changes the word, the sum over the execution graph and
//! the log. Everything else is looked at by nobody and not compiled in.
//!
//! What does not fit goes the general way, before anything was done: an object that is met for the first time,
//! or one whose history was begun.

use crate::alloc::runtime_scope_of;
use crate::execution::{Absent, Execution, current};
use crate::explorer::Op;
use crate::object::{Object, Primitive, WriteRef};
use crate::ops::atomic::stores::{MO, is_repeated};
use crate::ops::misuse::{self, Misused};
use crate::schedule::{end_turn, post_lean};
use crate::site::Site;
use crate::thread::Thread;
use racefuzz_trace::{MemoryOrder, OpKind, Verb};

/// The execution, if it is lean and stays so by an access of this order.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn lean_if(order: MemoryOrder) -> Option<*mut Execution> {
    let execution = current();
    // SAFETY: see `execution::with`; plain reads.
    let fits = !execution.is_null() && unsafe { (&*execution).is_lean_for(order) };
    if fits { Some(execution) } else { None }
}

/// What an access is, besides the object and its place.
pub(super) type How = (OpKind, Verb, MemoryOrder);

/// Performs an access: `lean` is its effect on the newest word, `general` the one where there is more to it when
/// its turn has come, and `full` the whole access where there is more to it from the beginning, and nothing was
/// done.
///
/// # Safety
/// `pointer` is the current execution, which is lean; no reference into it is live.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) unsafe fn access<P: Primitive, R>(
    pointer: *mut Execution,
    primitive: &P,
    (kind, verb, order): How,
    site: Site,
    lean: impl FnOnce(&mut Execution, &Op) -> R,
    general: impl FnOnce(&mut Execution, &Op) -> R,
    full: impl FnOnce() -> Result<R, Absent>,
) -> Result<R, Absent> {
    // SAFETY: see `execution::with`; each reference ends before the switch or before a thread unwinds.
    unsafe {
        let execution = &mut *pointer;
        let _runtime = runtime_scope_of(execution.local);
        let object = match execution.known(primitive) {
            Some(object) => object,
            None => match execution.meet_lean(primitive, verb, site) {
                Ok(Some(object)) => object,
                Ok(None) => return apart(full()),
                Err(misused) => return misuse::unwind(misused),
            },
        };
        let op = Op { kind, verb, order, object, lock: false };
        let switched = post_lean(pointer, op, site);
        let execution = &mut *pointer;
        if switched && !(execution.lean && primitive.shared().is_still(execution.tag, object)) {
            end_turn()?;
            return apart(late(&mut *pointer, primitive, op, site, general));
        }
        if primitive.written_unseen(execution.running_with(object).1.value).is_some() {
            return apart(late(execution, primitive, op, site, general));
        }
        Ok(lean(execution, &op))
    }
}

/// A result that was written to memory by a call, taken out of there: it is apart from the result of the common case,
/// which need not be in memory then.
#[expect(
    clippy::needless_match,
    reason = "the compiler writes both results to one place in memory otherwise"
)]
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn apart<R>(result: Result<R, Absent>) -> Result<R, Absent> {
    match result {
        Ok(value) => Ok(value),
        Err(absent) => Err(absent),
    }
}

/// The turn of an access has come, and the execution is no longer lean, the object may have been released, or code
/// that is not seen has written it.
#[cold]
#[inline(never)]
fn late<P: Primitive, R>(
    execution: &mut Execution,
    primitive: &P,
    op: Op,
    site: Site,
    effect: impl FnOnce(&mut Execution, &Op) -> R,
) -> Result<R, Absent> {
    let done = execution.admit(primitive, op.object, op.verb, site).map(|()| {
        if let Some(word) = primitive.written_unseen(execution.objects[op.object as usize].value) {
            crate::ops::unseen::adopt(execution, op.object, word);
        }
        effect(execution, &op)
    });
    done.or_else(misuse::unwind)
}

/// An event of the running thread on an object: the two, and the event's write if it is one.
type Step = (*mut Thread, *mut Object, WriteRef);

impl Execution {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn is_lean_for(&self, order: MemoryOrder) -> bool {
        self.lean && (order == MemoryOrder::SeqCst || !self.order.seq_cst_only)
    }

    /// The number of an object that was met and of which the newest word is all that is kept.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn known<P: Primitive>(&self, primitive: &P) -> Option<u32> {
        let object = primitive.shared().index_below(self.tag, self.storage.object_count)?;
        // SAFETY: there are so many objects, and they stay until the execution ends.
        let entry = unsafe { &*self.objects.as_ptr().wrapping_add(object as usize) };
        let fits = entry.address == std::ptr::from_ref(primitive).addr() && entry.history.is_empty();
        if fits { Some(object) } else { None }
    }

    /// [`known`](Self::known), for an object that may be new to the execution.
    #[cold]
    #[inline(never)]
    fn meet_lean<P: Primitive>(
        &mut self,
        primitive: &P,
        verb: Verb,
        site: Site,
    ) -> Result<Option<u32>, Misused> {
        let object = self.resolve(primitive, verb, site)?;
        Ok(self.objects[object as usize].history.is_empty().then_some(object))
    }

    /// Counts an event of the running thread on an object. The pointers are good until something else is done with
    /// the execution than adding to its order.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn lean_event(&mut self, op: &Op) -> Step {
        let thread = self.count_lean(op);
        let step = self.schedule.steps;
        let object: *mut Object = self.running_with(op.object).1;
        // SAFETY: it is the running thread.
        let event = unsafe { (*thread).event_at((*thread).time) };
        (thread, object, WriteRef { event, step })
    }

    /// The effect of a load: the word read.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn read_lean(&mut self, op: &Op, site: Site) -> u64 {
        let (thread, object, write) = self.lean_event(op);
        // SAFETY: nothing else is done with the execution meanwhile.
        let (value, from, repeated, marks) = unsafe {
            let (value, from) = ((*object).value, (*object).last_write);
            let repeated = is_repeated(&mut (*thread).spinning, site, from);
            (value, from, repeated, (*thread).mark | (*object).mark)
        };
        self.order.edge(1, write, from);
        self.order.log_marked(marks, op, value);
        self.received(value);
        if repeated {
            self.give_way();
        }
        value
    }

    /// The effect of a store.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn write_lean(&mut self, op: &Op, value: u64) {
        let (thread, object, write) = self.lean_event(op);
        // SAFETY: as in `read_lean`.
        let (before, awaited, marks) = unsafe {
            (*object).value = value;
            let before = std::mem::replace(&mut (*object).last_write, write);
            (before, !(*object).waiters.is_empty(), (*thread).mark | (*object).mark)
        };
        self.order.edge(MO, before, write);
        self.order.log_marked(marks, op, value);
        if awaited | (self.schedule.yielded != 0) {
            self.touched(op.object);
        }
    }

    /// The effect of a read-modify-write that writes what `f` makes of the word: the words read and written.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn modify_lean(
        &mut self,
        op: &Op,
        site: Site,
        f: &(impl Fn(u64) -> Option<u64> + ?Sized),
    ) -> (u64, Option<u64>) {
        let (thread, object, write) = self.lean_event(op);
        let mut repeated = false;
        // SAFETY: as in `read_lean`.
        let (read, from, wrote, marks) = unsafe {
            let (read, from) = ((*object).value, (*object).last_write);
            let wrote = f(read);
            match wrote {
                Some(value) => {
                    ((*object).value, (*object).last_write) = (value, write);
                    (*thread).spinning.last_read = (None, 0);
                }
                None => repeated = is_repeated(&mut (*thread).spinning, site, from),
            }
            (read, from, wrote, (*thread).mark | (*object).mark)
        };
        self.order.edge(1, write, from);
        self.order.log_marked(marks, op, wrote.unwrap_or(read));
        self.received(read);
        if let Some(value) = wrote {
            self.order.edge(MO, from, write);
            // A lock that is swapped in again and again stays what it was.
            if value != read {
                self.touched(op.object);
            }
        }
        if repeated {
            self.give_way();
        }
        (read, wrote)
    }
}
