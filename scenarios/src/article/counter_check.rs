//! What the output of the three counters must look like, whoever counts and prints.

/// The line that each thread prints behind its count.
pub(super) const SEPARATOR: &str = "----------------------";

/// Checks the counter's last value and all lines printed: `Starting`, each count once and in order
/// with a separator behind it, `Finished`.
pub(super) fn check(expected: u64, found: u64, lines: &[String]) {
    assert!(found == expected, "expected a count of {expected}, found {found}");

    // What the threads print, two lines each, wherever main's own lines are.
    let printed: Vec<_> = lines.iter().filter(|line| *line != "Starting" && *line != "Finished").collect();
    for pair in printed.chunks(2) {
        let next = pair.get(1).map_or("", |line| line.as_str());
        let count = pair[0].trim_start_matches("The count is ");
        assert!(next == SEPARATOR, "{next:?} is printed before the separator of {count}");
    }
    for (count, pair) in (1..=expected).zip(printed.chunks(2)) {
        let due = format!("The count is {count}");
        assert!(*pair[0] == due, "{due:?} is due, but {:?} is printed", pair[0]);
    }

    assert!(lines.first().is_some_and(|line| line == "Starting"), "\"Starting\" must be the first line");
    let finished = lines.iter().position(|line| line == "Finished").expect("\"Finished\" is printed");
    if let Some(late) = lines.get(finished + 1) {
        panic!("\"Finished\" must be the last line, but {late:?} follows");
    }
    assert!(lines.len() as u64 == 2 + 2 * expected, "expected {expected} counts and nothing else");
}
