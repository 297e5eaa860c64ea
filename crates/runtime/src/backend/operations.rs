//! The runtime's operations as another engine does them; each mirrors the one of that name in `ops`.

use super::Body;
use super::session::{Session, Thread};
use crate::execution::Absent;
use crate::object::Primitive;
use crate::ops::{Rmw, Told, Update};
use crate::site::Site;
use racefuzz_trace::{FailureKind, MemoryOrder, ObjectKind, Verb};
use std::alloc::Layout;
use std::any::Any;
use std::time::Duration;

/// Atomics and memory.
impl Session {
    #[cold]
    pub(crate) fn load<P: Primitive>(&self, primitive: &P, order: MemoryOrder) -> Result<u64, Absent> {
        let object = self.live()?.resolve(primitive);
        Ok(self.backend.load(object, order))
    }

    #[cold]
    pub(crate) fn store<P: Primitive>(
        &self,
        primitive: &P,
        value: u64,
        order: MemoryOrder,
    ) -> Result<bool, Absent> {
        let object = self.live()?.resolve(primitive);
        self.backend.store(object, value, order);
        self.newest.borrow_mut()[object as usize] = value;
        Ok(true)
    }

    #[cold]
    pub(crate) fn rmw<P: Primitive>(
        &self,
        primitive: &P,
        order: MemoryOrder,
        verb: Verb,
        f: &dyn Fn(u64) -> Option<u64>,
    ) -> Result<Rmw, Absent> {
        let object = self.live()?.resolve(primitive);
        let f = |word| f(word).expect("only a compare-exchange fails");
        Ok(self.kept(object, self.backend.rmw(object, order, verb, &f)))
    }

    #[cold]
    pub(crate) fn compare_exchange<P: Primitive>(
        &self,
        primitive: &P,
        orders: (MemoryOrder, MemoryOrder),
        verb: Verb,
        values: (u64, u64),
    ) -> Result<Rmw, Absent> {
        let object = self.live()?.resolve(primitive);
        Ok(self.kept(object, self.backend.compare_exchange(object, orders, verb, values)))
    }

    fn kept(&self, object: u32, done: Rmw) -> Rmw {
        if let Some(value) = done.wrote {
            self.newest.borrow_mut()[object as usize] = value;
        }
        done
    }

    #[cold]
    pub(crate) fn fence(&self, order: MemoryOrder) -> Result<(), Absent> {
        self.live()?.backend.fence(order);
        Ok(())
    }

    pub(crate) fn newest<P: Primitive>(&self, primitive: &P) -> Option<u64> {
        let object = primitive.shared().index_in(self.epoch.get())?;
        self.newest.borrow().get(object as usize).copied()
    }

    #[cold]
    pub(crate) fn unsync<P: Primitive>(&self, primitive: &P, writes: bool) -> Result<(), Absent> {
        let object = self.live()?.resolve(primitive);
        self.backend.unsync(object, writes);
        Ok(())
    }

    #[cold]
    pub(crate) fn cell<P: Primitive + ?Sized>(&self, primitive: &P, writes: bool) -> Result<(), Absent> {
        let object = self.live()?.resolve(primitive);
        self.backend.cell(object, writes);
        Ok(())
    }

    #[cold]
    pub(crate) fn update<P: Primitive + ?Sized, R>(
        &self,
        primitive: &P,
        how: &Update,
        count: impl FnOnce() -> usize,
        f: impl FnOnce(&mut u64, &mut Told<'_>, usize) -> R,
    ) -> Result<R, Absent> {
        let object = self.live()?.resolve(primitive);
        let mut change = Some((count, f));
        let mut result = None;
        self.backend.update(object, how, &mut |word| {
            let Some((count, f)) = change.take() else { return };
            let chosen = match count() {
                0 | 1 => 0,
                count => self.backend.part(count),
            };
            result = Some(Told::unheard(|told| f(word, told, chosen)));
        });
        Ok(result.expect("an update happens, or the execution is over"))
    }
}

/// Threads.
impl Session {
    pub(crate) fn spawn(
        &'static self,
        name: Option<String>,
        task: bool,
        body: Box<dyn FnOnce()>,
    ) -> Result<u32, Absent> {
        self.live()?;
        let thread = {
            let mut threads = self.threads.borrow_mut();
            threads.push(Thread { name, ..Thread::default() });
            threads.len() as u32 - 1
        };
        let run = move || {
            self.backend.entered(thread);
            self.run_thread(thread, body);
            self.backend.left();
        };
        self.backend.spawn(thread, task, Body(Box::new(run)));
        Ok(thread)
    }

    /// Waits for a thread's end; whether it panicked.
    pub(crate) fn join(&self, thread: u32, take: bool) -> Result<bool, Absent> {
        self.live()?;
        self.threads.borrow_mut()[thread as usize].joined = true;
        self.backend.join(thread);
        Ok(self.take_panic(thread, take))
    }

    pub(crate) fn is_finished(&self, thread: u32) -> Result<bool, Absent> {
        Ok(self.live()?.backend.is_finished(thread))
    }

    pub(crate) fn thread_name(&self, thread: u32) -> Option<String> {
        self.threads.borrow().get(thread as usize)?.name.clone()
    }

    pub(crate) fn current(&self) -> u32 {
        self.me()
    }

    pub(crate) fn panicking(&self) -> bool {
        std::thread::panicking()
            && (self.backend.over()
                || self.threads.borrow().get(self.me() as usize).is_some_and(|thread| thread.panicking))
    }

    pub(crate) fn park(&self, timeout: Option<Duration>) -> Result<bool, Absent> {
        self.live()?;
        Ok(!self.backend.choose_spurious() && self.backend.park(timeout))
    }

    pub(crate) fn unpark(&self, thread: u32) -> Result<(), Absent> {
        self.live()?.backend.unpark(thread);
        Ok(())
    }

    pub(crate) fn yield_now(&self) -> Result<(), Absent> {
        self.live()?.backend.yield_now();
        Ok(())
    }

    /// A sleep orders nothing, and here no time passes.
    pub(crate) fn sleep(&self) -> Result<(), Absent> {
        self.live().map(|_| ())
    }
}

/// What is local to a thread or to the execution.
impl Session {
    pub(crate) fn mode(&self) -> Result<(), Absent> {
        if self.backend.over() { Err(Absent::TearDown) } else { Ok(()) }
    }

    pub(crate) fn choose(&self, count: usize) -> Result<usize, Absent> {
        Ok(self.live()?.backend.choose(count))
    }

    pub(crate) fn choose_spurious(&self) -> bool {
        self.live().is_ok_and(|session| session.backend.choose_spurious())
    }

    pub(crate) fn assume(&self, condition: bool, site: Site) -> Result<(), Absent> {
        let session = self.live()?;
        if condition { Ok(()) } else { session.backend.block(site) }
    }

    pub(crate) fn print(&self, line: String) -> Result<(), Absent> {
        self.live()?;
        let object = self.console_object.get().unwrap_or_else(|| {
            let object = self.new_object(ObjectKind::Console, 0);
            self.console_object.set(Some(object));
            object
        });
        let mut line = Some(line);
        self.backend.update(object, &Update::new(Verb::Print), &mut |_| {
            self.console.borrow_mut().extend(line.take());
        });
        Ok(())
    }

    pub(crate) fn console_lines(&self) -> Result<Vec<String>, Absent> {
        Ok(self.live()?.console.borrow().clone())
    }

    pub(crate) fn at_end(&self, oracle: Box<dyn FnOnce()>) -> Result<(), Absent> {
        self.live()?.finals.borrow_mut().push(oracle);
        Ok(())
    }

    pub(crate) fn now(&self) -> Result<Duration, Absent> {
        Ok(self.live()?.backend.now())
    }

    /// The value under `key`, of the running thread or of the execution.
    pub(crate) fn slot(&self, global: bool, key: usize) -> Result<Option<*const dyn Any>, ()> {
        if global {
            return self.globals.borrow().state(key);
        }
        self.threads.borrow().get(self.me() as usize).map_or(Err(()), |thread| thread.locals.state(key))
    }

    pub(crate) fn put(&self, global: bool, key: usize, value: Box<dyn Any>) {
        if global {
            self.globals.borrow_mut().insert(key, value);
        } else if let Some(thread) = self.threads.borrow_mut().get_mut(self.me() as usize) {
            thread.locals.insert(key, value);
        }
    }
}

/// Counted references and tracked memory.
impl Session {
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.get()
    }

    pub(crate) fn counted_new(&self) -> Option<u32> {
        self.live().ok().map(Self::note_alive)
    }

    fn count(&self, object: u32, verb: Verb) -> Result<(), Absent> {
        self.live()?;
        if self.count_points {
            let step = if verb == Verb::RefClone { 1 } else { u64::MAX };
            self.backend.rmw(object, MemoryOrder::AcqRel, verb, &|count| count.wrapping_add(step));
        }
        Ok(())
    }

    pub(crate) fn counted_clone(&self, object: u32) -> Result<(), Absent> {
        self.count(object, Verb::RefClone)
    }

    pub(crate) fn counted_drop(&self, object: u32, last: impl FnOnce() -> bool) -> Result<(), Absent> {
        self.count(object, Verb::RefDrop)?;
        if last() {
            self.note_dead(object);
        }
        Ok(())
    }

    pub(crate) fn counted_observe(&self, object: u32) -> Result<(), Absent> {
        self.live()?;
        if !self.count_points {
            self.backend.count_references();
        }
        self.backend.rmw(object, MemoryOrder::AcqRel, Verb::RefCount, &|count| count);
        Ok(())
    }

    pub(crate) fn track(&self) -> Option<u32> {
        self.counted_new()
    }

    pub(crate) fn untrack(&self, object: u32) {
        self.note_dead(object);
    }

    pub(crate) fn alloc(&self, address: usize, layout: Layout) {
        if self.live().is_ok() {
            self.heap.borrow_mut().add(address, layout, 0);
        }
    }

    /// Whether the memory was allocated in this execution, which then gives it back at its end.
    pub(crate) fn dealloc(&self, address: usize, site: Site) -> bool {
        let Ok(session) = self.live() else { return self.heap.borrow_mut().get_mut(address).is_some() };
        session.backend.released();
        match self.release_memory(address, site) {
            None => false,
            Some(false) => true,
            Some(true) => {
                self.backend.fail(FailureKind::UseAfterFree, "memory was released twice".to_owned())
            }
        }
    }
}
