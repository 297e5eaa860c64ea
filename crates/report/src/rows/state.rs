//! The state columns: what the objects of the story hold after each step.

use crate::action::value;
use crate::view::{View, writes};
use racefuzz_trace::{Event, ObjectId, ObjectKind, ThreadId};

/// Follows the objects through the execution.
pub(crate) struct States {
    objects: Vec<ObjectId>,
    current: Vec<String>,
    holders: Vec<Vec<ThreadId>>,
    next: usize,
}

/// Shown for a lock that nobody holds.
const FREE: &str = "free";

impl States {
    pub(crate) fn new(view: &View<'_>, objects: &[ObjectId]) -> Self {
        let initial = |object: &ObjectId| match view.trace.object(*object) {
            info if is_lock(info.kind) => FREE.to_owned(),
            info => info.initial.as_ref().map_or_else(|| "?".to_owned(), value),
        };
        Self {
            current: objects.iter().map(initial).collect(),
            holders: vec![Vec::new(); objects.len()],
            objects: objects.to_vec(),
            next: 0,
        }
    }

    /// The states as far as they were followed.
    #[cfg(feature = "json")]
    pub(crate) fn now(&self) -> &[String] {
        &self.current
    }

    /// The states after the event with this step; steps must not go back.
    pub(crate) fn after(&mut self, view: &View<'_>, step: u32) -> &[String] {
        while self.next <= step as usize {
            self.follow(view, view.event(self.next as u32));
            self.next += 1;
        }
        &self.current
    }

    fn follow(&mut self, view: &View<'_>, event: &Event) {
        let Some(index) = self.objects.iter().position(|object| event.object == Some(*object)) else {
            return;
        };
        if !is_lock(view.kind(self.objects[index])) {
            if let Some(wrote) = event.wrote.as_ref().filter(|_| writes(event) && !view.is_late(event)) {
                self.current[index] = value(wrote);
            }
            return;
        }
        let holders = &mut self.holders[index];
        if event.verb.takes_lock() && event.ok {
            holders.push(event.thread);
        } else if event.verb.gives_lock()
            && let Some(at) = holders.iter().position(|holder| *holder == event.thread)
        {
            holders.remove(at);
        }
        let names: Vec<_> = holders.iter().map(|holder| view.thread(*holder)).collect();
        self.current[index] = if names.is_empty() { FREE.to_owned() } else { names.join(", ") };
    }
}

/// Whether the column shows who holds the object rather than what it holds.
pub(crate) fn is_lock(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Mutex | ObjectKind::RwLock)
}

/// Whether there is anything to show for the object.
pub(crate) fn has_state(view: &View<'_>, object: ObjectId) -> bool {
    let values = || view.accesses_of(object).any(|event| event.wrote.is_some() || event.read.is_some());
    is_lock(view.kind(object)) || values()
}
