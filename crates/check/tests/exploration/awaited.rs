//! Random programs whose threads wait in loops of many shapes, with every ordering: what they come to is what an
//! enumerator finds that tries a few rounds of each loop, and shares no code with the engine.

use racefuzz_check::{Options, visit_watched};
use racefuzz_oracle::{
    Model, Op, Program, Sharing, enumerate_within, generate_loops, observed, parse, shrink,
};
use racefuzz_trace::MemoryModel;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

type Finals = BTreeSet<Vec<i64>>;

/// The models, and a bound on preemptions that no class of these programs needs.
const WAYS: [(MemoryModel, Model, Option<u32>); 5] = [
    (MemoryModel::Rc11, Model::Rc11, None),
    (MemoryModel::Sc, Model::Sc, None),
    (MemoryModel::Tso, Model::Tso, None),
    (MemoryModel::Sc, Model::Sc, Some(20)),
    (MemoryModel::Rc11, Model::Rc11, Some(20)),
];

const MOST_GRAPHS: u64 = 30_000;
const MOST_EXECUTIONS: u64 = 3_000;

/// With those that come to nothing, and those that go on quietly.
const MOST_BEGUN: u64 = 20_000;

enum Verdict {
    Agree,
    /// Not everything was explored; nothing is missing or wrong in what was.
    Incomplete,
    TooLarge,
    Differ(String),
}

/// The same program, with more rounds for the enumerator.
fn with_rounds(program: &Program, more: u32) -> Program {
    fn add(code: &mut [Op], more: u32) {
        for op in code {
            if let Op::Until { most, .. } = op {
                *most += more;
            }
            op.bodies_mut().into_iter().for_each(|body| add(body, more));
        }
    }
    let mut program = program.clone();
    program.threads.iter_mut().for_each(|thread| add(&mut thread.code, more));
    program
}

/// Whether each loop reads something in every round.
fn reads(code: &[Op]) -> bool {
    let is_read = |op: &Op| {
        matches!(op, Op::Load { .. } | Op::Add { .. } | Op::Swap { .. } | Op::Cas { .. } | Op::TryLock { .. })
    };
    code.iter().all(|op| match op {
        Op::Until { body, .. } => body.iter().any(is_read) && reads(body),
        other => other.bodies().into_iter().all(|body| reads(body)),
    })
}

/// Whether some accesses are SeqCst and others are not: RC11 has executions of such programs whose SeqCst order is none
/// in which they could be scheduled, which are within no bound.
fn mixes_seqcst(program: &Program) -> bool {
    let text = program.to_string();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    words.contains(&"sc")
        && ["rlx", "acq", "rel", "ar", "lock", "trylock"].iter().any(|weaker| words.contains(weaker))
}

/// The final states that the checker finds, and whether it is all of them; `None` if there are too many.
fn checked(program: &Program, memory: MemoryModel, preemptions: Option<u32>) -> Option<(Finals, bool)> {
    let last = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&last);
    let execute = observed(program, Sharing::Free, move |state| *seen.lock().unwrap() = Some(state));
    let (begins, begun) = (Arc::clone(&last), AtomicU64::new(0));
    let run = || {
        begun.fetch_add(1, Relaxed);
        *begins.lock().unwrap() = None;
        execute();
    };
    let is_too_large = || begun.load(Relaxed) > MOST_BEGUN;
    let mut options =
        Options { max_executions: Some(MOST_EXECUTIONS), preemptions, minimise: false, ..Options::default() };
    options.settings.memory = memory;
    options.settings.max_steps = 1_000;
    options.settings.inject.spurious = false;
    let (mut finals, mut begun_anew) = (Finals::new(), 0);
    let counts = visit_watched(&options, &run, &is_too_large, &mut |visited| {
        if std::mem::replace(&mut begun_anew, visited.begun_anew) != visited.begun_anew {
            finals.clear();
        }
        let state = last.lock().unwrap().take();
        finals.extend(state.filter(|_| visited.failure.is_none()));
        true
    });
    (counts.executions < MOST_EXECUTIONS && !is_too_large()).then_some((finals, counts.whole))
}

fn compare(program: &Program) -> Verdict {
    let mut verdict = Verdict::Agree;
    if !program.threads.iter().all(|thread| reads(&thread.code)) {
        return Verdict::TooLarge;
    }
    for (memory, model, preemptions) in WAYS {
        if model == Model::Rc11 && preemptions.is_some() && mixes_seqcst(program) {
            continue;
        }
        let who = format!("{memory}{}", if preemptions.is_some() { " of schedules" } else { "" });
        let Some(expected) = enumerate_within(program, model, MOST_GRAPHS) else { return Verdict::TooLarge };
        let Some((found, whole)) = checked(program, memory, preemptions) else { return Verdict::TooLarge };
        let missing: Vec<_> = expected.finals.difference(&found).collect();
        if !missing.is_empty() && whole {
            return Verdict::Differ(format!("{who}: {missing:?} are missing among {} states", found.len()));
        }
        if !whole {
            verdict = Verdict::Incomplete;
        }
        let mut wrong: Finals = &found - &expected.finals;
        for more in [1, 2, 4] {
            if !wrong.is_empty() {
                let Some(expected) = enumerate_within(&with_rounds(program, more), model, 20 * MOST_GRAPHS)
                else {
                    return Verdict::TooLarge;
                };
                wrong = &wrong - &expected.finals;
            }
        }
        if !wrong.is_empty() {
            return Verdict::Differ(format!("{who}: {wrong:?} cannot be"));
        }
    }
    verdict
}

/// Panics unless these programs come to what the enumerator says.
#[track_caller]
fn agree(programs: impl Iterator<Item = Program>) {
    let (mut agree, mut incomplete, mut large) = (0, 0, 0);
    let mut wrong = Vec::new();
    for program in programs {
        match compare(&program) {
            Verdict::Agree => agree += 1,
            Verdict::Incomplete => incomplete += 1,
            Verdict::TooLarge => large += 1,
            Verdict::Differ(_) => {
                let differs = |program: &Program| matches!(compare(program), Verdict::Differ(_));
                let least = shrink(&program, differs);
                let Verdict::Differ(text) = compare(&least) else { unreachable!("it did before") };
                eprintln!("{text}\n{least}");
                wrong.push(program.name);
            }
        }
    }
    eprintln!("{agree} agree, {incomplete} are not explored whole, {large} are too large");
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(agree >= 4 * (incomplete + large), "{incomplete} are not explored whole, {large} are too large");
}

/// Programs by seed; more, or others, by the environment.
#[test]
fn loops_come_to_what_the_enumerator_says() {
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let start = number("RACEFUZZ_TEST_SEED", 0u64);
    agree((start..start + number("RACEFUZZ_TEST_PROGRAMS", 60u64)).map(generate_loops));
}

/// What a thread notices is overwritten when it looks, and so is what ends its loop: it is there as an old value only.
#[test]
fn old_values_are_noticed() {
    let looks = ["r := x rlx", "r := cas x 1 1 rlx", "r := fadd x 0 rlx", "r := x acq; fence acq"];
    let writes = ["x = 1 rlx", "q := xchg x 1 rlx", "q := cas x 0 1 rel", "q := fadd x 1 ar"];
    let programs = looks.into_iter().flat_map(|looks| {
        writes.into_iter().flat_map(move |write| {
            [1, 0].map(|ended| {
                let text = format!(
                    "old
                     T: {write}; x = {} rlx; y = 1 rlx
                     T: await y == 1 rlx; until r in 3 {{ {looks}; if r == 0 {{ let n = 1 }} }}",
                    2 * ended
                );
                parse(&text).expect("it is a program").remove(0)
            })
        })
    });
    agree(programs);
}
