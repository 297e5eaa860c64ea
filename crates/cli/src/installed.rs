//! The programs that are installed beside each other.

use std::ffi::OsString;
use std::path::PathBuf;

/// Names the command line that `racefuzz-mcp` serves to agents, where it is another one than the `racefuzz` that
/// lies beside it or on the path: one over scenarios of its own.
pub const TOOL: &str = "RACEFUZZ_TOOL";

/// The program of a name that lies beside the running one, or whichever is on the path.
pub fn beside(name: &str) -> OsString {
    let own = std::env::current_exe().ok();
    let path = own.map(|own| own.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX)));
    path.filter(|path| path.is_file()).map_or_else(|| name.into(), PathBuf::into_os_string)
}
