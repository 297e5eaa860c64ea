//! `cargo racefuzz fix --confirm` for tests that run unmodified: repairs typed into a copy of the workspace, and the test
//! explored there.

use super::build::Hooked;
use super::library::GIVEN;
use super::run::Done;
use super::show::as_shown;
use crate::args::CargoFixArgs;
use crate::confirm::{self, Check, Repair, Scratch};
use crate::error::Failure;
use crate::output;
use racefuzz_report::Patch;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Types in what is verified as text and what is proposed, and checks each; whether all agree that were verified.
pub(super) fn confirm(done: &[Done<'_>], args: &CargoFixArgs, hooked: &Hooked) -> Result<bool, Failure> {
    let mut repairs: BTreeMap<PathBuf, (Vec<Repair>, usize)> = BTreeMap::new();
    for done in done {
        let Some(report) = done.repairs() else { continue };
        let (report, sources) = as_shown(report, done.test);
        let mut patches = racefuzz_report::patches(&report, &sources);
        patches.extend(racefuzz_report::proposals(&report, &sources));
        let package = &done.test.package;
        let workspace = confirm::workspace_of(package).unwrap_or_else(|| package.clone());
        let (all, advice) = repairs.entry(workspace.clone()).or_default();
        *advice += report.fixes.len() - patches.len();
        for patch in patches {
            match outside(&patch, &workspace) {
                Some(file) => {
                    let text = format!(
                        "repair {} of {} is not typed in: {file} is not below {}",
                        patch.number,
                        done.test.program,
                        workspace.display()
                    );
                    output::note_line(&text).map_err(Failure::Output)?;
                }
                None => all.push(repair(done, &patch, args, hooked, &workspace)),
            }
        }
    }
    if repairs.values().all(|(repairs, _)| repairs.is_empty()) {
        output::note_line("no repair is typed in").map_err(Failure::Output)?;
    }
    let mut agree = true;
    for (workspace, (repairs, advice)) in repairs.into_iter().filter(|(_, (repairs, _))| !repairs.is_empty())
    {
        let confirmed = Scratch::in_target_of(&workspace)?.confirm(&repairs)?;
        let (text, all) = confirm::said(repairs.iter().zip(&confirmed), advice);
        output::print(&text)?;
        agree &= all;
    }
    Ok(agree)
}

/// A file that a repair changes and that is none of the workspace.
fn outside<'p>(patch: &'p Patch, workspace: &Path) -> Option<&'p str> {
    let files = patch.files.iter().map(|(file, _)| &**file);
    let mut outside =
        files.filter(|file| Path::new(file).is_absolute() && !Path::new(file).starts_with(workspace));
    outside.next()
}

fn repair(done: &Done<'_>, patch: &Patch, args: &CargoFixArgs, hooked: &Hooked, workspace: &Path) -> Repair {
    let program = &done.test.program;
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let package = args.cargo.package.iter().flat_map(|package| ["--package", package]);
    let package = owned(&package.collect::<Vec<_>>());
    let mut build = owned(&["check", "--quiet", "--tests"]);
    build.extend(package.iter().cloned());
    build.extend(args.cargo.rest.iter().cloned());
    let mut check = owned(&["test", "--check", "--exact", program, "--max-time", "1m"]);
    check.extend(args.memory.iter().flat_map(|memory| ["--memory".to_owned(), memory.to_string()]));
    check.extend(package);
    check.push("--".to_owned());
    check.extend(args.cargo.rest.iter().cloned());
    Repair {
        name: format!("{program}: repair {}", patch.number),
        proposal: patch.proposal,
        files: patch.files.clone(),
        folders: vec![done.test.package.clone(), workspace.to_owned()],
        build,
        check: Check::Own(check),
        variables: vec![(GIVEN.to_owned(), hooked.library.display().to_string())],
    }
}
