//! What is different between two texts, line by line.

/// Lines of an old text and what stands in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replacement {
    /// The first line that goes, from 1.
    pub(crate) first: usize,
    /// The line behind the last one that goes; the first where lines are only added in front of it.
    pub(crate) end: usize,
    /// The new lines, each with its line end.
    pub(crate) text: String,
}

/// More lines than this on both sides together, and a file counts as one difference.
const LONGEST: usize = 4_000;

/// The differences, in order: as few lines as possible go and come.
pub(crate) fn replacements(old: &str, new: &str) -> Vec<Replacement> {
    let (old, new): (Vec<&str>, Vec<&str>) = (lines(old), lines(new));
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = (old.len().min(new.len())) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[same..old.len() - tail], &new[same..new.len() - tail]);
    if old.is_empty() && new.is_empty() {
        return Vec::new();
    }
    if old.len() + new.len() > LONGEST {
        return vec![Replacement { first: same + 1, end: same + old.len() + 1, text: new.concat() }];
    }
    let common = common(old, new);
    let mut replaced = Vec::new();
    let (mut at, mut to) = (0, 0);
    for (next_old, next_new) in common.into_iter().chain([(old.len(), new.len())]) {
        if at < next_old || to < next_new {
            let text = new[to..next_new].concat();
            replaced.push(Replacement { first: same + at + 1, end: same + next_old + 1, text });
        }
        (at, to) = (next_old + 1, next_new + 1);
    }
    replaced
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The longest common subsequence of lines, as pairs of indices.
fn common(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    let mut longest = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i * width + j] = match old[i] == new[j] {
                true => longest[(i + 1) * width + j + 1] + 1,
                false => longest[(i + 1) * width + j].max(longest[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The old text with its replacements made.
    fn applied(old: &str, replacements: &[Replacement]) -> String {
        let lines = lines(old);
        let (mut out, mut at) = (String::new(), 0);
        for one in replacements {
            out.push_str(&lines[at..one.first - 1].concat());
            out.push_str(&one.text);
            at = one.end - 1;
        }
        out + &lines[at..].concat()
    }

    #[test]
    fn replacements_lead_from_the_old_text_to_the_new_one() {
        let cases = [
            ("a\nb\nc\n", "a\nx\nb\nc\n"),
            ("a\nb\nc\n", "b\nc\n"),
            ("a\nb\nc\n", "a\nx\nc\ny\n"),
            ("a\nb\nc\nd\ne\n", "a\nB\nc\nd\nE\nf\n"),
            ("", "a\n"),
            ("a", "a\nb"),
            ("a\na\na\n", "a\na\n"),
        ];
        for (old, new) in cases {
            let replaced = replacements(old, new);
            assert_eq!(applied(old, &replaced), new, "{replaced:?}");
        }
        assert_eq!(replacements("a\nb\n", "a\nb\n"), []);
        let one = replacements("a\nb\nc\nd\n", "a\nx\nb\nc\ny\nd\n");
        assert_eq!(one.len(), 2, "what stays in between is not touched: {one:?}");
    }
}
