//! Each part of the interface in a small program.

use shuttle::scheduler::{
    DfsScheduler, PctScheduler, RandomScheduler, RoundRobinScheduler, UrwRandomScheduler,
};
use shuttle::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use shuttle::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock, mpsc};
use shuttle::{Config, FailurePersistence, MaxSteps, PortfolioRunner, Runner, future, thread};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The panic's text.
fn failure(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("the program must fail");
    *payload.downcast::<String>().expect("text")
}

/// Two threads that each add one, in two steps.
fn lost_update() {
    let count = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&count);
    let other = thread::spawn(move || theirs.store(theirs.load(SeqCst) + 1, SeqCst));
    count.store(count.load(SeqCst) + 1, SeqCst);
    other.join().unwrap();
    assert_eq!(count.load(SeqCst), 2, "an increment is gone");
}

fn increments() {
    let count = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&count);
    let other = thread::spawn(move || theirs.fetch_add(1, SeqCst));
    count.fetch_add(1, SeqCst);
    other.join().unwrap();
    assert_eq!(count.load(SeqCst), 2);
}

/// How often a run runs the program.
fn executions(run: impl FnOnce(Box<dyn Fn() + Send + Sync>)) -> usize {
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    run(Box::new(move || {
        counted.fetch_add(1, SeqCst);
        increments();
    }));
    count.load(SeqCst)
}

#[test]
fn every_check_finds_a_lost_update() {
    for text in [
        failure(|| shuttle::check_random(lost_update, 1_000)),
        failure(|| shuttle::check_random_with_seed(lost_update, 7, 1_000)),
        failure(|| shuttle::check_pct(lost_update, 1_000, 3)),
        failure(|| shuttle::check_urw(lost_update, 1_000)),
        failure(|| shuttle::check_dfs(lost_update, None)),
    ] {
        assert!(text.contains("lost update"), "{text}");
        assert!(text.contains("tests/surface.rs"), "{text}");
    }
}

#[test]
fn a_correct_program_has_its_iterations() {
    assert_eq!(executions(|f| shuttle::check(f)), 1);
    assert_eq!(executions(|f| shuttle::check_random(f, 30)), 30);
    assert_eq!(executions(|f| shuttle::check_pct(f, 31, 2)), 31);
    assert_eq!(executions(|f| shuttle::check_urw(f, 32)), 32);
    // Each schedule twice.
    assert_eq!(executions(|f| shuttle::check_uncontrolled_nondeterminism(f, 33)), 66);
}

#[test]
fn runners_count_what_they_run() {
    let config = Config::new;
    assert_eq!(Runner::new(RandomScheduler::new(20), config()).run(increments), 20);
    assert_eq!(Runner::new(RoundRobinScheduler::new(3), config()).run(increments), 3);
    assert_eq!(Runner::new(UrwRandomScheduler::new_from_seed(1, 4), config()).run(increments), 4);
    assert_eq!(Runner::new(PctScheduler::new_from_seed(1, 2, 5), config()).run(increments), 5);
    // The two additions in either order.
    assert_eq!(Runner::new(DfsScheduler::new(None, false), config()).run(increments), 2);
}

#[test]
fn a_portfolio_fails_if_one_of_it_does() {
    let mut runner = PortfolioRunner::new(true, Config::default());
    runner.add(RoundRobinScheduler::new(1));
    runner.add(PctScheduler::new(3, 1_000));
    assert!(failure(|| runner.run(lost_update)).contains("lost update"));
}

#[test]
fn a_token_repeats_a_failure() {
    let text = failure(|| shuttle::check_random(lost_update, 1_000));
    let token = text.split_once("RACEFUZZ_REPLAY='").unwrap().1.split_once('\'').unwrap().0.to_owned();
    assert!(failure(|| shuttle::replay(lost_update, &token)).contains("lost update"));
    let text = failure(|| shuttle::replay(lost_update, "910102ccdedf9592aba2afd70104"));
    assert!(text.starts_with("910102ccdedf9592aba2afd70104: "), "{text}");
}

#[test]
fn a_failing_schedule_goes_to_a_file() {
    let folder = std::env::temp_dir().join(format!("racefuzz-shuttle-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut config = Config::default();
    config.failure_persistence = FailurePersistence::File(Some(folder.clone()));
    for _ in 0..2 {
        let text = failure(|| _ = Runner::new(RandomScheduler::new(1_000), config.clone()).run(lost_update));
        assert!(text.contains("failing schedule persisted to file"), "{text}");
    }
    let text = failure(|| shuttle::replay_from_file(lost_update, folder.join("schedule001.txt")));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(text.contains("lost update"), "{text}");
}

#[test]
fn steps_are_limited_as_the_settings_say() {
    fn endless() {
        let flag = AtomicUsize::new(0);
        while flag.load(SeqCst) == 0 {
            thread::yield_now();
        }
    }
    let mut config = Config::default();
    config.max_steps = MaxSteps::FailAfter(50);
    let text = failure(|| _ = Runner::new(RandomScheduler::new(5), config.clone()).run(endless));
    assert!(text.contains("livelock"), "{text}");
    config.max_steps = MaxSteps::ContinueAfter(50);
    assert_eq!(Runner::new(RandomScheduler::new(5), config.clone()).run(endless), 5);
    let text = failure(|| _ = Runner::new(RandomScheduler::new(500), config).run(lost_update));
    assert!(text.contains("lost update"), "{text}");
}

#[test]
fn nondeterminism_that_is_not_the_schedules_is_found() {
    static RUNS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let text = failure(|| {
        shuttle::check_uncontrolled_nondeterminism(
            || {
                let lock = Mutex::new(0);
                for _ in 0..RUNS.fetch_add(1, SeqCst) % 2 {
                    *lock.lock().unwrap() += 1;
                }
                *lock.lock().unwrap() += 1;
            },
            10,
        );
    });
    assert!(text.contains("The same schedule led to two executions"), "{text}");
}

#[test]
fn random_values_are_part_of_the_schedule() {
    use shuttle::rand::{Rng, thread_rng};
    fn unlucky() {
        assert_ne!(thread_rng().r#gen::<u64>() % 10, 7, "unlucky");
    }
    let text = failure(|| shuttle::check_random(unlucky, 1_000));
    let token = text.split_once("RACEFUZZ_REPLAY='").unwrap().1.split_once('\'').unwrap().0.to_owned();
    assert!(failure(|| shuttle::replay(unlucky, &token)).contains("unlucky"));
}

#[test]
fn tasks_act_at_every_step_of_each_other() {
    // No await between the two steps, and yet an increment may be lost: tasks have threads.
    let text = failure(|| {
        shuttle::check_random(
            || {
                let count = Arc::new(AtomicUsize::new(0));
                let tasks: Vec<_> = (0..2)
                    .map(|_| {
                        let count = Arc::clone(&count);
                        future::spawn(async move { count.store(count.load(SeqCst) + 1, SeqCst) })
                    })
                    .collect();
                future::block_on(async {
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
                assert_eq!(count.load(SeqCst), 2);
            },
            1_000,
        );
    });
    assert!(text.contains("lost update"), "{text}");
}

#[test]
fn a_task_is_aborted_or_ends_before_that() {
    let seen = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let all = Arc::clone(&seen);
    shuttle::check_random(
        move || {
            let task = future::spawn(async {
                future::yield_now().await;
                5
            });
            let other = task.abort_handle();
            other.abort();
            let result = future::block_on(task);
            assert!(other.is_finished());
            all.lock().unwrap().insert(result.map_err(|error| error.to_string()));
        },
        1_000,
    );
    let wanted = BTreeSet::from([Ok(5), Err("task was cancelled".to_owned())]);
    assert_eq!(*seen.lock().unwrap(), wanted);
}

#[test]
fn a_task_need_not_be_send() {
    shuttle::check_random(
        || {
            let value = std::rc::Rc::new(3);
            let task = future::spawn_local(async move { value });
            assert_eq!(*future::block_on(task).unwrap(), 3);
        },
        50,
    );
}

shuttle::lazy_static! {
    static ref TABLE: Mutex<Vec<u32>> = Mutex::new(Vec::new());
}

shuttle::thread_local! {
    static MINE: std::cell::Cell<u32> = const { std::cell::Cell::new(1) };
}

#[test]
fn the_rest_of_std_is_there() {
    shuttle::check_random(
        || {
            shuttle::lazy_static::initialize(&TABLE);
            assert!(TABLE.lock().unwrap().is_empty());
            let (sender, receiver) = mpsc::sync_channel(0);
            let shared =
                Arc::new((RwLock::new(0), Barrier::new(2), Once::new(), Condvar::new(), Mutex::new(())));
            let theirs = Arc::clone(&shared);
            let other = thread::Builder::new()
                .name("other".into())
                .spawn(move || {
                    MINE.set(2);
                    *theirs.0.write().unwrap() += 1;
                    theirs.2.call_once(|| ());
                    theirs.1.wait();
                    sender.send(MINE.get()).unwrap();
                    theirs.3.notify_all();
                })
                .unwrap();
            shared.1.wait();
            assert_eq!(*shared.0.read().unwrap(), 1);
            assert_eq!(receiver.recv(), Ok(2));
            drop(shared.4.lock().unwrap());
            other.join().unwrap();
            assert_eq!(MINE.get(), 1);
            assert_eq!(shuttle::current::me(), thread::current().id());
            shuttle::hint::spin_loop();
        },
        100,
    );
}
