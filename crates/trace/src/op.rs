//! What an event does: to memory ([`OpKind`]), and in the user's words ([`Verb`]).

/// How an event acts on memory. Engines look only at this, never at the [`Verb`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum OpKind {
    /// An atomic load (also a failed compare-exchange).
    Load,
    /// An atomic store.
    Store,
    /// An atomic read-modify-write; taking and releasing a lock are of this kind.
    Rmw,
    /// A memory fence.
    Fence,
    /// A non-atomic read: races with unordered writes.
    Read,
    /// A non-atomic write: races with unordered accesses.
    Write,
    /// Creation of a thread.
    Spawn,
    /// Wait for a thread's end.
    Join,
    /// A thread's end.
    Finish,
    /// A tracked allocation.
    Alloc,
    /// The release of a tracked allocation.
    Free,
    /// A line written to the console.
    Print,
    /// Something local to its thread: a note, a computation, a yield, a choice of a value.
    Local,
}

impl OpKind {
    /// Whether the event may change the object it names.
    #[inline]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Store | Self::Rmw | Self::Write | Self::Alloc | Self::Free | Self::Print)
    }

    /// Whether the event depends on the object it names.
    #[inline]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Load | Self::Rmw | Self::Read)
    }
}

/// Memory ordering of an atomic access or fence, as in `std::sync::atomic::Ordering`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum MemoryOrder {
    /// Not an atomic access.
    Plain,
    /// `Relaxed`.
    Relaxed,
    /// `Acquire`.
    Acquire,
    /// `Release`.
    Release,
    /// `AcqRel`.
    AcqRel,
    /// `SeqCst`.
    SeqCst,
}

impl MemoryOrder {
    /// Whether reading with this order takes part in an acquire.
    pub const fn acquires(self) -> bool {
        matches!(self, Self::Acquire | Self::AcqRel | Self::SeqCst)
    }

    /// Whether writing with this order takes part in a release.
    pub const fn releases(self) -> bool {
        matches!(self, Self::Release | Self::AcqRel | Self::SeqCst)
    }

    /// Rust's name of the order; empty for a plain access.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Relaxed => "Relaxed",
            Self::Acquire => "Acquire",
            Self::Release => "Release",
            Self::AcqRel => "AcqRel",
            Self::SeqCst => "SeqCst",
        }
    }
}

impl From<std::sync::atomic::Ordering> for MemoryOrder {
    fn from(order: std::sync::atomic::Ordering) -> Self {
        use std::sync::atomic::Ordering;
        match order {
            Ordering::Relaxed => Self::Relaxed,
            Ordering::Acquire => Self::Acquire,
            Ordering::Release => Self::Release,
            Ordering::AcqRel => Self::AcqRel,
            // `Ordering` is non-exhaustive; anything newer is at most as strong as this.
            _ => Self::SeqCst,
        }
    }
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What the user wrote, as the report says it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
        pub enum Verb { $($(#[$doc])* $name,)* }

        impl Verb {
            /// Every verb, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The verb in words, e.g. `read`, `lock`, `fetch_add`.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

verbs! {
    /// `Var::get`.
    Get = "read",
    /// `Var::set`.
    Set = "write",
    /// An atomic load.
    Load = "load",
    /// An atomic store.
    Store = "store",
    /// `swap`.
    Swap = "swap",
    /// `compare_exchange`.
    CompareExchange = "compare_exchange",
    /// `compare_exchange_weak`.
    CompareExchangeWeak = "compare_exchange_weak",
    /// `fetch_add`.
    FetchAdd = "fetch_add",
    /// `fetch_sub`.
    FetchSub = "fetch_sub",
    /// `fetch_and`.
    FetchAnd = "fetch_and",
    /// `fetch_nand`.
    FetchNand = "fetch_nand",
    /// `fetch_or`.
    FetchOr = "fetch_or",
    /// `fetch_xor`.
    FetchXor = "fetch_xor",
    /// `fetch_not`.
    FetchNot = "fetch_not",
    /// `fetch_max`.
    FetchMax = "fetch_max",
    /// `fetch_min`.
    FetchMin = "fetch_min",
    /// A non-atomic access through `get_mut`, `with_mut` or `unsync_load` of an atomic.
    Unsync = "unsync access",
    /// A memory fence.
    Fence = "fence",
    /// Shared access to a cell.
    CellRead = "read",
    /// Exclusive access to a cell.
    CellWrite = "write",
    /// `Mutex::lock`.
    Lock = "lock",
    /// `Mutex::try_lock`.
    TryLock = "try_lock",
    /// A mutex guard dropped.
    Unlock = "unlock",
    /// `RwLock::read`.
    ReadLock = "read-lock",
    /// `RwLock::try_read`.
    TryReadLock = "try_read",
    /// A read guard dropped.
    ReadUnlock = "read-unlock",
    /// `RwLock::write`.
    WriteLock = "write-lock",
    /// `RwLock::try_write`.
    TryWriteLock = "try_write",
    /// A write guard dropped.
    WriteUnlock = "write-unlock",
    /// `Condvar::wait` starts: the thread is entered as a waiter.
    Wait = "wait on",
    /// `Condvar::wait` ends: the thread was woken.
    Woken = "woken on",
    /// `Condvar::notify_one`.
    NotifyOne = "notify_one",
    /// `Condvar::notify_all`.
    NotifyAll = "notify_all",
    /// `Barrier::wait`: the thread arrives.
    Arrive = "arrive at",
    /// `Barrier::wait`: the thread leaves.
    Pass = "pass",
    /// A `Once`, `OnceLock` or `LazyLock` is entered.
    OnceBegin = "begin init of",
    /// A `Once`, `OnceLock` or `LazyLock` is complete.
    OnceEnd = "complete init of",
    /// A `Once`, `OnceLock` or `LazyLock` is looked at.
    OnceCheck = "check init of",
    /// A message is sent.
    Send = "send to",
    /// A message is sent if there is room.
    TrySend = "try_send to",
    /// A message is received.
    Recv = "receive from",
    /// A message is received if there is one.
    TryRecv = "try_recv from",
    /// A sender is dropped.
    DropSender = "drop sender of",
    /// A receiver is dropped.
    DropReceiver = "drop receiver of",
    /// `Arc::clone`, `Weak::clone`, `Arc::downgrade`.
    RefClone = "clone",
    /// An `Arc` or `Weak` is dropped.
    RefDrop = "drop",
    /// The count of an `Arc` is looked at: `strong_count`, `get_mut`, `try_unwrap`, `upgrade`.
    RefCount = "look at count of",
    /// `thread::spawn`.
    Spawn = "spawn",
    /// `JoinHandle::join`, or the end of a scope.
    Join = "join",
    /// `JoinHandle::is_finished`.
    IsFinished = "is_finished",
    /// A thread's end.
    Finish = "finish",
    /// `thread::park`.
    Park = "park",
    /// `Thread::unpark`.
    Unpark = "unpark",
    /// `thread::sleep`.
    Sleep = "sleep",
    /// `thread::yield_now`.
    Yield = "yield",
    /// `hint::spin_loop`.
    SpinLoop = "spin",
    /// An async task is polled after a wake.
    Poll = "poll",
    /// An async task waits to be woken.
    Await = "await",
    /// A waker is called.
    Wake = "wake",
    /// A tracked allocation.
    Alloc = "allocate",
    /// A tracked allocation is released.
    Free = "free",
    /// A line is written to the console.
    Print = "print",
    /// `note`.
    Note = "note",
    /// `nondet`.
    Nondet = "choose",
    /// `assume`.
    Assume = "assume",
    /// `is_poisoned`.
    IsPoisoned = "look at poison of",
    /// `clear_poison`.
    ClearPoison = "clear poison of",
    /// An object is made: no event, but a write to its memory all the same.
    Create = "creation",
    /// A step inside of a library's function, of which the function's own word tells.
    Inside = "internal step on",
}

impl Verb {
    /// Whether the event is one on an atomic, whose word is the value that the program reads and writes.
    pub const fn is_atomic(self) -> bool {
        matches!(
            self,
            Self::Load
                | Self::Store
                | Self::Swap
                | Self::CompareExchange
                | Self::CompareExchangeWeak
                | Self::FetchAdd
                | Self::FetchSub
                | Self::FetchAnd
                | Self::FetchNand
                | Self::FetchOr
                | Self::FetchXor
                | Self::FetchNot
                | Self::FetchMax
                | Self::FetchMin
        )
    }

    /// Whether the event tries to take a lock, and goes on if it cannot.
    pub const fn tries_lock(self) -> bool {
        matches!(self, Self::TryLock | Self::TryReadLock | Self::TryWriteLock)
    }

    /// Whether the event, if it succeeds, takes a lock.
    pub const fn takes_lock(self) -> bool {
        matches!(
            self,
            Self::Lock
                | Self::TryLock
                | Self::ReadLock
                | Self::TryReadLock
                | Self::WriteLock
                | Self::TryWriteLock
        )
    }

    /// Whether the event gives a lock back.
    pub const fn gives_lock(self) -> bool {
        matches!(self, Self::Unlock | Self::ReadUnlock | Self::WriteUnlock)
    }
}

/// What sort of thing an object is; also the first half of its name when nothing better is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum ObjectKind {
    /// A named plain shared variable, `Var`.
    Variable,
    /// An atomic.
    Atomic,
    /// Memory accessed without atomics.
    Cell,
    /// A mutex.
    Mutex,
    /// A reader-writer lock.
    RwLock,
    /// A condition variable.
    Condvar,
    /// A barrier.
    Barrier,
    /// A `Once`, `OnceLock` or `LazyLock`.
    Once,
    /// A channel.
    Channel,
    /// A reference count.
    Arc,
    /// A thread: its end, its park token.
    Thread,
    /// An async task or waker.
    Task,
    /// A tracked allocation.
    Allocation,
    /// The console.
    Console,
    /// A lock or a flag that the program does not have: an overlay adds it.
    Added,
    /// A word on which threads sleep by a call of the system.
    Futex,
}

impl ObjectKind {
    /// The kind in one lower-case word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Variable => "variable",
            Self::Atomic => "atomic",
            Self::Cell => "cell",
            Self::Mutex => "mutex",
            Self::RwLock => "rwlock",
            Self::Condvar => "condvar",
            Self::Barrier => "barrier",
            Self::Once => "once",
            Self::Channel => "channel",
            Self::Arc => "arc",
            Self::Thread => "thread",
            Self::Task => "task",
            Self::Allocation => "allocation",
            Self::Console => "console",
            Self::Added => "added lock",
            Self::Futex => "futex",
        }
    }
}
