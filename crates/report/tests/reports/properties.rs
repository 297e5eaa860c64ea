//! What holds for every report, whatever happened.

use crate::fixture::{FILE, stories};
use proptest::prelude::*;
use racefuzz_report::{Command, Style, explain, text};
use racefuzz_trace::{Failure, FailureDetail, FailureKind, ReadsFrom, RunReport, Verb};
use unicode_width::UnicodeWidthStr;

/// The stories with anything changed that may be changed without breaking the trace.
fn story() -> impl Strategy<Value = (crate::fixture::Fixture, Failure)> {
    let index = 0..stories::all().len();
    let names = proptest::collection::vec("[a-z_]{1,40}|\\PC{1,8}|\u{1b}\\[31mred|two words\n", 0..4);
    (index, names, 0usize..60, "[ -~]{0,200}|\\PC{0,30}|\u{1b}x", any::<u64>()).prop_map(
        |(index, names, cut, message, seed)| {
            let (_, (mut fixture, mut failure)) = stories::all().swap_remove(index);
            for (name, object) in names.iter().zip(&mut failure.trace.objects) {
                object.name = Some(name.clone());
            }
            for (name, thread) in names.iter().rev().zip(&mut failure.trace.threads) {
                thread.name = Some(name.clone());
            }
            if seed % 3 == 0 {
                failure.message = message;
            }
            if seed % 5 == 0 {
                // A wild story: kinds and details need not agree with the events.
                failure.kind = FailureKind::Panic;
                failure.detail = FailureDetail::Panic { site: None, at_end: seed % 2 == 0 };
            }
            if seed % 7 == 0 {
                failure.step = failure.step.min(cut as u32);
            }
            for (at, event) in failure.trace.events.iter_mut().enumerate() {
                if (seed >> (at % 64)) & 31 == 1 {
                    event.reads_from = Some(ReadsFrom::Initial);
                    event.ok = !event.ok;
                    event.read = None;
                }
                if (seed >> (at % 61)) & 31 == 2 {
                    event.text = Some("\u{1b}[2J and words".into());
                    event.verb = Verb::Note;
                }
            }
            fixture.trace = failure.trace.clone();
            (fixture, failure)
        },
    )
}

fn rendered(fixture: &crate::fixture::Fixture, failure: Failure, style: &Style) -> (RunReport, String) {
    let report = fixture.report(failure);
    let next = [Command { label: "replay".into(), line: "racefuzz replay token".into() }];
    let text = text(&report, fixture, style, &next);
    (report, text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_keep_to_the_width((fixture, failure) in story(), width in 60usize..140, ascii: bool) {
        let style = Style { width, ascii, color: false, ..Style::default() };
        let (_, text) = rendered(&fixture, failure, &style);
        for line in text.lines().filter(|line| !line.contains(FILE) && !line.contains("racefuzz replay")) {
            prop_assert!(line.width() <= width, "{} columns: {line:?}\n{text}", line.width());
        }
    }

    #[test]
    fn no_escape_without_colour((fixture, failure) in story(), width in 20usize..140) {
        let style = Style { width, ..Style::default() };
        let (_, text) = rendered(&fixture, failure, &style);
        prop_assert!(!text.contains('\u{1b}'), "{text:?}");
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        prop_assert!(text.lines().all(|line| !line.ends_with(' ')), "{text}");
    }

    #[test]
    fn ascii_in_ascii_out((fixture, failure) in story(), width in 20usize..140, color: bool) {
        let trace = &failure.trace;
        let names = trace.objects.iter().filter_map(|object| object.name.as_ref());
        let names = names.chain(trace.threads.iter().filter_map(|thread| thread.name.as_ref()));
        let texts = names.chain(trace.events.iter().filter_map(|event| event.text.as_ref()));
        let inputs = texts.cloned().collect::<String>() + &failure.message;
        let style = Style { width, ascii: true, color, ..Style::default() };
        let (_, text) = rendered(&fixture, failure, &style);
        let strange = text.chars().find(|c| !c.is_ascii() && !inputs.contains(*c));
        prop_assert!(strange.is_none(), "{strange:?} in {text}");
    }

    #[test]
    fn colour_changes_nothing_but_colour((fixture, failure) in story(), width in 20usize..140) {
        let style = Style { width, ..Style::default() };
        let (_, plain) = rendered(&fixture, failure.clone(), &style);
        let (_, colored) = rendered(&fixture, failure, &Style { color: true, ..style });
        let mut stripped = String::new();
        for (index, part) in colored.split('\u{1b}').enumerate() {
            stripped.push_str(if index == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        let trim = |text: &str| text.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>().join("\n");
        prop_assert_eq!(trim(&stripped), trim(&plain));
    }

    #[test]
    fn steps_are_numbered_from_one_without_gaps((fixture, failure) in story()) {
        let story = explain(&failure, &fixture);
        let numbers: Vec<u32> = story.rows.iter().filter_map(|row| row.number).collect();
        prop_assert_eq!(&numbers, &(1..=numbers.len() as u32).collect::<Vec<_>>());
        prop_assert!(!story.paragraph.contains("step ?"), "{}", story.paragraph);
        let events: Vec<u32> = story.rows.iter().filter_map(|row| row.event).collect();
        prop_assert!(events.is_sorted());
        prop_assert!(events.iter().all(|event| *event < failure.step));
    }
}
