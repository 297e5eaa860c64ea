//! The program's threads: threads of the runtime that run on a stack and a block of their own.

use super::blocks::{base_of, thread_of};
use super::border::{as_host, as_program};
use super::sites::site;
use super::{shadow, stacks, state};
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
    handle: Option<Spawned<usize>>,
    destructors: Vec<Destructor>,
    /// By key.
    values: Vec<usize>,
}

/// The threads of the running execution.
#[derive(Default)]
pub(crate) struct Threads {
    threads: Vec<Thread>,
    keys: Vec<Key>,
    /// The root is a harness, and the first thread that it starts the test.
    pub(crate) harness: bool,
    /// The most that an execution has had.
    pub(crate) most: usize,
}

impl Threads {
    pub(crate) fn begin(&mut self) {
        self.threads.clear();
        self.threads.push(Thread::default());
        self.keys.clear();
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
    let block = state::with(|state| state.blocks.fresh(thread));
    let (low, high) = stacks::bounds(thread);
    let _ = process::runs_on_stack(low, high);
    let mut start = Start { body, argument, block, result: 0 };
    shadow::publish();
    // SAFETY: the stack and the block of this number are those of the thread that has it.
    unsafe { stacks::call_on(thread, on_own_stack, (&raw mut start).cast()) };
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
    pub(crate) frame: *const Frame,
}

/// `pthread_create`: its result.
pub(crate) fn create(create: Create) -> i32 {
    let Create { into, body, argument, frame } = create;
    let count = state::with(|state| state.threads.threads.len());
    if count >= super::blocks::MOST_THREADS {
        return libc::EAGAIN;
    }
    let site = site(frame);
    // SAFETY: the body owns what it uses, as `pthread_create` demands.
    let spawned = unsafe { ops::spawn(SpawnOptions::default(), site, move || run(body, argument)) };
    let Ok(spawned) = spawned else { return libc::EAGAIN };
    let number = spawned.thread().index();
    state::with(|state| {
        let threads = &mut state.threads.threads;
        threads.resize_with(threads.len().max(number + 1), Thread::default);
        threads[number].handle = Some(spawned);
        state.threads.most = state.threads.most.max(number + 1);
    });
    // SAFETY: the caller gives a place for the result.
    unsafe { into.write(base_of(number)) };
    0
}

/// `pthread_join`: its result, and that of the thread.
pub(crate) fn join((thread, frame): (usize, *const Frame)) -> Result<usize, i32> {
    let number = thread_of(thread).ok_or(libc::ESRCH)?;
    let handle = state::with(|state| state.threads.threads.get_mut(number)?.handle.take());
    let Some(handle) = handle else { return Err(libc::EINVAL) };
    match ops::join(handle, site(frame)) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) | Err(_) => Ok(0),
    }
}

/// `pthread_setname_np`.
pub(crate) fn name((thread, name): (usize, String)) {
    if thread_of(thread) == Some(me()) {
        let is_test = me() == 1 && state::with(|state| state.threads.harness);
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
