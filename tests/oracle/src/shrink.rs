//! Makes a program that shows something as small as it goes while it still shows it.

use crate::parse::parse;
use crate::program::{Expr, Op, Order, Program};

/// Drops threads and operations, and simplifies what is left, as long as `shows` holds. The program
/// given must show it.
pub fn shrink(program: &Program, mut shows: impl FnMut(&Program) -> bool) -> Program {
    let mut smallest = program.clone();
    while let Some(smaller) = candidates(&smallest).into_iter().map(|program| tidy(&program)).find(&mut shows)
    {
        smallest = smaller;
    }
    smallest
}

/// The same program without the names that nothing uses.
pub(crate) fn tidy(program: &Program) -> Program {
    // Names are numbered by use when a program is read, and an initial value is a use.
    let mut used = program.clone();
    let mut code = program.clone();
    code.locations.iter_mut().for_each(|location| location.initial = 0);
    let read =
        |program: &Program| parse(&program.to_string()).expect("what was written can be read").remove(0);
    let names = read(&code).locations;
    for location in &mut used.locations {
        if !names.iter().any(|name| name.name == location.name) {
            location.initial = 0;
        }
    }
    read(&used)
}

/// Programs that are one step smaller, the much smaller ones first. Each step lowers the number of
/// threads, operations, operators, constants other than 0 and 1, or orders other than relaxed.
fn candidates(program: &Program) -> Vec<Program> {
    let mut result = Vec::new();
    for index in 0..program.threads.len() {
        let mut smaller = program.clone();
        smaller.threads.remove(index);
        result.push(smaller);
    }
    for (index, thread) in program.threads.iter().enumerate() {
        for code in smaller_codes(&thread.code) {
            let mut smaller = program.clone();
            smaller.threads[index].code = code;
            result.push(smaller);
        }
    }
    for (index, location) in program.locations.iter().enumerate() {
        if location.initial != 0 {
            let mut smaller = program.clone();
            smaller.locations[index].initial = 0;
            result.push(smaller);
        }
    }
    result
}

fn smaller_codes(code: &[Op]) -> Vec<Vec<Op>> {
    let mut result = Vec::new();
    let mut replace = |index: usize, by: &[Op]| {
        result.push([&code[..index], by, &code[index + 1..]].concat());
    };
    for index in 0..code.len() {
        replace(index, &[]);
    }
    for (index, op) in code.iter().enumerate() {
        op.bodies().into_iter().for_each(|body| replace(index, body));
    }
    for (index, op) in code.iter().enumerate() {
        for body in 0..op.bodies().len() {
            for smaller in smaller_codes(op.bodies()[body]) {
                let mut changed = op.clone();
                *changed.bodies_mut()[body] = smaller;
                replace(index, &[changed]);
            }
        }
        simpler(op).into_iter().for_each(|op| replace(index, &[op]));
    }
    result
}

/// Simpler operations in place of one.
fn simpler(op: &Op) -> Vec<Op> {
    let mut result = Vec::new();
    match op {
        Op::Add { register, location, order, .. }
        | Op::Swap { register, location, order, .. }
        | Op::Cas { register, location, order, .. } => {
            let order = order.read_part();
            result.push(Op::Load { register: *register, location: *location, order });
        }
        _ => {}
    }
    let mut copy = op.clone();
    let orders: Vec<&mut Order> = match &mut copy {
        Op::Store { order, .. }
        | Op::Load { order, .. }
        | Op::Add { order, .. }
        | Op::Swap { order, .. }
        | Op::Await { order, .. } => vec![order],
        Op::Cas { order, failure, .. } => vec![order, failure],
        _ => Vec::new(),
    };
    for index in 0..orders.len() {
        let mut simple = op.clone();
        let order = match &mut simple {
            Op::Cas { failure, .. } if index == 1 => failure,
            Op::Store { order, .. }
            | Op::Load { order, .. }
            | Op::Add { order, .. }
            | Op::Swap { order, .. }
            | Op::Await { order, .. }
            | Op::Cas { order, .. } => order,
            _ => continue,
        };
        if *order != Order::Rlx {
            *order = Order::Rlx;
            result.push(simple);
        }
    }
    for expr in 0..expressions(&mut op.clone()).len() {
        let of = |op: &mut Op| expressions(op)[expr].clone();
        for smaller in smaller_exprs(&of(&mut op.clone())) {
            let mut simple = op.clone();
            *expressions(&mut simple)[expr] = smaller;
            result.push(simple);
        }
    }
    result
}

fn expressions(op: &mut Op) -> Vec<&mut Expr> {
    match op {
        Op::Store { value, .. }
        | Op::Add { value, .. }
        | Op::Swap { value, .. }
        | Op::Let { value, .. }
        | Op::Await { value, .. }
        | Op::Assume(value) => vec![value],
        Op::Cas { expected, new, .. } => vec![expected, new],
        Op::If { condition, .. } | Op::Until { condition, .. } => vec![condition],
        _ => Vec::new(),
    }
}

fn smaller_exprs(expr: &Expr) -> Vec<Expr> {
    match expr {
        Expr::Number(0 | 1) => Vec::new(),
        Expr::Number(_) => vec![Expr::Number(0), Expr::Number(1)],
        Expr::Register(_) => vec![Expr::Number(0), Expr::Number(1)],
        Expr::Binary(_, left, right) => vec![(**left).clone(), (**right).clone()],
    }
}
