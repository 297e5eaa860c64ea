//! Explorations as a whole: counts, verdicts, and what is kept of them.

mod again;
mod awaited;
mod checkpoint;
mod counted;
mod counts;
mod destructors;
mod freedoms;
mod leftovers;
mod litmus;
mod loops;
mod preemptions;
mod primitives;
mod random;
mod readers;
mod robust;
mod sampling;
mod traces;
mod without_bound;
