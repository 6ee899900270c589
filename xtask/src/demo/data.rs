//! The data folder of the demo. Migrations are edited in place while nobody depends on them, so a
//! folder from before such an edit cannot be opened any more; this one is made anew then.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The schema that the folder was made for, in the folder itself.
const SCHEMA: &str = "schema.sql";
/// Held by the process that works on the folder.
const LOCK: &str = "omoi.lock";

/// How the folder was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DemoData {
    /// There was none.
    Made,
    /// It has this schema.
    Kept,
    /// It had another schema.
    MadeAnew,
}

impl DemoData {
    /// What a person is told.
    pub(super) fn told(self, folder: &Path) -> String {
        let anew = match self {
            Self::Made | Self::Kept => "",
            Self::MadeAnew => ", made anew since its database had another schema",
        };
        format!(
            "The demo keeps its data in {}{anew}; your own data folder is not touched.",
            folder.display()
        )
    }
}

/// The schema of this checkout: its migrations in order, and what fills in their types.
pub(super) fn schema(root: &Path) -> Result<String> {
    let store = root.join("crates/omoi-store");
    let folder = store.join("migrations");
    let unreadable = || format!("could not read `{}`", folder.display());
    let entries = fs::read_dir(&folder).with_context(unreadable)?;
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry.with_context(unreadable)?.path());
    }
    files.sort();
    files.push(store.join("src/dialect/migrations.rs"));
    let mut schema = String::new();
    for file in files {
        let text = fs::read_to_string(&file);
        schema += &text.with_context(|| format!("could not read `{}`", file.display()))?;
    }
    Ok(schema)
}

/// Has `folder` ready for a database of `schema`: one of another schema is removed first.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever is stopped in between finds a folder to make anew"
)]
pub(super) fn prepare(folder: &Path, schema: &str) -> Result<DemoData> {
    let note = folder.join(SCHEMA);
    let state = match fs::read_to_string(&note) {
        Ok(known) if known == schema => return Ok(DemoData::Kept),
        Ok(_) => {
            remove(folder)?;
            DemoData::MadeAnew
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let begun = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
            if begun {
                bail!(
                    "`{}` was not made by the demo: move it away and start again",
                    folder.display()
                );
            }
            DemoData::Made
        }
        Err(error) => {
            return Err(error).with_context(|| format!("could not read `{}`", note.display()));
        }
    };
    let unusable = || format!("could not make `{}`", folder.display());
    fs::create_dir_all(folder).with_context(unusable)?;
    fs::write(&note, schema).with_context(unusable)?;
    Ok(state)
}

/// The address of the database in `folder`, whatever the person's configuration says.
pub(super) fn database_url(folder: &Path) -> String {
    let path = folder.join("omoios.db").display().to_string();
    // The only characters that mean something else in such an address.
    let path = path
        .replace('%', "%25")
        .replace('?', "%3F")
        .replace('#', "%23");
    format!("sqlite://{path}")
}

/// Removes `folder` unless a process works on it.
fn remove(folder: &Path) -> Result<()> {
    let _lock = match File::open(folder.join(LOCK)) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).context("could not ask who works on the demo's data"),
        Ok(lock) => match lock.try_lock() {
            Ok(()) => Some(lock),
            Err(TryLockError::WouldBlock) => bail!(
                "another demo works on `{}`, whose schema is not this one: wait for it or stop it",
                folder.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).context("could not ask who works on the demo's data");
            }
        },
    };
    // It goes by a rename: half a folder is never found under its name.
    let old = folder.with_extension("old");
    let removed = forget(&old)
        .and_then(|()| fs::rename(folder, &old))
        .and_then(|()| forget(&old));
    removed.with_context(|| format!("could not remove `{}`", folder.display()))
}

fn forget(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use super::*;

    #[test]
    fn a_folder_of_another_schema_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("demo-data");
        assert_eq!(prepare(&folder, "one").unwrap(), DemoData::Made);
        let database = folder.join("omoios.db");
        File::create(&database).unwrap();
        assert_eq!(prepare(&folder, "one").unwrap(), DemoData::Kept);
        assert!(database.exists());
        assert_eq!(prepare(&folder, "two").unwrap(), DemoData::MadeAnew);
        assert!(!database.exists());
        assert!(!dir.path().join("demo-data.old").exists());
        assert_eq!(prepare(&folder, "two").unwrap(), DemoData::Kept);
        let told = DemoData::MadeAnew.told(&folder);
        assert!(
            told.contains("another schema") && told.contains("is not touched"),
            "{told}"
        );
    }

    #[test]
    fn what_is_in_use_or_not_the_demos_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("demo-data");
        prepare(&folder, "one").unwrap();
        let lock = File::create(folder.join(LOCK)).unwrap();
        lock.lock().unwrap();
        let refused = prepare(&folder, "two").unwrap_err().to_string();
        assert!(refused.contains("another demo works on"), "{refused}");
        drop(lock);
        assert_eq!(prepare(&folder, "two").unwrap(), DemoData::MadeAnew);

        let foreign = dir.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        File::create(foreign.join("omoios.db")).unwrap();
        let refused = prepare(&foreign, "one").unwrap_err().to_string();
        assert!(refused.contains("was not made by the demo"), "{refused}");
        assert!(foreign.join("omoios.db").exists());
    }

    #[test]
    fn the_schema_is_that_of_this_checkout() {
        assert!(
            schema(&crate::root())
                .unwrap()
                .contains("create table specs")
        );
        let url = database_url(Path::new("/a b/c#d"));
        assert_eq!(url, "sqlite:///a b/c%23d/omoios.db");
    }
}
