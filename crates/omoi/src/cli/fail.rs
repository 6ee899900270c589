//! How a command ends when it cannot do what was asked.

use std::io;
use std::process::ExitCode;

use omoi_git::process::LocateError;
use omoi_git::repo::InspectError;
use omoi_llm::route::RouteError;
use omoi_llm::scenario::ScenarioErrors;
use omoi_runtime::config::LoadError;
use omoi_sandbox::RefusedBelowFloor;
use omoi_store::StoreError;

use crate::Hint;
use crate::client::ClientError;
use crate::folder::FolderError;
use crate::view::text::{Page, clean_lines};

/// A command that makes no sense as typed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Prints `error` with its causes and what to do, and gives the exit code.
pub(crate) fn report(error: &anyhow::Error, colour: bool) -> ExitCode {
    if is_broken_pipe(error) {
        // Whoever read us has enough.
        return ExitCode::SUCCESS;
    }
    let page = Page::new(80, colour);
    let hint = hint(error);
    let mut causes = Vec::<String>::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let known = causes.last().is_some_and(|last| last.contains(&text));
        if Some(&text) != hint.as_ref() && !known {
            causes.push(text);
        }
    }
    let mut lines = causes.iter();
    let first = lines.next().map_or("unknown", String::as_str);
    eprintln!("{} {}", page.red("error:"), shown(first, ""));
    for cause in lines {
        eprintln!("  caused by: {}", shown(cause, "             "));
    }
    if let Some(hint) = hint {
        eprintln!("{} {}", page.bold("hint:"), shown(&hint, "      "));
    }
    ExitCode::from(code(error))
}

/// Several lines stay several lines, each after the first behind `front`; nothing a terminal would
/// obey stays.
fn shown(text: &str, front: &str) -> String {
    clean_lines(text).join(&format!("\n{front}"))
}

/// What to do about it: the nearest layer that knows.
fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(Hint(text)) = error.downcast_ref::<Hint>() {
        return Some(text.clone());
    }
    error.chain().find_map(|cause| {
        if let Some(refused) = cause.downcast_ref::<LoadError>() {
            return of_load(refused).map(ToOwned::to_owned);
        }
        if let Some(refused) = cause.downcast_ref::<StoreError>() {
            return of_store(refused).map(ToOwned::to_owned);
        }
        if let Some(refused) = cause.downcast_ref::<ClientError>() {
            return refused.hint().map(ToOwned::to_owned);
        }
        match cause.downcast_ref::<InspectError>() {
            Some(InspectError::NotAFolder { .. } | InspectError::NotARepository { .. }) => Some(
                "name a git repository with --repo PATH, or make one with `git init`".to_owned(),
            ),
            Some(InspectError::Empty { .. }) => {
                Some("commit something first: git add -A && git commit -m \"Start\"".to_owned())
            }
            Some(InspectError::OtherOwner { path }) => Some(format!(
                "if you trust it: git config --global --add safe.directory {}",
                path.display()
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

fn of_load(refused: &LoadError) -> Option<&'static str> {
    Some(match refused {
        LoadError::Unknown { .. } | LoadError::Value { .. } => {
            "correct it there, or remove it to have the default"
        }
        LoadError::ClosedToProject { .. } => {
            "remove it from the repository's file; only you decide this, for all your repositories"
        }
        LoadError::RaisedByProject { .. } | LoadError::HomeForProject { .. } => {
            "correct the repository's file, or allow it in your own: ~/.config/omoios/config.yaml"
        }
        LoadError::SecretInYaml { .. } => {
            "remove it from the file, and make a new one if others have seen the file"
        }
        LoadError::Rule { .. } => "change one of them; `omoi config show` lists where each is set",
        _ => return None,
    })
}

fn of_store(refused: &StoreError) -> Option<&'static str> {
    Some(match refused {
        StoreError::Unreachable { .. } => {
            "start it, or correct the address: --database URL, DATABASE_URL or database.url"
        }
        StoreError::Url { .. } => "name one: --database postgres://… or sqlite://…",
        _ => return None,
    })
}

/// 2 where the person must change what they typed or configured, else 1.
fn code(error: &anyhow::Error) -> u8 {
    let is_setup = error.chain().any(|cause| {
        cause.is::<Usage>()
            || cause.is::<LoadError>()
            || cause.is::<ScenarioErrors>()
            || cause.is::<RouteError>()
            || cause.is::<InspectError>()
            || cause.is::<FolderError>()
            || cause.is::<LocateError>()
            || cause.is::<RefusedBelowFloor>()
            || matches!(
                cause.downcast_ref::<StoreError>(),
                Some(StoreError::Unreachable { .. } | StoreError::Url { .. })
            )
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
            || matches!(
                cause.downcast_ref::<ClientError>(),
                Some(ClientError::Refused { code, .. })
                    if ["bad_request", "bad_repository", "not_found", "unauthorized", "unclear_reference"].contains(&code.as_str())
            )
    });
    if is_setup { 2 } else { 1 }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
