//! Programs with one defect each, most of them reduced from what was reported of published crates and of std.
//! What maintainers did about them stands at each.

pub mod changes;
pub mod channel;
pub mod ending;
pub mod freeing;
pub mod guards;
pub mod ordering;
pub mod shapes;
pub mod taken;
pub mod told;
pub mod updating;
pub mod waits;
pub mod waking;

/// The text of every file with programs, by the path that reports have.
pub const SOURCES: [(&str, &str); 12] = [
    ("tests/src/defects/changes.rs", include_str!("changes.rs")),
    ("tests/src/defects/channel.rs", include_str!("channel.rs")),
    ("tests/src/defects/ending.rs", include_str!("ending.rs")),
    ("tests/src/defects/freeing.rs", include_str!("freeing.rs")),
    ("tests/src/defects/guards.rs", include_str!("guards.rs")),
    ("tests/src/defects/ordering.rs", include_str!("ordering.rs")),
    ("tests/src/defects/shapes.rs", include_str!("shapes.rs")),
    ("tests/src/defects/taken.rs", include_str!("taken.rs")),
    ("tests/src/defects/told.rs", include_str!("told.rs")),
    ("tests/src/defects/updating.rs", include_str!("updating.rs")),
    ("tests/src/defects/waits.rs", include_str!("waits.rs")),
    ("tests/src/defects/waking.rs", include_str!("waking.rs")),
];

/// The text of the file of that name.
///
/// # Panics
/// If there is none.
pub fn text_of(file: &str) -> &'static str {
    let found = SOURCES.iter().find(|(path, _)| path.ends_with(&format!("/{file}.rs")));
    found.unwrap_or_else(|| panic!("no file {file}.rs")).1
}
