//! Running executions one after another on one operating-system thread.

mod root;
mod teardown;

use root::start_root;
use teardown::tear_down;

use crate::alloc::Outlived;
use crate::config::Config;
use crate::continuation::Continuation;
use crate::execution::{Detail, Execution, NOBODY, Phase, current, mix, set_current};
use crate::explorer::Explorer;
use crate::failure::{Detected, StableHasher};
use crate::foreign;
use crate::heartbeat::Heartbeat;
use crate::interrupt;
use crate::ops;
use crate::overlay::Applied;
use crate::panics;
use crate::record::Recorder;
use crate::site::Site;
use crate::stacks::StackPool;
use crate::thread::{Condition, ThreadState};
use racefuzz_trace::{Choice, FailureDetail, FailureKind, MemoryModel, ThreadEnd, ThreadId, Trace, Waiting};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers executions across the process; 0 is never used.
static EPOCHS: AtomicU64 = AtomicU64::new(1);
const EPOCH_BLOCK: u64 = 4096;

/// What is kept of an execution besides its choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Nothing: for sampling.
    Choices,
    /// Every event.
    Trace,
}

/// The result of one execution.
#[derive(Debug)]
pub struct Ended {
    /// What went wrong, if anything did.
    pub failure: Option<Detected>,
    /// The failure is something that racefuzz cannot see ([`racefuzz_trace::Unseen`]): neither the
    /// rest of what is said here nor another run of the same schedule can be relied on.
    pub unseen: bool,
    /// It did without clocks and store histories ([`Config::light`]), and something asked for them: it is to
    /// be run again, and all else that is said here is of no use. From now on the runner keeps both.
    pub again: bool,
    /// A limit ended it ([`Heartbeat::stop`]) before there was a verdict.
    pub stopped: bool,
    /// An `assume` ended it.
    pub blocked: bool,
    /// Where that `assume` stands.
    pub blocked_at: Option<Site>,
    /// Threads that it had, the first one included.
    pub threads: u32,
    /// Events executed.
    pub steps: u32,
    /// Equal for executions with equal reads-from and modification order; different for others, but
    /// for hash collisions.
    pub class: u64,
    /// A hash of what was printed.
    pub output: u64,
    /// [`Config::insistence`] made a difference.
    pub insisted: bool,
    /// Threads that could not be ended and whose memory is lost.
    pub abandoned: u32,
    /// The program looked at a reference count: see [`Config::count_points`].
    pub counts_observed: bool,
    /// Objects that an earlier execution had used, so that their values may be left over from it:
    /// what they are, and where they were created.
    pub left_over: Vec<String>,
    /// What of the memory that the program allocated was not freed; all zero where the program does
    /// not use [`Allocator`](crate::alloc::Allocator).
    pub outlived: Outlived,
    /// The trace, if it was recorded.
    pub trace: Option<Trace>,
}

/// Runs executions one after another on the thread that owns it, reusing stacks and memory.
///
/// ```
/// use racefuzz_runtime::{Config, Ended, Explorer, Record, Runner, ThreadChoice, Alternatives};
/// use racefuzz_trace::ThreadId;
///
/// struct First;
/// impl Explorer for First {
///     fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
///         choice.default_thread()
///     }
///     fn choose(&mut self, _: Alternatives) -> u32 {
///         0
///     }
/// }
///
/// let mut runner = Runner::new(Config::default());
/// let ended = runner.run(&|| assert_eq!(1, 2, "broken"), &mut First, Record::Choices);
/// assert!(ended.failure.unwrap().message.contains("broken"));
/// ```
pub struct Runner {
    execution: Box<Execution>,
    epoch: u64,
    epochs_end: u64,
    worker: foreign::Worker,
}

impl Runner {
    /// A runner for executions with these settings.
    pub fn new(config: Config) -> Self {
        panics::install_hook();
        let stacks = StackPool::new(config.stack_size);
        let execution = Box::new(Execution::new(config, stacks));
        execution.heartbeat.set_thread();
        Self { execution, epoch: 0, epochs_end: 0, worker: foreign::Worker::new() }
    }

    /// The settings, to be changed between executions.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.execution.config
    }

    /// Whether executions may still be [light](Config::light).
    pub fn is_light(&self) -> bool {
        self.execution.config.light
    }

    /// Signs of life, to be watched from another operating-system thread.
    pub fn heart(&self) -> Arc<Heartbeat> {
        Arc::clone(&self.execution.heartbeat)
    }

    /// The choices of the last execution.
    pub fn choices(&self) -> &[Choice] {
        &self.execution.driver.choices
    }

    /// One word per event of the last execution; equal logs mean equal executions.
    pub fn log(&self) -> &[u64] {
        &self.execution.order.log
    }

    /// A fingerprint of the last execution's events.
    pub fn fingerprint(&self) -> u16 {
        let hash = self.execution.order.log.iter().fold(0, |hash, word| mix(hash ^ word, 0x5bd1_e995));
        (hash ^ hash >> 16 ^ hash >> 32 ^ hash >> 48) as u16
    }

    /// The lines the last execution printed.
    pub fn console(&self) -> &[String] {
        &self.execution.outcome.console
    }

    /// Runs the program once, the explorer deciding wherever there is a choice.
    ///
    /// # Panics
    /// If called from inside an execution, or if the explorer gives an impossible answer.
    pub fn run(&mut self, program: &dyn Fn(), explorer: &mut dyn Explorer, record: Record) -> Ended {
        assert!(current().is_null(), "a program under test cannot run racefuzz itself");
        explorer.begin();
        self.begin(explorer, record);
        let execution: *mut Execution = &raw mut *self.execution;
        set_current(execution);
        self.execution.heartbeat.set_running(true);
        interrupt::set_running(execution, &self.execution.heartbeat);
        // SAFETY: the execution is boxed and outlives the loop; `explorer` and `program` are
        // borrowed for the whole call; no body is left when `tear_down` returns.
        unsafe {
            start_root(&mut *execution, program);
            work(execution);
            tear_down(execution);
        }
        set_current(std::ptr::null_mut());
        self.execution.heartbeat.set_running(false);
        interrupt::set_running(std::ptr::null_mut(), &self.execution.heartbeat);
        explorer.end();
        self.end()
    }

    fn begin(&mut self, explorer: &mut dyn Explorer, record: Record) {
        if self.epoch == self.epochs_end {
            self.epoch = EPOCHS.fetch_add(EPOCH_BLOCK, Ordering::Relaxed);
            self.epochs_end = self.epoch + EPOCH_BLOCK;
        }
        let execution = &mut *self.execution;
        let epoch = self.epoch;
        self.epoch += 1;
        self.worker.begin(epoch);
        apply_overlay(execution);
        let recorder = match record {
            Record::Choices => None,
            Record::Trace => Some(Box::new(Recorder::new(execution.config.memory, &execution.config.roots))),
        };
        execution.begin(epoch, explorer, recorder);
    }

    fn end(&mut self) -> Ended {
        let execution = &mut *self.execution;
        ops::report_leaks(execution);
        let unseen =
            (self.worker.end() | execution.outcome.left.is_some()) && note_unseen(execution, &self.worker);
        execution.storage.allocations.clear();
        let outlived =
            execution.storage.region.as_mut().map(crate::alloc::Region::release).unwrap_or_default();
        if execution.config.memory != MemoryModel::Sc && execution.driver.memory.take().is_none() {
            sum_modification_orders(execution);
        }
        let output = if execution.outcome.console.is_empty() {
            0
        } else {
            let mut hasher = StableHasher::new();
            execution.outcome.console.hash(&mut hasher);
            hasher.finish()
        };
        let failed = execution.outcome.failure.is_some();
        if execution.order.asked {
            execution.config.light = false;
        }
        #[cfg(feature = "tracing")]
        if execution.recorder.is_some() {
            let (steps, threads) = (execution.schedule.steps, execution.schedule.thread_count);
            let choices = execution.driver.choices.len();
            tracing::debug!(steps, threads, choices, failed, "execution recorded");
        }
        // What few executions have is filled in later, so that nothing is moved in the others.
        let mut ended = Ended {
            stopped: execution.outcome.stopped && !failed,
            failure: None,
            unseen,
            again: execution.order.detail == Detail::Missing,
            blocked: execution.outcome.blocked_at.is_some(),
            blocked_at: execution.outcome.blocked_at,
            threads: execution.schedule.thread_count as u32,
            steps: execution.schedule.steps,
            class: execution.order.class,
            output,
            insisted: execution.outcome.insisted,
            abandoned: execution.outcome.abandoned,
            counts_observed: execution.order.counts_observed || (execution.order.doubtful && failed),
            left_over: Vec::new(),
            outlived,
            trace: None,
        };
        if failed {
            ended.failure = execution.outcome.failure.take();
        }
        if !execution.storage.left_over.is_empty() {
            ended.left_over = describe_left_over(execution);
        }
        if let Some(recorder) = execution.recorder.take() {
            ended.trace = Some(recorder.trace);
        }
        ended
    }
}

/// What a foreign thread did, or the watchdog has seen, is what the execution has failed by; whether it was anything.
#[cold]
#[inline(never)]
fn note_unseen(execution: &mut Execution, worker: &foreign::Worker) -> bool {
    let foreign = worker.found(&execution.config.roots, execution.schedule.steps);
    let left = execution.outcome.left.and_then(|thread| left(execution, thread));
    let unseen = foreign.is_some() || left.is_some();
    if unseen {
        // Whatever else went wrong may be its doing.
        execution.outcome.failure = foreign.or(left);
    }
    unseen
}

/// The running thread was left where it stood, because of a limit or because of what the watchdog saw.
#[cold]
fn left(execution: &mut Execution, thread: u32) -> Option<Detected> {
    // Whatever it waited in by std's means, this thread's own token is not part of it any more.
    std::thread::current().unpark();
    std::thread::park();
    let Some(unseen) = execution.heartbeat.take_found() else {
        execution.outcome.stopped = true;
        return None;
    };
    let mut identity = StableHasher::new();
    unseen.to_string().hash(&mut identity);
    Some(Detected {
        kind: FailureKind::StepLimit,
        message: unseen.to_string(),
        thread: ThreadId(thread),
        step: execution.schedule.steps,
        identity: identity.finish(),
        detail: Some(FailureDetail::Unseen(unseen)),
    })
}

/// Makes the configured overlay the one that applies.
fn apply_overlay(execution: &mut Execution) {
    let Some(overlay) = &execution.config.overlay else {
        execution.overlay = None;
        return;
    };
    match &mut execution.overlay {
        Some(applied) if applied.is(overlay) => applied.begin(),
        applied => {
            *applied = Some(Box::new(Applied::new(Arc::clone(overlay), &execution.config.roots)));
        }
    }
}

#[cold]
fn describe(kind: racefuzz_trace::ObjectKind, site: Site) -> String {
    let location = site.location();
    format!("{} created at {}:{}", kind.word(), location.file(), location.line())
}

fn describe_left_over(execution: &Execution) -> Vec<String> {
    execution.storage.left_over.iter().map(|(kind, site)| describe(*kind, *site)).collect()
}

/// The modification orders of atomics, which stores in the middle keep from being summed earlier.
fn sum_modification_orders(execution: &mut Execution) {
    let mut sum = 0u64;
    for object in &execution.objects[..execution.storage.object_count] {
        for pair in object.history.stores().windows(2) {
            sum = sum.wrapping_add(mix(pair[0].write.event.wrapping_add(ops::MO), pair[1].write.event));
        }
    }
    execution.order.class = execution.order.class.wrapping_add(sum);
}

/// Runs threads until none is left to go on.
///
/// # Safety
/// `execution` is current, and no reference into it is live.
unsafe fn work(execution: *mut Execution) {
    // SAFETY: short-lived references only; none across `resume`, which runs the program.
    unsafe {
        loop {
            let next = (*execution).current;
            if next == NOBODY || (*execution).phase() == Phase::TearDown {
                return;
            }
            resume(execution);
            if (*execution).current == 0 && !(&(*execution).threads)[0].coroutine.live {
                return;
            }
        }
    }
}

/// Resumes the current thread; whether that has not ended when somebody leaves.
///
/// # Safety
/// As [`work`].
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn resume(execution: *mut Execution) -> bool {
    // SAFETY: passed on to the caller.
    unsafe {
        let thread = (*execution).current as usize;
        Continuation::enter(execution);
        (&(*execution).threads)[thread].coroutine.live
    }
}

/// Notes how each thread ended, before teardown changes it.
fn record_ends(execution: &mut Execution) {
    let Some(mut recorder) = execution.recorder.take() else { return };
    for index in 0..execution.schedule.thread_count {
        let thread = &execution.threads[index];
        let end = match &thread.panics.panicked {
            Some(panicked) if !thread.panicking => ThreadEnd::Panicked(panicked.message.clone()),
            _ if thread.state == ThreadState::Finished => ThreadEnd::Finished,
            _ if thread.state == ThreadState::Killed => ThreadEnd::Killed,
            _ if index == 0 && matches!(thread.pending.condition, Condition::AllFinished) => {
                ThreadEnd::Finished
            }
            _ if thread.waiting.blocked => {
                let (since, holder) = thread.waiting.blocked_at.unwrap_or((execution.schedule.steps, None));
                let object = match thread.pending.condition {
                    Condition::Word { object, .. } | Condition::KeptOut { object, .. } => {
                        Some(racefuzz_trace::ObjectId(object))
                    }
                    _ => None,
                };
                ThreadEnd::Blocked {
                    verb: thread.pending.op.verb,
                    object,
                    site: recorder.site(thread.pending.site),
                    waiting: Waiting { since, holder: holder.map(ThreadId) },
                }
            }
            _ => ThreadEnd::Stopped { site: Some(recorder.site(thread.pending.site)) },
        };
        recorder.trace.threads[index].end = end;
    }
    execution.recorder = Some(recorder);
}
