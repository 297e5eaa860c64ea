//! SARIF 2.1.0 (OASIS), for code scanning and editors: a result for each failure, with its trace as a
//! code flow of one thread flow per thread, and the repairs that can be typed in as fixes; for an audit,
//! a result for each piece of synchronisation that does not do what it is for.

use super::json;
use super::story::Story;
use super::text::audit_words;
use crate::repair::replacements;
use crate::{Content, Document, RowKind, Sources};
use racefuzz_trace::{AuditReport, Audited, Finding, FixReport, Outcome, Site, Subject, ThreadId};
use serde_json::{Map, Value, json};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn render(document: &Document<'_>) -> String {
    let mut log = Log::default();
    for failure in document.content.failures() {
        let story = Story::new(failure, document.sources);
        let mut result = log.failure(document, &story);
        if let Content::Fix(report) = document.content {
            result["fixes"] = fixes(report, document.sources);
        }
        log.results.push(result);
    }
    if let Content::Audit(report) = document.content {
        log.audit(report, document.sources);
    }
    if let Some(why) = why_incomplete(document.content) {
        log.notes.push(json!({ "level": "warning", "message": { "text": why } }));
    }
    json::pretty(&log.into_value())
}

/// One log with the results of several.
pub(super) fn combine(documents: &[(&str, String)]) -> Option<String> {
    let mut all = Log::default();
    for (_, text) in documents {
        let log: Value = serde_json::from_str(text).ok()?;
        let run = log.get("runs")?.get(0)?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        all.results.extend(list(&run["results"]));
        for rule in list(&run["tool"]["driver"]["rules"]) {
            all.add_rule(rule);
        }
        all.notes.extend(list(&run["invocations"][0]["toolExecutionNotifications"]));
    }
    Some(json::pretty(&all.into_value()))
}

fn why_incomplete(content: Content<'_>) -> Option<String> {
    let incomplete = match content {
        Content::Run(report) => report.outcome == Outcome::Incomplete,
        Content::Fix(_) | Content::Audit(_) => content.stopped().is_some(),
    };
    let why = content.stopped().unwrap_or("not everything was explored");
    incomplete.then(|| format!("{}: {why}", content.program()))
}

/// What becomes the one run of a log.
#[derive(Default)]
struct Log {
    results: Vec<Value>,
    rules: Vec<Value>,
    notes: Vec<Value>,
}

impl Log {
    fn add_rule(&mut self, rule: Value) {
        if !self.rules.iter().any(|known| known["id"] == rule["id"]) {
            self.rules.push(rule);
        }
    }

    fn into_value(self) -> Value {
        let mut invocation = json!({ "executionSuccessful": true });
        if !self.notes.is_empty() {
            invocation["toolExecutionNotifications"] = self.notes.into();
        }
        json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "racefuzz",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "informationUri": env!("CARGO_PKG_HOMEPAGE"),
                    "rules": self.rules,
                } },
                "columnKind": "unicodeCodePoints",
                "invocations": [invocation],
                "results": self.results,
            }],
        })
    }

    fn failure(&mut self, document: &Document<'_>, story: &Story<'_>) -> Value {
        let told = &story.told;
        let id = told.anomaly.id();
        self.add_rule(json!({
            "id": id,
            "shortDescription": { "text": told.anomaly.name() },
            "fullDescription": { "text": told.anomaly.description() },
            "defaultConfiguration": { "level": "error" },
        }));
        // The last place of a story is where it ends: the access that should not have been.
        let places: Vec<(&Site, &str)> = told
            .places
            .iter()
            .filter_map(|place| Some((story.site(place.site)?, place.label.as_str())))
            .collect();
        let from_rows = || told.rows.iter().rev().find_map(|row| story.site(row.site?));
        let primary = places.last().map(|(site, _)| *site).or_else(from_rows);
        let text = format!("{}. {}", told.headline, told.paragraph);
        let mut result = json!({
            "ruleId": id,
            "level": "error",
            "kind": "fail",
            "message": { "text": text },
            "partialFingerprints": { "racefuzzStory/v1": fingerprint(story, &places, document.sources) },
            "codeFlows": [{
                "message": { "text": told.decision.as_deref().unwrap_or("the interleaving that fails") },
                "threadFlows": thread_flows(story),
            }],
        });
        result["locations"] =
            primary.map(|site| json!({ "physicalLocation": physical(site) })).into_iter().collect();
        let related = places.iter().filter(|(site, label)| !label.is_empty() || Some(*site) != primary);
        let related = related.zip(0..).map(|((site, label), id)| {
            let mut location = json!({ "id": id, "physicalLocation": physical(site) });
            if !label.is_empty() {
                location["message"] = json!({ "text": label });
            }
            location
        });
        result["relatedLocations"] = related.collect();
        let mut properties = Map::new();
        properties.insert("program".into(), document.content.program().into());
        if let Some(token) = story.token() {
            properties.insert("token".into(), token.into());
        }
        for command in document.next {
            properties.insert(command.label.clone(), command.line.as_str().into());
        }
        result["properties"] = properties.into();
        result
    }

    fn audit(&mut self, report: &AuditReport, sources: &dyn Sources) {
        for audited in &report.audited {
            let (rule, level, about) = match &audited.finding {
                Finding::NotNeeded(_) => {
                    ("not-needed", "note", "Synchronisation without which nothing fails.")
                }
                Finding::OrdersNothing => {
                    ("orders-nothing", "note", "A join or ordering that orders no two steps that conflict.")
                }
                Finding::TooLong { .. } => {
                    ("held-too-long", "note", "A lock that could be given back earlier.")
                }
                Finding::NotTaken { .. } => {
                    ("lock-not-respected", "error", "A lock that some threads do not take.")
                }
                Finding::GivenBackBetween { .. } => (
                    "lock-given-back-between",
                    "error",
                    "A lock that is given back between steps that belong together.",
                ),
                Finding::Needed { .. } | Finding::Orders { .. } => continue,
            };
            self.add_rule(json!({
                "id": rule,
                "shortDescription": { "text": rule.replace('-', " ") },
                "fullDescription": { "text": about },
                "defaultConfiguration": { "level": level },
            }));
            let (_, _, text) = audit_words(report, audited, sources);
            let sites = subject_sites(audited);
            let fingerprint = hash(rule, sites.iter().map(|site| line_of(site, sources)));
            let locations: Vec<Value> =
                sites.iter().take(1).map(|site| json!({ "physicalLocation": physical(site) })).collect();
            self.results.push(json!({
                "ruleId": rule,
                "level": level,
                "message": { "text": text },
                "locations": locations,
                "partialFingerprints": { "racefuzzAudit/v1": fingerprint },
                "properties": { "program": report.program },
            }));
        }
    }
}

/// The places of what was audited, the one that a reader is sent to first.
pub(super) fn subject_sites(audited: &Audited) -> Vec<&Site> {
    match &audited.subject {
        Subject::Lock(site) | Subject::Join(site) | Subject::Ordering { site, .. } => vec![site],
        Subject::Locks(sites) => sites.iter().collect(),
        Subject::Guard { lock, taken } => vec![taken, lock],
    }
}

/// One flow for each thread that has rows; the order of execution says how they interleave.
fn thread_flows(story: &Story<'_>) -> Value {
    let order = |at: usize| at + 1;
    let flow = |thread: ThreadId| {
        let rows = story.told.rows.iter().enumerate().filter(|(_, row)| row.thread == Some(thread));
        let locations = rows.filter_map(|(at, row)| {
            let site = story.site(row.site?)?;
            let mut text = row.number.map_or_else(String::new, |number| format!("{number}: "));
            text.push_str(&row.text);
            text.extend(row.marks.iter().map(|mark| format!(" ({mark})")));
            let mut location = json!({
                "executionOrder": order(at),
                "importance": if row.marks.is_empty() { "important" } else { "essential" },
                "location": { "physicalLocation": physical(site), "message": { "text": text } },
            });
            if row.kind == RowKind::Wait {
                location["kinds"] = json!(["lock"]);
            }
            let names = story.told.objects.iter().map(|object| story.view.names.object(*object));
            let state =
                names.zip(&row.states).map(|(name, value)| (name.to_owned(), json!({ "text": value })));
            let state: Map<String, Value> = state.collect();
            if !state.is_empty() {
                location["state"] = state.into();
            }
            Some(location)
        });
        let locations: Vec<Value> = locations.collect();
        let name = story.view.thread(thread);
        (!locations.is_empty())
            .then(|| json!({ "id": name, "message": { "text": name }, "locations": locations }))
    };
    let flows: Vec<Value> = story.told.threads().into_iter().filter_map(flow).collect();
    // A code flow has at least one thread flow, and that at least one location.
    if flows.is_empty() {
        let text = json!({ "text": story.told.headline });
        return json!([{ "id": "main", "locations": [{ "location": { "message": text } }] }]);
    }
    flows.into()
}

fn physical(site: &Site) -> Value {
    json!({
        "artifactLocation": { "uri": uri(&site.file) },
        "region": { "startLine": site.line.max(1), "startColumn": site.column.max(1) },
    })
}

/// A path as a relative reference: bytes that a URI does not have are escaped.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'/'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'+'
            | b'@'
            | b'=' => {
                out.push(byte as char);
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The repairs that can be typed in as a whole, best first.
fn fixes(report: &FixReport, sources: &dyn Sources) -> Value {
    let fixes = crate::patches(report, sources).into_iter().map(|patch| {
        let fix = &report.fixes[patch.number - 1];
        let changes = patch.files.iter().filter_map(|(file, new)| {
            let old = sources.text(file)?;
            let replaced = replacements(&old, new).into_iter().map(|replacement| {
                let mut deleted = json!({ "startLine": replacement.first, "startColumn": 1 });
                deleted["endLine"] = replacement.end.into();
                deleted["endColumn"] = 1.into();
                json!({ "deletedRegion": deleted, "insertedContent": { "text": replacement.text } })
            });
            let replaced: Vec<Value> = replaced.collect();
            Some(json!({ "artifactLocation": { "uri": uri(file) }, "replacements": replaced }))
        });
        let changes: Vec<Value> = changes.collect();
        let text = format!("{}: {}", fix.kind.word(), super::text::title(fix, sources));
        json!({ "description": { "text": text }, "artifactChanges": changes })
    });
    fixes.collect()
}

/// What stays the same from run to run as long as the bug does: not the schedule, not a line's number.
fn fingerprint(story: &Story<'_>, places: &[(&Site, &str)], sources: &dyn Sources) -> String {
    let lines = places.iter().map(|(site, _)| line_of(site, sources));
    let objects = story.told.objects.iter().map(|object| story.view.names.object(*object).to_owned());
    hash(&story.told.anomaly.id(), lines.chain(objects))
}

/// A place by its file and the text of its line.
fn line_of(site: &Site, sources: &dyn Sources) -> String {
    let text = sources.text(&site.file);
    let line = text.as_deref().and_then(|text| text.lines().nth((site.line as usize).checked_sub(1)?));
    let line = line.map_or_else(|| site.line.to_string(), |line| line.trim().to_owned());
    format!("{}: {line}", site.file)
}

/// FNV-1a over the parts, each ended by a zero.
fn hash(rule: &str, parts: impl IntoIterator<Item = String>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in std::iter::once(rule.to_owned()).chain(parts) {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}
