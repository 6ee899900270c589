//! Tests only: ends this process by SIGKILL at a named durable write.
//!
//! `OMOI_CRASH_AT=<point>:<before|after>:<nth>` kills at the nth pass (from 1) of that side of that
//! point; `OMOI_CRASH_TRACE=<file>` appends a line `<point> <before|after>` per pass, the fatal one
//! included. Exists only with the feature `crash-points`, so no shipped binary can be told to die.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use omoi_domain::crash::{self, CrashPoint, CrashSide};

/// Names the point to die at.
pub const CRASH_AT: &str = "OMOI_CRASH_AT";
/// Names the file that lists the points passed.
pub const CRASH_TRACE: &str = "OMOI_CRASH_TRACE";

/// A crash variable cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The text is not `<point>:<before|after>:<nth>`.
    #[error("{CRASH_AT}=`{0}` is not `<point>:<before|after>:<nth>` with a registered point")]
    At(String),
    /// The trace file cannot be opened.
    #[error("could not open the crash trace `{}`", path.display())]
    Trace {
        /// Path of the trace file.
        path: PathBuf,
        /// Why the system could not open it.
        #[source]
        source: io::Error,
    },
}

/// Installs what the environment asks for, or nothing.
///
/// # Errors
/// Returns [`InstallError`] when a variable is set to something unusable.
#[expect(
    clippy::disallowed_methods,
    reason = "test-only switches, kept out of the configuration"
)]
pub fn install_from_env() -> Result<(), InstallError> {
    let at = std::env::var(CRASH_AT).ok();
    let trace = std::env::var_os(CRASH_TRACE).map(PathBuf::from);
    if at.is_none() && trace.is_none() {
        return Ok(());
    }
    let target = match at {
        Some(text) => Some(parse_target(&text).ok_or(InstallError::At(text))?),
        None => None,
    };
    let trace = match trace {
        Some(path) => Some(
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .map_err(|source| InstallError::Trace { path, source })?,
        ),
        None => None,
    };
    // The first call wins, as it does for the hook.
    let _ = PLAN.set(CrashPlan {
        target,
        trace,
        passed: AtomicU64::new(0),
    });
    crash::install_hook(pass_point);
    Ok(())
}

struct CrashPlan {
    target: Option<(CrashPoint, CrashSide, u64)>,
    trace: Option<File>,
    /// Passes of the target so far.
    passed: AtomicU64,
}

/// A hook is a plain function, so its state lives here.
static PLAN: OnceLock<CrashPlan> = OnceLock::new();

fn pass_point(point: CrashPoint, side: CrashSide) {
    let Some(plan) = PLAN.get() else { return };
    if let Some(mut trace) = plan.trace.as_ref() {
        let line = format!("{} {}\n", point.as_str(), side_name(side));
        // One write in append mode keeps lines of several processes whole. A trace that cannot be
        // written shows up in the test that reads it.
        let _ = trace.write_all(line.as_bytes());
    }
    if let Some((target, target_side, nth)) = plan.target
        && (point, side) == (target, target_side)
        && plan.passed.fetch_add(1, Ordering::SeqCst) + 1 == nth
    {
        let me = rustix::process::getpid();
        // Cannot fail for the own process; if it did, the test would see the process live on.
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
    }
}

fn parse_target(text: &str) -> Option<(CrashPoint, CrashSide, u64)> {
    let mut parts = text.split(':');
    let point = CrashPoint::parse(parts.next()?)?;
    let side = match parts.next()? {
        "before" => CrashSide::Before,
        "after" => CrashSide::After,
        _ => return None,
    };
    let nth = parts.next()?.parse().ok().filter(|nth| *nth > 0)?;
    parts.next().is_none().then_some((point, side, nth))
}

fn side_name(side: CrashSide) -> &'static str {
    match side {
        CrashSide::Before => "before",
        CrashSide::After => "after",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_targets_parse() {
        let found = Some((CrashPoint::FileReplaced, CrashSide::After, 3));
        assert_eq!(parse_target("file_replaced:after:3"), found);
        for bad in [
            "",
            "file_replaced",
            "file_replaced:after",
            "file_replaced:during:1",
            "no_such_point:after:1",
            "file_replaced:after:0",
            "file_replaced:after:x",
            "file_replaced:after:1:2",
        ] {
            assert_eq!(parse_target(bad), None, "{bad}");
        }
    }
}
