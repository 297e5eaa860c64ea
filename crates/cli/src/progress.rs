//! What a person sees while a run takes its time, and how Ctrl-C ends it.

use indicatif::{
    HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};
use std::fmt;
use std::io::{self, IsTerminal, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
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
}

impl CheckProgress {
    pub(crate) fn new() -> Self {
        catch_interrupts();
        Self { bar: OnceLock::new(), name: String::new(), started: Instant::now(), shown: is_shown() }
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
}

impl racefuzz::CheckObserver for CheckProgress {
    fn progress(&self, progress: &racefuzz::CheckProgress) {
        let elapsed = self.started.elapsed();
        if self.shown && elapsed >= PATIENCE {
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
