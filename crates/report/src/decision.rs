//! Where a failure was decided, in row numbers.

use crate::explanation::{Row, RowKind};
use racefuzz_trace::{Decision, Passes, Share};

/// The remark at the row that decides.
pub(crate) const MARK: &str = "decided";

/// Which row decided, how many schedules fail before and behind it, and what lets it pass. `None` if
/// the rows do not reach that far.
pub(crate) fn sentence(decision: &Decision, rows: &[Row]) -> Option<String> {
    let steps = || rows.iter().filter(|row| row.kind == RowKind::Step);
    let number = |step: u32| steps().find(|row| row.event == Some(step)).and_then(|row| row.number);
    // A step that has no row is decided with the next that has one.
    let decided = steps().find(|row| row.event.is_some_and(|event| event >= decision.step))?.number?;
    let mut shares = vec![format!("{} fail", percent(decision.start))];
    if decided > 1 && decision.before != decision.start {
        shares.push(format!("{} of those that begin with {}", percent(decision.before), up_to(decided - 1)));
    }
    shares.push(format!("all that begin with {}", up_to(decided)));
    let mut text = format!("decided in step {decided}: of sampled schedules {}", shares.join(", "));
    let passes = match decision.passes {
        Some(Passes::Swapped { first, second }) => {
            number(first).zip(number(second)).map(|(first, second)| {
                if second == first + 1 {
                    format!("swap steps {first} and {second} and it passes")
                } else {
                    format!("with step {second} before step {first} it passes")
                }
            })
        }
        Some(Passes::Newest { step }) => {
            number(step).map(|step| format!("let step {step} read the newest value and it passes"))
        }
        _ => None,
    };
    if let Some(passes) = passes {
        text.push_str("; ");
        text.push_str(&passes);
    }
    Some(text)
}

fn up_to(step: u32) -> String {
    match step {
        1 => "step 1".to_owned(),
        2 => "steps 1 and 2".to_owned(),
        last => format!("steps 1 to {last}"),
    }
}

/// A share in whole percent, of schedules some of which pass; a few do not look like none or all.
fn percent(share: Share) -> String {
    match share.count {
        0 => "under 1 %".to_owned(),
        _ => format!("{:.0} %", (share.value() * 100.0).clamp(1.0, 99.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use racefuzz_trace::ThreadId;

    /// Rows that show these events.
    fn rows(events: &[u32]) -> Vec<Row> {
        let row = |(event, number): (&u32, u32)| Row {
            kind: RowKind::Step,
            number: Some(number),
            event: Some(*event),
            thread: Some(ThreadId(0)),
            site: None,
            text: String::new(),
            states: Vec::new(),
            marks: Vec::new(),
        };
        events.iter().zip(1..).map(row).collect()
    }

    fn decision(step: u32, passes: Option<Passes>) -> Decision {
        let share = |count| Share { count, total: 256 };
        Decision {
            step,
            start: share(1),
            before: share(255),
            after: share(256),
            measured: Vec::new(),
            passes,
        }
    }

    #[test]
    fn rows_and_shares_are_named_as_the_trace_has_them() {
        let swapped = Passes::Swapped { first: 9, second: 12 };
        assert_eq!(
            sentence(&decision(12, Some(swapped)), &rows(&[4, 9, 12])).unwrap(),
            "decided in step 3: of sampled schedules 1 % fail, 99 % of those that begin with steps 1 and 2, \
             all that begin with steps 1 to 3; swap steps 2 and 3 and it passes"
        );
        let apart = Passes::Swapped { first: 4, second: 12 };
        assert!(
            sentence(&decision(4, Some(apart)), &rows(&[4, 9, 12]))
                .unwrap()
                .ends_with("all that begin with step 1; with step 3 before step 1 it passes")
        );
    }

    #[test]
    fn a_step_without_a_row_counts_with_the_next_and_is_not_swapped() {
        let hidden = Passes::Swapped { first: 5, second: 9 };
        let text = sentence(&decision(5, Some(hidden)), &rows(&[4, 9])).unwrap();
        assert!(text.starts_with("decided in step 2") && text.ends_with("steps 1 and 2"), "{text}");
        assert_eq!(sentence(&decision(10, None), &rows(&[4, 9])), None);
    }
}
