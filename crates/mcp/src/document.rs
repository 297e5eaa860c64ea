//! The documents that the command line prints, as far as results are made of them.

use crate::command::Failed;
use racefuzz_trace::{FixReport, RunReport};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What `run`, `check` and `replay` print.
#[derive(Debug, Deserialize)]
pub(crate) struct RunDocument {
    pub(crate) report: RunReport,
    #[serde(default)]
    pub(crate) explanations: Vec<Explained>,
}

/// What `fix` prints.
#[derive(Debug, Deserialize)]
pub(crate) struct FixDocument {
    pub(crate) report: FixReport,
    #[serde(default)]
    pub(crate) explanation: Option<Explanation>,
}

/// What is said of a failure.
#[derive(Debug, Deserialize)]
pub(crate) struct Explained {
    pub(crate) name: String,
    pub(crate) token: Option<String>,
    pub(crate) explanation: Explanation,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Explanation {
    pub(crate) headline: String,
    pub(crate) paragraph: String,
    pub(crate) decision: Option<String>,
    pub(crate) objects: Vec<usize>,
    pub(crate) rows: Vec<Row>,
    pub(crate) thread_names: Vec<String>,
    pub(crate) object_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) number: Option<u32>,
    pub(crate) thread: Option<usize>,
    pub(crate) site: Option<usize>,
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) states: Vec<String>,
    #[serde(default)]
    pub(crate) marks: Vec<String>,
}

/// What `list` prints.
#[derive(Debug, Deserialize)]
pub(crate) struct ListDocument {
    pub(crate) scenarios: Vec<Value>,
}

/// The printed document, or those of several tests.
///
/// # Errors
/// If it is not what was expected: the command line is of another version.
pub(crate) fn read_all<T: DeserializeOwned>(printed: &str) -> Result<Vec<T>, Failed> {
    let value: Value = serde_json::from_str(printed).map_err(|error| unexpected(&error))?;
    let documents = match value.get("tests").and_then(Value::as_array) {
        Some(tests) => tests.iter().filter_map(|test| test.get("report").cloned()).collect(),
        None => vec![value],
    };
    let read = |document| serde_json::from_value(document).map_err(|error| unexpected(&error));
    documents.into_iter().map(read).collect()
}

/// The only document that is printed.
///
/// # Errors
/// As [`read_all`]; if there are several.
pub(crate) fn read<T: DeserializeOwned>(printed: &str) -> Result<T, Failed> {
    let mut documents = read_all(printed)?;
    match (documents.pop(), documents.len()) {
        (Some(document), 0) => Ok(document),
        (None, _) => Err(Failed("no test has anything to show".to_owned())),
        (Some(_), others) => Err(Failed(format!("{} tests have reports: name one of them", others + 1))),
    }
}

fn unexpected(error: &serde_json::Error) -> Failed {
    Failed(format!(
        "the command line does not print what this server reads ({error}): are both of one version?"
    ))
}
