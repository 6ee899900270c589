//! The entry step alone: what `omoi sandbox-entry` does, for the tests of `omoi-sandbox`.

use std::process::ExitCode;

fn main() -> ExitCode {
    omoi_sandbox::entry::run_entry(std::env::args_os().skip(1))
}
