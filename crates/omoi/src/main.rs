//! The `omoi` binary: from a feature idea to proven, merged code.

mod cli;
mod composition;
mod config_table;
mod control_client;
mod data_folder;
mod process;
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

fn main() -> ExitCode {
    #[cfg(feature = "crash-points")]
    if let Err(error) = omoi_runtime::crash::install_from_env() {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    cli::main()
}
