//! The settings that the builders have in common.

/// Of every builder: what is run.
macro_rules! program_setters {
    () => {
        /// The program's name, the first half of its tokens.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.options.program = name.into();
            self
        }

        /// Faults that may happen. Where executions are enumerated, spurious wake-ups may unless
        /// this is called without them.
        pub fn inject(mut self, inject: racefuzz_trace::Inject) -> Self {
            self.options.settings.inject = inject;
            self
        }

        /// The settings of every execution.
        pub fn settings(mut self, settings: racefuzz_trace::Settings) -> Self {
            self.options.settings = settings;
            self
        }

        /// A limit on wall-clock time; what it ends without a bug is `Incomplete`.
        pub fn max_time(mut self, time: std::time::Duration) -> Self {
            self.options.max_time = Some(time);
            self
        }
    };
}

/// Of those whose options have a limit on memory.
macro_rules! memory_setter {
    () => {
        /// A limit on the memory that the process takes meanwhile, in bytes; what it ends without a bug
        /// is `Incomplete`. 2 GiB unless it is set; `None` for as much as there is.
        pub fn max_memory(mut self, bytes: impl Into<Option<u64>>) -> Self {
            self.options.max_memory = bytes.into();
            self
        }
    };
}

/// Of those that run many executions for one report: how.
macro_rules! execution_setters {
    () => {
        /// The number of operating-system threads that run executions side by side.
        pub fn workers(mut self, workers: usize) -> Self {
            self.options.workers = workers.max(1);
            self
        }

        /// Steps after which an execution counts as one that never ends.
        pub fn max_steps(mut self, max_steps: u32) -> Self {
            self.options.settings.max_steps = max_steps;
            self
        }

        /// Bytes of stack for each thread of the program.
        pub fn stack_size(mut self, bytes: usize) -> Self {
            self.options.stack_size = bytes;
            self
        }

        /// Whether to go on after an execution that fails, and report each distinct failure.
        pub fn keep_going(mut self, keep_going: bool) -> Self {
            self.options.keep_going = keep_going;
            self
        }
    };
}

pub(crate) use {execution_setters, memory_setter, program_setters};
