//! Small dense identifiers, each valid within one execution.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
        pub struct $name(pub u32);

        impl $name {
            /// The identifier as an index into the table it names.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id! {
    /// A thread, numbered in the order of creation; the thread that runs the program's closure is 0.
    ThreadId
}
id! {
    /// A shared object, numbered in the order of first use.
    ObjectId
}
id! {
    /// A source location, an index into [`Trace::sites`](crate::Trace::sites).
    SiteId
}

impl ThreadId {
    /// The thread that runs the program's closure.
    pub const ROOT: Self = Self(0);
}
