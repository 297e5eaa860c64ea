//! The arguments of `cargo racefuzz`.

use super::MOST_ITERATIONS;
use super::values::{memory_model, named, number};
use clap::{Args, Parser, Subcommand};
use racefuzz::{Inject, MemoryModel, Strategy};

const CARGO_EXAMPLES: &str = "\
Examples:
  cargo racefuzz run counts_to_ten --seed 42          one test, or all whose path contains the name
  cargo racefuzz run counts -p mycrate --iterations 100000
  cargo racefuzz fix counts_to_ten                    what repairs it, proved
  cargo racefuzz replay 'mycrate::tests::counts:2XpJ1mU'
  cargo racefuzz run counts -- --features fast --release

Exit codes: 0 no bug, 1 a bug (a test failed), 2 wrong usage or a package that does not build.";

/// Drives the `#[racefuzz::test]`s of a package through cargo.
#[derive(Debug, Parser)]
#[command(name = "cargo racefuzz", bin_name = "cargo racefuzz", version, after_help = CARGO_EXAMPLES, arg_required_else_help = true)]
pub(crate) struct CargoCli {
    #[command(subcommand)]
    pub(crate) command: CargoCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CargoCommand {
    /// Run the tests whose path contains a name.
    Run(CargoRunArgs),
    /// Search for changes that repair the tests whose path contains a name, and prove them.
    Fix(CargoFixArgs),
    /// Repeat one schedule of a test.
    Replay(CargoReplayArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CargoFixArgs {
    /// Part of the path of the tests.
    pub(crate) name: String,
    /// Which values a load may return.
    #[arg(long, value_name = "MODEL", value_parser = memory_model())]
    pub(crate) memory: Option<MemoryModel>,
    /// Type each repair that is verified as text into a copy of the source, compile it and check it again.
    #[arg(long)]
    pub(crate) confirm: bool,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CargoRunArgs {
    /// Part of the path of the tests.
    pub(crate) name: String,
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
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CargoReplayArgs {
    /// The token.
    pub(crate) token: String,
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
