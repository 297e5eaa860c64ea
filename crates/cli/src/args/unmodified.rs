//! The arguments of `cargo racefuzz test`.

use super::values::{memory_model, named, number};
use super::{MOST_ITERATIONS, PlainArgs};
use clap::Args;
use racefuzz::{Inject, MemoryModel, Strategy};
use std::time::Duration;

/// The default of `--iterations`.
pub(crate) const ITERATIONS: u64 = 1_000;
/// The default of `--memory`.
pub(crate) const MEMORY: MemoryModel = MemoryModel::Rc11;
/// The default of `--max-steps`: tests of real crates repeat what they do thousands of times.
pub(crate) const MAX_STEPS: u32 = 5_000_000;

const EXAMPLES: &str = "\
Examples:
  cargo racefuzz test                                 all tests of the package
  cargo racefuzz test counts                          those whose path contains `counts`
  cargo racefuzz test -p mycrate --lib --iterations 100000 --max-time 5m
  cargo racefuzz test --release -- --features fast
  cargo racefuzz test -E 'test(/^queue::/) and not test(slow)'
  cargo racefuzz test --check counts --max-time 5m    every execution, if it has not too many

The crate needs no change. Its tests are compiled with the compiler's hooks for the thread sanitizer, and run on \
racefuzz's runtime, in a target directory of their own. Linux on x86-64 with glibc only.
With --check a test is verified only if every execution was explored and all that its threads do to each other was \
seen; else it is incomplete, and what was not seen is named.
Exit codes: 0 no bug (with --check: verified), 1 a bug, 2 wrong usage or a package that does not build, 3 incomplete.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CargoTestArgs {
    /// Part of the path of the tests; all of them if it is left out.
    pub(crate) name: Option<String>,
    /// The name is the whole path of a test, or all that its line has.
    #[arg(long, requires = "name")]
    pub(crate) exact: bool,
    /// Only tests that match an expression of cargo-nextest's filter language, which it must be there for; may be
    /// repeated.
    #[arg(long, short = 'E', value_name = "EXPR")]
    pub(crate) filterset: Vec<String>,
    /// Number of executions of each test that has more than one thread.
    #[arg(long, short = 'n', value_name = "N", default_value_t = ITERATIONS, value_parser = number::<u64>(1, MOST_ITERATIONS), allow_negative_numbers = true)]
    pub(crate) iterations: u64,
    /// Explore every execution, one of each kind, and not some of them.
    #[arg(long, conflicts_with_all = ["iterations", "seed", "strategy"])]
    pub(crate) check: bool,
    /// With --check: explore only what needs at most so many preemptions, all of it.
    #[arg(long, value_name = "N", requires = "check", value_parser = number::<u32>(0, 1_000), allow_negative_numbers = true)]
    pub(crate) preemptions: Option<u32>,
    /// With --check: stop after so many complete executions of a test.
    #[arg(long, value_name = "N", requires = "check", value_parser = number::<u64>(1, MOST_ITERATIONS), allow_negative_numbers = true)]
    pub(crate) max_executions: Option<u64>,
    /// Time for each test, such as 30s or 5m; what is not executed by then is left out.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = racefuzz::duration, allow_hyphen_values = true)]
    pub(crate) max_time: Duration,
    /// Seed of all random choices.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = number::<u64>(0, u64::MAX), allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// How schedules are chosen.
    #[arg(long, value_name = "NAME", default_value_t = Strategy::default(), value_parser = named::<Strategy>(Strategy::NAMES))]
    pub(crate) strategy: Strategy,
    /// Memory model: with `rc11` loads may read older stores, but never of what the standard library uses itself;
    /// with `sc` only the newest.
    #[arg(long, value_name = "MODEL", default_value_t = MEMORY, value_parser = memory_model())]
    pub(crate) memory: MemoryModel,
    /// Faults to inject; may be repeated. With `timeout`, waits of limited time and sleeps may end at any step, not
    /// only where nothing else happens; with `spurious`, waits for a condition variable may end for no reason, as with
    /// `--check` always.
    #[arg(long, value_name = "FAULT", value_parser = named::<Inject>(&["timeout", "spurious"]))]
    pub(crate) inject: Vec<Inject>,
    /// Steps after which an execution counts as one that never ends.
    #[arg(long, value_name = "N", default_value_t = MAX_STEPS, value_parser = number::<u32>(1, u32::MAX.into()), allow_negative_numbers = true)]
    pub(crate) max_steps: u32,
    /// Tests that are run side by side; as many as there are processors if it is left out.
    #[arg(long, short, value_name = "N", value_parser = number::<usize>(1, 256), allow_negative_numbers = true)]
    pub(crate) jobs: Option<usize>,
    #[command(flatten)]
    pub(crate) output: PlainArgs,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
}

/// What is built.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct BuildArgs {
    /// The package.
    #[arg(long, short, value_name = "SPEC")]
    pub(crate) package: Option<String>,
    /// Only the tests of the library.
    #[arg(long)]
    pub(crate) lib: bool,
    /// Only the integration test of that name; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) test: Vec<String>,
    /// Features to switch on.
    #[arg(long, value_name = "FEATURES")]
    pub(crate) features: Vec<String>,
    /// With optimisation.
    #[arg(long)]
    pub(crate) release: bool,
    /// More arguments for cargo.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) rest: Vec<String>,
}

impl BuildArgs {
    /// Cargo's arguments.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
        self.package.iter().for_each(|package| add("--package", package));
        self.test.iter().for_each(|test| add("--test", test));
        self.features.iter().for_each(|features| add("--features", features));
        arguments.extend(self.lib.then(|| "--lib".to_owned()));
        arguments.extend(self.release.then(|| "--release".to_owned()));
        arguments.extend(self.rest.iter().cloned());
        arguments
    }
}
