//! Repairs and audits of the scenarios, as people read them.

use crate::support::{argument, folder, line, run, scenarios, snapshot, widest};

fn names(holds: bool) -> Vec<String> {
    let all = scenarios();
    let those = all.iter().filter(|scenario| scenario["expected"]["holds"] == holds);
    those.map(|scenario| scenario["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn repairs() {
    for name in names(false) {
        let ran = line(&format!("fix {name} --width 80"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{name}");
        assert!(widest(&ran.stdout) <= 80, "{}", ran.stdout);
        snapshot(&format!("cli__fix_{name}"), &ran.stdout);
    }
}

#[test]
fn what_holds_has_nothing_to_fix() {
    for name in names(true) {
        let ran = line(&format!("fix {name} --width 80"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name}");
        assert!(ran.stdout.starts_with(&format!(" ok   {name}: nothing to fix")), "{}", ran.stdout);
    }
}

#[test]
fn audits() {
    for name in [
        "counter-locked",
        "gil",
        "refcount-locked",
        "lock-not-respected",
        "bank-transfer-skew-fixed",
        "lock-order",
        "bounded-buffer-fixed",
        "publish-relaxed-fixed",
        "double-checked-init-fixed",
        "peterson-fixed",
        "message-passing",
        "dependent-steps",
    ] {
        let ran = line(&format!("audit {name} --width 80"));
        assert_eq!(ran.stderr, "", "{name}");
        assert!(widest(&ran.stdout) <= 80, "{}", ran.stdout);
        snapshot(&format!("cli__audit_{name}"), &ran.stdout);
    }
}

#[test]
fn the_same_every_time() {
    for command in ["fix counter", "fix publish-relaxed --format json", "audit bounded-buffer-fixed"] {
        assert_eq!(line(command).stdout, line(command).stdout, "{command}");
    }
}

#[test]
fn a_patch_says_which_repair_it_is() {
    let folder = folder();
    let file = folder.path().join("repair.patch");
    let patched = |name: &str| {
        let ran = run(&["fix", name, "--patch", argument(&file), "--format", "json"]);
        (ran.stderr, std::fs::read_to_string(&file).unwrap_or_default())
    };
    let (said, patch) = patched("refcount");
    assert_eq!(said, "");
    assert!(patch.contains("+static NEW_LOCK: racefuzz::sync::Mutex<()>"), "{patch}");
    let (said, patch) = patched("bank-transfer");
    assert!(said.contains("part of repair 1"), "{said}");
    assert!(patch.contains("// from here: hold"), "{patch}");
    std::fs::remove_file(&file).unwrap();
    let (said, patch) = patched("poisoned-state");
    assert!(said.contains("none was written") && patch.is_empty(), "{said}{patch}");
}
