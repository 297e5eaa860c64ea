//! The generator, the shrinker, and the enumerators compared on what they make.

use racefuzz_oracle::{
    Model, Op, Program, enumerate, generate, generate_loops, graphs, in_any_order, on_one_memory, parse,
    shrink, with_store_buffers,
};

const PROGRAMS: u64 = 600;
const MOST: usize = 20_000;

#[test]
fn a_seed_is_a_program_that_survives_being_written_and_read() {
    for seed in 0..PROGRAMS {
        let program = generate(seed);
        assert_eq!(program, generate(seed));
        assert_eq!(parse(&program.to_string()).unwrap(), std::slice::from_ref(&program), "{program}");
        assert!((2..=4).contains(&program.threads().len()), "{program}");
        let program = generate_loops(seed);
        assert!(program.has_loops(), "{program}");
        assert_eq!(parse(&program.to_string()).unwrap(), std::slice::from_ref(&program), "{program}");
    }
}

#[test]
fn axioms_and_machines_agree() {
    for seed in 0..PROGRAMS {
        let program = generate(seed);
        if let Some((found, counts)) = on_one_memory(&program, MOST) {
            assert_eq!(found, graphs(&program, Model::Sc), "{program}");
            assert_eq!(counts, enumerate(&program, Model::Sc), "{program}");
        }
        if let Some((found, counts)) = with_store_buffers(&program, MOST) {
            assert_eq!(found, graphs(&program, Model::Tso), "{program}");
            assert_eq!(counts, enumerate(&program, Model::Tso), "{program}");
        }
    }
}

#[test]
fn one_order_of_events_suffices() {
    for seed in 0..PROGRAMS {
        let program = generate(seed);
        if let Some(found) = in_any_order(&program, Model::Rc11, MOST / 10) {
            assert_eq!(found, graphs(&program, Model::Rc11), "{program}");
        }
    }
}

#[test]
fn each_model_allows_what_the_stronger_one_does() {
    let mut weaker = [0, 0];
    for seed in 0..PROGRAMS {
        let program = generate(seed);
        let [sc, tso, rc11] = Model::ALL.map(|model| graphs(&program, model));
        assert!(sc.is_subset(&tso), "{program}");
        assert!(tso.is_subset(&rc11), "{program}");
        weaker[0] += usize::from(sc != tso);
        weaker[1] += usize::from(tso != rc11);
    }
    assert!(
        weaker.iter().all(|&programs| programs > 15),
        "{weaker:?} of {PROGRAMS} programs tell the models apart"
    );
}

fn operations(program: &Program) -> usize {
    fn of(code: &[Op]) -> usize {
        code.iter().map(|op| 1 + op.bodies().into_iter().map(|body| of(body)).sum::<usize>()).sum()
    }
    program.threads().iter().map(|thread| of(&thread.code)).sum()
}

#[test]
fn what_is_shrunk_still_shows_it_and_is_minimal() {
    let shows =
        |program: &Program| enumerate(program, Model::Tso).complete > enumerate(program, Model::Sc).complete;
    let programs: Vec<Program> = (0..PROGRAMS).map(generate).filter(shows).collect();
    assert!(programs.len() > 15);
    for program in programs {
        let small = shrink(&program, shows);
        assert!(shows(&small), "{small}");
        // A cycle through store buffers takes two operations of each thread, or one where the
        // cycle enters a thread by the access it leaves it by.
        assert!(operations(&small) <= 2 * small.threads().len(), "{small}");
        for thread in 0..small.threads().len() {
            for op in 0..small.threads()[thread].code.len() {
                let mut smaller = small.clone();
                smaller.threads[thread].code.remove(op);
                assert!(!shows(&smaller), "{small} is not minimal, see {smaller}");
            }
        }
    }
}
