//! What README and the book name exists, and their links lead somewhere.

use crate::support::markdown::{document, documents};
use crate::support::scenarios;

#[test]
fn every_scenario_that_is_named_exists() {
    let known: Vec<String> = scenarios().iter().map(|scenario| scenario["name"].to_string()).collect();
    for row in document("anomalies.md").text().lines().filter(|line| line.starts_with("| ")).skip(2) {
        let names = row.rsplit('|').skip(1).take(2).map(|cell| cell.trim().replace('`', "\""));
        for name in names {
            assert!(known.contains(&name), "{name}");
        }
    }
}

#[test]
fn links_lead_to_files() {
    let mut found = 0;
    for document in documents() {
        let folder = document.path().parent().unwrap();
        for (_, rest) in document.text().split("](").skip(1).map(|rest| rest.split_at(0)) {
            let target = rest.split(')').next().unwrap();
            let file = target.split('#').next().unwrap();
            if !target.starts_with("http") && !file.is_empty() {
                assert!(folder.join(file).is_file(), "{}: {target}", document.path().display());
                found += 1;
            }
        }
    }
    assert!(found > 20);
}

#[test]
fn every_chapter_is_in_the_table_of_contents_and_among_the_examples() {
    let contents = document("SUMMARY.md");
    let examples = std::fs::read_to_string(contents.path().with_file_name("../src/lib.rs")).unwrap();
    for document in documents().iter().skip(1) {
        let name = document.path().file_name().unwrap().to_str().unwrap();
        let stands =
            |text: &str| text.contains(&format!("({name})")) || text.contains(&format!("\"{name}\""));
        assert!(name == "SUMMARY.md" || stands(contents.text()) && stands(&examples), "{name}");
    }
}
