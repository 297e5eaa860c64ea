//! What a person sees while a run takes its time, and how Ctrl-C ends it.

use crate::error::Failure;
use indicatif::{
    HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};
use std::fmt;
use std::io::{self, IsTerminal, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Makes the first Ctrl-C end the run with what it has found, and the second the process.
pub(crate) fn catch_interrupts() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // Without a handler Ctrl-C ends the process at once, which is no reason not to run.
        let _ = ctrlc::set_handler(|| {
            if CANCELLED.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        });
    });
}

/// A progress bar on standard error, if that is a terminal and the run takes over half a second.
pub(crate) struct Progress {
    bar: OnceLock<ProgressBar>,
    total: u64,
    started: Instant,
    shown: bool,
}

const PATIENCE: Duration = Duration::from_millis(500);

impl Progress {
    pub(crate) fn new(total: u64) -> Self {
        catch_interrupts();
        Self { bar: OnceLock::new(), total, started: Instant::now(), shown: is_shown() }
    }

    fn bar(&self) -> &ProgressBar {
        self.bar.get_or_init(|| {
            let template = " {wide_bar:.dim} {human_pos} of {human_len}, {rate}/s, {eta} left{msg}";
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                // Writing to the line cannot fail.
                let _ = write!(out, "{}", HumanCount(state.per_sec() as u64));
            });
            let bar = ProgressBar::with_draw_target(
                Some(self.total),
                ProgressDrawTarget::term_like_with_hz(Box::new(Line), 5),
            );
            bar.with_style(style).with_elapsed(self.started.elapsed())
        })
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }

    /// Says how thorough the run was, if it took long.
    ///
    /// # Errors
    /// If standard error cannot be written.
    pub(crate) fn sum_up(&self, report: &racefuzz::Report, took: Duration) -> Result<(), Failure> {
        sum_up(report, took, None).map_err(Failure::Output)
    }

    /// How long the run has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A run that took less than this needs no summing up.
const LONG: Duration = Duration::from_secs(10);

/// One line on how thorough a run was, after one that took long, where people look on. It has times in it,
/// so that it is no part of the report.
///
/// # Errors
/// If standard error cannot be written.
fn sum_up(report: &racefuzz::Report, took: Duration, estimate: Option<(f64, f64)>) -> io::Result<()> {
    if took < LONG || !is_shown() {
        return Ok(());
    }
    crate::output::note_line(&thoroughness(report, took, estimate))
}

/// How thorough a run was.
fn thoroughness(report: &racefuzz::Report, took: Duration, estimate: Option<(f64, f64)>) -> String {
    let stats = &report.stats;
    let ran = stats.executions;
    let rate = HumanCount((ran as f64 / took.as_secs_f64().max(0.001)) as u64);
    let executions = HumanCount(ran);
    let begins = format!("{executions} executions in {} s, {rate}/s", took.as_secs());
    let rest = match report.proof {
        Some(proof) if proof.whole && report.outcome == racefuzz::Outcome::Passed => {
            "that is all there are".to_owned()
        }
        Some(_) => {
            let progress = racefuzz::CheckProgress {
                executions: ran,
                blocked: stats.blocked,
                failing: stats.failing,
                estimate,
            };
            in_all(&progress, ran as f64 / took.as_secs_f64().max(0.001))
        }
        None if stats.classes == 0 || ran == 0 => "what they have in common was not counted".to_owned(),
        None => {
            let chance = stats.next_class_is_new().max(1.0 / ran as f64);
            let one_in = (1.0 / chance).round();
            let (classes, once) = (HumanCount(stats.classes), HumanCount(stats.singletons));
            let bound = if stats.singletons == 0 { "fewer than" } else { "about" };
            format!(
                "{classes} classes of them, {once} seen once; {bound} one in {} further ones would be of a new class",
                HumanCount(one_in as u64)
            )
        }
    };
    format!("{begins}; {rest}")
}

/// The line of the terminal that the bar stands on.
#[derive(Debug)]
struct Line;

impl Line {
    /// Columns left free at the end: what Ctrl-C echoes there is cleared with the line.
    const MARGIN: u16 = 3;

    fn write(text: &str) -> io::Result<()> {
        io::stderr().write_all(text.as_bytes())
    }
}

impl TermLike for Line {
    fn width(&self) -> u16 {
        let size = terminal_size::terminal_size_of(io::stderr());
        size.map_or(80, |(width, _)| width.0).saturating_sub(Self::MARGIN)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { Self::write(&format!("\u{1b}[{n}A")) }
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { Self::write(&format!("\u{1b}[{n}B")) }
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { Self::write(&format!("\u{1b}[{n}C")) }
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { Self::write(&format!("\u{1b}[{n}D")) }
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        Self::write(&format!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        Self::write(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        Self::write("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl racefuzz::Observer for Progress {
    fn progress(&self, done: u64, failing: u64) {
        if self.shown && self.started.elapsed() >= PATIENCE {
            let bar = self.bar();
            bar.set_position(done);
            if failing != 0 {
                bar.set_message(format!(", {} failing", HumanCount(failing)));
            }
        }
    }

    fn cancelled(&self) -> bool {
        interrupted()
    }
}

/// Whether Ctrl-C was pressed.
pub(crate) fn interrupted() -> bool {
    CANCELLED.load(Ordering::Relaxed)
}

/// A line on standard error that says how far an exploration is, if that is a terminal and the
/// exploration takes over half a second.
pub(crate) struct CheckProgress {
    bar: OnceLock<ProgressBar>,
    name: String,
    started: Instant,
    shown: bool,
    /// The last estimate of the number of all executions.
    estimate: Mutex<Option<(f64, f64)>>,
}

impl CheckProgress {
    pub(crate) fn new() -> Self {
        catch_interrupts();
        let (bar, name) = (OnceLock::new(), String::new());
        Self { bar, name, started: Instant::now(), shown: is_shown(), estimate: Mutex::new(None) }
    }

    /// The same, of one of several programs.
    pub(crate) fn of(mut self, name: &str) -> Self {
        self.name = format!("{name}: ");
        self
    }

    fn bar(&self) -> &ProgressBar {
        self.bar.get_or_init(|| {
            let style = ProgressStyle::with_template(" {wide_msg}");
            let bar =
                ProgressBar::with_draw_target(None, ProgressDrawTarget::term_like_with_hz(Box::new(Line), 5));
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        })
    }

    /// Takes the line off the screen.
    pub(crate) fn clear(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }

    /// Says how thorough the exploration was, if it took long.
    ///
    /// # Errors
    /// If standard error cannot be written.
    pub(crate) fn sum_up(&self, report: &racefuzz::Report, took: Duration) -> Result<(), Failure> {
        let estimate = *self.estimate.lock().unwrap_or_else(PoisonError::into_inner);
        sum_up(report, took, estimate).map_err(Failure::Output)
    }

    /// How long the exploration has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl racefuzz::CheckObserver for CheckProgress {
    fn progress(&self, progress: &racefuzz::CheckProgress) {
        let elapsed = self.started.elapsed();
        if self.shown && elapsed >= PATIENCE {
            *self.estimate.lock().unwrap_or_else(PoisonError::into_inner) = progress.estimate;
            let bar = self.bar();
            bar.set_message(format!("{}{}", self.name, state(progress, elapsed)));
            bar.tick();
        }
    }

    fn cancelled(&self) -> bool {
        interrupted()
    }
}

/// A search for repairs explores, too, and its end is no better known.
impl racefuzz::FixObserver for CheckProgress {
    fn progress(&self, progress: racefuzz::FixProgress) {
        let elapsed = self.started.elapsed();
        if self.shown && elapsed >= PATIENCE {
            let bar = self.bar();
            bar.set_message(format!(
                "{}{} changes tried, {} executions, {} s",
                self.name,
                HumanCount(progress.tried),
                HumanCount(progress.executions),
                elapsed.as_secs()
            ));
            bar.tick();
        }
    }

    fn cancelled(&self) -> bool {
        interrupted()
    }
}

/// How far an exploration is, in words: what is sure first, what is not last.
fn state(progress: &racefuzz::CheckProgress, elapsed: Duration) -> String {
    let done = progress.executions;
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let failing = match progress.failing {
        0 => String::new(),
        failing => format!("{} failing, ", HumanCount(failing)),
    };
    format!(
        "{failing}{} explored, {} blocked, {}/s, {} s; {}",
        HumanCount(done),
        HumanCount(progress.blocked),
        HumanCount(rate as u64),
        elapsed.as_secs(),
        in_all(progress, rate)
    )
}

/// The range in which the number of all executions probably lies: two standard errors to each side. The
/// probes miss what is rare and large, so that an error of a third of the estimate or more says that
/// they know nothing; and what was explored is known to be there.
fn in_all(progress: &racefuzz::CheckProgress, rate: f64) -> String {
    let done = progress.executions as f64;
    match progress.estimate {
        Some((mean, error)) if error.is_finite() && 3.0 * error <= mean && mean > done => {
            let (least, most) = ((mean - 2.0 * error).max(done), mean + 2.0 * error);
            let left = |all: f64| {
                Duration::try_from_secs_f64((all - done) / rate.max(0.001)).unwrap_or(Duration::MAX)
            };
            format!(
                "in all perhaps {} to {}, up to {} left (a guess from random probes, often too low)",
                about(least),
                about(most),
                HumanDuration(left(most))
            )
        }
        _ => "in all: unknown".to_owned(),
    }
}

/// Two significant digits; more would pretend to know them.
fn about(number: f64) -> String {
    let unit = 10f64.powi((number.max(1.0).log10().floor() as i32 - 1).max(0));
    match (number / unit).round() * unit {
        small if small < 1e12 => HumanCount(small as u64).to_string(),
        large => format!("{large:.1e}"),
    }
}

fn is_shown() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stderr().is_terminal() && !dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(estimate: Option<(f64, f64)>) -> String {
        let progress = racefuzz::CheckProgress { executions: 12_000, blocked: 3, failing: 0, estimate };
        state(&progress, Duration::from_secs(4))
    }

    #[test]
    fn an_estimate_comes_with_its_spread_and_its_worth() {
        assert_eq!(
            shown(Some((61_234.0, 8_765.0))),
            "12,000 explored, 3 blocked, 3,000/s, 4 s; in all perhaps 44,000 to 79,000, up to 22 seconds left \
             (a guess from random probes, often too low)"
        );
        assert!(shown(Some((3.456e15, 1e14))).contains("perhaps 3.3e15 to 3.7e15"));
        // No less than what was seen.
        assert!(shown(Some((13_000.0, 4_000.0))).contains("perhaps 12,000 to 21,000"));
    }

    #[test]
    fn a_long_run_is_summed_up() {
        let token = racefuzz::Fuzzer::new().iterations(50).fuzz(|| {});
        let mut report = racefuzz::Report { stats: racefuzz::Stats::default(), ..token };
        report.stats.executions = 120_000;
        report.stats.classes = 16;
        let took = Duration::from_secs(12);
        let said = |report: &racefuzz::Report, estimate| thoroughness(report, took, estimate);
        assert_eq!(
            said(&report, None),
            "120,000 executions in 12 s, 10,000/s; 16 classes of them, 0 seen once; fewer than one in 120,000 \
             further ones would be of a new class"
        );
        report.stats.singletons = 12;
        assert!(
            said(&report, None)
                .ends_with("12 seen once; about one in 10,000 further ones would be of a new class")
        );
        let proof = racefuzz::Proof {
            engine: racefuzz::Engine::Graph,
            whole: true,
            preemptions: None,
            sampled: 0,
            relaxed: false,
        };
        report.proof = Some(proof);
        assert!(said(&report, None).ends_with("that is all there are"));
        report.proof = Some(racefuzz::Proof { whole: false, ..proof });
        assert!(said(&report, None).ends_with("in all: unknown"));
        assert!(said(&report, Some((200_000.0, 10_000.0))).contains("in all perhaps 180,000 to 220,000"));
    }

    #[test]
    fn what_is_not_known_is_said_to_be_unknown() {
        for estimate in [
            None,
            Some((61_234.0, 21_000.0)),
            Some((61_234.0, 61_235.0)),
            Some((61_234.0, f64::INFINITY)),
            Some((61_234.0, f64::NAN)),
            Some((f64::INFINITY, f64::INFINITY)),
            // Less than what is there already.
            Some((11_000.0, 10.0)),
        ] {
            let shown = shown(estimate);
            assert_eq!(shown, "12,000 explored, 3 blocked, 3,000/s, 4 s; in all: unknown", "{estimate:?}");
        }
    }
}
