//! Finds what the user called an object, in the source around its constructor.
//!
//! This reads backwards from the constructor over the expression around it, until it meets the
//! `let`, `static`, field or assignment that names the result. It is a reader of common shapes, not
//! a parser: where it is in doubt it gives up, because a wrong name is worse than a place.

/// Calls that pass their argument on as what they return.
const WRAPPERS: &[&str] = &["map", "vec!", "from_fn", "leak", "Some", "Ok", "new", "from", "pin", "default"];
/// How far back to look; a constructor is rarely further from the name it gets.
const LINES: usize = 12;

/// The name that the value constructed at `line` and `column` (both from 1) is bound to.
pub(crate) fn name_at(text: &str, line: u32, column: u32) -> Option<String> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let mut before = String::new();
    for (index, content) in text.lines().enumerate().skip(line.saturating_sub(LINES)) {
        if index == line {
            before.extend(content.chars().take(column));
            let suffix: String = content.chars().skip(column).collect();
            // The site is a constructor only if an expression starts here.
            suffix.chars().next().filter(|c| c.is_alphanumeric() || *c == '_')?;
            return Reader { rest: &before, prefix: "", suffix: String::new() }.read();
        }
        before.push_str(content.split("//").next().unwrap_or(""));
        before.push('\n');
    }
    None
}

struct Reader<'a> {
    rest: &'a str,
    /// `*` for what the name only points to.
    prefix: &'static str,
    /// The place inside a tuple or array: `.1`, `[2]`.
    suffix: String,
}

impl Reader<'_> {
    fn read(mut self) -> Option<String> {
        loop {
            self.trim();
            let last = self.rest.chars().next_back()?;
            match last {
                '&' | '*' => self.cut(1),
                '=' => return self.assigned(),
                ':' if !self.rest.ends_with("::") => return self.field(),
                '(' | '[' | ',' => {
                    if let Some(place) = self.step_out()? {
                        return self.named(&place);
                    }
                }
                '|' => self.closure()?,
                _ if self.rest.ends_with("move") => self.cut(4),
                '{' if self.rest.ends_with("unsafe {") => self.cut("unsafe {".len()),
                _ => return None,
            }
        }
    }

    fn trim(&mut self) {
        self.rest = self.rest.trim_end();
    }

    fn cut(&mut self, bytes: usize) {
        self.rest = &self.rest[..self.rest.len() - bytes];
    }

    /// `let mut name: Type =`, `static NAME: Type =`, `self.name =`.
    fn assigned(&self) -> Option<String> {
        let left = self.rest.strip_suffix('=')?;
        if left.ends_with(['=', '<', '>', '!', '+', '-', '*', '/', '|', '&', '^', '%']) {
            return None;
        }
        let statement = left.rsplit([';', '{', '}']).next()?.trim();
        let words = ["let ", "static ", "const "];
        let binding = words.iter().filter_map(|word| Some((find_word(statement, word)?, word.len()))).max();
        let name = match binding {
            Some((start, length)) => {
                let mut pattern = statement[start + length..].trim();
                for prefix in ["mut ", "ref "] {
                    pattern = pattern.strip_prefix(prefix).unwrap_or(pattern).trim_start();
                }
                if pattern.starts_with('(') {
                    let close = pattern.find(')')?;
                    return Some(pattern[..=close].to_owned()).filter(|name| name.len() <= 24);
                }
                pattern.split(|c: char| !is_name(c)).next()?
            }
            None => statement.rsplit(|c: char| !is_name(c)).next()?,
        };
        self.named(name)
    }

    /// `name: Mutex::new(..)` in a struct literal.
    fn field(&self) -> Option<String> {
        let left = self.rest.strip_suffix(':')?.trim_end();
        self.named(left.rsplit(|c: char| !is_name(c)).next()?)
    }

    fn named(&self, name: &str) -> Option<String> {
        let first = name.chars().next()?;
        let good = (first.is_alphabetic() || first == '_') && name != "_";
        // A place in what is pointed to is written like one in what is there.
        let prefix = if self.suffix.is_empty() { self.prefix } else { "" };
        good.then(|| format!("{prefix}{name}{}", self.suffix))
    }

    /// Leaves the innermost bracket, past what stands before in it; the name of the place, if the bracket
    /// is that of a write through a pointer.
    fn step_out(&mut self) -> Option<Option<String>> {
        let (mut depth, mut commas, mut open) = (0, 0, None);
        for (index, c) in self.rest.char_indices().rev() {
            match c {
                ')' | ']' | '}' => depth += 1,
                '(' | '[' | '{' if depth > 0 => depth -= 1,
                '(' | '[' => {
                    open = Some((index, c));
                    break;
                }
                ',' if depth == 0 => commas += 1,
                '{' | ';' if depth == 0 => return None,
                _ => {}
            }
        }
        let (index, bracket) = open?;
        self.rest = self.rest[..index].trim_end();
        let callee = self.postfix();
        if bracket == '[' {
            self.suffix.insert_str(0, &format!("[{commas}]"));
            return (callee.is_empty() || callee == "vec!").then_some(None);
        }
        if callee.is_empty() {
            self.suffix.insert_str(0, &format!(".{commas}"));
            return Some(None);
        }
        let last = callee.rsplit(['.', ':']).next()?;
        if last == "into_raw" && commas == 0 {
            self.prefix = "*";
            return Some(None);
        }
        // `pointer.write(..)` and `ptr::write(pointer, ..)`.
        if let Some(pointer) = callee.strip_suffix(".write").filter(|_| commas == 0) {
            self.prefix = "*";
            return Some(Some(pointer.rsplit('.').next()?.to_owned()));
        }
        let tuple_struct = last.chars().next().is_some_and(char::is_uppercase);
        (commas == 0 && (tuple_struct || WRAPPERS.contains(&last))).then_some(None)
    }

    /// Takes the path or method chain at the end, e.g. `Arc::new` or `(0..3).map`.
    fn postfix(&mut self) -> String {
        let (mut depth, mut start) = (0, self.rest.len());
        for (index, c) in self.rest.char_indices().rev() {
            match c {
                ')' | ']' | '>' => depth += 1,
                '(' | '[' | '<' if depth > 0 => depth -= 1,
                _ if depth > 0 => {}
                _ if is_name(c) || matches!(c, ':' | '.' | '!' | '?') => {}
                _ => break,
            }
            start = index;
        }
        // A colon that opens a field's value is not part of the path: `lock: Arc::new`.
        let text = &self.rest[start..];
        let own = text
            .char_indices()
            .find(|(at, c)| *c == ':' && !text[at + 1..].starts_with(':') && !text[..*at].ends_with(':'));
        if let Some((at, _)) = own {
            start += at + 1;
        }
        let callee = self.rest[start..].to_owned();
        self.rest = &self.rest[..start];
        callee
    }

    /// `|_|` or `||` before a closure's body.
    fn closure(&mut self) -> Option<()> {
        let inside = self.rest.strip_suffix('|')?;
        self.rest = &inside[..inside.rfind('|')?];
        self.trim();
        Some(())
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The name of the field whose method is called at `line` and `column` (both from 1), as the call has it:
/// `names` in `self.names.lock()`, and in `names[at].lock()`. Any other variable has no such name: it may stand
/// for many objects.
pub(crate) fn field_at(text: &str, line: u32, column: u32) -> Option<String> {
    let content = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let before: String = content.chars().take(usize::try_from(column).ok()?.checked_sub(1)?).collect();
    let mut rest = before.trim_end().strip_suffix('.')?;
    let indexed = rest.strip_suffix(']');
    if let Some(index) = indexed {
        rest = &index[..index.rfind('[')?];
    }
    let start = rest.rfind(|c: char| !is_name(c)).map_or(0, |at| at + 1);
    let (path, name) = rest.split_at(start);
    let named = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    (named && (path.ends_with('.') || indexed.is_some())).then(|| name.to_owned())
}

/// The last place where `word` starts and no other word runs into it.
fn find_word(text: &str, word: &str) -> Option<usize> {
    text.rmatch_indices(word).map(|(at, _)| at).find(|at| !text[..*at].ends_with(is_name))
}

#[cfg(test)]
mod tests {
    use super::{field_at, name_at};

    /// The name of what is constructed at the `^` in the text (the mark is removed).
    fn at(marked: &str) -> Option<String> {
        let index = marked.find('^').unwrap();
        let line = marked[..index].matches('\n').count() + 1;
        let column = index - marked[..index].rfind('\n').map_or(0, |n| n + 1) + 1;
        name_at(&marked.replacen('^', "", 1), line as u32, column as u32)
    }

    #[test]
    fn bindings_statics_and_fields() {
        assert_eq!(at("let count = ^AtomicUsize::new(0);").unwrap(), "count");
        assert_eq!(at("let mut count: AtomicUsize = ^AtomicUsize::new(0);").unwrap(), "count");
        assert_eq!(at("pub static COUNTER: Mutex<u8> = ^Mutex::new(0);").unwrap(), "COUNTER");
        assert_eq!(at("static ref LOCK: Mutex<u8> = ^Mutex::new(0);").unwrap(), "LOCK");
        assert_eq!(at("Self {\n    head: ^AtomicPtr::new(p),\n}").unwrap(), "head");
        assert_eq!(at("Self { a: b, lock: Arc::new(^Mutex::new(())) }").unwrap(), "lock");
        assert_eq!(at("self.slot = Some(^Mutex::new(()));").unwrap(), "slot");
    }

    #[test]
    fn wrappers_and_lines() {
        assert_eq!(at("let lock = Arc::new(^Mutex::new(0));").unwrap(), "lock");
        assert_eq!(at("let lock = // why\n    Arc::new(\n    ^Mutex::new(0));").unwrap(), "lock");
        assert_eq!(at("let x: Option<Box<A>> = Some(Box::new(^A::new()));").unwrap(), "x");
        assert_eq!(at("let a = &*Box::leak(Box::new(^Mutex::new(0)));").unwrap(), "a");
        assert_eq!(at("let forks: Vec<_> = (0..n).map(|_| ^Mutex::new(())).collect();").unwrap(), "forks");
        assert_eq!(at("let l = std::array::from_fn(move |i| ^Mutex::new(i));").unwrap(), "l");
    }

    #[test]
    fn tuples_and_arrays() {
        let pair = "let pair = Arc::new((^Mutex::new(false), Condvar::new()));";
        assert_eq!(at(pair).unwrap(), "pair.0");
        assert_eq!(at("let pair = Arc::new((Mutex::new(false), ^Condvar::new()));").unwrap(), "pair.1");
        assert_eq!(at("let locks = [Mutex::new(0), ^Mutex::new(1)];").unwrap(), "locks[1]");
        assert_eq!(at("let v = vec![^Mutex::new(1)];").unwrap(), "v[0]");
        assert_eq!(at("let (tx, rx) = ^mpsc::channel();").unwrap(), "(tx, rx)");
    }

    #[test]
    fn what_a_name_points_to() {
        assert_eq!(at("let p = Box::into_raw(Box::new(^AtomicU32::new(1)));").unwrap(), "*p");
        let field = "Self { data: AtomicPtr::new(Box::into_raw(Box::new(^AtomicU32::new(3)))) }";
        assert_eq!(at(field).unwrap(), "*data");
        assert_eq!(at("let p = Box::into_raw(Box::new((^Mutex::new(0), 1)));").unwrap(), "p.0");
        assert_eq!(at("unsafe { cells.write(^AtomicU32::new(3)) };").unwrap(), "*cells");
        assert_eq!(
            at("let p = Box::into_raw(Box::new(Node { next: ^AtomicPtr::new(q) }));").unwrap(),
            "next"
        );
    }

    #[test]
    fn fields_by_the_calls_of_their_methods() {
        let of = |marked: &str| {
            let column = marked.find('^').unwrap() + 1;
            field_at(&marked.replacen('^', "", 1), 1, column as u32)
        };
        assert_eq!(of("self.names.^lock().unwrap()").unwrap(), "names");
        assert_eq!(of("t.wants[1 - me].^load(Acquire)").unwrap(), "wants");
        assert_eq!(of("unsafe { &*node }.next.^load(Relaxed)").unwrap(), "next");
        assert_eq!(of("let left = forks[at].^lock().unwrap();").unwrap(), "forks");
        for none in ["items.^lock()", "pair.0.^lock()", "get(p).^lock()", "^lock()", "rows()[0].^lock()"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn doubt_gives_no_name() {
        assert_eq!(at("let handle = spawn_workers(^Mutex::new(0));"), None);
        assert_eq!(at("fn new() -> Self { Self(^Mutex::new(0)) }"), None);
        assert_eq!(at("if x == ^Mutex::new(0) {}"), None);
        assert_eq!(at("let _ = ^Mutex::new(0);"), None);
        assert_eq!(name_at("", 3, 1), None);
        assert_eq!(name_at("ä", 1, 9), None);
    }
}
