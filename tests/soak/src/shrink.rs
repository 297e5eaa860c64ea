//! Smaller programs that still disagree.

use crate::program::Program;

/// Takes away statements, as long as `fails`.
pub fn shrink(mut program: Program, fails: &dyn Fn(&Program) -> bool) -> Program {
    loop {
        let before = program.size();
        for thread in 0..program.threads.len() {
            let mut at = program.threads[thread].len();
            while at > 0 {
                at -= 1;
                let mut smaller = program.clone();
                smaller.threads[thread].remove(at);
                if fails(&smaller) {
                    program = smaller;
                }
            }
        }
        if program.threads.last().is_some_and(Vec::is_empty) && program.threads.len() > 1 {
            let mut smaller = program.clone();
            smaller.threads.pop();
            if fails(&smaller) {
                program = smaller;
                continue;
            }
        }
        if program.scoped {
            let smaller = Program { scoped: false, ..program.clone() };
            if fails(&smaller) {
                program = smaller;
            }
        }
        if program.size() == before {
            return program;
        }
    }
}
