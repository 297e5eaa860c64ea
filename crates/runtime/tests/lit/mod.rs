//! A reader for litmus files; the format is described in `tests/litmus/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub struct Test {
    pub name: String,
    pub sc: usize,
    pub rc11: usize,
    pub initial: BTreeMap<String, i64>,
    pub threads: Vec<Arc<Vec<Op>>>,
}

pub enum Op {
    Store(String, Expr, String),
    Load(String, String, String),
    Add(String, String, Expr, String),
    Exchange(String, String, Expr, String),
    Cas { r: String, x: String, expected: Expr, new: Expr, mode: String, failure: Option<String> },
    Fence(String),
    Let(String, Expr),
    Assume(Expr),
    Repeat(u32, Vec<Op>),
    If(Expr, Vec<Op>, Vec<Op>),
}

pub enum Expr {
    Number(i64),
    Register(String),
    Binary(&'static str, Box<Expr>, Box<Expr>),
}

impl Expr {
    pub fn eval(&self, registers: &BTreeMap<String, i64>) -> i64 {
        match self {
            Self::Number(value) => *value,
            Self::Register(name) => registers.get(name).copied().unwrap_or(0),
            Self::Binary(operator, a, b) => {
                let (a, b) = (a.eval(registers), b.eval(registers));
                match *operator {
                    "+" => a.wrapping_add(b),
                    "-" => a.wrapping_sub(b),
                    "*" => a.wrapping_mul(b),
                    "^" => a ^ b,
                    "==" => i64::from(a == b),
                    "!=" => i64::from(a != b),
                    "<" => i64::from(a < b),
                    "<=" => i64::from(a <= b),
                    ">" => i64::from(a > b),
                    ">=" => i64::from(a >= b),
                    "&&" => i64::from(a != 0 && b != 0),
                    _ => i64::from(a != 0 || b != 0),
                }
            }
        }
    }
}

impl Test {
    pub fn locations(&self) -> BTreeSet<String> {
        fn visit(code: &[Op], into: &mut BTreeSet<String>) {
            for op in code {
                match op {
                    Op::Store(x, ..) | Op::Load(_, x, _) | Op::Add(_, x, ..) | Op::Exchange(_, x, ..) => {
                        into.insert(x.clone());
                    }
                    Op::Cas { x, .. } => {
                        into.insert(x.clone());
                    }
                    Op::Repeat(_, body) => visit(body, into),
                    Op::If(_, a, b) => {
                        visit(a, into);
                        visit(b, into);
                    }
                    Op::Fence(_) | Op::Let(..) | Op::Assume(_) => {}
                }
            }
        }
        let mut names: BTreeSet<String> = self.initial.keys().cloned().collect();
        self.threads.iter().for_each(|code| visit(code, &mut names));
        names
    }
}

/// The tests of a file.
pub fn parse(text: &str) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        if let Some(initial) = line.strip_prefix("I:") {
            let test = tests.last_mut().expect("a header comes first");
            for pair in initial.split_whitespace() {
                let (name, value) = pair.split_once('=').expect("name=value");
                test.initial.insert(name.to_owned(), value.parse().expect("a number"));
            }
        } else if let Some(rest) = line.strip_prefix('T').filter(|rest| rest.starts_with([':', '*'])) {
            let test = tests.last_mut().expect("a header comes first");
            let (times, code) = rest.split_once(':').expect("T: code");
            let times: usize = times.strip_prefix('*').map_or(1, |times| times.parse().expect("a number"));
            for index in 0..times {
                let code = code.replace('$', &index.to_string());
                let mut tokens = Tokens::new(&code);
                let ops = tokens.block(None);
                test.threads.push(Arc::new(ops));
            }
        } else {
            let mut words = line.split_whitespace();
            let name = words.next().expect("a name").to_owned();
            let counts: BTreeMap<&str, usize> = words
                .map(|word| word.split_once('=').expect("key=value"))
                .map(|(k, v)| (k, v.parse().expect("a number")))
                .collect();
            tests.push(Test {
                name,
                sc: counts["sc"],
                rc11: counts["rc11"],
                initial: BTreeMap::new(),
                threads: Vec::new(),
            });
        }
    }
    tests
}

struct Tokens {
    tokens: Vec<String>,
    at: usize,
}

const ORDERS: [&str; 6] = ["na", "rlx", "acq", "rel", "ar", "sc"];

impl Tokens {
    fn new(text: &str) -> Self {
        let mut tokens = Vec::new();
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            let c = chars[at];
            let start = at;
            if c.is_whitespace() {
                at += 1;
                continue;
            }
            if c.is_alphanumeric() || c == '_' {
                while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                    at += 1;
                }
            } else {
                let two: String = chars[at..(at + 2).min(chars.len())].iter().collect();
                at += if [":=", "==", "!=", "<=", ">=", "&&", "||"].contains(&two.as_str()) { 2 } else { 1 };
            }
            tokens.push(chars[start..at].iter().collect());
        }
        Self { tokens, at: 0 }
    }

    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens[self.at - 1].clone()
    }

    fn expect(&mut self, token: &str) {
        assert_eq!(self.next(), token);
    }

    fn block(&mut self, end: Option<&str>) -> Vec<Op> {
        let mut ops = Vec::new();
        loop {
            match self.peek() {
                None => return ops,
                Some(token) if Some(token) == end => {
                    self.at += 1;
                    return ops;
                }
                Some(";") => self.at += 1,
                Some(_) => ops.push(self.op()),
            }
        }
    }

    fn braced(&mut self) -> Vec<Op> {
        self.expect("{");
        self.block(Some("}"))
    }

    fn op(&mut self) -> Op {
        let first = self.next();
        match first.as_str() {
            "fence" => return Op::Fence(self.next()),
            "assume" => return Op::Assume(self.expr(0)),
            "let" => {
                let r = self.next();
                self.expect("=");
                return Op::Let(r, self.expr(0));
            }
            "repeat" => {
                let times = self.next().parse().expect("a number");
                return Op::Repeat(times, self.braced());
            }
            "if" => {
                let condition = self.expr(0);
                let then = self.braced();
                let other = if self.peek() == Some("else") {
                    self.at += 1;
                    self.braced()
                } else {
                    Vec::new()
                };
                return Op::If(condition, then, other);
            }
            _ => {}
        }
        if self.peek() == Some("=") {
            self.at += 1;
            let value = self.expr(0);
            return Op::Store(first, value, self.next());
        }
        self.expect(":=");
        let what = self.next();
        match what.as_str() {
            "fadd" | "xchg" => {
                let x = self.next();
                let value = self.expr(0);
                let mode = self.next();
                if what == "fadd" {
                    Op::Add(first, x, value, mode)
                } else {
                    Op::Exchange(first, x, value, mode)
                }
            }
            "cas" => {
                let x = self.next();
                let expected = self.operand();
                let new = self.expr(0);
                let mode = self.next();
                let failure = self.peek().filter(|token| ORDERS.contains(token)).map(str::to_owned);
                self.at += usize::from(failure.is_some());
                Op::Cas { r: first, x, expected, new, mode, failure }
            }
            _ => Op::Load(first, what, self.next()),
        }
    }

    fn operand(&mut self) -> Expr {
        let token = self.next();
        match token.as_str() {
            "(" => {
                let inner = self.expr(0);
                self.expect(")");
                inner
            }
            "-" => Expr::Binary("-", Box::new(Expr::Number(0)), Box::new(self.operand())),
            _ => match token.parse() {
                Ok(number) => Expr::Number(number),
                Err(_) => Expr::Register(token),
            },
        }
    }

    fn expr(&mut self, lowest: u8) -> Expr {
        const OPERATORS: [(&str, u8); 12] = [
            ("||", 1),
            ("&&", 2),
            ("==", 3),
            ("!=", 3),
            ("<", 4),
            ("<=", 4),
            (">", 4),
            (">=", 4),
            ("^", 5),
            ("+", 6),
            ("-", 6),
            ("*", 7),
        ];
        let mut left = self.operand();
        while let Some(&(operator, level)) =
            self.peek().and_then(|token| OPERATORS.iter().find(|(operator, _)| *operator == token))
        {
            if level < lowest {
                break;
            }
            self.at += 1;
            left = Expr::Binary(operator, Box::new(left), Box::new(self.expr(level + 1)));
        }
        left
    }
}
