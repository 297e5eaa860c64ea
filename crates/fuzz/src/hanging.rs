//! What a program that shows no step is at, from the backtrace of its operating-system thread.

use racefuzz_runtime::Place;
use racefuzz_trace::{Site, Unseen, normalize_path};

/// What a backtrace says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hanging {
    /// The program hangs.
    Program(Unseen),
    /// Racefuzz's own code works.
    Engine,
    /// It must not be left there: it holds what others need.
    Busy,
}

#[derive(Debug)]
struct Frame<'a> {
    name: &'a str,
    place: Option<(&'a str, u32)>,
}

/// Calls that block, by what stands in the name or the file of a frame: the first that is found names
/// the call.
const CALLS: &[(&[&str], &str, &str)] = &[
    (&["barrier"], "std::sync::Barrier::wait", "racefuzz::sync::Barrier"),
    (&["thread::scoped", "thread/scoped"], "std::thread::scope", "racefuzz::thread::scope"),
    (&["join"], "std::thread::JoinHandle::join", "racefuzz::thread::spawn"),
    (&["SyncSender", "::send", "send<"], "std::sync::mpsc::SyncSender::send", "racefuzz::sync::mpsc"),
    (&["mpsc", "mpmc"], "std::sync::mpsc::Receiver::recv", "racefuzz::sync::mpsc"),
    (
        &["once_lock", "OnceLock", "sync::once", "once/futex"],
        "std::sync::Once::call_once",
        "racefuzz::sync::OnceLock",
    ),
    (&["rwlock"], "std::sync::RwLock", "racefuzz::sync::RwLock"),
    (&["condvar"], "std::sync::Condvar::wait", "racefuzz::sync::Condvar"),
    (&["mutex"], "std::sync::Mutex::lock", "racefuzz::sync::Mutex"),
    (&["sleep"], "std::thread::sleep", "racefuzz::thread::sleep"),
    (&["park"], "std::thread::park", "racefuzz::thread::park"),
];

/// Racefuzz's crates that run beneath a program, by the names of their functions and by their folders
/// (names of inlined functions have no path).
const ENGINE: &[(&str, &[&str])] = &[
    ("racefuzz_runtime::", &["crates/runtime/src/", "racefuzz-runtime-"]),
    ("racefuzz_check::", &["crates/check/src/", "racefuzz-check-"]),
    ("racefuzz_fuzz::", &["crates/fuzz/src/", "racefuzz-fuzz-"]),
    ("racefuzz_primitives::", &["crates/primitives/src/", "racefuzz-primitives-"]),
    ("racefuzz_loom_engine::", &["crates/loom-engine/src/", "racefuzz-loom-engine-"]),
    ("corosensei::", &["/corosensei-"]),
];

/// Where the runtime calls the program: what is inside of that is the program's, though it be inlined.
const BASE: &[&str] = &[
    "by_program",
    "runner::root",
    "runner/root.rs",
    "threads::spawning",
    "threads/spawning.rs",
    "continuation::",
    "src/continuation.rs",
];

/// Judges a backtrace, innermost call first; `after` is the place of the last step.
pub(crate) fn judge(backtrace: &str, after: Option<Place>, roots: &[String]) -> Hanging {
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let frames = frames(backtrace);
    let handler =
        frames.iter().rposition(|frame| frame.mentions("interrupt.rs") || frame.mentions("::interrupt::"));
    let interrupted = &frames[handler.map_or(0, |handler| handler + 1)..];
    let own = interrupted.iter().position(|frame| !frame.is_below()).unwrap_or(interrupted.len());
    let (below, program) = interrupted.split_at(own);
    let Some(program) = program.first() else { return Hanging::Engine };
    let inlined = BASE.iter().any(|base| program.mentions(base));
    if program.is_engine() && !inlined {
        return Hanging::Engine;
    }
    let has = |text: &str| below.iter().any(|frame| frame.mentions(text));
    if (has("io::stdio") || has("io/stdio.rs")) && !has("Stdin") {
        return Hanging::Busy;
    }
    let place = |file: &str, line: u32| Site { file: normalize_path(file, &roots), line, column: 0 };
    let site = program.place.filter(|_| !inlined).map(|(file, line)| place(file, line));
    let after =
        after.map(|location| Site { column: location.column(), ..place(location.file(), location.line()) });
    let known = CALLS.iter().find(|(marks, ..)| marks.iter().any(|mark| has(mark)));
    let waits = below.iter().find(|frame| frame.is_system() && !is_signal_frame(frame.name));
    let unseen = match (known, waits) {
        (Some((_, call, instead)), Some(_)) => {
            Unseen::Blocked { call: (*call).to_owned(), instead: Some((*instead).to_owned()), site, after }
        }
        (_, Some(call)) if is_blocking(call.name) => {
            Unseen::Blocked { call: call.name.to_owned(), instead: None, site, after }
        }
        _ => {
            let function = (!inlined).then(|| without_hash(program.name).to_owned());
            Unseen::SilentLoop { function, site, after }
        }
    };
    Hanging::Program(unseen)
}

/// The frames of a backtrace as std prints it.
fn frames(backtrace: &str) -> Vec<Frame<'_>> {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    for line in backtrace.lines().map(str::trim_start) {
        if let Some(place) = line.strip_prefix("at ") {
            // `file:line:column`.
            let mut parts = place.rsplitn(3, ':');
            let (_, line, file) = (parts.next(), parts.next(), parts.next());
            if let (Some(frame), Some(file), Some(Ok(line))) = (frames.last_mut(), file, line.map(str::parse))
            {
                frame.place = Some((file, line));
            }
        } else if let Some((number, name)) = line.split_once(": ")
            && number.chars().all(|digit| digit.is_ascii_digit())
        {
            frames.push(Frame { name, place: None });
        }
    }
    frames
}

/// A name without what stands before its path: `<`, `&mut` and the like of an implementation.
fn stripped(name: &str) -> &str {
    name.trim_start_matches(['<', '&', '*', '(']).trim_start_matches("mut ").trim_start_matches("dyn ")
}

fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((rest, hash)) if hash.len() == 16 && hash.chars().all(|digit| digit.is_ascii_hexdigit()) => rest,
        _ => name,
    }
}

impl Frame<'_> {
    /// Whether its name or its file contains this.
    fn mentions(&self, text: &str) -> bool {
        self.name.contains(text) || self.place.is_some_and(|(file, _)| file.contains(text))
    }

    /// Whether it belongs to the standard library or the system.
    fn is_below(&self) -> bool {
        let path = stripped(self.name);
        let is_library = |file: &str| file.contains("/rustc/") || file.contains("/lib/rustlib/src/");
        ["std::", "core::", "alloc::", "__rustc", "hashbrown::"]
            .iter()
            .any(|library| path.starts_with(library))
            || match self.place {
                Some((file, _)) => is_library(file) || self.is_system(),
                None => self.is_system(),
            }
    }

    /// Whether it is the system's, which has plain names: `syscall`, `nanosleep`. So has what is inlined
    /// of Rust, but with its file.
    fn is_system(&self) -> bool {
        let plain = !self.name.contains("::") && !self.name.contains(['{', '<']) || self.name == "<unknown>";
        plain && self.place.is_none_or(|(file, _)| !file.ends_with(".rs"))
    }

    /// Whether it is racefuzz's.
    fn is_engine(&self) -> bool {
        let path = stripped(self.name);
        ENGINE.iter().any(|(name, folders)| {
            path.starts_with(name)
                || folders.iter().any(|folder| self.place.is_some_and(|(file, _)| file.contains(folder)))
        })
    }
}

fn is_signal_frame(name: &str) -> bool {
    matches!(name, "__restore_rt" | "<unknown>")
}

/// Whether a function of the system waits for something.
fn is_blocking(name: &str) -> bool {
    const WAITING: &[&str] = &[
        "syscall", "sleep", "wait", "read", "recv", "poll", "accept", "connect", "lock", "join", "pause",
        "select",
    ];
    WAITING.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "   0: racefuzz_runtime::interrupt::handled
             at ./crates/runtime/src/interrupt.rs:150:1
   1: <unknown>
";

    fn judged(frames: &str) -> Hanging {
        judge(&format!("{HEAD}{frames}"), None, &[])
    }

    #[test]
    fn a_lock_of_std_is_named_with_the_line_that_takes_it() {
        let found = judged(
            "   2: syscall
   3: std::sys::sync::mutex::futex::Mutex::lock_contended
             at /rustc/0/library/std/src/sys/sync/mutex/futex.rs:69:21
   4: std::sync::poison::mutex::Mutex<T>::lock
             at /rustc/0/library/std/src/sync/poison/mutex.rs:499:24
   5: mine::program
             at src/lib.rs:12:9
   6: racefuzz_runtime::runner::root::root
",
        );
        let Hanging::Program(Unseen::Blocked { call, instead, site, .. }) = found else {
            panic!("{found:?}")
        };
        assert_eq!((&*call, instead.as_deref()), ("std::sync::Mutex::lock", Some("racefuzz::sync::Mutex")));
        assert_eq!(site.map(|site| site.to_string()).as_deref(), Some("src/lib.rs:12"));
    }

    #[test]
    fn what_is_inlined_goes_by_its_file() {
        let found = judged(
            "   2: syscall
             at misc/../sysdeps/unix/sysv/linux/x86_64/syscall.S:36
   3: futex_wait
             at /rustc/0/library/std/src/sys/pal/unix/futex.rs:1:1
   4: std::sys::sync::mutex::futex::Mutex::lock_contended
   5: lock<()>
             at /rustc/0/library/std/src/sync/poison/mutex.rs:492:24
   6: {closure#0}
             at ./tests/a.rs:7:9
",
        );
        let Hanging::Program(Unseen::Blocked { call, site, .. }) = found else { panic!("{found:?}") };
        assert_eq!((&*call, site.map(|site| site.line)), ("std::sync::Mutex::lock", Some(7)));
        let found =
            judged("   2: nanosleep\n   3: std::thread::sleep\n   4: racefuzz_runtime::runner::root::root\n");
        assert!(matches!(found, Hanging::Program(Unseen::Blocked { site: None, .. })), "{found:?}");
    }

    #[test]
    fn a_loop_is_not_a_call() {
        let found = judged(
            "   2: core::sync::atomic::atomic_load
             at /rustc/0/library/core/src/sync/atomic.rs:1:1
   3: mine::spin::h0123456789abcdef
             at src/lib.rs:3:9
",
        );
        let Hanging::Program(Unseen::SilentLoop { function, .. }) = found else { panic!("{found:?}") };
        assert_eq!(function.as_deref(), Some("mine::spin"));
    }

    #[test]
    fn work_of_ones_own_is_no_hanging() {
        assert_eq!(
            judged(
                "   2: core::slice::sort\n   3: racefuzz_check::model::psc::search\n   4: mine::program\n"
            ),
            Hanging::Engine
        );
        assert_eq!(
            judged("   2: <racefuzz_check::explore::Explore as racefuzz_runtime::graph::Memory>::next\n"),
            Hanging::Engine
        );
        assert_eq!(
            judged("   2: write\n   3: std::io::stdio::Stdout::write\n   4: mine::program\n"),
            Hanging::Busy
        );
    }
}
