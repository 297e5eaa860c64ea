//! A repair written as a patch applies, and what comes out is the program repaired.

use racefuzz_fix::{Options, fix};
use racefuzz_report::patch;
use std::path::Path;
use std::process::Command;

#[path = "patches/after.rs"]
mod after;
#[path = "patches/before.rs"]
mod before;

const BEFORE: &str = include_str!("patches/before.rs");
const AFTER: &str = include_str!("patches/after.rs");

/// The patch for one of the programs, against `before.rs`.
fn repair(program: fn()) -> String {
    let report = fix(&Options::default(), &program);
    let file = report.failure.as_ref().unwrap().trace.sites[0].file.clone();
    assert!(file.ends_with("patches/before.rs"), "{file}");
    let patch = patch(&report, &[(file.as_str(), BEFORE)]).expect("a repair");
    assert!(patch.complete, "{}", patch.text);
    patch.text.replace(&file, "before.rs")
}

fn apply(folder: &Path, patch: &str) {
    std::fs::write(folder.join("repair.patch"), patch).unwrap();
    let applied = Command::new("git").args(["apply", "repair.patch"]).current_dir(folder).output();
    let applied = applied.expect("git is there");
    assert!(applied.status.success(), "{}\n{patch}", String::from_utf8_lossy(&applied.stderr));
}

/// `after.rs` is compiled with this test.
#[test]
fn patches_apply_and_give_what_compiles() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("before.rs");
    std::fs::write(&file, BEFORE).unwrap();
    for program in [before::increment, before::publish, before::renew] {
        apply(folder.path(), &repair(program));
    }
    let patched = std::fs::read_to_string(&file).unwrap();
    assert!(patched == AFTER, "{patched}");
}

#[test]
fn what_comes_out_needs_nothing_more() {
    for program in [after::increment, after::publish, after::renew] {
        let report = fix(&Options::default(), &program);
        assert!(report.nothing_to_fix(), "{:?}", report.failure);
    }
}
