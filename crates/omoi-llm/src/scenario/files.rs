//! Reading the files of a scenario within their limits.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::{Component, Path},
    sync::Arc,
};

use super::error::ScenarioProblem;

/// Most bytes in one file.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes in a scenario with all the files it names, and in all of its YAML after aliases.
pub const SCENARIO_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Reads one file by its path from the scenario's folder, parts joined by `/`; only the files of a
/// scenario that it extends may lie above that folder.
///
/// At most one byte more than [`FILE_BYTES_MAX`] need be given.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> io::Result<Vec<u8>>;

/// The files of one scenario, each read once and counted once.
pub(super) struct ScenarioFiles<'a> {
    read: ReadFile<'a>,
    seen: HashMap<String, Arc<str>>,
    bytes: usize,
}

impl<'a> ScenarioFiles<'a> {
    pub(super) fn new(read: ReadFile<'a>) -> Self {
        Self {
            read,
            seen: HashMap::new(),
            bytes: 0,
        }
    }

    /// The text of the file `path` below `folder`, which is empty or ends with `/`.
    pub(super) fn load_text(
        &mut self,
        folder: &str,
        path: &str,
    ) -> Result<Arc<str>, ScenarioProblem> {
        let owned = || path.to_owned();
        if !is_inside(path) {
            return Err(ScenarioProblem::PathOutside { path: owned() });
        }
        let full = format!("{folder}{path}");
        if let Some(text) = self.seen.get(&full) {
            return Ok(Arc::clone(text));
        }
        let bytes = (self.read)(&full).map_err(|source| ScenarioProblem::Unreadable {
            path: owned(),
            source,
        })?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(ScenarioProblem::FileTooLarge {
                path: owned(),
                max_bytes: FILE_BYTES_MAX,
            });
        }
        let total = self.bytes + bytes.len();
        if total > SCENARIO_BYTES_MAX {
            return Err(ScenarioProblem::ScenarioTooLarge {
                max_bytes: SCENARIO_BYTES_MAX,
            });
        }
        let text =
            String::from_utf8(bytes).map_err(|_| ScenarioProblem::NotUtf8 { path: owned() })?;
        let text: Arc<str> = text.into();
        self.bytes = total;
        self.seen.insert(full, Arc::clone(&text));
        Ok(text)
    }
}

/// Reads a file of the folder `root`, but no more of it than the limit needs.
pub(super) fn read_on_disk(root: &Path, path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(root.join(path))?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    file.take(FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Takes the path of another scenario apart into its folder and its name; steps up come first.
pub(super) fn split_folder(path: &str) -> Result<(&str, &str), ScenarioProblem> {
    let below = path.trim_start_matches("../");
    if !is_inside(below) {
        let path = path.to_owned();
        return Err(ScenarioProblem::PathOutside { path });
    }
    let name_at = path.rfind('/').map_or(0, |slash| slash + 1);
    Ok(path.split_at(name_at))
}

/// Whether a path stays inside its folder however it is read; a bundled tree has no other paths.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\\')
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}
