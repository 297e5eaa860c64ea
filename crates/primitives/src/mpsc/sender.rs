//! Sending halves.

use super::channel::Half;
use racefuzz_runtime::Site;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::mpsc::{SendError, TrySendError};

/// What both kinds of sender are made of.
struct Inner<T, S> {
    half: Half<T, S>,
    created: &'static Location<'static>,
}

impl<T, S> Drop for Inner<T, S> {
    fn drop(&mut self) {
        // A std half inside an execution just goes: that blocks nobody.
        if let Half::Inside(channel) = &self.half {
            channel.drop_sender(Site::at(self.created));
        }
    }
}

impl<T, S: Clone> Inner<T, S> {
    #[track_caller]
    fn another(&self) -> Self {
        let half = match &self.half {
            Half::Inside(channel) => {
                channel.add_sender();
                Half::Inside(Arc::clone(channel))
            }
            Half::Outside(sender) => {
                crate::outside::step();
                Half::Outside(sender.clone())
            }
        };
        Self { half, created: Location::caller() }
    }
}

/// The sending half of a channel without bound, as `std::sync::mpsc::Sender`.
pub struct Sender<T>(Inner<T, std::sync::mpsc::Sender<T>>);

/// The sending half of a bounded channel, as `std::sync::mpsc::SyncSender`.
pub struct SyncSender<T>(Inner<T, std::sync::mpsc::SyncSender<T>>);

impl<T> Sender<T> {
    pub(super) fn new(
        half: Half<T, std::sync::mpsc::Sender<T>>,
        created: &'static Location<'static>,
    ) -> Self {
        Self(Inner { half, created })
    }

    /// Sends a message; never waits.
    ///
    /// # Errors
    /// If the receiver was dropped: gives the message back.
    #[track_caller]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        match &self.0.half {
            Half::Inside(channel) => channel.send(self.0.created, message, Site::caller()),
            Half::Outside(sender) => {
                Half::<T, ()>::check_outside(self.0.created);
                sender.send(message)
            }
        }
    }
}

impl<T> SyncSender<T> {
    pub(super) fn new(
        half: Half<T, std::sync::mpsc::SyncSender<T>>,
        created: &'static Location<'static>,
    ) -> Self {
        Self(Inner { half, created })
    }

    /// Sends a message; waits for room, or in a rendezvous channel for its receipt.
    ///
    /// # Errors
    /// If the receiver was dropped: gives the message back.
    #[track_caller]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        match &self.0.half {
            Half::Inside(channel) => channel.send(self.0.created, message, Site::caller()),
            Half::Outside(sender) => {
                Half::<T, ()>::check_outside(self.0.created);
                sender.send(message)
            }
        }
    }

    /// Sends a message if that needs no wait; in a rendezvous channel if the receiver waits.
    ///
    /// # Errors
    /// If there is no room or the receiver was dropped: gives the message back.
    #[track_caller]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match &self.0.half {
            Half::Inside(channel) => channel.try_send(self.0.created, message, Site::caller()),
            Half::Outside(sender) => {
                Half::<T, ()>::check_outside(self.0.created);
                sender.try_send(message)
            }
        }
    }
}

impl<T> Clone for Sender<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        Self(self.0.another())
    }
}

impl<T> Clone for SyncSender<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        Self(self.0.another())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SyncSender").finish_non_exhaustive()
    }
}
