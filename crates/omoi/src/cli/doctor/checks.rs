//! What the doctor looks at.

use std::path::{Path, PathBuf};

use omoi_domain::config::Config;
use omoi_domain::sandbox::SandboxRung;
use omoi_git::process::{GIT_VERSION_MIN, Git};
use omoi_git::survey::survey_dir;
use omoi_git::toolchain::resolve_toolchain;
use omoi_protocol::api::ProcessStatus;
use omoi_runtime::options::DataOptions;
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::options::SandboxOptions;
use omoi_sandbox::{PropertyStatus, SandboxProbe, probe_host};

use super::{DoctorFinding, FindingMark, agents, model_checks, overlay};
use crate::cli::command_context::{CommandContext, CommandSettings};
use crate::cli::{db, owner_access};
use crate::composition;
use crate::data_folder::OpenedFolder;
use crate::open_files::{self, OPEN_FILES_ENOUGH, OPEN_FILES_LOW};
use crate::view::text_layout::{clean_line, count_noun, format_duration};

/// Below this a run will soon stop.
const DISK_LOW: u64 = 1 << 30;

/// Looks at everything, in the order people read it.
pub(super) async fn check_all(
    context: &CommandContext,
    settings: &CommandSettings,
    offline: bool,
) -> Vec<DoctorFinding> {
    let config = &settings.config;
    let mut findings = model_checks::check_model(config, offline).await;
    let tried = try_sandboxes(config).await;
    findings.extend(check_agents(context, settings, &tried).await);
    findings.extend(check_sandbox(settings, &tried).await);
    findings.push(check_database(config).await);
    findings.push(check_git(context).await);
    findings.push(check_disk(&DataOptions::from_config(config).folder));
    findings.push(check_open_files(open_files::highest_limit()));
    findings.extend(check_loops(context, config).await);
    findings
}

/// What the loops of the process that owns the data folder cannot go on with, if there is one.
async fn check_loops(context: &CommandContext, config: &Config) -> Vec<DoctorFinding> {
    let Ok(folder) = OpenedFolder::open(&DataOptions::from_config(config).folder) else {
        // The database's finding says so.
        return Vec::new();
    };
    match owner_access::find_owner(&folder, context).await {
        Ok(Some(owner)) => owner
            .process_status()
            .map(loop_findings)
            .unwrap_or_default(),
        Ok(None) => Vec::new(),
        Err(error) => vec![DoctorFinding::new(
            "loops",
            FindingMark::Note,
            format!("{error:#}"),
        )],
    }
}

fn loop_findings(status: &ProcessStatus) -> Vec<DoctorFinding> {
    let mut findings = Vec::new();
    if let Some(stall) = &status.stall {
        let text = format!(
            "process {}: {}, for {}",
            status.pid,
            clean_line(&stall.reason),
            format_duration(stall.ms as i64)
        );
        findings.push(
            DoctorFinding::new("loops", FindingMark::Note, text).with_next_step("free some space"),
        );
    }
    for one in &status.loops {
        if let Some(error) = &one.error {
            let text = format!("{}: failed {} times: {error}", one.name, one.failing);
            findings.push(DoctorFinding::new(
                "loops",
                FindingMark::Note,
                clean_line(&text),
            ));
        }
        for failing in &one.entities {
            let text = format!(
                "{}: {} failed {} times: {}",
                one.name, failing.entity, failing.failing, failing.error
            );
            findings.push(DoctorFinding::new(
                "loops",
                FindingMark::Note,
                clean_line(&text),
            ));
        }
    }
    if findings.is_empty() && !status.loops.is_empty() {
        let text = format!("process {}: all {} go on", status.pid, status.loops.len());
        findings.push(DoctorFinding::new("loops", FindingMark::Ok, text));
    }
    findings
}

/// What was found out about sandboxes, and the doctor's folder for them.
struct TriedSandboxes {
    probe: SandboxProbe,
    folder: PathBuf,
}

/// Tries the rung that would be used and the better ones, in a folder of the doctor: a running process keeps its
/// sandboxes in another. `omoi sandbox probe` tells of all rungs.
async fn try_sandboxes(config: &Config) -> Result<TriedSandboxes, String> {
    let folder = OpenedFolder::open(&DataOptions::from_config(config).folder)
        .map_err(|error| error_chain(&error))?;
    let mut ask = composition::probe_config(config, &folder, "doctor")
        .map_err(|error| error_chain(error.as_ref()))?;
    let options = SandboxOptions::from_config(config);
    (ask.wanted, ask.enough) = (options.wanted, Some(options.floor));
    let probe = probe_host(&ask)
        .await
        .map_err(|error| error_chain(&error))?;
    Ok(TriedSandboxes {
        probe,
        folder: folder.folder_path().join("doctor"),
    })
}

/// Starts installed agent programs as a run would, where it could.
async fn check_agents(
    context: &CommandContext,
    settings: &CommandSettings,
    tried: &Result<TriedSandboxes, String>,
) -> Vec<DoctorFinding> {
    let tried = tried.as_ref().ok();
    let provider =
        tried.and_then(|tried| composition::select_sandbox(&settings.config, &tried.probe).ok());
    let trial = provider.as_deref().zip(tried).map(|(provider, tried)| {
        let folder = &tried.folder;
        agents::ProgramTrial { provider, folder }
    });
    agents::check_agents(context, settings, trial).await
}

async fn check_sandbox(
    settings: &CommandSettings,
    tried: &Result<TriedSandboxes, String>,
) -> Vec<DoctorFinding> {
    let config = &settings.config;
    let (probe, folder) = match tried {
        Ok(tried) => (&tried.probe, &tried.folder),
        Err(reason) => {
            let text = clean_line(reason);
            return vec![DoctorFinding::new("sandbox", FindingMark::Missing, text)];
        }
    };
    let mut findings = Vec::new();
    match composition::select_sandbox(config, probe) {
        Ok(provider) => {
            let rung = provider.rung();
            findings.push(check_rung(rung));
            findings.extend(check_way(rung));
            if rung != SandboxRung::Process {
                findings.push(overlay::check_overlay(provider.as_ref(), folder));
            }
        }
        Err(refused) => {
            let next = refused.next_step();
            findings.push(
                DoctorFinding::new("sandbox", FindingMark::Missing, refused.to_string())
                    .with_next_step(next),
            );
        }
    }
    for tried in &probe.tried {
        match &tried.outcome {
            Ok(_) if tried.rung == SandboxRung::Process => {}
            Ok(properties) => {
                let held: Vec<String> = properties
                    .iter()
                    .filter(|(_, held)| held.is_yes())
                    .map(|(property, held)| match held.holder_remark() {
                        Some(remark) => format!("{property} ({remark})"),
                        None => property.to_string(),
                    })
                    .collect();
                let text = format!("{} holds {}", tried.rung, held.join(", "));
                findings.push(DoctorFinding::new("sandbox", FindingMark::Ok, text));
                for (property, held) in properties {
                    if let PropertyStatus::No(why) = held {
                        let text = format!("{} does not hold {property}: {why}", tried.rung);
                        let finding = DoctorFinding::new("sandbox", FindingMark::Note, text);
                        findings.push(match property.host_remedy() {
                            Some(next) => finding.with_next_step(next),
                            None => finding,
                        });
                    }
                }
            }
            Err(unavailable) => {
                let text = format!("{} cannot be used: {}", tried.rung, unavailable.reason);
                let finding = DoctorFinding::new("sandbox", FindingMark::Note, text);
                findings.push(finding.with_next_step(unavailable.remedy.clone()));
            }
        }
    }
    findings.push(check_mounts(settings).await);
    findings
}

fn check_rung(rung: SandboxRung) -> DoctorFinding {
    match rung {
        SandboxRung::Process => DoctorFinding::new(
            "sandbox",
            FindingMark::Note,
            "process: unsafe, nothing is held back; the floor allows it",
        ),
        _ => DoctorFinding::new("sandbox", FindingMark::Ok, rung.as_str()),
    }
}

/// What a kind of sandbox without a loopback of its own lacks: the way of packages leads over it.
fn check_way(rung: SandboxRung) -> Option<DoctorFinding> {
    let text = format!(
        "{rung} reaches no registry: a set-up that fetches packages fails, and no agent can add any"
    );
    let finding = DoctorFinding::new("sandbox", FindingMark::Note, text);
    let next = "use bubblewrap, `apt install bubblewrap`, or a container engine";
    (!rung.has_own_loopback()).then(|| finding.with_next_step(next))
}

/// What sandboxes may read beyond the system: the configured folders, and the toolchain of the
/// repository the doctor was called in.
async fn check_mounts(settings: &CommandSettings) -> DoctorFinding {
    let mut paths = SandboxOptions::from_config(&settings.config).read_only;
    let here = std::env::current_dir().unwrap_or_default();
    if here.join(".git").exists()
        && let Ok(survey) = survey_dir(&here)
    {
        paths.extend(
            resolve_toolchain(&survey, &composition::host_toolchain(&settings.sources))
                .await
                .roots,
        );
    }
    let shown: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let text = match shown.as_slice() {
        [] => "sandboxes read the system's folders and nothing else".to_owned(),
        shown => format!("sandboxes also read {}", shown.join(", ")),
    };
    DoctorFinding::new("sandbox", FindingMark::Ok, text)
}

async fn check_database(config: &Config) -> DoctorFinding {
    let looked = async {
        let store = db::open_database(config).await?;
        let migrations = store.migrations().await?;
        let pending = migrations.iter().filter(|(_, _, applied)| !applied).count();
        let backend = store.backend().as_str();
        store.close().await;
        anyhow::Ok((backend, pending))
    };
    match looked.await {
        Ok((backend, 0)) => DoctorFinding::new(
            "database",
            FindingMark::Ok,
            format!("{backend}, up to date"),
        ),
        Ok((backend, pending)) => {
            let pending = count_noun(pending as u64, "migration");
            let text = format!("{backend}, {pending} to apply, which the next start does");
            DoctorFinding::new("database", FindingMark::Ok, text)
        }
        Err(error) => DoctorFinding::new(
            "database",
            FindingMark::Missing,
            clean_line(&format!("{error:#}")),
        )
        .with_next_step("check --data-dir and --database"),
    }
}

async fn check_git(context: &CommandContext) -> DoctorFinding {
    let path = context.environment_variable("PATH").unwrap_or_default();
    match Git::find_on_path(&path).await {
        Ok(git) => DoctorFinding::new("git", FindingMark::Ok, git.version_text()),
        Err(error) => DoctorFinding::new("git", FindingMark::Missing, error_chain(&error))
            .with_next_step(format!(
                "install git {}.{} or newer",
                GIT_VERSION_MIN.0, GIT_VERSION_MIN.1
            )),
    }
}

/// Whether a process may have enough files open to serve its sandboxes.
fn check_open_files(limit: u64) -> DoctorFinding {
    let text = match limit {
        u64::MAX => "any number of open files".to_owned(),
        limit => format!("{limit} open files at most"),
    };
    if limit >= OPEN_FILES_LOW {
        return DoctorFinding::new("files", FindingMark::Ok, text);
    }
    let text = format!("{text}: many sandboxes at once will have connections refused");
    DoctorFinding::new("files", FindingMark::Note, text).with_next_step(format!(
        "raise the hard limit: `LimitNOFILE={OPEN_FILES_ENOUGH}` in its unit, or a line in /etc/security/limits.conf"
    ))
}

fn check_disk(data: &Path) -> DoctorFinding {
    let Ok(found) = rustix::fs::statvfs(data) else {
        return DoctorFinding::new(
            "disk",
            FindingMark::Note,
            "the file system does not say what is free",
        );
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let text = format!(
        "{:.1} GiB free at {}",
        free as f64 / (1u64 << 30) as f64,
        data.display()
    );
    if free < DISK_LOW {
        DoctorFinding::new("disk", FindingMark::Missing, text)
            .with_next_step("free at least 1 GiB, or use another --data-dir")
    } else {
        DoctorFinding::new("disk", FindingMark::Ok, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_sandbox_without_a_way_to_registries_is_told() {
        for rung in SandboxRung::ALL {
            let found = check_way(*rung);
            let expected = matches!(*rung, SandboxRung::Landlock | SandboxRung::Process);
            assert_eq!(found.is_some(), expected, "{rung}");
            assert!(
                found.is_none_or(|found| found.mark == FindingMark::Note && found.next.is_some())
            );
        }
    }

    #[test]
    fn a_low_limit_of_open_files_is_told_with_what_raises_it() {
        for (limit, mark, text) in [
            (1_024, FindingMark::Note, "1024 open files at most: many"),
            (4_095, FindingMark::Note, "4095 open files at most: many"),
            (4_096, FindingMark::Ok, "4096 open files at most"),
            (u64::MAX, FindingMark::Ok, "any number of open files"),
        ] {
            let found = check_open_files(limit);
            assert_eq!(found.mark, mark, "{limit}");
            assert!(found.text.starts_with(text), "{}", found.text);
            let raises = found
                .next
                .is_some_and(|next| next.contains("LimitNOFILE=65536"));
            assert_eq!(raises, mark == FindingMark::Note, "{limit}");
        }
    }
}
