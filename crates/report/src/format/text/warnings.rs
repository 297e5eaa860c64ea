//! What a verdict does not speak of, though a reader may think so.

use super::pen::Pen;
use crate::words::{clean, number};
use racefuzz_trace::Warning;

/// What is added to the verdict line itself.
pub(super) fn except(warnings: &[Warning]) -> &'static str {
    match warnings.first() {
        Some(Warning::NothingShared { .. }) => "; but its threads share nothing that racefuzz sees",
        Some(Warning::NothingSeen) => "; but it does nothing that racefuzz sees",
        Some(Warning::CompiledLibrary) => "; std's compiled code is taken for granted",
        Some(Warning::ValuesDiffer { .. }) => "; but values differ from one execution to the next",
        _ => "",
    }
}

/// A paragraph for each.
pub(super) fn paragraphs(pen: &Pen<'_>, warnings: &[Warning]) -> Vec<String> {
    warnings.iter().flat_map(|warning| pen.paragraph(&words(warning), 6)).collect()
}

/// A warning in words.
pub(in crate::format) fn words(warning: &Warning) -> String {
    const CAUSE: &str = "The usual cause: the code under test still uses `std::sync` and `std::thread` (a `cfg(test)` \
                         switch reaches unit tests only, not integration tests), or the types were replaced in one \
                         crate and not in its dependencies.";
    match warning {
        Warning::NothingShared { threads } => format!(
            "warning: the program has {} threads, and no object of racefuzz's is used by two of them: what they \
             share, racefuzz does not see. {CAUSE}",
            number(u64::from(*threads))
        ),
        Warning::NothingSeen => {
            format!("warning: the program has one thread, which uses no object of racefuzz's. {CAUSE}")
        }
        Warning::CompiledLibrary => "note: the standard library comes compiled. What of it is not inlined into the \
                                     program is taken to do what its documentation says, its locks and what else \
                                     blocks as racefuzz's own; what it reads and writes there is not looked at for \
                                     data races."
            .to_owned(),
        Warning::ValuesDiffer { first } => format!(
            "warning: two executions of one schedule read or wrote different values, first {}. Something survives \
             from one execution to the next, or is made anew each time (an address, a random number).",
            clean(first)
        ),
        other => format!("warning: {other:?}"),
    }
}
