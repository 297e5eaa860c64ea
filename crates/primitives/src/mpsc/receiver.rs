//! The receiving half.

use super::channel::{Half, untimed};
use super::iter::{IntoIter, Iter, TryIter};
use racefuzz_runtime::Site;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::time::Duration;

/// The receiving half of a channel, as `std::sync::mpsc::Receiver`. Messages that nobody received
/// are dropped with it.
pub struct Receiver<T> {
    /// Let go by hand: before the messages that are dropped with it.
    half: ManuallyDrop<Half<T, std::sync::mpsc::Receiver<T>>>,
    created: &'static Location<'static>,
    /// One thread receives at a time.
    not_sync: PhantomData<Cell<()>>,
}

impl<T> Receiver<T> {
    pub(super) fn new(
        half: Half<T, std::sync::mpsc::Receiver<T>>,
        created: &'static Location<'static>,
    ) -> Self {
        Self { half: ManuallyDrop::new(half), created, not_sync: PhantomData }
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// If there is none and every sender was dropped.
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_at(Site::caller())
    }

    /// [`recv`](Self::recv), at a place of the program.
    #[track_caller]
    pub(super) fn recv_at(&self, site: Site) -> Result<T, RecvError> {
        match &*self.half {
            Half::Inside(channel) => untimed(channel.recv(self.created, None, site)),
            Half::Outside(receiver) => {
                Half::<T, ()>::check_outside(self.created);
                receiver.recv()
            }
        }
    }

    /// A message, if there is one.
    ///
    /// # Errors
    /// If there is none: whether one may still come.
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.try_recv_at(Site::caller())
    }

    /// [`try_recv`](Self::try_recv), at a place of the program.
    #[track_caller]
    pub(super) fn try_recv_at(&self, site: Site) -> Result<T, TryRecvError> {
        match &*self.half {
            Half::Inside(channel) => channel.try_recv(self.created, site),
            Half::Outside(receiver) => {
                Half::<T, ()>::check_outside(self.created);
                receiver.try_recv()
            }
        }
    }

    /// Waits for a message for `timeout` at most. Inside an execution the time is virtual: it runs
    /// out when no other thread can run.
    ///
    /// # Errors
    /// If no message came in time, or there is none and every sender was dropped.
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        match &*self.half {
            Half::Inside(channel) => channel.recv(self.created, Some(timeout), Site::caller()),
            Half::Outside(receiver) => {
                Half::<T, ()>::check_outside(self.created);
                receiver.recv_timeout(timeout)
            }
        }
    }

    /// The messages, waiting for each, until every sender was dropped.
    #[track_caller]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self, Site::caller())
    }

    /// The messages that are there.
    #[track_caller]
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter(self, Site::caller())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        match unsafe { ManuallyDrop::take(&mut self.half) } {
            Half::Inside(channel) => {
                let unreceived = channel.drop_receiver(Site::at(self.created));
                // While the messages are dropped the senders may go, too: the channel goes with whoever
                // drops its half last, as the steps say, and not with whoever is done last.
                drop(channel);
                drop(unreceived);
            }
            // A std half inside an execution just goes: that blocks nobody.
            Half::Outside(receiver) => drop(receiver),
        }
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    #[track_caller]
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    #[track_caller]
    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self, Site::caller())
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").finish_non_exhaustive()
    }
}
