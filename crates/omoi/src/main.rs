//! The `omoi` binary: from a feature idea to proven, merged code.

mod api_client;
mod cli;
mod closed_memory;
mod composition;
mod config_table;
mod data_folder;
mod open_files;
mod process;
mod server_profiles;
mod view;

use std::process::ExitCode;

/// Context of an error that tells the next step.
#[derive(Debug)]
pub(crate) struct ErrorHint(pub(crate) String);

impl std::fmt::Display for ErrorHint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first word of a command line that is no person's: the last step into a sandbox.
pub(crate) const SANDBOX_ENTRY: &str = "sandbox-entry";

fn main() -> ExitCode {
    // Before anything else: this process is to become another program within the limits of a sandbox.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == SANDBOX_ENTRY) {
        return omoi_sandbox::entry::run_entry(words);
    }
    #[cfg(feature = "crash-points")]
    if let Err(error) = omoi_runtime::crash::install_from_env() {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    #[cfg(feature = "planted-bugs")]
    if let Err(code) = plant_bug() {
        return code;
    }
    cli::main()
}

/// Tests only: switches off the mechanism that the environment names.
#[cfg(feature = "planted-bugs")]
#[expect(
    clippy::disallowed_methods,
    reason = "a test-only switch, kept out of the configuration"
)]
fn plant_bug() -> Result<(), ExitCode> {
    match std::env::var("OMOI_PLANTED_BUG") {
        Ok(name) if !omoi_domain::planted_bug::plant_named(&name) => {
            eprintln!("error: there is no bug called `{name}`");
            Err(ExitCode::from(2))
        }
        _ => Ok(()),
    }
}
