//! The arguments of `cargo racefuzz`.

use super::values::{memory_model, named, number};
use super::{FormArgs, MOST_ITERATIONS, StepArgs};
use clap::{Args, Parser, Subcommand};
use racefuzz::{Inject, MemoryModel, Strategy};
use std::path::PathBuf;
use std::time::Duration;

const CARGO_EXAMPLES: &str = "\
Examples:
  cargo racefuzz run counts_to_ten --seed 42          one test, or all whose path contains the name
  cargo racefuzz run counts -p mycrate --iterations 100000
  cargo racefuzz check counts_to_ten                  prove that no schedule breaks it
  cargo racefuzz fix counts_to_ten                    what repairs it, proved
  cargo racefuzz audit counts_to_ten                  which lock, which ordering is needed?
  cargo racefuzz replay 'mycrate::tests::counts:2XpJ1mU'
  cargo racefuzz run counts --report FAIL.html        a page to step through the failure
  cargo racefuzz run counts -- --features fast --release
  cargo racefuzz test                                 any crate's own tests, without a change
  cargo racefuzz run --bin server -- --release -- 80  any crate's `main`, with its arguments
  cargo racefuzz init                                 set up a package: imports, a first test

A package whose manifest speaks of `cfg(racefuzz)` is compiled with `--cfg racefuzz`.
Exit codes: 0 no bug, 1 a bug (a test failed), 2 wrong usage or a package that does not build,
3 incomplete.";

/// Drives the `#[racefuzz::test]`s of a package through cargo.
#[derive(Debug, Parser)]
#[command(name = "cargo racefuzz", bin_name = "cargo racefuzz", version, after_help = CARGO_EXAMPLES, arg_required_else_help = true)]
pub(crate) struct CargoCli {
    #[command(subcommand)]
    pub(crate) command: CargoCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CargoCommand {
    /// Sample schedules of the tests whose path contains a name.
    Run(CargoRunArgs),
    /// Run any crate's own tests, unmodified, under many schedules.
    Test(super::CargoTestArgs),
    /// Prove the tests whose path contains a name: every execution, one of each kind.
    Check(CargoCheckArgs),
    /// Search for changes that repair the tests whose path contains a name, and prove them.
    Fix(CargoFixArgs),
    /// Find out what of the synchronisation is needed in the tests whose path contains a name.
    Audit(CargoAuditArgs),
    /// Repeat one schedule of a test.
    Replay(CargoReplayArgs),
    /// Set a package up: the dependency, a switch for its imports, a first test.
    Init(CargoInitArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page of the tool, or of one of its commands.
    Man {
        /// The command.
        command: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct CargoCheckArgs {
    /// Part of the path of the tests; all of them if it is left out.
    pub(crate) name: Option<String>,
    /// Which executions are possible.
    #[arg(long, value_name = "MODEL", value_parser = named::<MemoryModel>(MemoryModel::NAMES))]
    pub(crate) memory: Option<MemoryModel>,
    /// Executions after which the exploration ends; without a bug it is incomplete then.
    #[arg(long, value_name = "N", value_parser = number::<u64>(1, MOST_ITERATIONS), allow_negative_numbers = true)]
    pub(crate) max_executions: Option<u64>,
    /// Only executions that need at most so many preemptions, every class of them.
    #[arg(long, value_name = "N", value_parser = number::<u32>(0, 1000), allow_negative_numbers = true)]
    pub(crate) preemptions: Option<u32>,
    /// Steps after which an execution counts as one that never ends.
    #[arg(long, value_name = "N", value_parser = number::<u32>(1, u32::MAX.into()), allow_negative_numbers = true)]
    pub(crate) max_steps: Option<u32>,
    /// Stop each test after this long, such as 30s or 5m.
    #[arg(long, value_name = "TIME", value_parser = racefuzz::duration, allow_hyphen_values = true)]
    pub(crate) max_time: Option<Duration>,
    /// Operating-system threads that explore one test side by side.
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, 256), allow_negative_numbers = true)]
    pub(crate) workers: Option<usize>,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CargoFixArgs {
    /// Part of the path of the tests.
    pub(crate) name: String,
    /// Which values a load may return.
    #[arg(long, value_name = "MODEL", value_parser = memory_model())]
    pub(crate) memory: Option<MemoryModel>,
    /// Stop each test after this long, such as 30s or 5m; a minute if the package runs unmodified.
    #[arg(long, value_name = "TIME", value_parser = racefuzz::duration, allow_hyphen_values = true)]
    pub(crate) max_time: Option<Duration>,
    /// Type each repair that is verified as text into a copy of the source, compile it and check it again.
    #[arg(long, conflicts_with_all = ["format", "report"])]
    pub(crate) confirm: bool,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CargoAuditArgs {
    /// Part of the path of the tests.
    pub(crate) name: String,
    /// Which values a load may return.
    #[arg(long, value_name = "MODEL", value_parser = memory_model())]
    pub(crate) memory: Option<MemoryModel>,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
}

const INIT_EXAMPLES: &str = "\
Examples:
  cargo racefuzz init
  cargo racefuzz init --path ../racefuzz/crates/racefuzz      from a checkout
  cargo racefuzz init --feature              switch imports by a feature, not by `cfg(racefuzz)`

Files that are there stay as they are.";

#[derive(Args, Debug)]
#[command(after_help = INIT_EXAMPLES)]
pub(crate) struct CargoInitArgs {
    /// Where the library `racefuzz` lies; the registry if it is left out.
    #[arg(long, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
    /// Switch the imports by a feature `racefuzz` of the package, not by the compiler's `cfg(racefuzz)`.
    #[arg(long)]
    pub(crate) feature: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CargoRunArgs {
    /// Part of the path of the tests; all of them if it is left out. In a package that has nothing of racefuzz: the
    /// binary or example whose `main` is run.
    pub(crate) name: Option<String>,
    /// Run the `main` of a binary, of any crate, unmodified.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["name", "example"])]
    pub(crate) bin: Option<String>,
    /// Run the `main` of an example, of any crate, unmodified.
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    pub(crate) example: Option<String>,
    /// Seed of all random choices.
    #[arg(long, value_name = "N", value_parser = number::<u64>(0, u64::MAX), allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Number of executions.
    #[arg(long, short = 'n', value_name = "N", value_parser = number::<u64>(1, MOST_ITERATIONS), allow_negative_numbers = true)]
    pub(crate) iterations: Option<u64>,
    /// How schedules are chosen.
    #[arg(long, value_name = "NAME", value_parser = named::<Strategy>(Strategy::NAMES))]
    pub(crate) strategy: Option<Strategy>,
    /// Which values a load may return.
    #[arg(long, value_name = "MODEL", value_parser = memory_model())]
    pub(crate) memory: Option<MemoryModel>,
    /// Bug depth that `pct` aims at.
    #[arg(long, value_name = "N", value_parser = number::<u32>(1, 100), allow_negative_numbers = true)]
    pub(crate) depth: Option<u32>,
    /// Steps after which an execution counts as one that never ends.
    #[arg(long, value_name = "N", value_parser = number::<u32>(1, u32::MAX.into()), allow_negative_numbers = true)]
    pub(crate) max_steps: Option<u32>,
    /// Faults to inject; may be repeated.
    #[arg(long, value_name = "FAULT", value_parser = named::<Inject>(Inject::NAMES))]
    pub(crate) inject: Vec<Inject>,
    /// Operating-system threads that run executions of one test side by side.
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, 256), allow_negative_numbers = true)]
    pub(crate) workers: Option<usize>,
    /// Stop each test after this long, such as 30s or 5m; one cut short without a bug is incomplete.
    #[arg(long, value_name = "TIME", value_parser = racefuzz::duration, allow_hyphen_values = true)]
    pub(crate) max_time: Option<Duration>,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) steps: StepArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CargoReplayArgs {
    /// The token.
    pub(crate) token: String,
    /// Step through the failure in the terminal; the report as text where there is none.
    #[arg(long, conflicts_with_all = ["format", "report"])]
    pub(crate) step: bool,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) steps: StepArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CargoArgs {
    /// The package.
    #[arg(long, short, value_name = "SPEC")]
    pub(crate) package: Option<String>,
    /// Use `cargo test` although cargo-nextest is there.
    #[arg(long)]
    pub(crate) no_nextest: bool,
    /// More arguments for cargo.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) rest: Vec<String>,
}
