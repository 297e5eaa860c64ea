//! Values that live as long as a thread or an execution.

use std::any::Any;

/// Values that belong to one thread or one execution, found by the address of their key.
#[derive(Default)]
pub(crate) struct Locals {
    slots: Vec<(usize, Option<Box<dyn Any>>)>,
    destroyed: bool,
    /// Whether destroying one of them may run the program's code.
    droppable: bool,
}

impl Locals {
    pub(crate) fn state(&self, key: usize) -> Result<Option<*const dyn Any>, ()> {
        match self.slots.iter().find(|(known, _)| *known == key) {
            Some((_, Some(value))) => Ok(Some(&raw const **value)),
            Some((_, None)) => Err(()),
            None if self.destroyed => Err(()),
            None => Ok(None),
        }
    }

    /// As new, keeping its memory.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn reset(&mut self) {
        if !self.slots.is_empty() {
            self.slots.clear();
        }
        (self.destroyed, self.droppable) = (false, false);
    }

    /// The destruction of a value of this type may run the program's code if the type has any to run.
    pub(crate) fn note_type<T>(&mut self) {
        self.droppable |= std::mem::needs_drop::<T>();
    }

    /// Some value's destruction may run the program's code.
    pub(crate) fn is_droppable(&self) -> bool {
        self.droppable
    }

    /// No value was ever made.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_unused(&self) -> bool {
        self.slots.is_empty()
    }

    /// As [`take_next`](Self::take_next) if no value was ever made; whether that is so.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn end_unused(&mut self) -> bool {
        let unused = self.slots.is_empty();
        self.destroyed |= unused;
        unused
    }

    /// There is no value, perhaps no more.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(|(_, value)| value.is_none())
    }

    pub(crate) fn insert(&mut self, key: usize, value: Box<dyn Any>) {
        self.slots.push((key, Some(value)));
    }

    /// Takes out the value to be destroyed next: the one made last.
    pub(crate) fn take_next(&mut self) -> Option<Box<dyn Any>> {
        let value = self.slots.iter_mut().rev().find_map(|(_, value)| value.take());
        self.destroyed = value.is_none();
        value
    }
}
