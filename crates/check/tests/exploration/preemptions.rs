//! Bounds on preemptions, against all schedules of small programs.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use racefuzz_primitives::sync::atomic::{AtomicBool, AtomicUsize};
use racefuzz_primitives::sync::{Arc, Condvar, Mutex, RwLock, mpsc};
use racefuzz_primitives::{hint, thread};
use racefuzz_runtime::{Alternatives, Config, Explorer, Record, Runner, ThreadChoice};
use racefuzz_trace::{MemoryModel, ObjectKind, Outcome, ThreadId, Trace};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Op {
    Load(usize),
    Store(usize),
    Add(usize),
    Exchange(usize),
    Lock,
    Unlock,
    TryLock,
    Yield,
}

/// A program: what each thread does.
type Program = Vec<Vec<Op>>;

struct Shared {
    cells: [AtomicUsize; 2],
    lock: Mutex<()>,
}

fn act(ops: &[Op], shared: &Shared) {
    let mut guard = None;
    for (at, op) in ops.iter().enumerate() {
        match *op {
            Op::Load(cell) => drop(shared.cells[cell].load(SeqCst)),
            Op::Store(cell) => shared.cells[cell].store(at + 1, SeqCst),
            Op::Add(cell) => drop(shared.cells[cell].fetch_add(1, SeqCst)),
            Op::Exchange(cell) => drop(shared.cells[cell].compare_exchange(0, 9, SeqCst, SeqCst)),
            Op::Lock if guard.is_none() => guard = Some(shared.lock.lock().unwrap()),
            Op::Lock => {}
            Op::Unlock => guard = None,
            Op::TryLock => drop(guard.is_none().then(|| drop(shared.lock.try_lock()))),
            Op::Yield => thread::yield_now(),
        }
    }
}

fn run(program: &Program) {
    let cells = [
        AtomicUsize::new(0), //
        AtomicUsize::new(0),
    ];
    let shared = Arc::new(Shared { cells, lock: Mutex::new(()) });
    let threads: Vec<_> = program[1..]
        .iter()
        .map(|ops| {
            let (ops, shared) = (ops.clone(), Arc::clone(&shared));
            thread::spawn(move || act(&ops, &shared))
        })
        .collect();
    act(&program[0], &shared);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Walks through every schedule with at most so many preemptions.
struct Schedules {
    most: u32,
    preemptions: u32,
    /// What was chosen at each point of the path, and the alternatives that are left.
    path: Vec<Vec<ThreadId>>,
    depth: usize,
    /// Who executed the last event.
    last: ThreadId,
}

impl Schedules {
    fn next(&mut self) -> bool {
        while let Some(last) = self.path.last_mut() {
            last.pop();
            if !last.is_empty() {
                return true;
            }
            self.path.pop();
        }
        false
    }
}

impl Explorer for Schedules {
    fn begin(&mut self) {
        (self.preemptions, self.depth, self.last) = (0, 0, ThreadId::ROOT);
    }

    fn observes(&self) -> bool {
        true
    }

    fn executed(&mut self, thread: ThreadId, _: &racefuzz_runtime::Op) {
        self.last = thread;
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        // Not `choice.current`, which a thread is that was created and stands before its first event.
        let goes_on = Some(self.last).filter(|last| choice.options.contains(last) && !choice.yielded(*last));
        if self.depth == self.path.len() {
            let is_allowed =
                |thread: &ThreadId| self.preemptions < self.most || goes_on.is_none_or(|on| on == *thread);
            self.path.push(choice.options.iter().copied().filter(is_allowed).collect());
        }
        let chosen = *self.path[self.depth].last().unwrap();
        self.depth += 1;
        self.preemptions += u32::from(goes_on.is_some_and(|on| on != chosen));
        chosen
    }

    fn choose(&mut self, _: Alternatives) -> u32 {
        0
    }
}

/// What two schedules of one class have in common: for each object its writes, and between them its
/// reads, in any order.
fn class(trace: &Trace) -> String {
    let mut counts = vec![0; trace.threads.len()];
    let mut objects: BTreeMap<u32, Vec<Vec<(u32, u32)>>> = BTreeMap::new();
    for event in &trace.events {
        let Some(object) = event.object.map(|object| &trace.objects[object.index()]) else { continue };
        if !matches!(object.kind, ObjectKind::Atomic | ObjectKind::Mutex) {
            continue;
        }
        let me = (event.thread.index() as u32, counts[event.thread.index()]);
        counts[event.thread.index()] += 1;
        let line = trace.site(object.created.unwrap()).line;
        let groups = objects.entry(line).or_insert_with(|| vec![Vec::new()]);
        if event.kind.writes() && event.ok {
            groups.push(vec![me]);
            groups.push(Vec::new());
        } else {
            groups.last_mut().unwrap().push(me);
        }
    }
    objects.values_mut().flatten().for_each(|group| group.sort_unstable());
    format!("{objects:?}")
}

/// For each class the least number of preemptions of its schedules.
fn classes(program: &Program, most: u32) -> BTreeMap<String, u32> {
    let config = Config { memory: MemoryModel::Sc, ..Config::default() };
    let mut runner = Runner::new(config);
    let mut schedules = Schedules { most, preemptions: 0, path: Vec::new(), depth: 0, last: ThreadId::ROOT };
    let mut classes = BTreeMap::new();
    loop {
        let ended = runner.run(&|| run(program), &mut schedules, Record::Trace);
        assert!(ended.failure.is_none(), "{program:?}");
        let trace = ended.trace.unwrap();
        let least = classes.entry(class(&trace)).or_insert(u32::MAX);
        *least = schedules.preemptions.min(*least);
        if !schedules.next() {
            return classes;
        }
    }
}

/// SplitMix64.
fn random(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((u128::from(z ^ z >> 31) * below as u128) >> 64) as usize
}

fn generate(seed: u64) -> Program {
    let mut state = seed;
    let threads = 2 + random(&mut state, 2);
    let thread = |_| {
        let mut ops: Vec<Op> = Vec::new();
        let length = 1 + random(&mut state, if threads == 2 { 5 } else { 3 });
        while ops.len() < length {
            // A thread that does nothing ends before its creator is seen to go on.
            let (kind, cell) =
                (random(&mut state, if ops.is_empty() { 7 } else { 8 }), random(&mut state, 2));
            ops.push(match kind {
                // Who reads the same twice gives way under a schedule.
                0 | 1 if !ops.iter().any(|op| matches!(op, Op::Load(_))) => Op::Load(cell),
                0..=3 => Op::Store(cell),
                4 => Op::Add(cell),
                5 if !ops.iter().any(|op| matches!(op, Op::Exchange(_))) => Op::Exchange(cell),
                5 => Op::Add(cell),
                6 => Op::Lock,
                7 if cell == 0 => Op::Unlock,
                _ => Op::TryLock,
            });
        }
        ops
    };
    (0..threads).map(thread).collect()
}

fn explored(program: &Program, preemptions: u32) -> u64 {
    let mut options = Options { preemptions: Some(preemptions), ..Options::default() };
    options.settings.memory = MemoryModel::Sc;
    let report = check(&options, &|| run(program), &());
    assert_eq!(report.outcome(), Outcome::Passed, "{program:?}");
    assert_eq!(report.proof.unwrap().preemptions, Some(preemptions));
    assert_eq!(report.blocked(), 0);
    report.executions()
}

/// Programs of the test; more, or others, by the environment.
#[test]
fn exactly_the_classes_within_a_bound_are_explored() {
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let start = number("RACEFUZZ_TEST_SEED", 0u64);
    let mut beyond = 0;
    for seed in start..start + number("RACEFUZZ_TEST_PROGRAMS", 150u64) {
        let program = generate(seed);
        let classes = classes(&program, 2);
        for most in 0..=2 {
            let expected = classes.values().filter(|least| **least <= most).count() as u64;
            assert_eq!(explored(&program, most), expected, "seed {seed}, {most} preemptions: {program:?}");
            beyond += classes.len() as u64 - expected;
        }
    }
    assert!(beyond > 100, "the bounds must matter");
}

/// Behind a yield the turn is given, not taken; here each thread may have it before the other goes on.
/// (The schedules above do not know of yields that do nothing.)
#[test]
fn a_thread_that_yields_is_not_preempted() {
    // Between the two stores of the other thread a load needs two switches, but for the yields.
    let polite = vec![vec![Op::Load(0)], vec![Op::Store(0), Op::Yield, Op::Store(0)]];
    let rude = vec![vec![Op::Load(0)], vec![Op::Store(0), Op::Store(0)]];
    assert_eq!([0, 1, 2].map(|most| explored(&rude, most)), [1, 2, 3]);
    assert_eq!([0, 1, 2].map(|most| explored(&polite, most)), [1, 3, 3]);
}

/// Two threads with the same shared state.
fn two<T: Default + Send + Sync + 'static>(first: fn(&T), second: fn(&T)) {
    let shared = Arc::new(T::default());
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || second(&other));
    first(&shared);
    thread.join().unwrap();
}

/// Where a bound is higher than what any class needs, the classes are those that are explored without one:
/// whatever threads wait for.
#[test]
fn a_bound_that_nothing_needs_leaves_nothing_out() {
    type Flags = [AtomicBool; 2];
    type Queue = (Mutex<Vec<u32>>, Condvar);
    fn spin(flag: &AtomicBool) {
        while !flag.load(Acquire) {
            hint::spin_loop();
        }
    }
    fn ticket(numbers: &[AtomicUsize; 3]) {
        let mine = numbers[0].fetch_add(1, Relaxed);
        while numbers[1].load(Acquire) != mine {
            hint::spin_loop();
        }
        numbers[2].store(numbers[2].load(Relaxed) + 1, Relaxed);
        numbers[1].store(mine + 1, Release);
    }
    fn exchange_lock(lock: &Flags) {
        while lock[0].compare_exchange(false, true, Acquire, Relaxed).is_err() {
            thread::yield_now();
        }
        lock[1].store(true, Relaxed);
        lock[0].store(false, Release);
    }
    let programs: [(&str, &(dyn Fn() + Sync)); 12] = [
        ("flag", &|| two::<Flags>(|flags| spin(&flags[0]), |flags| flags[0].store(true, Release))),
        ("two flags", &|| {
            two::<Flags>(
                |flags| {
                    spin(&flags[0]);
                    flags[1].store(true, Release);
                },
                |flags| {
                    flags[0].store(true, Release);
                    spin(&flags[1]);
                },
            );
        }),
        ("a flag that comes and goes", &|| {
            two::<Flags>(
                |flags| {
                    spin(&flags[0]);
                    flags[1].store(true, Relaxed);
                },
                |flags| {
                    flags[0].store(true, Relaxed);
                    flags[1].load(Relaxed);
                    flags[0].store(false, Relaxed);
                    flags[0].store(true, Relaxed);
                },
            );
        }),
        ("tickets", &|| two(ticket, ticket)),
        ("exchange lock", &|| two(exchange_lock, exchange_lock)),
        ("swap lock", &|| {
            fn act(lock: &Flags) {
                while lock[0].swap(true, Acquire) {
                    hint::spin_loop();
                }
                lock[0].store(false, Release);
            }
            two(act, act);
        }),
        ("fetch_update", &|| {
            fn act(count: &AtomicUsize) {
                count.fetch_update(AcqRel, Relaxed, |n| Some(n + 1)).unwrap();
            }
            two(act, act);
        }),
        ("mutex", &|| {
            fn act(count: &Mutex<u32>) {
                *count.lock().unwrap() += 1;
                *count.lock().unwrap() += 1;
            }
            two(act, act);
        }),
        ("try_lock", &|| {
            two::<Mutex<u32>>(
                |count| {
                    while count.try_lock().map(|mut count| *count += 1).is_err() {
                        thread::yield_now();
                    }
                },
                |count| *count.lock().unwrap() += 1,
            );
        }),
        ("read-write lock", &|| {
            two::<RwLock<u32>>(|lock| assert!(*lock.read().unwrap() < 2), |lock| *lock.write().unwrap() += 1);
        }),
        ("condvar", &|| {
            two::<Queue>(
                |(queue, more)| {
                    let mut queue = queue.lock().unwrap();
                    while queue.pop().is_none() {
                        queue = more.wait(queue).unwrap();
                    }
                },
                |(queue, more)| {
                    queue.lock().unwrap().push(1);
                    more.notify_one();
                },
            );
        }),
        ("channel and park", &|| {
            let (sender, receiver) = mpsc::channel();
            let main = thread::current();
            let thread = thread::spawn(move || {
                sender.send(1).unwrap();
                main.unpark();
                sender.send(2).unwrap();
            });
            thread::park();
            assert_eq!(receiver.iter().count(), 2);
            thread.join().unwrap();
        }),
    ];
    for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
        for (name, program) in programs {
            let mut options = Options { keep_going: true, ..Options::default() };
            options.settings.memory = memory;
            let whole = check(&options, &program, &());
            options.preemptions = Some(12);
            let bounded = check(&options, &program, &());
            let of = |report: &racefuzz_trace::RunReport| {
                (report.outcome(), report.executions(), report.failures().len())
            };
            assert_eq!(of(&bounded), of(&whole), "{name}, {memory}");
        }
    }
}

/// A thread whose wait is to expire waits until then: others go on meanwhile for nothing.
#[test]
fn a_wait_that_expires_is_no_preemption() {
    let seen = std::sync::Mutex::new(BTreeSet::new());
    let program = || {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || *other.0.lock().unwrap() = true);
        let flag = shared.0.lock().unwrap();
        let (flag, waited) = shared.1.wait_timeout(flag, Duration::from_millis(1)).unwrap();
        seen.lock().unwrap().insert((waited.timed_out(), *flag));
        drop(flag);
        thread.join().unwrap();
    };
    let sleeper = || {
        let flag = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&flag);
        let thread = thread::spawn(move || other.store(true, SeqCst));
        thread::sleep(Duration::from_millis(1));
        seen.lock().unwrap().insert((true, flag.load(SeqCst)));
        thread.join().unwrap();
    };
    let options = Options { preemptions: Some(0), ..Options::default() };
    for program in [&program as &(dyn Fn() + Sync), &sleeper] {
        assert_eq!(check(&options, program, &()).outcome(), Outcome::Passed);
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert!(seen.contains(&(true, true)) && seen.contains(&(true, false)), "{seen:?}");
    }
}

/// A thread that finds what it needs taken, and waits for it to the end, shows that the other one can be
/// interrupted before it takes it.
#[test]
fn who_waits_to_the_end_could_have_come_first() {
    let program = || {
        let (sender, receiver) = mpsc::sync_channel(1);
        let other = sender.clone();
        let thread = thread::spawn(move || other.send(1).unwrap());
        sender.send(2).unwrap();
        let first = receiver.recv().unwrap();
        sender.send(3).unwrap();
        assert_eq!(first, 2);
        thread.join().unwrap();
    };
    let seen = |preemptions| {
        let options = Options { keep_going: true, preemptions, ..Options::default() };
        let report = check(&options, &program, &());
        (report.executions(), report.stats.failing)
    };
    assert_eq!(seen(Some(8)), seen(None));
}

/// Waits at one place, for whatever it is told.
fn until(cell: &AtomicUsize, value: usize) {
    while cell.load(SeqCst) != value {
        hint::spin_loop();
    }
}

/// The same for two cells, which it looks at one after the other.
fn until_both(cells: &[AtomicUsize; 2], values: [usize; 2]) {
    while [cells[0].load(SeqCst), cells[1].load(SeqCst)] != values {
        hint::spin_loop();
    }
}

/// What two waits at the same place are for differs, and so does what a thread remembers of its rounds: none of
/// them is then taken for one that had not been, with a bound or without.
#[test]
fn a_thread_acts_on_its_rounds() {
    let new = || Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let one_after_the_other = || {
        let cells = new();
        let store = |value: usize| {
            let cells = Arc::clone(&cells);
            move || cells[0].store(value, SeqCst)
        };
        let (two, one) = (thread::spawn(store(2)), thread::spawn(store(1)));
        until(&cells[0], 1);
        until(&cells[0], 2);
        two.join().unwrap();
        one.join().unwrap();
    };
    let writes = |cells: &Arc<[AtomicUsize; 2]>| {
        let cells = Arc::clone(cells);
        thread::spawn(move || {
            cells[0].store(1, SeqCst);
            cells[0].store(2, SeqCst);
            cells[1].store(1, SeqCst);
        })
    };
    // What the first wait is for is never there all at once.
    let never_at_once = || {
        let cells = new();
        let other = writes(&cells);
        until_both(&cells, [1, 1]);
        until_both(&cells, [2, 1]);
        other.join().unwrap();
    };
    let remembers = || {
        let cells = new();
        let other = writes(&cells);
        let mut was_first = false;
        loop {
            match [cells[0].load(SeqCst), cells[1].load(SeqCst)] {
                [1, 0] => was_first = true,
                [first, 1] => break assert!(!was_first || first != 1),
                _ => hint::spin_loop(),
            }
        }
        other.join().unwrap();
    };
    let programs: [(&str, &(dyn Fn() + Sync)); 3] = [
        ("waits for one thing after the other", &one_after_the_other),
        ("waits for what is never there at once", &never_at_once),
        ("remembers what it has read", &remembers),
    ];
    for memory in [MemoryModel::Sc, MemoryModel::Tso, MemoryModel::Rc11] {
        for (name, program) in programs {
            let explored = |preemptions| {
                let mut options = Options { preemptions, keep_going: true, ..Options::default() };
                options.settings.memory = memory;
                let report = check(&options, program, &());
                let (executions, failing) = (report.executions(), report.stats.failing);
                assert!(0 < failing && failing < executions, "{name}, {memory}: {failing} of {executions}");
                (executions, failing)
            };
            assert_eq!(explored(Some(20)), explored(None), "{name}, {memory}");
        }
    }
}

#[test]
fn the_end_of_a_thread_is_a_step_within_a_bound() {
    // Main asks first; or the thread has taken the turn, and has ended, by then.
    for (most, executions) in [(0, 1), (1, 2)] {
        for steps in [0, 2] {
            let options = Options { preemptions: Some(most), keep_going: true, ..Options::default() };
            let asked = || {
                let word = AtomicUsize::new(0);
                thread::scope(|scope| {
                    let other = scope.spawn(|| (0..steps).for_each(|_| _ = word.fetch_add(1, SeqCst)));
                    other.is_finished();
                });
            };
            assert_eq!(check(&options, &asked, &()).stats.executions, executions, "{most} {steps}");
        }
    }
}
