//! Files of people's checkouts that are not committed: read anew for each workspace, as `sandbox.copy` lists them, and
//! laid beside the commit where git does not take them for work.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tracing::warn;

use omoi_domain::copied_file::{COPIES_BYTES_MAX, COPIES_MAX, CopyAudience, CopyRow};
use omoi_domain::id::ProjectId;
use omoi_domain::reference::NamedProject;
use omoi_domain::secret_mask::LearnedSecrets;
use omoi_domain::secret_values::secret_values;
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::plain_file::{
    PlainFile, PlainFileError, exclude_paths, read_plain_file, write_new_file,
};
use omoi_git::process::GitError;
use omoi_runtime::lifecycle::{BlockingPanicked, LifecycleHandle};
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::WorkspaceError;
use omoi_store::projects::{self, Project};
use omoi_store::{StoreError, Tenant, Tx};

use crate::deployment::{DeploymentParts, FromParts};
use crate::protected;

/// Characters of a digest that a record shows.
const DIGEST_CHARS: usize = 16;

/// What a person set, and where secrets are told to what hides them.
#[derive(Clone, Debug, Default)]
pub struct CopyRules {
    /// The files.
    pub rows: Arc<[CopyRow]>,
    /// Secrets that were read.
    pub secrets: LearnedSecrets,
}

impl CopyRules {
    fn of_project<'a>(&'a self, project: &'a NamedProject) -> impl Iterator<Item = &'a CopyRow> {
        self.rows
            .iter()
            .filter(move |row| project.is_named(&row.project))
    }
}

/// Reads the files that workspaces are given.
#[derive(Clone)]
pub struct CopiedFiles {
    store: Tenant,
    rules: CopyRules,
    lifecycle: LifecycleHandle,
}

impl FromParts for CopiedFiles {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            rules: parts.copies.clone(),
            lifecycle: parts.lifecycle.clone(),
        }
    }
}

/// A file that `sandbox.copy` lists cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It cannot be read as it must be.
    #[error("`sandbox.copy` names `{path}` of `{project}`, which cannot be copied")]
    File {
        /// Whose.
        project: String,
        /// Which, from the top of the repository.
        path: String,
        /// Why.
        #[source]
        fault: CopyFault,
    },
    /// They are too much together.
    #[error(
        "the files that `sandbox.copy` names for `{project}` have more than {} MiB together", COPIES_BYTES_MAX >> 20
    )]
    TooMuch {
        /// Whose.
        project: String,
    },
    /// They are too many.
    #[error(
        "`sandbox.copy` names {n_rows} files for `{project}`, and at most {COPIES_MAX} are copied"
    )]
    TooMany {
        /// Whose.
        project: String,
        /// How many.
        n_rows: usize,
    },
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
    /// The commit could not be read.
    #[error("could not read which files are committed")]
    Git(#[from] GitError),
    /// Reading them ended in a fault of this program.
    #[error("could not read the files that `sandbox.copy` names")]
    Panicked(#[from] BlockingPanicked),
}

/// Why one file is not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyFault {
    /// The disk has it otherwise.
    #[error(transparent)]
    Plain(#[from] PlainFileError),
    /// It comes with the commit.
    #[error("it is committed, and comes with its commit")]
    Committed,
    /// It would change what the platform keeps there.
    #[error("it lies where only the platform and its agents' settings are: {}", protected::protected_paths().collect::<Vec<_>>().join(", "))]
    Protected,
}

/// The files of a person's checkout for one workspace.
#[derive(Default)]
pub struct WorkspaceCopies {
    /// Those that it is given.
    pub(crate) files: Vec<CopiedFile>,
    /// Paths of secret files that it is not given.
    pub(crate) withheld: Vec<String>,
}

/// What is to be copied out of the checkout of a project.
struct CheckoutRows {
    project: String,
    repository: String,
    rows: Vec<CopyRow>,
}

impl CheckoutRows {
    /// Other rows of the same checkout.
    fn with_rows(&self, rows: Vec<CopyRow>) -> Self {
        Self {
            project: self.project.clone(),
            repository: self.repository.clone(),
            rows,
        }
    }
}

/// A file for a workspace.
pub(crate) struct CopiedFile {
    row: CopyRow,
    file: PlainFile,
    /// Whether nobody who works there may change it.
    is_read_only: bool,
}

impl WorkspaceCopies {
    /// Adds a file that is none of a checkout, at `path` of the workspace, which nobody there changes.
    pub(crate) fn add_read_only(&mut self, path: String, content: Vec<u8>) {
        self.files.push(CopiedFile {
            row: CopyRow::of_plain_file("", path),
            file: PlainFile {
                content,
                is_executable: false,
            },
            is_read_only: true,
        });
    }
}

impl CopiedFiles {
    /// The same for the rows that `store` sees.
    #[must_use]
    pub fn in_tenant(&self, store: &Tenant) -> Self {
        Self {
            store: store.clone(),
            ..self.clone()
        }
    }

    /// Lets a run begin at `commit` whose files can all be copied; reads each of them once.
    ///
    /// # Errors
    /// [`CopyError`] names the first that cannot.
    pub async fn expect_readable(
        &self,
        project: &Project,
        mirror: &Mirror,
        commit: &ObjectId,
    ) -> Result<(), CopyError> {
        let Some(checkout) = self.checkout_rows(project.id).await? else {
            return Ok(());
        };
        let entries = mirror.list_tree(commit).await?;
        for row in &checkout.rows {
            let is_taken = |path: &Path| {
                path == Path::new(&row.path) || Path::new(&row.path).starts_with(path)
            };
            let fault = match protected::holds(Path::new(&row.path)) {
                true => CopyFault::Protected,
                false if entries.iter().any(|entry| is_taken(entry.path.as_path())) => {
                    CopyFault::Committed
                }
                false => continue,
            };
            return Err(fault_of(row, fault));
        }
        self.read_rows(checkout).await.map(|_| ())
    }

    /// Where the files of `project` lie in a workspace, whoever is given them: no commit may have anything there.
    pub(crate) async fn copied_paths(&self, project: ProjectId) -> Result<Vec<String>, StoreError> {
        let found = self.checkout_rows(project).await?;
        let rows = found.map(|checkout| checkout.rows).unwrap_or_default();
        Ok(rows.into_iter().map(|row| row.path).collect())
    }

    /// Paths of the files of `project` that every check is given.
    ///
    /// # Errors
    /// [`StoreError`] when the project cannot be read.
    pub async fn paths_for_checks(&self, project: ProjectId) -> Result<Vec<String>, StoreError> {
        let found = self.checkout_rows(project).await?;
        let mut rows = found.map(|checkout| checkout.rows).unwrap_or_default();
        rows.retain(|row| CopyAudience::Check.is_given(row));
        Ok(rows.into_iter().map(|row| row.path).collect())
    }

    /// The rows of a project, by names that mean no other one; none where there are none, and of a project without a
    /// checkout on this machine.
    async fn checkout_rows(&self, project: ProjectId) -> Result<Option<CheckoutRows>, StoreError> {
        if self.rules.rows.is_empty() {
            return Ok(None);
        }
        let read = async |tx: &mut Tx| -> Result<_, StoreError> {
            let named = projects::named_project(tx, project).await?;
            Ok((projects::get(tx, project).await?, named))
        };
        let (project, named) = self.store.read(read).await?;
        let rows: Vec<_> = self.rules.of_project(&named).cloned().collect();
        let checkout = project.repo_path.map(|repository| CheckoutRows {
            project: project.name,
            repository,
            rows,
        });
        Ok(checkout.filter(|checkout| !checkout.rows.is_empty()))
    }

    /// Has what is secret in the files of `project` hidden from now on, whoever was given them. A file that is gone
    /// meanwhile holds up no finished work: this process hides what it read of it before.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn learn_secrets(&self, project: ProjectId) -> Result<(), CopyError> {
        let Some(checkout) = self.checkout_rows(project).await? else {
            return Ok(());
        };
        for row in checkout.rows.iter().filter(|row| row.is_secret) {
            let path = row.path.clone();
            let read = self.read_rows(checkout.with_rows(vec![row.clone()]));
            if let Err(error) = read.await {
                let error = error_chain(&error);
                warn!(
                    path,
                    error, "A secret file cannot be read; what it held is not searched for"
                );
            }
        }
        Ok(())
    }

    /// The files of `project` for a workspace of `audience`, as they are now.
    pub(crate) async fn read_copies(
        &self,
        project: ProjectId,
        audience: CopyAudience,
    ) -> Result<WorkspaceCopies, CopyError> {
        let Some(mut checkout) = self.checkout_rows(project).await? else {
            return Ok(WorkspaceCopies::default());
        };
        let is_given = |row: &CopyRow| audience.is_given(row);
        let rows = std::mem::take(&mut checkout.rows);
        let (given, withheld): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_given);
        let files = self.read_rows(checkout.with_rows(given));
        Ok(WorkspaceCopies {
            files: files.await?,
            withheld: withheld.into_iter().map(|row| row.path).collect(),
        })
    }

    async fn read_rows(&self, checkout: CheckoutRows) -> Result<Vec<CopiedFile>, CopyError> {
        let secrets = self.rules.secrets.clone();
        let reading = move || {
            let CheckoutRows {
                project,
                repository,
                rows,
            } = checkout;
            read_rows(&project, Path::new(&repository), rows, &secrets)
        };
        let read = self
            .lifecycle
            .run_blocking("read files to copy", reading)
            .await;
        read?
    }
}

/// Reads the files `paths` of the checkout `repository`, which are in the workspace of every check.
///
/// # Errors
/// [`CopyError`] for the first that cannot be copied.
pub fn read_plain_copies(
    repository: &Path,
    paths: Vec<String>,
) -> Result<WorkspaceCopies, CopyError> {
    let project = repository.display().to_string();
    let rows = paths
        .into_iter()
        .map(|path| CopyRow::of_plain_file(&project, path));
    let files = read_rows(
        &project,
        repository,
        rows.collect(),
        &LearnedSecrets::default(),
    )?;
    Ok(WorkspaceCopies {
        files,
        withheld: Vec::new(),
    })
}

/// Reads files of a checkout. What is secret is known as such before anybody has it.
fn read_rows(
    project: &str,
    repository: &Path,
    rows: Vec<CopyRow>,
    secrets: &LearnedSecrets,
) -> Result<Vec<CopiedFile>, CopyError> {
    let project = || project.to_owned();
    if rows.len() > COPIES_MAX {
        let n_rows = rows.len();
        return Err(CopyError::TooMany {
            project: project(),
            n_rows,
        });
    }
    let (mut copies, mut total) = (Vec::new(), 0);
    for row in rows {
        let read = read_plain_file(repository, Path::new(&row.path), row.bytes_max());
        let file = read.map_err(|fault| fault_of(&row, fault.into()))?;
        total += file.content.len() as u64;
        if total > COPIES_BYTES_MAX {
            return Err(CopyError::TooMuch { project: project() });
        }
        if row.is_secret {
            secrets.learn_secrets(secret_values(&String::from_utf8_lossy(&file.content)));
        }
        copies.push(CopiedFile {
            row,
            file,
            is_read_only: false,
        });
    }
    Ok(copies)
}

fn fault_of(row: &CopyRow, fault: CopyFault) -> CopyError {
    CopyError::File {
        project: row.project.clone(),
        path: row.path.clone(),
        fault,
    }
}

/// What stands before the output of a check that is red where secret files, at `paths`, were not given to it; none
/// where there are none.
pub(crate) fn withheld_line(paths: &[String]) -> Option<String> {
    if paths.is_empty() {
        return None;
    }
    let named: Vec<_> = paths.iter().map(|path| format!("`{path}`")).collect();
    let named = named.join(", ");
    Some(format!(
        "[{named} of `sandbox.copy` is secret and given to no check: what a check runs must do without]\n"
    ))
}

/// Puts `copies` into the work tree `dest`, which git has filled and nobody else has touched; returns what the record
/// says of them, and nothing where there are none. What stands in the way of one stays, and is told.
///
/// # Errors
/// [`WorkspaceError`] when the work tree cannot be written.
pub fn lay_copies(copies: &WorkspaceCopies, dest: &Path) -> Result<Option<String>, WorkspaceError> {
    let failed = |action, path: PathBuf| {
        move |source| WorkspaceError::Path {
            action,
            path,
            source,
        }
    };
    let (mut told, mut laid) = (Vec::new(), Vec::new());
    for CopiedFile {
        row,
        file,
        is_read_only,
    } in &copies.files
    {
        let mode = match (row.is_secret, file.is_executable) {
            _ if *is_read_only => 0o444,
            (true, false) => 0o600,
            (true, true) => 0o700,
            (false, false) => 0o644,
            (false, true) => 0o755,
        };
        let is_new = write_new_file(dest, Path::new(&row.path), &file.content, mode);
        let is_new = is_new.map_err(failed("copy a file to", dest.join(&row.path)))?;
        let path = &row.path;
        told.push(match (is_new, row.is_secret) {
            (false, _) => format!("`{path}` left out, something else is in its place"),
            // A digest of few possible values would tell which one it is.
            (true, true) => format!("`{path}` (secret)"),
            (true, false) => {
                let digest = hex::encode(Sha256::digest(&file.content));
                let bytes = file.content.len();
                format!(
                    "`{path}` ({bytes} bytes, sha256:{})",
                    &digest[..DIGEST_CHARS]
                )
            }
        });
        if is_new {
            laid.push(row.path.clone());
        }
    }
    let withheld = copies.withheld.iter();
    told.extend(withheld.map(|path| format!("`{path}` withheld, a secret that is not for it")));
    exclude_paths(dest, &laid).map_err(failed("list copies in", dest.to_path_buf()))?;
    Ok((!told.is_empty()).then(|| told.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use std::fs;

    use omoi_domain::copied_file::SECRET_COPY_BYTES_MAX;
    use omoi_domain::secret_mask::SecretMask;
    use omoi_runtime::telemetry::error_chain;

    use super::*;

    fn rows(texts: &[&str]) -> Vec<CopyRow> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn read(repository: &Path, texts: &[&str]) -> Result<Vec<CopiedFile>, String> {
        let read = read_rows("todo", repository, rows(texts), &LearnedSecrets::default());
        read.map_err(|error| error_chain(&error))
    }

    #[test]
    fn a_red_check_is_told_of_the_secrets_that_it_was_not_given() {
        let paths: Vec<_> = [".env", "b/key.pem"].map(str::to_owned).into();
        assert_eq!(withheld_line(&[]), None);
        assert_eq!(
            withheld_line(&paths).unwrap(),
            "[`.env`, `b/key.pem` of `sandbox.copy` is secret and given to no check: what a check runs must do \
             without]\n"
        );
    }

    #[test]
    fn a_line_names_one_of_two_projects_by_more_of_its_path() {
        let paths = ["/src/todo", "/fork/todo"];
        let rules = CopyRules {
            rows: rows(&[
                "project=todo; path=a",
                "project=src/todo; path=b",
                "project=/fork/todo; path=c",
            ])
            .into(),
            ..CopyRules::default()
        };
        let listed = |path: &str| {
            let project = NamedProject::among_paths(path, &paths);
            let found = rules.of_project(&project).map(|row| row.path.clone());
            found.collect::<Vec<_>>()
        };
        assert_eq!(paths.map(listed), [["b"], ["c"]]);
    }

    #[test]
    fn files_are_laid_beside_the_commit_and_the_record_tells_them() {
        let folder = tempfile::tempdir().unwrap();
        let (repository, dest) = (folder.path().join("repo"), folder.path().join("work"));
        fs::create_dir_all(repository.join("fixtures")).unwrap();
        fs::create_dir_all(dest.join(".git")).unwrap();
        fs::write(repository.join("fixtures/a.bin"), [0, 159, 146, 150]).unwrap();
        fs::write(repository.join(".env"), "KEY=canary-0123456789\n").unwrap();
        fs::write(repository.join("taken"), "ours").unwrap();
        fs::write(dest.join("taken"), "the commit's").unwrap();
        let listed = [
            "project=todo; path=fixtures/a.bin",
            "project=todo; secret=.env",
            "project=todo; path=taken",
        ];
        let secrets = LearnedSecrets::default();
        let mask = SecretMask::default().with_learned(&secrets);
        let copies = WorkspaceCopies {
            files: read_rows("todo", &repository, rows(&listed), &secrets).unwrap(),
            withheld: vec!["key.pem".to_owned()],
        };
        assert_eq!(mask.mask_text("it is canary-0123456789"), "it is ****");
        let told = lay_copies(&copies, &dest).unwrap().unwrap();
        assert_eq!(
            told,
            "`fixtures/a.bin` (4 bytes, sha256:b02a591131217cb5), `.env` (secret), \
             `taken` left out, something else is in its place, `key.pem` withheld, a secret that is not for it"
        );
        assert_eq!(
            fs::read(dest.join(".env")).unwrap(),
            b"KEY=canary-0123456789\n"
        );
        assert_eq!(fs::read(dest.join("taken")).unwrap(), b"the commit's");
        let excluded = fs::read_to_string(dest.join(".git/info/exclude")).unwrap();
        assert_eq!(excluded, "/fixtures/a.bin\n/.env\n");
        assert_eq!(
            lay_copies(&WorkspaceCopies::default(), &dest).unwrap(),
            None
        );
    }

    #[test]
    fn what_cannot_be_copied_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let large = vec![b'x'; SECRET_COPY_BYTES_MAX as usize + 1];
        fs::write(folder.path().join("large"), &large).unwrap();
        assert!(read(folder.path(), &["project=todo; path=large"]).is_ok());
        for (row, says) in [
            ("project=todo; path=none", "there is no such file"),
            (
                "project=todo; secret=large",
                "it has 65537 bytes, and at most 65536 are copied",
            ),
        ] {
            let error = read(folder.path(), &[row]).err().unwrap();
            let (_, path) = row.rsplit_once('=').unwrap();
            let expected =
                format!("`sandbox.copy` names `{path}` of `todo`, which cannot be copied: {says}");
            assert_eq!(error, expected);
        }
        fs::write(folder.path().join("huge"), vec![0; 13 << 20]).unwrap();
        let many = read(folder.path(), &["project=todo; path=huge"; 5])
            .err()
            .unwrap();
        assert!(many.contains("more than 64 MiB together"), "{many}");
        let many = read(folder.path(), &["project=todo; path=large"; 101])
            .err()
            .unwrap();
        assert!(many.contains("names 101 files"), "{many}");
    }
}
