//! Waits for a condition: a thread goes on only when an atomic that is there holds what another thread is
//! about to store.
//!
//! There are two places for such a wait. A thread that has loaded something and takes what it has got for more
//! than it is, a null pointer for an empty list, a count for one that nobody changes any more, loads it again
//! until it is something else (rust-lang/rust 110001). Where nothing may come, that would be for ever: then
//! what the thread has read before says whether something will, and the test of that is learned from
//! executions in which the wait never ends and from those that fail without it. And a thread that frees,
//! resets or closes what others are still in waits in front of that until their count is what it was at first,
//! or a flag is not what it was at first any more.
//!
//! A wait is a loop of loads, and is explored as that: one that may never end, or keeps out those who could end
//! it, is refuted by the execution in which it does.

use crate::search::{Measured, Search, Tried};
use crate::sites::by_thread;
use crate::steps::{is_step, writes};
use crate::verifier::Bad;
use racefuzz_trace::{
    Compare, Edit, Event, FailureDetail, FailureKind, MemoryOrder, ObjectId, ObjectKind, OpKind, Overlay,
    Site, ThreadId, Trace, Value, Verb,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A wait that repairs.
pub(crate) struct Wait {
    pub(crate) overlay: Overlay,
    pub(crate) measured: Arc<Measured>,
    /// Whether everything that was done is still done in some execution.
    pub(crate) leaves_all: bool,
}

/// Conditions that are tried of one wait, waits that are tried in all, and that are enough.
const CONDITIONS: usize = 6;
const WAITS: u32 = 32;
const ENOUGH: usize = 3;

/// What a thread had read at places before it came to a load, the last place last.
type Words = Vec<(Site, Value)>;

/// An atomic that is the only one created at a place.
struct Single {
    created: Site,
    initial: Value,
    /// Somebody stores what it held at first: it tells of something that begins and ends.
    comes_back: bool,
    /// An ordering as strong as that of its other accesses.
    order: MemoryOrder,
}

/// A load that comes before a failure in the thread that fails.
struct Early {
    load: Site,
    /// What it has returned then, with what had been read before.
    seen: Vec<(Value, Words)>,
    /// What the atomic held at first.
    initial: Option<Value>,
}

impl Search<'_> {
    /// The waits for a condition that repair the program.
    pub(crate) fn conditional_waits(&mut self) -> Vec<Wait> {
        let mut found: Vec<Wait> = Vec::new();
        let mut left = WAITS;
        let enough = |found: &[Wait]| found.iter().filter(|wait| wait.leaves_all).count() >= ENOUGH;
        for early in self.early_loads() {
            for returns in tests(&early) {
                if enough(&found) || left == 0 || self.out_of_time() {
                    return found;
                }
                let wait = self.load_again(&early, &returns, &mut left);
                found.extend(wait.map(|(overlay, measured)| self.wait(overlay, measured)));
            }
        }
        // In front of as many places as there are loads.
        left = WAITS;
        for edit in self.waits_in_front() {
            if enough(&found) || left == 0 || self.out_of_time() {
                return found;
            }
            left -= 1;
            let overlay = Overlay::from(vec![edit]);
            if let Tried::Good(measured) = self.try_overlay(&overlay) {
                found.push(self.wait(overlay, measured));
            }
        }
        found
    }

    fn wait(&self, overlay: Overlay, measured: Arc<Measured>) -> Wait {
        let leaves_all = self.leaves_all(&measured);
        Wait { overlay, measured, leaves_all }
    }

    /// Whether everything that was done in some execution is still done in one under an overlay. A reader that
    /// waits until what it reads is closed meets no writer, and reads nothing.
    pub(crate) fn leaves_all(&self, measured: &Measured) -> bool {
        let passed: BTreeSet<Site> = measured.stretches.outside().into_iter().collect();
        self.all_traces().all(|trace| {
            let mut steps = trace.events.iter().filter(|event| is_step(trace, event));
            steps.all(|event| passed.contains(trace.site(event.site)))
        })
    }

    /// Loads of the failing threads that others store to, the last ones first.
    fn early_loads(&self) -> Vec<Early> {
        let mut found: Vec<Early> = Vec::new();
        for known in self.known.iter().filter(|known| !never_ends(&known.bad)) {
            let trace = &known.bad.trace;
            let threads = by_thread(trace);
            for thread in about(&known.bad) {
                let own: Vec<&Event> = threads[thread.index()].iter().map(|at| &trace.events[*at]).collect();
                for (at, event) in own.iter().enumerate().rev() {
                    let load = trace.site(event.site);
                    let object = event.object.filter(|_| is_load(trace, event));
                    let (Some(object), Some(read)) = (object, constant(event)) else { continue };
                    if !self.stored_by_others(trace, object, thread) {
                        continue;
                    }
                    let seen = (read.clone(), words(trace, &own[..at], load));
                    match found.iter_mut().find(|early| early.load == *load) {
                        Some(early) if !early.seen.contains(&seen) => early.seen.push(seen),
                        Some(_) => {}
                        None => found.push(Early {
                            load: load.clone(),
                            seen: vec![seen],
                            initial: trace.object(object).initial.clone(),
                        }),
                    }
                }
            }
        }
        found
    }

    /// Whether another thread writes to the atomics that are created where this one is, in some execution.
    fn stored_by_others(&self, trace: &Trace, object: ObjectId, thread: ThreadId) -> bool {
        let Some(created) = trace.object(object).created.map(|site| trace.site(site)) else { return false };
        let spawned = trace.thread(thread).spawned_at.map(|site| trace.site(site));
        self.all_traces().any(|other| {
            other.events.iter().filter(|event| writes(event)).any(|event| {
                let here = event.object.and_then(|object| other.object(object).created);
                let by = other.thread(event.thread).spawned_at.map(|site| other.site(site));
                here.is_some_and(|site| other.site(site) == created)
                    && (event.thread != thread || by != spawned)
            })
        })
    }

    /// Tries to do a load again, where nothing is wrong without that only if nothing else does, and learns where
    /// it must not be.
    fn load_again(
        &mut self,
        early: &Early,
        returns: &Compare,
        left: &mut u32,
    ) -> Option<(Overlay, Arc<Measured>)> {
        let passes = |value: &Value| holds(returns, value);
        let seen = early.seen.iter().filter(|(value, _)| passes(value));
        let mut waits: Vec<Words> = seen.map(|(_, words)| words.clone()).collect();
        let mut goes_on: Vec<Words> = Vec::new();
        let good: Vec<Words> = self.good_traces().flat_map(|trace| words_at(trace, early, &passes)).collect();
        let mut when = None;
        if let Some(condition) = condition(&waits, &good).filter(|_| !good.is_empty()) {
            (goes_on, when) = (good, Some(condition));
        }
        for _ in 0..CONDITIONS {
            *left = left.checked_sub(1)?;
            let (load, returns) = (early.load.clone(), returns.clone());
            let edit = Edit::LoadAgain { load, returns, when: when.clone() };
            let overlay = Overlay::from(vec![edit]);
            let bad = match self.try_overlay(&overlay) {
                Tried::Good(measured) => return Some((overlay, measured)),
                Tried::Unknown => return None,
                Tried::Bad(bad) => bad,
            };
            // Where it never ends it must not begin, and where it fails as before it was needed.
            let into = if never_ends(&bad) { &mut goes_on } else { &mut waits };
            let words = last_words(&bad, early, &passes)?;
            if into.contains(&words) {
                return None;
            }
            into.push(words);
            when = Some(condition(&waits, &goes_on)?);
        }
        None
    }

    /// Waits in front of what one thread does to what others are still in.
    fn waits_in_front(&self) -> Vec<Edit> {
        let mut places: Vec<(Site, ThreadId, &Trace)> = Vec::new();
        for known in self.known.iter().filter(|known| !never_ends(&known.bad)) {
            let trace = &known.bad.trace;
            for (site, thread) in too_early(&known.bad) {
                if !places.iter().any(|(other, ..)| *other == site) {
                    places.push((site, thread, trace));
                }
            }
        }
        let mut edits = Vec::new();
        for (before, thread, trace) in places {
            for Single { created: atomic, initial, comes_back, order } in self.single_atomics() {
                let object = trace.objects.iter().find(|object| {
                    object.kind == ObjectKind::Atomic
                        && object.created.is_some_and(|site| *trace.site(site) == atomic)
                });
                if !object.is_some_and(|object| self.stored_by_others(trace, object.id, thread)) {
                    continue;
                }
                let holds = match comes_back {
                    true => Compare::IsNot(initial.clone()),
                    false => Compare::Is(initial.clone()),
                };
                edits.push(Edit::WaitFor { before: before.clone(), atomic, initial, holds, order });
            }
        }
        edits
    }

    /// Atomics that are the only ones created at their places.
    fn single_atomics(&self) -> Vec<Single> {
        let mut found: BTreeMap<&Site, Option<Single>> = BTreeMap::new();
        for trace in self.all_traces() {
            let mut here: BTreeSet<&Site> = BTreeSet::new();
            for object in trace.objects.iter().filter(|object| object.kind == ObjectKind::Atomic) {
                let Some(created) = object.created.map(|site| trace.site(site)) else { continue };
                let initial = object.initial.as_ref().filter(|initial| is_constant(initial));
                let alone = here.insert(created);
                let known = found.entry(created).or_insert_with(|| {
                    let (created, initial) = (created.clone(), initial?.clone());
                    Some(Single { created, initial, comes_back: false, order: MemoryOrder::Acquire })
                });
                if !alone || known.as_ref().is_some_and(|known| Some(&known.initial) != initial) {
                    *known = None;
                }
            }
            for event in &trace.events {
                let created = event.object.and_then(|object| trace.object(object).created);
                let known = created.and_then(|created| found.get_mut(trace.site(created))?.as_mut());
                let Some(known) = known else { continue };
                known.comes_back |= writes(event) && event.wrote.as_ref() == Some(&known.initial);
                if event.order == MemoryOrder::SeqCst {
                    known.order = MemoryOrder::SeqCst;
                }
            }
        }
        found.into_values().flatten().collect()
    }

    /// Where the program accesses the atomic that is created at a place.
    pub(crate) fn accessed(&self, created: &Site) -> Vec<Site> {
        let mut sites = BTreeSet::new();
        for trace in self.all_traces() {
            let is_it = |object: ObjectId| {
                trace.object(object).created.is_some_and(|site| trace.site(site) == created)
            };
            let events = trace.events.iter().filter(|event| event.object.is_some_and(is_it));
            sites.extend(events.map(|event| trace.site(event.site).clone()));
        }
        sites.into_iter().collect()
    }
}

/// Whether some thread has waited for ever.
fn never_ends(bad: &Bad) -> bool {
    matches!(bad.kind, FailureKind::Deadlock | FailureKind::StepLimit)
}

/// The threads that a failure is about.
fn about(bad: &Bad) -> Vec<ThreadId> {
    let mut threads = match &bad.detail {
        Some(FailureDetail::DataRace { first, second, .. }) => vec![first.thread, second.thread],
        Some(FailureDetail::UseAfterFree { freed, used, .. }) => vec![freed.thread, used.thread],
        _ => vec![bad.thread],
    };
    threads.dedup();
    threads
}

/// What a thread should not have done yet: freeing what another one uses, an access that races, and what others
/// have written of that which the failing thread has looked at.
fn too_early(bad: &Bad) -> Vec<(Site, ThreadId)> {
    let trace = &bad.trace;
    match &bad.detail {
        Some(FailureDetail::UseAfterFree { freed, .. }) => {
            vec![(trace.site(freed.site).clone(), freed.thread)]
        }
        Some(FailureDetail::DataRace { first, second, .. }) => {
            [second, first].map(|access| (trace.site(access.site).clone(), access.thread)).into()
        }
        _ => {
            let data = |event: &&Event| {
                let kind = event.object.map(|object| trace.object(object).kind);
                matches!(kind, Some(ObjectKind::Atomic | ObjectKind::Variable | ObjectKind::Cell))
            };
            let own = trace.events.iter().filter(|event| event.thread == bad.thread && event.kind.reads());
            let looked: BTreeSet<Option<ObjectId>> =
                own.clone().filter(data).map(|event| event.object).collect();
            let others = trace.events.iter().filter(|event| {
                event.thread != bad.thread && writes(event) && looked.contains(&event.object)
            });
            // And the failing thread's own look.
            let looks = own.filter(data).rev().take(2);
            let mut found: Vec<(Site, ThreadId)> = Vec::new();
            for event in others.filter(data).chain(looks) {
                let place = (trace.site(event.site).clone(), event.thread);
                if !found.contains(&place) {
                    found.push(place);
                }
            }
            found
        }
    }
}

/// The tests of what a load has returned that may make it be done again: it is what it was at first, and
/// somebody will set it, or it is not, and somebody will put it back.
fn tests(early: &Early) -> Vec<Compare> {
    let mut found: Vec<Compare> = Vec::new();
    for (value, _) in &early.seen {
        let initial = early.initial.as_ref().filter(|initial| is_constant(initial));
        let back = initial.filter(|initial| *initial != value).cloned().map(Compare::IsNot);
        for test in back.into_iter().chain([Compare::Is(value.clone())]) {
            if !found.contains(&test) {
                found.push(test);
            }
        }
    }
    found
}

fn holds(test: &Compare, value: &Value) -> bool {
    match test {
        Compare::Is(other) => value == other,
        Compare::IsNot(other) => value != other,
        Compare::IsRead(_) | Compare::IsNotRead(_) => false,
    }
}

/// Whether an event is an atomic load.
fn is_load(trace: &Trace, event: &Event) -> bool {
    event.kind == OpKind::Load
        && event.verb == Verb::Load
        && event.object.is_some_and(|object| trace.object(object).kind == ObjectKind::Atomic)
}

/// Whether a value is the same one in each execution.
fn is_constant(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Bool(_) | Value::Null)
}

/// What an event has read, if that is the same one in each execution.
fn constant(event: &Event) -> Option<&Value> {
    event.read.as_ref().filter(|value| is_constant(value))
}

/// What a thread has read in the file of a place, by accesses that return just that.
fn words(trace: &Trace, own: &[&Event], load: &Site) -> Words {
    let mut words: Words = Vec::new();
    for event in own {
        let site = trace.site(event.site);
        let atomic = event.object.is_some_and(|object| trace.object(object).kind == ObjectKind::Atomic);
        let exchange = matches!(event.verb, Verb::CompareExchange | Verb::CompareExchangeWeak);
        let returns = matches!(event.kind, OpKind::Load | OpKind::Rmw) && atomic && !exchange;
        if let Some(value) = event.read.as_ref().filter(|_| returns && site != load && site.file == load.file)
        {
            words.retain(|(other, _)| other != site);
            words.push((site.clone(), value.clone()));
        }
    }
    words
}

/// What threads had read before the loads at a place that returned what passes the test.
fn words_at(trace: &Trace, early: &Early, passes: &dyn Fn(&Value) -> bool) -> Vec<Words> {
    let at_load = |event: &&Event| {
        is_load(trace, event)
            && *trace.site(event.site) == early.load
            && event.read.as_ref().is_some_and(passes)
    };
    let before = |load: &Event| {
        let own = trace.events.iter().filter(|event| event.thread == load.thread && event.step < load.step);
        words(trace, &own.collect::<Vec<_>>(), &early.load)
    };
    trace.events.iter().filter(at_load).map(before).collect()
}

/// What a thread had read before its last load at the place that returned what passes the test.
fn last_words(bad: &Bad, early: &Early, passes: &dyn Fn(&Value) -> bool) -> Option<Words> {
    let trace = &bad.trace;
    let at_load = |event: &Event| {
        is_load(trace, event)
            && *trace.site(event.site) == early.load
            && event.read.as_ref().is_some_and(passes)
    };
    // One that waits for ever is there at the end; one that fails may have done more behind it.
    let last = trace.events.iter().rfind(|event| {
        at_load(event)
            && (never_ends(bad) || event.thread == bad.thread || about(bad).contains(&event.thread))
    })?;
    let own = trace.events.iter().filter(|event| event.thread == last.thread && event.step < last.step);
    let own: Vec<&Event> = own.collect();
    Some(words(trace, &own, &early.load))
}

/// A test of what was read before that holds wherever the wait is needed and nowhere where it never ends: one
/// of two words held against each other, else one of a word alone. What was read last comes first.
fn condition(waits: &[Words], goes_on: &[Words]) -> Option<(Site, Compare)> {
    let first = waits.first()?;
    let sites: Vec<&Site> = first.iter().rev().map(|(site, _)| site).collect();
    let read = |words: &Words, site: &Site| {
        words.iter().find(|(other, _)| other == site).map(|(_, value)| value.clone())
    };
    let tested = |words: &Words, site: &Site, test: &Compare| {
        let value = read(words, site)?;
        Some(match test {
            Compare::Is(other) => value == *other,
            Compare::IsNot(other) => value != *other,
            Compare::IsRead(other) => value == read(words, other)?,
            Compare::IsNotRead(other) => value != read(words, other)?,
        })
    };
    let fits = |(site, test): &(Site, Compare)| {
        waits.iter().all(|words| tested(words, site, test) == Some(true))
            && goes_on.iter().all(|words| tested(words, site, test) != Some(true))
    };
    let pairs = sites.iter().enumerate().flat_map(|(at, later)| {
        let same_kind = |earlier: &&&Site| {
            let kind = |site| read(first, site).map(|value| std::mem::discriminant(&value));
            kind(later) == kind(earlier)
        };
        let earlier = sites[at + 1..].iter().filter(same_kind);
        earlier.flat_map(|earlier| {
            [Compare::IsNotRead((*later).clone()), Compare::IsRead((*later).clone())]
                .map(|test| ((*earlier).clone(), test))
        })
    });
    let alone = sites.iter().flat_map(|site| {
        let values = waits.iter().chain(goes_on).filter_map(|words| read(words, site));
        let values: Vec<Value> = values.filter(is_constant).collect();
        let tests = values.clone().into_iter().map(Compare::IsNot).chain(values.into_iter().map(Compare::Is));
        tests.map(|test| ((*site).clone(), test)).collect::<Vec<_>>()
    });
    pairs.chain(alone).find(fits)
}

/// An execution under an overlay without the loads of its waits but the last, as they are counted in the program
/// as it is.
pub(crate) fn without_waits<'t>(trace: Cow<'t, Trace>, overlay: &Overlay) -> Cow<'t, Trace> {
    let waits = overlay.edits.iter().filter_map(|edit| match edit {
        Edit::LoadAgain { load, .. } => Some(load),
        Edit::WaitFor { before, .. } => Some(before),
        _ => None,
    });
    let waits: Vec<&Site> = waits.collect();
    if waits.is_empty() {
        return trace;
    }
    let mut kept = trace.into_owned();
    let mut next: Vec<Option<Site>> = vec![None; kept.threads.len()];
    let mut events = Vec::with_capacity(kept.events.len());
    for event in kept.events.iter().rev() {
        let site = kept.site(event.site);
        let next = &mut next[event.thread.index()];
        // Another event of the thread follows that stands at the same place.
        let again = event.kind == OpKind::Load && waits.contains(&site) && next.as_ref() == Some(site);
        if event.kind != OpKind::Local {
            *next = Some(site.clone());
        }
        if !again {
            events.push(event.clone());
        }
    }
    events.reverse();
    kept.events = events;
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(line: u32) -> Site {
        Site { file: "src/lib.rs".into(), line, column: 5 }
    }

    /// What was read on lines 1, 2 and so on.
    fn read(words: &[i128]) -> Words {
        (1..).zip(words).map(|(line, word)| (site(line), Value::Int(*word))).collect()
    }

    fn learned(waits: &[&[i128]], goes_on: &[&[i128]]) -> Option<(Site, Compare)> {
        let all = |words: &[&[i128]]| words.iter().map(|words| read(words)).collect::<Vec<_>>();
        condition(&all(waits), &all(goes_on))
    }

    #[test]
    fn a_condition_tells_all_that_wait_from_all_that_go_on() {
        let not_the_second = Some((site(1), Compare::IsNotRead(site(2))));
        assert_eq!(learned(&[&[2, 0], &[4, 0]], &[&[0, 0]]), not_the_second);
        assert_eq!(learned(&[&[2, 2]], &[&[0, 2], &[2, 0]]), Some((site(1), Compare::IsRead(site(2)))));
        assert_eq!(learned(&[&[2]], &[&[1]]), Some((site(1), Compare::IsNot(Value::Int(1)))));
        assert_eq!(learned(&[&[2]], &[&[1], &[3]]), Some((site(1), Compare::Is(Value::Int(2)))));
        assert_eq!(learned(&[&[2], &[3]], &[&[2]]), None, "the same is waited for and not");
        assert_eq!(learned(&[&[]], &[&[]]), None, "nothing was read before");
        // Who has not been there does not wait.
        assert!(learned(&[&[2, 5]], &[&[2]]).is_some());
    }

    #[test]
    fn what_was_there_first_comes_back_or_somebody_sets_it() {
        let early = |initial: Option<Value>, seen: Value| Early {
            load: site(9),
            seen: vec![(seen, Vec::new())],
            initial,
        };
        let (zero, two) = (Value::Int(0), Value::Int(2));
        assert_eq!(tests(&early(Some(zero.clone()), zero.clone())), [Compare::Is(zero.clone())]);
        let both = [Compare::IsNot(zero.clone()), Compare::Is(two.clone())];
        assert_eq!(tests(&early(Some(zero), two.clone())), both);
        assert_eq!(tests(&early(Some(Value::Pointer(1)), two.clone())), [Compare::Is(two)]);
    }
}
