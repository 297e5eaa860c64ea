//! The `rand` crate, version 0.8, with random values that are part of the schedule: a replay has the
//! same ones, and a failing schedule is minimised in them, too.

pub use rand::{CryptoRng, Rng, RngCore};

/// Generators.
pub mod rngs {
    use rand::{CryptoRng, Error, RngCore};

    /// The generator of [`thread_rng`](super::thread_rng).
    #[derive(Clone, Debug, Default)]
    pub struct ThreadRng {
        pub(super) _private: (),
    }

    impl RngCore for ThreadRng {
        #[track_caller]
        fn next_u32(&mut self) -> u32 {
            (0..2).fold(0, |value, _| value << 16 | racefuzz::nondet(1 << 16) as u32)
        }

        #[track_caller]
        fn next_u64(&mut self) -> u64 {
            u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
        }

        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            for chunk in bytes.chunks_mut(4) {
                let random = self.next_u32().to_le_bytes();
                chunk.copy_from_slice(&random[..chunk.len()]);
            }
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
            self.fill_bytes(bytes);
            Ok(())
        }
    }

    impl CryptoRng for ThreadRng {}
}

/// The generator whose values are part of the schedule. Outside of a check they are 0.
pub fn thread_rng() -> rngs::ThreadRng {
    rngs::ThreadRng { _private: () }
}
