//! What racefuzz cannot see: foreign threads, blocking calls of the standard library, silent loops,
//! exhausted stacks, signals.

use super::Finding;
use crate::explanation::Anomaly;
use crate::view::View;
use crate::words::clean;
use racefuzz_trace::{FailureDetail, Site, Unseen};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let FailureDetail::Unseen(unseen) = &view.failure.detail else { return None };
    let (headline, paragraph) = match unseen {
        Unseen::ForeignThread { thread, verb, object, site } => {
            let thread = clean(thread);
            let object = object.as_ref().map_or_else(
                || "racefuzz's types".to_owned(),
                |object| match &object.name {
                    Some(name) => format!("`{}`", clean(name)),
                    None => format!("the {} made at {}", object.kind.word(), object.created),
                },
            );
            let what = verb.map_or_else(String::new, |verb| format!(" ({})", verb.word()));
            (
                format!("a thread that racefuzz does not run uses {object}"),
                format!(
                    "{thread} uses {object} at {site}{what} while an execution runs. racefuzz neither chooses when it \
                     acts nor sees what it does, and the execution does not see what it writes: no verdict can be \
                     given. Threads of the program have to be started with racefuzz's `thread::spawn` or \
                     `thread::scope`."
                ),
            )
        }
        Unseen::Blocked { call, instead, site, after } => {
            let instead = match instead {
                Some(instead) => format!(" Use `{instead}` in its place."),
                None => String::new(),
            };
            (
                format!("`{call}` blocks{}", at(site)),
                format!(
                    "{}, the program waits in `{call}`{}. All threads of the program share one operating-system \
                     thread, so nobody is left to end that wait.{instead}",
                    since(after),
                    called(site),
                ),
            )
        }
        Unseen::SilentLoop { function, site, after } => {
            let function =
                function.as_ref().map_or_else(String::new, |name| format!(" in `{}`", clean(name)));
            (
                format!("a loop that racefuzz does not see{}", at(site)),
                format!(
                    "{}, the program runs{function}{} without a step. It loops without an instrumented operation: \
                     it polls something that racefuzz does not see, or has no end.",
                    since(after),
                    at(site),
                ),
            )
        }
        Unseen::StackOverflow { size, function, site } => {
            let function =
                function.as_ref().map_or_else(String::new, |name| format!(" in `{}`", clean(name)));
            (
                format!("stack overflow{}", at(site)),
                format!(
                    "{} has used up its stack of {} KiB{function}{}. Either the recursion has no end, or the stack is \
                     too small: raise it with `#[racefuzz::test(stack_size = BYTES)]`, the builder's `stack_size`, \
                     `--stack-size` or RACEFUZZ_STACK_SIZE.",
                    view.thread(view.failure.thread),
                    size / 1024,
                    at(site),
                ),
            )
        }
        Unseen::Signal { name } => (
            format!("the program is ended by {name}"),
            format!(
                "{} was ended by the signal {name}. Below is the execution up to there; the process ends by the same \
                 signal.",
                view.thread(view.failure.thread)
            ),
        ),
        other => (other.to_string(), other.to_string()),
    };
    let finding = Finding::new(Anomaly::Unseen, headline, paragraph);
    Some(view.events.last().into_iter().fold(finding, Finding::from))
}

fn at(site: &Option<Site>) -> String {
    site.as_ref().map_or_else(String::new, |site| format!(" at {site}"))
}

fn called(site: &Option<Site>) -> String {
    site.as_ref().map_or_else(String::new, |site| format!(", called at {site}"))
}

fn since(after: &Option<Site>) -> String {
    match after {
        Some(site) => format!("Since its last step, at {site}"),
        None => "Before its first step".to_owned(),
    }
}
