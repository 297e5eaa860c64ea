//! Small concurrent programs as plain data, and how they are written down (`Display`).

use std::collections::BTreeMap;
use std::fmt;

/// A program: threads of operations over shared locations and locks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Numbers that its header states, e.g. `sc` for the number of complete graphs under `sc`.
    pub stated: BTreeMap<String, u64>,
    /// The shared words, in the order in which the text names them first.
    pub locations: Vec<Location>,
    /// The names of the locks, in the order in which the text names them first.
    pub locks: Vec<String>,
    /// The threads; they start together.
    pub threads: Vec<Thread>,
}

/// A shared word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its name.
    pub name: String,
    /// Its initial value.
    pub initial: i64,
}

/// A thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// The names of its registers, which start at 0, in the order in which the text names them first.
    pub registers: Vec<String>,
    /// What it does.
    pub code: Vec<Op>,
}

/// A memory order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Order {
    /// Not atomic. No program here has a race, so such an access behaves as a relaxed one.
    Na,
    /// Relaxed.
    Rlx,
    /// Acquire.
    Acq,
    /// Release.
    Rel,
    /// Acquire and release.
    Ar,
    /// Sequentially consistent.
    Sc,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 6] = [Self::Na, Self::Rlx, Self::Acq, Self::Rel, Self::Ar, Self::Sc];

    /// Its name in a program's text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Na => "na",
            Self::Rlx => "rlx",
            Self::Acq => "acq",
            Self::Rel => "rel",
            Self::Ar => "ar",
            Self::Sc => "sc",
        }
    }

    /// Whether a read or fence of this order acquires.
    pub const fn acquires(self) -> bool {
        matches!(self, Self::Acq | Self::Ar | Self::Sc)
    }

    /// Whether a write or fence of this order releases.
    pub const fn releases(self) -> bool {
        matches!(self, Self::Rel | Self::Ar | Self::Sc)
    }

    /// The part that the read of a failing compare-and-swap keeps if nothing else is said.
    pub const fn read_part(self) -> Self {
        match self {
            Self::Rel => Self::Rlx,
            Self::Ar => Self::Acq,
            other => other,
        }
    }
}

/// An operation. Locations, locks and registers are indices into the lists of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// `x = E ord`
    #[allow(missing_docs)]
    Store { location: usize, value: Expr, order: Order },
    /// `r := x ord`
    #[allow(missing_docs)]
    Load { register: usize, location: usize, order: Order },
    /// `r := fadd x E ord`: `r` is the old value.
    #[allow(missing_docs)]
    Add { register: usize, location: usize, value: Expr, order: Order },
    /// `r := xchg x E ord`: `r` is the old value.
    #[allow(missing_docs)]
    Swap { register: usize, location: usize, value: Expr, order: Order },
    /// `r := cas x E E ord ord`: `r` is the old value; if that is not the expected one, nothing is
    /// written and the event is a read of order `failure`.
    #[allow(missing_docs)]
    Cas { register: usize, location: usize, expected: Expr, new: Expr, order: Order, failure: Order },
    /// `fence ord`
    Fence(Order),
    /// `let r = E`
    #[allow(missing_docs)]
    Let { register: usize, value: Expr },
    /// `assume E`: the thread stops for good if E is 0.
    Assume(Expr),
    /// `repeat N { ... }`
    #[allow(missing_docs)]
    Repeat { times: u32, body: Vec<Op> },
    /// `until E in N { ... }`: again and again, until E is not 0 behind it. Enumerators try so many rounds and no
    /// more.
    #[allow(missing_docs)]
    Until { condition: Expr, most: u32, body: Vec<Op> },
    /// `if E { ... } else { ... }`
    #[allow(missing_docs)]
    If { condition: Expr, then: Vec<Op>, other: Vec<Op> },
    /// `lock m`: waits until the lock is free and takes it.
    Lock(usize),
    /// `unlock m`: gives the lock back; nothing happens if the thread does not hold it.
    Unlock(usize),
    /// `r := trylock m`: `r` is 1 if the lock was taken, 0 if it was not free.
    #[allow(missing_docs)]
    TryLock { register: usize, lock: usize },
    /// `await x == E ord`: waits until it reads that value; one read.
    #[allow(missing_docs)]
    Await { location: usize, value: Expr, order: Order },
}

impl Op {
    /// The lists of operations inside this one.
    pub fn bodies(&self) -> Vec<&Vec<Self>> {
        match self {
            Self::Repeat { body, .. } | Self::Until { body, .. } => vec![body],
            Self::If { then, other, .. } => vec![then, other],
            _ => Vec::new(),
        }
    }

    /// The lists of operations inside this one.
    pub fn bodies_mut(&mut self) -> Vec<&mut Vec<Self>> {
        match self {
            Self::Repeat { body, .. } | Self::Until { body, .. } => vec![body],
            Self::If { then, other, .. } => vec![then, other],
            _ => Vec::new(),
        }
    }
}

/// An integer expression over the registers of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A constant.
    Number(i64),
    /// The value of a register.
    Register(usize),
    /// An operator and its two sides.
    Binary(Operator, Box<Expr>, Box<Expr>),
}

impl Expr {
    /// An operator applied.
    pub fn binary(operator: Operator, left: Self, right: Self) -> Self {
        Self::Binary(operator, Box::new(left), Box::new(right))
    }

    /// The value, given those of the registers.
    pub fn eval(&self, registers: &[i64]) -> i64 {
        match self {
            Self::Number(value) => *value,
            Self::Register(register) => registers[*register],
            Self::Binary(operator, left, right) => {
                operator.apply(left.eval(registers), right.eval(registers))
            }
        }
    }
}

macro_rules! operators {
    ($($name:ident $text:literal $level:literal $a:ident $b:ident $value:expr,)*) => {
        /// An operator of [`Expr`]; comparisons and logic give 0 or 1, arithmetic wraps.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Operator { $($name,)* }

        impl Operator {
            /// Every operator.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// How it is written.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How strongly it binds; all bind to the left.
            pub const fn level(self) -> u8 {
                match self { $(Self::$name => $level,)* }
            }

            /// Its value.
            pub fn apply(self, a: i64, b: i64) -> i64 {
                match self { $(Self::$name => { let ($a, $b) = (a, b); $value },)* }
            }
        }
    };
}

operators! {
    Or "||" 1 a b i64::from(a != 0 || b != 0),
    And "&&" 2 a b i64::from(a != 0 && b != 0),
    Eq "==" 3 a b i64::from(a == b),
    Ne "!=" 3 a b i64::from(a != b),
    Lt "<" 4 a b i64::from(a < b),
    Le "<=" 4 a b i64::from(a <= b),
    Gt ">" 4 a b i64::from(a > b),
    Ge ">=" 4 a b i64::from(a >= b),
    Xor "^" 5 a b a ^ b,
    Add "+" 6 a b a.wrapping_add(b),
    Sub "-" 6 a b a.wrapping_sub(b),
    Mul "*" 7 a b a.wrapping_mul(b),
}

impl Program {
    /// The threads.
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }

    /// Whether a thread waits in a loop.
    pub fn has_loops(&self) -> bool {
        fn has_loops(code: &[Op]) -> bool {
            code.iter()
                .any(|op| matches!(op, Op::Until { .. }) || op.bodies().iter().any(|body| has_loops(body)))
        }
        self.threads.iter().any(|thread| has_loops(&thread.code))
    }

    /// A number that the header states.
    pub fn stated(&self, key: &str) -> Option<u64> {
        self.stated.get(key).copied()
    }

    /// What the numbers of a final state are: `thread:register` for each register of each thread, then
    /// the locations.
    pub fn state_names(&self) -> Vec<String> {
        let registers = self.threads.iter().enumerate().flat_map(|(index, thread)| {
            thread.registers.iter().map(move |register| format!("{index}:{register}"))
        });
        registers.chain(self.locations.iter().map(|location| location.name.clone())).collect()
    }
}

/// An operation or expression with the names that its indices stand for.
struct Named<'a, T: ?Sized>(&'a T, &'a Program, &'a Thread);

impl fmt::Display for Named<'_, Expr> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(expr, program, thread) = *self;
        let side = |expr: &Expr| match expr {
            Expr::Binary(..) => format!("({})", Named(expr, program, thread)),
            _ => Named(expr, program, thread).to_string(),
        };
        match expr {
            Expr::Number(value) => write!(f, "{value}"),
            Expr::Register(register) => f.write_str(&thread.registers[*register]),
            Expr::Binary(operator, left, right) => {
                write!(f, "{} {} {}", side(left), operator.text(), side(right))
            }
        }
    }
}

impl fmt::Display for Named<'_, [Op]> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(code, program, thread) = *self;
        for (index, op) in code.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "; " }, Named(op, program, thread))?;
        }
        Ok(())
    }
}

impl fmt::Display for Named<'_, Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(op, program, thread) = *self;
        let x = |location: &usize| &program.locations[*location].name;
        let m = |lock: &usize| &program.locks[*lock];
        let r = |register: &usize| &thread.registers[*register];
        let e = |expr| Named::<Expr>(expr, program, thread);
        let block = |code| Named::<[Op]>(code, program, thread);
        match op {
            Op::Store { location, value, order } => {
                write!(f, "{} = {} {}", x(location), e(value), order.name())
            }
            Op::Load { register, location, order } => {
                write!(f, "{} := {} {}", r(register), x(location), order.name())
            }
            Op::Add { register, location, value, order } => {
                write!(f, "{} := fadd {} {} {}", r(register), x(location), e(value), order.name())
            }
            Op::Swap { register, location, value, order } => {
                write!(f, "{} := xchg {} {} {}", r(register), x(location), e(value), order.name())
            }
            Op::Cas { register, location, expected, new, order, failure } => {
                let expected = match expected {
                    Expr::Binary(..) => format!("({})", e(expected)),
                    _ => e(expected).to_string(),
                };
                let (r, x, new) = (r(register), x(location), e(new));
                write!(f, "{r} := cas {x} {expected} {new} {} {}", order.name(), failure.name())
            }
            Op::Fence(order) => write!(f, "fence {}", order.name()),
            Op::Let { register, value } => write!(f, "let {} = {}", r(register), e(value)),
            Op::Assume(value) => write!(f, "assume {}", e(value)),
            Op::Until { condition, most, body } => {
                write!(f, "until {} in {most} {{ {} }}", e(condition), block(body))
            }
            Op::Repeat { times, body } => write!(f, "repeat {times} {{ {} }}", block(body)),
            Op::If { condition, then, other } => {
                write!(f, "if {} {{ {} }}", e(condition), block(then))?;
                if !other.is_empty() {
                    write!(f, " else {{ {} }}", block(other))?;
                }
                Ok(())
            }
            Op::Lock(lock) => write!(f, "lock {}", m(lock)),
            Op::Unlock(lock) => write!(f, "unlock {}", m(lock)),
            Op::TryLock { register, lock } => write!(f, "{} := trylock {}", r(register), m(lock)),
            Op::Await { location, value, order } => {
                write!(f, "await {} == {} {}", x(location), e(value), order.name())
            }
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (key, value) in &self.stated {
            write!(f, " {key}={value}")?;
        }
        writeln!(f)?;
        let initial: Vec<String> = self
            .locations
            .iter()
            .filter(|location| location.initial != 0)
            .map(|location| format!(" {}={}", location.name, location.initial))
            .collect();
        if !initial.is_empty() {
            writeln!(f, "I:{}", initial.concat())?;
        }
        for thread in &self.threads {
            writeln!(f, "T: {}", Named(&thread.code[..], self, thread))?;
        }
        Ok(())
    }
}
