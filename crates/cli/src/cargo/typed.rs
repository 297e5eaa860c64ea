//! `cargo racefuzz fix --confirm`: repairs typed into a copy of the package's workspace and checked there.

use super::drive::{Driven, Reports, Shown, selects_targets};
use super::reports::Folder;
use super::{Settings, switch};
use crate::args::CargoFixArgs;
use crate::confirm::{self, Check, Repair, Scratch, TypedRepair};
use crate::error::Failure;
use crate::exit;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Runs the tests, which leave what can be typed in, in a folder; then types it in.
pub(super) fn fix_and_confirm(args: &CargoFixArgs, mut settings: Settings) -> Result<u8, Failure> {
    let folder = Folder::new("typed")?;
    settings.push(("RACEFUZZ_TYPED", folder.path().to_string_lossy().into_owned()));
    let name = Some(args.name.as_str());
    let driven =
        Driven { name, shown: Shown::All, cargo: &args.cargo, settings: &settings, reports: Reports::None };
    let code = driven.run()?;
    let read = |error| Failure::Read { file: folder.path().to_owned(), error };
    let typed = TypedRepair::read_all(folder.path()).map_err(read)?;
    let mut repairs: BTreeMap<PathBuf, Vec<Repair>> = BTreeMap::new();
    for (test, typed) in &typed {
        for one in typed {
            let manifest = Path::new(&one.manifest);
            let workspace = confirm::workspace_of(manifest).unwrap_or_else(|| manifest.to_owned());
            repairs.entry(workspace.clone()).or_default().push(repair(args, test, one, workspace)?);
        }
    }
    let mut agree = true;
    for (workspace, repairs) in repairs {
        let confirmed = Scratch::in_target_of(&workspace)?.confirm(&repairs)?;
        let (text, all) = confirm::said(repairs.iter().zip(&confirmed), 0);
        crate::output::print(&text)?;
        agree &= all;
    }
    Ok(if agree { code } else { exit::BUG })
}

/// What a test has left to be typed in, and how to check it.
fn repair(
    args: &CargoFixArgs,
    test: &str,
    typed: &TypedRepair,
    workspace: PathBuf,
) -> Result<Repair, Failure> {
    let mut build =
        vec!["test".to_owned(), "--quiet".to_owned(), "--package".to_owned(), typed.package.clone()];
    build.extend(switch::arguments(Some(&typed.package))?);
    build.extend(args.cargo.rest.iter().cloned());
    if !args.cargo.rest.iter().any(|argument| selects_targets(argument)) {
        build.push("--tests".to_owned());
    }
    let path = test.split_once("::").map_or(test, |(_, path)| path);
    let mut check = build.clone();
    check.extend(["--", "--exact", path].map(str::to_owned));
    build.push("--no-run".to_owned());
    let mut variables = vec![("RACEFUZZ_CHECK".to_owned(), "1".to_owned())];
    variables.extend(args.memory.map(|memory| ("RACEFUZZ_MEMORY".to_owned(), memory.to_string())));
    Ok(Repair {
        name: format!("{test}: repair {}", typed.number),
        proposal: typed.proposal,
        files: typed.files.clone(),
        folders: vec![PathBuf::from(&typed.manifest), workspace],
        build,
        check: Check::Cargo(check),
        variables,
    })
}
