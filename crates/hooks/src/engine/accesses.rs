//! What is kept of an access: as little as a report needs, since there is one for every word that a program uses.

use super::interpose::Frame;
use super::sites::site;
use super::stacks;
use racefuzz_runtime::Site;
use racefuzz_runtime::ops::process::{Moment, PlainAccess};
use racefuzz_trace::Verb;

/// An access.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    pub(crate) time: u32,
    pub(crate) step: u32,
    pub(crate) thread: u16,
    pub(crate) what: What,
    pub(crate) frame: KeptFrame,
}

impl Access {
    /// When it was.
    pub(crate) fn when(&self) -> Moment {
        Moment { thread: u32::from(self.thread), time: self.time, step: self.step }
    }

    /// As a report has it.
    pub(crate) fn shown(&self) -> PlainAccess {
        PlainAccess { when: self.when(), verb: self.what.verb(), site: self.frame.site() }
    }
}

/// Which of eight bytes an access uses, and how: the more bits, the stronger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct What(u16);

impl What {
    const BYTES: u16 = 0xff;
    const WRITES: u16 = 1 << 8;
    const IS_PLAIN: u16 = 1 << 9;
    /// It is the program's, and not one of the standard library's, of whose synchronisation not all is seen.
    const IS_OWN: u16 = 1 << 10;
    /// What one of two accesses that race is.
    const ANY: u16 = Self::WRITES | Self::IS_PLAIN | Self::IS_OWN;

    #[inline(always)]
    pub(crate) fn new(bytes: u8, writes: bool, atomic: bool) -> Self {
        let how = if writes { Self::WRITES } else { 0 } | if atomic { 0 } else { Self::IS_PLAIN };
        Self(u16::from(bytes) | how | Self::IS_OWN)
    }

    /// One of the standard library's.
    pub(crate) fn of_library(bytes: u8, writes: bool) -> Self {
        Self(Self::new(bytes, writes, false).0 & !Self::IS_OWN)
    }

    /// The same, of these bytes, too.
    #[inline(always)]
    pub(crate) fn on(self, bytes: u8) -> Self {
        Self(self.0 | u16::from(bytes))
    }

    /// Whether it writes.
    #[inline(always)]
    pub(crate) fn writes(self) -> bool {
        self.0 & Self::WRITES != 0
    }

    /// Whether it is the program's.
    #[inline(always)]
    pub(crate) fn is_own(self) -> bool {
        self.0 & Self::IS_OWN != 0
    }

    /// A write of the same bytes by the program that is not atomic.
    #[inline(always)]
    pub(crate) fn strongest(self) -> Self {
        Self(self.0 | Self::WRITES | Self::IS_PLAIN | Self::IS_OWN)
    }

    /// Whether all that races with the other one races with this.
    #[inline(always)]
    pub(crate) fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether the two race, if nothing orders them.
    #[inline(always)]
    pub(crate) fn conflicts_with(self, other: Self) -> bool {
        let either = self.0 | other.0;
        self.0 & other.0 & Self::BYTES != 0 && either & Self::ANY == Self::ANY
    }

    fn verb(self) -> Verb {
        match (self.0 & Self::IS_PLAIN != 0, self.0 & Self::WRITES != 0) {
            (true, false) => Verb::CellRead,
            (true, true) => Verb::CellWrite,
            (false, false) => Verb::Load,
            (false, true) => Verb::Store,
        }
    }
}

/// The call of a hook; packed, since it would be four bytes more.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
pub(crate) struct KeptFrame {
    returns_to: usize,
    /// The caller's frame, from the beginning of all stacks, in words and one more; 0 where it is no place for one.
    caller: u32,
}

impl KeptFrame {
    const WORD: usize = 8;

    #[inline(always)]
    pub(crate) fn of(frame: Frame) -> Self {
        const { assert!(stacks::REGION.1 / Self::WORD < u32::MAX as usize) };
        let offset = frame.caller.wrapping_sub(stacks::REGION.0);
        let is_frame = offset < stacks::REGION.1 && offset.is_multiple_of(Self::WORD);
        let caller = if is_frame { (offset / Self::WORD) as u32 + 1 } else { 0 };
        Self { returns_to: frame.returns_to, caller }
    }

    /// The place of the call.
    pub(crate) fn site(self) -> Site {
        let offset = self.caller.checked_sub(1).map(|words| words as usize * Self::WORD);
        let caller = offset.map_or(0, |offset| stacks::REGION.0 + offset);
        let frame = Frame { caller, returns_to: self.returns_to };
        site(&raw const frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_covers_weaker_ones() {
        let [read, write] = [false, true].map(|writes| What::new(0x0f, writes, false));
        let [load, store] = [false, true].map(|writes| What::new(0x0f, writes, true));
        assert!(write.covers(read) && write.covers(store) && store.covers(load) && read.covers(load));
        assert!(!read.covers(store) && !store.covers(read) && !load.covers(read));
        assert!(!What::new(0x03, true, false).covers(load));
        assert!(write.conflicts_with(load) && read.conflicts_with(store) && write.conflicts_with(write));
        assert!(!read.conflicts_with(load) && !load.conflicts_with(store) && !store.conflicts_with(store));
        assert!(!write.conflicts_with(What::new(0xf0, true, false)));
        assert!(load.strongest() == write);
        let [copied, filled] = [false, true].map(|writes| What::of_library(0x0f, writes));
        assert!(write.covers(filled) && !filled.covers(write) && copied.strongest() == write);
        assert!(
            filled.conflicts_with(read) && copied.conflicts_with(write) && !filled.conflicts_with(copied)
        );
    }

    #[test]
    fn a_frame_is_kept_where_it_may_be_one() {
        for caller in [stacks::REGION.0, stacks::REGION.0 + stacks::REGION.1 - 8] {
            let kept = KeptFrame::of(Frame { caller, returns_to: 1 });
            assert_eq!(kept.caller as usize * 8 - 8 + stacks::REGION.0, caller);
        }
        for caller in [0, stacks::REGION.0 - 8, stacks::REGION.0 + 4, stacks::REGION.0 + stacks::REGION.1] {
            assert_eq!(KeptFrame::of(Frame { caller, returns_to: 1 }).caller, 0);
        }
    }
}
