//! The commands, one file each.

mod audit;
mod check;
mod fix;
mod list;
mod mcp;
mod replay;
mod run;
mod show;
mod threads;

use crate::args::{Cli, Command, LookArgs, OutputArgs};
use crate::error::{Failure, nearest};
use crate::{Tool, exit, manual, output, reporting};
use clap::CommandFactory;
use racefuzz::scenario::Scenario;
use racefuzz::{MemoryModel, Outcome, Report, Settings};
use racefuzz_report::{Command as Next, Content, Document, Sources};

pub(crate) fn dispatch(tool: &Tool<'_>, cli: &Cli) -> Result<u8, Failure> {
    log_to_stderr(cli.verbose);
    match &cli.command {
        Command::Run(args) => run::run(tool, args),
        Command::Check(args) => check::run(tool, args),
        Command::Audit(args) => audit::run(tool, args),
        Command::Fix(args) => fix::run(tool, args),
        Command::Replay(args) => replay::run(tool, args),
        Command::List(args) => list::run(tool, args),
        Command::Show(args) => show::run(tool, args),
        Command::Mcp => mcp::run(),
        Command::Completions { shell } => manual::completions(*shell, Cli::command(), &tool.name),
        Command::Man { command } => manual::page(Cli::command(), &tool.name, command.as_deref()),
    }
}

fn log_to_stderr(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let default = match verbose {
        0 => "off",
        1 => "racefuzz=info,racefuzz_fuzz=info,racefuzz_check=info,racefuzz_fix=info,racefuzz_cli=info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("RACEFUZZ_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // A second call in one process (tests) finds the subscriber in place.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .without_time()
        .try_init();
}

fn find<'a>(tool: &Tool<'a>, name: &str) -> Result<&'a Scenario, Failure> {
    tool.registry.find(name).ok_or_else(|| Failure::UnknownScenario {
        name: name.to_owned(),
        tool: tool.name.clone(),
        nearest: nearest(name, tool.registry.iter().map(|scenario| scenario.name)),
    })
}

/// What to type for another command to look at the same program.
fn again(tool: &Tool<'_>, command: &str, scenario: &Scenario, settings: &Settings) -> String {
    let mut line = format!("{} {command} {}", tool.name, scenario.name);
    for (name, value) in &settings.params {
        line.push_str(&format!(" --param {name}={value}"));
    }
    if settings.memory != MemoryModel::Rc11 {
        line.push_str(&format!(" --memory {}", settings.memory));
    }
    line
}

/// Reports what a run came to, and turns the verdict into an exit code.
fn finish(report: &Report, sources: &dyn Sources, args: &OutputArgs, next: &[Next]) -> Result<u8, Failure> {
    reporting::report(&Document { content: Content::Run(report), sources, next }, args)?;
    Ok(exit_code(report.outcome))
}

fn exit_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Passed => exit::OK,
        Outcome::Failed => exit::BUG,
        Outcome::Incomplete => exit::INCOMPLETE,
    }
}

fn plain_text(text: String, args: LookArgs) -> String {
    if args.ascii { output::ascii(&text) } else { text }
}

fn json_text(text: String, args: LookArgs) -> String {
    if args.ascii { output::ascii_json(&text) } else { text }
}
