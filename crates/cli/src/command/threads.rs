//! `racefuzz run --engine threads`: the oldest technique, to compare with. The program runs on real
//! operating-system threads, first as it is, then with a random sleep before every step; what that
//! finds stands beside what racefuzz's `delay` strategy, the same idea made deterministic, finds.

use super::{json_text, plain_text};
use crate::args::{PlainFormat, RunArgs};
use crate::error::Failure;
use crate::progress::Progress;
use crate::{exit, output};
use indicatif::HumanCount;
use racefuzz::scenario::{Params, Scenario};
use racefuzz::{Observer, Strategy};
use racefuzz_primitives::outside;
use serde_json::json;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Runs of each sort, unless fewer were asked for: real sleeps take real time.
const MOST_RUNS: u64 = 1_000;
const LONGEST_SLEEP: Duration = Duration::from_micros(200);
/// A run that takes longer hangs: its longest sleeps add up to far less.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a series of runs on real threads showed.
struct Series {
    runs: u64,
    failing: u64,
    hung: u64,
    first: Option<(u64, String)>,
}

pub(super) fn run(scenario: &Scenario, params: &Params, args: &RunArgs) -> Result<u8, Failure> {
    let runs = args.iterations.min(MOST_RUNS);
    let progress = Progress::new(2 * runs);
    let until = args.max_time.map(|time| Instant::now() + time);
    // Hanging threads are abandoned and may look at their program for ever after.
    let program: &'static _ = Box::leak(Box::new({
        let (run, params) = (scenario.run, params.clone());
        move || run(&params)
    }));
    let stop = || progress.cancelled() || until.is_some_and(|until| Instant::now() >= until);
    let series = |sleep: Duration, done: u64| {
        let mut series = Series { runs: 0, failing: 0, hung: 0, first: None };
        for index in 0..runs {
            if stop() || series.hung >= 3 {
                break;
            }
            let ended = outside::run(program, args.seed.wrapping_add(index) | 1 << 40, sleep, PATIENCE);
            series.runs += 1;
            series.hung += u64::from(ended.hung);
            let failure = ended.panic.or_else(|| ended.hung.then(|| "some threads never end".to_owned()));
            if let Some(message) = failure {
                series.failing += 1;
                series.first.get_or_insert((index + 1, message));
            }
            progress.progress(done + index + 1, series.failing);
        }
        series
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let plain = series(Duration::ZERO, 0);
    let delayed = series(LONGEST_SLEEP, runs);
    std::panic::set_hook(hook);
    let ours = scenario
        .fuzzer(params)
        .seed(args.seed)
        .iterations(args.iterations)
        .strategy(Strategy::Delay)
        .max_steps(args.limits.max_steps)
        .fuzz_observed(scenario.program(params), &progress);
    progress.clear();
    let found = ours.failures.first().map(|failure| (failure.iteration + 1, failure.message.clone()));

    let text = match args.output.form.plain("what real threads show")? {
        PlainFormat::Json => {
            let of = |series: &Series| {
                json!({
                    "runs": series.runs, "failing": series.failing, "hung": series.hung,
                    "first": series.first.as_ref().map(|(run, message)| json!({ "run": run, "message": message })),
                })
            };
            let document = json!({
                "format": "racefuzz-threads", "version": 1, "program": scenario.name, "seed": args.seed,
                "no_delay": of(&plain), "delays": of(&delayed),
                "racefuzz_delay": {
                    "schedules": ours.stats.executions,
                    "first": found.as_ref().map(|(run, message)| json!({ "schedule": run, "message": message })),
                },
            });
            json_text(format!("{document:#}\n"), args.output.look)
        }
        PlainFormat::Text => {
            let runs = |series: &Series| {
                let first = match &series.first {
                    Some((run, message)) => {
                        format!(", first in run {}: {}", thousands(*run), first_line(message))
                    }
                    None => String::new(),
                };
                format!("{} of {} runs fail{first}", thousands(series.failing), thousands(series.runs))
            };
            let ours = match &found {
                Some((schedule, message)) => {
                    format!("first failure in schedule {}: {}", thousands(*schedule), first_line(message))
                }
                None => format!("no failure in {} schedules", thousands(ours.stats.executions)),
            };
            let style = output::style(args.output.look);
            let mut text = String::new();
            for (label, shown) in [
                ("os threads, no delay", runs(&plain)),
                ("os threads, with delays", runs(&delayed)),
                ("racefuzz delay", ours),
            ] {
                let mut label = label;
                for line in output::wrap(&shown, style.width.saturating_sub(28)) {
                    let _ = writeln!(text, " {label:24}  {line}");
                    label = "";
                }
            }
            text.push('\n');
            let note = "What real threads show differs from run to run and between machines; what racefuzz shows does not.";
            for line in output::wrap(note, style.width - 1) {
                let _ = writeln!(text, " {line}");
            }
            plain_text(text, args.output.look)
        }
    };
    output::print(&text)?;
    let failed = found.is_some() || plain.failing + delayed.failing != 0;
    Ok(match (failed, stop()) {
        (true, _) => exit::BUG,
        (false, true) => exit::INCOMPLETE,
        (false, false) => exit::OK,
    })
}

/// The number with separators between thousands.
fn thousands(number: u64) -> String {
    HumanCount(number).to_string()
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or("")
}
