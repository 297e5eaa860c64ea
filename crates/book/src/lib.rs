//! The book of racefuzz. Its text lies in `text/`, and `mdbook build crates/book` makes pages of it.
//!
//! Here each chapter is the documentation of a module, so that the Rust in it is compiled and run with
//! the other tests. Commands and their output are compared by the tests of the command line.
#![forbid(unsafe_code)]

macro_rules! chapters {
    ($($(#[$doc:meta])* $name:ident: $file:literal;)*) => {$(
        $(#[$doc])*
        #[doc = include_str!(concat!("../text/", $file))]
        pub mod $name {}
    )*};
}

chapters! {
    introduction: "introduction.md";
    start: "start.md";
    tutorial: "tutorial.md";
    unmodified: "unmodified.md";
    imports: "imports.md";
    continuous_integration: "ci.md";
    commands: "commands.md";
    agents: "agents.md";
    strategies: "strategies.md";
    traces: "traces.md";
    reports: "reports.md";
    anomalies: "anomalies.md";
    repairs: "repairs.md";
    memory_models: "memory-models.md";
    counting: "counting.md";
    other_tools: "other-tools.md";
    figures: "figures.md";
    limits: "limits.md";
    questions: "faq.md";
    reference: "reference.md";
}
