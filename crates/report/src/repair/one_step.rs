//! A load and the store that follows it as one read-modify-write.
//!
//! Explored is that nothing comes between the two, and that whoever does the same afterwards is ordered
//! behind: as with a lock. So the read-modify-write has at least `AcqRel`, whatever the orderings of the
//! two were; it then allows no more than what was explored. It is written where the two are statements
//! of a line each, one behind the other, on the same atomic, and what is stored takes no step to compute.

use super::lines::{binding, code, has_word, indent};
use super::{Changes, Names, order_name};
use crate::Sources;
use racefuzz_trace::{Edit, Fix, MemoryOrder, Site};
use std::collections::BTreeMap;

/// Writes it, if it can be written: then it is the whole repair.
pub(super) fn write(
    fix: &Fix,
    sources: &dyn Sources,
    names: Names,
    files: &mut BTreeMap<String, Changes>,
) -> bool {
    let [Edit::Lock { sites, shared, .. }] = &fix.overlay.edits[..] else { return false };
    let [first, second] = &sites[..] else { return false };
    if !shared.is_empty() || !fix.besides.is_empty() || first.file != second.file {
        return false;
    }
    let Some(text) = sources.text(&first.file) else { return false };
    let lines: Vec<&str> = text.lines().collect();
    let Some(new) = joined(&lines, first, second, &|order| order_name(order, &text, names)) else {
        return false;
    };
    let changes = files.entry(first.file.clone()).or_default();
    changes.instead.insert(first.line as usize, new);
    changes.gone.insert(second.line as usize);
    true
}

/// The one statement in place of two.
fn joined(
    lines: &[&str],
    first: &Site,
    second: &Site,
    named: &dyn Fn(MemoryOrder) -> String,
) -> Option<String> {
    let at = first.line as usize;
    if second.line != first.line + 1 {
        return None;
    }
    let (load, store) = (*lines.get(at.checked_sub(1)?)?, *lines.get(at)?);
    // What begins on the line before, or goes on behind, is more than two statements.
    let before = code(lines.get(at.wrapping_sub(2)).copied().unwrap_or("")).trim();
    if !matches!(before.chars().last(), None | Some(';' | '{' | '}')) {
        return None;
    }
    let name = binding(load)?;
    let bound = code(load).trim().strip_prefix("let ")?.strip_prefix(name)?.trim_start().strip_prefix('=')?;
    let (place, load_order) = bound.trim().strip_suffix(");")?.split_once(".load(")?;
    let (value, store_order) = code(store)
        .trim()
        .strip_prefix(place)?
        .strip_prefix(".store(")?
        .strip_suffix(");")?
        .rsplit_once(',')?;
    let (value, load_order, store_order) = (value.trim(), load_order.trim(), store_order.trim());
    let is_place = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    if !place.chars().all(is_place) || !is_order(load_order) || !is_order(store_order) {
        return None;
    }
    let strongest = [load_order, store_order].iter().any(|order| order.ends_with("SeqCst"));
    let order = named(if strongest { MemoryOrder::SeqCst } else { MemoryOrder::AcqRel });
    let call = match value.strip_prefix(name).map(str::trim_start) {
        Some(rest) if !has_word(rest, name) => {
            let number = rest.get(1..)?.trim();
            if number.is_empty() || !number.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return None;
            }
            match rest.chars().next()? {
                '+' => format!("{place}.fetch_add({number}, {order});"),
                '-' => format!("{place}.fetch_sub({number}, {order});"),
                _ => return None,
            }
        }
        _ if !has_word(value, name) && is_plain(value) => format!("{place}.swap({value}, {order});"),
        _ => return None,
    };
    let used = lines[at + 1..]
        .iter()
        .take_while(|line| !line.starts_with('}'))
        .any(|line| has_word(code(line), name));
    let bind = if used { format!("let {name} = ") } else { String::new() };
    Some(format!("{}{bind}{call}", indent(load)))
}

/// The name of an ordering, with or without a path.
fn is_order(text: &str) -> bool {
    let path = text.chars().all(|c| c.is_alphanumeric() || c == ':');
    path && matches!(text.rsplit(':').next(), Some("Relaxed" | "Acquire" | "Release" | "AcqRel" | "SeqCst"))
}

/// Whether nothing happens when a value is computed: a name, a literal, a null pointer.
fn is_plain(value: &str) -> bool {
    let value = value.strip_suffix("null_mut()").unwrap_or(value);
    value.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(first: &str, second: &str, rest: &str) -> Option<String> {
        let lines = ["fn f() {", first, second, rest, "}"];
        let site = |line| Site { file: "f.rs".into(), line, column: 9 };
        joined(&lines, &site(2), &site(3), &|order| order.name().to_owned())
    }

    #[test]
    fn a_load_and_a_store_become_one_step_of_at_least_acqrel() {
        let load = "    let seen = a.b.load(Relaxed);";
        assert_eq!(
            one(load, "    a.b.store(seen + 1, Relaxed);", "").unwrap(),
            "    a.b.fetch_add(1, AcqRel);"
        );
        assert_eq!(
            one(load, "    a.b.store(seen - STEP, Ordering::SeqCst);", "    seen").unwrap(),
            "    let seen = a.b.fetch_sub(STEP, SeqCst);"
        );
        assert_eq!(
            one(load, "    a.b.store(ptr::null_mut(), Release);", "    free(seen)").unwrap(),
            "    let seen = a.b.swap(ptr::null_mut(), AcqRel);"
        );
    }

    #[test]
    fn anything_else_is_left_to_people() {
        let load = "    let seen = a.load(Relaxed);";
        for (first, second) in [
            (load, "    b.store(seen + 1, Relaxed);"),
            (load, "    a.store(seen * 2, Relaxed);"),
            (load, "    a.store(seen + seen, Relaxed);"),
            (load, "    a.store(seen + 1.max(2), Relaxed);"),
            (load, "    a.store(compute(), Relaxed);"),
            (load, "    a.store(f(seen), Relaxed);"),
            (load, "    if a.store(1, Relaxed);"),
            (load, "    a.store(1, order);"),
            ("    let mut seen = a.load(Relaxed);", "    a.store(1, Relaxed);"),
            ("    let seen = a.load(Relaxed) + 1;", "    a.store(seen, Relaxed);"),
            ("    let seen = at(0).load(Relaxed);", "    at(0).store(1, Relaxed);"),
        ] {
            assert_eq!(one(first, second, ""), None, "{first} {second}");
        }
    }
}
