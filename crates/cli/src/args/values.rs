//! What the values of options may be.

use racefuzz::{MemoryModel, Strategy};

/// A parser for one of a set of names, which help and completion show.
pub(super) fn named<T>(names: &'static [&'static str]) -> impl clap::builder::TypedValueParser<Value = T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}

/// The strategies there are: those that are built in, and those that the program has registered.
pub(super) fn strategy() -> impl clap::builder::TypedValueParser<Value = Strategy> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(Strategy::known_names()).try_map(|name| name.parse::<Strategy>())
}

/// The models that can be sampled.
pub(super) fn memory_model() -> impl clap::builder::TypedValueParser<Value = MemoryModel> {
    named::<MemoryModel>(&["sc", "rc11"])
}

/// A parser for a number in a range; `_` may stand between digits.
pub(super) fn number<T: TryFrom<u64>>(min: u64, max: u64) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let digits = if text.starts_with('_') { String::new() } else { text.replace('_', "") };
        let number = digits.parse::<u64>().ok().filter(|number| (min..=max).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("a number from {min} to {max} is needed"))
    }
}

pub(super) fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("NAME=VALUE is needed".to_owned()),
    }
}
