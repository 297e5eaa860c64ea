//! Panics of threads outside an execution that nobody joins.
//!
//! A run on real threads (see [`outside`](crate::outside)) calls a thread's panic a failure unless
//! its join result was taken. That is known only when both the thread and its handle are gone, so
//! the later of the two reports. A handle that is leaked reports nothing.

use crate::outside;
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Default)]
enum State {
    /// The handle exists, the thread has not panicked.
    #[default]
    Watched,
    /// The handle was dropped.
    Detached,
    /// The thread panicked with this message.
    Panicked(String),
    /// The result was taken.
    Joined,
}

type Fate = Arc<Mutex<State>>;

/// The half that goes with the handle.
#[derive(Debug)]
pub(super) struct Handle(Fate);

/// The half that goes with the thread.
#[derive(Debug)]
pub(super) struct Body(Fate);

pub(super) fn watch() -> (Handle, Body) {
    let fate = Fate::default();
    (Handle(Arc::clone(&fate)), Body(fate))
}

fn replace(fate: &Fate, state: State) -> State {
    std::mem::replace(&mut *fate.lock().unwrap_or_else(PoisonError::into_inner), state)
}

impl Handle {
    /// The result is about to be taken.
    pub(super) fn joined(&self) {
        replace(&self.0, State::Joined);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let State::Panicked(message) = replace(&self.0, State::Detached) {
            outside::thread_panicked(&message);
        }
    }
}

impl Body {
    /// The thread's closure panicked.
    pub(super) fn panicked(self, payload: &(dyn Any + Send)) {
        let message = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "a panic with a payload that is no text".to_owned(),
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Watched => *state = State::Panicked(message),
            State::Detached => outside::thread_panicked(&message),
            State::Panicked(_) | State::Joined => {}
        }
    }
}
