//! The formats: each is one file with a function from a document to text, and one line in the table.

#[cfg(feature = "json")]
mod table;
pub(crate) mod text;

#[cfg(feature = "json")]
mod dot;
#[cfg(feature = "json")]
mod html;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "json")]
mod junit;
#[cfg(feature = "json")]
mod mermaid;
#[cfg(feature = "json")]
mod perfetto;
#[cfg(feature = "json")]
mod sarif;
#[cfg(feature = "json")]
mod screen;
#[cfg(feature = "json")]
mod story;

#[cfg(feature = "json")]
pub use junit::{TestCase, junit_suite};
#[cfg(feature = "json")]
pub use screen::Stepper;
#[cfg(feature = "json")]
pub use table::{Format, UnknownFormat, combine, render};
