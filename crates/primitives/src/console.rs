//! The console of an execution, whose lines are steps that can be asserted on, and oracles that run
//! at its end.

/// `std::println!` whose line is a step of the execution and part of its trace.
#[macro_export]
macro_rules! println {
    () => {
        $crate::console::print(::std::string::String::new())
    };
    ($($arg:tt)*) => {
        $crate::console::print(::std::format!($($arg)*))
    };
}

/// Writes a line: a step. Outside an execution it goes to standard output.
#[track_caller]
pub fn print(line: String) {
    #[cfg(feature = "model")]
    let line = match racefuzz_runtime::ops::mode() {
        Ok(()) => {
            let _ = racefuzz_runtime::ops::print(line, racefuzz_runtime::Site::caller());
            None
        }
        Err(racefuzz_runtime::Absent::TearDown) => None,
        Err(racefuzz_runtime::Absent::Outside) => {
            crate::outside::step();
            crate::outside::print(line)
        }
    };
    #[cfg(not(feature = "model"))]
    let line = Some(line);
    if let Some(line) = line {
        std::println!("{line}");
    }
}

/// The lines written so far in this execution; none outside of one.
pub fn lines() -> Vec<String> {
    #[cfg(feature = "model")]
    return match racefuzz_runtime::ops::console_lines() {
        Ok(lines) => lines,
        Err(racefuzz_runtime::Absent::Outside) => crate::outside::console_lines(),
        Err(racefuzz_runtime::Absent::TearDown) => Vec::new(),
    };
    #[cfg(not(feature = "model"))]
    Vec::new()
}

/// Runs `oracle` when every thread of the execution has ended; a panic of it is a failure. Outside
/// an execution it does not run.
pub fn finally(oracle: impl FnOnce() + Send + 'static) {
    #[cfg(feature = "model")]
    match racefuzz_runtime::ops::mode() {
        Ok(()) => {
            let _ = racefuzz_runtime::ops::at_end(Box::new(oracle));
        }
        Err(racefuzz_runtime::Absent::Outside) => crate::outside::at_end(Box::new(oracle)),
        Err(racefuzz_runtime::Absent::TearDown) => {}
    }
    #[cfg(not(feature = "model"))]
    drop(oracle);
}
