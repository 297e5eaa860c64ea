//! The forms a report takes; each is made from the same [`Explanation`](crate::Explanation).

#[cfg(feature = "json")]
pub(crate) mod json;
pub(crate) mod text;
