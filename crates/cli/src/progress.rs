//! What a person sees while a run takes its time, and how Ctrl-C ends it.

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};
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
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let shown = io::stderr().is_terminal() && !dumb;
        Self { bar: OnceLock::new(), total, started: Instant::now(), shown }
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
        CANCELLED.load(Ordering::Relaxed)
    }
}
