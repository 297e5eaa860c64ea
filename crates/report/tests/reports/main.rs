//! What reports say, of stories that are written down and of any trace.

mod fixture;
mod formats;
mod large;
mod precision;
mod properties;
mod screen;
mod text;
