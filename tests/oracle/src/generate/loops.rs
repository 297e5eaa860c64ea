//! Loops that wait for others, of the shapes that programs have: what a round that fails does to memory, and what its
//! thread keeps of it.

use super::{FENCE, Generator, READ, RMW, WRITE};
use crate::program::{Expr, Op, Operator};

/// A shape.
#[derive(Clone, Copy)]
enum Shape {
    /// Rounds that leave memory as it is.
    Load,
    LoadAndFence,
    TwoLoads,
    CompareExchange,
    Swap,
    AddNothing,
    /// A value is computed from what was read, and stored if nobody was faster.
    Retry,
    /// The location is looked at under a lock, or the lock is taken only if it is free.
    Locked,
    TryLock,
    /// A round that fails takes back what it did.
    AddAndTakeBack,
    StoreAndTakeBack,
    SwapAndTakeBack,
    /// The thread keeps what it saw: that there was another value, the last one that failed, that it was an odd round.
    Noticing,
    KeepingLast,
    Alternating,
}

const SHAPES: &[Shape] = &[
    Shape::Load,
    Shape::Load,
    Shape::LoadAndFence,
    Shape::TwoLoads,
    Shape::TwoLoads,
    Shape::CompareExchange,
    Shape::CompareExchange,
    Shape::Swap,
    Shape::AddNothing,
    Shape::Retry,
    Shape::Locked,
    Shape::TryLock,
    Shape::AddAndTakeBack,
    Shape::StoreAndTakeBack,
    Shape::SwapAndTakeBack,
    Shape::Noticing,
    Shape::KeepingLast,
    Shape::Alternating,
];

fn register(register: usize) -> Expr {
    Expr::Register(register)
}

fn is(of: usize, value: Expr) -> Expr {
    Expr::binary(Operator::Eq, register(of), value)
}

impl Generator {
    /// Draws a loop that waits.
    pub(super) fn until(&mut self, into: &mut Vec<Op>) {
        let shape = self.random.pick(SHAPES);
        let most = self.random.pick(&[1, 2, 2, 3]);
        let location = self.location();
        let (r, s) = (self.new_register(), self.new_register());
        let wanted = Expr::Number(self.random.pick(&[0, 1, 1, 1, 2, 2]));
        let other = Expr::Number(self.random.pick(&[0, 0, 1, 2]));
        let load = |generator: &mut Self, register, location| Op::Load {
            register,
            location,
            order: generator.orders.pick(&mut generator.random, READ),
        };
        let order = self.orders.pick(&mut self.random, RMW);
        let failure = self.orders.pick(&mut self.random, READ);
        let store = self.orders.pick(&mut self.random, WRITE);
        let second = self.location();
        let looks = load(self, r, location);
        let (condition, body) = match shape {
            Shape::Load => (is(r, wanted), vec![looks]),
            Shape::LoadAndFence => {
                let fence = Op::Fence(self.orders.pick(&mut self.random, FENCE));
                (is(r, wanted), vec![looks, fence])
            }
            Shape::TwoLoads => {
                let both = Expr::binary(Operator::And, is(r, wanted), is(s, other));
                (both, vec![looks, load(self, s, second)])
            }
            Shape::CompareExchange => {
                let new = self.value();
                let cas = Op::Cas { register: r, location, expected: other.clone(), new, order, failure };
                (is(r, other), vec![cas])
            }
            Shape::Swap => {
                let swap = Op::Swap { register: r, location, value: wanted.clone(), order };
                (Expr::binary(Operator::Ne, register(r), wanted), vec![swap])
            }
            Shape::AddNothing => {
                (is(r, wanted), vec![Op::Add { register: r, location, value: Expr::Number(0), order }])
            }
            Shape::Retry => {
                let new = Expr::binary(Operator::Add, register(r), Expr::Number(1));
                let cas = Op::Cas { register: s, location, expected: register(r), new, order, failure };
                (is(s, register(r)), vec![looks, cas])
            }
            Shape::Locked | Shape::TryLock if self.locks == 0 || !self.held.is_empty() => {
                (is(r, wanted), vec![looks])
            }
            Shape::Locked => {
                let lock = self.random.below(self.locks);
                (is(r, wanted), vec![Op::Lock(lock), looks, Op::Unlock(lock)])
            }
            Shape::TryLock => {
                let lock = self.random.below(self.locks);
                into.push(Op::Until {
                    condition: register(r),
                    most,
                    body: vec![Op::TryLock { register: r, lock }],
                });
                into.push(load(self, s, location));
                into.push(Op::Unlock(lock));
                return;
            }
            Shape::AddAndTakeBack => {
                let add = |register, by| Op::Add { register, location, value: Expr::Number(by), order };
                let fails = Expr::binary(Operator::Ne, register(s), other.clone());
                let back = Op::If { condition: fails, then: vec![add(r, -1)], other: Vec::new() };
                (is(s, other), vec![add(r, 1), load(self, s, second), back])
            }
            Shape::StoreAndTakeBack => {
                let put = |value| Op::Store { location, value: Expr::Number(value), order: store };
                let fails = Expr::binary(Operator::Ne, register(s), other.clone());
                let back = Op::If { condition: fails, then: vec![put(0)], other: Vec::new() };
                (is(s, other), vec![put(1), load(self, s, second), back])
            }
            Shape::SwapAndTakeBack => {
                let swap = |value| Op::Swap { register: r, location, value, order };
                let back = Op::Swap { register: s, location, value: register(r), order };
                let fails = Expr::binary(Operator::Ne, register(r), other.clone());
                let back = Op::If { condition: fails, then: vec![back], other: Vec::new() };
                (is(r, other), vec![swap(Expr::Number(2)), back])
            }
            Shape::Noticing => {
                let notes = vec![Op::Let { register: s, value: Expr::Number(1) }];
                let notices = Op::If { condition: is(r, other), then: notes, other: Vec::new() };
                (is(r, wanted), vec![looks, notices])
            }
            Shape::KeepingLast => (is(r, wanted), vec![Op::Let { register: s, value: register(r) }, looks]),
            Shape::Alternating => {
                let flips = Expr::binary(Operator::Xor, register(s), Expr::Number(1));
                (is(r, wanted), vec![looks, Op::Let { register: s, value: flips }])
            }
        };
        into.push(Op::Until { condition, most, body });
        // A lock is given back.
        let gives_back = matches!(shape, Shape::CompareExchange | Shape::Swap | Shape::StoreAndTakeBack)
            && self.random.percent(60);
        if gives_back {
            let value = Expr::Number(if matches!(shape, Shape::Swap) { 3 } else { 0 });
            into.push(Op::Store { location, value, order: store });
        }
    }

    fn new_register(&mut self) -> usize {
        self.registers += 1;
        self.registers - 1
    }
}
