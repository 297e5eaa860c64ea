//! Searching for repairs of a test.

use super::{TestCase, check, output, run};
use crate::env::SettingError;
use crate::fixer::Fixer;
use crate::show;
use racefuzz_report::{Patch, Sources};
use racefuzz_trace::{FixReport, Settings};
use std::fs;
use std::path::Path;

/// Searches for changes that repair the test, and shows them.
///
/// # Panics
/// With the repairs, if the test needs one; if a setting is none.
pub(super) fn fix(case: &TestCase, body: impl Fn() + Sync) {
    let mut report = configure(case).fix(body);
    let sources = output::sources(case);
    racefuzz_report::put_harness_last(&mut report, &sources);
    if let Some(folder) = std::env::var_os("RACEFUZZ_TYPED") {
        leave_typed(case, &report, &sources, Path::new(&folder));
    }
    #[cfg(feature = "json")]
    output::leave_report(case, racefuzz_report::Content::Fix(&report), &[]);
    #[cfg(not(feature = "json"))]
    output::say_that_reports_are_off();
    let text = racefuzz_report::fix_text(&report, &sources, &show::style_from_env(), &[]);
    if report.nothing_to_fix() {
        println!("\n{text}");
    } else {
        show::fail_test(text);
    }
}

/// A fixer with the options of the attribute, which the environment overrides.
pub(super) fn configure(case: &TestCase) -> Fixer {
    let mut fixer = Fixer::new().name(case.name);
    configure_from(case, &mut fixer.options).unwrap_or_else(|error| show::fail_test(error.to_string()));
    fixer
}

/// Takes over the options of a test that proves, or of one that samples.
fn configure_from(case: &TestCase, options: &mut racefuzz_fix::Options) -> Result<(), SettingError> {
    let max_steps = options.settings.max_steps;
    if case.options.check {
        let given = check::configure(case)?.options;
        options.settings = Settings { max_steps, ..given.settings };
        (options.stack_size, options.roots) = (given.stack_size, given.roots);
        (options.max_time, options.max_memory) = (given.max_time, given.max_memory);
    } else {
        let given = run::configure(case)?.options;
        options.settings = Settings { max_steps, ..given.settings };
        (options.stack_size, options.roots) = (given.stack_size, given.roots);
        (options.max_time, options.max_memory) = (given.max_time, given.max_memory);
        options.seed = given.seed;
    }
    Ok(())
}

/// Leaves the repairs that are verified as text, and the proposals, for `cargo racefuzz fix --confirm`,
/// which types them in: a folder for each, with the package and each changed file.
fn leave_typed(case: &TestCase, report: &FixReport, sources: &dyn Sources, folder: &Path) {
    let test = folder.join(format!("{}-{}", case.package, case.name.replace("::", "-")));
    let write = |path: &Path, text: &str| {
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text))
    };
    let leave = |patch: &Patch| -> std::io::Result<()> {
        let repair = test.join(patch.number.to_string());
        write(&test.join("name"), case.name)?;
        write(&repair.join("package"), case.package)?;
        write(&repair.join("manifest"), case.manifest_dir)?;
        if patch.proposal {
            write(&repair.join("proposal"), "")?;
        }
        patch.files.iter().enumerate().try_for_each(|(number, (file, text))| {
            write(&repair.join(format!("files/{number}")), &format!("{file}\n{text}"))
        })
    };
    let verified = racefuzz_report::patches(report, sources);
    for patch in verified.into_iter().chain(racefuzz_report::proposals(report, sources)) {
        if let Err(error) = leave(&patch) {
            show::fail_test(format!("RACEFUZZ_TYPED={}: {error}", folder.display()));
        }
    }
}
