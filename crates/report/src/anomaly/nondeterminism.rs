//! Nondeterminism: the program did something else under the same schedule.

use super::Finding;
use crate::explanation::Anomaly;
use crate::view::View;
use crate::words::{clean, list};
use racefuzz_trace::FailureDetail;

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::Nondeterminism { step, expected, found, left_over, kept, unrepeated } =
        &view.failure.detail
    else {
        return None;
    };
    let cause = if left_over.is_empty() && *kept {
        "Further runs do as the second did: the first left something behind that racefuzz does not put back (a static, \
         a `OnceLock` or a thread-local value of the standard library, a value that the closure captured). All \
         executions but the first are then executions of another program."
            .to_owned()
    } else if left_over.is_empty() {
        "Something outside racefuzz decides here: the order of a HashMap, a clock, a random number, a static of the \
         standard library."
            .to_owned()
    } else {
        let names: Vec<_> = left_over.iter().map(|name| format!("`{}`", clean(name))).collect();
        format!("{} kept a value from one execution to the next.", list(&names))
    };
    let first = match unrepeated {
        Some(failure) => format!("One run failed, {}; it does not repeat. ", clean(failure)),
        None => String::new(),
    };
    let paragraph = format!(
        "{first}The same schedule led to two executions: at event {} the first run did `{}`, the second `{}`. {cause} A \
         schedule cannot be repeated as long as that is so.",
        step + 1,
        clean(expected),
        clean(found),
    );
    Some(Finding::new(
        Anomaly::Nondeterminism,
        match unrepeated {
            Some(_) => "nondeterminism: a failure that does not repeat".to_owned(),
            None if *kept => "nondeterminism: state is kept from one execution to the next".to_owned(),
            None => "nondeterminism: two runs of one schedule differ".to_owned(),
        },
        paragraph,
    ))
}
