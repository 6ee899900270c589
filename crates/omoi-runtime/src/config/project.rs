//! What the file of a repository must not say. Repositories are not trusted: a person clones one and
//! runs it before reading it.

use std::path::{Component, Path, PathBuf};

use super::error::{LoadError, Origin};
use super::key::{ForProject, Spec};
use super::value::Value;

/// Checks a `value` of a repository's file against what the layers `below` say.
pub(super) fn check(
    spec: &Spec,
    (value, origin): (&Value, &Origin),
    below: Option<(Value, Origin)>,
    home: Option<&str>,
) -> Result<(), LoadError> {
    match (spec.project, below, home) {
        (ForProject::Lower, Some((limit, limit_origin)), _) if is_more(value, &limit) => {
            Err(LoadError::RaisedByProject {
                origin: origin.clone(),
                key: spec.path(),
                value: value.to_string(),
                limit: limit.to_string(),
                limit_origin: Box::new(limit_origin),
            })
        }
        (ForProject::OutsideHome, _, Some(home)) => {
            let Value::List(paths) = value else {
                return Ok(());
            };
            let home = Path::new(home);
            let inside = paths.iter().find(|path| touches(Path::new(path), home));
            match inside {
                Some(path) => Err(LoadError::HomeForProject {
                    origin: origin.clone(),
                    key: spec.path(),
                    path: path.clone(),
                }),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Whether one value is greater than another of its kind.
fn is_more(value: &Value, than: &Value) -> bool {
    match (value, than) {
        (Value::Int(value), Value::Int(than)) => value > than,
        (Value::Float(value), Value::Float(than)) => value > than,
        (Value::Usd(value), Value::Usd(than)) => value > than,
        (Value::Seconds(value), Value::Seconds(than)) => value > than,
        (Value::Bytes(value), Value::Bytes(than)) => value > than,
        _ => false,
    }
}

/// Whether `path` is, holds or lies in `home`, by its words or through symbolic links.
fn touches(path: &Path, home: &Path) -> bool {
    let forms = |path: &Path| [Some(plain(path)), path.canonicalize().ok()];
    forms(path).into_iter().flatten().any(|path| {
        forms(home)
            .into_iter()
            .flatten()
            .any(|home| path.starts_with(&home) || home.starts_with(&path))
    })
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
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
