//! How the packages that a commit needs are installed, where its repository does not say so itself.

use std::collections::BTreeMap;

use omoi_domain::lock_file::LockFileKind;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::SurveyError;
use super::listing::FileListing;
use super::text::{has_section, read_setting};
use super::view::join_path;
use crate::mirror::Mirror;
use crate::object::ObjectId;

/// Longest file that is read to see whether it names a package; a longer one does.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// All of these files together, with what git writes around each.
const TEXTS_BYTES_MAX: usize = 32 << 20;

/// The commands that install what a commit needs, and the files that decide what that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupPlan {
    /// Run one after the other at the root of a checkout, by a POSIX shell.
    pub commands: Vec<String>,
    /// Files whose content decides what is installed, with the blobs they hold.
    pub inputs: BTreeMap<String, ObjectId>,
    /// Whether a person wrote the commands into the repository.
    pub is_written: bool,
    /// Commands that make what packages are installed into, and install none.
    pub frames: Vec<String>,
}

impl SetupPlan {
    /// How what packages are installed into is made, as far as `other` does not make it too; none for nothing.
    pub fn frame_plan(&self, other: Option<&Self>) -> Option<Self> {
        let known = |frame: &&String| other.is_some_and(|other| other.frames.contains(frame));
        let frames = self.frames.iter().filter(|frame| !known(frame));
        let commands: Vec<String> = frames.cloned().collect();
        (!commands.is_empty()).then(|| Self {
            frames: commands.clone(),
            commands,
            inputs: BTreeMap::new(),
            is_written: false,
        })
    }

    /// A name for what the plan installs: equal for commits that differ in other files only.
    pub fn plan_digest(&self) -> String {
        let mut hasher = Sha256::new();
        for command in &self.commands {
            hasher.update(command.as_bytes());
            hasher.update([0]);
        }
        for (path, blob) in &self.inputs {
            hasher.update(path.as_bytes());
            hasher.update([0]);
            hasher.update(blob.as_str().as_bytes());
        }
        hex::encode(hasher.finalize())
    }

    /// The commands as one, for `sh -c`: the first that fails ends it.
    pub fn shell_script(&self) -> String {
        let lines: Vec<String> = self
            .commands
            .iter()
            .map(|c| format!("{{ {c}\n}}"))
            .collect();
        lines.join(" &&\n")
    }

    /// The commands on one line, for people.
    pub fn commands_line(&self) -> String {
        self.commands.join("; ")
    }
}

/// What installs packages of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PackageKind {
    Python,
    Node,
    Rust,
    Go,
}

/// One row: the file that asks for the command, and what says that there is anything to install.
struct SetupRule {
    kind: PackageKind,
    file: &'static str,
    command: &'static str,
    /// Whether the text of the file, or of the lock beside it, names a package.
    names_packages: fn(&str) -> bool,
}

const VENV: &str = "python3 -m venv --system-site-packages .venv";

/// Within a kind the first row counts that the folder has a file of.
const RULES: &[SetupRule] = &[
    SetupRule {
        kind: PackageKind::Python,
        file: "uv.lock",
        command: "uv sync --frozen",
        names_packages: |text| text.contains("source = { registry"),
    },
    SetupRule {
        kind: PackageKind::Python,
        file: "poetry.lock",
        command: "poetry install --no-interaction",
        names_packages: |text| text.contains("[[package]]"),
    },
    SetupRule {
        kind: PackageKind::Python,
        file: "pyproject.toml",
        command: "",
        names_packages: asks_for_python_packages,
    },
    SetupRule {
        kind: PackageKind::Python,
        file: "requirements.txt",
        command: "python3 -m venv --system-site-packages .venv && .venv/bin/python -m pip install -r requirements.txt",
        names_packages: |text| {
            let mut lines = text.lines().map(str::trim);
            lines.any(|line| !line.is_empty() && !line.starts_with('#'))
        },
    },
    SetupRule {
        kind: PackageKind::Python,
        file: "setup.py",
        command: "python3 -m venv --system-site-packages .venv && .venv/bin/python -m pip install -e .",
        names_packages: |text| text.contains("install_requires"),
    },
    SetupRule {
        kind: PackageKind::Node,
        file: "pnpm-lock.yaml",
        command: "pnpm install --frozen-lockfile",
        names_packages: |text| text.contains("resolution:") || text.contains("\npackages:"),
    },
    SetupRule {
        kind: PackageKind::Node,
        file: "yarn.lock",
        command: "yarn install --frozen-lockfile",
        // Of old and of today.
        names_packages: |text| text.contains("\n  version \"") || text.contains("resolution:"),
    },
    SetupRule {
        kind: PackageKind::Node,
        file: "package-lock.json",
        command: "npm ci",
        names_packages: locks_node_packages,
    },
    SetupRule {
        kind: PackageKind::Node,
        file: "package.json",
        command: "npm install --no-package-lock",
        names_packages: asks_for_node_packages,
    },
    SetupRule {
        kind: PackageKind::Rust,
        file: "Cargo.lock",
        command: "cargo fetch --locked",
        names_packages: |text| text.contains("\nsource = \""),
    },
    SetupRule {
        kind: PackageKind::Go,
        file: "go.mod",
        command: "go mod download",
        names_packages: |text| text.lines().any(|line| line.trim().starts_with("require")),
    },
];

/// Locks, with the manifest that says nothing more where one is.
const LOCKED: &[(&str, &str)] = &[
    ("uv.lock", "pyproject.toml"),
    ("poetry.lock", "pyproject.toml"),
    ("package-lock.json", "package.json"),
    ("pnpm-lock.yaml", "package.json"),
    ("yarn.lock", "package.json"),
];

fn asks_for_python_packages(text: &str) -> bool {
    let listed = read_setting(text, "project", "dependencies");
    let listed = listed.is_some_and(|list| list.replace(char::is_whitespace, "") != "[]");
    let sections = [
        "project.optional-dependencies",
        "dependency-groups",
        "tool.poetry.dependencies",
    ];
    listed || sections.iter().any(|section| has_section(text, section))
}

/// Whether a lock file of npm has a package besides the project itself. Where each came from need not stand there, and
/// npm can tell what is wrong with a file that is none.
fn locks_node_packages(text: &str) -> bool {
    let Ok(lock) = serde_json::from_str::<serde_json::Value>(text) else {
        return true;
    };
    let of_old = lock["dependencies"].as_object();
    match lock["packages"].as_object() {
        Some(folders) => folders
            .keys()
            .any(|folder| folder.contains("node_modules/")),
        None => of_old.is_some_and(|packages| !packages.is_empty()),
    }
}

fn asks_for_node_packages(text: &str) -> bool {
    let package: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let has = |kind: &str| {
        package[kind]
            .as_object()
            .is_some_and(|list| !list.is_empty())
    };
    ["dependencies", "devDependencies", "optionalDependencies"]
        .into_iter()
        .any(has)
}

/// Commands for packages of one kind, at the root of a checkout.
struct KindCommands {
    install: String,
    /// Makes what the first installs into, where something is known to.
    frame: Option<String>,
}

impl KindCommands {
    fn new(folder: &str, command: &str) -> Self {
        let quoted = folder.replace('\'', r"'\''");
        let at_root = |command: &str| match folder {
            "" => command.to_owned(),
            _ => format!("(cd '{quoted}' && {command})"),
        };
        Self {
            install: at_root(command),
            // The base may not have the folder yet.
            frame: command.starts_with(VENV).then(|| match folder {
                "" => VENV.to_owned(),
                _ => format!("(mkdir -p '{quoted}' && cd '{quoted}' && {VENV})"),
            }),
        }
    }
}

/// The command of a `pyproject.toml` without a lock beside it.
fn pyproject_command(text: &str) -> String {
    if has_section(text, "tool.uv") {
        return "uv sync".to_owned();
    }
    match has_section(text, "tool.poetry") {
        true => "poetry install --no-interaction".to_owned(),
        false => format!("{VENV} && .venv/bin/python -m pip install -e ."),
    }
}

/// The project's own files by path, with the texts of those that rules ask for.
#[derive(Debug, Default)]
struct SetupFiles {
    blobs: BTreeMap<String, ObjectId>,
    texts: BTreeMap<String, String>,
}

impl SetupFiles {
    /// The shallowest folder with one of the files of `kind`; the first by name of several.
    fn folder_of(&self, kind: PackageKind) -> Option<&str> {
        let is_asked = |name: &str| {
            RULES
                .iter()
                .any(|rule| rule.kind == kind && rule.file == name)
        };
        let folders = self
            .blobs
            .keys()
            .map(|path| path.rsplit_once('/').unwrap_or(("", path)));
        let folders = folders
            .filter(|(_, name)| is_asked(name))
            .map(|(folder, _)| folder);
        folders.min_by_key(|folder| {
            (
                folder.split('/').filter(|part| !part.is_empty()).count(),
                *folder,
            )
        })
    }

    /// The commands for packages of `kind`.
    fn commands_of(&self, kind: PackageKind) -> Option<KindCommands> {
        let folder = self.folder_of(kind)?;
        let rules = RULES.iter().filter(|rule| rule.kind == kind);
        let found = rules.map(|rule| (rule, join_path(folder, rule.file)));
        // A file that names nothing hides none of those below it; what is too long to be looked at names something.
        let names_some = |rule: &SetupRule, path: &str| {
            let text = self.texts.get(path);
            self.blobs.contains_key(path) && text.is_none_or(|text| (rule.names_packages)(text))
        };
        let (rule, path) = found
            .into_iter()
            .find(|(rule, path)| names_some(rule, path))?;
        let text = self.texts.get(&path);
        let command = match rule.command {
            "" => pyproject_command(text.map_or("", String::as_str)),
            command => command.to_owned(),
        };
        Some(KindCommands::new(folder, &command))
    }

    /// The files that decide: a manifest beside a lock of its kind decides nothing.
    fn into_inputs(self) -> BTreeMap<String, ObjectId> {
        let locked: Vec<_> = self
            .blobs
            .keys()
            .filter_map(|path| {
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                let (_, manifest) = LOCKED.iter().find(|(lock, _)| *lock == name)?;
                Some(join_path(folder, manifest))
            })
            .collect();
        let decides = |path: &String| !locked.contains(path);
        self.blobs
            .into_iter()
            .filter(|(path, _)| decides(path))
            .collect()
    }

    /// Applies the table. Pure.
    fn into_plan(self, written: Option<&[String]>) -> Option<SetupPlan> {
        let kinds = [
            PackageKind::Python,
            PackageKind::Node,
            PackageKind::Rust,
            PackageKind::Go,
        ];
        let mut frames = Vec::new();
        let commands = match written {
            Some(commands) => commands.to_vec(),
            None => {
                let found = kinds.into_iter().filter_map(|kind| self.commands_of(kind));
                let found = found.map(|commands| {
                    frames.extend(commands.frame);
                    commands.install
                });
                found.collect()
            }
        };
        (!commands.is_empty()).then(|| SetupPlan {
            commands,
            inputs: self.into_inputs(),
            is_written: written.is_some(),
            frames,
        })
    }
}

/// How what `commit` needs is installed: by the `written` commands of its repository, else by the table; none when
/// there is nothing to install.
///
/// # Errors
/// When the commit cannot be read.
pub async fn setup_of_commit(
    mirror: &Mirror,
    commit: &ObjectId,
    written: Option<&[String]>,
) -> Result<Option<SetupPlan>, SurveyError> {
    let entries = mirror.list_tree(commit).await?;
    let listing = FileListing::of_commit(&entries);
    let is_asked = |path: &str, name: &str| {
        RULES.iter().any(|rule| rule.file == name) || LockFileKind::of_path(path).is_some()
    };
    let asked: Vec<_> = listing
        .files
        .iter()
        .filter(|f| !f.aside && is_asked(&f.path, f.file_name()))
        .collect();
    let mut files = SetupFiles::default();
    for file in &asked {
        files
            .blobs
            .insert(file.path.clone(), entries[file.source].id.clone());
    }
    if written.is_none() {
        let short: Vec<_> = asked
            .iter()
            .filter(|f| f.bytes <= TEXT_BYTES_MAX)
            .take(30)
            .collect();
        let ids: Vec<&ObjectId> = short.iter().map(|f| &entries[f.source].id).collect();
        let contents = mirror.read_blobs(&ids, TEXTS_BYTES_MAX).await?;
        for (file, content) in short.into_iter().zip(contents) {
            let text = String::from_utf8_lossy(&content).into_owned();
            files.texts.insert(file.path.clone(), text);
        }
    }
    Ok(files.into_plan(written))
}

#[cfg(test)]
mod tests;
