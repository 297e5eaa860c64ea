//! Waits for a condition: a load that is done again, or loads that come before an event.
//!
//! Either is the loop that its text is, a load, a test and a `spin_loop`, and each engine sees it as it sees
//! such a loop of the program's. What is tested besides is what the thread has read at other places, as a
//! variable holds it. A load of an atomic that nobody has used yet makes it an object of the execution, which
//! it stays when the program gets there.

use super::{Applied, applies, me, update};
use crate::execution::{Absent, Execution, Phase, with};
use crate::object::{Primitive, Shared, Shown};
use crate::ops;
use crate::site::Site;
use racefuzz_trace::{Compare, Edit, MemoryOrder, ObjectKind, Value, Verb};

/// A word that a thread has read where an edit looks at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    edit: u32,
    which: Looked,
    word: u64,
}

/// Which of the words that an edit looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// The one that has to pass a test.
    Tested,
    /// The one that it is held against.
    Against,
    /// The one that what is loaded is held against.
    AgainstLoaded,
}

/// Which words an edit looks at that are read at a place.
pub(super) fn looked_at(edit: &Edit, here: &racefuzz_trace::Site) -> impl Iterator<Item = Looked> {
    let read_at =
        |test: &Compare| matches!(test, Compare::IsRead(site) | Compare::IsNotRead(site) if site == here);
    let (mut tested, mut against, mut loaded) = (false, false, false);
    if let Edit::LoadAgain { returns, when, .. } = edit {
        loaded = read_at(returns);
        if let Some((site, test)) = when {
            (tested, against) = (site == here, read_at(test));
        }
    }
    let all = [(tested, Looked::Tested), (against, Looked::Against), (loaded, Looked::AgainstLoaded)];
    all.into_iter().filter(|(looks, _)| *looks).map(|(_, which)| which)
}

/// An atomic access at a place has read a word.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn has_read(site: Site, word: u64) {
    if applies() {
        keep(site, word);
    }
}

#[cold]
#[inline(never)]
fn keep(site: Site, word: u64) {
    let _ = with(|execution| {
        let Some(mut applied) = execution.overlay.take() else { return };
        let at = applied.plan(site);
        for (edit, which) in &applied.plans[at].looked_at {
            let words = &mut me(execution).words;
            words.retain(|other| (other.edit, other.which) != (*edit, *which));
            words.push(Word { edit: *edit, which: *which, word });
        }
        execution.overlay = Some(applied);
    });
}

/// Whether the load at a place, which has returned a word, is done again.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn loads_again(site: Site, word: u64) -> bool {
    applies() && asks_again(site, word)
}

#[cold]
#[inline(never)]
fn asks_again(site: Site, word: u64) -> bool {
    let again = with(|execution| {
        if execution.phase() != Phase::Running {
            return None;
        }
        let mut applied = execution.overlay.take()?;
        let at = applied.plan(site);
        let edit = applied.plans[at].load_again;
        let again = edit.is_some_and(|edit| holds(execution, &applied, edit, word));
        execution.overlay = Some(applied);
        Some(again)
    });
    again.ok().flatten().unwrap_or(false)
}

/// Whether an edit's tests hold of a word that was loaded, and of what the thread has read before.
fn holds(execution: &mut Execution, applied: &Applied, edit: u32, word: u64) -> bool {
    let words = &me(execution).words;
    let read = |which: Looked| {
        words.iter().find(|word| (word.edit, word.which) == (edit, which)).map(|word| word.word)
    };
    let passes = |test: &Compare, word: u64, against: Looked| match test {
        Compare::Is(value) => word_of(value) == Some(word),
        Compare::IsNot(value) => word_of(value).is_some_and(|other| other != word),
        Compare::IsRead(_) => read(against) == Some(word),
        Compare::IsNotRead(_) => read(against).is_some_and(|other| other != word),
    };
    let Edit::LoadAgain { returns, when, .. } = &applied.overlay.edits[edit as usize] else { return false };
    passes(returns, word, Looked::AgainstLoaded)
        && when.as_ref().is_none_or(|(_, test)| {
            read(Looked::Tested).is_some_and(|word| passes(test, word, Looked::Against))
        })
}

/// The word that an atomic has which holds a value, if it is the same in each execution.
fn word_of(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => Some(*number as u64),
        Value::Bool(value) => Some(u64::from(*value)),
        Value::Null => Some(0),
        Value::Pointer(_) | Value::Text(_) => None,
    }
}

/// An atomic of the program's that an edit loads, as far as the runtime has to know of it.
pub(super) struct Awaited {
    shared: Shared,
    initial: Value,
}

impl Primitive for Awaited {
    const KIND: ObjectKind = ObjectKind::Atomic;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        word_of(&self.initial).unwrap_or_default()
    }

    fn show(&self, word: u64) -> Shown {
        match self.initial {
            Value::Bool(_) => Shown::Value(Value::Bool(word != 0)),
            Value::Null => Shown::Address(word),
            // One that is unsigned and that large is shown as another number.
            _ => Shown::Value(Value::Int(i128::from(word as i64))),
        }
    }
}

/// Atomics of the running execution that edits load, each with whether the program has got to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    edit: u32,
    object: u32,
    met: bool,
}

/// Loads the atomic that an edit is about until its value does not pass the test any more.
pub(super) fn wait_for(edit: u32, site: Site) -> Result<(), Absent> {
    let found = with(|execution| {
        let mut applied = execution.overlay.take()?;
        let found = expected(execution, &mut applied, edit, site);
        execution.overlay = Some(applied);
        found
    })?;
    let Some((awaited, object, order, tests)) = found else { return Ok(()) };
    loop {
        let word = ops::load_known(&awaited, object, order, site)?;
        let again = match &tests {
            Compare::Is(value) => word_of(value) == Some(word),
            Compare::IsNot(value) => word_of(value).is_some_and(|other| other != word),
            Compare::IsRead(_) | Compare::IsNotRead(_) => false,
        };
        if !again {
            return Ok(());
        }
        ops::yield_now(Verb::SpinLoop, site)?;
    }
}

/// The atomic that an edit loads, its number in the execution, and how it is loaded and tested.
fn expected(
    execution: &mut Execution,
    applied: &mut Applied,
    edit: u32,
    site: Site,
) -> Option<(Awaited, u32, MemoryOrder, Compare)> {
    let Edit::WaitFor { initial, holds, order, .. } = &applied.overlay.edits[edit as usize] else {
        return None;
    };
    let awaited = Awaited { shared: Shared::at(site), initial: initial.clone() };
    let (holds, order) = (holds.clone(), *order);
    let known = applied.expected.iter().find(|expected| expected.edit == edit);
    let object = known.map(|expected| expected.object).unwrap_or_else(|| {
        let object = execution.expect_object(&awaited, site);
        applied.expected.push(Expected { edit, object, met: false });
        object
    });
    Some((awaited, object, order, holds))
}

/// What the program has not got to yet and an edit has made an object already: the number of that which is
/// created at a place.
#[inline]
pub(crate) fn known_before(execution: &mut Execution, created: Site, word: u64) -> Option<u32> {
    if execution.overlay.is_some() { find_known(execution, created, word) } else { None }
}

#[cold]
fn find_known(execution: &mut Execution, created: Site, word: u64) -> Option<u32> {
    let mut applied = execution.overlay.take()?;
    let at = applied.plan(created);
    let edits = &applied.plans[at].awaited;
    let known = applied.expected.iter_mut().find(|known| edits.contains(&known.edit) && !known.met);
    let object = known.map(|known| {
        known.met = true;
        known.object
    });
    execution.overlay = Some(applied);
    let object = object?;
    if execution.objects[object as usize].value != word {
        update::note_misfit(execution, created);
    }
    Some(object)
}

/// The program has got to an object that is created at a place.
#[inline]
pub(crate) fn is_known(execution: &mut Execution, created: Site, object: u32) {
    if execution.overlay.is_some() {
        note_known(execution, created, object);
    }
}

#[cold]
fn note_known(execution: &mut Execution, created: Site, object: u32) {
    let Some(mut applied) = execution.overlay.take() else { return };
    let at = applied.plan(created);
    let edits = applied.plans[at].awaited.clone();
    let mut another = false;
    for edit in edits {
        another |= applied.expected.iter().any(|known| known.edit == edit);
        applied.expected.push(Expected { edit, object, met: true });
    }
    execution.overlay = Some(applied);
    // Of two it is not known which one is meant.
    if another {
        update::note_misfit(execution, created);
    }
}
