//! What `#[racefuzz::test]` expands to: a test and its options go in, and the environment says what is
//! done with it. Each request is one file.

#[cfg(feature = "fix")]
mod audit;
#[cfg(feature = "model")]
mod check;
#[cfg(feature = "fix")]
mod fix;
#[cfg(feature = "model")]
mod output;
#[cfg(feature = "model")]
mod replay;
#[cfg(feature = "model")]
mod request;
#[cfg(feature = "model")]
mod run;

use std::fmt::Debug;

/// A test as the attribute describes it.
pub struct TestCase {
    /// `module::path::name`.
    pub name: &'static str,
    /// The package it belongs to.
    pub package: &'static str,
    /// The package's folder.
    pub manifest_dir: &'static str,
    /// The options given to the attribute.
    pub options: TestOptions,
}

/// The options of the attribute.
pub struct TestOptions {
    /// `check`: prove the test instead of sampling its schedules.
    pub check: bool,
    /// `max_executions = N`, with `check`.
    pub max_executions: Option<u64>,
    /// `iterations = N`.
    pub iterations: Option<u64>,
    /// `seed = N`.
    pub seed: Option<u64>,
    /// `strategy = "NAME"`.
    pub strategy: Option<&'static str>,
    /// `memory = "NAME"`.
    pub memory: Option<&'static str>,
    /// `workers = N`.
    pub workers: Option<usize>,
    /// `max_steps = N`.
    pub max_steps: Option<u32>,
    /// `depth = N`.
    pub depth: Option<u32>,
    /// `inject = "FAULT,FAULT"`.
    pub inject: Option<&'static str>,
    /// `stack_size = BYTES`.
    pub stack_size: Option<usize>,
}

impl TestOptions {
    /// No option given.
    pub const DEFAULT: Self = Self {
        check: false,
        max_executions: None,
        iterations: None,
        seed: None,
        strategy: None,
        memory: None,
        workers: None,
        max_steps: None,
        depth: None,
        inject: None,
        stack_size: None,
    };
}

/// What a test may return.
pub trait Returned {
    /// Panics if it stands for a failure.
    fn check(self);
}

impl Returned for () {
    fn check(self) {}
}

impl<E: Debug> Returned for Result<(), E> {
    #[track_caller]
    fn check(self) {
        if let Err(error) = self {
            panic!("the test returned Err: {error:?}");
        }
    }
}

/// Runs the test.
#[cfg(not(feature = "model"))]
pub fn run_test(_: &TestCase, body: impl Fn() + Sync) {
    body();
}

/// Does with the test what the environment asks for; samples its schedules if it asks for nothing.
///
/// # Panics
/// With the rendered report, if a bug is found or a proof is not complete; if a setting is none.
#[cfg(feature = "model")]
pub fn run_test(case: &TestCase, body: impl Fn() + Sync) {
    use request::Request;
    match Request::of(case) {
        Request::Run => run::run(case, body),
        Request::Check => check::check(case, body),
        #[cfg(feature = "fix")]
        Request::Fix => fix::fix(case, body),
        #[cfg(feature = "fix")]
        Request::Audit => audit::audit(case, body),
        #[cfg(not(feature = "fix"))]
        Request::Fix | Request::Audit => {
            crate::show::fail_test("repairs and audits need the feature `fix` of racefuzz".to_owned())
        }
        Request::Replay(schedule) => replay::replay(case, &schedule, body),
    }
}
