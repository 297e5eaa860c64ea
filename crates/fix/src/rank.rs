//! Which repairs are better: those that keep more good schedules and more parallelism, with fewer
//! locks held over fewer steps.

use racefuzz_trace::{Baseline, Certainty, Edit, Fix, FixKind, Kept};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Fills in the good schedules kept, out of those of the program as it is or, where those are too
/// many to count, out of those of the most permissive repair.
pub(crate) fn keep(fixes: &mut [(Fix, Option<u128>)], good: Option<u128>) {
    let most = fixes.iter().filter_map(|(_, schedules)| *schedules).max();
    let (of, relative) = match (good, most) {
        (Some(good), _) => (good, false),
        (None, Some(most)) => (most, true),
        (None, None) => return,
    };
    for (fix, schedules) in fixes {
        fix.kept = schedules.map(|schedules| Kept { schedules, of, relative });
    }
}

/// The share of good schedules kept. A repair may permit others, which were none before, such as those
/// that a data race made undefined; they are no merit of it beside another repair.
fn share(fix: &Fix) -> f64 {
    fix.kept.map_or(0.0, |kept| kept.share().min(1.0))
}

fn mean(fix: &Fix) -> f64 {
    fix.parallelism.map_or(0.0, |parallelism| parallelism.mean)
}

/// The order within a kind, best first.
fn better(one: &Fix, other: &Fix) -> Ordering {
    (share(other).total_cmp(&share(one)))
        .then(mean(other).total_cmp(&mean(one)))
        .then(one.locks.cmp(&other.locks))
        .then(one.guarded.cmp(&other.guarded))
        .then(one.overlay.edits.len().cmp(&other.overlay.edits.len()))
}

/// Whether one repair is at least as good as another in everything, and better in something.
fn dominates(one: &Fix, other: &Fix) -> bool {
    let at_least = share(one) >= share(other)
        && mean(one) >= mean(other) - 1e-9
        && one.locks <= other.locks
        && one.guarded <= other.guarded
        && one.besides.len() <= other.besides.len();
    let more = share(one) > share(other)
        || mean(one) > mean(other) + 1e-9
        || one.locks < other.locks
        || one.guarded < other.guarded
        || one.besides.len() < other.besides.len();
    at_least && more
}

/// Whether a repair is worth nothing beside one of another kind that costs less and leaves as much: a
/// wait whose means is left open beside anything, a lock beside stronger orderings.
fn superfluous(fix: &Fix, fixes: &[Fix]) -> bool {
    let open = matches!(fix.overlay.edits[..], [Edit::Await { .. }]);
    let cheaper = |other: &Fix| {
        let orders = matches!(other.kind, FixKind::Ordering | FixKind::Swap);
        let waits = matches!(other.kind, FixKind::Order | FixKind::LessConcurrent);
        open && !waits || fix.kind.is_lock() && orders
    };
    let as_good = |other: &Fix| {
        other.verdict.certainty != Certainty::Untried
            && other.besides.is_empty()
            && share(other) >= share(fix)
            && mean(other) >= mean(fix) - 1e-9
    };
    fixes.iter().any(|other| cheaper(other) && as_good(other))
}

/// Whether what a repair makes others wait for is more than what is wrong: it rules out executions that
/// are good, or, where those cannot be told, leaves nothing to run at once that did. Where there are no steps,
/// as all is inside of locks, executions are what is counted.
fn takes_concurrency(fix: &Fix, before: &Baseline) -> bool {
    let waits = |edit: &Edit| matches!(edit, Edit::Join { .. } | Edit::Await { .. });
    let did = before.parallelism.is_some_and(|before| !before.is_sequential());
    fix.overlay.edits.iter().all(waits)
        && match fix.kept {
            Some(kept) if kept.of == 1 && kept.is_all() && before.complete => {
                fix.verdict.executions < before.executions - before.failing
            }
            Some(kept) if kept.of > 0 && !kept.relative => kept.share() < 1.0,
            _ => did && fix.is_sequential(),
        }
}

/// The place of a kind in the report. In a program that uses no lock, one comes behind whatever does
/// without; what takes concurrency away comes last.
fn place(kind: FixKind, lock_free: bool, one_ordering: bool) -> (u8, bool, FixKind) {
    // One access changed is less to review than several, and so are fewer fences.
    let several = kind == FixKind::Ordering && !one_ordering;
    let group = match kind {
        FixKind::LessConcurrent => 3,
        FixKind::NewLock | FixKind::ReadWriteLock if lock_free => 2,
        // A few letters, in a lock that is there.
        FixKind::OwnLock | FixKind::WakeAll | FixKind::UnparkSelf => 0,
        FixKind::TestAgain | FixKind::Moved => 0,
        _ => 1,
    };
    (group, several, kind)
}

/// The lines that a repair of orderings or fences changes.
fn lines(fix: &Fix) -> usize {
    let lines = fix.overlay.edits.iter().filter_map(|edit| match edit {
        Edit::Order { site, .. } | Edit::FailureOrder { site, .. } | Edit::Fence { before: site, .. } => {
            Some((&site.file, site.line))
        }
        _ => None,
    });
    lines.collect::<BTreeSet<_>>().len()
}

/// Groups the repairs by kind, orders each kind, and notes which are dominated. Those that are
/// superfluous beside another kind are left out.
pub(crate) fn rank(found: &[Fix], before: &Baseline, lock_free: bool) -> Vec<Fix> {
    let mut found = found.to_vec();
    for fix in &mut found {
        if fix.kind == FixKind::Order && takes_concurrency(fix, before) {
            fix.kind = FixKind::LessConcurrent;
        }
    }
    let worth = |fix: &&Fix| !superfluous(fix, &found);
    let mut fixes: Vec<Fix> = found.iter().filter(worth).cloned().collect();
    let orders = |fix: &&Fix| fix.kind == FixKind::Ordering;
    let swaps = fixes.iter().any(|fix| fix.kind == FixKind::Swap);
    let fewest = |kind: FixKind| fixes.iter().filter(|fix| fix.kind == kind).map(lines).min();
    // A fence is more than an ordering.
    let fences = fewest(FixKind::Fence)
        .zip(fewest(FixKind::Ordering))
        .is_some_and(|(fences, orderings)| orderings > 2 && 2 * fences <= orderings);
    let one = !fences && !swaps || fixes.iter().filter(orders).any(|fix| fix.overlay.edits.len() == 1);
    let place = |fix: &Fix| place(fix.kind, lock_free, one);
    fixes.sort_by(|one, other| place(one).cmp(&place(other)).then_with(|| better(one, other)));
    for at in 0..fixes.len() {
        let by = (0..fixes.len())
            .find(|by| fixes[*by].kind == fixes[at].kind && dominates(&fixes[*by], &fixes[at]));
        fixes[at].dominated_by = by.map(|by| by as u32 + 1);
    }
    fixes
}
