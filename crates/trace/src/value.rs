//! Values as they appear in a trace: no addresses, nothing that differs between machines.

use std::fmt;

/// A value that an event read or wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Value {
    /// An integer of any width and sign.
    Int(i128),
    /// A boolean.
    Bool(bool),
    /// The null pointer.
    Null,
    /// A pointer, numbered from 1 in the order in which the trace first shows it.
    Pointer(u32),
    /// Anything else, in its `Debug` form.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Null => f.write_str("null"),
            Self::Pointer(number) => write!(f, "ptr#{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}
