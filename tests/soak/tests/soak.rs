//! racefuzz against the enumerator, on random programs.
//!
//! What runs by default takes about half a minute. `SOAK_FIRST` and `SOAK_PROGRAMS` choose other seeds,
//! `SOAK_THEMES` the primitives (names of [`Theme`]); a program that disagrees is shown as small as it
//! goes, with its seed and the outcomes that are missing or wrong.

use racefuzz_soak::MemoryModel::{Rc11, Sc, Tso};
use racefuzz_soak::{Limits, Theme, Verdict, compare, generate, shrink, unreached};

const LIMITS: Limits =
    Limits { states: 200_000, executions: 30_000, samples: 100, graphs: &[Sc, Rc11], schedules: None };

/// The same with schedules explored, too.
const WITH_SCHEDULES: Limits = Limits { schedules: Some((Sc, 20)), ..LIMITS };

/// What users of loom get by default, and the model between.
const OF_OTHERS: Limits = Limits { graphs: &[Sc, Tso], schedules: Some((Rc11, 20)), ..LIMITS };

/// The first seed and the number of programs: all that a run depends on.
fn range(first: u64, count: u64) -> std::ops::Range<u64> {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().expect(name));
    let first = number("SOAK_FIRST", first);
    first..first + number("SOAK_PROGRAMS", count)
}

#[test]
fn outcomes_are_those_of_the_enumerator() {
    let only = std::env::var("SOAK_THEMES").ok();
    let themes: Vec<Theme> = Theme::ALL
        .into_iter()
        .filter(|theme| only.as_ref().is_none_or(|only| only.contains(&format!("{theme:?}"))))
        .collect();
    agree(range(0, 600), &themes, &WITH_SCHEDULES);
}

#[test]
fn waits_come_to_what_the_enumerator_says() {
    agree(range(0, 100), &Theme::OF_WAITS, &OF_OTHERS);
}

#[test]
fn threads_remember_their_rounds() {
    agree(range(0, 50), &Theme::OF_MEMORY, &WITH_SCHEDULES);
}

#[test]
fn threads_keep_what_they_saw() {
    // Rounds that count have many executions.
    agree(range(0, 40), &Theme::OF_KEEPING, &Limits { executions: 5_000, ..WITH_SCHEDULES });
}

#[test]
fn threads_see_each_other_end() {
    agree(range(0, 150), &Theme::OF_ENDS, &OF_OTHERS);
}

/// What may happen is shown by some random execution.
#[test]
fn samples_reach_what_the_enumerator_says() {
    let mut wrong = Vec::new();
    for themes in [&Theme::ALL[..], &Theme::OF_ENDS] {
        for seed in range(0, 100) {
            let program = generate(seed, themes);
            // More and more samples, as most programs take few.
            let misses = |samples| {
                let limits = Limits { states: 2_000, samples, ..LIMITS };
                unreached(&program, &limits).filter(|missed| !missed.is_empty())
            };
            if let Some(missed) = [200, 2_000, 30_000]
                .into_iter()
                .map(misses)
                .try_fold(None, |_, missed| missed.map(Some))
                .flatten()
            {
                eprintln!("seed {seed}:\n{program}");
                missed.iter().for_each(|outcome| eprintln!("  never: {outcome}"));
                wrong.push(seed);
            }
        }
    }
    assert!(wrong.is_empty(), "seeds {wrong:?}");
}

/// Panics unless the programs of these seeds have the outcomes that the enumerator says.
#[track_caller]
fn agree(seeds: std::ops::Range<u64>, themes: &[Theme], limits: &Limits) {
    let (mut agree, mut large, mut outcomes, mut sampled) = (0, 0, 0, 0);
    let mut wrong = Vec::new();
    for seed in seeds {
        let program = generate(seed, themes);
        match compare(&program, limits) {
            Verdict::Agree { outcomes: found, sampled: shown } => {
                agree += 1;
                outcomes += found;
                sampled += shown;
            }
            Verdict::TooLarge => large += 1,
            Verdict::Differ(_) => {
                let small = shrink(program, &|program| compare(program, limits).differs());
                let Verdict::Differ(text) = compare(&small, limits) else { unreachable!("it did before") };
                eprintln!("seed {seed}:\n{small}{text}");
                wrong.push(seed);
                assert!(wrong.len() < 10, "seeds {wrong:?}");
            }
        }
    }
    eprintln!("{agree} agree, {large} too large; {outcomes} outcomes, of which samples showed {sampled}");
    assert!(wrong.is_empty(), "seeds {wrong:?}");
    assert!(large * 5 < agree, "{large} programs of {agree} are too large");
}

/// Those of the first 10,000 that once were judged wrongly.
#[test]
fn programs_that_once_differed_agree() {
    for seed in [415, 1_560, 8_996, 9_907] {
        let program = generate(seed, &Theme::ALL);
        let verdict = compare(&program, &LIMITS);
        assert!(matches!(verdict, Verdict::Agree { .. }), "{seed}: {verdict:?}\n{program}");
    }
}

/// A thread polls under a lock, then takes it again; others take it before, in between and behind.
#[test]
fn a_lock_that_is_polled_is_taken_in_every_order() {
    use racefuzz_soak::Op;
    let mut program = generate(0, &[Theme::Atomics]);
    let polls = vec![Op::AwaitLocked(0, 1, 1), Op::Lock(0), Op::Unlock(0, 1)];
    for other in [vec![Op::Lock(0)], vec![Op::Lock(0), Op::Unlock(0, 1)]] {
        for store in [Op::Store(1, 1), Op::CompareExchange(1, 0, 1), Op::AwaitCompareExchange(1, 0, 1)] {
            program.threads = vec![polls.clone(), other.clone(), vec![store]];
            let verdict = compare(&program, &LIMITS);
            assert!(matches!(verdict, Verdict::Agree { .. }), "{verdict:?}\n{program}");
        }
    }
}

/// The same where the other one stores under the lock what is waited for, and somebody waits for the opposite.
#[test]
fn what_is_polled_for_comes_from_two_sides() {
    use racefuzz_soak::Op;
    let mut program = generate(0, &[Theme::Atomics]);
    let polls = vec![Op::AwaitLocked(0, 1, 1), Op::Lock(0), Op::Unlock(0, 1)];
    let stores = vec![Op::Lock(0), Op::Store(1, 1)];
    let waits =
        [Op::AwaitCompareExchange(1, 0, 1), Op::AwaitSwap(1, 1), Op::Await(1, 0), Op::AwaitUpdate(1, 1)];
    for wait in waits {
        for behind in [vec![], vec![Op::Store(1, 1)]] {
            let third = [vec![wait], behind].concat();
            program.threads = vec![polls.clone(), stores.clone(), third];
            let verdict = compare(&program, &LIMITS);
            assert!(matches!(verdict, Verdict::Agree { .. }), "{verdict:?}\n{program}");
        }
    }
    // A lock made of swaps, which is awaited and polled.
    program.threads = vec![
        vec![Op::AwaitSwap(0, 1), Op::Store(0, 0), Op::Lock(0)],
        vec![Op::AwaitCompareExchange(0, 1, 2)],
        vec![Op::AwaitLocked(0, 0, 2)],
    ];
    let verdict = compare(&program, &LIMITS);
    assert!(matches!(verdict, Verdict::Agree { .. }), "{verdict:?}\n{program}");
}

/// Two waits in one place of the source, for values of which somebody stores the second behind a choice.
#[test]
fn a_wait_goes_on_behind_what_others_choose() {
    use racefuzz_soak::{Capacity, Op};
    let mut program = generate(0, &[Theme::Atomics]);
    program.channels = vec![Capacity::Unbounded];
    let waits = vec![Op::Await(1, 1), Op::Await(1, 2)];
    for chooses in [Op::ParkTimeout, Op::ReceiveTimeout(0)] {
        for second in [vec![Op::Store(1, 2)], vec![Op::CompareExchange(1, 1, 2)]] {
            let third = [vec![chooses], second].concat();
            program.threads = vec![vec![Op::Store(1, 1)], waits.clone(), third];
            let verdict = compare(&program, &WITH_SCHEDULES);
            assert!(matches!(verdict, Verdict::Agree { .. }), "{verdict:?}\n{program}");
        }
    }
}

/// A wait whose first round may succeed or, if it is interrupted before, never does.
#[test]
fn a_wait_is_interrupted_before_its_first_round() {
    use racefuzz_soak::Op;
    let mut program = generate(0, &[Theme::Atomics]);
    for first in [Op::Await(1, 1), Op::AwaitNoticing(1, 1, 1), Op::AwaitUpdate(1, 1)] {
        for between in [vec![], vec![Op::Load(0)], vec![Op::Await(0, 1)], vec![Op::AwaitNoticing(0, 1, 3)]] {
            let stores = [vec![Op::Add(0, 1)], between, vec![Op::Store(1, 1)]].concat();
            program.threads = vec![vec![Op::Store(1, 2)], vec![first, Op::AwaitBoth([0, 1], [1, 1])], stores];
            let verdict = compare(&program, &WITH_SCHEDULES);
            assert!(matches!(verdict, Verdict::Agree { .. }), "{verdict:?}\n{program}");
        }
    }
}

/// Two threads wait for each other in every way, and perhaps a third one ends it.
#[test]
fn waits_that_write_what_is_there_wait_for_ever() {
    use racefuzz_soak::Op;
    let mut program = generate(0, &[Theme::Atomics]);
    let waits = |value| {
        let compares = Op::AwaitCompareExchange(1, value, value);
        [Op::Await(1, value), Op::AwaitUpdate(1, value), compares, Op::AwaitSwap(1, value)]
    };
    for (one, other) in waits(2).into_iter().flat_map(|one| waits(1).map(|other| (one, other))) {
        for third in [vec![], vec![Op::Add(1, 2)]] {
            program.threads = vec![third, vec![one], vec![other]];
            let verdict = compare(&program, &WITH_SCHEDULES);
            assert!(matches!(verdict, Verdict::Agree { .. }), "{verdict:?}\n{program}");
        }
    }
}

/// What a thread remembers of its wait matters only because another one has read what was overwritten by then.
#[test]
fn what_is_remembered_matters_to_what_others_had_read() {
    use racefuzz_soak::Op;
    let mut program = generate(0, &[Theme::Atomics]);
    let readers = [
        vec![Op::AwaitBoth([1, 0], [2, 1])],
        vec![Op::Await(1, 2), Op::Await(0, 1)],
        vec![Op::AwaitUpdate(1, 2), Op::Await(0, 1)],
        vec![Op::Load(1), Op::Await(0, 1)],
        vec![Op::Store(1, 4), Op::Await(0, 1)],
    ];
    for reader in readers {
        let first = [reader, vec![Op::Store(1, 1)]].concat();
        let second = vec![Op::Store(1, 2), Op::Add(1, 1)];
        for noticing in [vec![Op::Store(0, 1), Op::AwaitNoticing(1, 1, 3)], vec![Op::AwaitNoticing(1, 1, 3)]]
        {
            program.threads = vec![first.clone(), second.clone(), noticing];
            let verdict = compare(&program, &WITH_SCHEDULES);
            assert!(matches!(verdict, Verdict::Agree { .. }), "{verdict:?}\n{program}");
        }
    }
}

/// A thread notices that what it waits for has changed only if another one had noticed so before, whose first round came
/// before the first change.
#[test]
fn what_one_notices_is_for_another_one_to_notice() {
    use racefuzz_soak::{Keeps, Looks, Op};
    let mut program = generate(0, &[Theme::Atomics]);
    let notices = |keeps| Op::AwaitKeeping(Looks::Load, keeps, 0, 2);
    for keeps in [Keeps::Change, Keeps::Twice, Keeps::Last] {
        for first in [Op::Add(0, 1), Op::Store(0, 1), Op::Swap(0, 1)] {
            let one = vec![notices(Keeps::Change), Op::Store(0, 2)];
            program.threads = vec![vec![Op::Store(0, 2)], one, vec![first, notices(keeps)]];
            let verdict = compare(&program, &LIMITS);
            assert!(matches!(verdict, Verdict::Agree { .. }), "{verdict:?}\n{program}");
        }
    }
}

/// Others read what may be old behind rounds that were taken back.
#[test]
fn what_is_old_is_read_behind_rounds_taken_back() {
    use racefuzz_soak::{Keeps, Looks, Op};
    let mut program = generate(0, &[Theme::Atomics]);
    let waits = [Op::AwaitBoth([1, 0], [2, 1]), Op::AwaitUpdate(1, 2), Op::AwaitNoticing(1, 2, 1)];
    let readers = [
        vec![Op::AwaitKeeping(Looks::Locked, Keeps::First, 1, 1)],
        vec![Op::Lock(0), Op::Load(1), Op::Unlock(0, 1)],
        vec![Op::Load(1), Op::Load(0), Op::Load(1)],
        vec![Op::Await(1, 1), Op::Load(0)],
    ];
    for (wait, reader) in waits.into_iter().flat_map(|wait| readers.clone().map(|reader| (wait, reader))) {
        program.threads = vec![reader, vec![Op::Store(1, 1), wait], vec![Op::Store(0, 1)]];
        let limits = Limits { graphs: &[Rc11], schedules: Some((Rc11, 20)), ..LIMITS };
        let verdict = compare(&program, &limits);
        assert!(matches!(verdict, Verdict::Agree { .. }), "{verdict:?}\n{program}");
    }
}

/// Two values together are noticed, seen one after the other in rounds between which others act.
#[test]
fn what_two_rounds_show_is_noticed() {
    use racefuzz_soak::{Keeps, Looks, Op};
    let mut program = generate(0, &[Theme::Atomics]);
    for looks in [Looks::Load, Looks::Update, Looks::Locked] {
        for keeps in [Keeps::Last, Keeps::Twice, Keeps::Change] {
            for stores in [
                vec![Op::Store(1, 1)],
                vec![Op::Add(1, 1)],
                vec![Op::Lock(0), Op::Store(1, 1), Op::Unlock(0, 1)],
            ] {
                let stores = [stores, vec![Op::Store(1, 2)]].concat();
                program.threads = vec![vec![Op::AwaitKeeping(looks, keeps, 1, 2)], stores];
                let verdict = compare(&program, &WITH_SCHEDULES);
                assert!(matches!(verdict, Verdict::Agree { .. }), "{verdict:?}\n{program}");
            }
        }
    }
}

/// The enumerator finds what is known, and the comparison notices what is wrong.
#[test]
fn known_programs_have_the_outcomes_that_they_must() {
    use racefuzz_soak::{Op, Outcome, outcomes};
    let program = |threads: Vec<Vec<Op>>| {
        let mut program = generate(0, &[Theme::Atomics]);
        program.threads = threads;
        program
    };
    let found = |threads| outcomes(&program(threads), 100_000).expect("it is small");

    // Two increments by load and store: 1 and 2. Two mutexes in opposite orders: a deadlock among others.
    let lost = found(vec![vec![Op::Add(0, 1), Op::Load(0)], vec![Op::Store(0, 5)]]);
    assert_eq!(lost.len(), 3);
    let crossed = |a, b| vec![Op::Lock(a), Op::Lock(b), Op::Unlock(b, 1), Op::Unlock(a, 1)];
    let locks = found(vec![crossed(0, 1), crossed(1, 0)]);
    assert_eq!(locks.iter().filter(|outcome| outcome.is_deadlock()).count(), 1);
    assert_eq!(locks.len(), 3);
    // A notification that may come before the wait.
    let wait = vec![Op::Lock(0), Op::Wait(0, 0), Op::Unlock(0, 0)];
    let notified = found(vec![wait.clone(), vec![Op::NotifyOne(0)]]);
    assert_eq!(notified.iter().filter(|outcome| outcome.is_deadlock()).count(), 1);
    assert_eq!(notified.len(), 2);
    // One of two waiters is woken, whichever.
    let one = found(vec![wait.clone(), wait, vec![Op::NotifyOne(0)]]);
    assert_eq!(one.iter().filter(|outcome| outcome.is_deadlock()).count(), 3);
    // Publication by a flag, and without.
    let mut cells = program(vec![
        vec![Op::Write(0, 1), Op::Store(0, 1)],
        vec![Op::Load(0), Op::Unless(1, 1), Op::Read(0)],
    ]);
    cells.cells = 1;
    assert!(!outcomes(&cells, 100_000).expect("it is small").contains(&Outcome::Race(0)));
    cells.threads[1].remove(1);
    assert!(outcomes(&cells, 100_000).expect("it is small").contains(&Outcome::Race(0)));
    assert!(!compare(&cells, &LIMITS).differs());
}
