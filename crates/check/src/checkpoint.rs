//! Explorations that outlive their process: where one stands is kept in a file, and another one goes
//! on from there.
//!
//! The file is a line of JSON that says what it belongs to, then what is left to explore, and what
//! was found, in postcard's encoding. It is replaced as a whole, so that a process that is killed
//! leaves one that holds together.

use crate::driver::{self, State};
use crate::keeper::{Keeper, Kept, Start};
use crate::options::{Observer, Options};
use crate::turns::Places;
use crate::waiting::Loops;
use racefuzz_runtime::StableHasher;
use racefuzz_trace::{Outcome, Overlay, RunReport, Settings};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::Hasher;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const FORMAT: &str = "racefuzz-checkpoint";
/// Raised whenever what is kept changes its meaning or its form.
const VERSION: u32 = 7;
/// The time between two of them, at least.
const INTERVAL: Duration = Duration::from_millis(100);
/// Exploring takes so many times as long as writing.
const SHARE: u32 = 20;

/// What the file's first line says.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    program: String,
    settings: Settings,
    keep_going: bool,
    preemptions: Option<u32>,
    overlay: Option<Overlay>,
    fingerprint: u64,
    executions: u64,
    blocked: u64,
    /// Of what follows, to notice a file that was cut off or written to.
    sum: u64,
}

/// What follows it.
#[derive(Serialize)]
struct BodyRef<'a> {
    count_points: bool,
    loops: &'a Loops,
    places: &'a Places,
    seen: Vec<(u128, u32)>,
    state: &'a State,
}

#[derive(Deserialize)]
struct Body {
    count_points: bool,
    loops: Loops,
    places: Places,
    seen: Vec<(u128, u32)>,
    state: State,
}

/// Why an exploration cannot be kept, or not be gone on with.
#[derive(Debug)]
pub enum CheckpointError {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file cannot be written.
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is no checkpoint, or only part of one.
    NoCheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// Another release wrote it.
    OtherVersion {
        /// The file.
        path: PathBuf,
    },
    /// It belongs to another exploration.
    OtherCheck {
        /// The file.
        path: PathBuf,
        /// What differs: the program's name, or which of its settings.
        what: String,
    },
    /// The program has changed since.
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::Write { path, error } => write!(f, "cannot write {}: {error}", path.display()),
            Self::NoCheckpoint { path } => {
                write!(f, "{} is no checkpoint, or not a whole one; remove it to begin anew", path.display())
            }
            Self::OtherVersion { path } => write!(
                f,
                "{} was written by another version of racefuzz; remove it to begin anew",
                path.display()
            ),
            Self::OtherCheck { path, what } => write!(
                f,
                "{} belongs to another check: {what}; name another file, or remove it",
                path.display()
            ),
            Self::Changed { path } => write!(
                f,
                "the program has changed since {} was written; remove it to begin anew",
                path.display()
            ),
        }
    }
}

impl std::error::Error for CheckpointError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { error, .. } | Self::Write { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// [`check`](crate::check) that keeps in a file where it stands, and goes on from there if the file
/// exists. Limits on executions hold for all of them together, limits on time for this call.
///
/// The file is written at the start, every so often, and when a limit or the observer ends the
/// exploration; it is removed when there is nothing left to go on with. However often it is ended
/// and gone on with, an exploration comes to the same counts and the same failures.
///
/// # Errors
/// If the file cannot be read or written, or belongs to something else.
///
/// ```
/// use racefuzz_check::{Options, check_with_checkpoint};
/// use racefuzz_runtime::{Site, ops};
/// use racefuzz_trace::Outcome;
///
/// let program = || assert!(ops::choose(10, Site::caller()).unwrap() < 10);
/// let file = tempfile::tempdir().unwrap().path().join("ten.checkpoint");
/// # std::fs::create_dir_all(file.parent().unwrap()).unwrap();
/// let mut options = Options { max_executions: Some(4), ..Options::default() };
/// let report = check_with_checkpoint(&options, &program, &(), &file).unwrap();
/// assert_eq!((report.outcome(), report.executions()), (Outcome::Incomplete, 4));
/// options.max_executions = None;
/// let report = check_with_checkpoint(&options, &program, &(), &file).unwrap();
/// assert_eq!((report.outcome(), report.executions()), (Outcome::Passed, 10));
/// # std::fs::remove_dir(file.parent().unwrap()).unwrap();
/// ```
pub fn check_with_checkpoint(
    options: &Options,
    program: &(dyn Fn() + Sync),
    observer: &dyn Observer,
    path: &Path,
) -> Result<RunReport, CheckpointError> {
    let start = read(options, path)?;
    let keeping = Keeping { options, path, last: Mutex::default() };
    // What cannot be written is said before a long run, and not after it.
    if start.is_none() {
        keeping.replace(b"").map_err(|error| CheckpointError::Write { path: path.to_owned(), error })?;
    }
    let report = driver::explore(options, program, observer, Some(&keeping), start)
        .map_err(|_| CheckpointError::Changed { path: path.to_owned() })?;
    if let Some(error) = keeping.last.into_inner().unwrap_or_else(PoisonError::into_inner).error {
        return Err(CheckpointError::Write { path: path.to_owned(), error });
    }
    let goes_on = report.stopped.is_some() && (report.outcome == Outcome::Incomplete || options.keep_going);
    if !goes_on {
        // Somebody else may have removed it.
        let _ = std::fs::remove_file(path);
    }
    Ok(report)
}

/// When it was last written, how long that took, and whether it failed.
#[derive(Default)]
struct Last {
    at: Option<Instant>,
    took: Duration,
    error: Option<io::Error>,
}

struct Keeping<'a> {
    options: &'a Options,
    path: &'a Path,
    last: Mutex<Last>,
}

impl Keeping<'_> {
    fn encode(&self, kept: &Kept<'_>) -> io::Result<Vec<u8>> {
        let none = Places::default();
        let body = BodyRef {
            count_points: kept.count_points,
            loops: kept.loops,
            places: kept.turns.map_or(&none, |turns| &turns.places),
            seen: kept.turns.map_or_else(Vec::new, |turns| turns.seen().collect()),
            state: kept.state,
        };
        let body = postcard::to_stdvec(&body).map_err(io::Error::other)?;
        let stats = &kept.state.merged.stats;
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: self.options.program.clone(),
            settings: self.options.settings.clone(),
            keep_going: self.options.keep_going,
            preemptions: self.options.preemptions,
            overlay: self.options.overlay.as_deref().cloned(),
            fingerprint: kept.fingerprint,
            executions: stats.executions,
            blocked: stats.blocked,
            sum: sum(&body),
        };
        let mut bytes = serde_json::to_vec(&header)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// Replaces the file, all of it or nothing.
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        // Not synced to the disk, which may take a second: a process that is killed loses nothing by
        // that, and a machine that is leaves a file that is told from a whole one by its sum.
        file.write_all(bytes)?;
        file.persist(self.path)?;
        Ok(())
    }
}

impl Keeper for Keeping<'_> {
    fn is_due(&self) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.at.is_none_or(|at| at.elapsed() >= INTERVAL.max(last.took * SHARE))
    }

    fn keep(&self, kept: &Kept<'_>) {
        let began = Instant::now();
        let written = self.encode(kept).and_then(|bytes| self.replace(&bytes));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Last { at: Some(Instant::now()), took: began.elapsed(), error: written.err() };
    }
}

/// What the file holds; `None` if there is none.
fn read(options: &Options, path: &Path) -> Result<Option<Start>, CheckpointError> {
    let path_of = || path.to_owned();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CheckpointError::Read { path: path_of(), error }),
    };
    if bytes.is_empty() {
        // Killed before anything was explored.
        return Ok(None);
    }
    let no_checkpoint = || CheckpointError::NoCheckpoint { path: path_of() };
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(no_checkpoint)?;
    let (header, body) = (&bytes[..end], &bytes[end + 1..]);
    #[derive(Deserialize)]
    struct Marked {
        format: String,
        version: u32,
    }
    let marked: Marked = serde_json::from_slice(header).map_err(|_| no_checkpoint())?;
    if marked.format != FORMAT {
        return Err(no_checkpoint());
    }
    let other_version = || CheckpointError::OtherVersion { path: path_of() };
    if marked.version != VERSION {
        return Err(other_version());
    }
    let header: Header = serde_json::from_slice(header).map_err(|_| other_version())?;
    if header.sum != sum(body) {
        return Err(no_checkpoint());
    }
    if let Some(what) = difference(options, &header) {
        return Err(CheckpointError::OtherCheck { path: path_of(), what });
    }
    let Body { count_points, loops, places, seen, mut state } =
        postcard::from_bytes(body).map_err(|_| other_version())?;
    state.frontier.abandon();
    Ok(Some(Start { fingerprint: header.fingerprint, count_points, loops, places, seen, state }))
}

/// What an exploration asks for that the kept one did not.
fn difference(options: &Options, header: &Header) -> Option<String> {
    let (then, now) = (&header.settings, &options.settings);
    if header.program != options.program {
        return Some(format!("of `{}`, not of `{}`", header.program, options.program));
    }
    if then.memory != now.memory {
        return Some(format!("under {}, not under {}", then.memory, now.memory));
    }
    if header.keep_going != options.keep_going {
        let (with, without) = ("one that goes on after a failure", "one that ends at a failure");
        let (then, now) = if header.keep_going { (with, without) } else { (without, with) };
        return Some(format!("{then}, not {now}"));
    }
    if header.preemptions != options.preemptions {
        let bound = |bound: Option<u32>| match bound {
            None => "any number of preemptions".to_owned(),
            Some(most) => format!("{most} preemptions at most"),
        };
        return Some(format!("with {}, not with {}", bound(header.preemptions), bound(options.preemptions)));
    }
    if then.params != now.params {
        let list = |params: &[(String, String)]| match params {
            [] => "no parameters".to_owned(),
            params => {
                let params = params.iter().map(|(name, value)| format!("{name}={value}"));
                params.collect::<Vec<_>>().join(" ")
            }
        };
        return Some(format!("with {}, not with {}", list(&then.params), list(&now.params)));
    }
    let same_overlay = header.overlay.as_ref() == options.overlay.as_deref();
    (then != now || !same_overlay).then(|| "with other settings".to_owned())
}

fn sum(bytes: &[u8]) -> u64 {
    let mut hasher = StableHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
