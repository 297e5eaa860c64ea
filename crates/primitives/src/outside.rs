//! Outside an execution: what every primitive does before it falls through to std, and the baseline
//! engine that runs a program on real operating-system threads with random real sleeps, the
//! oldest way of looking for races.
//!
//! Nothing here is deterministic but the length of the sleeps.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a run on real threads left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The first panic's message, of any thread or oracle.
    pub panic: Option<String>,
    /// Some thread had not ended when the time was up; it is abandoned.
    pub hung: bool,
    /// The lines printed.
    pub console: Vec<String>,
}

#[derive(Default)]
struct Trial {
    live: usize,
    generation: u64,
    panic: Option<String>,
    console: Vec<String>,
    oracles: Vec<Box<dyn FnOnce() + Send>>,
}

static ACTIVE: AtomicBool = AtomicBool::new(false);
static TRIAL: Mutex<Option<Trial>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();
static RUNNING: Mutex<()> = Mutex::new(());
static SEED: AtomicU64 = AtomicU64::new(0);
static LONGEST: AtomicU64 = AtomicU64::new(0);
static THREADS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

fn trial() -> MutexGuard<'static, Option<Trial>> {
    TRIAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Called by every primitive before it falls through to std; sleeps if a run on real threads asks
/// for it.
#[inline]
pub fn step() {
    if ACTIVE.load(Ordering::Relaxed) {
        delay();
    }
}

#[cold]
fn delay() {
    let longest = LONGEST.load(Ordering::Relaxed);
    if longest == 0 {
        return;
    }
    let state = STATE.get();
    let state = if state == 0 {
        SEED.load(Ordering::Relaxed)
            ^ THREADS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            | 1
    } else {
        state
    };
    // xorshift64*: a sleep's length needs no better.
    let mut next = state;
    next ^= next >> 12;
    next ^= next << 25;
    next ^= next >> 27;
    STATE.set(next);
    let nanos = next.wrapping_mul(0x2545_f491_4f6c_dd1d) % longest;
    std::thread::sleep(Duration::from_nanos(nanos));
}

/// Takes a line printed during a run on real threads; gives it back outside of one.
pub fn print(line: String) -> Option<String> {
    match &mut *trial() {
        Some(trial) => {
            trial.console.push(line);
            None
        }
        None => Some(line),
    }
}

/// The lines printed so far in a run on real threads.
pub fn console_lines() -> Vec<String> {
    trial().as_ref().map(|trial| trial.console.clone()).unwrap_or_default()
}

/// Keeps an oracle for the end of a run on real threads; outside of one it is dropped.
pub fn at_end(oracle: Box<dyn FnOnce() + Send>) {
    if let Some(trial) = &mut *trial() {
        trial.oracles.push(oracle);
    }
}

/// Counts a thread of a run on real threads: made by the spawning thread, moved into the new one and
/// dropped at its end.
#[derive(Debug)]
pub struct Counted(u64);

/// A thread is about to be spawned.
pub fn thread_spawned() -> Option<Counted> {
    let mut trial = trial();
    let trial = trial.as_mut()?;
    trial.live += 1;
    Some(Counted(trial.generation))
}

/// A thread's closure panicked and nobody is there to join it, or nobody has yet.
pub fn thread_panicked(payload: &(dyn std::any::Any + Send)) {
    let message = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic with a payload that is no text".to_owned(),
    };
    if let Some(trial) = &mut *trial() {
        trial.panic.get_or_insert(message);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(trial) = &mut *trial()
            && trial.generation == self.0
        {
            trial.live -= 1;
            CHANGED.notify_all();
        }
    }
}

/// Runs a program once on real threads, each primitive sleeping a random time up to `longest`
/// first, and waits up to `patience` for its threads to end. One such run at a time in a process.
pub fn run(program: &(dyn Fn() + Sync), seed: u64, longest: Duration, patience: Duration) -> Ended {
    let _one = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    static GENERATION: AtomicU64 = AtomicU64::new(1);
    let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
    *trial() = Some(Trial { live: 1, generation, ..Trial::default() });
    SEED.store(seed, Ordering::Relaxed);
    LONGEST.store(u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    THREADS.store(1, Ordering::Relaxed);
    ACTIVE.store(true, Ordering::Relaxed);

    // SAFETY: only the lifetime changes. The thread that gets the reference is waited for below
    // unless it hangs; then the process-wide program it runs (see the callers) must be leaked.
    let program: &'static (dyn Fn() + Sync) = unsafe { std::mem::transmute(program) };
    let main = std::thread::spawn(move || {
        let _counted = Counted(generation);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(program)) {
            thread_panicked(payload.as_ref());
        }
    });
    let hung = !wait_for_threads(Instant::now() + patience);
    if !hung {
        let _ = main.join();
        let oracles = trial().as_mut().map(|trial| std::mem::take(&mut trial.oracles)).unwrap_or_default();
        LONGEST.store(0, Ordering::Relaxed);
        for oracle in oracles {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(oracle)) {
                thread_panicked(payload.as_ref());
            }
        }
    }
    ACTIVE.store(false, Ordering::Relaxed);
    let trial = trial().take().unwrap_or_default();
    Ended { panic: trial.panic, hung, console: trial.console }
}

fn wait_for_threads(until: Instant) -> bool {
    let mut guard = trial();
    loop {
        if guard.as_ref().is_none_or(|trial| trial.live == 0) {
            return true;
        }
        let now = Instant::now();
        if now >= until {
            return false;
        }
        guard = CHANGED.wait_timeout(guard, until - now).unwrap_or_else(PoisonError::into_inner).0;
    }
}
