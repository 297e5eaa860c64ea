//! Two critical sections where one is needed, in what only a later look shows: a thread gave a lock back between
//! what it learned and what it did, another one took it in between, and the failing check came behind both.
//!
//! What is guarded leaves no event, so it is the sections that are told of. Two in a row of one thread are meant
//! if they stand at two places, the second behind the first: a loop around one section is no such pair.

use super::{Finding, headline, outcome};
use crate::explanation::Anomaly;
use crate::view::View;
use racefuzz_trace::{Event, Verb};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let takes = |event: &&Event| event.verb.takes_lock() && event.ok;
    let failing = view.failure.thread;
    // Where the failing check looked, if that was under a lock.
    let seen = view.events.iter().rev().filter(takes).find(|event| event.thread == failing)?;
    let sections: Vec<&Event> = view.events.iter().filter(takes).collect();
    let changes = |event: &Event| !matches!(event.verb, Verb::ReadLock | Verb::TryReadLock);
    let (first, between, second) = sections.iter().enumerate().rev().find_map(|(at, second)| {
        let same = |event: &&&Event| event.object == second.object;
        let before = sections[..at].iter().filter(same).rfind(|event| event.thread == second.thread)?;
        let inside = |event: &&&Event| event.step > before.step;
        let mut others = sections[..at].iter().filter(same).filter(inside);
        let between = others.rfind(|event| changes(event))?;
        let place = |event: &Event| view.failure.trace.site(event.site);
        let (one, other) = (place(before), place(second));
        let in_order = one.file == other.file && (one.line, one.column) < (other.line, other.column);
        let earlier = second.step < seen.step || second.thread != failing;
        (in_order && changes(second) && earlier).then_some((*before, *between, *second))
    })?;
    let (name, other) = (view.thread(second.thread), view.thread(between.thread));
    let lock = second.object.map_or_else(String::new, |object| view.object(object));
    let saw = match seen.object == second.object && seen.step > second.step {
        true if failing == second.thread => format!(", as it saw in step {}", view.step(seen)),
        true => format!(", as {} saw in step {}", view.thread(failing), view.step(seen)),
        false => String::new(),
    };
    let paragraph = format!(
        "{name} took {lock} (step {}), gave it back, and took it again (step {}). In between {other} took it (step \
         {}): what {name} had learned in its first critical section need not hold in its second{saw}. The two are \
         one where nobody may come between them: {}.",
        view.step(first),
        view.step(second),
        view.step(between),
        outcome(view),
    );
    let headline = headline(view, Anomaly::CheckThenAct, second.object);
    let finding = Finding::new(Anomaly::CheckThenAct, headline, paragraph)
        .about(second.object)
        .mark(first, format!("may change before step {}", view.step(second)))
        .mark(second, format!("relies on step {}", view.step(first)))
        .from(first)
        .from(second);
    Some(finding)
}
