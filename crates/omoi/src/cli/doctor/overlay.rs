//! Whether workspaces are laid over prepared checkouts here, found out by trying.

use std::io;
use std::path::Path;

use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::Provider;

use super::{DoctorFinding, FindingMark};

/// Lays a workspace over a file, in a folder of the doctor.
pub(super) fn check_overlay(provider: &dyn Provider, folder: &Path) -> DoctorFinding {
    match try_overlay(provider, folder) {
        Ok(()) => {
            let text = "workspaces are laid over prepared checkouts";
            DoctorFinding::new("sandbox", FindingMark::Ok, text)
        }
        Err(why) => {
            let text = format!("every workspace is a clone of its own, which takes longer: {why}");
            DoctorFinding::new("sandbox", FindingMark::Note, text)
        }
    }
}

fn try_overlay(provider: &dyn Provider, folder: &Path) -> Result<(), String> {
    provider
        .overlay_support()
        .map_err(|error| error_chain(&error))?;
    let scratch = folder.join(format!("overlay-{}", std::process::id()));
    let (lower, dir) = (scratch.join("below"), scratch.join("over"));
    let make = || -> io::Result<()> {
        std::fs::create_dir_all(lower.join("seen"))?;
        std::fs::create_dir(&dir)
    };
    make().map_err(|error| error.to_string())?;
    let laid = provider.lay_workspace(&dir, &[&lower]);
    let is_seen = dir.join("seen").is_dir();
    let removed = provider.remove_workspace(&dir);
    // What is left of it hurts nobody.
    let _ = std::fs::remove_dir_all(scratch);
    laid.map_err(|error| error_chain(&error))?;
    removed.map_err(|error| error_chain(&error))?;
    match is_seen {
        true => Ok(()),
        false => Err("a file below did not show".to_owned()),
    }
}
