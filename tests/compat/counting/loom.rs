// The real loom, with the executions of each model counted. `count.rs` goes before.

pub use real::*;

pub use crate::model::model;

pub mod model {
    use super::Count;
    use std::ops::{Deref, DerefMut};

    pub fn model<F: Fn() + Sync + Send + 'static>(f: F) {
        let (_count, f) = Count::of(f);
        real::model(f);
    }

    #[derive(Debug)]
    pub struct Builder(real::model::Builder);

    impl Builder {
        pub fn new() -> Self {
            Self(real::model::Builder::new())
        }

        pub fn check<F: Fn() + Sync + Send + 'static>(&self, f: F) {
            let (_count, f) = Count::of(f);
            self.0.check(f);
        }
    }

    impl Default for Builder {
        fn default() -> Self {
            Self(real::model::Builder::default())
        }
    }

    impl Deref for Builder {
        type Target = real::model::Builder;
        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }

    impl DerefMut for Builder {
        fn deref_mut(&mut self) -> &mut Self::Target {
            &mut self.0
        }
    }
}
