//! The machine-readable form.
#![cfg(feature = "json")]

use crate::fixture::stories;
use racefuzz_report::json;
use racefuzz_trace::RunReport;

#[test]
fn the_report_and_its_explanation() {
    let (fixture, failure) = stories::refcount();
    let text = json(&fixture.report(failure), &fixture);
    insta::with_settings!({
        snapshot_path => "../../../../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("report__json", text);
    });
}

#[test]
fn the_report_inside_reads_back() {
    for (name, (fixture, failure)) in stories::all() {
        let report = fixture.report(failure);
        let value: serde_json::Value = serde_json::from_str(&json(&report, &fixture)).unwrap();
        assert_eq!(value["format"], "racefuzz-report");
        assert_eq!(value["version"], 1);
        let explanation = &value["explanations"][0];
        assert!(explanation["name"].is_string(), "{name}");
        assert!(explanation["explanation"]["thread_names"][0].is_string(), "{name}");
        let back: RunReport = serde_json::from_value(value["report"].clone()).unwrap();
        assert_eq!(back, report, "{name}");
    }
}
