//! One thing of the program's as an object of one kind or another, as the runtime tells objects apart by type.

use racefuzz_runtime::{Primitive, Shared, Shown};
use racefuzz_trace::ObjectKind;
use std::borrow::Cow;

/// Something that threads of the program share.
pub(super) trait Thing {
    /// Its identity.
    fn shared(&self) -> &Shared;

    /// Its word when it is first used in an execution.
    fn initial(&self, kind: ObjectKind) -> u64;

    /// How the word is shown.
    fn show(&self, kind: ObjectKind, word: u64) -> Shown {
        let _ = (kind, word);
        Shown::Nothing
    }

    /// See [`Primitive::written_unseen`].
    fn written_unseen(&self, known: u64) -> Option<u64> {
        let _ = known;
        None
    }

    /// See [`Primitive::is_coherent`].
    fn is_coherent(&self) -> bool {
        false
    }

    /// See [`Primitive::keep_newest`].
    fn keep_newest(&self, word: u64) {
        let _ = word;
    }

    /// Its name.
    fn name(&self) -> String;
}

/// The kinds that there are of such things.
pub(super) const KINDS: [ObjectKind; 10] = [
    ObjectKind::Atomic,
    ObjectKind::Mutex,
    ObjectKind::RwLock,
    ObjectKind::Condvar,
    ObjectKind::Barrier,
    ObjectKind::Once,
    ObjectKind::Channel,
    ObjectKind::Arc,
    ObjectKind::Thread,
    ObjectKind::Futex,
];

/// A thing, as one of the kind at this place of [`KINDS`].
#[repr(transparent)]
pub(super) struct As<T, const KIND: usize>(T);

impl<T, const KIND: usize> As<T, KIND> {
    /// The thing, as one of this kind.
    pub(super) fn of(thing: &T) -> &Self {
        // SAFETY: the one is the other, transparently.
        unsafe { &*std::ptr::from_ref(thing).cast::<Self>() }
    }
}

impl<T: Thing, const KIND: usize> Primitive for As<T, KIND> {
    const KIND: ObjectKind = KINDS[KIND];

    fn shared(&self) -> &Shared {
        self.0.shared()
    }

    fn initial(&self) -> u64 {
        self.0.initial(KINDS[KIND])
    }

    fn show(&self, word: u64) -> Shown {
        self.0.show(KINDS[KIND], word)
    }

    fn used_outside(&self) -> bool {
        // It is no static of the host's: the process is put back as a whole.
        true
    }

    #[inline]
    fn written_unseen(&self, known: u64) -> Option<u64> {
        self.0.written_unseen(known)
    }

    #[inline]
    fn is_coherent(&self) -> bool {
        self.0.is_coherent()
    }

    fn keep_newest(&self, word: u64) {
        self.0.keep_newest(word);
    }

    fn name(&self) -> Option<Cow<'static, str>> {
        Some(self.0.name().into())
    }
}

/// Calls something with a thing as an object of a kind.
macro_rules! as_kind {
    ($thing:expr, $kind:expr, |$as:ident| $call:expr) => {
        as_kind!(@ $thing, $kind, |$as| $call, 1 2 3 4 5 6 7 8 9)
    };
    (@ $thing:expr, $kind:expr, |$as:ident| $call:expr, $($place:literal)*) => {
        match $kind {
            $(kind if kind == $crate::engine::kinds::KINDS[$place] => {
                let $as = $crate::engine::kinds::As::<_, $place>::of($thing);
                $call
            })*
            _ => {
                let $as = $crate::engine::kinds::As::<_, 0>::of($thing);
                $call
            }
        }
    };
}
pub(super) use as_kind;
