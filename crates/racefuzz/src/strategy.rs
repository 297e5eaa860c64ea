//! Strategies of your own: how the fuzzer chooses, in one file.
//!
//! A type that implements [`Strategy`] is asked, at each point where an execution could go on in more than one
//! way, which way it goes. [`register`] gives it a name and makes it one of the
//! [strategies](crate::Strategy) that [`Fuzzer::strategy`](crate::Fuzzer::strategy) takes; from then on the name
//! is one for `RACEFUZZ_STRATEGY`, for `#[racefuzz::test(strategy = "...")]` and, in a program that calls
//! `racefuzz_cli::main`, for `--strategy`, too. Reports say the name; tokens carry the choices themselves, so
//! that a failure can be replayed without the strategy.
//!
//! A strategy is made anew for each iteration, and draws from the iteration's own [random numbers](Random): equal
//! seeds give equal reports, for any number of workers. The data races, deadlocks and leaks that an execution
//! shows, weak memory, minimising and replaying are the runtime's affair and the same for every strategy.
//!
//! ```
//! use racefuzz::strategy::{self, Random, Strategy, ThreadChoice, ThreadId};
//! use racefuzz::{Fuzzer, Outcome, Var, sync::Arc, thread};
//!
//! /// Switches at every step, to any other thread.
//! #[derive(Default)]
//! struct Restless;
//!
//! impl Strategy for Restless {
//!     fn choose_thread(&mut self, choice: &ThreadChoice<'_>, random: &mut Random<'_>) -> ThreadId {
//!         let others: Vec<_> =
//!             choice.options.iter().copied().filter(|thread| Some(*thread) != choice.current).collect();
//!         others[random.below(others.len() as u32) as usize]
//!     }
//! }
//!
//! let restless = strategy::register::<Restless>("restless");
//! let report = Fuzzer::new().strategy(restless).iterations(100).fuzz(|| {
//!     let count = Arc::new(Var::new("count", 0));
//!     let other = Arc::clone(&count);
//!     let thread = thread::spawn(move || other.set(other.get() + 1));
//!     count.set(count.get() + 1);
//!     thread.join().unwrap();
//!     assert_eq!(count.get(), 2);
//! });
//! assert_eq!(report.outcome(), Outcome::Failed);
//! ```

pub use racefuzz_fuzz::custom::{
    Alternatives, MemoryOrder, Op, OpKind, Point, Random, Strategy, ThreadChoice, ThreadId, Verb, register,
};
