// The real shuttle, with the executions of each check counted. `count.rs` goes before.

pub use real::*;

use real::scheduler::Scheduler;

macro_rules! checks {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        pub fn $name<F: Fn() + Send + Sync + 'static>(f: F, $($argument: $type),*) {
            let (_count, f) = Count::of(f);
            real::$name(f, $($argument),*);
        }
    )*};
}

checks! {
    check_random(iterations: usize);
    check_pct(iterations: usize, depth: usize);
    check_dfs(iterations: Option<usize>);
    check_uncontrolled_nondeterminism(iterations: usize);
}

pub struct Runner<S: Scheduler>(real::Runner<S>);

impl<S: Scheduler + 'static> Runner<S> {
    pub fn new(scheduler: S, config: Config) -> Self {
        Self(real::Runner::new(scheduler, config))
    }

    pub fn run<F: Fn() + Send + Sync + 'static>(self, f: F) -> usize {
        let (_count, f) = Count::of(f);
        self.0.run(f)
    }
}

pub struct PortfolioRunner(real::PortfolioRunner);

impl PortfolioRunner {
    pub fn new(stop_on_first_failure: bool, config: Config) -> Self {
        Self(real::PortfolioRunner::new(stop_on_first_failure, config))
    }

    pub fn add(&mut self, scheduler: impl Scheduler + Send + 'static) {
        self.0.add(scheduler);
    }

    pub fn run<F: Fn() + Send + Sync + 'static>(self, f: F) {
        let (_count, f) = Count::of(f);
        self.0.run(f);
    }
}
