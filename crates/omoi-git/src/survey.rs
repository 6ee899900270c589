//! What a repository is made of, found without running or asking anything.
//!
//! A survey lists the tracked files, reads a bounded number of small manifests, and applies fixed
//! rules to them: equal content gives an equal survey. It works on a commit of a mirror or on a
//! folder, whatever is in it: unknown languages, no manifest, odd names, huge or unreadable files.

mod go;
mod jvm;
mod landmarks;
mod languages;
mod listing;
mod native;
mod node;
mod other;
mod python;
mod ruby;
mod rust;
mod tests_where;
mod text;
mod texts;
mod view;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use tests_where::is_test_path;
pub use texts::{RepositoryTexts, texts_of_commit, texts_of_dir};

use crate::mirror::Mirror;
use crate::object::ObjectId;
use crate::process::GitError;
use listing::Listing;
use view::View;

/// What was found in a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Tracked files, links included.
    pub files: u64,
    /// Their length together.
    pub bytes: u64,
    /// Languages by length of their files, largest first; vendored code is left out.
    pub languages: Vec<Language>,
    /// What the project is built with, main language first.
    pub toolchains: Vec<Toolchain>,
    /// Commands that build it, best first.
    pub build: Vec<CommandHint>,
    /// Commands that test it, best first.
    pub test: Vec<CommandHint>,
    /// Where its tests are.
    pub test_paths: Vec<TestPaths>,
    /// Where programs and libraries begin.
    pub entry_points: Vec<Landmark>,
    /// Files worth reading first.
    pub key_files: Vec<Landmark>,
    /// Habits the project shows.
    pub conventions: Vec<Landmark>,
    /// Content that belongs to the project but is in no checkout of it: submodules, Git LFS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent_content: Vec<String>,
    /// What a reader should know about the survey itself.
    pub notes: Vec<String>,
}

/// A language and how much of it there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Language {
    /// Its usual name.
    pub name: String,
    /// Files.
    pub files: u64,
    /// Length of them together.
    pub bytes: u64,
    /// Lines, estimated from the length.
    pub lines_approx: u64,
}

/// One thing the project needs to be built and run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// Which.
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
    /// CPython or compatible.
    Python,
    /// Rust with cargo.
    Rust,
    /// JavaScript and TypeScript on Node.js.
    Node,
    /// JavaScript and TypeScript on Deno.
    Deno,
    /// Go.
    Go,
    /// Java, Kotlin, Scala on a Java virtual machine.
    Jvm,
    /// C and C++.
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
    /// The file that says so.
    pub found_in: String,
}

/// A command and why we think it is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandHint {
    /// For a POSIX shell.
    pub command: String,
    /// Where to run it, relative to the root; `.` is the root.
    pub directory: String,
    /// The file that made us think so.
    pub found_in: String,
    /// The rule that applied.
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
    /// A glob.
    pub pattern: String,
    /// How many files match it.
    pub files: u64,
}

/// A file and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landmark {
    /// Where.
    pub path: String,
    /// What it is or shows.
    pub what: String,
}

/// Why a survey could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The commit cannot be read.
    #[error("could not read the commit to survey")]
    Git(#[from] GitError),
    /// The folder cannot be read at all.
    #[error("could not read `{dir}`")]
    Unreadable {
        /// The folder.
        dir: PathBuf,
    },
}

/// Surveys `commit`.
pub async fn survey_commit(mirror: &Mirror, commit: &ObjectId) -> Result<Survey, SurveyError> {
    let entries = mirror.list_tree(commit).await?;
    let listing = Listing::of_commit(&entries);
    let chosen = listing.worth_reading();
    let ids: Vec<&ObjectId> = chosen
        .iter()
        .map(|n| &entries[listing.files[*n].source].id)
        .collect();
    let contents = mirror.read_blobs(&ids, listing::READ_BYTES_MAX).await?;
    Ok(conclude(&listing, chosen, contents))
}

/// Surveys the files under `dir` that its ignore files do not exclude.
pub fn survey_dir(dir: &Path) -> Result<Survey, SurveyError> {
    let unreadable = || SurveyError::Unreadable {
        dir: dir.to_path_buf(),
    };
    std::fs::read_dir(dir).map_err(|_| unreadable())?;
    let mut listing = Listing::of_dir(dir);
    let chosen = listing.worth_reading();
    let contents = listing.read_files(dir, &chosen);
    Ok(conclude(&listing, chosen, contents))
}

/// Applies every rule. Pure.
fn conclude(listing: &Listing, chosen: Vec<usize>, contents: Vec<Vec<u8>>) -> Survey {
    let view = View::new(listing, chosen, contents);
    let mut survey = Survey {
        files: listing.files_count,
        bytes: listing.bytes,
        languages: languages::shares(listing),
        test_paths: tests_where::patterns(listing),
        entry_points: landmarks::entry_points(&view),
        key_files: landmarks::key_files(&view),
        conventions: landmarks::conventions(&view),
        absent_content: listing.unfetched_submodules().into_iter().collect(),
        notes: listing.notes(),
        ..Survey::default()
    };
    let mut found: Vec<Finding> = Vec::new();
    for detect in [
        python::detect,
        rust::detect,
        node::detect,
        go::detect,
        jvm::detect,
        native::detect,
        ruby::detect,
        other::detect,
    ] {
        found.extend(detect(&view));
    }
    // The language with the most code speaks first; helpers such as `make` keep their place after.
    found.sort_by_key(|f| {
        (
            std::cmp::Reverse(languages::bytes_of(&survey, f.kind)),
            f.kind,
        )
    });
    let generic = other::generic(&view, &found);
    for finding in found.into_iter().chain(generic) {
        survey.toolchains.extend(finding.toolchain);
        survey.build.extend(finding.build);
        survey.test.extend(finding.test);
    }
    // A command at the root speaks for all below it.
    survey.test.sort_by_key(|hint| hint.directory != ".");
    survey.absent_content.extend(view.unfetched_lfs());
    survey.notes.extend(view.notes());
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
    pub fn suite(&self) -> Option<&CommandHint> {
        self.test.first()
    }
}

/// What the rules of one toolchain found.
struct Finding {
    kind: ToolchainKind,
    toolchain: Vec<Toolchain>,
    build: Vec<CommandHint>,
    test: Vec<CommandHint>,
}

impl Finding {
    fn new(kind: ToolchainKind) -> Self {
        Self {
            kind,
            toolchain: Vec::new(),
            build: Vec::new(),
            test: Vec::new(),
        }
    }

    fn toolchain(
        &mut self,
        manifest: Option<&str>,
        version: Option<VersionHint>,
        programs: &[&str],
    ) {
        self.toolchain.push(Toolchain {
            kind: self.kind,
            manifest: manifest.map(str::to_owned),
            version,
            programs: programs.iter().map(|p| (*p).to_owned()).collect(),
        });
    }

    fn hint(&self, (dir, found_in): (&str, &str), command: &str, because: &str) -> CommandHint {
        CommandHint {
            command: command.to_owned(),
            directory: if dir.is_empty() { "." } else { dir }.to_owned(),
            found_in: found_in.to_owned(),
            because: because.to_owned(),
            toolchain: self.kind,
        }
    }

    fn build(&mut self, at: (&str, &str), command: &str, because: &str) {
        self.build.push(self.hint(at, command, because));
    }

    fn test(&mut self, at: (&str, &str), command: &str, because: &str) {
        self.test.push(self.hint(at, command, because));
    }
}
