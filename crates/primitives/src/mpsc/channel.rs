//! A channel of an execution.
//!
//! The state word says what somebody can wait for; the messages lie beside it and change in the
//! same steps. A rendezvous channel has no room: a send that finds no receiver waiting leaves its
//! message as an *offer* with a ticket and waits until as many offers were taken, a receive that
//! finds no offer says that it waits.

use racefuzz_runtime::{Absent, Primitive, Shared, Shown, Site, Test, ops};
use racefuzz_trace::{MemoryOrder, ObjectKind, Value, Verb};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One half of a channel: of an execution, or std's.
pub(super) enum Half<T, S> {
    Inside(Arc<Channel<T>>),
    Outside(S),
}

/// A channel was used on the wrong side.
#[cold]
#[track_caller]
fn misplaced(created: &Location<'_>, made: &str, used: &str) -> ! {
    panic!("the channel made {made} an execution at {created} was used {used} it")
}

impl<T, S> Half<T, S> {
    /// Called before a std half is used.
    #[inline]
    #[track_caller]
    pub(super) fn check_outside(created: &Location<'_>) {
        if ops::mode().is_ok() {
            misplaced(created, "outside", "inside");
        }
        crate::outside::step();
    }
}

/// The receiver was dropped.
const NO_RECEIVER: u64 = 1;
/// Every sender was dropped.
const NO_SENDERS: u64 = 2;
/// A message can be received.
const READY: u64 = 4;
/// A message can be sent without waiting.
const ROOM: u64 = 8;
/// Above: how many messages there are.
const COUNT: u32 = 8;
/// Above, in a rendezvous channel: how many offers may still be taken; 0 without a receiver.
const LEFT: u32 = 32;
const ALL_LEFT: u64 = u32::MAX as u64;

pub(super) struct Channel<T> {
    shared: Shared,
    bound: Option<usize>,
    state: Mutex<State<T>>,
}

struct State<T> {
    /// The messages, in a rendezvous channel with the tickets of their offers.
    queue: VecDeque<(u64, T)>,
    senders: usize,
    receiver: bool,
    /// The receiver of a rendezvous channel waits for a sender.
    waiting: bool,
    offers: u64,
    taken: u64,
}

impl<T> Primitive for Channel<T> {
    const KIND: ObjectKind = ObjectKind::Channel;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        self.word(&self.state())
    }

    /// The number of messages in it.
    fn show(&self, word: u64) -> Shown {
        Shown::Value(Value::Int(i128::from(word << (64 - LEFT) >> (64 - LEFT + COUNT))))
    }
}

impl<T> Channel<T> {
    #[track_caller]
    pub(super) fn new(bound: Option<usize>) -> Self {
        let state =
            State { queue: VecDeque::new(), senders: 1, receiver: true, waiting: false, offers: 0, taken: 0 };
        Self { shared: Shared::new(), bound, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn word(&self, state: &State<T>) -> u64 {
        let mut word = (state.queue.len() as u64) << COUNT & ((1 << LEFT) - 1);
        if !state.receiver {
            word |= NO_RECEIVER;
        }
        if state.senders == 0 {
            word |= NO_SENDERS;
        }
        if !state.queue.is_empty() {
            word |= READY;
        }
        if self.bound.is_none_or(|bound| state.queue.len() < bound) {
            word |= ROOM;
        }
        if self.bound == Some(0) && state.receiver {
            word |= ALL_LEFT.saturating_sub(state.taken) << LEFT;
        }
        word
    }

    /// What a step may wait for and what it synchronises with.
    fn step(&self, verb: Verb, test: Test) -> ops::Update {
        let mut how = ops::Update::when(verb, test);
        if self.bound.is_none() && matches!(verb, Verb::Recv | Verb::TryRecv) {
            // A send without a bound waits for nobody: it learns nothing from receives.
            how.order = MemoryOrder::Acquire;
        }
        how.refuses = match (verb, self.bound) {
            // A receive says that it waits, a send that it may be met.
            (_, Some(0)) => Test::Never,
            (Verb::Recv | Verb::TryRecv, _) => Test::Clear(READY),
            (Verb::Send, _) | (Verb::TrySend, None) => Test::Any(NO_RECEIVER),
            _ => Test::Never,
        };
        how
    }

    /// Changes state and word in one step.
    #[track_caller]
    fn update<R>(
        &self,
        created: &Location<'_>,
        how: ops::Update,
        site: Site,
        change: impl FnOnce(&mut State<T>, &mut ops::Told<'_>) -> R,
    ) -> Result<Result<R, ops::TimedOut>, Absent> {
        let done = ops::update(self, how, site, |word, told| {
            let mut state = self.state();
            let result = change(&mut state, told);
            *word = self.word(&state);
            result
        });
        if matches!(done, Err(Absent::Outside)) {
            misplaced(created, "inside", "outside");
        }
        done
    }

    /// Sends, waiting for room or for the receiver.
    #[track_caller]
    pub(super) fn send(&self, created: &Location<'_>, value: T, site: Site) -> Result<(), SendError<T>> {
        let mut value = Some(value);
        let rendezvous = self.bound == Some(0);
        let test = match self.bound {
            None | Some(0) => Test::Always,
            Some(_) => Test::Any(ROOM | NO_RECEIVER),
        };
        let sent = self.update(created, self.step(Verb::Send, test), site, |state, told| {
            if !state.receiver {
                told.failed();
                return None;
            }
            let ticket = state.offer(value.take()?);
            let met = !rendezvous || std::mem::take(&mut state.waiting);
            if !met {
                told.text(|| "waits for the receiver".into());
            }
            Some((ticket, met))
        });
        match sent {
            Ok(Ok(Some((_, true)))) => Ok(()),
            Ok(Ok(Some((ticket, false)))) => self.wait_for_receiver(created, ticket, site),
            _ => match value {
                // The execution is over: nobody will miss the message.
                Some(value) => Err(SendError(value)),
                None => Ok(()),
            },
        }
    }

    #[track_caller]
    fn wait_for_receiver(&self, created: &Location<'_>, ticket: u64, site: Site) -> Result<(), SendError<T>> {
        let taken = Test::Below(ALL_LEFT.saturating_sub(ticket) << LEFT);
        let done = self.update(created, self.step(Verb::Woken, taken), site, |state, told| {
            let back = state.withdraw(ticket);
            if back.is_some() {
                told.failed();
            }
            back
        });
        let back = match done {
            Ok(Ok(back)) => back,
            _ => self.state().withdraw(ticket),
        };
        back.map_or(Ok(()), |value| Err(SendError(value)))
    }

    /// Sends if that needs no wait.
    #[track_caller]
    pub(super) fn try_send(
        &self,
        created: &Location<'_>,
        value: T,
        site: Site,
    ) -> Result<(), TrySendError<T>> {
        let mut value = Some(value);
        let how = self.step(Verb::TrySend, Test::Always);
        let gone = self.update(created, how, site, |state, told| {
            let room = match self.bound {
                Some(0) => state.waiting,
                Some(bound) => state.queue.len() < bound,
                None => true,
            };
            if !state.receiver || !room {
                told.failed();
                return !state.receiver;
            }
            state.waiting = false;
            if let Some(value) = value.take() {
                state.offer(value);
            }
            false
        });
        match (value, gone) {
            (None, _) => Ok(()),
            (Some(value), Ok(Ok(false))) => Err(TrySendError::Full(value)),
            (Some(value), _) => Err(TrySendError::Disconnected(value)),
        }
    }

    /// Receives, waiting for a message, for `timeout` at most.
    #[track_caller]
    pub(super) fn recv(
        &self,
        created: &Location<'_>,
        timeout: Option<Duration>,
        site: Site,
    ) -> Result<T, RecvTimeoutError> {
        if self.bound == Some(0) {
            let how = self.step(Verb::Recv, Test::Always);
            let met = self.update(created, how, site, |state, told| {
                let message = state.receive(told);
                if matches!(message, Err(TryRecvError::Empty)) {
                    state.waiting = true;
                    told.text(|| "waits for a sender".into());
                }
                message
            });
            match met {
                Ok(Ok(Err(TryRecvError::Empty))) => {}
                Ok(Ok(Ok(message))) => return Ok(message),
                _ => return self.recv_at_end(),
            }
        }
        let mut how = self.step(Verb::Recv, Test::Any(READY | NO_SENDERS));
        how.timeout = timeout;
        match self.update(created, how, site, State::receive) {
            Ok(Ok(message)) => message.map_err(|_| RecvTimeoutError::Disconnected),
            Ok(Err(ops::TimedOut)) => {
                self.state().waiting = false;
                Err(RecvTimeoutError::Timeout)
            }
            Err(_) => self.recv_at_end(),
        }
    }

    /// The execution is over: what is there can be had, nothing will come.
    fn recv_at_end(&self) -> Result<T, RecvTimeoutError> {
        let message = self.state().queue.pop_front();
        message.map(|(_, message)| message).ok_or(RecvTimeoutError::Disconnected)
    }

    /// Receives if there is a message.
    #[track_caller]
    pub(super) fn try_recv(&self, created: &Location<'_>, site: Site) -> Result<T, TryRecvError> {
        let how = self.step(Verb::TryRecv, Test::Always);
        match self.update(created, how, site, |state, told| {
            let message = state.receive(told);
            if matches!(message, Err(TryRecvError::Empty)) {
                told.failed();
            }
            message
        }) {
            Ok(Ok(message)) => message,
            _ => self.recv_at_end().map_err(|_| TryRecvError::Disconnected),
        }
    }

    /// There is one more sender: no step, since whoever clones one keeps the channel connected.
    pub(super) fn add_sender(&self) {
        self.state().senders += 1;
    }

    /// A sender is dropped.
    pub(super) fn drop_sender(&self, site: Site) {
        self.dropped(Verb::DropSender, site, |state| state.senders -= 1);
    }

    /// The receiver is dropped: what nobody received, to be dropped with it.
    pub(super) fn drop_receiver(&self, site: Site) -> Unreceived<T> {
        let rendezvous = self.bound == Some(0);
        let messages = self.dropped(Verb::DropReceiver, site, |state| {
            state.receiver = false;
            state.waiting = false;
            // Offers go back to their senders.
            if rendezvous { VecDeque::new() } else { std::mem::take(&mut state.queue) }
        });
        Unreceived(messages)
    }

    /// Changes the state, in a step if the execution still goes on.
    fn dropped<R>(&self, verb: Verb, site: Site, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut how = self.step(verb, Test::Always);
        how.implied = true;
        let mut change = Some(change);
        let mut apply = |state: &mut State<T>| change.take().map(|change| change(state));
        let done = ops::update(self, how, site, |word, _| {
            let mut state = self.state();
            let result = apply(&mut state);
            *word = self.word(&state);
            result
        });
        let result = done.ok().and_then(Result::ok).flatten();
        result.unwrap_or_else(|| apply(&mut self.state()).expect("changed once"))
    }
}

impl<T> State<T> {
    fn offer(&mut self, value: T) -> u64 {
        let ticket = self.offers;
        self.offers += 1;
        self.queue.push_back((ticket, value));
        ticket
    }

    fn withdraw(&mut self, ticket: u64) -> Option<T> {
        let place = self.queue.iter().position(|(offer, _)| *offer == ticket)?;
        self.queue.remove(place).map(|(_, value)| value)
    }

    fn receive(&mut self, told: &mut ops::Told<'_>) -> Result<T, TryRecvError> {
        match self.queue.pop_front() {
            Some((_, message)) => {
                self.taken += 1;
                self.waiting = false;
                Ok(message)
            }
            None if self.senders == 0 => {
                told.failed();
                Err(TryRecvError::Disconnected)
            }
            None => Err(TryRecvError::Empty),
        }
    }
}

/// Messages that nobody received, in the order in which they were sent.
pub(super) struct Unreceived<T>(VecDeque<(u64, T)>);

impl<T> Drop for Unreceived<T> {
    fn drop(&mut self) {
        if ops::mode() == Err(Absent::TearDown) {
            // A panic here would end the process and hide the failure that ended the execution.
            let messages = std::mem::take(&mut self.0);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(messages))) {
                std::mem::forget(payload);
            }
        }
    }
}

/// A receive without a timeout.
pub(super) fn untimed<T>(message: Result<T, RecvTimeoutError>) -> Result<T, RecvError> {
    message.map_err(|_| RecvError)
}
