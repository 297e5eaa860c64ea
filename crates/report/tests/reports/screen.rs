//! The screens that one steps through in a terminal.
#![cfg(feature = "json")]

use crate::fixture::stories;
use racefuzz_report::{Stepper, Style};
use unicode_width::UnicodeWidthStr;

fn snapshot(name: &str, content: &str) {
    insta::with_settings!({
        snapshot_path => "../../../../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(format!("report__{name}"), content);
    });
}

#[test]
fn screens_of_several_failures() {
    let style = Style { width: 80, ..Style::default() };
    for (name, (fixture, failure)) in stories::all() {
        let stepper = Stepper::new(&failure, &fixture).unwrap();
        if ["lost_update", "unsafe_publication", "deadlock_cycle"].contains(&name) {
            let stops = [0, stepper.first(), stepper.stops() - 1];
            let screens = stops.map(|at| stepper.screen(at, &style, 24).join("\n"));
            snapshot(&format!("{name}_screen"), &screens.join("\n\n=========\n\n"));
        }
    }
}

#[test]
fn a_screen_fills_the_terminal_and_no_more() {
    for (name, (fixture, failure)) in stories::all() {
        let stepper = Stepper::new(&failure, &fixture).unwrap();
        for (width, height) in [(80, 24), (40, 12), (200, 60), (100, 10)] {
            for ascii in [false, true] {
                let style = Style { width, ascii, color: false, ..Style::default() };
                for at in 0..stepper.stops().min(40) {
                    let lines = stepper.screen(at, &style, height);
                    assert_eq!(lines.len(), height, "{name} at {at}");
                    for line in &lines {
                        assert!(line.width() <= width, "{name} at {at}, {width}: {line}");
                    }
                    let marked = lines.iter().filter(|line| line.starts_with('>')).count();
                    assert!(marked >= 1, "{name} at {at}, {width}x{height}:\n{}", lines.join("\n"));
                }
            }
        }
    }
}

#[test]
fn remarks_are_found_both_ways() {
    let (fixture, failure) = stories::refcount();
    let stepper = Stepper::new(&failure, &fixture).unwrap();
    let last = stepper.first();
    let before = stepper.marked_before(last).unwrap();
    assert_eq!(stepper.marked_behind(before), Some(last));
    assert_eq!(stepper.marked_behind(last), None);
}
