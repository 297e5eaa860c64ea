//! A ticket lock: draw a number, wait until it is called.
//!
//! Each thread draws a ticket from a counter and waits for its number; the owner calls the next
//! one when it leaves. All of it rests on no two threads having one number. Drawn by a load and a
//! store, two threads may draw the same ticket, and both enter when it is called.
//!
//! Source: Mellor-Crummey and Scott, "Algorithms for Scalable Synchronization on Shared-Memory
//! Multiprocessors" (TOCS 1991), section 2.2.

use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use racefuzz::{FailureKind, hint, thread};

const SOURCE: Source = Source { file: file!(), text: include_str!("ticket_lock.rs") };
const PARAMS: &[Param] =
    &[Param { name: "threads", default: 2, min: 1, max: 16, about: "threads that take the lock once each" }];

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "ticket-lock",
    summary: "two threads draw the same ticket and both enter",
    teaches: "Drawing a ticket by load and store is two steps. Two threads may draw the same number, and when it is \
              called both are in the critical section: one wrong step in the lock breaks all that it protects.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "check-then-act" },
    twin: Some("ticket-lock-fixed"),
    params: PARAMS,
    source: SOURCE,
    run: |params| play(params, TicketLock::draw),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "ticket-lock-fixed",
    summary: "tickets are drawn by fetch_add",
    teaches: "`fetch_add` gives every thread a number of its own. It may be `Relaxed`: what orders one owner behind \
              the other is the number being called, with `Release`, and awaited, with `Acquire`.",
    expected: Expected::Holds,
    twin: Some("ticket-lock"),
    params: PARAMS,
    source: SOURCE,
    run: |params| play(params, TicketLock::draw_fixed),
};

struct TicketLock {
    next_ticket: AtomicU32,
    now_serving: AtomicU32,
    /// Threads in the critical section: what the lock is to keep at one.
    inside: AtomicU32,
}

impl TicketLock {
    /// Racy: another thread may draw between the two steps.
    fn draw(&self) -> u32 {
        let ticket = self.next_ticket.load(Relaxed);
        self.next_ticket.store(ticket + 1, Relaxed);
        ticket
    }

    /// Repaired: one step.
    fn draw_fixed(&self) -> u32 {
        self.next_ticket.fetch_add(1, Relaxed)
    }

    fn critical_section(&self) {
        let others = self.inside.fetch_add(1, Relaxed);
        assert!(others == 0, "two threads are in the critical section");
        self.inside.fetch_sub(1, Relaxed);
    }
}

fn play(params: &Params, draw: fn(&TicketLock) -> u32) {
    let lock = Arc::new(TicketLock {
        next_ticket: AtomicU32::new(0),
        now_serving: AtomicU32::new(0),
        inside: AtomicU32::new(0),
    });
    let threads: Vec<_> = (0..params.number("threads"))
        .map(|_| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                let ticket = draw(&lock);
                while lock.now_serving.load(Acquire) < ticket {
                    hint::spin_loop();
                }
                lock.critical_section();
                lock.now_serving.store(ticket + 1, Release);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
