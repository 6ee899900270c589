//! What a branch would publish: the commits that its base does not have, and what each of them adds.

use super::Mirror;
use crate::object::ObjectId;
use crate::process::{GitCall, GitError};

/// A long history is written out whole.
const PATCHES_SECONDS_MAX: u64 = 600;

/// A commit as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitObject {
    /// Its name.
    pub id: ObjectId,
    /// Headers and message; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// What commits add, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchText {
    /// Unified patches, those of a commit behind a line `commit NAME`; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Whether the cap cut it.
    pub truncated: bool,
}

impl Mirror {
    /// The commits of `head` that `base` does not have, oldest first.
    ///
    /// # Errors
    /// [`GitError`], also where they are longer than `bytes_max` together.
    pub async fn new_commits(
        &self,
        base: &ObjectId,
        head: &ObjectId,
        bytes_max: usize,
    ) -> Result<Vec<CommitObject>, GitError> {
        let out = range(self.call("rev-list"), base, head).run().await?;
        let named = out.stdout_text();
        let ids: Result<Vec<ObjectId>, _> = named.lines().map(ObjectId::parse).collect();
        let ids = ids.map_err(|_| out.unexpected_output("not an object name"))?;
        let objects = self
            .read_blobs(&ids.iter().collect::<Vec<_>>(), bytes_max)
            .await?;
        let objects = objects.iter().zip(ids).map(|(object, id)| CommitObject {
            id,
            text: String::from_utf8_lossy(object).into_owned(),
        });
        Ok(objects.collect())
    }

    /// The lines that each of those commits adds, and those that it takes away from files that stay, oldest commit
    /// first, cut at `bytes_max`.
    ///
    /// Every file counts as text, whatever its bytes are. A merge is compared with its first parent: what it
    /// has beside that came from another parent, which is here too, or was made in the merge.
    pub async fn new_patches(
        &self,
        base: &ObjectId,
        head: &ObjectId,
        bytes_max: usize,
    ) -> Result<PatchText, GitError> {
        let call = self
            .call("log")
            .args(["--patch", "--text", "--unified=0", "--find-renames"])
            .args(["--irreversible-delete"])
            .args(["--diff-merges=first-parent", "--format=commit %H"])
            .args(["--no-ext-diff", "--no-textconv", "--no-color", "--no-notes"]);
        let out = range(call, base, head)
            .deadline_seconds(PATCHES_SECONDS_MAX)
            .truncate_at(bytes_max)
            .run()
            .await?;
        Ok(PatchText {
            text: String::from_utf8_lossy(&out.stdout).into_owned(),
            truncated: out.truncated,
        })
    }
}

/// `call` over the commits of `head` that `base` does not have, oldest first.
fn range<'a>(call: GitCall<'a>, base: &ObjectId, head: &ObjectId) -> GitCall<'a> {
    call.args(["--topo-order", "--reverse", "--end-of-options"])
        .args([
            head.as_str().to_owned(),
            format!("^{base}"),
            "--".to_owned(),
        ])
}
