//! Channels: `std::sync::mpsc`.
//!
//! A channel is one object, and each call on one of its halves one step; in a rendezvous channel
//! whoever comes first takes a second step when the other has come. Dropping a half is a step too.
//!
//! What happens before what, as std's channels have it: a send before the receipt of its message;
//! a receipt before a later send to a bounded channel; the drop of the last sender before the
//! receiver sees it, and the other way round. Sends are also ordered among themselves.
//!
//! What std leaves open, and is explored: how the messages of several senders interleave (those of one
//! keep their order), who of several that wait for room is next, and whether a timeout fires when a
//! message comes at the same time. A channel of capacity 0 hands over only to who waits in `recv`, and a
//! try succeeds only if the other side waits already.
//!
//! A channel belongs to where it was made: inside an execution or outside; a use on the other side
//! panics.

mod channel;
mod iter;
mod receiver;
mod sender;

pub use self::iter::{IntoIter, Iter, TryIter};
pub use self::receiver::Receiver;
pub use self::sender::{Sender, SyncSender};
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

use self::channel::{Channel, Half};
use crate::outside;
use racefuzz_runtime::{Absent, ops};
use std::panic::Location;
use std::sync::Arc;

/// A channel without bound, as `std::sync::mpsc::channel`.
#[track_caller]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let created = Location::caller();
    if ops::mode() == Err(Absent::Outside) {
        outside::step();
        let (sender, receiver) = std::sync::mpsc::channel();
        return (
            Sender::new(Half::Outside(sender), created),
            Receiver::new(Half::Outside(receiver), created),
        );
    }
    let channel = Arc::new(Channel::new(None));
    (Sender::new(Half::Inside(Arc::clone(&channel)), created), Receiver::new(Half::Inside(channel), created))
}

/// A channel that holds up to `bound` messages, as `std::sync::mpsc::sync_channel`; with a bound of
/// 0 each send waits for its receive.
#[track_caller]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let created = Location::caller();
    if ops::mode() == Err(Absent::Outside) {
        outside::step();
        let (sender, receiver) = std::sync::mpsc::sync_channel(bound);
        return (
            SyncSender::new(Half::Outside(sender), created),
            Receiver::new(Half::Outside(receiver), created),
        );
    }
    let channel = Arc::new(Channel::new(Some(bound)));
    (
        SyncSender::new(Half::Inside(Arc::clone(&channel)), created),
        Receiver::new(Half::Inside(channel), created),
    )
}
