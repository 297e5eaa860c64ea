//! The arguments.

mod cargo;
mod output;
mod unmodified;
mod values;

pub(crate) use cargo::{
    CargoArgs, CargoCheckArgs, CargoCli, CargoCommand, CargoFixArgs, CargoInitArgs, CargoReplayArgs,
    CargoRunArgs,
};
pub(crate) use output::{
    FormArgs, LookArgs, OutputArgs, PlainArgs, PlainFormat, ReportFile, StepArgs, check_writable,
};
pub(crate) use unmodified::{BuildArgs, CargoTestArgs, ITERATIONS, MAX_STEPS, MEMORY};

use clap::{Args, Parser, Subcommand, ValueEnum};
use racefuzz::{Inject, MemoryModel, Strategy};
use std::path::PathBuf;
use std::time::Duration;
use values::{memory_model, named, number, parameter, strategy};

/// More would not end in a lifetime.
const MOST_ITERATIONS: u64 = 1 << 48;

const SEARCH: &str = "Search";
const PROGRAM: &str = "Program";
const OUTPUT: &str = "Output";

const EXAMPLES: &str = "\
Examples:
  racefuzz list                              what there is to run
  racefuzz show refcount                     a scenario's source, and what it teaches
  racefuzz run refcount --seed 42            find the schedule that breaks it
  racefuzz replay refcount:2XpJ1mU           show one schedule again
  racefuzz check refcount-locked             prove that no schedule breaks it
  racefuzz run counter --param threads=3 --keep-going
  racefuzz run peterson --memory sc          without weak memory: nothing to find

Exit codes: 0 no bug, 1 a bug, 2 wrong usage or input, 3 incomplete.
NO_COLOR and CLICOLOR_FORCE are honoured; output that is no terminal has no colour and 100 columns.";

/// Finds the interleaving that breaks concurrent Rust code, and shows it so that a person
/// understands it.
#[derive(Debug, Parser)]
#[command(name = "racefuzz", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Log what the tool itself does to standard error; twice for more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a scenario under many schedules and show one that breaks it.
    Run(RunArgs),
    /// Prove a scenario: every execution, one of each kind.
    Check(CheckArgs),
    /// Search for changes that repair a scenario, and prove them.
    Fix(FixArgs),
    /// Find out what of a scenario's synchronisation is needed.
    Audit(AuditArgs),
    /// Repeat one schedule, from its token or from a report file.
    Replay(ReplayArgs),
    /// List the scenarios.
    List(ListArgs),
    /// Show a scenario: what it teaches, its parameters, its source.
    Show(ShowArgs),
    /// Serve these commands to an agent: the Model Context Protocol on standard input and output.
    #[command(after_help = MCP_EXAMPLES)]
    Mcp,
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page of the tool, or of one of its commands.
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// The command.
        command: Option<String>,
    },
}

const MCP_EXAMPLES: &str = "\
Tools: list, run, check, explain, step, fix, verify_patch. An agent names a scenario, or a package and
part of the path of its tests.

Examples:
  cargo install racefuzz-mcp                 what serves them
  claude mcp add racefuzz -- racefuzz mcp    tell an agent of it

In a configuration file:
  { \"mcpServers\": { \"racefuzz\": { \"command\": \"racefuzz\", \"args\": [\"mcp\"] } } }";

const RUN_EXAMPLES: &str = "\
Strategies:
  delay        every thread sleeps a random virtual time before each step
  random       any thread that can go on, at every step
  pct          random priorities, and --depth - 1 places where they change
  pos          priorities of steps, drawn again where steps conflict
  urw, surw    every order of the steps equally likely, as far as that can be estimated
  rff          schedules that showed a load reading from a new store are varied
  round-robin  one step each
  portfolio    a mix of all but round-robin

Examples:
  racefuzz run refcount --seed 42
  racefuzz run refcount --keep-going         how often does it fail, and in which ways?
  racefuzz run dining-philosophers --param philosophers=5 --strategy pct --depth 3
  racefuzz run lock-never-released --inject kill
  racefuzz run refcount --engine threads     real threads with random sleeps, to compare
  racefuzz run refcount --report FAIL.html   a page to step through the failure
  racefuzz run refcount --format json --report refcount.json --report refcount.sarif

The output depends on these arguments alone: the same on every machine, for any --workers.";

#[derive(Args, Debug)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    /// The scenario.
    pub(crate) name: String,
    /// Seed of all random choices.
    #[arg(help_heading = SEARCH, long, default_value_t = 0, value_name = "N", value_parser = number::<u64>(0, u64::MAX), allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Number of executions.
    #[arg(help_heading = SEARCH, long, short = 'n', default_value_t = 10_000, value_name = "N", value_parser = number::<u64>(1, MOST_ITERATIONS), allow_negative_numbers = true)]
    pub(crate) iterations: u64,
    /// How schedules are chosen.
    #[arg(help_heading = SEARCH, long, default_value_t = Strategy::Portfolio, value_name = "NAME", value_parser = strategy())]
    pub(crate) strategy: Strategy,
    /// Bug depth that `pct` aims at.
    #[arg(help_heading = SEARCH, long, default_value_t = 3, value_name = "N", value_parser = number::<u32>(1, 100), allow_negative_numbers = true)]
    pub(crate) depth: u32,
    /// Run all executions although one failed; report each distinct failure.
    #[arg(help_heading = SEARCH, long)]
    pub(crate) keep_going: bool,
    /// Stop after this long, such as 30s or 5m; a run cut short without a bug is incomplete.
    #[arg(help_heading = SEARCH, long, value_name = "TIME", value_parser = racefuzz::duration, allow_hyphen_values = true)]
    pub(crate) max_time: Option<Duration>,
    /// Stop when the process has taken so much memory, such as 512M or 2G; without a bug it is incomplete.
    #[arg(help_heading = SEARCH, long, default_value = "2G", value_name = "SIZE", value_parser = racefuzz::bytes)]
    pub(crate) max_memory: u64,
    /// Operating-system threads that run executions side by side; changes nothing but the time.
    #[arg(help_heading = SEARCH, long, default_value_t = 1, value_name = "N", value_parser = number::<usize>(1, 256), allow_negative_numbers = true)]
    pub(crate) workers: usize,
    #[command(flatten)]
    pub(crate) program: ProgramArgs,
    /// Faults to inject; may be repeated.
    #[arg(help_heading = PROGRAM, long, value_name = "FAULT", value_parser = named::<Inject>(Inject::NAMES))]
    pub(crate) inject: Vec<Inject>,
    /// What runs the program: racefuzz's own runtime, or real threads with random sleeps, to compare.
    #[arg(help_heading = PROGRAM, long, value_enum, default_value_t = RunEngine::Racefuzz, value_name = "NAME")]
    pub(crate) engine: RunEngine,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What runs the program of `run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunEngine {
    // Documented values would turn the help into its long form.
    Racefuzz,
    Threads,
}

const CHECK_EXAMPLES: &str = "\
Verdicts:
  verified     every execution that the memory model allows was run, one of each kind, and none fails
  bug          some execution fails
  incomplete   the exploration was cut short, or no execution completes: no answer

Examples:
  racefuzz check refcount-locked
  racefuzz check refcount --keep-going       in how many ways can it fail?
  racefuzz check peterson --memory sc        right without weak memory?
  racefuzz check counter-locked --param threads=5 --workers 2
  racefuzz check counter-locked --param threads=5 --preemptions 2
  racefuzz check refcount --engine both      what does the loom crate say to it?
  racefuzz check counter-locked --param threads=8 --max-time 1h --checkpoint long.checkpoint
  racefuzz check --all                       every scenario against what it is expected to show
  racefuzz check --all --report results.xml  the same for a build server

The output depends on these arguments alone: the same on every machine, for any --workers, unless
Ctrl-C or --max-time cuts it short.";

#[derive(Args, Debug)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The scenario.
    #[arg(required_unless_present = "all")]
    pub(crate) name: Option<String>,
    /// Check every scenario, with its default parameters, against what it is expected to show.
    #[arg(long, conflicts_with_all = ["name", "param", "keep_going", "checkpoint"])]
    pub(crate) all: bool,
    /// Which executions are possible.
    #[arg(help_heading = SEARCH, long, default_value_t = MemoryModel::Rc11, value_name = "MODEL", value_parser = named::<MemoryModel>(MemoryModel::NAMES))]
    pub(crate) memory: MemoryModel,
    /// What explores: execution graphs, the loom crate, or both, to compare.
    #[arg(help_heading = SEARCH, long, value_enum, default_value_t = CheckEngine::Graph, value_name = "NAME")]
    pub(crate) engine: CheckEngine,
    /// Explore only what needs at most so many preemptions, all of it.
    #[arg(help_heading = SEARCH, long, value_name = "N", value_parser = number::<u32>(0, 1_000), allow_negative_numbers = true)]
    pub(crate) preemptions: Option<u32>,
    /// Stop after so many complete executions.
    #[arg(help_heading = SEARCH, long, short = 'n', value_name = "N", value_parser = number::<u64>(1, MOST_ITERATIONS), allow_negative_numbers = true)]
    pub(crate) max_executions: Option<u64>,
    /// Stop after this long, such as 30s or 5m.
    #[arg(help_heading = SEARCH, long, value_name = "TIME", value_parser = racefuzz::duration, allow_hyphen_values = true)]
    pub(crate) max_time: Option<Duration>,
    /// Stop when the process has taken so much memory, such as 512M or 2G; without a bug it is incomplete.
    #[arg(help_heading = SEARCH, long, default_value = "2G", value_name = "SIZE", value_parser = racefuzz::bytes)]
    pub(crate) max_memory: u64,
    /// Operating-system threads that explore side by side; changes nothing but the time.
    #[arg(help_heading = SEARCH, long, default_value_t = 1, value_name = "N", value_parser = number::<usize>(1, 256), allow_negative_numbers = true)]
    pub(crate) workers: usize,
    /// Explore everything although an execution failed; report each distinct failure.
    #[arg(help_heading = SEARCH, long)]
    pub(crate) keep_going: bool,
    /// Keep in this file what is left, and go on from there if it exists; gone when all is explored.
    #[arg(help_heading = SEARCH, long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// A parameter of the scenario (see `racefuzz show`); may be repeated.
    #[arg(help_heading = PROGRAM, long, value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) param: Vec<(String, String)>,
    /// Faults to inject besides spurious wake-ups; may be repeated.
    #[arg(help_heading = PROGRAM, long, value_name = "FAULT", value_parser = named::<Inject>(Inject::NAMES))]
    pub(crate) inject: Vec<Inject>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What explores the program of `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckEngine {
    Graph,
    Loom,
    Both,
}

const FIX_EXAMPLES: &str = "\
Examples:
  racefuzz fix refcount
  racefuzz fix counter --param threads=3     which locks, and what they leave of the parallelism
  racefuzz fix publish-relaxed --width 80
  racefuzz fix refcount --patch refcount.patch
  racefuzz fix refcount --report FIX.html    the repairs beside the failing schedule

Repairs are tried on the running program, and each is explored in full where that is possible. Its
source is not changed; --patch writes a diff for `git apply` or `patch -p1`. Ctrl-C ends the search
and prints what was found until then.
Exit codes: 0 nothing to fix, 1 there is a bug (whether or not a repair was found), 2 wrong usage,
3 ended before anything was found.";

#[derive(Args, Debug)]
#[command(after_help = FIX_EXAMPLES)]
pub(crate) struct FixArgs {
    /// The scenario.
    pub(crate) name: String,
    /// Executions after which the exploration of one change is given up and executions are sampled.
    #[arg(help_heading = SEARCH, long, default_value_t = 4_000, value_name = "N", value_parser = number::<u64>(1, MOST_ITERATIONS), allow_negative_numbers = true)]
    pub(crate) max_executions: u64,
    /// Stop after this long, such as 30s or 5m.
    #[arg(help_heading = SEARCH, long, value_name = "TIME", value_parser = racefuzz::duration, allow_hyphen_values = true)]
    pub(crate) max_time: Option<Duration>,
    /// Stop when the process has taken so much memory, such as 512M or 2G.
    #[arg(help_heading = SEARCH, long, default_value = "2G", value_name = "SIZE", value_parser = racefuzz::bytes)]
    pub(crate) max_memory: u64,
    /// Locks that a change may add.
    #[arg(help_heading = SEARCH, long, default_value_t = 3, value_name = "N", value_parser = number::<usize>(1, 8), allow_negative_numbers = true)]
    pub(crate) max_locks: usize,
    #[command(flatten)]
    pub(crate) program: ProgramArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Write a repair as a unified diff to a file: the best that can be written as a whole, else the
    /// best, with comments that say what is left to do.
    #[arg(help_heading = OUTPUT, long, value_name = "FILE")]
    pub(crate) patch: Option<PathBuf>,
    /// Type each repair that is verified as text into a copy of the source, compile it through cargo and
    /// check it again.
    #[arg(help_heading = OUTPUT, long)]
    pub(crate) confirm: bool,
}

const AUDIT_EXAMPLES: &str = "\
Examples:
  racefuzz audit counter-locked              which lock is never needed?
  racefuzz audit gil                         why does the global lock not help?
  racefuzz audit publish-relaxed-fixed       which orderings are needed?

Each lock, each guard and each ordering is taken away or weakened in turn, and what is left is
explored: it is needed, with a schedule that fails without it, or not, which is proved.
Exit codes: 0 nothing fails as it is, 1 there is a bug, 2 wrong usage, 3 ended early.";

#[derive(Args, Debug)]
#[command(after_help = AUDIT_EXAMPLES)]
pub(crate) struct AuditArgs {
    /// The scenario.
    pub(crate) name: String,
    /// Executions after which the exploration of one change is given up and executions are sampled.
    #[arg(help_heading = SEARCH, long, default_value_t = 4_000, value_name = "N", value_parser = number::<u64>(1, MOST_ITERATIONS), allow_negative_numbers = true)]
    pub(crate) max_executions: u64,
    /// Stop after this long, such as 30s or 5m.
    #[arg(help_heading = SEARCH, long, value_name = "TIME", value_parser = racefuzz::duration, allow_hyphen_values = true)]
    pub(crate) max_time: Option<Duration>,
    /// Stop when the process has taken so much memory, such as 512M or 2G.
    #[arg(help_heading = SEARCH, long, default_value = "2G", value_name = "SIZE", value_parser = racefuzz::bytes)]
    pub(crate) max_memory: u64,
    #[command(flatten)]
    pub(crate) program: ProgramArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

const REPLAY_EXAMPLES: &str = "\
Examples:
  racefuzz replay refcount:2XpJ1mU           the token that a report shows
  racefuzz replay refcount:2XpJ1mU --step    step through it, here in the terminal
  racefuzz replay refcount.json              what `run --report refcount.json` has found

A program that has changed is followed as far as it goes; the place where it leaves the schedule is
named.";

const LIST_EXAMPLES: &str = "\
Examples:
  racefuzz list
  racefuzz list counter                      those with `counter` in their names
  racefuzz list locks                        those under the heading `locks`
  racefuzz list --format json";

const SHOW_EXAMPLES: &str = "\
Examples:
  racefuzz show refcount
  racefuzz show dining-philosophers          and the parameters it takes";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  racefuzz completions bash > ~/.local/share/bash-completion/completions/racefuzz
  racefuzz completions zsh > ~/.zfunc/_racefuzz
  racefuzz completions fish > ~/.config/fish/completions/racefuzz.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  racefuzz man | man -l -
  racefuzz man check > racefuzz-check.1";

#[derive(Args, Debug)]
#[command(after_help = REPLAY_EXAMPLES)]
pub(crate) struct ReplayArgs {
    /// The token, or a file written with --report.
    #[arg(value_name = "TOKEN|FILE")]
    pub(crate) schedule: String,
    /// Step through the failure in the terminal; the report as text where there is none.
    #[arg(long, conflicts_with = "format")]
    pub(crate) step: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {
    /// Only scenarios whose name contains this, or that stand under this heading.
    pub(crate) filter: Option<String>,
    #[command(flatten)]
    pub(crate) output: PlainArgs,
}

#[derive(Args, Debug)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct ShowArgs {
    /// The scenario.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) output: PlainArgs,
}

/// What is sampled: a scenario's parameters and the memory model.
#[derive(Args, Debug)]
pub(crate) struct ProgramArgs {
    /// A parameter of the scenario (see `racefuzz show`); may be repeated.
    #[arg(help_heading = PROGRAM, long, value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) param: Vec<(String, String)>,
    /// Which values a load may return.
    #[arg(help_heading = PROGRAM, long, default_value = "rc11", value_name = "MODEL", value_parser = memory_model())]
    pub(crate) memory: MemoryModel,
}

/// How far one execution may go.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LimitArgs {
    /// Steps after which an execution counts as one that never ends.
    #[arg(help_heading = PROGRAM, long, default_value_t = racefuzz::Settings::DEFAULT_MAX_STEPS, value_name = "N", value_parser = number::<u32>(1, u32::MAX.into()), allow_negative_numbers = true)]
    pub(crate) max_steps: u32,
    /// Bytes of stack for each thread of the program.
    #[arg(help_heading = PROGRAM, long, default_value_t = 256 * 1024, value_name = "BYTES", value_parser = number::<usize>(16 * 1024, 1 << 32), allow_negative_numbers = true)]
    pub(crate) stack_size: usize,
}
