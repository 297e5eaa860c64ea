//! Repairs as a reviewer would have them, as people read them, and typed in: what is verified is the text.

use racefuzz::scenario::{Expected, Registry};
use racefuzz_cli::confirm::{Check, Repair, Scratch, said};
use racefuzz_fix::{Edit, Fix, FixReport, Options, fix};
use racefuzz_report::{Sources, Style, fix_text, patches, proposals, put_harness_last};
use racefuzz_tests::defects::{
    SOURCES, changes, channel, freeing, guards, ordering, shapes, taken, text_of, updating, waits, waking,
};
use racefuzz_trace::{Certainty, LockName, Region, Site};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "repairs/exact.rs"]
mod exact;

/// A program: its name, its file, itself, and how the repair is called that its maintainers chose, or one as
/// good; what stands in braces is for the line on which it stands in the source.
type Defect = (&'static str, &'static str, fn(), &'static str);

const PROGRAMS: &[Defect] = &[
    (
        "unlock_relaxed",
        "ordering",
        ordering::unlock_relaxed,
        "Release on line {shared.locked.store(0, Relaxed)}",
    ),
    (
        "notify_unlocked",
        "waking",
        waking::notify_unlocked,
        "`shared.0` over lines {other.2.store}..{other.1.notify_one}",
    ),
    ("broadcast", "waking", waking::broadcast, "`tail` over line {self.freed.notify_one}"),
    ("debts", "freeing", freeing::debts, "SeqCst as the failure ordering on line {SeqCst, Acquire}"),
    (
        "atomic_waker",
        "waking",
        waking::atomic_waker,
        "a swap in place of the store on line {store(WAITING, Release)}",
    ),
    (
        "eaten_token",
        "waking",
        waking::eaten_token,
        "behind the wait that parks on line {            thread::park();\n        }\n    }\n\n    fn wait_and} the thread unparks itself",
    ),
    (
        "counted_twice",
        "updating",
        updating::counted_twice,
        "a lock over lines {let hits = other}..{other.0.set} and {let hits = counts}..{counts.0.set}",
    ),
    ("get_mut", "ordering", ordering::get_mut, "Acquire on line {shared.owners.load(Relaxed)}"),
    (
        "into_unique",
        "ordering",
        ordering::into_unique,
        "AcqRel on line {shared.owners.fetch_sub(1, Release)}",
    ),
    (
        "message_published",
        "ordering",
        ordering::message_published,
        "Release on line {other.written.store(1, Relaxed)}; Acquire on line {slot.written.load(Relaxed)}",
    ),
    (
        "slot_reused",
        "ordering",
        ordering::slot_reused,
        "Release on line {other.read.store(1, Relaxed)}; Acquire on line {slot.read.load(Relaxed)}",
    ),
    (
        "entry_iterated",
        "ordering",
        ordering::entry_iterated,
        "Release on line {self.present.store(true, Relaxed)}; Acquire on line {self.present.load(Relaxed)}",
    ),
    ("slab", "ordering", ordering::slab, "Acquire on line {self.cells.load(Relaxed);\n        if}"),
    ("stable_interval", "waking", waking::stable_interval, "`log.0` over line {other.1.notify_all}"),
    (
        "update_in_two",
        "updating",
        updating::update_in_two,
        "lines {let seen = count.load} and {count.store(seen + 1} as one read-modify-write",
    ),
    (
        "two_locks",
        "updating",
        updating::two_locks,
        "take the locks of lines {net.1.lock} and {net.0.lock} in one order everywhere",
    ),
    (
        "discarded_twice",
        "freeing",
        freeing::discarded_twice,
        "lines {self.block.load(Acquire)} and {self.block.store(ptr} as one read-modify-write",
    ),
    (
        "list_channel",
        "channel",
        channel::list_channel,
        "line {let block = self.head_block} loads again while block.is_null() && tail != head",
    ),
];

/// Each kind of change, with how the repair is called that somebody would make who knows the code.
const CHANGES: &[Defect] = &[
    (
        "latch",
        "changes",
        changes::latch,
        "test the condition again behind the wait on line {latch.1.wait(count)}: `while` in place of `if`",
    ),
    (
        "taken_by_another",
        "changes",
        changes::taken_by_another,
        "test the condition again behind the wait on line {queue.1.wait(items)}: `while` in place of `if`",
    ),
    (
        "claimed_twice",
        "changes",
        changes::claimed_twice,
        "lines {claimed.load(Acquire)} and {claimed.store(true} as one read-modify-write",
    ),
    (
        "answered_twice",
        "changes",
        changes::answered_twice,
        "lines {state.load(Acquire)} and {state.store(TAKEN} as one read-modify-write",
    ),
    (
        "too_many_permits",
        "changes",
        changes::too_many_permits,
        "lines {permits.load(Acquire)} and {permits.store(left} as one read-modify-write",
    ),
    (
        "counted_in_two",
        "changes",
        changes::counted_in_two,
        "lines {count.load(Relaxed);\n    count} and {count.store(seen} as one read-modify-write",
    ),
    (
        "mixed_in_two",
        "changes",
        changes::mixed_in_two,
        "lines {digest.load(Relaxed);\n    digest} and {digest.store(before} as one read-modify-write",
    ),
    (
        "registered_late",
        "changes",
        changes::registered_late,
        "line {*waiting.waiter.lock()} moved in front of line {if !waiting.ready.load}",
    ),
    (
        "woken_early",
        "changes",
        changes::woken_early,
        "line {ready.store(true, SeqCst);\n    waiter.join} moved in front of line {waiter.thread().unpark()}",
    ),
    (
        "published_early",
        "changes",
        changes::published_early,
        "line {self.value.with_mut} moved in front of line {self.full.store(true}",
    ),
    (
        "neither_sees_the_other",
        "changes",
        changes::neither_sees_the_other,
        "a fence(SeqCst) before line {other.1.load(Relaxed)}; a fence(SeqCst) before line \
         {here.0.load(Relaxed)}",
    ),
    (
        "torn_read",
        "changes",
        changes::torn_read,
        "a fence(Release) before line {self.first.store(7}; a fence(Acquire) before line \
         {let after = self.version}",
    ),
    (
        "token_taken",
        "changes",
        changes::token_taken,
        "behind the wait that parks on line {thread::park();\n        let answer} the thread unparks itself",
    ),
    (
        "joined_under_lock",
        "changes",
        changes::joined_under_lock,
        "give back the lock taken on line {let mut stopped} before line {worker.join()}",
    ),
    (
        "received_under_lock",
        "changes",
        changes::received_under_lock,
        "give back the lock taken on line {let guard = state.lock()} before line {let message = receiver}",
    ),
    (
        "needed_behind",
        "changes",
        changes::needed_behind,
        "give back the lock taken on line {let mut guard = state.lock()} before line {*guard += receiver}",
    ),
    (
        "hits",
        "guards",
        guards::hits,
        "`count` over lines {let seen = *self}..{*self.count.lock().unwrap() = next}",
    ),
    (
        "added_twice",
        "guards",
        guards::added_twice,
        "`all` over lines {if !self.all.lock()}..{self.all.lock().unwrap().push}",
    ),
    (
        "indexed_twice",
        "guards",
        guards::indexed_twice,
        "`all` over lines {if !self.all.read()}..{self.all.write().unwrap().push}",
    ),
    (
        "gone_between",
        "guards",
        guards::gone_between,
        "`all` over lines {if self.all.read().unwrap().is_empty()}..{Some(self.all.read()} and {other.all.write()}",
    ),
    (
        "numbered_twice",
        "guards",
        guards::numbered_twice,
        "`NEXT` over lines {let number = *NEXT}..{*NEXT.lock().unwrap() += 1}",
    ),
    (
        "made_twice",
        "guards",
        guards::made_twice,
        "`made` over lines {if self.made.lock()}..{self.made.lock().unwrap().push}",
    ),
    (
        "taken_unfinished",
        "waits",
        waits::taken_unfinished,
        "line {let state = self.state.load} loads again while state == 1",
    ),
    (
        "drained_with_a_hole",
        "waits",
        waits::drained_with_a_hole,
        "line {let filled = } loads again while !filled",
    ),
    (
        "counted_before_linked",
        "waits",
        waits::counted_before_linked,
        "line {let next = } loads again while next.is_null() && count != 1",
    ),
    (
        "reset_with_readers",
        "waits",
        waits::reset_with_readers,
        "line {self.entry.with_mut} waits while self.readers != 0",
    ),
    (
        "reset_all_the_same",
        "waits",
        waits::reset_all_the_same,
        "line {let readers = self.readers.load} loads again while readers != 0",
    ),
    (
        "shut_down_in_flight",
        "waits",
        waits::shut_down_in_flight,
        "line {let buffer = self.buffer.load(SeqCst);\n        // SAFETY: it was} waits while self.in_flight != 0",
    ),
    (
        "closed_while_written",
        "waits",
        waits::closed_while_written,
        "line {self.lines.with(|lines|} waits while self.writing",
    ),
    (
        "unregistered_in_a_call",
        "waits",
        waits::unregistered_in_a_call,
        "line {self.gone.store} waits while self.calls != 0",
    ),
    (
        "paused_when_due",
        "taken",
        taken::paused_when_due,
        "what line {self.due.swap} takes is given back on the way out of line {self.paused.load}",
    ),
    (
        "reserved_and_gone",
        "taken",
        taken::reserved_and_gone,
        "what line {self.left.compare_exchange} takes is given back on the way out of line {self.aborted.load}",
    ),
    (
        "counted_for_ever",
        "taken",
        taken::counted_for_ever,
        "what line {self.in_flight.fetch_add} takes is given back on the way out of line {self.connected.load}",
    ),
    (
        "dropped_with_the_lock",
        "taken",
        taken::dropped_with_the_lock,
        "what line {self.locked.swap} takes is given back on the way out of line {self.dropped.load(Relaxed)}",
    ),
    (
        "cancelled_when_notified",
        "taken",
        taken::cancelled_when_notified,
        "who is woken on line {self.ready.wait(items).unwrap();\n        }\n    }\n\n    fn put} and leaves on line \
         {self.cancelled.load} notifies another one",
    ),
    (
        "abandoned_acquisition",
        "taken",
        taken::abandoned_acquisition,
        "who is woken on line {self.released.wait(permits).unwrap();\n        }\n        *permits -= 1;\n        \
         if} and leaves on line {self.abandoned.load} notifies another one",
    ),
    (
        "dropped_when_notified",
        "taken",
        taken::dropped_when_notified,
        "who is woken on line {self.changed.wait(notified).unwrap();\n            if} and leaves on line \
         {if self.dropped.load(SeqCst)} notifies another one",
    ),
    (
        "retired_when_woken",
        "taken",
        taken::retired_when_woken,
        "who is woken on line {self.added.wait(jobs).unwrap();\n            if} and leaves on line \
         {if self.retire.load(SeqCst)} notifies another one",
    ),
];

/// What was reported of published code, by the program that it is reduced to.
const REPORTED: &[(&str, &[&str])] = &[
    ("unlock_relaxed", &["RUSTSEC-2019-0031"]),
    ("broadcast", &["tokio-rs/tokio 2134"]),
    ("debts", &["vorner/arc-swap 200"]),
    ("atomic_waker", &["tokio-rs/tokio 7450", "smol-rs/atomic-waker 25"]),
    ("eaten_token", &["rust-lang/rust 145816"]),
    ("get_mut", &["rust-lang/rust 51780"]),
    ("into_unique", &["Manishearth/triomphe 103"]),
    ("message_published", &["filipdulic/bus-queue 3"]),
    ("slot_reused", &["eclipse-iceoryx/iceoryx2 119"]),
    ("entry_iterated", &["RUSTSEC-2022-0006"]),
    ("slab", &["tokio-rs/loom 260"]),
    ("stable_interval", &["spacejam/sled 709"]),
    ("update_in_two", &["majiayu000/litellm-rs 89"]),
    ("two_locks", &["tier4/awkernel 162", "wasmCloud/wasmCloud 813"]),
    ("discarded_twice", &["RUSTSEC-2025-0024"]),
    ("list_channel", &["rust-lang/rust 110001", "crossbeam-rs/crossbeam 972"]),
    ("latch", &["shadow/shadow 2369", "Detegr/rust-ctrlc 1"]),
    ("taken_by_another", &["surrealdb/affinitypool 8", "estk/log4rs 212"]),
    ("claimed_twice", &["rust-lang/cc-rs 1559"]),
    ("answered_twice", &["mimblewimble/grin 3588", "rust-lang/rust-clippy 16431"]),
    ("counted_in_two", &["tokio-rs/tokio 4725", "serenity-rs/poise 245"]),
    ("registered_late", &["OpenDevicePartnership/embassy-imxrt 366"]),
    ("neither_sees_the_other", &["smol-rs/concurrent-queue 18"]),
    ("torn_read", &["eclipse-iceoryx/iceoryx2 125", "kaist-cp/cs431 344"]),
    ("token_taken", &["seanmonstar/reqwest 1131", "async-rs/async-std 358"]),
    ("joined_under_lock", &["Tr3kkR/Yuzu 2349"]),
    ("received_under_lock", &["openai/codex 18178", "hermit-os/kernel 1065"]),
    ("added_twice", &["hit-box/hitbox 208", "majiayu000/harness 429"]),
    ("indexed_twice", &["ds1sqe/reovim 721", "palfrey/serial_test 45", "systeminit/si 4402"]),
    ("gone_between", &["mmalmi/rod 23"]),
    ("reserved_and_gone", &["tokio-rs/tokio 900"]),
    ("counted_for_ever", &["bobmatnyc/trusty-tools 5020"]),
    ("dropped_with_the_lock", &["asomers/futures-locks 1"]),
    ("cancelled_when_notified", &["python/cpython"]),
    ("abandoned_acquisition", &["awslabs/shuttle 167"]),
    ("dropped_when_notified", &["tokio-rs/tokio 4618, 3652"]),
];

#[test]
fn what_was_reported_stands_at_a_program_that_is_repaired() {
    for (name, numbers) in REPORTED {
        let tried = PROGRAMS.iter().chain(CHANGES).find(|(program, ..)| program == name);
        let (_, file, ..) = tried.unwrap_or_else(|| panic!("nothing is asked of {name}"));
        let text = text_of(file);
        let at = text.find(&format!("pub fn {name}()")).expect("it stands in its file");
        // The words of its own, and of its file where that is about it alone.
        let own = text[..at].rsplit("\n\n").next().unwrap_or_default();
        let about = text.lines().take_while(|line| line.starts_with("//!")).chain(own.lines());
        let words = about.flat_map(|line| line.trim_start_matches(['/', '!']).split_whitespace());
        let words = words.collect::<Vec<_>>().join(" ");
        for number in *numbers {
            assert!(words.contains(number), "{name} does not say {number}: {words}");
        }
    }
}

/// A repair's name with the lines in it, those of this text.
fn wanted(name: &str, source: &str) -> String {
    let mut parts = name.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // The last brace: what stands there may have braces of its own.
        let (fragment, rest) = part.split_at(part.rfind('}').expect("a brace"));
        let at = source.find(fragment).unwrap_or_else(|| panic!("{fragment} stands nowhere"));
        text.push_str(&(source[..at].matches('\n').count() + 1).to_string());
        text.push_str(&rest[1..]);
    }
    text
}

fn repairs(name: &str, program: fn()) -> FixReport {
    let options = Options { program: name.to_owned(), ..Options::default() };
    let mut report = fix(&options, &program);
    put_harness_last(&mut report, &SOURCES);
    report
}

/// A program by its name.
type Shape = (&'static str, fn());

/// One lost update, in many shapes.
const SHAPES: &[Shape] = &[
    ("plain", shapes::plain),
    ("renamed", shapes::renamed),
    ("beside_another", shapes::beside_another),
    ("helpers", shapes::helpers),
    ("looped", shapes::looped),
    ("written_out", shapes::written_out),
    ("question", shapes::question),
    ("returning", shapes::returning),
    ("matched", shapes::matched),
    ("passed_in", shapes::passed_in),
    ("inner_lock", shapes::inner_lock),
    ("waits_inside", shapes::waits_inside),
    ("logged_at_the_end", guards::logged_at_the_end),
    ("claimed_at_the_end", guards::claimed_at_the_end),
    ("addressed_twice", guards::addressed_twice),
    ("lent_on", guards::lent_on),
];

fn shown(report: &FixReport) -> String {
    fix_text(report, &SOURCES, &Style { width: 100, ..Style::default() }, &[])
}

/// Whether a repair only makes somebody wait.
fn only_waits(fix: &Fix) -> bool {
    fix.kind == racefuzz_fix::FixKind::LessConcurrent
}

/// Whether the repair of this number has this name.
fn has(text: &str, number: u32, name: &str) -> bool {
    let start = format!("   {number}  ");
    let titles = text.lines().filter_map(|line| line.strip_prefix(&start));
    titles.map(|title| title.split("   ").next().unwrap_or(title)).any(|title| title == name)
}

#[test]
fn the_maintainers_repair_is_among_the_first_three() {
    let mut missing = Vec::new();
    for (name, file, program, called) in PROGRAMS.iter().chain(CHANGES) {
        let wanted = wanted(called, text_of(file));
        let report = repairs(name, *program);
        let text = shown(&report);
        if !(1..=3).any(|number| has(&text, number, &wanted)) {
            missing.push(format!("{name}: {wanted} is not among the first three of {text}"));
            continue;
        }
        let first = report.fixes().iter().position(only_waits).unwrap_or(report.fixes().len());
        assert!(report.fixes()[first..].iter().all(only_waits), "{name}: {text}");
        insta::with_settings!({ snapshot_path => "../../../snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("fix__repairs_{name}"), text);
        });
    }
    assert!(missing.is_empty(), "{}", missing.join("\n\n"));
}

/// The same defect with other names, beside a thread that has nothing to do with it, in helpers, in a loop, and
/// with the loop written out.
const SAME: [&[Shape]; 3] = [
    // Of the other shapes each has a lock or a wait of its own in it, which is another program.
    SHAPES.split_at(9).0,
    &[
        ("published", shapes::published),
        ("published_renamed", shapes::published_renamed),
        ("published_beside_another", shapes::published_beside_another),
        ("published_by_helpers", shapes::published_by_helpers),
        ("published_looped", shapes::published_looped),
        ("published_written_out", shapes::published_written_out),
    ],
    &[
        ("sections", shapes::sections),
        ("sections_renamed", shapes::sections_renamed),
        ("sections_beside_another", shapes::sections_beside_another),
        ("sections_by_helpers", shapes::sections_by_helpers),
        ("sections_looped", shapes::sections_looped),
        ("sections_written_out", shapes::sections_written_out),
    ],
];

/// What a repair changes, whatever names and lines the source has: its kind, and which calls it is about.
fn gist(fix: &Fix) -> (racefuzz_fix::FixKind, BTreeSet<String>) {
    let call = |site: &Site| {
        let text = SOURCES.text(&site.file).expect("a file with programs");
        let line = text.lines().nth(site.line as usize - 1).expect("a line");
        let name = line.chars().skip(site.column as usize - 1);
        name.take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let edits = fix.overlay.edits.iter().filter_map(|edit| match edit {
        Edit::Order { site, order } => Some(format!("{} {}", call(site), order.name())),
        _ => None,
    });
    // Ways that turn off early are regions of their own.
    let held = |region: &Region| {
        let lock = if matches!(region.lock, LockName::Own(_)) { "own" } else { "new" };
        region.sites.iter().map(|site| format!("{lock} over {}", call(site))).collect::<Vec<_>>()
    };
    (fix.kind, edits.chain(fix.regions.iter().flat_map(held)).collect())
}

#[test]
fn the_shape_of_the_code_does_not_change_the_repair() {
    for shapes in SAME {
        let first = |(name, program): &Shape| {
            let report = repairs(name, *program);
            let fix = report.fixes().first().unwrap_or_else(|| panic!("{name}: {}", shown(&report)));
            assert_eq!(fix.verdict.certainty, Certainty::Verified, "{name}: {}", shown(&report));
            (gist(fix), shown(&report))
        };
        let (wanted, _) = first(&shapes[0]);
        assert!(!wanted.1.is_empty());
        for shape in shapes {
            let (same, text) = first(shape);
            assert_eq!(same, wanted, "{}: {text}", shape.0);
        }
    }
}

/// A repair of a scenario as text: the scenario, its number, and each changed file with its new text.
type Repaired = (&'static str, usize, Vec<(String, String)>);

/// A package that holds every racy program once for each repair that is verified as text, so that all can
/// be typed in at once: as `racefuzz fix --confirm` does it, and checked by that package's binary.
struct Typed {
    folder: tempfile::TempDir,
    repairs: Vec<Repair>,
    modules: String,
    /// The arms that tell programs by the names of their repairs.
    programs: String,
}

/// Cargo tells packages in one target folder apart by their names.
const PACKAGE: &str = "typed-repairs";

impl Typed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        Self { folder, repairs: Vec::new(), modules: String::new(), programs: String::new() }
    }

    fn source(&self, path: &str) -> PathBuf {
        self.folder.path().join("src").join(path)
    }

    /// A repair, with the expression that checks the program which it is typed into.
    fn add(&mut self, name: String, files: Vec<(String, String)>, checked: &str) {
        self.programs.push_str(&format!("        {name:?} => {checked},\n"));
        let package = || ["--quiet", "--offline", "--package", PACKAGE].map(str::to_owned);
        self.repairs.push(Repair {
            // The proposals for these programs are to repair as well.
            proposal: false,
            files,
            folders: vec![self.folder.path().join("src")],
            build: [&["build".to_owned()][..], &package()].concat(),
            check: Check::Binary(PACKAGE.to_owned(), vec![name.clone()]),
            variables: Vec::new(),
            name,
        });
    }

    /// The scenarios, with one repair of each file at most in a module of their own.
    fn add_scenarios(&mut self, registry: &Registry) {
        let mut rounds: Vec<Vec<Repaired>> = Vec::new();
        for scenario in registry.iter().filter(|scenario| scenario.expected != Expected::Holds) {
            let params = scenario.params(&[]).unwrap();
            let report = scenario.fixer(&params).fix(scenario.program(&params));
            let written = patches(&report, &registry.sources());
            for patch in written.into_iter().chain(proposals(&report, &registry.sources())) {
                let takes = |round: &&mut Vec<Repaired>| {
                    let files = || round.iter().flat_map(|(_, _, files)| files);
                    !files().any(|(file, _)| patch.files.iter().any(|(other, _)| other == file))
                };
                match rounds.iter_mut().find(takes) {
                    Some(round) => round.push((scenario.name, patch.number, patch.files)),
                    None => rounds.push(vec![(scenario.name, patch.number, patch.files)]),
                }
            }
        }
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/src");
        for (number, round) in rounds.into_iter().enumerate() {
            let module = format!("round{number}");
            copy(&scenarios, &self.source(&module));
            fs::rename(self.source(&format!("{module}/lib.rs")), self.source(&format!("{module}/mod.rs")))
                .unwrap();
            self.modules.push_str(&format!("mod {module};\n"));
            for (name, repair, files) in round {
                let here = |file: &str| {
                    format!("{module}/{}", file.strip_prefix("scenarios/src/").expect("a scenario"))
                };
                let files = files.into_iter().map(|(file, text)| (here(&file), text)).collect();
                let checked = format!(
                    "{{ let registry = {module}::registry(); let it = registry.find({name:?}).unwrap(); \
                     let params = it.params(&[]).unwrap(); it.checker(&params).check(it.program(&params)) }}"
                );
                self.add(format!("{name}, repair {repair}"), files, &checked);
            }
        }
    }

    fn add_program(&mut self, name: &str, program: fn()) {
        let report = repairs(name, program);
        for patch in patches(&report, &SOURCES).into_iter().chain(proposals(&report, &SOURCES)) {
            let module = format!("{name}{}", patch.number);
            let [(file, text)] = &patch.files[..] else { panic!("{name} is one file") };
            let original = SOURCES.text(file).expect("a file with programs").into_owned();
            fs::write(self.source(&format!("{module}.rs")), original).unwrap();
            self.modules.push_str(&format!("mod {module};\n"));
            let checked = format!("racefuzz::Checker::new().check({module}::{name})");
            let files = vec![(format!("{module}.rs"), text.clone())];
            self.add(format!("{name}, repair {}", patch.number), files, &checked);
        }
    }

    /// Types them all in and checks them: what is said, and whether all hold.
    fn confirm(self) -> (String, bool) {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let manifest = format!(
            "[package]\nname = \"{PACKAGE}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             racefuzz = {{ path = {:?} }}\n\n[profile.dev]\ndebug = 0\n\n[workspace]\n",
            top.join("crates/racefuzz")
        );
        let main = format!(
            "#![allow(warnings)]\n{}fn main() {{\n    let name = std::env::args().nth(1).unwrap();\n    \
             let report = match name.as_str() {{\n{}        _ => panic!(\"no program\"),\n    }};\n    \
             print!(\"{{}}\", racefuzz::render(&report));\n    \
             std::process::exit((report.outcome() != racefuzz::Outcome::Passed).into());\n}}\n",
            self.modules, self.programs
        );
        fs::write(self.folder.path().join("Cargo.toml"), manifest).unwrap();
        fs::write(self.source("main.rs"), main).unwrap();
        // The versions that are here already.
        fs::copy(top.join("Cargo.lock"), self.folder.path().join("Cargo.lock")).unwrap();
        // Where other tests have built the library for a package of their own.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("elsewhere");
        let confirmed = Scratch::new(self.folder.path(), &target).unwrap().confirm(&self.repairs).unwrap();
        said(self.repairs.iter().zip(&confirmed), 0)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[test]
fn what_is_verified_holds_when_typed_in() {
    let mut typed = Typed::new();
    typed.add_scenarios(&racefuzz_scenarios::registry());
    for (name, _, program, _) in PROGRAMS.iter().chain(CHANGES) {
        typed.add_program(name, *program);
    }
    let same = SAME[1..].iter().flat_map(|shapes| shapes.iter());
    for (name, program) in SHAPES.iter().chain(same) {
        typed.add_program(name, *program);
    }
    let count = typed.repairs.len();
    assert!(count >= 75, "only {count} repairs can be typed in");
    let (text, all) = typed.confirm();
    assert!(all, "{text}");
    println!("{text}");
}
