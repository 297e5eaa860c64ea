//! Tests of the library as its users see it lie in `tests/tests`, benchmarks in `tests/benches`,
//! litmus files in `tests/litmus`; tests of the binary lie in `tests/cli` and belong to the package
//! `racefuzz-cli`, which builds it. What tests of several packages have in common is here.

pub mod defects;
