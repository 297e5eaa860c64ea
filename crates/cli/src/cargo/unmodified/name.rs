//! Names of tests, as they are typed.

/// Which tests are meant.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    /// It is the whole path of a test, within its executable or with that, and not a part.
    pub(super) whole: bool,
}

impl<'a> Name<'a> {
    /// A part of their paths.
    pub(super) fn part(text: &'a str) -> Self {
        Self { text, whole: false }
    }

    /// Whether a test of an executable is meant.
    pub(super) fn is_of(self, binary: &str, path: &str) -> bool {
        match self.whole {
            true => self.text == path || self.text.strip_prefix(binary) == Some(&format!("::{path}")),
            false => path.contains(self.text),
        }
    }
}
