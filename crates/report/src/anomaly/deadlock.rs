//! Deadlock: threads that wait for each other in a cycle, and any other wait that cannot end.

use super::{Finding, fate, taken};
use crate::explanation::Anomaly;
use crate::view::View;
use crate::words::{StepRef, list, short};
use racefuzz_trace::{Event, FailureDetail, ObjectId, SiteId, ThreadEnd, ThreadId, Verb, WaitEdge};

/// A cycle of threads, each of which holds what the one before it wants.
pub(super) fn detect_cycle(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::Deadlock { waiting, cycle } = &view.failure.detail else { return None };
    if cycle.len() < 2 {
        return None;
    }
    let edge = |thread: &ThreadId| waiting.iter().find(|edge| edge.thread == *thread);
    let mut clauses = Vec::new();
    let mut finding = Finding::new(Anomaly::Deadlock, String::new(), String::new());
    let mut locks: Vec<ObjectId> = Vec::new();
    let mut taken_here: Vec<(SiteId, String)> = Vec::new();
    for (index, thread) in cycle.iter().enumerate() {
        let edge = edge(thread)?;
        let next = cycle[(index + 1) % cycle.len()];
        let site = edge.holders.iter().find(|(holder, _)| *holder == next).and_then(|(_, site)| *site);
        clauses.push(clause(view, edge, next, site));
        finding = finding.about(edge.object);
        if let Some(object) = edge.object.filter(|_| edge.verb != Verb::Join) {
            locks.push(object);
            if let Some(site) = site.filter(|_| !is_kept_out(edge)) {
                let does = if begins(edge) { "initialises" } else { "takes" };
                let label = format!("{} {does} {} here", view.thread(next), view.object(object));
                taken_here.push((site, label));
            }
        }
    }
    for (site, label) in taken_here {
        finding = finding.at(site, label);
    }
    for edge in cycle.iter().filter_map(edge) {
        finding = finding
            .at(edge.site, format!("{} waits for {} here", view.thread(edge.thread), wanted(view, edge)));
    }
    locks.sort_unstable();
    locks.dedup();
    let names: Vec<_> = locks.iter().map(|object| view.object(*object)).collect();
    let threads: Vec<_> = cycle.iter().map(|thread| view.thread(*thread)).collect();
    let last = if cycle.len() == 2 { "Neither can" } else { "None of them can" };
    finding.headline = match names.as_slice() {
        [] => format!("deadlock: {} wait for each other", list(&threads)),
        names => format!("deadlock (cycle) on {}", list(names)),
    };
    finding.paragraph = format!("{}. {last} go on.{}", clauses.join("; "), advice(view, cycle, waiting));
    Some(finding)
}

/// Who waits for whom, and because of what.
fn clause(view: &View<'_>, edge: &WaitEdge, holder: ThreadId, site: Option<SiteId>) -> String {
    let (waiter, holder_name) = (view.thread(edge.thread), view.thread(holder));
    if edge.verb == Verb::Join {
        return format!(
            "{waiter} waits for {holder_name} to end, because it joins it at {}",
            view.place(edge.site)
        );
    }
    let wants = wanted(view, edge);
    if is_kept_out(edge) {
        return format!(
            "{waiter} waits to read {wants}, because {holder_name} waits to write it, and a reader may be kept out \
             while a writer waits"
        );
    }
    if begins(edge) {
        let place = site.map_or_else(String::new, |site| format!(" at {}", view.place(site)));
        return format!("{waiter} waits until {wants} is initialised, which {holder_name} does{place}");
    }
    let since = match (edge.object.and_then(|object| taken(view, holder, object)), site) {
        (Some(step), _) => format!(" since step {}", StepRef(step)),
        (None, Some(site)) => format!(" (taken at {})", view.place(site)),
        (None, None) => String::new(),
    };
    format!("{waiter} waits for {wants}, because {holder_name} holds it{since}")
}

/// Whether the thread waits for what another one does once for all.
fn begins(edge: &WaitEdge) -> bool {
    edge.verb == Verb::OnceBegin
}

/// Whether the thread wants to read what readers hold, and a writer that waits for them is in the way.
fn is_kept_out(edge: &WaitEdge) -> bool {
    edge.verb == Verb::ReadLock && edge.holders.iter().any(|(_, site)| site.is_none())
}

fn wanted(view: &View<'_>, edge: &WaitEdge) -> String {
    edge.object.map_or_else(|| edge.verb.word().to_owned(), |object| view.object(object))
}

/// What would have avoided the cycle, where the locks say so.
fn advice(view: &View<'_>, cycle: &[ThreadId], waiting: &[WaitEdge]) -> &'static str {
    let edges: Vec<_> = waiting.iter().filter(|edge| cycle.contains(&edge.thread)).collect();
    let object = |edge: &&WaitEdge| edge.object;
    if edges.iter().any(|edge| is_kept_out(edge)) {
        return " `RwLock` promises neither readers nor writers to be first, so a thread must not read-lock what it \
                holds, nor wait while it holds it for one that is about to read-lock it.";
    }
    let upgrade = edges.iter().all(|edge| {
        let read = |step: u32| matches!(view.event(step).verb, Verb::ReadLock | Verb::TryReadLock);
        edge.verb == Verb::WriteLock
            && edge.object.and_then(|object| taken(view, edge.thread, object)).is_some_and(read)
    });
    if upgrade {
        return " Each holds the lock for reading and wants it for writing, so each waits for the other's read lock.";
    }
    let mut objects: Vec<_> = edges.iter().filter_map(object).collect();
    objects.sort_unstable();
    objects.dedup();
    let locks = edges.iter().all(|edge| edge.verb.takes_lock());
    if locks && objects.len() > 1 { " They take the same locks in different orders." } else { "" }
}

/// A wait that cannot end, without a cycle: a lock whose holder is gone, a message nobody sends.
pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::Deadlock { waiting, .. } = &view.failure.detail else { return None };
    // Threads that only join others are blocked by whatever blocks those.
    let edge = waiting.iter().find(|edge| edge.verb != Verb::Join).or_else(|| waiting.first())?;
    let (thread, wants) = (view.thread(edge.thread), wanted(view, edge));
    let mut finding = Finding::new(Anomaly::Deadlock, String::new(), String::new()).about(edge.object);
    let holder = edge.holders.iter().find(|(holder, _)| *holder != edge.thread);
    let place = view.place(edge.site);
    (finding.headline, finding.paragraph) = match (edge.object, holder) {
        (Some(_), Some((writer, _))) if is_kept_out(edge) => (
            format!("deadlock on {wants}"),
            format!(
                "{thread} waits to read {wants} at {place}, because {} waits to write it, and a reader may be kept out \
                 while a writer waits.{}",
                view.thread(*writer),
                advice(view, &[edge.thread], waiting),
            ),
        ),
        (Some(object), Some((holder, site))) if edge.verb.takes_lock() => {
            let holder_name = view.thread(*holder);
            if let Some(site) = site {
                finding = finding.at(*site, format!("{holder_name} takes {wants} here"));
            }
            let since = taken(view, *holder, object)
                .map_or_else(String::new, |step| format!(" in step {}", StepRef(step)));
            match fate(view, *holder) {
                Some(fate) => (
                    format!("deadlock: {wants} is never released"),
                    format!(
                        "{thread} waits for {wants} at {place} for ever, because {holder_name} took it{since} and \
                         {fate} while holding it."
                    ),
                ),
                None => (
                    format!("deadlock on {wants}"),
                    format!(
                        "{thread} waits for {wants} at {place}, because {holder_name} holds it{since} and cannot go \
                         on itself."
                    ),
                ),
            }
        }
        (Some(object), _) => (
            format!("deadlock: {}", nobody(view, edge.verb, object)),
            format!(
                "{thread} waits at {place} ({}) for ever, because {}.",
                crate::action::attempt(view, edge.verb, edge.object),
                nobody(view, edge.verb, object),
            ),
        ),
        (None, _) => (
            "deadlock".to_owned(),
            format!("{thread} waits at {place} ({}) and no thread is left that could act.", edge.verb.word()),
        ),
    };
    let others = waiting.iter().filter(|other| other.thread != edge.thread && other.verb != Verb::Join);
    let (locked, others): (Vec<_>, Vec<_>) = others.partition(|other| lock_holder(other).is_some());
    for other in locked {
        if let Some((holder, site)) = lock_holder(other) {
            finding.paragraph.push_str(&format!(" {}.", clause(view, other, holder, site)));
            finding = finding.about(other.object).at(
                other.site,
                format!("{} waits for {} here", view.thread(other.thread), wanted(view, other)),
            );
        }
    }
    let (alike, others): (Vec<&WaitEdge>, Vec<&WaitEdge>) =
        others.into_iter().partition(|other| (other.verb, other.object) == (edge.verb, edge.object));
    let alike: Vec<_> = alike.into_iter().map(|other| view.thread(other.thread)).collect();
    if !alike.is_empty() {
        let verb = if alike.len() == 1 { "waits" } else { "wait" };
        finding.paragraph.push_str(&format!(" {} {verb} as well.", list(&alike)));
    }
    for other in others {
        finding.paragraph.push_str(&format!(
            " {} waits as well, at {} ({}).",
            view.thread(other.thread),
            view.place(other.site),
            crate::action::attempt(view, other.verb, other.object),
        ));
    }
    // Who has panicked acts no more, on whatever others wait for.
    for thread in &view.trace.threads {
        if let ThreadEnd::Panicked(message) = &thread.end {
            let text = short(&crate::message::outcome(message, &view.seen()), 160);
            finding.paragraph.push_str(&format!(" {} panicked: {text}.", view.thread(thread.id)));
        }
    }
    if let Some(astray) = astray(view, edge) {
        let (notifier, name) = (view.thread(astray.thread), astray.object.map(|object| view.object(object)));
        finding.paragraph.push_str(&format!(
            " {notifier} notified {} (step {}), where nobody was waiting.",
            name.unwrap_or_default(),
            view.step(astray),
        ));
        finding = finding
            .mark(astray, "somewhere else".to_owned())
            .at(astray.site, format!("{notifier} notifies here"));
    }
    Some(finding.at(edge.site, format!("{thread} waits here")))
}

/// The thread that holds the lock which another waits for, and where it took it.
fn lock_holder(edge: &WaitEdge) -> Option<(ThreadId, Option<SiteId>)> {
    let holder = edge.holders.iter().find(|(holder, _)| *holder != edge.thread)?;
    edge.verb.takes_lock().then_some(*holder)
}

/// The last notification of another condition variable than the one that a thread sleeps on, on which
/// nobody was waiting.
fn astray<'a>(view: &View<'a>, edge: &WaitEdge) -> Option<&'a Event> {
    if !matches!(edge.verb, Verb::Wait | Verb::Woken) {
        return None;
    }
    view.events.iter().rfind(|event| {
        matches!(event.verb, Verb::NotifyOne | Verb::NotifyAll)
            && event.object != edge.object
            && event.thread != edge.thread
            && event.other.is_none()
    })
}

/// Who is missing for a wait on something other than a lock to end.
fn nobody(view: &View<'_>, verb: Verb, object: ObjectId) -> String {
    let name = view.object(object);
    match verb {
        Verb::Recv => format!("nobody is left that sends to {name}"),
        Verb::Send => format!("{name} is full and nobody is left that receives from it"),
        Verb::Wait | Verb::Woken => format!("nobody is left that notifies {name}"),
        Verb::Park => "nobody is left that unparks it".to_owned(),
        Verb::Await | Verb::Poll => "nobody is left that wakes it".to_owned(),
        Verb::Arrive | Verb::Pass => format!("not enough threads arrive at {name}"),
        Verb::OnceBegin | Verb::OnceEnd | Verb::OnceCheck => {
            format!("the initialisation of {name} never ends")
        }
        _ => format!("nobody is left that acts on {name}"),
    }
}
