//! What must not change the ranking, and what must change it in one direction only: on generated
//! programs, whose threads increment a variable among steps of their own.

use proptest::prelude::*;
use racefuzz_fix::count::Schedules;
use racefuzz_fix::span::Spans;
use racefuzz_fix::{Edit, Fix, FixKind, FixReport, Go, Graphs, Limit, Options, Overlay, Task, Verifier, fix};
use racefuzz_primitives::{choose::note, thread, var::Var};
use racefuzz_trace::{LockName, MemoryModel, Site};
use std::sync::Arc;

/// What a thread does at one of its places.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Nothing,
    Own,
    Read,
    Write,
}

/// The places of a thread; the same in every thread.
type Body = [Step; 6];

#[derive(Clone, Debug)]
struct Program {
    threads: usize,
    body: Body,
    variable: String,
    names: Option<String>,
    /// A thread that has nothing to do with the others.
    stranger: bool,
}

impl Program {
    fn run(&self) {
        let shared = Arc::new(Var::new(self.variable.clone(), 0));
        let spawn = |number: usize, run: Box<dyn FnOnce() + Send>| {
            let name = self.names.as_ref().map(|name| format!("{name}{number}"));
            let builder = name.map_or(thread::Builder::new(), |name| thread::Builder::new().name(name));
            builder.spawn(run).unwrap()
        };
        let body = self.body;
        let mut threads: Vec<_> = (0..self.threads)
            .map(|number| {
                let shared = Arc::clone(&shared);
                spawn(number, Box::new(move || walk(body, &shared)))
            })
            .collect();
        if self.stranger {
            threads.push(spawn(self.threads, Box::new(|| note("far away"))));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(shared.get() == self.threads, "an increment is lost");
    }
}

/// Each place on a line of its own.
fn walk(body: Body, shared: &Var<usize>) {
    let mut read = 0;
    act(body[0], shared, &mut read);
    act(body[1], shared, &mut read);
    act(body[2], shared, &mut read);
    act(body[3], shared, &mut read);
    act(body[4], shared, &mut read);
    act(body[5], shared, &mut read);
}

#[track_caller]
fn act(step: Step, shared: &Var<usize>, read: &mut usize) {
    match step {
        Step::Nothing => {}
        Step::Own => note("own"),
        Step::Read => *read = shared.get(),
        Step::Write => shared.set(*read + 1),
    }
}

/// The places between which the variable is read and written, and the program.
fn programs() -> impl Strategy<Value = Program> {
    let place = prop_oneof![Just(Step::Nothing), Just(Step::Own)];
    (2..=3usize, prop::array::uniform6(place), 0..5usize, 1..=5usize).prop_map(
        |(threads, mut body, read, apart)| {
            body[read] = Step::Read;
            body[(read + apart).min(5)] = Step::Write;
            Program { threads, body, variable: "c".to_owned(), names: None, stranger: false }
        },
    )
}

fn found(program: &Program) -> FixReport {
    fix(&Options::default(), &|| program.run())
}

/// What must be the same of two repairs.
fn figures(fix: &Fix) -> (FixKind, Vec<(Site, Site)>, String, u32, u32, bool) {
    let regions = fix.regions().iter().map(|region| (region.first.clone(), region.last.clone())).collect();
    let kept = fix.kept().map_or("unknown".to_owned(), |kept| format!("{:.9}", kept.share()));
    (fix.kind, regions, kept, fix.locks, fix.guarded, fix.dominated_by.is_some())
}

/// Good schedules and the best parallelism under a lock over these places.
fn under_lock(program: &Program, sites: &[Site]) -> (u128, f64) {
    let run = || program.run();
    let lock = Edit::Lock { lock: LockName::New(0), sites: sites.to_vec(), shared: Vec::new() };
    let overlay = Overlay::from(vec![lock]);
    let (mut good, mut spans) = (Schedules::default(), Spans::default());
    let task = Task { overlay: &overlay, memory: MemoryModel::Sc, budget: 100_000 };
    let explored =
        Graphs::new(&run, racefuzz_check::Options::default(), Limit::default()).explore(task, &mut |visit| {
            spans.add(visit.trace);
            if visit.failure.is_none() {
                good.add(visit.trace);
            }
            Go::On
        });
    assert!(explored.complete);
    (good.sum().unwrap(), spans.parallelism().unwrap().max)
}

/// The places of a program, in the order of the source.
fn places(program: &Program) -> Vec<Site> {
    let source = include_str!("ranking.rs").lines();
    let first = 1 + source.take_while(|line| !line.contains("act(body[0], ")).count() as u32;
    let walks = first..first + 6;
    let run = || program.run();
    let none = Overlay::default();
    let mut sites = Vec::new();
    let task = Task { overlay: &none, memory: MemoryModel::Sc, budget: 1 };
    Graphs::new(&run, racefuzz_check::Options::default(), Limit::default()).explore(task, &mut |visit| {
        sites = visit.trace.sites.iter().filter(|site| walks.contains(&site.line)).cloned().collect();
        Go::Stop
    });
    sites.sort();
    sites.dedup();
    sites
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// A larger region permits no schedule that a smaller one forbids, and runs nothing at once that
    /// the smaller one does not.
    #[test]
    fn enlarging_a_region_never_leaves_more(program in programs(), cut in prop::array::uniform4(0..6usize)) {
        let places = places(&program);
        let mut cut = cut.map(|at| at.min(places.len() - 1));
        cut.sort_unstable();
        let (kept, parallel) = under_lock(&program, &places[cut[1]..=cut[2]]);
        let (kept_larger, parallel_larger) = under_lock(&program, &places[cut[0]..=cut[3]]);
        prop_assert!(kept_larger <= kept, "{kept_larger} > {kept}");
        prop_assert!(parallel_larger <= parallel + 1e-9, "{parallel_larger} > {parallel}");
    }

    /// Names are for people.
    #[test]
    fn renaming_changes_nothing(program in programs(), variable in "[a-z]{1,8}", thread in "[a-z]{1,8}") {
        let renamed = Program { variable, names: Some(thread), ..program.clone() };
        let (one, other) = (found(&program), found(&renamed));
        prop_assert!(!one.fixes().is_empty());
        prop_assert_eq!(
            one.fixes().iter().map(figures).collect::<Vec<_>>(),
            other.fixes().iter().map(figures).collect::<Vec<_>>()
        );
        prop_assert_eq!(one.baseline.good, other.baseline.good);
    }

    /// A thread that shares nothing changes how many schedules there are, not which repair is best.
    #[test]
    fn an_unrelated_thread_keeps_the_first_fix(program in programs()) {
        let program = Program { threads: 2, ..program };
        let more = Program { stranger: true, ..program.clone() };
        let (one, other) = (found(&program), found(&more));
        prop_assert_eq!(figures(&one.fixes()[0]), figures(&other.fixes()[0]));
    }

    /// The lock from the read to the write is always found first, and keeps every good schedule.
    #[test]
    fn the_lock_from_read_to_write_is_first(program in programs()) {
        let report = found(&program);
        let first = &report.fixes()[0];
        prop_assert_eq!(first.kind, FixKind::NewLock);
        prop_assert!(first.kept().unwrap().is_all(), "{:?}", first.kept());
        let inside = program.body.iter().skip_while(|step| **step != Step::Read);
        let inside = inside.take_while(|step| **step != Step::Write).filter(|step| **step != Step::Nothing);
        prop_assert_eq!(first.guarded as usize, inside.count() + 1);
    }
}

/// Two accounts, two tellers at each: those of different accounts need not wait for each other.
fn deposits() {
    let accounts: Vec<_> = (0..2).map(|_| Arc::new(Var::new("balance", 0))).collect();
    let tellers: Vec<_> = (0..4)
        .map(|number| {
            let account = Arc::clone(&accounts[number % 2]);
            thread::spawn(move || {
                let balance = account.get();
                account.set(balance + 1);
            })
        })
        .collect();
    tellers.into_iter().for_each(|teller| teller.join().unwrap());
    assert!(accounts.iter().all(|account| account.get() == 2), "a deposit is lost");
}

#[test]
fn a_lock_beside_each_account_comes_before_one_for_all() {
    let report = fix(&Options { budget: 20_000, ..Options::default() }, &deposits);
    let first = &report.fixes()[0];
    let beside = |fix: &Fix| matches!(fix.overlay.edits[..], [Edit::Lock { lock: LockName::Beside(..), .. }]);
    assert!(beside(first), "{first:?}");
    assert!(first.kept().unwrap().is_all());
    let mean = |fix: &Fix| fix.parallelism().unwrap().mean;
    let for_all = report.fixes().iter().find(|fix| fix.kind == FixKind::NewLock && !beside(fix)).unwrap();
    assert!(for_all.is_sequential() && !first.is_sequential());
    assert!(mean(first) > mean(for_all));
    assert_eq!(for_all.dominated_by, Some(1));
}

/// A clock that is set once and read twice.
fn clock() {
    let time = Arc::new((Var::new("hours", 1), Var::new("minutes", 59)));
    let reader = || {
        let time = Arc::clone(&time);
        thread::spawn(move || {
            let hours = time.0.get();
            let minutes = time.1.get();
            assert!([(1, 59), (2, 0)].contains(&(hours, minutes)), "it was never {hours}:{minutes}");
        })
    };
    let readers = [reader(), reader()];
    time.0.set(2);
    time.1.set(0);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

#[test]
fn those_who_only_read_may_read_at_once() {
    let report = fix(&Options::default(), &clock);
    let one_lock = |kind| {
        let found = report.fixes().iter().find(|fix| fix.kind == kind && fix.locks == 1);
        found.unwrap_or_else(|| panic!("no {kind:?} in {:#?}", report.fixes()))
    };
    let (mutex, shared) = (one_lock(FixKind::NewLock), one_lock(FixKind::ReadWriteLock));
    assert!(shared.kept().unwrap().schedules > mutex.kept().unwrap().schedules);
    assert!(shared.parallelism().unwrap().mean > mutex.parallelism().unwrap().mean);
    assert_eq!(shared.regions().iter().filter(|region| region.shared).count(), 1);
}
