//! What people type for a spec or a task: `SPEC-1`, or `todo/SPEC-1` with the project it is of.
//!
//! Numbers count per project, so that the same one means another row in each of them. The project
//! is named by the trailing part of its repository's path.

use std::str::FromStr;

use crate::id::{BadRef, HumanRef};

/// A number with the project it is of, where one was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRef {
    /// What stands before the last slash.
    pub project: Option<String>,
    /// Kind and number of the row that is meant.
    pub item: HumanRef,
}

impl FromStr for ProjectRef {
    type Err = BadRef;
    fn from_str(text: &str) -> Result<Self, BadRef> {
        let (project, item) = match text.rsplit_once('/') {
            Some((project, item)) => (Some(project.to_owned()), item),
            None => (None, text),
        };
        Ok(Self {
            project,
            item: item.parse()?,
        })
    }
}

/// What a command does with what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupUse {
    /// It only shows it.
    Read,
    /// It changes it: then nothing is guessed.
    Act,
}

/// What a reference turned out to be; places in the list that was looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupResult {
    /// Exactly one row is meant, at this place.
    One(usize),
    /// No row has that number.
    Missing,
    /// It could be any of these.
    Unclear(Vec<usize>),
}

/// Finds what `project` means among rows of that number in the repositories `of`, asked from the
/// repository `here`, where that is one that is worked on. A project without a repository stands there by its name.
pub fn look_up(
    project: Option<&str>,
    here: Option<&str>,
    of: &[&str],
    usage: LookupUse,
) -> LookupResult {
    let all = || (0..of.len()).collect::<Vec<_>>();
    let kept: Vec<usize> = match (project, here) {
        (Some(project), _) if of.contains(&project) => {
            all().into_iter().filter(|at| of[*at] == project).collect()
        }
        (Some(project), _) => all()
            .into_iter()
            .filter(|at| names_repository(project, of[*at]))
            .collect(),
        (None, Some(here)) => all().into_iter().filter(|at| of[*at] == here).collect(),
        (None, None) => all(),
    };
    let is_named = project.is_some() || here.is_some();
    match kept.as_slice() {
        [one] if is_named || usage == LookupUse::Read => LookupResult::One(*one),
        [] if project.is_some() || of.is_empty() => LookupResult::Missing,
        [] => LookupResult::Unclear(all()),
        _ => LookupResult::Unclear(kept),
    }
}

/// Whether `project` is the repository at `path`: its name, or more of the end of its path.
fn names_repository(project: &str, path: &str) -> bool {
    path == project
        || path
            .strip_suffix(project)
            .is_some_and(|before| before.ends_with('/'))
}

/// A project, by everything that names it and no other: the shortest end of its path that does, and every longer one.
/// Commands, configuration and platform all ask here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedProject {
    path: String,
    name_bytes: usize,
}

impl NamedProject {
    /// The project of the repository at `path` among those at `paths`.
    pub fn among_paths(path: &str, paths: &[&str]) -> Self {
        Self {
            path: path.to_owned(),
            name_bytes: project_name(path, paths).len(),
        }
    }

    /// What people call it.
    pub fn unique_name(&self) -> &str {
        &self.path[self.path.len() - self.name_bytes..]
    }

    /// Whether `named` means this project and no other.
    pub fn is_named(&self, named: &str) -> bool {
        named.len() >= self.name_bytes && names_repository(named, &self.path)
    }
}

/// The shortest end of `path` that means no other of `paths`.
fn project_name<'a>(path: &'a str, paths: &[&str]) -> &'a str {
    let starts = path.rmatch_indices('/').map(|(at, _)| &path[at + 1..]);
    let is_free = |name: &&str| {
        let others = paths.iter().filter(|other| **other != path);
        !name.is_empty() && !others.clone().any(|other| names_repository(name, other))
    };
    starts.into_iter().find(is_free).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODO: &str = "/home/me/src/todo";
    const FORK: &str = "/home/me/fork/todo";
    const SHOP: &str = "/home/me/src/shop";

    #[test]
    fn every_end_of_a_path_that_means_no_other_names_a_project() {
        let both = [TODO, FORK];
        for (path, paths, name, named, others) in [
            (
                TODO,
                &both[..],
                "src/todo",
                vec!["src/todo", "me/src/todo", TODO],
                vec!["todo", "fork/todo", "rc/todo", "src/todo/", ""],
            ),
            (
                TODO,
                &[TODO],
                "todo",
                vec!["todo", "src/todo", TODO],
                vec!["odo"],
            ),
            // Its name is the end of another path.
            (
                "/todo",
                &["/todo", TODO],
                "/todo",
                vec!["/todo"],
                vec!["todo"],
            ),
        ] {
            let project = NamedProject::among_paths(path, paths);
            assert_eq!(project.unique_name(), name);
            for text in named {
                assert!(project.is_named(text), "{path} {text}");
            }
            for text in others {
                assert!(!project.is_named(text), "{path} {text}");
            }
        }
    }

    #[test]
    fn a_project_may_stand_before_the_number() {
        let parse = |text: &str| text.parse::<ProjectRef>().unwrap();
        assert_eq!(parse("SPEC-1").project, None);
        assert_eq!(parse("todo/SPEC-1").project.as_deref(), Some("todo"));
        assert_eq!(parse("src/todo/tsk-2").item, HumanRef::task(2));
        assert_eq!(parse("src/todo/tsk-2").project.as_deref(), Some("src/todo"));
        for bad in ["todo", "todo/", "/", "SPEC-1/todo"] {
            assert!(bad.parse::<ProjectRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_repository_decides_and_nothing_that_acts_guesses() {
        use LookupResult::{Missing, One, Unclear};
        use LookupUse::{Act, Read};
        let both = [TODO, SHOP];
        for (project, here, of, usage, expected) in [
            // In a repository under work.
            (None, Some(SHOP), &both[..], Act, One(1)),
            (None, Some(FORK), &both, Act, Unclear(vec![0, 1])),
            (None, Some(FORK), &both, Read, Unclear(vec![0, 1])),
            (None, Some(FORK), &[TODO], Read, Unclear(vec![0])),
            // Outside of one.
            (None, None, &both, Read, Unclear(vec![0, 1])),
            (None, None, &[TODO], Act, Unclear(vec![0])),
            (None, None, &[TODO], Read, One(0)),
            (None, None, &[], Act, Missing),
            (None, Some(TODO), &[], Act, Missing),
            // Named.
            (Some("todo"), Some(SHOP), &both, Act, One(0)),
            (Some("todo"), None, &[TODO, FORK], Read, Unclear(vec![0, 1])),
            (Some("fork/todo"), None, &[TODO, FORK], Act, One(1)),
            (Some(TODO), None, &[TODO, FORK], Act, One(0)),
            (Some("odo"), None, &both, Act, Missing),
            // One that is called so is meant before what ends like it.
            (Some("todo"), None, &[TODO, "todo"], Act, One(1)),
            (Some("src/todo"), None, &[TODO, "todo"], Act, One(0)),
            (Some("elsewhere"), Some(TODO), &both, Act, Missing),
        ] {
            let found = look_up(project, here, of, usage);
            assert_eq!(found, expected, "{project:?} {here:?} {of:?} {usage:?}");
        }
    }

    #[test]
    fn names_are_as_short_as_they_may_be() {
        assert_eq!(project_name(TODO, &[TODO, SHOP]), "todo");
        assert_eq!(project_name(TODO, &[TODO, FORK]), "src/todo");
        assert_eq!(project_name("/todo", &["/todo", TODO]), "/todo");
        let all = [TODO, FORK, SHOP, "/todo"];
        for (at, path) in all.iter().enumerate() {
            let name = project_name(path, &all);
            let found = look_up(Some(name), None, &all, LookupUse::Act);
            assert_eq!(found, LookupResult::One(at), "{name}");
        }
    }
}
