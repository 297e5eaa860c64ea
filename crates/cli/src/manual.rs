//! Man pages and completion scripts of the two commands.

use crate::error::Failure;
use crate::{exit, output};
use clap::Command;

/// Prints a completion script for a shell.
pub(crate) fn completions(shell: clap_complete::Shell, mut of: Command, name: &str) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut of, name, &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(exit::OK)
}

/// Prints the man page of a tool, or of one of its commands.
pub(crate) fn page(tool: Command, name: &str, command: Option<&str>) -> Result<u8, Failure> {
    let page = match command {
        None => tool.name(name.to_owned()),
        Some(wanted) => {
            let known = tool.get_subcommands().find(|known| known.get_name() == wanted).cloned();
            let known = known.ok_or_else(|| Failure::Usage(format!("no command `{wanted}`")))?;
            known.name(format!("{name}-{wanted}")).bin_name(format!("{} {wanted}", name.replace('-', " ")))
        }
    };
    let mut text = Vec::new();
    let written = clap_mangen::Man::new(page).render(&mut text);
    written.map_err(Failure::Output)?;
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(exit::OK)
}
