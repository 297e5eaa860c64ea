//! What the standard library is at when it performs an operation, told by the names of its functions.
//!
//! Two things are told apart: the part of it that performs the operation (a [`Role`]), which says how the program's
//! threads synchronise by it; and the function that the program has called (a [`Call`]), which says what a report
//! names it.

use racefuzz_trace::{ObjectKind, Verb};

/// The part of the standard library that performs an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// It only passes the operation on.
    #[default]
    None,
    /// Something that has no word.
    Inside,
    /// The same, in code that is generic throughout, so that all of it is compiled into the program.
    Generic,
    Lock,
    TryLock,
    Unlock,
    ReadLock,
    TryReadLock,
    ReadUnlock,
    WriteLock,
    TryWriteLock,
    WriteUnlock,
    Condvar,
    Once,
    Park,
    Unpark,
    /// Where a message of a channel is given or taken.
    Message,
    RefClone,
    RefDrop,
    RefCount,
}

/// What the program has called, where that is made of other parts that are of no interest then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Call {
    #[default]
    None,
    /// `Barrier::wait`.
    Barrier,
    /// `Sender::send` of a channel.
    Send,
    /// `Receiver::recv`.
    Receive,
    /// Something else of a channel.
    Channel,
    /// The end of a scope of threads.
    Scope,
    /// Something of a thread: making one, joining it, its handle.
    Thread,
}

/// What a function of the standard library is, by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) role: Role,
    pub(crate) call: Call,
    /// It counts references to what the library keeps of a thread or of a scope, by code of which not all is seen.
    pub(crate) own_count: bool,
}

impl Part {
    /// What a function is.
    pub(crate) fn of(name: &str) -> Self {
        let name = name.trim_start_matches('<');
        let own_count =
            ["std::thread::thread::Inner", "std::thread::Inner", "std::thread::scoped::ScopeData"]
                .iter()
                .any(|inner| name.contains("sync::Arc<") && name.contains(inner));
        Self { role: role(name), call: call(name), own_count }
    }

    /// Of two functions of which the second calls the first: the role of the first, unless that has no word; what
    /// is called is the second.
    pub(crate) fn called_by(self, outer: Self) -> Self {
        let passes = matches!(self.role, Role::None | Role::Inside) && outer.role != Role::None;
        Self {
            role: if passes { outer.role } else { self.role },
            own_count: if passes { outer.own_count } else { self.own_count },
            call: match (self.call, outer.call) {
                (own, Call::None) => own,
                // What is made of receiving, such as an iterator, receives.
                (own @ (Call::Send | Call::Receive), Call::Channel) => own,
                (_, outer) => outer,
            },
        }
    }

    /// The word for a look at memory of the standard library's; none where it is the program's own.
    pub(crate) fn looks(self) -> Option<Verb> {
        let verb = self.verb()?;
        let changes = self.role.takes().is_some() || matches!(verb, Verb::Send | Verb::Recv | Verb::Unpark);
        // A look at a lock is none of what the lock is for.
        Some(if changes { Verb::Inside } else { verb })
    }

    /// The word for an operation that the standard library performs; none where it is the program's own.
    pub(crate) fn verb(self) -> Option<Verb> {
        match (self.call, self.role) {
            (Call::None, _) => {}
            (Call::Send, Role::Message) => return Some(Verb::Send),
            (Call::Receive, Role::Message) => return Some(Verb::Recv),
            // A report hides them; strategies are to know them for what they are.
            (Call::Thread | Call::Scope, Role::RefClone | Role::RefDrop | Role::RefCount) => {}
            _ => return Some(Verb::Inside),
        }
        Some(match self.role {
            Role::None => return None,
            Role::Inside | Role::Generic | Role::Message | Role::Condvar | Role::Park => Verb::Inside,
            Role::Unpark => Verb::Unpark,
            Role::Once => Verb::OnceCheck,
            Role::RefClone => Verb::RefClone,
            Role::RefDrop => Verb::RefDrop,
            Role::RefCount => Verb::RefCount,
            role => role.lock_verb().unwrap_or(Verb::Inside),
        })
    }

    /// Whether what is met in it is nothing of the program's.
    pub(crate) fn hides(self) -> bool {
        matches!(self.call, Call::Thread | Call::Scope)
    }

    /// The word for being entered as one who waits.
    pub(crate) fn begins(self) -> Verb {
        match (self.call, self.role) {
            (Call::Barrier, Role::Condvar) => Verb::Arrive,
            (Call::None, Role::Condvar) => Verb::Wait,
            _ => Verb::Inside,
        }
    }

    /// The word for the end of a wait.
    pub(crate) fn ends(self) -> Verb {
        match (self.call, self.role) {
            (_, role) if role.takes().is_some() => role.lock_verb().unwrap_or(Verb::Woken),
            (Call::Barrier, _) => Verb::Pass,
            (Call::Send, _) => Verb::Send,
            (Call::Receive, _) => Verb::Recv,
            (Call::Scope, _) => Verb::Join,
            (_, Role::Park) => Verb::Park,
            (_, Role::Once) => Verb::OnceBegin,
            _ => Verb::Woken,
        }
    }

    /// The word for waking one or more of those who wait, where that is more than a part of something.
    pub(crate) fn wakes(self, most: usize) -> Verb {
        match (self.call, self.role) {
            (Call::None, Role::Condvar) if most == 1 => Verb::NotifyOne,
            (Call::None, Role::Condvar) => Verb::NotifyAll,
            _ => Verb::Inside,
        }
    }

    /// What those who wait do so for.
    pub(crate) fn waits_for(self) -> ObjectKind {
        match (self.call, self.role) {
            (_, role) if role.is_mutex() => ObjectKind::Mutex,
            (_, role) if role.is_rwlock() => ObjectKind::RwLock,
            (Call::Barrier, _) => ObjectKind::Barrier,
            (Call::Send | Call::Receive | Call::Channel, _) => ObjectKind::Channel,
            (Call::Scope, _) | (_, Role::Park | Role::Unpark) => ObjectKind::Thread,
            (_, Role::Once) => ObjectKind::Once,
            (_, Role::Condvar) => ObjectKind::Condvar,
            _ => ObjectKind::Futex,
        }
    }
}

impl Role {
    /// The word for taking a lock or giving it back.
    fn lock_verb(self) -> Option<Verb> {
        Some(match self {
            Self::Lock => Verb::Lock,
            Self::TryLock => Verb::TryLock,
            Self::Unlock => Verb::Unlock,
            Self::ReadLock => Verb::ReadLock,
            Self::TryReadLock => Verb::TryReadLock,
            Self::ReadUnlock => Verb::ReadUnlock,
            Self::WriteLock => Verb::WriteLock,
            Self::TryWriteLock => Verb::TryWriteLock,
            Self::WriteUnlock => Verb::WriteUnlock,
            _ => return None,
        })
    }

    /// What the word is that it works on.
    pub(crate) fn kind(self) -> ObjectKind {
        match self {
            role if role.is_mutex() => ObjectKind::Mutex,
            role if role.is_rwlock() => ObjectKind::RwLock,
            Self::RefClone | Self::RefDrop | Self::RefCount => ObjectKind::Arc,
            Self::Once => ObjectKind::Once,
            Self::Park | Self::Unpark => ObjectKind::Thread,
            _ => ObjectKind::Atomic,
        }
    }

    /// Whether it is about the state of a reader-writer lock.
    pub(crate) fn is_rwlock(self) -> bool {
        use Role::{ReadLock, ReadUnlock, TryReadLock, TryWriteLock, WriteLock, WriteUnlock};
        matches!(self, ReadLock | TryReadLock | ReadUnlock | WriteLock | TryWriteLock | WriteUnlock)
    }

    /// Whether it is about the state of a mutex.
    pub(crate) fn is_mutex(self) -> bool {
        matches!(self, Self::Lock | Self::TryLock | Self::Unlock)
    }

    /// Whether code that is not seen may acquire by what is used in it and leave no other trace than what that
    /// holds then. By locks and what is done once it does so behind an operation that is seen and fails, or a
    /// call of the system's.
    pub(crate) fn acquires_unseen(self) -> bool {
        let counts = matches!(self, Self::RefClone | Self::RefDrop | Self::RefCount);
        !(counts
            || self.is_mutex()
            || self.is_rwlock()
            || matches!(self, Self::None | Self::Once | Self::Generic | Self::Message))
    }

    /// Whether it takes a lock, if it takes one or gives it back.
    pub(crate) fn takes(self) -> Option<bool> {
        use Role::{Lock, ReadLock, TryLock, TryReadLock, TryWriteLock, WriteLock};
        let takes = matches!(self, Lock | TryLock | ReadLock | TryReadLock | WriteLock | TryWriteLock);
        (self.is_mutex() || self.is_rwlock()).then_some(takes)
    }
}

/// The last part of a path, without what it is generic over and without the closures in it.
pub(super) fn function(name: &str) -> &str {
    let mut name = name;
    while let Some((outer, inner)) = name.rsplit_once("::{") {
        if !inner.ends_with('}') {
            break;
        }
        name = outer;
    }
    if let Some((outer, generics)) = name.rsplit_once("::<")
        && generics.ends_with('>')
    {
        name = outer;
    }
    name.rsplit("::").next().unwrap_or(name)
}

fn role(name: &str) -> Role {
    let in_std = name.starts_with("std::");
    if !in_std && !name.starts_with("alloc::") {
        return Role::None;
    }
    let function = function(name);
    let has = |part: &str| name.contains(part);
    if in_std && has("sys::sync::mutex::") {
        return match function {
            "lock" | "lock_contended" => Role::Lock,
            "try_lock" => Role::TryLock,
            _ => Role::Unlock,
        };
    }
    if in_std && has("sys::sync::rwlock::") {
        return match function {
            "read" | "read_contended" => Role::ReadLock,
            "try_read" => Role::TryReadLock,
            "read_unlock" => Role::ReadUnlock,
            "write" | "write_contended" => Role::WriteLock,
            "try_write" => Role::TryWriteLock,
            _ => Role::WriteUnlock,
        };
    }
    if in_std && has("thread_parking::") {
        return if function == "unpark" { Role::Unpark } else { Role::Park };
    }
    if in_std && has("sync::mpmc::") && matches!(function, "read" | "write") {
        return Role::Message;
    }
    const PARTS: &[(&str, Role)] = &[
        ("sys::sync::condvar::", Role::Condvar),
        ("sys::sync::once::", Role::Once),
        ("mpmc::array::", Role::Generic),
        ("mpmc::list::", Role::Generic),
        ("mpmc::zero::", Role::Generic),
        ("mpmc::counter::", Role::Generic),
    ];
    if let Some((_, role)) = PARTS.iter().find(|(part, _)| in_std && has(part)) {
        return *role;
    }
    let of_condvar = ["notify_one", "notify_all", "wait_timeout", "wait_timeout_while"];
    if in_std && has("condvar::Condvar") && of_condvar.contains(&function) {
        return Role::Condvar;
    }
    if has("alloc::sync::Arc") || has("alloc::sync::Weak") {
        return match function {
            "clone" | "downgrade" => Role::RefClone,
            "drop" | "drop_slow" => Role::RefDrop,
            _ => Role::RefCount,
        };
    }
    Role::Inside
}

fn call(name: &str) -> Call {
    let function = function(name);
    // A handle, or an end of a channel, is dropped.
    if let Some(dropped) = name.strip_prefix("core::ptr::drop_in_place") {
        return match call(dropped.trim_start_matches([':', '<'])) {
            Call::None => Call::None,
            Call::Thread | Call::Scope => Call::Thread,
            _ => Call::Channel,
        };
    }
    if name.starts_with("std::sync::barrier::") {
        return Call::Barrier;
    }
    if name.starts_with("std::sync::mpsc::") || name.starts_with("std::sync::mpmc::") {
        return match function {
            "send" | "send_timeout" | "send_deadline" | "try_send" => Call::Send,
            "recv" | "recv_timeout" | "recv_deadline" | "try_recv" | "next" => Call::Receive,
            _ => Call::Channel,
        };
    }
    if name.starts_with("std::thread::scoped::") {
        return Call::Scope;
    }
    let own = matches!(function, "park" | "park_timeout" | "park_timeout_ms" | "unpark");
    if name.starts_with("std::thread::") && !own && !name.starts_with("std::thread::local") {
        return Call::Thread;
    }
    Call::None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_std_has_a_role() {
        let role = |name: &str| Part::of(name).role;
        assert_eq!(role("<std::sys::sync::mutex::futex::Mutex>::lock_contended"), Role::Lock);
        assert_eq!(role("std::sys::sync::rwlock::futex::RwLock::read_unlock"), Role::ReadUnlock);
        assert_eq!(role("<alloc::sync::Arc<T> as core::clone::Clone>::clone"), Role::RefClone);
        assert_eq!(role("std::thread::spawn"), Role::Inside);
        assert_eq!(role("<std::sync::mpmc::list::Channel<T>>::start_send"), Role::Generic);
        assert_eq!(role("std::sys::sync::condvar::futex::Condvar::wait"), Role::Condvar);
        assert_eq!(role("<std::sync::poison::condvar::Condvar>::notify_one"), Role::Condvar);
        assert_eq!(role("mine::sync::mutex::lock"), Role::None);
    }

    #[test]
    fn what_the_program_calls_is_what_counts() {
        let call = |name: &str| Part::of(name).call;
        assert_eq!(call("<std::sync::mpsc::Sender<alloc::sync::Arc<mine::Queue>>>::send"), Call::Send);
        assert_eq!(call("<std::sync::mpmc::list::Channel<i32>>::recv::{closure#1}"), Call::Receive);
        assert_eq!(call("std::thread::scoped::scope::<mine::f::{closure#0}, ()>"), Call::Scope);
        assert_eq!(call("<std::thread::join_handle::JoinHandle<()>>::join"), Call::Thread);
        assert_eq!(call("<std::thread::thread::Thread>::unpark"), Call::None);
        assert_eq!(call("std::thread::functions::park"), Call::None);
        let dropped = "core::ptr::drop_in_place::<std::thread::scoped::ScopedJoinHandle<()>>";
        assert_eq!(call(dropped), Call::Thread);
        assert_eq!(call("core::ptr::drop_in_place::<alloc::sync::Arc<std::thread::Thread>>"), Call::None);
        let receives = Part::of("<std::sync::mpsc::Receiver<i32>>::recv");
        let collects =
            Part::of("<std::sync::mpsc::Iter<i32> as core::iter::traits::iterator::Iterator>::collect::<()>");
        assert_eq!(receives.called_by(collects).call, Call::Receive);
        let inner = Part::of("std::sys::sync::condvar::futex::Condvar::wait");
        let outer = Part::of("<std::sync::barrier::Barrier>::wait");
        assert_eq!(inner.called_by(outer).ends(), Verb::Pass);
    }
}
