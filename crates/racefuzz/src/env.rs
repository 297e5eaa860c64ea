//! Settings in environment variables, and the texts that stand for times and sizes.

use std::fmt;
use std::time::Duration;

/// A setting whose value is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    variable: String,
    value: String,
    reason: String,
}

impl SettingError {
    pub(crate) fn new(variable: &str, value: &str, reason: impl fmt::Display) -> Self {
        Self { variable: variable.to_owned(), value: value.to_owned(), reason: reason.to_string() }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}: {}", self.variable, self.value, self.reason)
    }
}

impl std::error::Error for SettingError {}

/// A setting that the environment may override.
pub(crate) fn read<T: std::str::FromStr<Err: fmt::Display>>(
    variable: &str,
    into: &mut T,
) -> Result<(), SettingError> {
    let Ok(value) = std::env::var(variable) else { return Ok(()) };
    *into = value.trim().parse().map_err(|error| SettingError::new(variable, &value, error))?;
    Ok(())
}

/// So many bytes, as people write them: `1048576`, `512M`, `2G`, with or without `iB`.
///
/// # Errors
/// Anything else, and zero.
pub fn bytes(text: &str) -> Result<u64, &'static str> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1u64 << 30,
        _ => 0,
    };
    let number = digits.parse::<u64>().unwrap_or(0);
    match number.checked_mul(unit) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err("a size above zero is needed, such as 512M or 2G"),
    }
}

/// A time above zero, as people write it: `30`, `500ms`, `30s`, `5m` or `1h`; seconds if there is no unit.
///
/// # Errors
/// Anything else, and zero.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    let seconds = digits.parse::<f64>().unwrap_or(f64::NAN) * unit;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| !time.is_zero())
        .ok_or("a time above zero is needed, such as 500ms, 30s, 5m or 1h")
}

/// The limit on time that the environment asks for.
pub(crate) fn read_time(into: &mut Option<Duration>) -> Result<(), SettingError> {
    const NAME: &str = "RACEFUZZ_MAX_TIME";
    let Ok(value) = std::env::var(NAME) else { return Ok(()) };
    *into = Some(duration(&value).map_err(|error| SettingError::new(NAME, &value, error))?);
    Ok(())
}

/// A number that the environment may ask for.
pub(crate) fn read_optional<T: std::str::FromStr<Err: fmt::Display>>(
    variable: &str,
    into: &mut Option<T>,
) -> Result<(), SettingError> {
    let Ok(value) = std::env::var(variable) else { return Ok(()) };
    *into = Some(value.trim().parse().map_err(|error| SettingError::new(variable, &value, error))?);
    Ok(())
}

/// The limit on memory that the environment asks for.
pub(crate) fn read_memory(into: &mut Option<u64>) -> Result<(), SettingError> {
    const NAME: &str = "RACEFUZZ_MAX_MEMORY";
    let Ok(value) = std::env::var(NAME) else { return Ok(()) };
    *into = Some(bytes(&value).map_err(|error| SettingError::new(NAME, &value, error))?);
    Ok(())
}
