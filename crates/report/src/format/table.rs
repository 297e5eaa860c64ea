//! The table of formats.

use super::{dot, html, json, junit, mermaid, perfetto, sarif, text};
use crate::{Document, Style};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// How a format is made.
struct Entry {
    name: &'static str,
    /// What names of files end in that hold it, the usual one first.
    endings: &'static [&'static str],
    render: fn(&Document<'_>, &Style) -> String,
}

macro_rules! formats {
    ($($(#[$doc:meta])* $format:ident = $name:literal, $endings:expr, $render:expr;)*) => {
        /// A form of a report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Format { $($(#[$doc])* $format,)* }

        impl Format {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$format,)*];

            /// Their names.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            fn entry(self) -> &'static Entry {
                match self {
                    $(Self::$format => &const { Entry { name: $name, endings: &$endings, render: $render } },)*
                }
            }
        }
    };
}

formats! {
    /// Text for people.
    Text = "text", [".txt"], text::render;
    /// A page to step through the failure in a browser; one file that needs nothing else.
    Html = "html", [".html", ".htm"], |document, _| html::render(document);
    /// Everything that is known, for programs; its schema is published with the book.
    Json = "json", [".json"], |document, _| json::render(document);
    /// SARIF 2.1.0, for code scanning and editors.
    Sarif = "sarif", [".sarif", ".sarif.json"], |document, _| sarif::render(document);
    /// Chrome's trace events, for Perfetto: a track for each thread, a microsecond for each step.
    Perfetto = "perfetto", [".perfetto.json", ".trace.json"], |document, _| perfetto::render(document);
    /// Graphviz: the execution graph.
    Dot = "dot", [".dot", ".gv"], |document, _| dot::render(document);
    /// Mermaid: the interleaving as a sequence diagram.
    Mermaid = "mermaid", [".mmd", ".mermaid"], |document, _| mermaid::render(document);
    /// JUnit's XML: one test case.
    Junit = "junit", [".xml"], |document, _| junit::render(document);
}

impl Format {
    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// What the name of a file ends in that holds it, such as `.html`.
    pub fn ending(self) -> &'static str {
        self.entry().endings[0]
    }

    /// The format that the name of a file stands for, if any: the longest ending decides.
    pub fn of_file(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let endings =
            Self::ALL.iter().flat_map(|format| format.entry().endings.iter().map(|end| (*format, *end)));
        let fitting = endings.filter(|(_, ending)| name.ends_with(ending) && name.len() > ending.len());
        fitting.max_by_key(|(_, ending)| ending.len()).map(|(format, _)| format)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no format has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFormat;

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no format; there are {}", Format::NAMES.join(", "))
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.iter().copied().find(|format| format.name() == name).ok_or(UnknownFormat)
    }
}

/// The document in a format, with a newline at its end. The style is that of text; no other format looks
/// at it.
pub fn render(document: &Document<'_>, format: Format, style: &Style) -> String {
    (format.entry().render)(document, style)
}

/// Documents of one format in one: of several tests, each by its package. `None` where a format has no
/// way to hold several, or one of them is not what [`render`] makes.
pub fn combine(format: Format, documents: &[(&str, String)]) -> Option<String> {
    match format {
        Format::Json => json::combine(documents),
        Format::Sarif => sarif::combine(documents),
        Format::Junit => Some(junit::combine(documents)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_ending_decides() {
        let of = |name: &str| Format::of_file(Path::new(name));
        assert_eq!(of("a/FAIL.json"), Some(Format::Json));
        assert_eq!(of("FAIL.sarif.json"), Some(Format::Sarif));
        assert_eq!(of("FAIL.perfetto.json"), Some(Format::Perfetto));
        assert_eq!(of("FAIL.PERFETTO.JSON"), Some(Format::Perfetto));
        assert_eq!(of("FAIL"), None);
        assert_eq!(of(".json"), None);
        assert_eq!(of("FAIL.pdf"), None);
    }

    #[test]
    fn every_format_is_found_by_its_name_and_ending() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(*format));
            assert_eq!(Format::of_file(Path::new(&format!("x{}", format.ending()))), Some(*format));
        }
    }
}
