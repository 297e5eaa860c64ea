//! The front end itself: see the crate's documentation.
#![cfg_attr(
    not(feature = "interpose"),
    allow(dead_code, reason = "nothing calls in where nothing is exported")
)]

mod accesses;
mod arena;
mod barriers;
mod blocks;
mod border;
mod cells;
mod crowds;
mod driver;
mod entries;
mod events;
mod exhaustive;
mod freed;
mod futex;
mod heap;
mod instruction;
#[doc(hidden)]
pub mod interpose;
mod kinds;
mod known;
mod missed;
mod naming;
mod output;
mod places;
mod process;
mod real;
mod repair;
mod roles;
mod rounds;
mod segments;
mod shadow;
mod sites;
mod stacks;
mod state;
mod threads;
mod words;
