//! Explorations that are ended, by a limit, by a person or by a kill, and gone on with from a file.

use racefuzz_check::{CheckpointError, Observer, Options, check, check_with_checkpoint};
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use racefuzz_primitives::{hint, thread};
use racefuzz_trace::{MemoryModel, Outcome, RunReport};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

/// `threads` threads load and then store, twice: thousands of graphs, some of which fail.
fn increments(threads: u32) -> impl Fn() + Sync {
    let most = threads;
    move || {
        let count = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                let count = Arc::clone(&count);
                thread::spawn(move || {
                    let n = count.load(Ordering::SeqCst);
                    count.store(n + 1, Ordering::SeqCst);
                    count.load(Ordering::SeqCst)
                })
            })
            .collect();
        let last = threads.into_iter().map(|thread| thread.join().unwrap()).max();
        assert!(last.unwrap() < most, "nothing is lost");
    }
}

/// The same behind a flag that one thread waits for: what is learned of the loop is kept, too.
fn behind_a_flag() {
    let flag = Arc::new(AtomicBool::new(false));
    let other = Arc::clone(&flag);
    let waiter = thread::spawn(move || {
        while !other.load(Ordering::Acquire) {
            hint::spin_loop();
        }
    });
    let counts = increments(3);
    let setter = thread::spawn(move || flag.store(true, Ordering::Release));
    counts();
    setter.join().unwrap();
    waiter.join().unwrap();
}

fn options(keep_going: bool, workers: usize) -> Options {
    let mut options = Options { keep_going, workers, minimise: false, ..Options::default() };
    options.settings.memory = MemoryModel::Sc;
    options
}

/// What must not depend on how often an exploration was ended.
fn figures(report: &RunReport) -> impl PartialEq + std::fmt::Debug {
    let failures = report.failures().iter().map(|failure| (failure.message.clone(), failure.iteration));
    let stats = &report.stats;
    (
        report.outcome(),
        stats.executions,
        stats.blocked,
        stats.failing,
        stats.steps,
        failures.collect::<Vec<_>>(),
    )
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("check.checkpoint")
    }
}

/// Ends an exploration when it has reported progress so many times.
struct EndsAfter(AtomicU64);

impl Observer for EndsAfter {
    fn progress(&self, _: &racefuzz_check::Progress) {
        let _ = self.0.fetch_update(
            std::sync::atomic::Ordering::Relaxed,
            std::sync::atomic::Ordering::Relaxed,
            |left| left.checked_sub(1),
        );
    }

    fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed) == 0
    }
}

/// Goes on until nothing is left, ended again and again.
fn in_pieces(options: &Options, program: &(dyn Fn() + Sync), file: &Path, units: u64) -> (RunReport, u32) {
    for times in 1.. {
        let watch = EndsAfter(AtomicU64::new(units));
        let report = check_with_checkpoint(options, program, &watch, file).unwrap();
        if report.stopped.is_none() {
            assert!(!file.exists(), "there is nothing left to go on with");
            return (report, times);
        }
        assert_eq!(report.stopped.as_deref(), Some("interrupted"));
    }
    unreachable!("it ends")
}

#[test]
fn what_is_ended_and_gone_on_with_comes_to_the_same() {
    let increments: &(dyn Fn() + Sync) = &increments(4);
    for (name, program) in [("increments", increments), ("flag", &behind_a_flag)] {
        let whole = check(&options(true, 1), program, &());
        assert!(whole.executions() > 2_000, "{name} has {} executions", whole.executions());
        for (units, workers) in [(1, 1), (2, 1), (1, 3), (3, 2)] {
            let folder = Folder::new();
            let (pieced, times) = in_pieces(&options(true, workers), program, &folder.file(), units);
            assert!(times > 1, "{name}: it was never ended");
            assert_eq!(figures(&pieced), figures(&whole), "{name}, {units} units, {workers} workers");
        }
    }
}

#[test]
fn a_bounded_exploration_knows_where_it_has_been() {
    let (increments, mut options) = (increments(4), options(true, 2));
    for most in [1, 2] {
        options.preemptions = Some(most);
        let folder = Folder::new();
        let whole = check_with_checkpoint(&options, &increments, &(), &folder.file()).unwrap();
        assert_eq!(whole.executions(), check(&options, &increments, &()).executions(), "{most} preemptions");
        let (pieced, times) = in_pieces(&options, &increments, &folder.file(), 1);
        assert!(times > most, "{times} pieces");
        assert_eq!(figures(&pieced), figures(&whole), "{most} preemptions");
    }
}

#[test]
fn a_limit_counts_what_was_explored_before() {
    let program = increments(4);
    let whole = check(&options(true, 1), &program, &());
    let folder = Folder::new();
    let mut limited = options(true, 1);
    for most in (700..whole.executions()).step_by(700) {
        limited.max_executions = Some(most);
        let report = check_with_checkpoint(&limited, &program, &(), &folder.file()).unwrap();
        assert_eq!(report.executions(), most);
        assert!(report.stopped.is_some());
    }
    limited.max_executions = None;
    let report = check_with_checkpoint(&limited, &program, &(), &folder.file()).unwrap();
    assert_eq!(figures(&report), figures(&whole));
}

#[test]
fn the_first_failure_is_the_same_one() {
    let program = || {
        let x = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&x);
        let thread = thread::spawn(move || (1..=12).for_each(|n| other.store(n, Ordering::SeqCst)));
        let seen: Vec<u32> = (0..6).map(|_| x.load(Ordering::SeqCst)).collect();
        thread.join().unwrap();
        assert_ne!(seen, [1, 1, 2, 3, 5, 8]);
    };
    let whole = check(&options(false, 1), &program, &());
    assert_eq!(whole.outcome(), Outcome::Failed);
    assert!(whole.executions() > 2_000, "found in {}", whole.executions());
    let folder = Folder::new();
    let (pieced, _) = in_pieces(&options(false, 1), &program, &folder.file(), 1);
    assert_eq!(figures(&pieced), figures(&whole));
}

/// A file of an exploration that was ended in its midst.
fn ended(folder: &Folder) -> PathBuf {
    let limited = Options { max_executions: Some(10), ..options(true, 1) };
    let report = check_with_checkpoint(&limited, &increments(4), &(), &folder.file()).unwrap();
    assert!(report.stopped.is_some());
    folder.file()
}

fn refused(options: &Options, program: &(dyn Fn() + Sync), file: &Path) -> CheckpointError {
    let before = std::fs::read(file).unwrap();
    let error = check_with_checkpoint(options, program, &(), file).unwrap_err();
    assert_eq!(std::fs::read(file).unwrap(), before, "what is refused is left as it is");
    error
}

#[test]
fn another_check_is_refused() {
    let folder = Folder::new();
    let file = ended(&folder);
    let other = Options { program: "other".to_owned(), ..options(true, 1) };
    let error = refused(&other, &increments(4), &file);
    assert!(error.to_string().contains("of `program`, not of `other`"), "{error}");
    let mut rc11 = options(true, 1);
    rc11.settings.memory = MemoryModel::Rc11;
    let error = refused(&rc11, &increments(4), &file);
    assert!(error.to_string().contains("under sc, not under rc11"), "{error}");
    let error = refused(&options(false, 1), &increments(4), &file);
    assert!(matches!(error, CheckpointError::OtherCheck { .. }), "{error}");
}

#[test]
fn another_program_is_refused() {
    let folder = Folder::new();
    let file = ended(&folder);
    let error = refused(&options(true, 1), &increments(5), &file);
    assert!(matches!(error, CheckpointError::Changed { .. }), "{error}");
}

#[test]
fn a_file_that_is_something_else_is_refused() {
    let folder = Folder::new();
    let file = ended(&folder);
    let whole = std::fs::read(&file).unwrap();
    let end = whole.iter().position(|byte| *byte == b'\n').unwrap();
    let mut touched = whole.clone();
    touched[end + 5] ^= 1;
    for bytes in [&b"dear diary,\n"[..], b"{}\n", &whole[..end], &whole[..whole.len() - 1], &touched] {
        std::fs::write(&file, bytes).unwrap();
        let error = refused(&options(true, 1), &increments(4), &file);
        assert!(matches!(error, CheckpointError::NoCheckpoint { .. }), "{error}");
    }
    let text = String::from_utf8_lossy(&whole[..end]).replace("\"version\":", "\"version\":999");
    std::fs::write(&file, text + "\n").unwrap();
    let error = refused(&options(true, 1), &increments(4), &file);
    assert!(matches!(error, CheckpointError::OtherVersion { .. }), "{error}");
}

#[test]
fn a_file_that_cannot_be_written_is_said_at_once() {
    let folder = Folder::new();
    let file = folder.0.path().join("missing").join("check.checkpoint");
    let runs = AtomicU64::new(0);
    let program = || {
        runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let error = check_with_checkpoint(&options(true, 1), &program, &(), &file).unwrap_err();
    assert!(matches!(error, CheckpointError::Write { .. }), "{error}");
    assert_eq!(runs.into_inner(), 0);
}
