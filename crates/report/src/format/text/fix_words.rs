//! The words for repairs: what is changed, how sure that is, what it leaves.

use crate::Sources;
use crate::message::outcome;
use crate::repair::{first_line, function, wait_in_words, whole_regions};
use crate::words::{count, number};
use racefuzz_trace::{
    Certainty, Certificate, Compare, Edit, Fix, FixKind, FixReport, Kept, LockName, Parallelism, Region,
    Site, Verdict,
};
use std::cmp::Ordering;

/// What a repair changes, in one line.
pub(in crate::format) fn title(fix: &Fix, sources: &dyn Sources) -> String {
    if fix.kind == FixKind::OneStep {
        return match fix.regions.first() {
            Some(region) => {
                let (first, last) = (region.first.line, region.last.line);
                match first == last {
                    true => format!("line {first} as one read-modify-write"),
                    false => format!("lines {first} and {last} as one read-modify-write"),
                }
            }
            None => fix.overlay.edits.iter().map(edit_words).collect(),
        };
    }
    if fix.regions.is_empty() {
        let words = |edit: &Edit| wait_in_words(fix, edit, sources).unwrap_or_else(|| edit_words(edit));
        let mut edits: Vec<String> = fix.overlay.edits.iter().map(words).collect();
        // Two accesses on one line.
        edits.dedup();
        return edits.join("; ");
    }
    // By lock, and for each the stretches that are not part of a longer one from the same place on.
    let mut locks: Vec<(String, Vec<String>)> = Vec::new();
    let shared = |lock: &LockName| fix.regions.iter().any(|region| region.lock == *lock && region.shared);
    for region in whole_regions(fix) {
        let mut lock = lock_words(&region.lock, sources);
        if shared(&region.lock) {
            lock.push_str(if region.shared { ", read" } else { ", written" });
        }
        let stretch = stretch(region, sources);
        match locks.iter_mut().find(|(known, _)| *known == lock) {
            Some((_, stretches)) if stretches.contains(&stretch) => {}
            Some((_, stretches)) => stretches.push(stretch),
            None => locks.push((lock, vec![stretch])),
        }
    }
    let mut told: Option<String> = None;
    let parts = locks.into_iter().map(|(lock, stretches)| {
        // A lock that is read and written is named once.
        let (name, how) = lock.rsplit_once(", ").unwrap_or((&lock, ""));
        let again = !how.is_empty() && told.as_deref() == Some(name);
        told = Some(name.to_owned());
        let lock = if again { how.to_owned() } else { lock.clone() };
        let one = stretches.len() == 1 && stretches[0].parse::<u32>().is_ok();
        let lines = if one { "line" } else { "lines" };
        format!("{lock} over {lines} {}", list(&stretches))
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn stretch(region: &Region, sources: &dyn Sources) -> String {
    let text = sources.text(&region.first.file);
    let lines: Vec<&str> = text.as_deref().map(|text| text.lines().collect()).unwrap_or_default();
    let first = if lines.is_empty() { region.first.line as usize } else { first_line(region, &lines) };
    let last = region.last.line as usize;
    let in_one_file = region.first.file == region.last.file && last <= lines.len();
    match first.cmp(&last) {
        Ordering::Less => format!("{first}..{last}"),
        Ordering::Equal => first.to_string(),
        // The one is in a function that the other's calls, or a loop begins anew in between.
        Ordering::Greater if in_one_file && function(&lines, first) == function(&lines, last) => {
            format!("{first} around to {last}")
        }
        Ordering::Greater => format!("{first} to {last}, in another function"),
    }
}

/// `a, b and c`
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn lock_words(lock: &LockName, sources: &dyn Sources) -> String {
    match lock {
        LockName::New(0) => "a lock".to_owned(),
        LockName::New(1) => "a second lock".to_owned(),
        LockName::New(_) => "a further lock".to_owned(),
        LockName::Beside(_, created) => format!("a lock beside each object of line {}", created.line),
        LockName::Own(created) => lock_name(created, sources),
    }
}

/// The program's own lock, by its name if the source tells.
fn lock_name(created: &Site, sources: &dyn Sources) -> String {
    sources
        .text(&created.file)
        .and_then(|text| crate::names::name_at(&text, created.line, created.column))
        .map_or_else(|| format!("the lock of line {}", created.line), |name| format!("`{name}`"))
}

/// One edit in words.
pub(super) fn edit_words(edit: &Edit) -> String {
    match edit {
        Edit::Join { spawned, before } => {
            format!("join the threads spawned on line {} before line {}", spawned.line, before.line)
        }
        Edit::Await { first, before } => {
            format!("line {} waits until line {} is done", before.line, first.line)
        }
        Edit::Order { site, order } => format!("{} on line {}", order.name(), site.line),
        Edit::FailureOrder { site, order } => {
            format!("{} as the failure ordering on line {}", order.name(), site.line)
        }
        Edit::Swap { site } => format!("a swap in place of the store on line {}", site.line),
        Edit::UnparkSelf { wait } => {
            let line = wait.iter().map(|site| site.line).max().unwrap_or(0);
            format!("behind the wait that parks on line {line} the thread unparks itself")
        }
        Edit::Fence { before, order } => format!("a fence({}) before line {}", order.name(), before.line),
        Edit::Sort { first, second, .. } if first.line == second.line => {
            format!("take the locks of line {} in one order everywhere", first.line)
        }
        Edit::Sort { first, second, .. } => {
            format!("take the locks of lines {} and {} in one order everywhere", first.line, second.line)
        }
        Edit::LoadAgain { load, returns, when } => {
            let also = when.as_ref().map_or(String::new(), |(site, test)| {
                format!(", where line {} has read {}", site.line, compared(test))
            });
            format!("line {} loads again while it reads {}{also}", load.line, compared(returns))
        }
        Edit::WaitFor { before, atomic, holds, .. } => {
            format!(
                "line {} waits while the atomic of line {} is {}",
                before.line,
                atomic.line,
                compared(holds)
            )
        }
        Edit::WakeAll { site } => format!("notify_all on line {}", site.line),
        Edit::Lock { lock, .. } => lock_words(lock, &()),
        Edit::Drop { created, .. } => format!("without the lock of line {}", created.line),
        Edit::Share { created, .. } => format!("readers of the lock of line {} share it", created.line),
        Edit::LetGo { created, guards, before, .. } => {
            format!("give back {} before line {}", taken(created, guards), before.line)
        }
        Edit::GiveBack { created, guards } => {
            format!("give back {} on every way out of its thread", taken(created, guards))
        }
        Edit::NoYield { site } => format!("no await on line {} between the steps around it", site.line),
        Edit::Update { load, store, .. } if load.line == store.line => {
            format!("line {} as one read-modify-write", load.line)
        }
        Edit::Update { load, store, .. } => {
            format!("lines {} and {} as one read-modify-write", load.line, store.line)
        }
        Edit::Through { region, after, .. } => {
            format!("the region of edit {} goes on behind line {}", region + 1, after.line)
        }
        Edit::TestAgain { wait } => {
            format!(
                "test the condition again behind the wait on line {}: `while` in place of `if`",
                wait.line
            )
        }
        Edit::GiveBackTaken { taken, looked, .. } => {
            format!("what line {} takes is given back on the way out of line {}", taken.line, looked.line)
        }
        Edit::PassOn { wait, looked } => format!(
            "who is woken on line {} and leaves on line {} notifies another one",
            wait.line, looked.line
        ),
        Edit::MoveUp { statement, before } => {
            format!("line {} moved in front of line {}", statement.line, before.line)
        }
    }
}

/// What a value is compared with.
fn compared(test: &Compare) -> String {
    match test {
        Compare::Is(value) => value.to_string(),
        Compare::IsNot(value) => format!("not {value}"),
        Compare::IsRead(site) => format!("the same as line {}", site.line),
        Compare::IsNotRead(site) => format!("something else than line {}", site.line),
    }
}

fn taken(created: &Site, guards: &[Site]) -> String {
    match guards.first() {
        Some(taken) => format!("the lock taken on line {}", taken.line),
        None => format!("the lock of line {}", created.line),
    }
}

/// No bug: how sure.
pub(super) fn verdict_words(verdict: Verdict) -> String {
    match verdict.certainty {
        Certainty::Verified => {
            format!("verified, {}, {}", count(verdict.executions, "execution", "executions"), verdict.memory)
        }
        Certainty::Sampled => format!("no bug in {}, {}", number(verdict.executions), verdict.memory),
        Certainty::Untried => "not explored".to_owned(),
    }
}

/// No bug, but of what is not the text that is shown.
pub(super) fn advice_words(verdict: Verdict) -> String {
    match verdict.certainty {
        Certainty::Verified => {
            format!("advice, {}, {}", count(verdict.executions, "execution", "executions"), verdict.memory)
        }
        Certainty::Sampled => {
            format!("advice, no bug in {}, {}", number(verdict.executions), verdict.memory)
        }
        Certainty::Untried => "proposal, not explored".to_owned(),
    }
}

/// What an advice is.
pub(super) const ADVICE: &str = "advice: what its words say was explored in full; what is written for it was \
                                 not, so check again once it is";

/// What a proposal is.
pub(super) const PROPOSAL: &str = "proposal: likely from what the failing schedules have in common, but only \
                                   what is written can be explored; `--confirm` types it in and checks it";

/// What a repair keeps, leaves and costs.
pub(super) fn measures(report: &FixReport, fix: &Fix) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(fix.kept.map(kept_words));
    if let Some(left) = fix.parallelism {
        let before = report
            .baseline
            .parallelism
            .map_or(String::new(), |before| format!("{} \u{2192} ", ratio(before)));
        parts.push(format!("parallelism {before}{}", ratio(left)));
    }
    if fix.kind.is_lock() {
        parts.push(format!(
            "{}, {} guarded",
            count(fix.locks.into(), "lock", "locks"),
            count(fix.guarded.into(), "step", "steps")
        ));
    }
    parts
}

fn ratio(parallelism: Parallelism) -> String {
    if parallelism.max - parallelism.min < 0.005 {
        format!("{:.2}", parallelism.mean)
    } else {
        format!("{:.2} ({:.2} to {:.2})", parallelism.mean, parallelism.min, parallelism.max)
    }
}

fn kept_words(kept: Kept) -> String {
    if kept.schedules > kept.of {
        let schedules = if kept.schedules == 1 { "schedule" } else { "schedules" };
        return format!("permits {} good {schedules}, {} before", wide(kept.schedules), wide(kept.of));
    }
    let of = if kept.relative { "schedules that the most permissive repair keeps" } else { "good schedules" };
    let share = 100.0 * kept.share();
    let share = if kept.is_all() { "100 %".to_owned() } else { format!("{share:.2} %") };
    format!("keeps {share} ({} of {} {of})", wide(kept.schedules), wide(kept.of))
}

/// What a program is that is sequential as it stands.
pub(super) fn sequential_words(one_output: bool) -> String {
    let loop_ =
        if one_output { ", and every execution prints the same lines: a plain loop suffices" } else { "" };
    format!("sequential: no two steps ever run at once{loop_}")
}

/// What it means that nothing runs at once.
pub(super) fn sequential(fix: &Fix) -> Vec<String> {
    if !fix.is_sequential() {
        return Vec::new();
    }
    let mut out = Vec::new();
    match fix.kept {
        Some(kept) if kept.is_all() && !kept.relative => out.push(
            "sequential, and that is all there is: every good schedule is kept, so no lock leaves more \
             parallelism, and a plain loop does the same"
                .to_owned(),
        ),
        _ if fix.needed.is_empty() => {
            out.push("sequential: no two steps run at once any more; shrink it where that matters".to_owned())
        }
        _ => out.push(
            "sequential: no two steps run at once any more, although none of its ends can be moved in"
                .to_owned(),
        ),
    }
    if fix.one_output {
        out.push(
            "every execution prints the same lines in the same order: a plain loop without threads suffices"
                .to_owned(),
        );
    }
    out
}

/// Why nothing of a repair can go: what fails in the same way is said once.
pub(super) fn needed(certificates: &[Certificate]) -> Vec<String> {
    let mut said: Vec<(&str, Vec<String>)> = Vec::new();
    let mut certificates: Vec<&Certificate> = certificates.iter().collect();
    certificates.sort_by_key(|certificate| &certificate.site);
    for certificate in certificates {
        let without = certificate.without.clone();
        match said.iter_mut().find(|(fails, _)| *fails == certificate.fails) {
            Some((_, all)) if all.contains(&without) => {}
            Some((_, all)) => all.push(without),
            None => said.push((&certificate.fails, vec![without])),
        }
    }
    said.into_iter()
        .map(|(fails, all)| format!("{} it fails again: {}", either(&all), outcome(fails, &[])))
        .collect()
}

/// `without line 1 or line 2`
fn either(all: &[String]) -> String {
    let [first, others @ ..] = all else { return String::new() };
    let mut text = first.clone();
    for (at, other) in others.iter().enumerate() {
        text.push_str(if at + 1 == others.len() { " or " } else { ", " });
        text.push_str(other.strip_prefix("without ").unwrap_or(other));
    }
    text
}

/// A large number with commas.
pub(super) fn wide(value: u128) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
