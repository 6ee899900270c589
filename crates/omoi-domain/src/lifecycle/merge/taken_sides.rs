//! Which side a person takes in each file that conflicts.

use std::collections::BTreeMap;
use std::fmt;

use super::decided::name_paths;
use crate::merge::ConflictSide;

/// The sides that a person takes: one for each file named, and one for all others where that is said.
///
/// Shown, it is the answer that says so: `ours` or `theirs` alone for all other files, `ours PATH` or `theirs PATH` for one,
/// each on a line of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenSides {
    rest: Option<ConflictSide>,
    files: BTreeMap<String, ConflictSide>,
}

/// Why an answer does not say what becomes of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SidesFault {
    /// It names no side.
    #[error("an answer about a conflict says ours or theirs")]
    Unreadable,
    /// It names what no path of a line can be.
    #[error("{0:?} cannot be named; take one side for all other files instead")]
    NoPath(String),
    /// It says both sides of the same.
    #[error("the answer takes both sides for {0}")]
    SaidTwice(String),
    /// It names files that do not conflict.
    #[error("{} not in conflict; these files are: {}", are_named(.named), name_paths(.conflicts))]
    NotInConflict {
        /// Those files.
        named: Vec<String>,
        /// The files that are.
        conflicts: Vec<String>,
    },
    /// It says nothing of files that conflict.
    #[error("no side is taken for: {}", name_paths(.0))]
    Unanswered(Vec<String>),
}

fn are_named(paths: &[String]) -> String {
    let verb = if paths.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", name_paths(paths))
}

impl TakenSides {
    /// The same side for every file.
    pub fn same_for_all(side: ConflictSide) -> Self {
        Self {
            rest: Some(side),
            files: BTreeMap::new(),
        }
    }

    /// As `self`, with `side` for the file `path`.
    ///
    /// # Errors
    /// [`SidesFault::NoPath`] where a line cannot hold it, [`SidesFault::SaidTwice`] where the other side is taken for it already.
    pub fn with_file(mut self, path: &str, side: ConflictSide) -> Result<Self, SidesFault> {
        if path.is_empty() || path.trim() != path || path.contains(char::is_control) {
            return Err(SidesFault::NoPath(path.to_owned()));
        }
        match self.files.insert(path.to_owned(), side) {
            Some(earlier) if earlier != side => Err(SidesFault::SaidTwice(path.to_owned())),
            Some(_) | None => Ok(self),
        }
    }

    /// As `self`, with `side` for all files that are not named.
    ///
    /// # Errors
    /// [`SidesFault::SaidTwice`] where the other side is taken for them already.
    pub fn with_rest(mut self, side: ConflictSide) -> Result<Self, SidesFault> {
        match self.rest.replace(side) {
            Some(earlier) if earlier != side => {
                Err(SidesFault::SaidTwice("the other files".to_owned()))
            }
            Some(_) | None => Ok(self),
        }
    }

    /// The sides that an answer takes.
    ///
    /// # Errors
    /// [`SidesFault::Unreadable`], [`SidesFault::SaidTwice`].
    pub fn read_answer(answer: &str) -> Result<Self, SidesFault> {
        let mut taken = Self::default();
        for line in answer.lines().filter(|line| !line.trim().is_empty()) {
            let (side, path) = match line.trim_start().split_once(' ') {
                Some((side, path)) => (side, path.trim()),
                None => (line.trim(), ""),
            };
            let side = ConflictSide::parse(side).ok_or(SidesFault::Unreadable)?;
            taken = match path {
                "" => taken.with_rest(side)?,
                path => taken.with_file(path, side)?,
            };
        }
        match taken == Self::default() {
            true => Err(SidesFault::Unreadable),
            false => Ok(taken),
        }
    }

    /// Whether each of the files `conflicts` has its side, and no other file is named.
    ///
    /// # Errors
    /// [`SidesFault::NotInConflict`], [`SidesFault::Unanswered`].
    pub fn check_paths(&self, conflicts: &[String]) -> Result<(), SidesFault> {
        let named = self.files.keys();
        let named: Vec<String> = named
            .filter(|path| !conflicts.contains(path))
            .cloned()
            .collect();
        if !named.is_empty() {
            return Err(SidesFault::NotInConflict {
                named,
                conflicts: conflicts.to_vec(),
            });
        }
        let left = conflicts.iter().filter(|path| self.side_of(path).is_none());
        let left: Vec<String> = left.cloned().collect();
        match left.is_empty() {
            true => Ok(()),
            false => Err(SidesFault::Unanswered(left)),
        }
    }

    /// The side that is taken for the file `path`; none where nothing was said of it.
    pub fn side_of(&self, path: &str) -> Option<ConflictSide> {
        self.files.get(path).copied().or(self.rest)
    }

    /// The side that is taken for every file, where it is one.
    pub fn only_side(&self) -> Option<ConflictSide> {
        self.rest.filter(|_| self.files.is_empty())
    }
}

impl fmt::Display for TakenSides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.rest.iter().map(ToString::to_string).collect();
        lines.extend(
            self.files
                .iter()
                .map(|(path, side)| format!("{side} {path}")),
        );
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFLICTS: [&str; 3] = ["a", "b c", r#""odd\012name""#];

    /// What comes of an answer about a conflict in [`CONFLICTS`]: the side of each, or what is said against it.
    fn check_answer(answer: &str, expected: Result<[&str; 3], &str>) {
        let conflicts = CONFLICTS.map(str::to_owned);
        let taken = TakenSides::read_answer(answer)
            .and_then(|taken| taken.check_paths(&conflicts).map(|()| taken));
        match (taken, expected) {
            (Ok(taken), Ok(sides)) => {
                let found = CONFLICTS.map(|path| taken.side_of(path).map(ConflictSide::as_str));
                assert_eq!(found, sides.map(Some), "{answer:?}");
                // What is kept of it says the same.
                assert_eq!(TakenSides::read_answer(&taken.to_string()), Ok(taken));
            }
            (Err(fault), Err(text)) => assert_eq!(fault.to_string(), text, "{answer:?}"),
            (taken, expected) => panic!("{answer:?}: {taken:?}, not {expected:?}"),
        }
    }

    #[test]
    fn each_file_in_conflict_has_one_side() {
        let unreadable = Err("an answer about a conflict says ours or theirs");
        for (answer, expected) in [
            ("ours", Ok(["ours"; 3])),
            ("theirs\n", Ok(["theirs"; 3])),
            ("theirs\nours b c", Ok(["theirs", "ours", "theirs"])),
            ("ours b c\r\n\n  theirs", Ok(["theirs", "ours", "theirs"])),
            (
                "ours a\ntheirs b c\nours \"odd\\012name\"",
                Ok(["ours", "theirs", "ours"]),
            ),
            ("ours a\nours a\ntheirs", Ok(["ours", "theirs", "theirs"])),
            ("", unreadable),
            ("both", unreadable),
            ("Ours", unreadable),
            ("ours a\nboth b c", unreadable),
            ("ours a\ntheirs a", Err("the answer takes both sides for a")),
            (
                "ours\ntheirs",
                Err("the answer takes both sides for the other files"),
            ),
            ("ours a", Err(r#"no side is taken for: b c, "odd\012name""#)),
            (
                "theirs\nours z",
                Err(r#"z is not in conflict; these files are: a, b c, "odd\012name""#),
            ),
            (
                "theirs\nours z\nours b",
                Err(r#"b, z are not in conflict; these files are: a, b c, "odd\012name""#),
            ),
        ] {
            check_answer(answer, expected);
        }
    }

    #[test]
    fn what_no_line_can_hold_is_refused() {
        for path in ["", " a", "a ", "a\ntheirs"] {
            let taken = TakenSides::default().with_file(path, ConflictSide::Ours);
            assert_eq!(taken, Err(SidesFault::NoPath(path.to_owned())));
        }
    }

    #[test]
    fn one_side_for_all_is_told_from_a_choice_per_file() {
        for (answer, only) in [
            ("ours", Some(ConflictSide::Ours)),
            ("theirs", Some(ConflictSide::Theirs)),
            ("theirs a", None),
            ("theirs\nours a", None),
        ] {
            assert_eq!(TakenSides::read_answer(answer).unwrap().only_side(), only);
        }
    }
}
