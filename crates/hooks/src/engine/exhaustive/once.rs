//! What is done once: its word says how far that is, as the standard library's own does.
//!
//! Who comes to the library's function waits for the turn, in an operation of its own, and then runs that function,
//! which finds nobody at it. It is given something else to run than it was given: that runs this, and then states
//! the end of it.

use super::super::border::{as_host, in_program};
use super::super::interpose::Frame;
use super::super::kinds::as_kind;
use super::super::roles::{Part, Role};
use super::super::sites::site;
use super::super::{arena, words::Word};
use super::{atomics::Access, state_word};
use racefuzz_runtime::ops::{self, Hold, Update};
use racefuzz_runtime::{Site, Test};
use racefuzz_trace::{MemoryOrder, ObjectKind, OpKind, Verb};

/// How far it is; 3 is that nobody has begun.
const POISONED: u64 = 2;
const RUNNING: u64 = 1;
const COMPLETE: u64 = 0;
/// The bits that say so; another one says that somebody waits.
const STATE: u64 = 3;

const CHECK: Update =
    Update { kind: OpKind::Load, order: MemoryOrder::Acquire, ..Update::new(Verb::OnceCheck) };
const BEGIN: Update = Update {
    order: MemoryOrder::Acquire,
    hold: Hold::Take,
    ..Update::when(Verb::OnceBegin, Test::Ne(RUNNING))
};
const END: Update =
    Update { order: MemoryOrder::Release, hold: Hold::Give, implied: true, ..Update::new(Verb::OnceEnd) };

/// The state that the word of one holds in memory.
pub(super) fn initial(real: u64) -> u64 {
    real & STATE
}

fn once<'a>(address: usize, site: Site) -> &'a Word {
    state_word(address, 4, site, Part { role: Role::Once, ..Part::default() })
}

/// A look at the word, in code that is compiled into the program.
pub(super) fn look(access: &Access) -> u64 {
    let word = once(access.address, access.site);
    let seen =
        as_kind!(word, ObjectKind::Once, |once| ops::update(once, CHECK, access.site, |word, _| *word));
    super::done(word);
    match seen {
        Ok(Ok(seen)) => seen,
        _ => word.real(),
    }
}

/// A function that the library is to call, as it is passed: what it works on, and the table of its methods.
type Given = [usize; 2];
/// The places of a table: three of every one, then what calls the function for good, and what calls it.
const METHODS: usize = 5;
const CALL: usize = 4;

/// What is given in its place.
struct Wrapped {
    given: Given,
    address: usize,
    site: Site,
    methods: [usize; METHODS],
}

/// The running thread has come to the function, with these arguments, which may be changed.
pub(super) fn begins(address: usize, forces: bool, given: &mut Given, frame: *const Frame) {
    let site = site(frame);
    let word = once(address, site);
    // What is neither incomplete nor running has its lowest bit clear.
    let refuses = if forces { Test::Eq(COMPLETE) } else { Test::Clear(RUNNING) };
    let begun = as_kind!(word, ObjectKind::Once, |once| ops::update(
        once,
        Update { refuses, ..BEGIN },
        site,
        |word, told| {
            let before = *word;
            if before == COMPLETE || before == POISONED && !forces {
                told.failed();
                return false;
            }
            *word = RUNNING;
            true
        }
    ));
    super::done(word);
    if !matches!(begun, Ok(Ok(true))) {
        return;
    }
    // SAFETY: the library passes a reference to something that can be called, whose table begins so.
    let mut methods = unsafe { *(given[1] as *const [usize; METHODS]) };
    methods[CALL] = run as extern "C-unwind" fn(*const Wrapped, usize) as usize;
    let wrapped = arena::allocate(size_of::<Wrapped>(), 16).cast::<Wrapped>();
    // SAFETY: the block is new. It stays: a thread may never come to its end.
    unsafe { wrapped.write(Wrapped { given: *given, address, site, methods }) };
    // SAFETY: as above.
    *given = [wrapped as usize, unsafe { (&raw const (*wrapped).methods) as usize }];
}

/// Runs what was given, on the program's side; the end of it, be it a panic, is an operation.
extern "C-unwind" fn run(wrapped: *const Wrapped, state: usize) {
    struct Ends<'a>(&'a Wrapped, u64);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            as_host(
                |(address, site, leaves)| {
                    let word = once(address, site);
                    let end = |word: &mut u64, _: &mut ops::Told<'_>| *word = leaves;
                    let _ = as_kind!(word, ObjectKind::Once, |once| ops::update(once, END, site, end));
                    super::done(word);
                },
                (self.0.address, self.0.site, self.1),
            );
        }
    }
    debug_assert!(in_program());
    // SAFETY: `begins` has made it, of what the library was given.
    unsafe {
        let wrapped = &*wrapped;
        let methods = &*(wrapped.given[1] as *const [usize; METHODS]);
        let call: extern "C-unwind" fn(usize, usize) = std::mem::transmute(methods[CALL]);
        let mut ends = Ends(wrapped, POISONED);
        call(wrapped.given[0], state);
        ends.1 = COMPLETE;
    }
}
