//! Which repairs change the code under test, and which the test itself.
//!
//! A function with `#[test]`, `#[racefuzz::test]` or the like is the harness, with the closures in it
//! that it hands to threads. A change there may make the test pass and leaves the code as wrong as it
//! was, so it comes behind the changes of the code.

use super::law::closing;
use crate::Sources;
use racefuzz_trace::{Edit, Fix, FixKind, FixReport, Site};

/// Puts the repairs that change a test behind those that do not, and before those that only take
/// concurrency away; otherwise their order stays. What has not been explored and cannot be typed in is left
/// out.
pub fn put_harness_last(report: &mut FixReport, sources: &dyn Sources) {
    super::leave_out_unwritten(report, sources);
    let place = |fix: &Fix| {
        let hides = fix.kind == FixKind::LessConcurrent;
        (hides, !hides && changes_harness(fix, sources))
    };
    let mut order: Vec<usize> = (0..report.fixes.len()).collect();
    order.sort_by_key(|index| place(&report.fixes[*index]));
    let number = |old: u32| order.iter().position(|index| *index + 1 == old as usize).map(|at| at as u32 + 1);
    let moved = |index: &usize| {
        let mut fix = report.fixes[*index].clone();
        fix.dominated_by = fix.dominated_by.and_then(number);
        fix
    };
    report.fixes = order.iter().map(moved).collect();
}

/// Whether a repair changes a line of a test.
fn changes_harness(fix: &Fix, sources: &dyn Sources) -> bool {
    let edits = fix.overlay.edits.iter().chain(&fix.besides);
    edits.flat_map(changed).any(|site| {
        let text = sources.text(&site.file).unwrap_or_default();
        tests(&text.lines().collect::<Vec<_>>())
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&(site.line as usize)))
    })
}

/// The places that an edit changes.
fn changed(edit: &Edit) -> Vec<&Site> {
    match edit {
        Edit::Lock { sites, shared, .. } => sites.iter().chain(shared).collect(),
        Edit::Through { .. } => Vec::new(),
        Edit::Drop { created, guards }
        | Edit::Share { created, guards }
        | Edit::GiveBack { created, guards } => {
            if guards.is_empty() {
                vec![created]
            } else {
                guards.iter().collect()
            }
        }
        Edit::Sort { first, second, .. } => vec![first, second],
        Edit::Order { site, .. }
        | Edit::FailureOrder { site, .. }
        | Edit::Swap { site }
        | Edit::WakeAll { site }
        | Edit::NoYield { site }
        | Edit::TestAgain { wait: site }
        | Edit::MoveUp { statement: site, .. } => vec![site],
        Edit::GiveBackTaken { looked, .. } | Edit::PassOn { looked, .. } => vec![looked],
        Edit::Update { load, store, .. } => vec![load, store],
        Edit::LoadAgain { load, .. } => vec![load],
        Edit::Fence { before, .. }
        | Edit::WaitFor { before, .. }
        | Edit::Join { before, .. }
        | Edit::Await { before, .. }
        | Edit::LetGo { before, .. } => vec![before],
        Edit::UnparkSelf { wait } => wait.iter().collect(),
    }
}

/// The test functions of a file: first and last line, counted from 1.
fn tests(lines: &[&str]) -> Vec<(usize, usize)> {
    let starts = (1..).zip(lines).filter(|(_, line)| is_test(line)).map(|(number, _)| number);
    starts.map(|first| (first, closing(lines, first + 1))).collect()
}

/// Whether a line is an attribute whose last name is `test`.
fn is_test(line: &str) -> bool {
    let path = line.trim_start().strip_prefix("#[").and_then(|rest| rest.split([']', '(']).next());
    path.and_then(|path| path.trim().rsplit("::").next()) == Some("test")
}

#[cfg(test)]
mod tests {
    use super::*;
    use racefuzz_trace::{Baseline, Certainty, MemoryModel, Settings, Verdict};

    #[test]
    fn a_test_ends_with_its_brace() {
        let text = "fn code() {\n    x();\n}\n\n#[racefuzz::test(check)]\n#[ignore]\nfn tested() {\n    spawn(|| {\n        \
                    code();\n    });\n}\nfn more() {}\n\n#[test]\nfn plain() {}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(super::tests(&text.lines().collect::<Vec<_>>()), [(5, 11), (14, 15)]);
    }

    fn fix(kind: FixKind, line: u32, dominated_by: Option<u32>) -> Fix {
        let site = Site { file: "src/lib.rs".into(), line, column: 5 };
        let verdict = Verdict { certainty: Certainty::Verified, memory: MemoryModel::Rc11, executions: 1 };
        Fix { dominated_by, ..Fix::new(kind, vec![Edit::Swap { site }].into(), verdict) }
    }

    #[test]
    fn the_code_comes_before_its_test_and_what_hides_comes_last() {
        let text = "fn code() {\n    x();\n}\n#[test]\nfn tested() {\n    x();\n}\n";
        let fixes = [
            fix(FixKind::Swap, 6, None),
            fix(FixKind::Swap, 6, Some(1)),
            fix(FixKind::Swap, 2, Some(1)),
            fix(FixKind::LessConcurrent, 2, None),
        ];
        let mut report = FixReport {
            version: 1,
            program: String::new(),
            settings: Settings::default(),
            baseline: Baseline::default(),
            failure: None,
            holds: None,
            no_lock: None,
            fixes: fixes.to_vec(),
            notes: Vec::new(),
            tried: 0,
            executions: 0,
            stopped: None,
        };
        put_harness_last(&mut report, &[("src/lib.rs", text)]);
        let lines: Vec<_> = report
            .fixes
            .iter()
            .map(|fix| (changed(&fix.overlay.edits[0])[0].line, fix.dominated_by))
            .collect();
        assert_eq!(lines, [(2, Some(2)), (6, None), (6, Some(2)), (2, None)]);
        assert_eq!(report.fixes[3].kind, FixKind::LessConcurrent);
        // Where nothing is known of the source, the order stays.
        report.fixes = fixes.to_vec();
        put_harness_last(&mut report, &());
        assert_eq!(report.fixes, fixes);
    }

    #[test]
    fn attributes_that_only_look_like_a_test_are_none() {
        assert!(is_test("    #[tokio::test(flavor = \"multi_thread\")]"));
        for none in ["#[cfg(test)]", "#[test_case(1)]", "// #[test]", "#[derive(test)]"] {
            assert!(!is_test(none), "{none}");
        }
    }
}
