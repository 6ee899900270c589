//! How a command ends when it cannot do what was asked.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::json;

use omoi_domain::error_code::ErrorCode;
use omoi_git::process::LocateError;
use omoi_git::repo::InspectError;
use omoi_llm::route::RouteError;
use omoi_llm::scenario::ScenarioErrors;
use omoi_programs::error::AgentProgramError;
use omoi_protocol::shell_word::shell_word;
use omoi_runtime::config::LoadError;
use omoi_sandbox::RefusedBelowFloor;
use omoi_store::StoreError;

use crate::ErrorHint;
use crate::api_client::ClientError;
use crate::data_folder::FolderError;
use crate::view::text_layout::{OutputPage, clean_lines};

/// A command that makes no sense as typed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// How an error is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReportStyle<'a> {
    /// As one object on standard output, where scripts read.
    pub(crate) as_json: bool,
    /// Whether colour may be used.
    pub(crate) colour: bool,
    /// Flags that lead another command to the same data.
    pub(crate) data_flags: &'a str,
}

/// Prints `error` with its causes and what to do, and gives the exit code.
pub(crate) fn report_error(error: &anyhow::Error, style: ReportStyle<'_>) -> ExitCode {
    if is_broken_pipe(error) {
        // Whoever read us has enough.
        return ExitCode::SUCCESS;
    }
    let refused = error.chain().find_map(|cause| cause.downcast_ref());
    let request_id = refused.and_then(ClientError::request_id);
    let hint = find_hint(error).or_else(|| Some(log_hint(request_id?, style.data_flags)));
    let mut causes = Vec::<String>::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let known = causes.last().is_some_and(|last| last.contains(&text));
        if Some(&text) != hint.as_ref() && !known {
            causes.push(text);
        }
    }
    let exit_code = exit_code(error);
    if style.as_json {
        let refused = refused.and_then(|refused| match refused {
            ClientError::Refused { code, .. } => Some(code.as_str()),
            ClientError::Unreachable(_)
            | ClientError::NoKey(_)
            | ClientError::Answer(_)
            | ClientError::LongAnswer { .. } => None,
        });
        let usual = if exit_code == 2 { "usage" } else { "failed" };
        print_json(&ErrorLine {
            code: refused.unwrap_or(usual),
            message: causes.first().map_or("unknown", String::as_str),
            causes: causes.get(1..).unwrap_or_default(),
            hint: hint.as_deref(),
            request_id,
            exit_code,
        });
        return ExitCode::from(exit_code);
    }
    let page = OutputPage::new(80, style.colour);
    let mut lines = causes.iter();
    let first = lines.next().map_or("unknown", String::as_str);
    eprintln!("{} {}", page.red("error:"), indent_lines(first, ""));
    for cause in lines {
        eprintln!("  caused by: {}", indent_lines(cause, "             "));
    }
    if let Some(hint) = hint {
        eprintln!("{} {}", page.bold("hint:"), indent_lines(&hint, "      "));
    }
    ExitCode::from(exit_code)
}

/// Tells why the arguments make no sense, or the help that was asked for.
pub(crate) fn report_usage(error: &clap::Error, as_json: bool) -> ExitCode {
    if !as_json || !error.use_stderr() {
        // Whether it can be printed or not, there is nobody else to tell.
        let _ = error.print();
        return ExitCode::from(error.exit_code() as u8);
    }
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("unknown");
    let causes: Vec<String> = lines.map(ToOwned::to_owned).collect();
    print_json(&ErrorLine {
        code: "usage",
        message: first.trim_start_matches("error: "),
        causes: &causes,
        hint: None,
        request_id: None,
        exit_code: 2,
    });
    ExitCode::from(2)
}

/// An error for scripts.
struct ErrorLine<'a> {
    code: &'a str,
    message: &'a str,
    causes: &'a [String],
    hint: Option<&'a str>,
    request_id: Option<&'a str>,
    exit_code: u8,
}

fn print_json(error: &ErrorLine<'_>) {
    let mut line = json!({
        "type": "error",
        "error": error.code,
        "message": error.message,
        "causes": error.causes,
        "hint": error.hint,
        "exit_code": error.exit_code,
    });
    if let Some(id) = error.request_id {
        line["request_id"] = json!(id);
    }
    // Who reads no more needs no error.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Where the log tells more about a failure of the process that answered.
fn log_hint(request_id: &str, data_flags: &str) -> String {
    format!("the log tells what led to it: omoi logs --system --request {request_id}{data_flags}")
}

/// Several lines stay several lines, each after the first behind `front`; nothing a terminal would
/// obey stays.
fn indent_lines(text: &str, front: &str) -> String {
    clean_lines(text).join(&format!("\n{front}"))
}

/// What to do about it: the nearest layer that knows.
fn find_hint(error: &anyhow::Error) -> Option<String> {
    if let Some(ErrorHint(text)) = error.downcast_ref::<ErrorHint>() {
        return Some(text.clone());
    }
    error.chain().find_map(|cause| {
        if let Some(refused) = cause.downcast_ref::<LoadError>() {
            return load_hint(refused).map(ToOwned::to_owned);
        }
        if let Some(refused) = cause.downcast_ref::<StoreError>() {
            return store_hint(refused).map(ToOwned::to_owned);
        }
        if let Some(refused) = cause.downcast_ref::<ClientError>() {
            return refused.refusal_hint().map(ToOwned::to_owned);
        }
        match cause.downcast_ref::<InspectError>() {
            Some(InspectError::NotAFolder { .. } | InspectError::NotARepository { .. }) => Some(
                "name a git repository with --repo PATH, or make one with `git init`".to_owned(),
            ),
            Some(InspectError::Empty { .. }) => {
                Some("commit something first: git add -A && git commit -m \"Start\"".to_owned())
            }
            // Git is run without anybody's own settings, so `safe.directory` would change nothing.
            Some(InspectError::OtherOwner { path }) => Some(format!(
                "work as its owner, or on a copy of yours: git clone {} COPY",
                shell_word(&path.display().to_string())
            )),
            _ => match cause.downcast_ref::<FolderError>() {
                Some(FolderError::Unusable { .. } | FolderError::TooLong { .. }) => Some(
                    "make it yours to read and write, or name another with --data-dir DIR"
                        .to_owned(),
                ),
                _ => None,
            },
        }
    })
}

fn load_hint(refused: &LoadError) -> Option<&'static str> {
    Some(match refused {
        LoadError::Unknown { .. } | LoadError::Value { .. } => {
            "correct it there, or remove it to have the default"
        }
        LoadError::SecretInYaml { .. } => {
            "remove it from the file, and make a new one if others have seen the file"
        }
        LoadError::Rule { .. } => "change one of them; `omoi config show` lists where each is set",
        _ => return None,
    })
}

fn store_hint(refused: &StoreError) -> Option<&'static str> {
    Some(match refused {
        StoreError::Unreachable { .. } => {
            "start it, or correct the address: --database URL, DATABASE_URL or database.url"
        }
        StoreError::Url { .. } => "name one: --database postgres://… or sqlite://…",
        StoreError::NoSpace(_) => "free some space; nothing was lost, and the same command goes on",
        StoreError::Damaged { .. } => {
            "put a copy back in its place, or move it away to begin with an empty one; \
             branches that were handed over stay in your repositories"
        }
        StoreError::OtherVersion { .. } => {
            "use the version that wrote it, or name another folder with --data-dir DIR"
        }
        StoreError::OtherFolder { .. } => {
            "run this there with --data-dir, move that folder here whole, or name another database"
        }
        StoreError::NoRight { .. } => {
            "have an administrator run `create role omoi_app nologin` and `grant omoi_app to` this user, once"
        }
        StoreError::RoleMayBypass { .. } => {
            "take that from the role: `alter role … nosuperuser nobypassrls`, `revoke … from omoi_app`"
        }
        _ => return None,
    })
}

/// 2 where the person must change what they typed or configured, else 1.
fn exit_code(error: &anyhow::Error) -> u8 {
    let is_setup = error.chain().any(|cause| {
        cause.is::<UsageError>()
            || cause.is::<LoadError>()
            || cause.is::<ScenarioErrors>()
            || cause.is::<RouteError>()
            || cause.is::<InspectError>()
            || cause.is::<FolderError>()
            || cause.is::<LocateError>()
            || cause.is::<RefusedBelowFloor>()
            || cause
                .downcast_ref::<AgentProgramError>()
                .is_some_and(AgentProgramError::is_of_person)
            || matches!(
                cause.downcast_ref::<StoreError>(),
                Some(
                    StoreError::Unreachable { .. }
                        | StoreError::Url { .. }
                        | StoreError::Damaged { .. }
                        | StoreError::OtherVersion { .. }
                        | StoreError::OtherFolder { .. }
                        | StoreError::NoRight { .. }
                        | StoreError::RoleMayBypass { .. }
                )
            )
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
            || matches!(
                cause.downcast_ref::<ClientError>(),
                Some(ClientError::Refused { code, .. })
                    if ErrorCode::parse(code).is_some_and(is_of_person)
            )
    });
    if is_setup { 2 } else { 1 }
}

/// Whether the person must change what they typed or configured before they ask again.
const fn is_of_person(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::MalformedJson
            | ErrorCode::ValidationFailed
            | ErrorCode::BadRepository
            | ErrorCode::BadRepositoryFile
            | ErrorCode::RepositoryNotTrusted
            | ErrorCode::NotFound
            | ErrorCode::Unauthenticated
            | ErrorCode::UnclearReference
    )
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    #![allow(clippy::disallowed_methods, reason = "the printed command is run")]
    use std::process::Command;

    use super::*;

    #[test]
    fn the_copy_that_is_advised_for_anothers_repository_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("their repo");
        let sh = |command: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", command]).current_dir(folder.path());
            assert!(shell.status().unwrap().success(), "{command}");
        };
        sh("git init --quiet 'their repo'");
        let refused = InspectError::OtherOwner { path: theirs };
        let hint = find_hint(&anyhow::Error::new(refused)).unwrap();
        assert!(!hint.contains("safe.directory"), "{hint}");
        let (_, command) = hint.split_once("on a copy of yours: ").unwrap();
        sh(command);
        assert!(folder.path().join("COPY/.git").is_dir());
    }
}
