//! Files that say which versions of packages a project has: written by package managers, or by hand for pip.

crate::closed_set! {
    /// A kind of such a file, by the name it has.
    LockFileKind {
        /// Of cargo.
        Cargo = "Cargo.lock",
        /// Of pipenv.
        Pipfile = "Pipfile.lock",
        /// Of bun.
        Bun = "bun.lock",
        /// Of bun, as it was once written; nobody but bun reads it.
        BunBinary = "bun.lockb",
        /// Of Go.
        GoSum = "go.sum",
        /// Of npm, for packages that are published.
        NpmShrinkwrap = "npm-shrinkwrap.json",
        /// Of npm.
        PackageLock = "package-lock.json",
        /// Of pdm.
        Pdm = "pdm.lock",
        /// Of pnpm.
        Pnpm = "pnpm-lock.yaml",
        /// Of poetry.
        Poetry = "poetry.lock",
        /// Of rye.
        RequirementsLock = "requirements.lock",
        /// For pip; also `requirements-dev.txt`, `test-requirements.txt`, `requirements/base.txt` and the like.
        Requirements = "requirements.txt",
        /// Of uv.
        Uv = "uv.lock",
        /// Of yarn.
        Yarn = "yarn.lock",
    }
}

impl LockFileKind {
    /// What the file at `path` is, if it says which versions are installed.
    pub fn of_path(path: &str) -> Option<Self> {
        let mut parts = path.rsplit('/');
        let name = parts.next()?;
        let is_of_pip = name.strip_suffix(".txt").is_some_and(|stem| {
            let mut words = stem.split(['-', '_', '.']);
            words.any(|word| word == "requirements") || parts.next() == Some("requirements")
        });
        match is_of_pip {
            true => Some(Self::Requirements),
            false => Self::parse(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_is_known_by_its_whole_name() {
        for (path, expected) in [
            ("Cargo.lock", Some(LockFileKind::Cargo)),
            ("a/b/go.sum", Some(LockFileKind::GoSum)),
            ("uv.lock", Some(LockFileKind::Uv)),
            ("requirements.txt", Some(LockFileKind::Requirements)),
            ("api/requirements-dev.txt", Some(LockFileKind::Requirements)),
            ("requirements_test.txt", Some(LockFileKind::Requirements)),
            ("dev-requirements.txt", Some(LockFileKind::Requirements)),
            ("requirements/base.txt", Some(LockFileKind::Requirements)),
            ("requirements.lock", Some(LockFileKind::RequirementsLock)),
            ("requirements.md", None),
            ("docs/myrequirements.txt", None),
            ("requirements/notes/base.txt", None),
            ("Cargo.lock/notes.md", None),
            ("my-Cargo.lock", None),
            ("cargo.lock.bak", None),
            ("", None),
        ] {
            assert_eq!(LockFileKind::of_path(path), expected, "{path}");
        }
    }
}
