//! A notification passed on where a waiter leaves without using it, as text.
//!
//! It is written where the waiter leaves in a block of its own, in the function in which it waits. Nothing of it
//! was explored; what is said of it is said once it is typed in and checked.

use super::calls::call_at;
use super::guard::path_before;
use super::lines::indent;
use super::way_out::{function, way_out};
use super::{Changes, push};
use crate::Sources;
use racefuzz_trace::Site;
use std::collections::BTreeMap;

/// Writes it, if it can be written.
pub(super) fn write(
    wait: &Site,
    looked: &Site,
    sources: &dyn Sources,
    files: &mut BTreeMap<String, Changes>,
) -> bool {
    let Some(text) = sources.text(&wait.file).filter(|_| wait.file == looked.file) else { return false };
    let Some((line, statement)) = passed_on(&text, wait, looked) else { return false };
    push(&mut files.entry(wait.file.clone()).or_default().before, line, statement);
    true
}

/// The line in front of which it is passed on, and the statement that does so.
fn passed_on(text: &str, wait: &Site, looked: &Site) -> Option<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let (at, looked) = (wait.line as usize, looked.line as usize);
    if at == 0 || looked == 0 || at.max(looked) > lines.len() {
        return None;
    }
    let call = call_at(text, wait.line, wait.column)?;
    let waits = matches!(&text[call.name.clone()], "wait" | "wait_timeout");
    let condvar = &text[path_before(text, call.name.start)?];
    let out = way_out(&lines, looked)?;
    let one_function = function(&lines, at) == function(&lines, looked);
    (waits && one_function)
        .then(|| (out.leaves, format!("{}{condvar}.notify_one();", indent(lines[out.leaves - 1]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_notifies_another_one() {
        let text = "fn f(&self) {\n    loop {\n        if self.gone.load(SeqCst) {\n            return None;\n        \
                    }\n        items = self.ready.wait(items).unwrap();\n    }\n}\nfn g() {\n    if a() {\n        \
                    return;\n    }\n}\n";
        let site = |line: u32, column: u32| Site { file: "f.rs".into(), line, column };
        let wait = site(6, 28);
        let new = (4, "            self.ready.notify_one();".to_owned());
        assert_eq!(passed_on(text, &wait, &site(3, 12)), Some(new));
        assert_eq!(passed_on(text, &wait, &site(10, 8)), None, "in another function");
        assert_eq!(passed_on(text, &site(3, 22), &site(3, 12)), None, "that is no wait");
    }
}
