//! What a user did that cannot be done, each one line that says what to do instead.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Wrong usage or input: exit code 2.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments.
    Usage(String),
    /// No scenario of that name.
    UnknownScenario { name: String, nearest: Vec<String>, tool: String },
    /// No scenario with that in its name.
    NoMatch { filter: String },
    /// A setting or parameter.
    Setting(String),
    /// A text that is no token.
    Token { text: String, error: racefuzz::TokenError },
    /// A file that cannot be read.
    Read { file: PathBuf, error: io::Error },
    /// A file that holds no schedule.
    NoSchedule { file: PathBuf, reason: String },
    /// A file that cannot be written.
    Write { file: PathBuf, error: io::Error },
    /// An exploration that cannot be kept in a file, or not be gone on with.
    Checkpoint(racefuzz::CheckpointError),
    /// Standard output was closed.
    Closed,
    /// Standard output cannot be written.
    Output(io::Error),
    /// Cargo cannot be run.
    Cargo(String),
    /// A repair that cannot be typed in.
    Confirm(crate::confirm::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Setting(text) | Self::Cargo(text) => f.write_str(text),
            Self::UnknownScenario { name, nearest, tool } if nearest.is_empty() => {
                write!(f, "no scenario `{}`; `{tool} list` shows them all", short(name))
            }
            Self::UnknownScenario { name, nearest, .. } => {
                write!(f, "no scenario `{}`; did you mean {}?", short(name), either(nearest))
            }
            Self::NoMatch { filter } => {
                write!(f, "no scenario has `{}` in its name", short(filter))
            }
            Self::Token { text, error } => write!(f, "`{}`: {error}", short(text)),
            Self::Read { file, error } => write!(f, "cannot read {}: {}", file.display(), reason(error)),
            Self::NoSchedule { file, reason } => {
                write!(
                    f,
                    "{} holds no schedule ({reason}); `run NAME --report FILE` writes one",
                    file.display()
                )
            }
            Self::Write { file, error } => write!(f, "cannot write {}: {}", file.display(), reason(error)),
            Self::Checkpoint(racefuzz::CheckpointError::Read { path, error }) => {
                write!(f, "cannot read {}: {}", path.display(), reason(error))
            }
            Self::Checkpoint(racefuzz::CheckpointError::Write { path, error }) => {
                write!(f, "cannot write {}: {}", path.display(), reason(error))
            }
            Self::Checkpoint(error) => error.fmt(f),
            Self::Confirm(error) => error.fmt(f),
            Self::Closed => f.write_str("standard output was closed before the report was written"),
            Self::Output(error) => write!(f, "cannot write to standard output: {}", reason(error)),
        }
    }
}

impl From<crate::confirm::Error> for Failure {
    fn from(error: crate::confirm::Error) -> Self {
        Self::Confirm(error)
    }
}

/// The beginning of a text that may be very long.
fn short(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The reason in words, without the number that differs between systems.
fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return "no such file or directory".to_owned();
    }
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_lowercase(),
        None => text,
    }
}

/// A usage error as one line; `command` is what its help belongs to.
pub(crate) fn one_line(error: &clap::Error, command: &str) -> String {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    use std::error::Error;
    let all = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::StyledStr(text)) => vec![text.to_string()],
        Some(ContextValue::StyledStrs(texts)) => texts.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let one = |kind| all(kind).into_iter().next().unwrap_or_default();
    let meant = |kind| match all(kind).as_slice() {
        [] => String::new(),
        names => format!("; did you mean {}?", either(names)),
    };
    let argument = one(ContextKind::InvalidArg);
    // An option's name without what stands for its value.
    let option = argument.split([' ', '=']).next().unwrap_or_default();
    let value = short(&one(ContextKind::InvalidValue));
    let given = match option.starts_with('-') {
        true => format!("`{option} {value}`"),
        false => format!("`{value}`"),
    };
    let mut line = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "no command is given".to_owned()
        }
        ErrorKind::InvalidSubcommand => {
            format!(
                "no command `{}`{}",
                short(&one(ContextKind::InvalidSubcommand)),
                meant(ContextKind::SuggestedSubcommand)
            )
        }
        ErrorKind::UnknownArgument if option.starts_with('-') => {
            format!("no option `{}`{}", short(option), meant(ContextKind::SuggestedArg))
        }
        ErrorKind::UnknownArgument => format!("`{}` is one argument too many", short(&argument)),
        ErrorKind::MissingRequiredArgument => {
            format!("{} is missing", all(ContextKind::InvalidArg).join(" and "))
        }
        ErrorKind::ArgumentConflict => {
            let other = one(ContextKind::PriorArg);
            match other.split([' ', '=']).next().unwrap_or_default() {
                "" => format!("`{option}` is given twice"),
                other if other == option => format!("`{option}` is given twice"),
                other => format!("`{option}` and `{other}` do not go together"),
            }
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("`{option}` needs a value"),
        ErrorKind::InvalidValue => {
            format!("{given}: {} is needed", one_of(&all(ContextKind::ValidValue)))
        }
        ErrorKind::ValueValidation => {
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{given}: {reason}")
        }
        _ => {
            let text = error.render().to_string();
            let text = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
            let text: Vec<&str> = text.filter(|line| !line.is_empty()).collect();
            text.join(" ").trim_start_matches("error: ").to_owned()
        }
    };
    if !line.ends_with('?') {
        line.push_str(&format!("; see `{command} --help`"));
    }
    line
}

/// `` `a`, `b` or `c` ``
fn either(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [init @ .., last] if !init.is_empty() => format!("{} or {last}", init.join(", ")),
        names => names.concat(),
    }
}

/// `one of a, b, c`
fn one_of(names: &[String]) -> String {
    format!("one of {}", names.join(", "))
}

/// The names most like one that does not exist.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = known
        .map(|known| {
            let contained = known.contains(name) || name.contains(known);
            (strsim::jaro_winkler(name, known) + if contained { 0.2 } else { 0.0 }, known)
        })
        .filter(|(score, _)| *score > 0.78)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    // What is far behind the best was not meant.
    let best = scored.first().map_or(0.0, |(score, _)| *score);
    scored.retain(|(score, _)| best - score < 0.15);
    scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}
