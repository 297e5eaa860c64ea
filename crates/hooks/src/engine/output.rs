//! What the program writes to standard output and standard error.

/// Bytes that are kept; what is beyond is lost.
const MOST: usize = 1 << 20;

/// The output of the running execution.
#[derive(Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
}

impl Output {
    pub(crate) fn begin(&mut self) {
        self.bytes.clear();
    }

    /// The program writes.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let room = MOST.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether what comes next are the frames of a stack, as the standard library tells them.
    pub(crate) fn announces_backtrace(&self) -> bool {
        self.bytes.ends_with(b"stack backtrace:\n")
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The error that a test, or `main`, has returned, as the standard library tells it.
    pub(crate) fn error(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        // The harness may have begun the line.
        let (_, error) = text.rsplit_once("Error: ")?;
        Some(error.lines().next()?.to_owned())
    }

    /// The message of the panic that the standard library has announced last, and where it was raised.
    pub(crate) fn last_panic(&self) -> Option<Panic> {
        last_panic(&String::from_utf8_lossy(&self.bytes))
    }
}

/// A panic as the standard library announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

fn last_panic(text: &str) -> Option<Panic> {
    const MARK: &str = " panicked at ";
    let at = text.rfind(MARK)?;
    let (place, rest) = text[at + MARK.len()..].split_once('\n')?;
    let mut parts = place.trim_end_matches(':').rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    let file = parts.next()?.to_owned();
    let lines = rest.lines().take_while(|line| {
        !line.starts_with("note: run with `RUST_BACKTRACE=") && !line.starts_with("stack backtrace:")
    });
    let message = lines.collect::<Vec<&str>>().join("\n").trim_end().to_owned();
    Some(Panic { message, file, line, column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_panic_is_read() {
        let text = "\nrunning 1 test\n\nthread 'a' (7) panicked at src/lib.rs:3:5:\nfirst\n\n\
                    thread '<unnamed>' (8) panicked at src/a.rs:12:9:\nassertion `left == right` failed\n  left: 1\n \
                    right: 2\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        let panic = last_panic(text).unwrap();
        assert_eq!((&*panic.file, panic.line, panic.column), ("src/a.rs", 12, 9));
        assert_eq!(panic.message, "assertion `left == right` failed\n  left: 1\n right: 2");
        assert_eq!(last_panic("test a ... ok"), None);
    }
}
