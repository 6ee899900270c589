//! Languages, toolchains and commands of a repository, found by reading its files only.
//!
//! A survey lists the tracked files, reads a bounded number of small manifests, and applies fixed
//! rules to them: equal content gives an equal survey. It works on a commit of a mirror or on a
//! folder, whatever is in it: unknown languages, no manifest, odd names, huge or unreadable files.

mod finding;
mod go;
mod jvm;
mod languages;
mod listing;
mod native;
mod node;
mod notable_files;
mod other;
mod own_packages;
mod python;
mod ruby;
mod rust;
mod setup;
mod test_paths;
mod text;
mod texts;
mod view;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use own_packages::own_python_packages;
pub use setup::{SetupPlan, setup_of_commit};
pub use test_paths::is_test_path;
pub use texts::{RepositoryTexts, texts_of_commit, texts_of_dir};
use tracing::debug;

use crate::mirror::Mirror;
use crate::object::ObjectId;
use crate::process::GitError;
use finding::ToolchainFinding;
use listing::FileListing;
use view::SurveyView;

/// Languages, toolchains, commands and notable files of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Tracked files, links included.
    pub files: u64,
    /// Length of all these files in bytes.
    pub bytes: u64,
    /// Languages by length of their files, largest first; vendored code is left out.
    pub languages: Vec<LanguageShare>,
    /// What the project is built with, main language first.
    pub toolchains: Vec<ProjectToolchain>,
    /// Commands that build it, best first.
    pub build: Vec<CommandHint>,
    /// Commands that test it, best first.
    pub test: Vec<CommandHint>,
    /// Where its tests are.
    pub test_paths: Vec<TestPaths>,
    /// Where programs and libraries begin.
    pub entry_points: Vec<NotableFile>,
    /// Files worth reading first.
    pub key_files: Vec<NotableFile>,
    /// Conventions that the project follows.
    pub conventions: Vec<NotableFile>,
    /// Content that belongs to the project but is in no checkout of it: submodules, Git LFS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent_content: Vec<String>,
    /// Remarks about the survey itself, such as files that could not be read.
    pub notes: Vec<String>,
}

/// A language and how much of it there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanguageShare {
    /// Usual name of the language, such as `Python`.
    pub name: String,
    /// Number of files in this language.
    pub files: u64,
    /// Length of these files in bytes.
    pub bytes: u64,
    /// Lines, estimated from the length.
    pub lines_approx: u64,
}

/// A toolchain that the project needs to be built and run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectToolchain {
    /// Which toolchain it is.
    pub kind: ToolchainKind,
    /// The manifest that says so; none when only source files do.
    pub manifest: Option<String>,
    /// The version the project asks for.
    pub version: Option<VersionHint>,
    /// Programs besides the language's own that its commands call, such as `pnpm` or `cmake`.
    pub programs: Vec<String>,
}

/// The toolchains a survey knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolchainKind {
    /// CPython or a compatible interpreter.
    Python,
    /// Rust, built with cargo.
    Rust,
    /// JavaScript and TypeScript on Node.js.
    Node,
    /// JavaScript and TypeScript on Deno.
    Deno,
    /// Go.
    Go,
    /// Java, Kotlin, Scala on a Java virtual machine.
    Jvm,
    /// C and C++ with CMake, Meson, autotools or make.
    Native,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
    /// .NET.
    Dotnet,
    /// Elixir.
    Elixir,
    /// Swift.
    Swift,
    /// Zig.
    Zig,
    /// Shell scripts and `make` alone.
    Shell,
}

/// A version a project asks for, as written there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionHint {
    /// The text, such as `>=3.10` or `1.82.0`.
    pub value: String,
    /// File that states the version.
    pub found_in: String,
}

/// A build or test command, with the evidence for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandHint {
    /// The command line, for a POSIX shell.
    pub command: String,
    /// Where to run it, relative to the root; `.` is the root.
    pub directory: String,
    /// File that suggests the command.
    pub found_in: String,
    /// Reason in words, such as `a Go module`.
    pub because: String,
    /// Which toolchain runs it.
    pub toolchain: ToolchainKind,
}

impl CommandHint {
    /// The command as one line to run at the root.
    pub fn at_root(&self) -> String {
        if self.directory == "." {
            return self.command.clone();
        }
        let quoted = self.directory.replace('\'', r"'\''");
        format!("cd '{quoted}' && {}", self.command)
    }
}

/// A pattern that test files match here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestPaths {
    /// Glob that the paths match, such as `tests/**`.
    pub pattern: String,
    /// How many files match it.
    pub files: u64,
}

/// A file worth knowing, with a remark on what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotableFile {
    /// Path relative to the repository root.
    pub path: String,
    /// What the file is, or the convention it shows.
    pub what: String,
}

/// Why the survey of a commit or folder failed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The commit cannot be read.
    #[error("could not read the commit to survey")]
    Git(#[from] GitError),
    /// The folder cannot be read at all.
    #[error("could not read `{dir}`")]
    Unreadable {
        /// Folder that was to be surveyed.
        dir: PathBuf,
    },
}

/// Surveys the files of `commit`, read from the mirror without a checkout.
pub async fn survey_commit(mirror: &Mirror, commit: &ObjectId) -> Result<Survey, SurveyError> {
    let entries = mirror.list_tree(commit).await?;
    let listing = FileListing::of_commit(&entries);
    let chosen = listing.worth_reading();
    let ids: Vec<&ObjectId> = chosen
        .iter()
        .map(|n| &entries[listing.files[*n].source].id)
        .collect();
    let contents = mirror.read_blobs(&ids, listing::READ_BYTES_MAX).await?;
    debug!(%commit, n_files = entries.len(), n_read = ids.len(), "Surveyed {commit}");
    Ok(apply_rules(&listing, chosen, contents))
}

/// Surveys the files under `dir` that its ignore files do not exclude.
pub fn survey_dir(dir: &Path) -> Result<Survey, SurveyError> {
    let unreadable = || SurveyError::Unreadable {
        dir: dir.to_path_buf(),
    };
    std::fs::read_dir(dir).map_err(|_| unreadable())?;
    let mut listing = FileListing::of_dir(dir);
    let chosen = listing.worth_reading();
    let contents = listing.read_files(dir, &chosen);
    Ok(apply_rules(&listing, chosen, contents))
}

/// Applies every rule. Pure.
fn apply_rules(listing: &FileListing, chosen: Vec<usize>, contents: Vec<Vec<u8>>) -> Survey {
    let view = SurveyView::new(listing, chosen, contents);
    let mut survey = Survey {
        files: listing.files_count,
        bytes: listing.bytes,
        languages: languages::language_shares(listing),
        test_paths: test_paths::test_patterns(listing),
        entry_points: notable_files::entry_points(&view),
        key_files: notable_files::key_files(&view),
        conventions: notable_files::find_conventions(&view),
        absent_content: listing.unfetched_submodules().into_iter().collect(),
        notes: listing.listing_notes(),
        ..Survey::default()
    };
    let mut found: Vec<ToolchainFinding> = Vec::new();
    for detect in [
        python::detect_python,
        rust::detect_rust,
        node::detect_node,
        go::detect_go,
        jvm::detect_jvm,
        native::detect_native,
        ruby::detect_ruby,
        other::detect_other,
    ] {
        found.extend(detect(&view));
    }
    // The language with the most code speaks first; helpers such as `make` keep their place after.
    found.sort_by_key(|f| {
        (
            std::cmp::Reverse(languages::toolchain_bytes(&survey, f.kind)),
            f.kind,
        )
    });
    let generic = other::detect_generic(&view, &found);
    for finding in found.into_iter().chain(generic) {
        survey.toolchains.extend(finding.toolchain);
        survey.build.extend(finding.build);
        survey.test.extend(finding.test);
    }
    // A command at the root speaks for all below it.
    survey.test.sort_by_key(|hint| hint.directory != ".");
    survey.absent_content.extend(view.unfetched_lfs());
    survey.notes.extend(view.binary_notes());
    match survey.test.len() {
        0 => survey.notes.push(
            "No test command was found: without a suite only the checks of each criterion prove."
                .to_owned(),
        ),
        1 => {}
        n => survey.notes.push(format!(
            "{n} test commands were found; `{}` is taken as the suite.",
            survey.test[0].at_root()
        )),
    }
    survey
}

impl Survey {
    /// The command that runs the project's own tests, when one was found.
    pub fn suite_command(&self) -> Option<&CommandHint> {
        self.test.first()
    }
}
