//! Limits on what `.omoi.yaml`, the file of a repository, may set. Repositories are not trusted: a person
//! clones one and runs it before reading it.

use std::path::{Component, Path, PathBuf};

use omoi_domain::config::{ConfigValue, KeySpec, RepositoryRule};

use super::error::LoadError;
use super::load::WrittenValue;

/// Checks a value that a repository's file sets against the value of the layers `below`.
///
/// # Errors
/// [`LoadError::RaisedByRepository`] for a raised limit, [`LoadError::HomeForRepository`] for a path
/// of the home folder.
pub(super) fn check_repository_value(
    spec: &KeySpec,
    written: &WrittenValue,
    below: Option<WrittenValue>,
    home: Option<&str>,
) -> Result<(), LoadError> {
    let WrittenValue { value, origin } = written;
    match (spec.repository, below, home) {
        (RepositoryRule::Lower, Some(limit), _) if is_more(value, &limit.value) => {
            Err(LoadError::RaisedByRepository {
                origin: origin.clone(),
                key: spec.dotted_path(),
                value: value.to_string(),
                limit: limit.value.to_string(),
                limit_origin: Box::new(limit.origin),
            })
        }
        (RepositoryRule::OutsideHome, _, Some(home)) => {
            let ConfigValue::List(paths) = value else {
                return Ok(());
            };
            let home = Path::new(home);
            let inside = paths
                .iter()
                .find(|path| touches_home(Path::new(path), home));
            match inside {
                Some(path) => Err(LoadError::HomeForRepository {
                    origin: origin.clone(),
                    key: spec.dotted_path(),
                    path: path.clone(),
                }),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Whether one value is greater than another of its kind.
fn is_more(value: &ConfigValue, than: &ConfigValue) -> bool {
    match (value, than) {
        (ConfigValue::Int(value), ConfigValue::Int(than)) => value > than,
        (ConfigValue::Float(value), ConfigValue::Float(than)) => value > than,
        (ConfigValue::Usd(value), ConfigValue::Usd(than)) => value > than,
        (ConfigValue::Seconds(value), ConfigValue::Seconds(than)) => value > than,
        (ConfigValue::Bytes(value), ConfigValue::Bytes(than)) => value > than,
        _ => false,
    }
}

/// Whether `path` is, holds or lies in `home`, by its words or through symbolic links.
fn touches_home(path: &Path, home: &Path) -> bool {
    let forms = |path: &Path| [Some(without_dots(path)), path.canonicalize().ok()];
    forms(path).into_iter().flatten().any(|path| {
        forms(home)
            .into_iter()
            .flatten()
            .any(|home| path.starts_with(&home) || home.starts_with(&path))
    })
}

/// The path without `.` and `..`.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}
