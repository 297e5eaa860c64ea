//! A load and the store behind it as one read-modify-write: a swap, an addition, a compare-exchange, or an
//! update by a function.
//!
//! What is stored has to be known where the load stands. It is learned from executions: the same word always,
//! a word that differs from the one read by the same number, or a function of the words read, which grows by
//! what an exploration meets that does not know it yet. Explored is exactly that read-modify-write; a program
//! that does something else than was learned does not fit, and the change is not proposed.

use crate::search::{Measured, Search, Tried};
use crate::sites::by_thread;
use racefuzz_trace::{Change, Edit, Event, MemoryOrder, ObjectKind, OpKind, Overlay, Site, Trace, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A load and the store that comes right behind it.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) load: Site,
    pub(crate) store: Site,
    change: Change,
    strongest: bool,
}

/// What came of trying a pair as one read-modify-write.
pub(crate) enum AsUpdate {
    Repairs(Overlay, Arc<Measured>),
    Fails,
    /// What is stored is no function of what is read, or other steps come in between.
    DoesNotFit,
}

/// What was seen of a pair.
#[derive(Default)]
struct Seen {
    /// The words read and written, where they are words.
    words: BTreeSet<(Option<u64>, Option<u64>)>,
    strongest: bool,
}

/// Words that are learned of one function.
const WORDS: usize = 16;

impl Search<'_> {
    /// Loads of atomics with the store to the same one that comes right behind.
    pub(crate) fn load_store_pairs(&self) -> Vec<Pair> {
        let mut pairs: BTreeMap<(Site, Site), Seen> = BTreeMap::new();
        // What each load has read that no store follows.
        let mut alone: BTreeMap<Site, BTreeSet<Option<u64>>> = BTreeMap::new();
        for trace in self.all_traces() {
            for events in by_thread(trace) {
                for at in 0..events.len() {
                    let load = &trace.events[events[at]];
                    if load.kind != OpKind::Load || !is_atomic(trace, load) {
                        continue;
                    }
                    // A thread that was cut short might have stored.
                    let Some(next) = events.get(at + 1) else { continue };
                    let next = &trace.events[*next];
                    let site = trace.site(load.site).clone();
                    let read = word(load.read.as_ref());
                    if next.kind == OpKind::Store && next.object == load.object {
                        let seen = pairs.entry((site, trace.site(next.site).clone())).or_default();
                        seen.words.insert((read, word(next.wrote.as_ref())));
                        seen.strongest |= [load.order, next.order].contains(&MemoryOrder::SeqCst);
                    } else {
                        alone.entry(site).or_default().insert(read);
                    }
                }
            }
        }
        let loads: Vec<Site> = pairs.keys().map(|(load, _)| load.clone()).collect();
        let one_store = |load: &Site| loads.iter().filter(|other| *other == load).count() == 1;
        pairs
            .into_iter()
            .filter(|((load, store), _)| one_store(load) && load != store)
            .filter_map(|((load, store), seen)| {
                let change = change(&seen.words, alone.get(&load))?;
                Some(Pair { load, store, change, strongest: seen.strongest })
            })
            .collect()
    }

    /// Tries a pair as one read-modify-write.
    pub(crate) fn try_update(&mut self, pair: &Pair) -> AsUpdate {
        let mut change = pair.change.clone();
        loop {
            let (order, failure) = match pair.strongest {
                true => (MemoryOrder::SeqCst, MemoryOrder::SeqCst),
                false => (MemoryOrder::AcqRel, MemoryOrder::Acquire),
            };
            let (load, store) = (pair.load.clone(), pair.store.clone());
            let edit = Edit::Update { load, store, change: change.clone(), order, failure };
            let overlay = Overlay::from(vec![edit]);
            let bad = match self.try_overlay(&overlay) {
                Tried::Good(measured) => return AsUpdate::Repairs(overlay, measured),
                Tried::Unknown => return AsUpdate::Fails,
                Tried::Bad(bad) => bad,
            };
            let Some((read, wrote)) = met(&bad.trace, pair) else { return AsUpdate::Fails };
            match (&mut change, read.zip(wrote)) {
                (Change::Map(words), Some((read, wrote)))
                    if words.len() < WORDS && words.iter().all(|(known, _)| *known != read) =>
                {
                    words.push((read, wrote));
                    words.sort_unstable();
                }
                _ => return AsUpdate::DoesNotFit,
            }
        }
    }
}

/// An execution under an overlay with each load and store that it makes one as two steps again, as they are
/// counted in the program as it is.
pub(crate) fn unfolded<'t>(trace: &'t Trace, overlay: &Overlay) -> Cow<'t, Trace> {
    let loads = overlay.edits.iter().filter_map(|edit| match edit {
        Edit::Update { load, .. } => Some(load),
        _ => None,
    });
    let loads: Vec<&Site> = loads.collect();
    if loads.is_empty() {
        return Cow::Borrowed(trace);
    }
    let mut unfolded = trace.clone();
    unfolded.events.clear();
    for event in &trace.events {
        let is_both = event.kind == OpKind::Rmw && event.ok && loads.contains(&trace.site(event.site));
        if is_both {
            unfolded.events.push(Event { kind: OpKind::Load, wrote: None, ..event.clone() });
            unfolded.events.push(Event { kind: OpKind::Store, read: None, ..event.clone() });
        } else {
            unfolded.events.push(event.clone());
        }
    }
    Cow::Owned(unfolded)
}

fn is_atomic(trace: &Trace, event: &Event) -> bool {
    event.object.is_some_and(|object| trace.object(object).kind == ObjectKind::Atomic)
}

/// The word of a value; a pointer has another one in each execution.
fn word(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Int(number) => Some(*number as u64),
        Value::Bool(value) => Some(u64::from(*value)),
        Value::Null => Some(0),
        Value::Pointer(_) | Value::Text(_) => None,
    }
}

/// What a store makes of what was loaded, as far as that was seen.
fn change(
    words: &BTreeSet<(Option<u64>, Option<u64>)>,
    alone: Option<&BTreeSet<Option<u64>>>,
) -> Option<Change> {
    let wrote: Option<BTreeSet<u64>> = words.iter().map(|(_, wrote)| *wrote).collect();
    let wrote = wrote?;
    if let (1, None) = (wrote.len(), alone) {
        return wrote.first().map(|new| Change::Set(*new));
    }
    let words: Option<BTreeMap<u64, u64>> =
        words.iter().map(|(read, wrote)| Some(((*read)?, (*wrote)?))).collect();
    let by_read = words.filter(|by_read| by_read.len() >= wrote.len())?;
    let differences: BTreeSet<u64> = by_read.iter().map(|(read, wrote)| wrote.wrapping_sub(*read)).collect();
    if let (1, None) = (differences.len(), alone) {
        return differences.first().map(|number| Change::Add(*number));
    }
    // One that is not followed by a store has nothing to store.
    let free = |read: &u64| alone.is_none_or(|alone| !alone.contains(&Some(*read)));
    by_read.keys().all(free).then(|| Change::Map(by_read.into_iter().collect()))
}

/// What a store behind a load that was to be one with it has written, in an execution in which the two did
/// not fit: the words read and written.
fn met(trace: &Trace, pair: &Pair) -> Option<(Option<u64>, Option<u64>)> {
    by_thread(trace).into_iter().find_map(|events| {
        let is_at = |event: &Event, site: &Site| trace.site(event.site) == site;
        let store = &trace.events[*events.last()?];
        if !is_at(store, &pair.store) || store.kind != OpKind::Store {
            return None;
        }
        let load = events.get(events.len().checked_sub(2)?).map(|at| &trace.events[*at]);
        let load = load.filter(|load| is_at(load, &pair.load) && load.object == store.object);
        Some((load.and_then(|load| word(load.read.as_ref())), word(store.wrote.as_ref())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(words: &[(i128, i128)], alone: &[i128]) -> Option<Change> {
        let of = |number: i128| word(Some(&Value::Int(number)));
        let words = words.iter().map(|(read, wrote)| (of(*read), of(*wrote))).collect();
        let alone: BTreeSet<_> = alone.iter().map(|read| of(*read)).collect();
        change(&words, (!alone.is_empty()).then_some(&alone))
    }

    #[test]
    fn what_is_stored_is_learned_from_what_was_read() {
        assert_eq!(learned(&[(0, 7), (3, 7)], &[]), Some(Change::Set(7)));
        assert_eq!(learned(&[(0, 1), (1, 2)], &[]), Some(Change::Add(1)));
        assert_eq!(learned(&[(3, 2), (2, 1)], &[]), Some(Change::Add(u64::MAX)));
        assert_eq!(learned(&[(0, 1)], &[1]), Some(Change::Map(vec![(0, 1)])));
        assert_eq!(learned(&[(1, 2), (2, 4)], &[]), Some(Change::Map(vec![(1, 2), (2, 4)])));
    }

    #[test]
    fn what_is_no_function_of_what_was_read_is_not_learned() {
        assert_eq!(learned(&[(0, 1), (0, 2)], &[]), None);
        assert_eq!(learned(&[(0, 1), (1, 1)], &[0]), None, "sometimes it stores nothing");
        assert_eq!(change(&BTreeSet::from([(Some(0), None)]), None), None, "a pointer");
        let null = BTreeSet::from([(None, Some(0)), (Some(0), Some(0))]);
        assert_eq!(change(&null, None), Some(Change::Set(0)), "whatever pointer is read");
    }
}
