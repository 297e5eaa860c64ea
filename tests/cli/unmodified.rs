//! `cargo racefuzz test` over a package that knows nothing of racefuzz.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

use crate::support::has_nextest;
use crate::support::package::repository;
use crate::support::{Ran, folder, snapshot};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LIBRARY: &str = r#"
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Default)]
pub struct Counter {
    value: AtomicU32,
}

impl Counter {
    pub fn add(&self) {
        let n = self.value.load(Ordering::SeqCst);
        self.value.store(n + 1, Ordering::SeqCst);
    }

    pub fn get(&self) -> u32 {
        self.value.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
pub struct Accounts {
    left: Mutex<i64>,
    right: Mutex<i64>,
}

impl Accounts {
    pub fn to_right(&self) {
        let mut left = self.left.lock().unwrap();
        let mut right = self.right.lock().unwrap();
        *left -= 1;
        *right += 1;
    }

    pub fn to_left(&self) {
        let mut right = self.right.lock().unwrap();
        let mut left = self.left.lock().unwrap();
        *right -= 1;
        *left += 1;
    }
}

static mut HITS: u32 = 0;

pub fn hit() {
    unsafe { HITS += 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Condvar};
    use std::thread;

    #[test]
    fn counts_both() {
        let counter = Arc::new(Counter::default());
        let other = Arc::clone(&counter);
        let thread = thread::spawn(move || other.add());
        counter.add();
        thread.join().unwrap();
        assert_eq!(counter.get(), 2);
    }

    #[test]
    fn transfers() {
        let accounts = Accounts::default();
        thread::scope(|scope| {
            scope.spawn(|| accounts.to_right());
            scope.spawn(|| accounts.to_left());
        });
    }

    #[test]
    fn hits() {
        thread::scope(|scope| {
            scope.spawn(hit);
            scope.spawn(hit);
        });
    }

    #[test]
    fn hands_over() {
        let pair = (Mutex::new(None), Condvar::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                *pair.0.lock().unwrap() = Some(Box::new(7));
                pair.1.notify_one();
            });
            let mut guard = pair.0.lock().unwrap();
            while guard.is_none() {
                guard = pair.1.wait(guard).unwrap();
            }
            assert_eq!(**guard.as_ref().unwrap(), 7);
        });
    }

    #[test]
    #[should_panic(expected = "boom")]
    fn panics() {
        thread::scope(|scope| {
            scope.spawn(|| ());
        });
        panic!("boom");
    }

    #[test]
    fn sleeps_long() {
        thread::spawn(|| thread::sleep(std::time::Duration::from_secs(3_600))).join().unwrap();
    }

    #[test]
    fn returns() -> Result<(), String> {
        Err("nothing there".to_owned())
    }

    #[test]
    fn alone() {}

    #[test]
    #[ignore]
    fn ignored() {
        panic!("it is not run");
    }
}
"#;

/// Correct programs, each of a kind that was once reported.
const CORRECT: &str = r#"
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Barrier, Condvar, Mutex, Once, mpsc};
use std::thread;
use std::time::{Duration, Instant};

struct Shared<T>(UnsafeCell<T>);
unsafe impl<T> Sync for Shared<T> {}

// The standard library unlocks and locks unseen, and leaves the word of the mutex as it was.
#[test]
fn relocks_unseen() {
    let (turn, turned) = (Mutex::new((0, 0)), Condvar::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..4 {
                    let mut guard = turn.lock().unwrap();
                    guard.0 += 1;
                    if guard.0 == 4 {
                        *guard = (0, guard.1 + 1);
                        turned.notify_all();
                    } else {
                        let round = guard.1;
                        while guard.1 == round {
                            guard = turned.wait(guard).unwrap();
                        }
                    }
                }
            });
        }
    });
}

// What is written right before the standard library releases it unseen, with no step between.
#[test]
fn begins_once() {
    static ONCE: Once = Once::new();
    static VALUE: Shared<u64> = Shared(UnsafeCell::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                if !ONCE.is_completed() {
                    ONCE.call_once(|| unsafe { *VALUE.0.get() = 7 });
                }
                assert!(ONCE.is_completed());
                assert_eq!(unsafe { *VALUE.0.get() }, 7);
            });
        }
    });
}

// A sleep is to let others go first, a limit is not to be reached.
#[test]
fn sleeps_in_order() {
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(1_500));
            sender.send(1).unwrap();
        });
        assert!(receiver.recv_timeout(Duration::from_millis(1_000)).is_err());
        assert_eq!(receiver.recv_timeout(Duration::from_millis(1_000)), Ok(1));
    });
}

// Time passes for those who sleep while another spins, or looks at the clock.
#[test]
fn spins_for_a_sleeper() {
    let awake = AtomicBool::new(false);
    let begun = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_secs(60));
            awake.store(true, Ordering::Release);
        });
        while !awake.load(Ordering::Acquire) {
            std::hint::spin_loop();
        }
    });
    assert!(begun.elapsed() >= Duration::from_secs(60));
    while begun.elapsed() < Duration::from_secs(61) {}
}

// More threads than live at a time; none knows of another that has had its stack.
#[test]
fn threads_come_and_go() {
    for _ in 0..300 {
        let own = [1; 64];
        let first = thread::spawn(move || own.iter().sum::<i32>());
        let second = thread::spawn(|| thread::yield_now());
        assert_eq!(first.join().unwrap(), 64);
        second.join().unwrap();
    }
}

// Raced for on purpose.
#[test]
fn reads_volatile() {
    static FLAG: Shared<u64> = Shared(UnsafeCell::new(0));
    thread::scope(|scope| {
        scope.spawn(|| unsafe { FLAG.0.get().write_volatile(1) });
        scope.spawn(|| unsafe { FLAG.0.get().write_volatile(0) });
        assert!(unsafe { FLAG.0.get().read_volatile() } < 2);
    });
}

// The walk of a stack ends at the top of a thread's.
#[test]
fn walks_the_stack() {
    let trace = thread::spawn(|| std::backtrace::Backtrace::force_capture().to_string());
    assert!(trace.join().unwrap().contains("walks_the_stack"));
}

// An event counter in a set, as runtimes of asynchronous code wake their threads, through C's functions.
mod counters {
    use std::ffi::{c_int, c_void};
    unsafe extern "C" {
        fn eventfd(count: u32, flags: c_int) -> c_int;
        fn epoll_create1(flags: c_int) -> c_int;
        fn epoll_ctl(set: c_int, operation: c_int, file: c_int, event: *mut [u32; 3]) -> c_int;
        fn epoll_wait(set: c_int, events: *mut [u32; 3], most: c_int, timeout: c_int) -> c_int;
        fn read(file: c_int, bytes: *mut c_void, length: usize) -> isize;
        fn write(file: c_int, bytes: *const c_void, length: usize) -> isize;
        fn close(file: c_int) -> c_int;
    }

    #[test]
    fn wakes_by_a_counter() {
        let (counter, set) = unsafe { (eventfd(0, 0o4000), epoll_create1(0)) };
        let mut event = [1, 7, 0];
        let count = |count: &mut u64| (&raw mut *count).cast::<c_void>();
        unsafe {
            assert_eq!(epoll_ctl(set, 1, counter, &raw mut event), 0);
            assert_eq!(read(counter, count(&mut 0), 8), -1);
            assert_eq!(epoll_wait(set, &raw mut event, 1, 1_000), 0);
        }
        let thread = std::thread::spawn(move || unsafe { write(counter, count(&mut 3), 8) });
        let mut counted = 0;
        unsafe {
            assert_eq!(epoll_wait(set, &raw mut event, 1, -1), 1);
            assert_eq!(event, [1, 7, 0]);
            assert_eq!((read(counter, count(&mut counted), 8), counted), (8, 3));
            assert_eq!(epoll_wait(set, &raw mut event, 1, 0), 0);
            assert_eq!(thread.join().unwrap(), 8);
            assert_eq!((close(counter), close(set)), (0, 0));
        }
    }
}

// The standard library has acquired unseen what a load must not miss, whatever may be stale.
#[test]
fn is_not_stale_behind_a_park() {
    let flag = std::sync::Arc::new(AtomicBool::new(false));
    let other = flag.clone();
    let thread = thread::spawn(move || {
        while !other.load(Ordering::Acquire) {
            thread::park();
        }
    });
    flag.store(true, Ordering::Release);
    thread.thread().unpark();
    thread.join().unwrap();
}

#[test]
fn counts_under_a_lock() {
    let (lock, count) = (Mutex::new(()), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..2 {
                    let _guard = lock.lock().unwrap();
                    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(count.load(Ordering::Relaxed), 6);
}

#[test]
fn waits_for_all() {
    let barrier = Barrier::new(3);
    let values: [Shared<u32>; 3] = Default::default();
    thread::scope(|scope| {
        for index in 0..3 {
            let (barrier, values) = (&barrier, &values);
            scope.spawn(move || {
                unsafe { *values[index].0.get() = 1 };
                barrier.wait();
                assert_eq!(unsafe { *values[(index + 1) % 3].0.get() }, 1);
            });
        }
    });
}

// Parks end for a token that was there already, with no call of the system's.
#[test]
fn knows_what_was_before_an_unpark() {
    let counts = std::sync::Arc::new([const { AtomicU32::new(0) }; 2]);
    let (other, parent) = (counts.clone(), thread::current());
    let thread = thread::spawn(move || {
        for round in 1..4 {
            thread::park();
            assert!(other[0].load(Ordering::Relaxed) >= round);
            other[1].store(round, Ordering::Relaxed);
            parent.unpark();
        }
    });
    for round in 1..4 {
        counts[0].store(round, Ordering::Relaxed);
        thread.thread().unpark();
        thread::park();
        assert!(counts[1].load(Ordering::Relaxed) >= round);
    }
    thread.join().unwrap();
}

// Atomics that their owner makes, and makes anew, by accesses that are not atomic.
#[test]
fn begins_atomics_anew() {
    let mut counts: Vec<AtomicU32> = (0..3).map(|_| AtomicU32::new(0)).collect();
    for round in 1..4 {
        counts.iter_mut().for_each(|count| *count.get_mut() = round);
        thread::scope(|scope| {
            for index in 0..2 {
                let counts = &counts;
                scope.spawn(move || {
                    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) >= round));
                    counts[index].fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(counts[0].load(Ordering::Relaxed), round + 1);
        assert_eq!(counts[2].load(Ordering::Relaxed), round);
    }
}

// Atomics that nobody has written to when others know of them: the memory was zero.
#[test]
fn begins_with_zeroes() {
    let layout = std::alloc::Layout::array::<AtomicU32>(4).unwrap();
    let counts = unsafe { std::slice::from_raw_parts(std::alloc::alloc_zeroed(layout).cast::<AtomicU32>(), 4) };
    thread::scope(|scope| {
        for index in 0..3 {
            scope.spawn(move || {
                counts[index].store(1, Ordering::Relaxed);
                counts[3].fetch_add(1, Ordering::Release);
                while counts[3].load(Ordering::Acquire) < 3 {
                    thread::yield_now();
                }
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) > 0));
            });
        }
    });
}

// Barriers that the processor has and the compiler does not see: at least one thread sees what the other has stored.
mod barriers {
    use std::arch::asm;
    use std::cell::UnsafeCell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering, compiler_fence};
    use std::thread;

    fn sees_one(barriers: [fn(); 2]) {
        let words = Arc::new([const { AtomicU32::new(0) }; 2]);
        let threads = [0, 1].map(|me| {
            let words = words.clone();
            thread::spawn(move || {
                words[me].store(1, Ordering::Relaxed);
                barriers[me]();
                words[1 - me].load(Ordering::Relaxed)
            })
        });
        assert!(threads.map(|thread| thread.join().unwrap()) != [0, 0]);
    }

    fn locks() {
        let word = UnsafeCell::new(0_usize);
        unsafe { asm!("lock not qword ptr [{0}]", in(reg) word.get(), options(nostack, preserves_flags)) };
    }

    fn fences() {
        unsafe { std::arch::x86_64::_mm_mfence() };
    }

    fn swaps() {
        AtomicU32::new(0).swap(1, Ordering::SeqCst);
        compiler_fence(Ordering::SeqCst);
    }

    fn nothing() {
        compiler_fence(Ordering::SeqCst);
    }

    // All threads pass a barrier, wherever they are.
    fn asks_the_system() {
        unsafe extern "C" {
            fn syscall(number: i64, ...) -> i64;
        }
        for command in [1 << 4, 1 << 3] {
            assert_eq!(unsafe { syscall(324, command, 0, 0) }, 0);
        }
    }

    #[test]
    fn locked() {
        sees_one([locks, locks]);
    }

    #[test]
    fn fenced() {
        sees_one([fences, locks]);
    }

    #[test]
    fn swapped() {
        sees_one([swaps, fences]);
    }

    #[test]
    fn one_for_all() {
        sees_one([nothing, asks_the_system]);
        sees_one([asks_the_system, nothing]);
    }
}

// A thread goes on with what it has released: crates that are compiled for the thread sanitizer do so.
#[test]
fn stores_behind_its_own_release() {
    let shared = std::sync::Arc::new((Shared(UnsafeCell::new(0)), AtomicU32::new(0)));
    let other = shared.clone();
    let thread = thread::spawn(move || {
        unsafe { *other.0.0.get() = 7 };
        other.1.store(2, Ordering::Release);
        other.1.store(1, Ordering::Relaxed);
    });
    if shared.1.load(Ordering::Acquire) > 0 {
        assert_eq!(unsafe { *shared.0.0.get() }, 7);
    }
    thread.join().unwrap();
}

// A lock that is taken and given back in assembly.
#[test]
fn locks_in_assembly() {
    use std::arch::asm;
    let lock = std::sync::Arc::new((Shared(UnsafeCell::new(0_u64)), Shared(UnsafeCell::new(0)), AtomicU32::new(0)));
    let threads = [(); 3].map(|()| {
        let lock = lock.clone();
        thread::spawn(move || {
            let word = lock.0.0.get();
            loop {
                let held: u8;
                unsafe { asm!("lock bts qword ptr [{0}], 0", "setc {1}", in(reg) word, out(reg_byte) held) };
                if held == 0 {
                    break;
                }
                thread::yield_now();
            }
            unsafe { *lock.1.0.get() += 1 };
            lock.2.store(lock.2.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            unsafe { asm!("lock btr qword ptr [{0}], 0", in(reg) word) };
        })
    });
    threads.map(|thread| thread.join().unwrap());
    assert_eq!((unsafe { *lock.1.0.get() }, lock.2.load(Ordering::Relaxed)), (3, 3));
}

// What others have stored before a sleep ends is there when it has ended.
#[test]
fn is_not_stale_behind_a_sleep() {
    let count = std::sync::Arc::new(AtomicU32::new(0));
    let other = count.clone();
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        other.store(1, Ordering::Relaxed);
    });
    assert_eq!(count.load(Ordering::Relaxed), 0);
    thread::sleep(Duration::from_millis(1_000));
    assert_eq!(count.load(Ordering::Relaxed), 1);
    thread.join().unwrap();
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self(UnsafeCell::new(T::default()))
    }
}
"#;

/// What is wrong under weak memory only, on the stack and in the heap.
const WEAK: &str = r#"
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

#[test]
fn passes_a_message_on_the_heap() {
    let words = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let [to, from] = [words.clone(), words];
    let sender = thread::spawn(move || {
        to.0.store(7, Relaxed);
        to.1.store(1, Relaxed);
    });
    let receiver = thread::spawn(move || {
        if from.1.load(Relaxed) == 1 {
            assert_eq!(from.0.load(Relaxed), 7);
        }
    });
    receiver.join().unwrap();
    sender.join().unwrap();
}

// A fence for the compiler alone is none.
#[test]
fn orders_the_compiler() {
    let words = Arc::new([const { AtomicU32::new(0) }; 2]);
    let threads = [0, 1].map(|me| {
        let words = words.clone();
        thread::spawn(move || {
            words[me].store(1, Relaxed);
            std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
            words[1 - me].load(Relaxed)
        })
    });
    assert!(threads.map(|thread| thread.join().unwrap()) != [0, 0]);
}

#[test]
fn passes_a_message() {
    let (data, ready) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            data.store(7, Relaxed);
            ready.store(1, Relaxed);
        });
        if ready.load(Relaxed) == 1 {
            assert_eq!(data.load(Relaxed), 7);
        }
    });
}
"#;

/// A program whose `main` loses an update, with as many threads as its argument says.
const MAIN: &str = r#"
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static HITS: AtomicU32 = AtomicU32::new(0);

fn main() {
    let threads: u32 = std::env::args().nth(1).map_or(1, |text| text.parse().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| HITS.store(HITS.load(SeqCst) + 1, SeqCst));
        }
    });
    if HITS.load(SeqCst) != threads {
        std::process::exit(3);
    }
}
"#;

/// The library that programs under test are linked to, built once for the tests of this file.
pub fn library() -> PathBuf {
    // What it depends on is there, for the most part.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("");
    let mut build = Command::new(env!("CARGO"));
    build.args(["rustc", "--quiet", "-p", "racefuzz-hooks", "--lib", "--features", "interpose"]);
    build.args(["--crate-type", "cdylib", "--target-dir"]).arg(&target).current_dir(repository());
    // As quick as what these tests are linked to, and the same.
    for (package, level) in
        [("runtime", 2), ("check", 2), ("fuzz", 2), ("trace", 1), ("hooks", 1), ("fix", 1)]
    {
        build.arg("--config").arg(format!("profile.dev.package.racefuzz-{package}.opt-level={level}"));
    }
    for package in ["corosensei", "smallvec"] {
        build.arg("--config").arg(format!("profile.dev.package.{package}.opt-level=2"));
    }
    build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    assert!(build.status().expect("cargo runs").success());
    target.join("debug/libracefuzz_hooks.so")
}

pub fn run(folder: &Path, library: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-racefuzz"));
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        let habits =
            ["NEXTEST", "RACEFUZZ", "RUSTFLAGS", "CARGO_ENCODED", "CARGO_PKG", "CARGO_TARGET", "INSTA"];
        if habits.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&variable);
        }
    }
    command.args(arguments).current_dir(folder).env("RACEFUZZ_HOOKS_LIBRARY", library);
    command.env("CARGO_TERM_COLOR", "never").env("CARGO_NET_OFFLINE", "true").env("RUST_BACKTRACE", "1");
    command.output().expect("it runs").into()
}

/// The lines of the command on standard error, without times and without cargo's.
pub fn lines(stderr: &str) -> String {
    let cargos = ["Compiling", "Finished", "Blocking"];
    let own = stderr.lines().filter(|line| !cargos.iter().any(|word| line.trim_start().starts_with(word)));
    let plain = own.map(|line| {
        let line = match (line.find('['), line.find("s] ")) {
            (Some(from), Some(to)) => format!("{}[{}", &line[..from], &line[to..]),
            _ => line.to_owned(),
        };
        match (line.find(" executions in "), line.find("s: ")) {
            (Some(from), Some(to)) if from < to => {
                format!("{} executions in {}\n", &line[..from], &line[to..])
            }
            _ => format!("{line}\n"),
        }
    });
    plain.collect()
}

#[test]
fn a_package_is_tested_without_a_change() {
    let library = library();
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("src")).unwrap();
    fs::write(path("Cargo.toml"), "[package]\nname = \"bank\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .unwrap();
    fs::write(path("src/lib.rs"), LIBRARY).unwrap();
    let run = |arguments: &[&str]| run(folder.path(), &library, arguments);

    let first = run(&["test", "--jobs", "1", "--iterations", "200", "--max-time", "1m", "--seed", "42"]);
    assert_eq!(first.code, Some(1), "{}{}", first.stdout, first.stderr);
    snapshot("cli__unmodified", &format!("{}\n{}", lines(&first.stderr), first.stdout));

    let kept = fs::read_to_string(path("racefuzz-regressions/bank/lib-tests.txt")).unwrap();
    let token = kept.lines().find(|line| line.starts_with("bank/lib::tests::counts_both:")).unwrap();
    let token = token.split(" #").next().unwrap();
    let replayed = run(&["replay", token]);
    assert_eq!(replayed.code, Some(1), "{}{}", replayed.stdout, replayed.stderr);
    assert!(replayed.stdout.contains("replayed") && replayed.stdout.contains("lost update on `value`"));

    // What is kept is tried first.
    let again = run(&["test", "counts_both", "--seed", "7"]);
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    assert!(again.stdout.contains("kept"), "{}", again.stdout);
    assert_eq!(fs::read_to_string(path("racefuzz-regressions/bank/lib-tests.txt")).unwrap(), kept);

    // The same seed gives the same bytes, whatever runs beside.
    fs::remove_dir_all(path("racefuzz-regressions")).unwrap();
    let second = run(&["test", "--jobs", "2", "--iterations", "200", "--max-time", "1m", "--seed", "42"]);
    assert_eq!(second.stdout, first.stdout);

    fs::create_dir(path("tests")).unwrap();
    fs::write(path("tests/correct.rs"), CORRECT).unwrap();
    let correct = run(&["test", "--test", "correct", "--iterations", "20", "--max-time", "1m"]);
    assert_eq!(correct.code, Some(0), "{}{}", correct.stdout, correct.stderr);
    assert!(correct.stderr.contains(" 21 tests, "), "{}", correct.stderr);
    let strong =
        run(&["test", "--test", "correct", "--memory", "sc", "--iterations", "10", "--max-time", "1m"]);
    assert_eq!(strong.code, Some(0), "{}{}", strong.stdout, strong.stderr);

    // What is wrong under weak memory only.
    fs::write(path("tests/weak.rs"), WEAK).unwrap();
    let weak = ["test", "--test", "weak", "--iterations", "200"];
    assert_eq!(run(&[&weak[..], &["--memory", "sc"]].concat()).code, Some(0));
    let stale = run(&weak);
    assert_eq!(stale.code, Some(1), "{}{}", stale.stdout, stale.stderr);
    assert!(stale.stderr.contains("0 passed, 3 failed"), "{}", stale.stderr);

    // An expression is cargo-nextest's to read.
    let mut filtered = vec!["test", "-E", "test(/s_over$/)", "--lib", "--iterations", "10"];
    let absent = Command::new(env!("CARGO_BIN_EXE_cargo-racefuzz"))
        .args(&filtered)
        .current_dir(folder.path())
        .envs([("PATH", folder.path()), ("CARGO_HOME", folder.path())])
        .output()
        .unwrap();
    let said = String::from_utf8(absent.stderr).unwrap();
    assert_eq!((absent.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("cargo-nextest is not there"), "{said}");
    if has_nextest() {
        let matching = run(&filtered);
        assert_eq!(matching.code, Some(0), "{}{}", matching.stdout, matching.stderr);
        assert!(
            matching.stderr.contains("bank/lib::tests::hands_over  10 executions"),
            "{}",
            matching.stderr
        );
        assert!(matching.stderr.contains(" 1 test, "), "{}", matching.stderr);
        filtered[2] = "test((";
        assert_eq!(run(&filtered).code, Some(2));
    }

    // A `main`, by its name and with arguments of its own.
    fs::create_dir(path("src/bin")).unwrap();
    fs::write(path("src/bin/hits.rs"), MAIN).unwrap();
    let two = ["run", "hits", "--seed", "42", "--", "--", "2"];
    let main = run(&two);
    assert_eq!(main.code, Some(1), "{}{}", main.stdout, main.stderr);
    snapshot("cli__unmodified_main", &format!("{}\n{}", lines(&main.stderr), main.stdout));
    let kept = fs::read_to_string(path("racefuzz-regressions/tests.txt")).unwrap();
    let token = kept.lines().find(|line| line.starts_with("bank/bin/hits:")).unwrap();
    let token = token.split(" #").next().unwrap();
    let replayed = run(&["replay", token, "--", "--", "2"]);
    assert_eq!(replayed.code, Some(1), "{}{}", replayed.stdout, replayed.stderr);
    assert!(!replayed.stdout.contains("internal step on"), "{}", replayed.stdout);
    let unfolded = run(&["replay", token, "--all-steps", "--", "--", "2"]);
    assert!(unfolded.stdout.contains("  spawn thread 1\n"), "{}", unfolded.stdout);
    assert!(unfolded.stdout.contains("internal step on"), "{}", unfolded.stdout);
    // Without debug information nobody could tell what is the standard library's: a profile cannot leave it out.
    let optimised = run(&["run", "hits", "--", "--release", "--", "2"]);
    assert!(optimised.stdout.contains("src/bin/hits.rs:10 "), "{}", optimised.stdout);
    let alone = run(&["run", "--bin", "hits"]);
    assert_eq!(alone.code, Some(0), "{}{}", alone.stdout, alone.stderr);
    let wrong = run(&["run", "--bin", "hits", "--workers", "2"]);
    assert_eq!((wrong.code, wrong.stderr.lines().count()), (Some(2), 1), "{}", wrong.stderr);

    let passes = run(&["test", "hands_over", "--iterations", "100"]);
    assert_eq!(passes.code, Some(0), "{}{}", passes.stdout, passes.stderr);
    assert_eq!(passes.stdout, "");
}

#[test]
fn what_cannot_be_tested_is_said_in_one_line() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let nowhere = Path::new("/nonexistent.so");
    let mut text = String::new();
    let mut said = |arguments: &[&str]| {
        let ran = run(folder.path(), nowhere, arguments);
        let mut own =
            ran.stderr.lines().filter(|line| line.starts_with("error: ") || line.starts_with("note: "));
        let last =
            own.next_back().unwrap_or_default().replace(&folder.path().display().to_string(), "FOLDER");
        text.push_str(&format!("{} {:?}\n  {last}\n", arguments.join(" "), ran.code));
    };
    said(&["test"]);
    said(&["test", "--iterations", "0"]);
    said(&["test", "--memory", "tso"]);
    fs::create_dir(path("src")).unwrap();
    fs::write(path("Cargo.toml"), "[package]\nname = \"broken\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .unwrap();
    fs::write(path("src/lib.rs"), "this is no Rust").unwrap();
    said(&["test"]);
    snapshot("cli__unmodified_errors", &text);
}
