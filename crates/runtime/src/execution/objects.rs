//! The objects of an execution: numbers for what is used, and whether it may be.
//!
//! An object gets its number at its first use in an execution. The number, with that of the
//! execution, is kept in the object itself ([`Shared`](crate::object::Shared)), and the object's
//! address is kept with the number. Where either does not fit, somebody looks closer: the object was
//! never used in this execution, or was moved, or its memory was freed and overwritten.
//!
//! # Birth
//! Making an object is a plain write to its memory. Constructors are `const` and see no execution,
//! but memory that is younger than the execution has a [`Birth`]: the object in it cannot be older.
//! A use that the allocation does not happen before is a data race with the object's creation,
//! *unsafe publication*. It is reported only if some thread has got hold of memory in this way, by
//! an atomic that held the address of a block whose allocation it did not know of: a program that
//! hands objects over by means that are not instrumented (a std mutex) is not accused.

use super::Execution;
use crate::alloc::{Birth, Block, Region};
use crate::object::{Object, Primitive};
use crate::ops::misuse::{self, Misused};
use crate::overlay;
use crate::site::Site;
use racefuzz_trace::{ObjectKind, Verb};

fn address_of<P: ?Sized>(primitive: &P) -> usize {
    std::ptr::from_ref(primitive).cast::<u8>() as usize
}

impl Execution {
    /// The object's number in this execution, if it may be used: its memory was not released.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn resolve<P: Primitive + ?Sized>(
        &mut self,
        primitive: &P,
        verb: Verb,
        site: Site,
    ) -> Result<u32, Misused> {
        match primitive.shared().index_in(self.epoch) {
            Some(index) if self.objects[index as usize].address == address_of(primitive) => Ok(index),
            known => self.meet(primitive, known, verb, site),
        }
    }

    /// Whether an object may be used in the step that happens now: its memory was not released while
    /// the step was waiting for its turn, and its creation happens before it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn admit<P: Primitive + ?Sized>(
        &mut self,
        primitive: &P,
        object: u32,
        verb: Verb,
        site: Site,
    ) -> Result<(), Misused> {
        if primitive.shared().index_in(self.epoch) != Some(object) {
            let address = address_of(primitive);
            let block = self.storage.region.as_mut().and_then(|region| region.block(address)).copied();
            self.check_released(address, block, Some(object), P::KIND, verb, site)?;
        }
        self.admit_birth(object, verb, site)
    }

    /// [`admit`](Self::admit) of an object that is known by its number alone.
    pub(crate) fn admit_object(&mut self, object: u32, verb: Verb, site: Site) -> Result<(), Misused> {
        let Object { kind, address, .. } = self.objects[object as usize];
        let block = self.storage.region.as_mut().and_then(|region| region.block(address)).copied();
        self.check_released(address, block, Some(object), kind, verb, site)?;
        self.admit_birth(object, verb, site)
    }

    /// Whether the creation of an object happens before the step that happens now.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn admit_birth(&mut self, object: u32, verb: Verb, site: Site) -> Result<(), Misused> {
        if self.order.received_unknown { self.admit_known_birth(object, verb, site) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn admit_known_birth(&mut self, object: u32, verb: Verb, site: Site) -> Result<(), Misused> {
        let birth = self.objects[object as usize].birth;
        let clock = &self.threads[self.current as usize].clock;
        if clock.knows(birth.thread, birth.time) || self.runs_on_same_thread(birth) {
            return Ok(());
        }
        Err(misuse::unsafe_publication(self, object, verb, site))
    }

    /// Whether the running thread is the one that allocated, or a task of the same one.
    fn runs_on_same_thread(&self, birth: Birth) -> bool {
        let host = |thread: u32| self.threads[thread as usize].origin.host;
        birth.thread == self.current || host(birth.thread) == host(self.current)
    }

    /// An atomic access has read this word: it may be the address of a block.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn received(&mut self, word: u64) {
        if Region::may_own(word as usize) {
            self.received_address(word as usize);
        }
    }

    #[cold]
    #[inline(never)]
    fn received_address(&mut self, address: usize) {
        let birth =
            self.storage.region.as_mut().and_then(|region| region.block(address)).map(|block| block.birth);
        let Some(birth) = birth else { return };
        if !self.asks_for_clocks() {
            return;
        }
        let known = self.threads[self.current as usize].clock.knows(birth.thread, birth.time);
        self.order.received_unknown |= !known && !self.runs_on_same_thread(birth);
    }

    /// A use of an object that is new to the execution, or is not where it was.
    #[inline(never)]
    fn meet<P: Primitive + ?Sized>(
        &mut self,
        primitive: &P,
        known: Option<u32>,
        verb: Verb,
        site: Site,
    ) -> Result<u32, Misused> {
        let address = address_of(primitive);
        let place: Option<*mut Block> = self
            .storage
            .region
            .as_mut()
            .and_then(|region| region.block(address))
            .map(|block| &raw mut *block);
        // SAFETY: it is a block of the region, whose blocks nobody else looks at now.
        let block = place.map(|block| unsafe { *block });
        self.check_released(address, block, known, P::KIND, verb, site)?;
        let index = match known {
            Some(index) => index,
            None => self.register(primitive, block.is_some(), site),
        };
        let object = &mut self.objects[index as usize];
        object.address = address;
        if let Some(block) = place
            && let Some(region) = &mut self.storage.region
        {
            // SAFETY: as above, and the program has not allocated in between.
            let block = unsafe { &mut *block };
            object.birth = block.birth;
            region.add_content(block, index);
        }
        Ok(index)
    }

    /// Fails if an address lies in memory that was released.
    #[inline]
    fn check_released(
        &mut self,
        address: usize,
        block: Option<Block>,
        known: Option<u32>,
        kind: ObjectKind,
        verb: Verb,
        site: Site,
    ) -> Result<(), Misused> {
        if self.storage.allocations.released(address).is_some() || block.is_some_and(|block| block.free) {
            self.find_release(address, block, known, kind, verb, site)?;
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn find_release(
        &mut self,
        address: usize,
        block: Option<Block>,
        known: Option<u32>,
        kind: ObjectKind,
        verb: Verb,
        site: Site,
    ) -> Result<(), Misused> {
        if let Some(block) = self.storage.allocations.released(address)
            && let Some(freed) = block.freed
        {
            return Err(misuse::use_after_free(self, block.object, freed, verb, site));
        }
        let Some(block) = block.filter(|block| block.free) else { return Ok(()) };
        let Some(region) = &mut self.storage.region else { return Ok(()) };
        let Some(freed) = region.freed(block) else { return Ok(()) };
        let objects = &self.objects;
        let here = |object: &u32| objects[*object as usize].address == address;
        let known = known.or_else(|| region.contents(block).filter(here).max());
        // Nothing of what is there can be believed: not even where it was created.
        let object = known.unwrap_or_else(|| self.new_shown_object(kind, site));
        Err(misuse::use_after_free(self, object, freed, verb, site))
    }

    fn register<P: Primitive + ?Sized>(&mut self, primitive: &P, allocated: bool, site: Site) -> u32 {
        let shared = primitive.shared();
        // What the program has allocated in this execution is no static.
        if !allocated && !primitive.used_outside() {
            self.storage.statics.first_use(primitive);
        }
        let address = address_of(primitive);
        let initial = primitive.initial();
        // Memory that was zeroed holds a valid object that nobody has made.
        let created = shared.created().unwrap_or(site);
        if let Some(index) = overlay::known_before(self, created, initial) {
            shared.claim(self.epoch, index);
            self.objects[index as usize].created = created;
            self.storage.allocations.first_use(address, index);
            if let Some(recorder) = &mut self.recorder {
                recorder.created_at(index, created);
            }
            return index;
        }
        let index = self.storage.object_count as u32;
        if shared.claim(self.epoch, index) && !self.storage.statics.covers(address) {
            self.storage.left_over.push((P::KIND, created));
        }
        self.new_object(P::KIND, created, initial);
        self.storage.allocations.first_use(address, index);
        if let Some(recorder) = &mut self.recorder {
            let name = primitive.name().map(std::borrow::Cow::into_owned);
            recorder.object(P::KIND, created, name, primitive.show(initial));
        }
        overlay::is_known(self, created, index);
        index
    }

    /// An atomic that is loaded before the program gets to it; where it is created is known then.
    pub(crate) fn expect_object<P: Primitive>(&mut self, primitive: &P, site: Site) -> u32 {
        let initial = primitive.initial();
        let index = self.new_object(P::KIND, site, initial);
        if let Some(recorder) = &mut self.recorder {
            recorder.object(P::KIND, site, None, primitive.show(initial));
        }
        index
    }

    /// A new object; its recorder entry is the caller's affair.
    pub(crate) fn new_object(&mut self, kind: ObjectKind, created: Site, initial: u64) -> u32 {
        let index = self.storage.object_count;
        self.storage.object_count += 1;
        match self.objects.get_mut(index) {
            Some(object) => object.reuse(kind, created, initial),
            None => self.add_object(kind, created, initial),
        }
        index as u32
    }

    /// One more entry for objects than any execution has needed so far.
    #[cold]
    #[inline(never)]
    fn add_object(&mut self, kind: ObjectKind, created: Site, initial: u64) {
        self.objects.push(Object::new(self.objects.len() as u32, kind, created, initial));
    }

    /// A new object without a value, with its entry in the recorder.
    pub(crate) fn new_shown_object(&mut self, kind: ObjectKind, created: Site) -> u32 {
        let index = self.new_object(kind, created, 0);
        if let Some(recorder) = &mut self.recorder {
            recorder.object(kind, created, None, crate::object::Shown::Nothing);
        }
        index
    }
}
