//! Whether workspaces are laid over prepared checkouts here, found out by trying.

use std::io;
use std::path::Path;

use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::{OverlayRefusal, Provider};

use super::{DoctorFinding, FindingMark};

/// Lays a workspace over a file, in a folder of the doctor.
pub(super) fn check_overlay(provider: &dyn Provider, folder: &Path) -> DoctorFinding {
    match try_overlay(provider, folder) {
        Ok(()) => {
            let text = "workspaces are laid over prepared checkouts";
            DoctorFinding::new("sandbox", FindingMark::Ok, text)
        }
        Err(failure) => {
            let why = failure.why;
            let text = format!("every workspace is a clone of its own, which takes longer: {why}");
            let finding = DoctorFinding::new("sandbox", FindingMark::Note, text);
            match failure.next {
                Some(next) => finding.with_next_step(next),
                None => finding,
            }
        }
    }
}

/// Why no workspace was laid, and what to do about it.
struct OverlayFailure {
    why: String,
    next: Option<&'static str>,
}

impl From<OverlayRefusal> for OverlayFailure {
    fn from(refusal: OverlayRefusal) -> Self {
        Self {
            why: error_chain(&refusal),
            next: Some(refusal.next_step()),
        }
    }
}

impl From<String> for OverlayFailure {
    fn from(why: String) -> Self {
        Self { why, next: None }
    }
}

fn try_overlay(provider: &dyn Provider, folder: &Path) -> Result<(), OverlayFailure> {
    provider.overlay_support()?;
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
    laid?;
    removed.map_err(|error| error_chain(&error))?;
    match is_seen {
        true => Ok(()),
        false => Err("a file below did not show".to_owned().into()),
    }
}
