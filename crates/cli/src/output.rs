//! Standard output and error, and how they look.

use crate::args::LookArgs;
use crate::error::Failure;
use anstyle::{AnsiColor, Style as Ansi};
use racefuzz::Style;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

/// Columns when standard output is no terminal: the same everywhere.
pub(crate) const PIPED_WIDTH: usize = 100;
const NARROWEST: usize = 30;

/// Writes the whole text to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Output(error),
    })
}

/// Writes `error: ...` to standard error, in one line whatever the user typed.
pub(crate) fn error_line(failure: &Failure) -> io::Result<()> {
    line("error", AnsiColor::Red.on_default().bold(), &failure.to_string())
}

/// Writes `note: ...` to standard error.
pub(crate) fn note_line(text: &str) -> io::Result<()> {
    line("note", Ansi::new().bold(), text)
}

fn line(word: &str, style: Ansi, text: &str) -> io::Result<()> {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    writeln!(anstream::stderr(), "{style}{word}{style:#}: {shown}")
}

/// How reports look, from the arguments and the terminal.
pub(crate) fn style(args: LookArgs) -> Style {
    let terminal = io::stdout().is_terminal();
    let columns =
        || terminal_size::terminal_size().filter(|_| terminal).map(|(width, _)| usize::from(width.0));
    let width = args.width.or_else(columns).unwrap_or(PIPED_WIDTH).max(NARROWEST);
    let color = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    Style { width, ascii: args.ascii, color, all_steps: args.steps.all_steps }
}

/// The text, for a terminal that has nothing but ASCII.
pub(crate) fn ascii(text: &str) -> String {
    const GLYPHS: &[(char, &str)] =
        &[('➜', "->"), ('⇒', "=>"), ('→', "->"), ('…', "..."), ('◂', "<"), ('└', "`")];
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match GLYPHS.iter().find(|(glyph, _)| *glyph == c) {
            _ if c.is_ascii() => out.push(c),
            Some((_, ascii)) => out.push_str(ascii),
            None => out.extend(c.escape_unicode()),
        }
    }
    out
}

/// The JSON text in ASCII: outside of strings it is that anyway.
pub(crate) fn ascii_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// The text in ASCII, with numbers for all other characters: `&#10132;` behind the prefix `&#`.
pub(crate) fn ascii_references(text: &str, prefix: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "{prefix}{};", u32::from(c));
        }
    }
    out
}

/// Words in lines of at most `width` columns.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("starts with one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Colours for what is not a report.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Title,
    Name,
    Bad,
    Good,
    Quiet,
}

/// The text in the colour of its role, if there are colours.
pub(crate) fn paint(style: &Style, role: Role, text: &str) -> String {
    let ansi = match role {
        Role::Title => Ansi::new().bold().underline(),
        Role::Name => Ansi::new().bold(),
        Role::Bad => AnsiColor::Red.on_default(),
        Role::Good => AnsiColor::Green.on_default(),
        Role::Quiet => Ansi::new().dimmed(),
    };
    if style.color && !text.trim().is_empty() { format!("{ansi}{text}{ansi:#}") } else { text.to_owned() }
}
