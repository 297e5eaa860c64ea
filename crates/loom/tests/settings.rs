//! Environment variables, each tried in a process of its own.

use std::process::{Command, Output};

/// Runs the test `child` of this file with these variables.
fn child(name: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let output: Output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored", "--nocapture"])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), text.concat())
}

#[test]
#[ignore = "run by the others"]
fn counts() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&count);
    loom::model(move || {
        counted.fetch_add(1, SeqCst);
        // 3! orders of those who take the lock.
        let lock = loom::sync::Arc::new(loom::sync::Mutex::new(()));
        for _ in 0..3 {
            let lock = loom::sync::Arc::clone(&lock);
            loom::thread::spawn(move || drop(lock.lock().unwrap()));
        }
    });
    println!("{} runs", count.load(SeqCst));
}

#[test]
#[ignore = "run by the others"]
fn fails() {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    loom::model(|| {
        let n = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&n);
        loom::thread::spawn(move || theirs.store(1, SeqCst));
        assert_eq!(n.load(SeqCst), 0, "it was stored");
    });
}

#[test]
fn everything_is_explored_unless_sampling_is_asked_for() {
    for (variables, runs) in [
        // Six executions: the first, the second, the fourth and the last run twice.
        (&[][..], "10 runs"),
        (&[("RACEFUZZ_MODE", "check")], "10 runs"),
        // That is for sampling only.
        (&[("RACEFUZZ_ITERATIONS", "31")], "10 runs"),
        (&[("RACEFUZZ_MODE", "fuzz")], "2000 runs"),
        (&[("RACEFUZZ_MODE", "fuzz"), ("RACEFUZZ_ITERATIONS", "31")], "31 runs"),
        (&[("RACEFUZZ_MODE", "fuzz"), ("LOOM_MAX_PERMUTATIONS", "12")], "12 runs"),
        // The last one of five is not the last of all.
        (&[("LOOM_MAX_PERMUTATIONS", "5")], "8 runs"),
        (&[("LOOM_MAX_PERMUTATIONS", "12")], "10 runs"),
    ] {
        let (passed, text) = child("counts", variables);
        assert!(passed && text.contains(&format!("\n{runs}")), "{variables:?}: {text}");
    }
}

#[test]
fn what_a_limit_cuts_short_is_no_proof_and_says_so() {
    let (passed, text) = child("counts", &[("LOOM_MAX_PERMUTATIONS", "5")]);
    assert!(passed && text.contains("no bug in 5 executions"), "{text}");
    let (passed, text) = child("counts", &[("LOOM_MAX_PERMUTATIONS", "6")]);
    assert!(passed && !text.contains("no bug in"), "{text}");
}

#[test]
fn a_bound_on_preemptions_is_one_and_it_says_so() {
    let (passed, text) = child("counts", &[("LOOM_MAX_PREEMPTIONS", "2")]);
    assert!(passed && text.contains("verified up to 2 preemptions"), "{text}");
    assert!(text.contains("all 6 executions"), "{text}");
    let (passed, text) = child("counts", &[]);
    assert!(passed && !text.contains("verified"), "{text}");
}

#[test]
fn what_is_none_is_refused_by_name() {
    for (variable, value) in [
        ("LOOM_MAX_BRANCHES", "many"),
        ("LOOM_MAX_PREEMPTIONS", "-1"),
        ("RACEFUZZ_STRATEGY", "luck"),
        ("RACEFUZZ_MODE", "guess"),
        ("LOOM_CHECKPOINT_FILE", "steps.json"),
    ] {
        let (passed, text) = child("counts", &[(variable, value)]);
        let named = match variable {
            "LOOM_CHECKPOINT_FILE" => "checkpoint_file (steps.json)",
            _ => variable,
        };
        assert!(!passed && text.contains(named), "{variable}: {text}");
    }
}

#[test]
fn the_token_of_a_report_replays_it() {
    let (passed, text) = child("fails", &[]);
    assert!(!passed && text.contains("it was stored"), "{text}");
    let token = text.split_once("RACEFUZZ_REPLAY='").unwrap().1.split_once('\'').unwrap().0;
    let (passed, text) = child("fails", &[("RACEFUZZ_REPLAY", token)]);
    assert!(!passed && text.contains("it was stored"), "{text}");
    // A token of another program says nothing about this one.
    let (passed, text) = child("counts", &[("RACEFUZZ_REPLAY", token)]);
    assert!(passed && text.contains("10 runs"), "{text}");
}

#[test]
fn executions_are_counted_in_a_file() {
    let file = std::env::temp_dir().join(format!("racefuzz-loom-counts-{}", std::process::id()));
    let path = file.to_str().unwrap();
    for _ in 0..2 {
        child("counts", &[("RACEFUZZ_COUNT_FILE", path)]);
    }
    let text = std::fs::read_to_string(&file).unwrap();
    let _ = std::fs::remove_file(&file);
    assert_eq!(text, "counts\t6\t0\tverified\n".repeat(2));
}
