//! The page: one file with everything in it, to step through a failure in a browser.
//!
//! What it shows is computed here and embedded as JSON ([`data`]); the scripts in `page/` only lay it
//! out. They are plain JavaScript, put together as they are: nothing has to be built. The page loads
//! nothing, and its policy forbids it to.

mod audited;
mod data;
mod repairs;
pub(super) mod sources;
pub(super) mod stepping;

use super::text;
use crate::{Document, Style};

const PAGE: &str = include_str!("../../../page/page.html");
const STYLE: &str = include_str!("../../../page/page.css");

/// The scripts, in the order in which they are run.
const SCRIPTS: &[&str] = &[
    include_str!("../../../page/model.js"),
    include_str!("../../../page/elements.js"),
    include_str!("../../../page/trace.js"),
    include_str!("../../../page/panes.js"),
    include_str!("../../../page/proposals.js"),
    include_str!("../../../page/main.js"),
];

pub(super) fn render(document: &Document<'_>) -> String {
    let data = data::data(document);
    let json = serde_json::to_string(&data).expect("strings, numbers, lists and string keys only");
    let plain = text::render(document, &Style::default());
    let title = format!("{}: {}", document.content.program(), data.verdict.headline);
    let mut out = String::with_capacity(PAGE.len() + STYLE.len() + json.len() + 65536);
    for (at, part) in PAGE.split("{{").enumerate() {
        let (name, rest) = if at == 0 { ("", part) } else { part.split_once("}}").unwrap_or(("", part)) };
        match name {
            "title" => out.push_str(&escape(&title)),
            "style" => out.push_str(STYLE),
            "text" => out.push_str(&escape(&plain)),
            "data" => out.push_str(&in_script(&json)),
            "scripts" => SCRIPTS.iter().for_each(|script| out.push_str(script)),
            _ => {}
        }
        out.push_str(rest);
    }
    out
}

/// Text as HTML holds it, in ASCII.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_ascii() => out.push(c),
            c => out.push_str(&format!("&#{};", u32::from(c))),
        }
    }
    out
}

/// JSON as a script element holds it: nothing in it ends the element, and all is ASCII.
fn in_script(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if c.is_ascii() => out.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_program_is_taken_for_markup() {
        assert_eq!(in_script(r#"{"a":"</script>é"}"#), r#"{"a":"\u003c/script\u003e\u00e9"}"#);
        assert_eq!(escape("<b> & \u{279c}"), "&lt;b&gt; &amp; &#10140;");
    }

    #[test]
    fn scripts_end_no_element_and_are_ascii() {
        for part in SCRIPTS.iter().chain([&STYLE, &PAGE]) {
            assert!(part.is_ascii());
        }
        assert!(SCRIPTS.iter().all(|script| !script.contains("</") && !script.contains("<!--")));
    }
}
