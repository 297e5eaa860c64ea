//! Atomic operations.

use super::{Frame, export};
use crate::engine::border::{as_host, in_program};
use crate::engine::exhaustive::{self, atomics::Access};
use crate::engine::kinds::as_kind;
use crate::engine::roles::{Call, Part, Role};
use crate::engine::words::Word;
use crate::engine::{futex, shadow, sites, state};
use racefuzz_runtime::Site;
use racefuzz_runtime::ops::{self, unseen};
use racefuzz_trace::{MemoryOrder, Verb};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// The order that the compiler's number stands for.
fn order(number: usize) -> MemoryOrder {
    match number as u32 & 0xff {
        0 => MemoryOrder::Relaxed,
        1 | 2 => MemoryOrder::Acquire,
        3 => MemoryOrder::Release,
        4 => MemoryOrder::AcqRel,
        _ => MemoryOrder::SeqCst,
    }
}

/// The word of so many bytes that a register holds.
fn cut(word: u64, bytes: u8) -> u64 {
    if bytes == 8 { word } else { word & ((1 << (8 * u32::from(bytes))) - 1) }
}

/// The last atomic operation is a read-modify-write, which this processor does by a full barrier.
static MODIFIED: AtomicBool = AtomicBool::new(false);

/// What is modified, and how.
#[derive(Clone, Copy)]
struct Operation {
    address: usize,
    bytes: u8,
    order: MemoryOrder,
    failure: MemoryOrder,
    verb: Verb,
    operand: u64,
    expected: u64,
    frame: *const Frame,
}

impl Operation {
    /// The word that it writes, having read one.
    fn apply(&self, word: u64) -> Option<u64> {
        let operand = self.operand;
        let written = match self.verb {
            Verb::Swap => operand,
            Verb::FetchAdd => word.wrapping_add(operand),
            Verb::FetchSub => word.wrapping_sub(operand),
            Verb::FetchAnd => word & operand,
            Verb::FetchOr => word | operand,
            Verb::FetchXor => word ^ operand,
            Verb::FetchNand => !(word & operand),
            _ if word == self.expected => operand,
            _ => return None,
        };
        Some(cut(written, self.bytes))
    }

    /// The same, where every execution is explored.
    fn access(&self) -> Access {
        MODIFIED.store(false, Ordering::Relaxed);
        let (site, part) = sites::site_and_part(self.frame);
        Access { address: self.address, bytes: self.bytes, order: self.order, site, part }
    }

    fn place(&self) -> (Site, Part, *const Word) {
        MODIFIED.store(false, Ordering::Relaxed);
        let (site, part) = sites::site_and_part(self.frame);
        let (word, acquired) = state::with(|state| {
            let word = state.words.at(self.address, self.bytes, (site, part));
            (word, state.reads_stale && state.words.has_acquired_unseen())
        });
        if acquired {
            // What a thread has acquired unseen it must not read older stores than.
            let _ = unseen::learn_from_all();
        }
        self::word(word).use_in(part.role);
        (site, part, word)
    }
}

/// The object, for one operation: another may come to lie there only in another execution.
fn word<'a>(word: *const Word) -> &'a Word {
    // SAFETY: atomics that were met are boxed and stay while executions run.
    unsafe { &*word }
}

/// An operation of the standard library's did not find what it hoped for: what comes next may be code that is not
/// seen, up to the next operation that is.
fn enters_unseen(role: Role) {
    if role.is_rwlock() {
        let _ = unseen::learn_from_all();
    }
}

/// Code that is not seen may have released something to a word and left it as it was: an operation that acquires
/// has acquired that.
fn acquires_unseen(word: &Word, order: MemoryOrder) {
    if word.is_used_unseen() && order.acquires() {
        let _ = unseen::learn_from_unseen();
    }
}

fn load(operation: Operation) -> u64 {
    if exhaustive::is_on() {
        return exhaustive::atomics::load(operation.access());
    }
    let (site, part, at) = operation.place();
    let role = part.role;
    let verb = part.looks().unwrap_or(Verb::Load);
    let result = as_kind!(word(at), role.kind(), |word| ops::load(word, operation.order, verb, site));
    enters_unseen(role);
    acquires_unseen(word(at), operation.order);
    shadow::publish();
    word(at).done();
    result.unwrap_or_else(|_| word(at).real())
}

/// Code that is not seen is about to look at a word of four bytes, and the explorer may let others go first. What is
/// inside a barrier is the barrier's.
pub(in crate::engine) fn looks_unseen((address, frame): (usize, *const Frame)) {
    if sites::site_and_part(frame).1.call != Call::Barrier {
        load(Operation { address, bytes: 4, order: MemoryOrder::Relaxed, frame, ..NONE });
    }
}

fn store(operation: Operation) {
    if exhaustive::is_on() {
        return exhaustive::atomics::store(operation.access(), operation.operand);
    }
    let (site, part, at) = operation.place();
    let role = part.role;
    let verb = part.verb().unwrap_or(Verb::Store);
    let newest = as_kind!(word(at), role.kind(), |word| ops::store(
        word,
        operation.operand,
        operation.order,
        verb,
        site
    ));
    if newest != Ok(false) {
        word(at).set_real(operation.operand);
    }
    shadow::publish();
    word(at).done();
}

/// The word read.
fn modify(operation: Operation) -> u64 {
    if exhaustive::is_on() {
        let change = |word| operation.apply(word);
        let read = exhaustive::atomics::modify(operation.access(), operation.failure, operation.verb, change);
        MODIFIED.store(true, Ordering::Relaxed);
        return read;
    }
    let (site, part, at) = operation.place();
    let role = part.role;
    let orders = (operation.order, operation.failure);
    let verb = part.verb().unwrap_or(operation.verb);
    let done =
        as_kind!(word(at), role.kind(), |at| ops::rmw(at, orders, verb, site, |word| operation.apply(word)));
    let Ok(done) = done else { return word(at).real() };
    if let (Some(takes), Some(_)) = (role.takes(), done.wrote) {
        futex::holds(operation.address, takes, site, part);
    }
    match done.wrote {
        Some(written) if done.newest => word(at).set_real(written),
        Some(_) => {}
        None => enters_unseen(role),
    }
    acquires_unseen(word(at), if done.wrote.is_some() { operation.order } else { operation.failure });
    shadow::publish();
    word(at).done();
    MODIFIED.store(true, Ordering::Relaxed);
    done.read
}

/// Runs an operation on the memory itself: outside of every execution.
fn native(operation: &Operation) -> u64 {
    macro_rules! on {
        ($atomic:ty, $word:ty) => {{
            // SAFETY: the program performs an atomic operation of this size there.
            let atomic = unsafe { &*(operation.address as *const $atomic) };
            let change = |word: $word| operation.apply(u64::from(word)).map(|word| word as $word);
            let done = atomic.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change);
            u64::from(done.unwrap_or_else(|word| word))
        }};
    }
    match operation.bytes {
        1 => on!(AtomicU8, u8),
        2 => on!(AtomicU16, u16),
        4 => on!(AtomicU32, u32),
        _ => on!(AtomicU64, u64),
    }
}

fn perform(operation: Operation) -> u64 {
    if !in_program() {
        return native(&operation);
    }
    let read = as_host(modify, operation);
    let wrote = operation.apply(read).is_some();
    shadow::access_atomic(operation.address, usize::from(operation.bytes), wrote, operation.frame);
    read
}

const NONE: Operation = Operation {
    address: 0,
    bytes: 8,
    order: MemoryOrder::SeqCst,
    failure: MemoryOrder::Relaxed,
    verb: Verb::Load,
    operand: 0,
    expected: 0,
    frame: std::ptr::null(),
};

fn loads(address: usize, bytes: u8, number: usize, frame: *const Frame) -> u64 {
    let operation = Operation { address, bytes, order: order(number), frame, ..NONE };
    if !in_program() {
        // A modification that changes nothing.
        return native(&Operation { verb: Verb::FetchOr, ..operation });
    }
    let read = as_host(load, operation);
    shadow::access_atomic(address, usize::from(bytes), false, frame);
    read
}

fn stores(address: usize, bytes: u8, value: u64, number: usize, frame: *const Frame) {
    let operand = cut(value, bytes);
    let operation =
        Operation { address, bytes, order: order(number), operand, verb: Verb::Swap, frame, ..NONE };
    if !in_program() {
        native(&operation);
        return;
    }
    as_host(store, operation);
    shadow::access_atomic(address, usize::from(bytes), true, frame);
}

fn modifies(address: usize, bytes: u8, verb: Verb, value: u64, number: usize, frame: *const Frame) -> u64 {
    let operand = cut(value, bytes);
    perform(Operation { address, bytes, order: order(number), operand, verb, frame, ..NONE })
}

macro_rules! atomics {
    ($($bits:literal $bytes:literal $type:ty: $load:ident $store:ident $exchange:ident $add:ident $sub:ident
       $and:ident $or:ident $xor:ident $nand:ident $val:ident $strong:ident $weak:ident;)*) => {$(
        extern "C" fn $load(a: usize, o: usize, _: usize, _: usize, _: usize, frame: *const Frame) -> u64 {
            loads(a, $bytes, o, frame)
        }
        extern "C" fn $store(a: usize, v: u64, o: usize, _: usize, _: usize, frame: *const Frame) {
            stores(a, $bytes, v, o, frame);
        }
        atomics!(@modify $bytes $exchange Swap);
        atomics!(@modify $bytes $add FetchAdd);
        atomics!(@modify $bytes $sub FetchSub);
        atomics!(@modify $bytes $and FetchAnd);
        atomics!(@modify $bytes $or FetchOr);
        atomics!(@modify $bytes $xor FetchXor);
        atomics!(@modify $bytes $nand FetchNand);
        extern "C" fn $val(a: usize, e: u64, v: u64, o: usize, f: usize, frame: *const Frame) -> u64 {
            let verb = Verb::CompareExchange;
            let (operand, expected) = (cut(v, $bytes), cut(e, $bytes));
            let (order, failure) = (order(o), order(f));
            perform(Operation { address: a, bytes: $bytes, order, failure, verb, operand, expected, frame })
        }
        extern "C" fn $strong(
            a: usize, e: *mut $type, v: u64, o: usize, f: usize, frame: *const Frame,
        ) -> u32 {
            exchanges(a, $bytes, e, v, (o, f), Verb::CompareExchange, frame)
        }
        extern "C" fn $weak(
            a: usize, e: *mut $type, v: u64, o: usize, f: usize, frame: *const Frame,
        ) -> u32 {
            exchanges(a, $bytes, e, v, (o, f), Verb::CompareExchangeWeak, frame)
        }
    )*};
    (@modify $bytes:literal $name:ident $verb:ident) => {
        extern "C" fn $name(a: usize, v: u64, o: usize, _: usize, _: usize, frame: *const Frame) -> u64 {
            modifies(a, $bytes, Verb::$verb, v, o, frame)
        }
    };
}

/// A compare-exchange whose expected word is in memory, where the word read goes; whether it wrote.
fn exchanges<T: Copy + Into<u64> + TryFrom<u64>>(
    address: usize,
    bytes: u8,
    expected: *mut T,
    value: u64,
    (success, failure): (usize, usize),
    verb: Verb,
    frame: *const Frame,
) -> u32 {
    // SAFETY: the program gives the place of the word expected.
    let before: u64 = unsafe { *expected }.into();
    let operation = Operation {
        address,
        bytes,
        order: order(success),
        failure: order(failure),
        verb,
        operand: cut(value, bytes),
        expected: before,
        frame,
    };
    let read = perform(operation);
    if let Ok(read) = T::try_from(read) {
        // SAFETY: as above.
        unsafe { *expected = read };
    }
    u32::from(read == before)
}

atomics! {
    8 1 u8: load8 store8 exchange8 add8 sub8 and8 or8 xor8 nand8 val8 strong8 weak8;
    16 2 u16: load16 store16 exchange16 add16 sub16 and16 or16 xor16 nand16 val16 strong16 weak16;
    32 4 u32: load32 store32 exchange32 add32 sub32 and32 or32 xor32 nand32 val32 strong32 weak32;
    64 8 u64: load64 store64 exchange64 add64 sub64 and64 or64 xor64 nand64 val64 strong64 weak64;
}

extern "C" fn fences(number: usize, _: usize, _: usize, _: usize, _: usize, frame: *const Frame) {
    if !in_program() {
        return fence(Ordering::SeqCst);
    }
    as_host(
        |(number, frame)| {
            let (site, part) = sites::site_and_part(frame);
            if exhaustive::is_on() {
                return exhaustive::atomics::fence(order(number), site, part);
            }
            let verb = if part.role == Role::None { Verb::Fence } else { Verb::Inside };
            let _ = ops::fence_by(verb, order(number), site);
            if order(number).acquires() {
                // What was loaded before it may be a word that such code uses.
                let _ = unseen::learn_from_unseen();
            }
            shadow::publish();
        },
        (number, frame),
    );
}

/// A fence for the compiler. Behind a read-modify-write it keeps what follows behind the barrier that this is on this
/// processor: crates have it so where it is quicker than a fence.
extern "C" fn signal_fences(number: usize, _: usize, _: usize, _: usize, _: usize, _: *const Frame) {
    if !exhaustive::is_on()
        && in_program()
        && order(number) == MemoryOrder::SeqCst
        && MODIFIED.load(Ordering::Relaxed)
    {
        as_host(
            |()| {
                let _ = unseen::pass_barrier();
                shadow::publish();
            },
            (),
        );
    }
}

/// The system makes all threads pass a barrier.
pub(super) fn passes_barriers((): ()) {
    if exhaustive::is_on() {
        return exhaustive::note("barriers that the system makes all threads pass".to_owned());
    }
    let _ = unseen::pass_barrier_everywhere();
    shadow::publish();
}

export! {
    __tsan_atomic_thread_fence => fences;
    __tsan_atomic_signal_fence => signal_fences;
    __tsan_atomic8_load => load8;
    __tsan_atomic8_store => store8;
    __tsan_atomic8_exchange => exchange8;
    __tsan_atomic8_fetch_add => add8;
    __tsan_atomic8_fetch_sub => sub8;
    __tsan_atomic8_fetch_and => and8;
    __tsan_atomic8_fetch_or => or8;
    __tsan_atomic8_fetch_xor => xor8;
    __tsan_atomic8_fetch_nand => nand8;
    __tsan_atomic8_compare_exchange_val => val8;
    __tsan_atomic8_compare_exchange_strong => strong8;
    __tsan_atomic8_compare_exchange_weak => weak8;
    __tsan_atomic16_load => load16;
    __tsan_atomic16_store => store16;
    __tsan_atomic16_exchange => exchange16;
    __tsan_atomic16_fetch_add => add16;
    __tsan_atomic16_fetch_sub => sub16;
    __tsan_atomic16_fetch_and => and16;
    __tsan_atomic16_fetch_or => or16;
    __tsan_atomic16_fetch_xor => xor16;
    __tsan_atomic16_fetch_nand => nand16;
    __tsan_atomic16_compare_exchange_val => val16;
    __tsan_atomic16_compare_exchange_strong => strong16;
    __tsan_atomic16_compare_exchange_weak => weak16;
    __tsan_atomic32_load => load32;
    __tsan_atomic32_store => store32;
    __tsan_atomic32_exchange => exchange32;
    __tsan_atomic32_fetch_add => add32;
    __tsan_atomic32_fetch_sub => sub32;
    __tsan_atomic32_fetch_and => and32;
    __tsan_atomic32_fetch_or => or32;
    __tsan_atomic32_fetch_xor => xor32;
    __tsan_atomic32_fetch_nand => nand32;
    __tsan_atomic32_compare_exchange_val => val32;
    __tsan_atomic32_compare_exchange_strong => strong32;
    __tsan_atomic32_compare_exchange_weak => weak32;
    __tsan_atomic64_load => load64;
    __tsan_atomic64_store => store64;
    __tsan_atomic64_exchange => exchange64;
    __tsan_atomic64_fetch_add => add64;
    __tsan_atomic64_fetch_sub => sub64;
    __tsan_atomic64_fetch_and => and64;
    __tsan_atomic64_fetch_or => or64;
    __tsan_atomic64_fetch_xor => xor64;
    __tsan_atomic64_fetch_nand => nand64;
    __tsan_atomic64_compare_exchange_val => val64;
    __tsan_atomic64_compare_exchange_strong => strong64;
    __tsan_atomic64_compare_exchange_weak => weak64;
}
