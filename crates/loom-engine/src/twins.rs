//! Loom's objects under the program's: made by the thread that made everything, before the first
//! other thread, because loom holds every use of an object that is not ordered behind its creation
//! for a race. The program's objects show up later, at their first use; so there is a pool.

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU64;
use loom::sync::{Condvar, Mutex, MutexGuard};
use racefuzz_trace::ObjectKind;
use std::cell::Cell;
use std::rc::Rc;

self_cell::self_cell!(
    /// A lock of the program that is held.
    pub(crate) struct Held {
        owner: Rc<Mutex<()>>,
        #[covariant]
        dependent: Guard,
    }
);

type Guard<'a> = MutexGuard<'a, ()>;

/// A state word: what it is lives beside loom, under the lock.
pub(crate) struct Word {
    pub(crate) lock: Mutex<()>,
    pub(crate) changed: Condvar,
    /// Threads that wait for it to change.
    pub(crate) waiters: Cell<u32>,
}

/// What loom has for an object.
#[derive(Clone)]
pub(crate) enum Twin {
    /// An atomic that holds the difference to the value here.
    Atomic(Rc<AtomicU64>, u64),
    /// A lock, one to one.
    Lock(Rc<Mutex<()>>),
    /// Any other state word.
    Word(Rc<Word>),
    /// Memory.
    Cell(Rc<UnsafeCell<()>>),
}

/// The sorts of twins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Atomic,
    Lock,
    Word,
    Cell,
}

impl Sort {
    const ALL: [Self; 4] = [Self::Atomic, Self::Lock, Self::Word, Self::Cell];

    pub(crate) const fn of(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::Atomic | ObjectKind::Arc => Self::Atomic,
            ObjectKind::Mutex => Self::Lock,
            ObjectKind::Cell => Self::Cell,
            _ => Self::Word,
        }
    }

    fn make(self) -> Twin {
        match self {
            Self::Atomic => Twin::Atomic(Rc::new(AtomicU64::new(0)), 0),
            Self::Lock => Twin::Lock(Rc::new(Mutex::new(()))),
            Self::Word => Twin::Word(Rc::new(Word {
                lock: Mutex::new(()),
                changed: Condvar::new(),
                waiters: Cell::new(0),
            })),
            Self::Cell => Twin::Cell(Rc::new(UnsafeCell::new(()))),
        }
    }
}

/// How many twins of each sort an execution needs beyond those made before its first spawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes([usize; 4]);

impl Sizes {
    /// Room for more of a sort.
    pub(crate) fn grow(&mut self, sort: Sort) {
        let size = &mut self.0[sort as usize];
        *size = (*size * 2).max(1);
    }
}

/// The twins of one execution.
#[derive(Default)]
pub(crate) struct Pool {
    free: [Vec<Twin>; 4],
    filled: bool,
}

impl Pool {
    /// Makes the twins that objects get from now on.
    pub(crate) fn fill(&mut self, sizes: &Sizes) {
        if std::mem::replace(&mut self.filled, true) {
            return;
        }
        for sort in Sort::ALL {
            self.free[sort as usize] = (0..sizes.0[sort as usize]).map(|_| sort.make()).collect();
        }
    }

    /// A twin for an object; none if the pool is too small.
    pub(crate) fn take(&mut self, sort: Sort, initial: u64) -> Option<Twin> {
        let twin = if self.filled { self.free[sort as usize].pop()? } else { sort.make() };
        Some(match twin {
            Twin::Atomic(atomic, _) => Twin::Atomic(atomic, initial),
            twin => twin,
        })
    }
}
