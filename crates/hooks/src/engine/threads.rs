//! The program's threads: threads of the runtime that run on a stack and a block of their own.

use super::blocks::{MOST_THREADS, base_of, slot_of};
use super::border::{as_host, as_program};
use super::real::die;
use super::sites::site;
use super::{exhaustive, shadow, stacks, state};
use crate::engine::interpose::Frame;
use racefuzz_runtime::ops::{self, SpawnOptions, Spawned, process};
use std::ffi::c_void;

/// A destructor of a thread-local value.
pub(crate) type Destructor = (unsafe extern "C" fn(*mut c_void), usize);

/// What a thread is made of.
pub(crate) type Body = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// A key of `pthread_key_create`: whether it is in use, and its destructor.
type Key = (bool, Option<unsafe extern "C" fn(*mut c_void)>);

#[derive(Default)]
struct Thread {
    slot: usize,
    /// Bytes of stack that it asked for.
    stack: usize,
    handle: Option<Spawned<usize>>,
    /// It has ended, or nobody will join it: with both its slot is free.
    ended: bool,
    detached: bool,
    destructors: Vec<Destructor>,
    /// By key.
    values: Vec<usize>,
}

/// The threads of the running execution.
#[derive(Default)]
pub(crate) struct Threads {
    threads: Vec<Thread>,
    /// For each slot in use so far the thread that has it, or had it last, and slots that are free again.
    slots: Vec<usize>,
    free: Vec<usize>,
    keys: Vec<Key>,
    /// The root is a harness, and the first thread that it starts the test.
    pub(crate) harness: bool,
    /// The most that an execution has had.
    pub(crate) most: usize,
    /// The slot of the test that the harness runs in its own place.
    in_place: Option<usize>,
    /// That test runs.
    pub(crate) in_test: bool,
}

impl Threads {
    pub(crate) fn begin(&mut self) {
        self.threads.clear();
        self.threads.push(Thread::default());
        self.free.clear();
        self.slots.clear();
        self.slots.push(0);
        self.keys.clear();
        self.in_place = None;
        self.in_test = false;
    }

    /// A slot for a new thread; whether another thread has used it before.
    fn take_slot(&mut self, thread: usize) -> Option<(usize, bool)> {
        // An address says nothing of the order in which other threads have ended.
        if !exhaustive::is_on()
            && let Some(slot) = self.free.pop()
        {
            self.slots[slot] = thread;
            return Some((slot, true));
        }
        if self.slots.len() == MOST_THREADS {
            return None;
        }
        self.slots.push(thread);
        Some((self.slots.len() - 1, false))
    }

    /// The thread that a `pthread_t` stands for.
    fn named(&self, base: usize) -> Option<usize> {
        self.slots.get(slot_of(base)?).copied()
    }

    /// Whether the thread that is made next is the test, which the harness runs itself.
    fn runs_in_place(&self) -> bool {
        self.harness && self.in_place.is_none()
    }

    /// Whether there is, or was, any thread besides the root.
    pub(crate) fn has_had_several(&self) -> bool {
        self.threads.len() > 1
    }

    /// Whether all threads but this one have ended.
    pub(crate) fn is_alone(&self, thread: usize) -> bool {
        self.threads.iter().enumerate().all(|(number, other)| number == thread || other.ended)
    }

    fn give_back(&mut self, thread: usize) {
        self.free.push(self.threads[thread].slot);
    }
}

/// The number of the running thread.
pub(crate) fn me() -> usize {
    ops::current_task().map_or(0, |thread| thread.index())
}

struct Start {
    body: Body,
    argument: usize,
    block: usize,
    result: usize,
}

/// Runs a body as the running thread of the runtime, on its own stack and block.
pub(crate) fn run(body: Body, argument: usize) -> usize {
    let thread = me();
    let (slot, block) = state::with(|state| {
        let slot = state.threads.threads[thread].slot;
        (slot, state.blocks.fresh(slot))
    });
    let (low, high) = stacks::bounds(slot);
    let _ = process::runs_on_stack(low, high);
    let mut start = Start { body, argument, block, result: 0 };
    shadow::publish();
    // SAFETY: the stack and the block of this slot are those of the thread that has it.
    unsafe { stacks::call_on(slot, on_own_stack, (&raw mut start).cast()) };
    state::with(|state| {
        let known = &mut state.threads.threads[thread];
        known.ended = true;
        if known.detached {
            state.threads.give_back(thread);
        }
    });
    start.result
}

extern "C" fn on_own_stack(start: *mut u8) {
    // SAFETY: `run` gives its local, which outlives the call; no other thread uses the block.
    unsafe {
        let start = &mut *start.cast::<Start>();
        as_program(
            start.block,
            |start: &mut Start| {
                let result = (start.body)(start.argument as *mut c_void);
                start.result = result as usize;
                run_destructors();
            },
            start,
        );
    }
}

/// Runs the destructors of the running thread's values; called on the program's side.
pub(crate) fn run_destructors() {
    while let Some((destructor, value)) = as_host(|()| next_destructor(), ()) {
        // SAFETY: the program registered them as a pair, to be called once at the end of this thread.
        unsafe { destructor(value as *mut c_void) };
    }
}

fn next_destructor() -> Option<Destructor> {
    let me = me();
    state::with(|state| {
        let Threads { threads, keys, .. } = &mut state.threads;
        let thread = threads.get_mut(me)?;
        if let Some(destructor) = thread.destructors.pop() {
            return Some(destructor);
        }
        thread.values.iter_mut().enumerate().find_map(|(key, value)| {
            let destructor = keys.get(key)?.1?;
            let value = std::mem::take(value);
            (value != 0).then_some((destructor, value))
        })
    })
}

/// `__cxa_thread_atexit_impl`.
pub(crate) fn at_thread_exit(destructor: Destructor) {
    let me = me();
    state::with(|state| state.threads.threads[me].destructors.push(destructor));
}

/// What `pthread_create` is given.
pub(crate) struct Create {
    pub(crate) into: *mut usize,
    pub(crate) body: Body,
    pub(crate) argument: usize,
    /// Bytes of stack that it asks for.
    pub(crate) stack: usize,
    pub(crate) frame: *const Frame,
}

/// `pthread_create`: its result.
pub(crate) fn create(create: Create) -> i32 {
    /// More than any system gives.
    const TOO_MUCH: usize = 1 << 40;
    let Create { into, body, argument, stack, frame } = create;
    if stack > TOO_MUCH {
        return libc::EAGAIN;
    }
    if exhaustive::is_on() && me() == 0 && state::with(|state| state.threads.runs_in_place()) {
        return run_in_place(create);
    }
    if exhaustive::is_on() {
        exhaustive::unseen::watch();
    }
    let site = site(frame);
    // SAFETY: the body owns what it uses, as `pthread_create` demands.
    let spawned = unsafe { ops::spawn(SpawnOptions::default(), site, move || run(body, argument)) };
    let Ok(spawned) = spawned else { return libc::EAGAIN };
    let number = spawned.thread().index();
    if exhaustive::is_on() {
        exhaustive::threads::has_spawned(number);
    }
    let slot = state::with(|state| {
        let threads = &mut state.threads;
        let (slot, used) = threads.take_slot(number)?;
        let known = &mut threads.threads;
        known.resize_with(known.len().max(number + 1), Thread::default);
        known[number] = Thread { slot, stack, handle: Some(spawned), ..Thread::default() };
        threads.most = threads.most.max(number + 1);
        if used {
            shadow::renew_stack(slot);
        }
        Some(slot)
    });
    let Some(slot) = slot else {
        if exhaustive::is_on() {
            exhaustive::give_up(format!("more than {MOST_THREADS} threads"));
            return libc::EAGAIN;
        }
        die(&format!("the program has more than {MOST_THREADS} threads at a time"));
    };
    // SAFETY: the caller gives a place for the result.
    unsafe { into.write(base_of(slot)) };
    0
}

/// Runs what the harness makes a thread for, in the harness's own place: it does nothing but wait for that.
fn run_in_place(create: Create) -> i32 {
    let Some(slot) = state::with(|state| state.threads.take_slot(0)).map(|(slot, _)| slot) else {
        return libc::EAGAIN;
    };
    let change = |thread| {
        let slot = state::with(|state| {
            let own = &mut state.threads.threads[0];
            let before = std::mem::replace(own, thread);
            (before, own.slot)
        });
        let (low, high) = stacks::bounds(slot.1);
        let _ = process::runs_on_stack(low, high);
        slot.0
    };
    state::with(|state| state.threads.in_place = Some(slot));
    let harness = change(Thread { slot, stack: create.stack, ..Thread::default() });
    // SAFETY: the caller gives a place for the result.
    unsafe { create.into.write(base_of(slot)) };
    exhaustive::unseen::begin_test();
    state::with(|state| state.threads.in_test = true);
    run(create.body, create.argument);
    state::with(|state| state.threads.in_test = false);
    change(harness);
    0
}

/// `pthread_join`: its result, and that of the thread.
pub(crate) fn join((thread, frame): (usize, *const Frame)) -> Result<usize, i32> {
    if state::with(|state| state.threads.in_place.is_some_and(|slot| slot_of(thread) == Some(slot))) {
        return Ok(0);
    }
    let (number, handle) = state::with(|state| {
        let number = state.threads.named(thread).ok_or(libc::ESRCH)?;
        let handle = state.threads.threads[number].handle.take();
        Ok::<_, i32>((number, handle.ok_or(libc::EINVAL)?))
    })?;
    let joined = ops::join(handle, site(frame));
    state::with(|state| state.threads.give_back(number));
    match joined {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) | Err(_) => Ok(0),
    }
}

/// `pthread_detach`.
pub(crate) fn detach(thread: usize) {
    state::with(|state| {
        let Some(number) = state.threads.named(thread) else { return };
        let known = &mut state.threads.threads[number];
        if !std::mem::replace(&mut known.detached, true) && known.ended {
            state.threads.give_back(number);
        }
    });
}

/// Whether the program is a harness that has not started its test yet.
pub(crate) fn before_test((): ()) -> bool {
    state::with(|state| state.threads.harness && state.threads.threads.len() == 1)
}

/// The stack of the thread that a `pthread_t` stands for.
pub(crate) fn stack_of(thread: usize) -> (usize, usize) {
    stacks::bounds(slot_of(thread).unwrap_or(0))
}

/// Whether the running thread has asked for more stack than it has.
pub(crate) fn asked_for_more_stack() -> bool {
    let me = me();
    state::with(|state| state.threads.threads[me].stack > stacks::STRIDE)
}

/// The stack of the running thread.
pub(crate) fn own_stack() -> (usize, usize) {
    let me = me();
    stacks::bounds(state::with(|state| state.threads.threads[me].slot))
}

/// `pthread_setname_np`.
pub(crate) fn name((thread, name): (usize, String)) {
    if state::with(|state| state.threads.named(thread)) == Some(me()) {
        let is_test = state::with(|state| match state.threads.in_place {
            Some(_) => me() == 0,
            None => me() == 1 && state.threads.harness,
        });
        let _ = process::name_thread(if is_test { "test" } else { &name });
    }
}

/// `pthread_key_create`: the key.
pub(crate) fn create_key(destructor: Option<unsafe extern "C" fn(*mut c_void)>) -> u32 {
    state::with(|state| {
        state.threads.keys.push((true, destructor));
        state.threads.keys.len() as u32 - 1
    })
}

/// `pthread_key_delete`.
pub(crate) fn delete_key(key: u32) {
    state::with(|state| {
        if let Some(known) = state.threads.keys.get_mut(key as usize) {
            *known = (false, None);
        }
    });
}

/// `pthread_getspecific`.
pub(crate) fn value(key: u32) -> usize {
    let me = me();
    state::with(|state| {
        let thread = state.threads.threads.get(me)?;
        thread.values.get(key as usize).copied()
    })
    .unwrap_or(0)
}

/// `pthread_setspecific`.
pub(crate) fn set_value((key, value): (u32, usize)) {
    let me = me();
    state::with(|state| {
        let values = &mut state.threads.threads[me].values;
        values.resize(values.len().max(key as usize + 1), 0);
        values[key as usize] = value;
    });
}
