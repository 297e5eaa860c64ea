//! The independent judge against published counts, and racefuzz against the judge.

mod litmus;
mod random;
mod sampled;
mod tso;
mod waiting;
