//! Time: inside an execution it is virtual, and passes when threads act, sleep or wait.
//!
//! There is no `SystemTime`: what a program reads from the wall clock cannot be repeated.

pub use std::time::Duration;

#[cfg(not(feature = "model"))]
pub use std::time::Instant;

#[cfg(feature = "model")]
pub use self::model::Instant;

#[cfg(feature = "model")]
mod model {
    use super::Duration;
    use racefuzz_runtime::{Absent, ops};
    use std::cmp::Ordering;
    use std::fmt;
    use std::ops::{Add, AddAssign, Sub, SubAssign};

    /// A point in time, as `std::time::Instant`: virtual inside an execution, so that every
    /// execution of a schedule sees the same times.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Instant(Kind);

    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    enum Kind {
        Virtual(Duration),
        Real(std::time::Instant),
    }

    /// When an execution begins: late enough to subtract from.
    const BEGIN: Duration = Duration::from_secs(10 * 365 * 86_400);

    /// What a destructor sees that runs after the end: later than whatever it waits for.
    const AFTER_END: Duration = Duration::from_secs(1_000 * 365 * 86_400);

    const MIXED: &str = "an Instant of an execution and one from outside of it were put together";

    impl Instant {
        /// The present. Looking at it takes a microsecond of virtual time, so that loops that wait
        /// for a time end.
        pub fn now() -> Self {
            Self(match ops::now() {
                Ok(now) => Kind::Virtual(BEGIN + now),
                Err(Absent::TearDown) => Kind::Virtual(AFTER_END),
                Err(Absent::Outside) => Kind::Real(std::time::Instant::now()),
            })
        }

        /// The time since an earlier instant; zero if that is later.
        pub fn duration_since(&self, earlier: Self) -> Duration {
            self.saturating_duration_since(earlier)
        }

        /// The time since an earlier instant; `None` if that is later.
        pub fn checked_duration_since(&self, earlier: Self) -> Option<Duration> {
            match (self.0, earlier.0) {
                (Kind::Virtual(later), Kind::Virtual(earlier)) => later.checked_sub(earlier),
                (Kind::Real(later), Kind::Real(earlier)) => later.checked_duration_since(earlier),
                _ => panic!("{MIXED}"),
            }
        }

        /// The time since an earlier instant; zero if that is later.
        pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
            self.checked_duration_since(earlier).unwrap_or_default()
        }

        /// The time since this instant.
        pub fn elapsed(&self) -> Duration {
            Self::now().duration_since(*self)
        }

        /// The instant `duration` later, if it can be represented.
        pub fn checked_add(&self, duration: Duration) -> Option<Self> {
            Some(Self(match self.0 {
                Kind::Virtual(time) => Kind::Virtual(time.checked_add(duration)?),
                Kind::Real(time) => Kind::Real(time.checked_add(duration)?),
            }))
        }

        /// The instant `duration` earlier, if it can be represented.
        pub fn checked_sub(&self, duration: Duration) -> Option<Self> {
            Some(Self(match self.0 {
                Kind::Virtual(time) => Kind::Virtual(time.checked_sub(duration)?),
                Kind::Real(time) => Kind::Real(time.checked_sub(duration)?),
            }))
        }
    }

    impl Ord for Instant {
        fn cmp(&self, other: &Self) -> Ordering {
            match (self.0, other.0) {
                (Kind::Virtual(mine), Kind::Virtual(other)) => mine.cmp(&other),
                (Kind::Real(mine), Kind::Real(other)) => mine.cmp(&other),
                _ => panic!("{MIXED}"),
            }
        }
    }

    impl PartialOrd for Instant {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Add<Duration> for Instant {
        type Output = Self;

        fn add(self, duration: Duration) -> Self {
            self.checked_add(duration).expect("overflow when adding duration to instant")
        }
    }

    impl AddAssign<Duration> for Instant {
        fn add_assign(&mut self, duration: Duration) {
            *self = *self + duration;
        }
    }

    impl Sub<Duration> for Instant {
        type Output = Self;

        fn sub(self, duration: Duration) -> Self {
            self.checked_sub(duration).expect("overflow when subtracting duration from instant")
        }
    }

    impl SubAssign<Duration> for Instant {
        fn sub_assign(&mut self, duration: Duration) {
            *self = *self - duration;
        }
    }

    impl Sub for Instant {
        type Output = Duration;

        fn sub(self, earlier: Self) -> Duration {
            self.duration_since(earlier)
        }
    }

    impl fmt::Debug for Instant {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                Kind::Virtual(time) => formatter.debug_tuple("Instant").field(&time).finish(),
                Kind::Real(time) => time.fmt(formatter),
            }
        }
    }
}
