//! The forms that other tools open.
#![cfg(feature = "json")]

use crate::fixture::{Fixture, stories};
use racefuzz_report::{Content, Document, Format, Style, combine, render};
use racefuzz_trace::{Failure, RunReport};
use serde_json::Value;
use std::collections::BTreeMap;

fn snapshot(name: &str, content: &str) {
    insta::with_settings!({
        snapshot_path => "../../../../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(format!("report__{name}"), content);
    });
}

fn rendered(fixture: &Fixture, failure: &Failure, format: Format) -> String {
    let report = fixture.report(failure.clone());
    let next = fixture.next(&report);
    render(
        &Document { content: Content::Run(&report), sources: fixture, next: &next },
        format,
        &Style::default(),
    )
}

/// A run that found nothing.
fn passed() -> RunReport {
    let (fixture, failure) = stories::refcount();
    let report = fixture.report(failure);
    RunReport { outcome: racefuzz_trace::Outcome::Passed, failures: Vec::new(), ..report }
}

#[test]
fn each_format_of_several_kinds_of_failure() {
    let shown =
        ["lost_update", "lost_update_tasks", "deadlock_cycle", "lost_wake_up", "unsafe_publication", "leak"];
    for (name, (fixture, failure)) in stories::all().into_iter().filter(|(name, _)| shown.contains(name)) {
        for format in [Format::Sarif, Format::Perfetto, Format::Dot, Format::Mermaid] {
            snapshot(&format!("{name}_{format}"), &rendered(&fixture, &failure, format));
        }
    }
    let (fixture, failure) = stories::refcount();
    snapshot("json", &rendered(&fixture, &failure, Format::Json));
    snapshot("lost_update_junit", &rendered(&fixture, &failure, Format::Junit));
}

#[test]
fn without_a_failure_there_is_a_document_all_the_same() {
    let report = passed();
    let document = Document { content: Content::Run(&report), sources: &(), next: &[] };
    let text = |format| render(&document, format, &Style::default());
    assert!(text(Format::Dot).contains("no failure to draw"));
    assert!(text(Format::Mermaid).contains("no failure to draw"));
    assert!(text(Format::Junit).contains("tests=\"1\" failures=\"0\""));
    let log: Value = serde_json::from_str(&text(Format::Sarif)).unwrap();
    assert_eq!(log["runs"][0]["results"], Value::Array(Vec::new()));
}

#[test]
fn the_report_inside_json_reads_back() {
    for (name, (fixture, failure)) in stories::all() {
        let value: Value = serde_json::from_str(&rendered(&fixture, &failure, Format::Json)).unwrap();
        assert_eq!(value["format"], "racefuzz-report");
        assert_eq!(value["version"], 1);
        let explanation = &value["explanations"][0];
        assert!(explanation["name"].is_string(), "{name}");
        assert!(explanation["explanation"]["thread_names"][0].is_string(), "{name}");
        let back: RunReport = serde_json::from_value(value["report"].clone()).unwrap();
        assert_eq!(back, fixture.report(failure), "{name}");
    }
}

/// The data that a page embeds.
fn embedded(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn what_a_page_shows() {
    for (name, (fixture, failure)) in stories::all() {
        let page = rendered(&fixture, &failure, Format::Html);
        assert!(page.is_ascii() && page.len() < 300_000, "{name}: {} bytes", page.len());
        let data = embedded(&page);
        if ["lost_update", "unsafe_publication", "deadlock_cycle"].contains(&name) {
            snapshot(&format!("{name}_page"), &format!("{data:#}"));
        }
        // Everything on the page that has a number is an event that one can step to.
        let stepping = &data["stepping"];
        let steps: Vec<&Value> =
            stepping["events"].as_array().unwrap().iter().map(|event| &event["step"]).collect();
        for row in stepping["rows"].as_array().unwrap() {
            assert!(row["step"].is_null() || steps.contains(&&row["step"]), "{name}: {row}");
            assert_eq!(row["kind"] == "step", row["number"].is_u64(), "{name}: {row}");
        }
        let edges = stepping["modification"]
            .as_array()
            .unwrap()
            .iter()
            .chain(stepping["synchronizes"].as_array().unwrap());
        for edge in edges {
            assert!(steps.contains(&&edge[0]) && steps.contains(&&edge[1]), "{name}: {edge}");
        }
    }
    let report = passed();
    let document = Document { content: Content::Run(&report), sources: &(), next: &[] };
    assert!(embedded(&render(&document, Format::Html, &Style::default()))["stepping"].is_null());
}

/// What happens before what on the page is a strict order that program order, reads that acquire and
/// everything else that synchronises are part of.
#[test]
fn happens_before_is_an_order() {
    for (name, (fixture, failure)) in stories::all() {
        let data = embedded(&rendered(&fixture, &failure, Format::Html));
        let events = data["stepping"]["events"].as_array().unwrap();
        let before: BTreeMap<u64, Vec<u64>> = events
            .iter()
            .map(|event| {
                let after = event["after"].as_array().unwrap().iter().map(|step| step.as_u64().unwrap());
                (event["step"].as_u64().unwrap(), after.collect())
            })
            .collect();
        let rows: Vec<u64> = data["stepping"]["rows"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|row| row["step"].as_u64())
            .collect();
        let thread = |step: u64| events.iter().find(|event| event["step"] == step).unwrap()["thread"].clone();
        for (step, known) in &before {
            for first in known {
                assert!(first < step, "{name}: {first} before {step}");
                assert!(
                    before[first].iter().all(|earlier| known.contains(earlier)),
                    "{name}: {first}, {step}"
                );
            }
            let own = rows.iter().filter(|row| *row < step && thread(**row) == thread(*step));
            assert!(own.into_iter().all(|row| known.contains(row)), "{name}: {step}");
        }
        for edge in data["stepping"]["synchronizes"].as_array().unwrap() {
            let (from, to) = (edge[0].as_u64().unwrap(), edge[1].as_u64().unwrap());
            assert!(!rows.contains(&from) || before[&to].contains(&from), "{name}: {edge}");
        }
    }
}

/// What Chrome's format asks for: slices of a thread do not overlap but nest, and each arrow has a begin
/// and an end, each inside a slice of its thread, the end not before the begin.
#[test]
fn slices_and_arrows_are_well_formed() {
    for (name, (fixture, failure)) in stories::all() {
        let trace: Value = serde_json::from_str(&rendered(&fixture, &failure, Format::Perfetto)).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let number =
            |event: &Value, key: &str| event[key].as_u64().unwrap_or_else(|| panic!("{name}: {event}"));
        let mut slices: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
        for slice in events.iter().filter(|event| event["ph"] == "X") {
            let (from, long) = (number(slice, "ts"), number(slice, "dur"));
            slices.entry(number(slice, "tid")).or_default().push((from, from + long));
        }
        for slices in slices.values_mut() {
            slices.sort_unstable();
            assert!(slices.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{name}: {slices:?}");
        }
        let inside = |event: &Value| {
            let ts = number(event, "ts");
            slices[&number(event, "tid")].iter().any(|(from, until)| (*from..*until).contains(&ts))
        };
        let mut open: BTreeMap<String, u64> = BTreeMap::new();
        for arrow in events.iter().filter(|event| event["cat"] == "flow") {
            assert!(inside(arrow), "{name}: {arrow}");
            let id = arrow["id"].as_str().unwrap().to_owned();
            match arrow["ph"].as_str() {
                Some("s") => assert_eq!(open.insert(id, number(arrow, "ts")), None, "{name}"),
                _ => assert!(open.remove(&id).unwrap() < number(arrow, "ts"), "{name}: {arrow}"),
            }
        }
        assert!(open.is_empty(), "{name}: {open:?}");
    }
}

/// One flow for each thread, whose places stand in the order of execution.
#[test]
fn code_flows_interleave() {
    for (name, (fixture, failure)) in stories::all() {
        let log: Value = serde_json::from_str(&rendered(&fixture, &failure, Format::Sarif)).unwrap();
        let result = &log["runs"][0]["results"][0];
        assert!(log["runs"][0]["tool"]["driver"]["rules"][0]["id"] == result["ruleId"], "{name}");
        let flows = result["codeFlows"][0]["threadFlows"].as_array().unwrap();
        let mut all = Vec::new();
        for flow in flows {
            let orders = flow["locations"].as_array().unwrap().iter();
            let orders: Vec<u64> = orders.filter_map(|place| place["executionOrder"].as_u64()).collect();
            assert!(orders.is_sorted_by(|one, next| one < next), "{name}: {orders:?}");
            all.extend(orders);
        }
        all.sort_unstable();
        assert!(all.is_sorted_by(|one, next| one < next), "{name}: no two steps at once");
    }
}

/// The fingerprint is that of the bug: where it stands in the file and how it was found do not matter.
#[test]
fn fingerprints_stay_the_same_when_lines_move() {
    let print = |fixture: &Fixture, failure: &Failure| {
        let log: Value = serde_json::from_str(&rendered(fixture, failure, Format::Sarif)).unwrap();
        log["runs"][0]["results"][0]["partialFingerprints"]["racefuzzStory/v1"].as_str().unwrap().to_owned()
    };
    let (fixture, failure) = stories::refcount();
    let known = print(&fixture, &failure);
    let (mut moved, mut other) = stories::refcount();
    moved.source = Box::leak(format!("\n\n\n{}", fixture.source).into_boxed_str());
    other.trace.sites.iter_mut().for_each(|site| site.line += 3);
    other.iteration += 100;
    assert_eq!(print(&moved, &other), known);
    let all = stories::all();
    let mut prints: Vec<String> = all.iter().map(|(_, (fixture, failure))| print(fixture, failure)).collect();
    let stories = prints.len();
    prints.sort_unstable();
    prints.dedup();
    assert!(prints.len() * 10 >= stories * 9, "different bugs are told apart: {} of {stories}", prints.len());
}

#[test]
fn documents_of_several_tests_are_put_together() {
    let documents = |format| {
        stories::all()
            .into_iter()
            .take(3)
            .map(|(_, (fixture, failure))| ("mine", rendered(&fixture, &failure, format)))
            .collect::<Vec<_>>()
    };
    let json: Value =
        serde_json::from_str(&combine(Format::Json, &documents(Format::Json)).unwrap()).unwrap();
    assert_eq!(json["tests"].as_array().unwrap().len(), 3);
    assert_eq!(json["tests"][2]["package"], "mine");
    let log: Value =
        serde_json::from_str(&combine(Format::Sarif, &documents(Format::Sarif)).unwrap()).unwrap();
    assert_eq!(log["runs"].as_array().unwrap().len(), 1);
    assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 3);
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 1, "each rule once: {rules:?}");
    let xml = combine(Format::Junit, &documents(Format::Junit)).unwrap();
    assert_eq!(xml.matches("<testsuite name=\"mine\"").count(), 3);
    assert_eq!(xml.matches("<testsuites>").count(), 1);
    assert!(combine(Format::Dot, &documents(Format::Dot)).is_none());
}
