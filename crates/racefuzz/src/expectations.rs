//! What a program says should happen in some execution, and whether it did: a run without a bug may be
//! one that never came to what it is about.

use racefuzz_report::Sources;
use racefuzz_trace::{Expectation, Outcome, RunReport, Site, normalize_path};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

/// A place and the name that it has there.
type Place = (&'static str, u32, u32, &'static str);

/// The places that the executions of a run have come to, and whether they held there.
#[derive(Default)]
struct Places {
    seen: Mutex<BTreeMap<Place, bool>>,
}

thread_local! {
    /// The places of the run that this operating-system thread executes for: the threads of an execution
    /// share it.
    static CURRENT: RefCell<Option<Arc<Places>>> = const { RefCell::new(None) };
}

/// Records that an execution has come to a place, and whether what is expected there holds. Outside a
/// run nothing happens.
#[track_caller]
pub fn expect(name: &'static str, holds: bool) {
    let at = Location::caller();
    CURRENT.with_borrow(|places| {
        let Some(places) = places else { return };
        let mut seen = places.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.entry((at.file(), at.line(), at.column(), name)).or_default() |= holds;
    });
}

/// Runs a program by an engine, and adds to the report of a run that passes what its executions have seen.
pub(crate) fn observed<E>(
    program: impl Fn() + Sync,
    roots: &[String],
    sources: &dyn Sources,
    run: impl FnOnce(&(dyn Fn() + Sync)) -> Result<RunReport, E>,
) -> Result<RunReport, E> {
    let places = Arc::new(Places::default());
    let watched = || {
        CURRENT.with_borrow_mut(|current| {
            // The executions of a run follow each other on one thread.
            if !current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &places)) {
                *current = Some(Arc::clone(&places));
            }
        });
        program();
    };
    let ran = run(&watched);
    CURRENT.with_borrow_mut(|current| *current = None);
    let mut report = ran?;
    if report.outcome == Outcome::Passed {
        report.expectations = places.listed(roots, sources);
    }
    Ok(report)
}

impl Places {
    /// By place: those that were come to, and those in the same functions that were not. Other functions may
    /// be no part of the program.
    fn listed(&self, roots: &[String], sources: &dyn Sources) -> Vec<Expectation> {
        let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = seen.iter().map(|((file, line, column, name), seen)| {
            let site = Site { file: normalize_path(file, &roots), line: *line, column: *column };
            Expectation { name: (*name).to_owned(), site, reached: true, seen: *seen }
        });
        let mut all: Vec<Expectation> = reached.collect();
        let mut files: Vec<String> = all.iter().map(|one| one.site.file.clone()).collect();
        files.dedup();
        for file in files {
            let Some(text) = sources.text(&file) else { continue };
            let functions = functions(&text);
            let of = |line: u32| functions.iter().rev().find(|first| **first <= line).copied();
            let own = |one: &&Expectation| one.reached && one.site.file == file;
            let entered: Vec<_> = all.iter().filter(own).map(|one| of(one.site.line)).collect();
            for (line, name) in written(&text) {
                let known = all.iter().any(|one| one.site.file == file && one.name == name);
                if known || !entered.contains(&of(line)) {
                    continue;
                }
                let site = Site { file: file.clone(), line, column: 1 };
                all.push(Expectation { name, site, reached: false, seen: false });
            }
        }
        all.sort_by(|one, other| one.site.cmp(&other.site));
        all
    }
}

/// The lines on which functions begin, in order.
fn functions(text: &str) -> Vec<u32> {
    let begins = |line: &str| {
        let code = line.split("//").next().unwrap_or(line);
        code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "fn") && code.contains('(')
    };
    (1..).zip(text.lines()).filter(|(_, line)| begins(line)).map(|(number, _)| number).collect()
}

/// The places in a source text, by line, with the names that they have there.
fn written(text: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    let mut from = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let code = line.split("//").next().unwrap_or(line);
        for call in ["sometimes!(", "reachable!("] {
            // A name of its own, such as `unreachable!`, is another macro.
            let own = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if let Some(at) = code.find(call).filter(|at| own(*at)) {
                found.extend(last_string(&text[from + at + call.len()..]).map(|name| (number, name)));
            }
        }
        from += line.len();
    }
    found
}

/// The last string before the parenthesis is closed that was open at the beginning.
fn last_string(text: &str) -> Option<String> {
    let (mut depth, mut open, mut last) = (1, None, None);
    for (at, c) in text.char_indices() {
        match (c, open) {
            ('"', None) => open = Some(at + 1),
            ('"', Some(from)) => {
                last = Some(text[from..at].to_owned());
                open = None;
            }
            ('(', None) => depth += 1,
            (')', None) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_begin_where_their_names_stand() {
        let text = "/// fn a()\npub(crate) fn b<T>(\n    x: T,\n) {\n    fnord(1);\n}\nasync fn c() {}\n";
        assert_eq!(functions(text), [2, 7]);
    }

    #[test]
    fn places_are_found_in_a_source() {
        let text = "fn f() {\n    racefuzz::sometimes!(\n        n == (1 + 2) && s != \"x\",\n        \"both, at once\"\n    );\n    // sometimes!(a, \"no\")\n    unreachable!(\"no\");\n    reachable!(\"late\");\n}\n";
        assert_eq!(written(text), [(2, "both, at once".to_owned()), (8, "late".to_owned())]);
    }
}
