//! Glyphs, colours and lines: what depends on the terminal and on nothing else.

use super::Style;
use anstyle::{AnsiColor, Style as Ansi};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a piece of text is, as far as its colour goes.
#[derive(Clone, Copy)]
pub(in crate::format) enum Role {
    Bug,
    Good,
    Open,
    Strong,
    Quiet,
    State,
    Mark,
    Plain,
}

/// Writes in a style.
pub(in crate::format) struct Pen<'a> {
    pub(in crate::format) style: &'a Style,
}

/// The glyphs of the report and what stands for them in ASCII.
const GLYPHS: &[(&str, &str)] = &[
    ("➜", "->"),
    ("⇒", "=>"),
    ("◂", "<"),
    ("…", "..."),
    ("±", "+/-"),
    ("≈", "~"),
    ("→", "->"),
    ("“", "\""),
    ("”", "\""),
];

impl Pen<'_> {
    /// The text with the glyphs the style allows.
    pub(in crate::format) fn glyphs(&self, text: &str) -> String {
        let mut out = text.to_owned();
        if self.style.ascii {
            for (glyph, ascii) in GLYPHS {
                out = out.replace(glyph, ascii);
            }
        }
        out
    }

    /// The text in the colour of its role, if there are colours.
    pub(in crate::format) fn paint(&self, role: Role, text: &str) -> String {
        let style = match role {
            Role::Bug => AnsiColor::Red.on_default().bold(),
            Role::Good => AnsiColor::Green.on_default().bold(),
            Role::Open => AnsiColor::Yellow.on_default().bold(),
            Role::Strong => Ansi::new().bold(),
            Role::Quiet => Ansi::new().dimmed(),
            Role::State => AnsiColor::Cyan.on_default(),
            Role::Mark => AnsiColor::Yellow.on_default(),
            Role::Plain => Ansi::new(),
        };
        if !self.style.color || text.trim().is_empty() || style.is_plain() {
            return text.to_owned();
        }
        format!("{style}{text}{style:#}")
    }

    /// The text in lines of at most the style's width, each behind `indent` blanks.
    pub(in crate::format) fn paragraph(&self, text: &str, indent: usize) -> Vec<String> {
        let room = self.style.width.saturating_sub(indent).max(16);
        wrap(&self.glyphs(text), room)
            .into_iter()
            // The caller's no-break spaces have done their duty.
            .map(|line| format!("{}{}", " ".repeat(indent), line.replace('\u{a0}', " ")))
            .collect()
    }
}

/// The columns a text takes.
pub(in crate::format) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text filled up with blanks to a width.
pub(in crate::format) fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// The text cut to a width, with an ellipsis where something is missing.
pub(in crate::format) fn cut(text: &str, to: usize, ellipsis: &str) -> String {
    if width(text) <= to {
        return text.to_owned();
    }
    let room = to.saturating_sub(width(ellipsis));
    format!("{}{ellipsis}", &text[..prefix(text, room)])
}

/// The number of bytes at the start of `text` that fit into `room` columns.
fn prefix(text: &str, room: usize) -> usize {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > room {
            return at;
        }
    }
    text.len()
}

/// Breaks a text at blanks into lines of at most `room` columns; what is longer is broken anywhere.
pub(in crate::format) fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(2);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word;
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() {
            if width(line) + 1 + width(word) <= room {
                line.push(' ');
                line.push_str(word);
                continue;
            }
            lines.push(String::new());
        }
        while width(word) > room {
            let at = prefix(word, room).max(word.chars().next().map_or(1, char::len_utf8));
            *lines.last_mut().expect("there is always a line") = word[..at].to_owned();
            lines.push(String::new());
            word = &word[at..];
        }
        lines.last_mut().expect("there is always a line").push_str(word);
    }
    lines.iter_mut().for_each(|line| line.truncate(line.trim_end().len()));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_the_width() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("漢字漢字", 4), ["漢字", "漢字"]);
        assert_eq!(cut("abcdef", 4, "…"), "abc…");
    }
}
