//! Iterators over messages.

use super::Receiver;
use racefuzz_runtime::Site;

/// Waits for each message until every sender was dropped; made by [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T: 'a>(pub(super) &'a Receiver<T>, pub(super) Site);

/// The messages that are there; made by [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T: 'a>(pub(super) &'a Receiver<T>, pub(super) Site);

/// As [`Iter`], and owns the receiver.
#[derive(Debug)]
pub struct IntoIter<T>(pub(super) Receiver<T>, pub(super) Site);

/// The caller's place; that where the iterator was made if the standard library is the caller, as `collect` is.
#[track_caller]
fn site(made: Site) -> Site {
    let called = Site::caller();
    let file = called.location().file();
    let is_std = file.starts_with("/rustc/") || file.contains("/rustlib/src/rust/library/");
    if is_std { made } else { called }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.0.recv_at(site(self.1)).ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.0.try_recv_at(site(self.1)).ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.0.recv_at(site(self.1)).ok()
    }
}
