//! Projects: what they are called, and whether work goes on in them.

use unicode_normalization::UnicodeNormalization as _;

crate::closed_set! {
    /// Whether work goes on in a project.
    ProjectStatus {
        /// Its tasks may start.
        Active = "active",
        /// What runs goes on; no task starts.
        Paused = "paused",
        /// As paused: there is nothing left to do.
        Completed = "completed",
        /// It was put away, and its specs were cancelled.
        Archived = "archived",
    }
}

/// What names of projects are compared by: two that people take for the same one have the same key.
pub fn project_name_key(name: &str) -> String {
    name.nfkc().collect::<String>().to_lowercase()
}

/// Names for the project of the repository at `path`, the shortest first: ends of its path.
pub fn folder_names(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    let ends = path.rmatch_indices('/').map(|(at, _)| &path[at + 1..]);
    let ends = ends.filter(|end| !end.is_empty());
    ends.chain((!path.is_empty()).then_some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_have_one_key() {
        for (one, other) in [
            ("Todo", "todo"),
            ("ＴＯＤＯ", "todo"),
            ("Cafe\u{301}", "café"),
            ("ﬁle", "FILE"),
        ] {
            assert_eq!(project_name_key(one), project_name_key(other));
        }
        assert_ne!(project_name_key("todo"), project_name_key("to do"));
    }

    #[test]
    fn a_folder_is_called_by_the_end_of_its_path() {
        let names = |path| folder_names(path).collect::<Vec<_>>();
        assert_eq!(names("/src/todo"), ["todo", "src/todo", "/src/todo"]);
        assert_eq!(names("/todo/"), ["todo", "/todo"]);
        assert_eq!(names("todo"), ["todo"]);
        assert!(names("/").is_empty());
    }
}
