//! Waits for a condition, as text: a loop that loads again behind a load, or one in front of a statement.
//!
//! Explored is a load that is done again with a `spin_loop` in between. The text does that where what is loaded
//! is given a name by a statement that does nothing else; what else is tested are variables that hold what was
//! read at other places, whole and unchanged. In front of a statement the text has a path to the atomic where
//! the statement's own has the same beginning, or where both are methods of one `impl`.

use super::calls::{Call, call_at};
use super::edits::replace;
use super::guard::own_path;
use super::lines::{binding, code, has_word, imports, indent, statement_start};
use super::{Changes, Names, law, order_name, push};
use crate::Sources;
use racefuzz_trace::{Compare, Edit, Fix, Site, Value};
use std::collections::BTreeMap;
use std::ops::Range;

/// Writes a wait, if it can be written.
pub(super) fn write(
    fix: &Fix,
    edit: &Edit,
    sources: &dyn Sources,
    names: Names,
    files: &mut BTreeMap<String, Changes>,
) -> bool {
    match edit {
        Edit::LoadAgain { load, .. } => {
            let Some(text) = sources.text(&load.file) else { return false };
            let lines: Vec<&str> = text.lines().collect();
            let Some(again) = Again::of(fix, edit, &text, &lines, sources) else { return false };
            let white = indent(lines[again.bound.line - 1]);
            let changes = files.entry(load.file.clone()).or_default();
            if !again.bound.mutable {
                let name = again.bound.name_at.clone();
                replace(&text, name, &format!("mut {}", again.bound.name), changes);
            }
            for line in [
                format!("{white}while {} {{", again.test),
                format!("{white}    {};", spin_loop(&text, names)),
                format!("{white}    {} = {};", again.bound.name, again.bound.call),
                format!("{white}}}"),
            ] {
                changes.behind.entry(again.bound.last).or_default().push(line);
            }
            true
        }
        Edit::WaitFor { before, order, .. } => {
            let Some(text) = sources.text(&before.file) else { return false };
            let lines: Vec<&str> = text.lines().collect();
            if before.line == 0 || before.line as usize > lines.len() {
                return false;
            }
            let Some(test) = waits_while(fix, edit, &text, &order_name(*order, &text, names)) else {
                return false;
            };
            let start = statement_start(&lines, before.line as usize);
            let white = indent(lines[start - 1]);
            let changes = files.entry(before.file.clone()).or_default();
            for line in [
                format!("{white}while {test} {{"),
                format!("{white}    {};", spin_loop(&text, names)),
                format!("{white}}}"),
            ] {
                push(&mut changes.before, start, line);
            }
            law::stands_before(fix, before, &lines, sources)
        }
        _ => false,
    }
}

/// What the threads that wait wait for, as the text says it.
pub(crate) fn in_words(fix: &Fix, edit: &Edit, sources: &dyn Sources) -> Option<String> {
    match edit {
        Edit::LoadAgain { load, .. } => {
            let text = sources.text(&load.file)?;
            let lines: Vec<&str> = text.lines().collect();
            let again = Again::of(fix, edit, &text, &lines, sources)?;
            Some(format!("line {} loads again while {}", load.line, again.test))
        }
        Edit::WaitFor { before, .. } => {
            let text = sources.text(&before.file)?;
            let test = waits_while(fix, edit, &text, "")?.replace(".load()", "");
            Some(format!("line {} waits while {test}", before.line))
        }
        _ => None,
    }
}

/// A load that is done again, as its statement has it.
struct Again<'t> {
    bound: Bound<'t>,
    /// The condition of the loop.
    test: String,
}

impl<'t> Again<'t> {
    fn of(fix: &Fix, edit: &Edit, text: &'t str, lines: &[&str], sources: &dyn Sources) -> Option<Self> {
        let Edit::LoadAgain { load, returns, when } = edit else { return None };
        let bound = Bound::at(text, lines, load).filter(|bound| bound.method == "load")?;
        // What is called on may not be hidden by what is made.
        let root = bound.call.split(['.', '[']).next()?;
        if root == bound.name {
            return None;
        }
        let mut test = tested(bound.name, returns)?;
        if let Some((site, compare)) = when {
            let variable = |site: &Site| {
                let made = Bound::at(text, lines, site).filter(|_| site.file == load.file)?;
                // What is called in between might come here again, and read something else.
                let between = &lines[made.last.min(bound.line - 1)..bound.line - 1];
                let again = law::calls_events(fix, &load.file, between, sources);
                (stays(lines, &made, bound.line) && !again).then_some(made.name)
            };
            let name = variable(site)?;
            let other = match compare {
                Compare::Is(_) | Compare::IsNot(_) => tested(name, compare)?,
                Compare::IsRead(other) => format!("{name} == {}", variable(other)?),
                Compare::IsNotRead(other) => format!("{name} != {}", variable(other)?),
            };
            test = format!("{test} && {other}");
        }
        Some(Self { bound, test })
    }
}

/// A variable that is what an access returns.
struct Bound<'t> {
    name: &'t str,
    name_at: Range<usize>,
    mutable: bool,
    /// The access, without what follows it.
    call: &'t str,
    method: &'t str,
    /// The first and the last line of the statement.
    line: usize,
    last: usize,
}

impl<'t> Bound<'t> {
    fn at(text: &'t str, lines: &[&str], site: &Site) -> Option<Self> {
        const RETURNS: [&str; 10] = [
            "load",
            "swap",
            "fetch_add",
            "fetch_sub",
            "fetch_or",
            "fetch_and",
            "fetch_xor",
            "fetch_max",
            "fetch_min",
            "fetch_nand",
        ];
        let Call { name: method, end, .. } = call_at(text, site.line, site.column)?;
        let method_name = &text[method.clone()];
        let path = path_before(text, method.start)?;
        let before = text[..path.start].strip_suffix(' ')?;
        let begins = before.rfind('\n').map_or(0, |at| at + 1);
        let head = &before[begins..];
        let name = binding(head)?;
        let mutable = head.trim_start().starts_with("let mut ");
        let stated = head.trim_start().strip_prefix(if mutable { "let mut " } else { "let " })?;
        // A name, and a type perhaps.
        let rest = stated.strip_prefix(name)?.trim();
        let plain = rest == "=" || rest.starts_with(": ") && rest.ends_with('=') && !rest.contains('(');
        // Nothing else is on the line: what comes there would be in front of the loop.
        let rest_of_line = code(text[end + 1..].lines().next().unwrap_or_default());
        let whole = RETURNS.contains(&method_name) && plain && rest_of_line.trim_end() == ";";
        let line = text[..begins].matches('\n').count() + 1;
        let name_at = begins + head.find(name)?;
        let last = text[..end].matches('\n').count() + 1;
        (whole && statement_start(lines, line) == line).then_some(Self {
            name,
            name_at: name_at..name_at + name.len(),
            mutable,
            call: &text[path.start..=end],
            method: method_name,
            line,
            last,
        })
    }
}

/// What a method is called on: a path of fields, indexed by names and numbers perhaps, which leads to the same
/// place each time.
fn path_before(text: &str, method: usize) -> Option<Range<usize>> {
    let before = text[..method].strip_suffix('.')?;
    let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
    let start = before.rfind(|c: char| !is_path(c)).map_or(0, |at| at + 1);
    let path = &before[start..];
    let balanced = path.matches('[').count() == path.matches(']').count();
    let whole = path.starts_with(|c: char| c.is_alphabetic() || c == '_') && balanced;
    (whole && !before[..start].ends_with([')', '}', '?', '*', '&', '!', '$'])).then_some(start..before.len())
}

/// Whether a variable holds on a later line what it was made with: it is there, on the only way from the one
/// to the other, and nothing in between changes it or has its name.
fn stays(lines: &[&str], made: &Bound<'_>, used: usize) -> bool {
    law::in_scope(lines, made.line, used)
        && lines[made.last..used - 1].iter().map(|line| code(line)).all(|line| {
            let changes = line.contains("&mut") || has_word(line, "let") || assigns(line);
            !(has_word(line, "loop") || has_word(line, made.name) && changes)
        })
}

/// Whether a line has an assignment.
fn assigns(line: &str) -> bool {
    line.match_indices('=').any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !matches!(before, Some('=' | '!' | '<' | '>')) && !line[at + 1..].starts_with(['=', '>'])
            || line[..at].ends_with("<<")
            || line[..at].ends_with(">>")
    })
}

/// A test of what an expression is.
fn tested(expression: &str, test: &Compare) -> Option<String> {
    Some(match test {
        Compare::Is(Value::Null) => format!("{expression}.is_null()"),
        Compare::IsNot(Value::Null) => format!("!{expression}.is_null()"),
        Compare::Is(Value::Bool(true)) | Compare::IsNot(Value::Bool(false)) => expression.to_owned(),
        Compare::Is(Value::Bool(false)) | Compare::IsNot(Value::Bool(true)) => format!("!{expression}"),
        Compare::Is(Value::Int(number)) => format!("{expression} == {number}"),
        Compare::IsNot(Value::Int(number)) => format!("{expression} != {number}"),
        _ => return None,
    })
}

/// The condition of a wait in front of a statement.
fn waits_while(fix: &Fix, edit: &Edit, text: &str, order: &str) -> Option<String> {
    let Edit::WaitFor { before, holds, .. } = edit else { return None };
    let path = path_to(fix, text, before)?;
    tested(&format!("{path}.load({order})"), holds)
}

/// A path to the atomic that a repair waits for, at a place.
fn path_to(fix: &Fix, text: &str, before: &Site) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let accessed = || fix.taken.iter().filter(|site| site.file == before.file);
    let path = |site: &Site| {
        let call = call_at(text, site.line, site.column)?;
        Some(text[path_before(text, call.name.start)?].to_owned())
    };
    if accessed().any(|site| site == before) {
        return path(before);
    }
    let home = block_of(&lines, before.line as usize, "impl")?;
    let method = |line: u32| {
        let body = block_of(&lines, line as usize, "fn")?;
        has_word(code(lines[body - 1]), "self").then_some(())
    };
    let of_self = |site: &&Site| {
        let same = block_of(&lines, site.line as usize, "impl") == Some(home);
        // What indexes may mean something else here, or nothing.
        let fields = |path: &String| path.starts_with("self.") && !path.contains('[');
        same && method(site.line).is_some() && path(site).as_ref().is_some_and(fields)
    };
    if method(before.line).is_some()
        && let Some(site) = accessed().find(of_self)
    {
        return path(site);
    }
    accessed().find_map(|site| own_path(text, site, before))
}

/// The line with the innermost head of that word around a line; 0 if there is none, as at the top of a file.
fn block_of(lines: &[&str], at: usize, head: &str) -> Option<usize> {
    let around = |start: &usize| has_word(code(lines[start - 1]), head) && law::closing(lines, *start) >= at;
    (at <= lines.len()).then(|| (1..=at).rev().find(around).unwrap_or(0))
}

/// How a file names `spin_loop`.
fn spin_loop(text: &str, names: Names) -> &'static str {
    match names == Names::Short || imports(text, "hint") {
        true => "hint::spin_loop()",
        false if text.contains("racefuzz::") => "racefuzz::hint::spin_loop()",
        false => "std::hint::spin_loop()",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use racefuzz_trace::{Certainty, FixKind, MemoryModel, Verdict};

    fn site(text: &str, call: &str) -> Site {
        let at = text.find(call).expect("it stands there");
        let line = text[..at].matches('\n').count();
        let column = at - text[..at].rfind('\n').map_or(0, |at| at + 1);
        // Of a method call the place is its name.
        let method = call.rfind('.').map_or(0, |dot| dot + 1);
        Site { file: "f.rs".into(), line: line as u32 + 1, column: (column + method) as u32 + 1 }
    }

    fn condition(text: &str, returns: Compare, when: Option<(&str, Compare)>) -> Option<String> {
        let lines: Vec<&str> = text.lines().collect();
        let when = when.map(|(call, test)| (site(text, call), test));
        let edit = Edit::LoadAgain { load: site(text, "self.block.load"), returns, when };
        let verdict = Verdict { certainty: Certainty::Verified, memory: MemoryModel::Rc11, executions: 1 };
        let mut fix = Fix::new(FixKind::Wait, vec![edit.clone()].into(), verdict);
        fix.unguarded = vec![site(text, "self.block.load")];
        Again::of(&fix, &edit, text, &lines, &[("f.rs", text)]).map(|again| again.test)
    }

    const CODE: &str = "fn f(&self) {\n    let tail = self.tail.swap(1, SeqCst);\n    \
                        let head = self.head.load(Relaxed);\n    let block = self.block.load(Acquire);\n}\n";

    #[test]
    fn what_is_tested_is_what_the_variables_hold() {
        let null = Compare::Is(Value::Null);
        assert_eq!(condition(CODE, null.clone(), None).as_deref(), Some("block.is_null()"));
        let head = Compare::IsNotRead(site(CODE, "self.head.load"));
        let when = Some(("self.tail.swap", head));
        let both = Some("block.is_null() && tail != head");
        assert_eq!(condition(CODE, null.clone(), when.clone()).as_deref(), both);
        let zero = Some(("self.tail.swap", Compare::IsNot(Value::Int(0))));
        assert_eq!(condition(CODE, null.clone(), zero).as_deref(), Some("block.is_null() && tail != 0"));
        for (from, to) in [
            ("    let head", "    tail += 1;\n    let head"),
            ("    let head", "    let tail = 3;\n    let head"),
            ("    let head", "    g(&mut tail);\n    let head"),
            ("    let head", "    loop {\n    let head"),
            ("    let head", "    self.f();\n    let head"),
            ("swap(1, SeqCst);", "swap(1, SeqCst) / 2;"),
            ("let tail = self", "let tail = 2 + self"),
        ] {
            let changed = CODE.replacen(from, to, 1);
            let head = Compare::IsNotRead(site(&changed, "self.head.load"));
            let when = Some(("self.tail.swap", head));
            assert_eq!(condition(&changed, null.clone(), when), None, "{changed}");
        }
    }

    #[test]
    fn a_load_that_is_part_of_more_is_not_done_again() {
        let test = Compare::Is(Value::Bool(false));
        for text in [
            "fn f(&self) {\n    if self.block.load(Acquire) {\n    }\n}\n",
            "fn f(&self) {\n    let b = !self.block.load(Acquire);\n}\n",
            "fn f(&self) {\n    let b = self.block.load(Acquire) == 1;\n}\n",
            "fn f(&self) {\n    let b = || self.block.load(Acquire);\n}\n",
            "fn f(&self) {\n    let self = self.block.load(Acquire);\n}\n",
            "fn f(&self) {\n    let b = self.block.load(Acquire); g(b);\n}\n",
        ] {
            assert_eq!(condition(text, test.clone(), None), None, "{text}");
        }
        let text = "fn f(&self) {\n    let b: bool = self.block.load(Acquire);\n}\n";
        assert_eq!(condition(text, test, None).as_deref(), Some("!b"));
    }

    #[test]
    fn an_assignment_is_no_comparison() {
        for (line, is) in [("a = b;", true), ("a += b;", true), ("a <<= 1;", true), ("if a == b {", false)] {
            assert_eq!(assigns(line), is, "{line}");
        }
        for line in ["a != b", "a <= b", "a >= b", "x => y"] {
            assert!(!assigns(line), "{line}");
        }
    }
}
