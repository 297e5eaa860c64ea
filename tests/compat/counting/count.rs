// A line with the name of a test and the number of its executions is added to the file
// `RACEFUZZ_COUNT_FILE`, as racefuzz's own crates do it.

/// Counts while it lives.
struct Count {
    executions: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Count {
    fn of<F: Fn() + Sync + Send + 'static>(f: F) -> (Self, impl Fn() + Sync + Send + 'static) {
        let executions = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counted = std::sync::Arc::clone(&executions);
        let f = move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            f();
        };
        (Self { executions }, f)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        use std::io::Write;
        let Some(file) = std::env::var_os("RACEFUZZ_COUNT_FILE") else { return };
        let thread = std::thread::current();
        let executions = self.executions.load(std::sync::atomic::Ordering::Relaxed);
        let line = format!("{}\t{executions}\n", thread.name().unwrap_or("program"));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("RACEFUZZ_COUNT_FILE");
    }
}
