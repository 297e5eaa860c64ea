//! The reader of litmus files: text in, [`Program`]s out.
//!
//! ```text
//! NAME sc=3 rc11=4            a header; the numbers are optional
//! I: x=1 y=2                  initial values other than 0
//! T: op; op; ...              one line a thread
//! T*3: op; op; ...            three threads; $ is 0, 1, 2
//! # comment                   also behind a line
//! ```
//!
//! The operations are those of [`Op`]; an expression has `+ - * ^ == != < <= > >= && ||` and
//! parentheses; an order is one of `na rlx acq rel ar sc`.

use crate::program::{Expr, Location, Op, Operator, Order, Program, Thread};
use std::fmt;

/// Why a text is no list of programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

/// The programs of a text.
///
/// # Errors
///
/// If a line is not of the format, or a name stands for a lock and for a location.
pub fn parse(text: &str) -> Result<Vec<Program>, ParseError> {
    let mut programs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            parse_line(line, &mut programs).map_err(|message| ParseError { line: index + 1, message })?;
        }
    }
    Ok(programs)
}

type Parsed<T> = Result<T, String>;

fn number<T: std::str::FromStr>(text: &str) -> Parsed<T> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn pair(text: &str) -> Parsed<(&str, &str)> {
    text.split_once('=').ok_or_else(|| format!("`{text}` is not name=value"))
}

fn parse_line(line: &str, programs: &mut Vec<Program>) -> Parsed<()> {
    let body = line.strip_prefix('T').filter(|rest| rest.starts_with([':', '*']));
    if !line.starts_with("I:") && body.is_none() {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or("").to_owned();
        let mut program = Program { name, ..Program::default() };
        for word in words {
            let (key, value) = pair(word)?;
            program.stated.insert(key.to_owned(), number(value)?);
        }
        programs.push(program);
        return Ok(());
    }
    let program = programs.last_mut().ok_or("a program starts with its name")?;
    if let Some(initial) = line.strip_prefix("I:") {
        for word in initial.split_whitespace() {
            let (name, value) = pair(word)?;
            let location = location(program, name)?;
            program.locations[location].initial = number(value)?;
        }
    } else if let Some(rest) = body {
        let (times, code) = rest.split_once(':').ok_or("a thread is `T: code`")?;
        let times: usize = times.strip_prefix('*').map_or(Ok(1), |times| number(times.trim()))?;
        for index in 0..times {
            let tokens = tokens(&code.replace('$', &index.to_string()));
            let mut parser = Parser { program, thread: Thread::default(), tokens, at: 0 };
            let code = parser.block(None)?;
            let thread = Thread { code, ..parser.thread };
            program.threads.push(thread);
        }
    }
    Ok(())
}

fn location(program: &mut Program, name: &str) -> Parsed<usize> {
    if program.locks.iter().any(|lock| lock == name) {
        return Err(format!("`{name}` is a lock"));
    }
    Ok(program.locations.iter().position(|location| location.name == name).unwrap_or_else(|| {
        program.locations.push(Location { name: name.to_owned(), initial: 0 });
        program.locations.len() - 1
    }))
}

fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let word = |at: &usize| chars.get(*at).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let start = at;
        if word(&at) {
            while word(&at) {
                at += 1;
            }
        } else {
            let two: String = chars[at..(at + 2).min(chars.len())].iter().collect();
            at += if [":=", "==", "!=", "<=", ">=", "&&", "||"].contains(&two.as_str()) { 2 } else { 1 };
        }
        if !chars[start].is_whitespace() {
            tokens.push(chars[start..at].iter().collect());
        }
    }
    tokens
}

/// Reads the code of one thread.
struct Parser<'a> {
    program: &'a mut Program,
    thread: Thread,
    tokens: Vec<String>,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn next(&mut self) -> Parsed<String> {
        let token = self.tokens.get(self.at).cloned().ok_or("the line ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn skip(&mut self, token: &str) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        match self.skip(token) {
            true => Ok(()),
            false => Err(format!("`{token}` expected, not `{}`", self.peek().unwrap_or("the end"))),
        }
    }

    fn name(&mut self) -> Parsed<String> {
        let name = self.next()?;
        match name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            true => Ok(name),
            false => Err(format!("a name expected, not `{name}`")),
        }
    }

    fn location(&mut self) -> Parsed<usize> {
        let name = self.name()?;
        location(self.program, &name)
    }

    fn lock(&mut self) -> Parsed<usize> {
        let name = self.name()?;
        if self.program.locations.iter().any(|location| location.name == name) {
            return Err(format!("`{name}` is a location"));
        }
        let locks = &mut self.program.locks;
        Ok(locks.iter().position(|lock| *lock == name).unwrap_or_else(|| {
            locks.push(name);
            locks.len() - 1
        }))
    }

    fn register(&mut self, name: String) -> usize {
        let registers = &mut self.thread.registers;
        registers.iter().position(|register| *register == name).unwrap_or_else(|| {
            registers.push(name);
            registers.len() - 1
        })
    }

    fn order_or_none(&mut self) -> Option<Order> {
        let order = Order::ALL.into_iter().find(|order| Some(order.name()) == self.peek());
        self.at += usize::from(order.is_some());
        order
    }

    /// An order that is one of those that the operation can have.
    fn order(&mut self, allowed: &[Order]) -> Parsed<Order> {
        match self.order_or_none() {
            Some(order) if allowed.contains(&order) => Ok(order),
            Some(order) => Err(format!("order `{}` does not fit here", order.name())),
            None => Err(format!("an order expected, not `{}`", self.peek().unwrap_or("the end"))),
        }
    }

    fn block(&mut self, end: Option<&str>) -> Parsed<Vec<Op>> {
        let mut ops = Vec::new();
        loop {
            match (self.peek(), end) {
                (None, None) => return Ok(ops),
                (None, Some(end)) => return Err(format!("`{end}` is missing")),
                (Some(token), Some(end)) if token == end => {
                    self.at += 1;
                    return Ok(ops);
                }
                (Some(";"), _) => self.at += 1,
                (Some(_), _) => ops.push(self.op()?),
            }
        }
    }

    fn braced(&mut self) -> Parsed<Vec<Op>> {
        self.expect("{")?;
        self.block(Some("}"))
    }

    fn op(&mut self) -> Parsed<Op> {
        use Order::{Acq, Ar, Na, Rel, Rlx, Sc};
        let first = self.name()?;
        // `lock = 0 sc` stores to a location of that name.
        let keyword = if matches!(self.peek(), Some("=" | ":=")) { "" } else { first.as_str() };
        Ok(match keyword {
            "fence" => Op::Fence(self.order(&[Acq, Rel, Ar, Sc])?),
            "assume" => Op::Assume(self.expr(0)?),
            "lock" => Op::Lock(self.lock()?),
            "unlock" => Op::Unlock(self.lock()?),
            "await" => {
                let location = self.location()?;
                self.expect("==")?;
                Op::Await { location, value: self.expr(0)?, order: self.order(&[Rlx, Acq, Sc])? }
            }
            "let" => {
                let name = self.name()?;
                let register = self.register(name);
                self.expect("=")?;
                Op::Let { register, value: self.expr(0)? }
            }
            "repeat" => Op::Repeat { times: number(&self.next()?)?, body: self.braced()? },
            "until" => {
                let condition = self.expr(0)?;
                self.expect("in")?;
                Op::Until { condition, most: number(&self.next()?)?, body: self.braced()? }
            }
            "if" => {
                let (condition, then) = (self.expr(0)?, self.braced()?);
                let other = if self.skip("else") { self.braced()? } else { Vec::new() };
                Op::If { condition, then, other }
            }
            _ if self.skip("=") => {
                let location = location(self.program, &first)?;
                Op::Store { location, value: self.expr(0)?, order: self.order(&[Na, Rlx, Rel, Sc])? }
            }
            _ => {
                self.expect(":=")?;
                let register = self.register(first);
                self.reading(register)?
            }
        })
    }

    /// What stands behind `r :=`.
    fn reading(&mut self, register: usize) -> Parsed<Op> {
        use Order::{Acq, Ar, Na, Rel, Rlx, Sc};
        const RMW: &[Order] = &[Rlx, Acq, Rel, Ar, Sc];
        let what = self.name()?;
        Ok(match what.as_str() {
            "fadd" | "xchg" => {
                let (location, value) = (self.location()?, self.expr(0)?);
                let order = self.order(RMW)?;
                match what.as_str() {
                    "fadd" => Op::Add { register, location, value, order },
                    _ => Op::Swap { register, location, value, order },
                }
            }
            "cas" => {
                let location = self.location()?;
                let (expected, new) = (self.operand()?, self.expr(0)?);
                let order = self.order(RMW)?;
                let failure = match self.order_or_none() {
                    None => order.read_part(),
                    Some(failure @ (Rlx | Acq | Sc)) => failure,
                    Some(other) => return Err(format!("a failing cas cannot be `{}`", other.name())),
                };
                Op::Cas { register, location, expected, new, order, failure }
            }
            "trylock" => Op::TryLock { register, lock: self.lock()? },
            _ => {
                let location = location(self.program, &what)?;
                Op::Load { register, location, order: self.order(&[Na, Rlx, Acq, Sc])? }
            }
        })
    }

    fn operand(&mut self) -> Parsed<Expr> {
        let token = self.next()?;
        Ok(match token.as_str() {
            "(" => {
                let inner = self.expr(0)?;
                self.expect(")")?;
                inner
            }
            "-" => match self.operand()? {
                Expr::Number(value) => Expr::Number(value.wrapping_neg()),
                other => Expr::binary(Operator::Sub, Expr::Number(0), other),
            },
            _ if token.starts_with(|c: char| c.is_ascii_digit()) => Expr::Number(number(&token)?),
            _ => {
                self.at -= 1;
                let name = self.name()?;
                Expr::Register(self.register(name))
            }
        })
    }

    fn expr(&mut self, lowest: u8) -> Parsed<Expr> {
        let mut left = self.operand()?;
        while let Some(operator) = Operator::ALL.iter().find(|operator| Some(operator.text()) == self.peek())
        {
            if operator.level() < lowest {
                break;
            }
            self.at += 1;
            left = Expr::binary(*operator, left, self.expr(operator.level() + 1)?);
        }
        Ok(left)
    }
}
