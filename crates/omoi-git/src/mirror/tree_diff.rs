//! What differs between two trees, file by file, for people to read.

use super::Mirror;
use crate::object::ObjectId;
use crate::process::GitError;

/// Bytes of all patches at most.
const PATCH_BYTES_MAX: usize = 8 << 20;
/// Bytes of a list of changed files at most.
const STAT_BYTES_MAX: usize = 8 << 20;
/// Bytes of the patch of one file at most.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Lines of the patch of one file at most.
const FILE_LINES_MAX: usize = 10_000;

/// What differs in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiff {
    /// Its path from the root of the repository; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Lines that came; none of a file that is not text.
    pub n_added: Option<u64>,
    /// Lines that went; none of a file that is not text.
    pub n_removed: Option<u64>,
    /// The patch; bytes that are not UTF-8 are replaced.
    pub patch: String,
    /// Whether the end of the patch is missing, or all of it, because it is too long.
    pub is_truncated: bool,
}

impl Mirror {
    /// What differs from the commit or tree `before` to the commit or tree `after`, by path. A rename is a file that went
    /// and one that came.
    ///
    /// # Errors
    /// [`GitError`], also where the list of changed files is longer than 8 MiB.
    pub async fn diff_trees(
        &self,
        before: &ObjectId,
        after: &ObjectId,
    ) -> Result<Vec<FileDiff>, GitError> {
        let stat = self
            .call("diff-tree")
            .args(["-r", "-z", "--numstat", "--no-renames", "--end-of-options"])
            .args([before, after])
            .stdout_max(STAT_BYTES_MAX)
            .run()
            .await?;
        let counted: Option<Vec<FileDiff>> = stat.nul_records().map(counted_file).collect();
        let mut files = counted.ok_or_else(|| stat.unexpected_output("a malformed count"))?;
        let patches = self
            .call("diff-tree")
            .args(["-r", "--patch", "--no-renames", "--no-ext-diff"])
            .args(["--no-textconv", "--no-color", "--full-index"])
            .args(["--end-of-options", before.as_str(), after.as_str()])
            .truncate_at(PATCH_BYTES_MAX)
            .run()
            .await?;
        let text = String::from_utf8_lossy(&patches.stdout);
        // Both lists have the files in the order of their paths.
        let found = split_patches(&text);
        let n_found = found.len();
        for (file, patch) in files.iter_mut().zip(found) {
            (file.patch, file.is_truncated) = (patch.text, patch.is_truncated);
        }
        // What the cap of all cut: the end of the last patch, and those behind it.
        if patches.truncated {
            for file in files.iter_mut().skip(n_found.saturating_sub(1)) {
                file.is_truncated = true;
            }
        }
        Ok(files)
    }
}

/// `<added>\t<removed>\t<path>`; `-` where a file is not text.
fn counted_file(record: &[u8]) -> Option<FileDiff> {
    let text = String::from_utf8_lossy(record);
    let mut fields = text.splitn(3, '\t');
    let mut count = || -> Option<Option<u64>> {
        match fields.next()? {
            "-" => Some(None),
            number => number.parse().ok().map(Some),
        }
    };
    let (n_added, n_removed) = (count()?, count()?);
    Some(FileDiff {
        path: fields.next()?.to_owned(),
        n_added,
        n_removed,
        patch: String::new(),
        is_truncated: false,
    })
}

/// The patch of one file.
#[derive(Debug, PartialEq, Eq)]
struct PatchPart {
    text: String,
    is_truncated: bool,
}

/// The patches of `text`, each from its `diff --git` line to that of the next file, as far as they may go.
///
/// Lines of files never begin so: every line of a patch has a sign before it. A file that becomes another kind of thing,
/// such as a link, has two parts with the same line.
fn split_patches(text: &str) -> Vec<PatchPart> {
    let mut patches: Vec<PatchPart> = Vec::new();
    let (mut header, mut n_lines) = ("", 0);
    for line in text.split_inclusive('\n') {
        if line.starts_with("diff --git ") && line != header {
            (header, n_lines) = (line, 0);
            patches.push(PatchPart {
                text: String::new(),
                is_truncated: false,
            });
        }
        let Some(patch) = patches.last_mut() else {
            continue;
        };
        n_lines += 1;
        if n_lines > FILE_LINES_MAX || patch.text.len() + line.len() > FILE_BYTES_MAX {
            patch.is_truncated = true;
        }
        if !patch.is_truncated {
            patch.text.push_str(line);
        }
    }
    patches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_told_apart_and_cut() {
        let long = format!(
            "diff --git a/b b/b\n+{}\n+end\n",
            "x".repeat(FILE_BYTES_MAX)
        );
        let many = format!("diff --git a/c b/c\n{}", "+x\n".repeat(FILE_LINES_MAX));
        let first = "diff --git a/a b/a\n@@ -1 +1 @@\n-diff --git a\n+b\n";
        let patches = split_patches(&format!("{first}{long}{many}"));
        assert_eq!(patches.len(), 3);
        assert_eq!(
            (patches[0].text.as_str(), patches[0].is_truncated),
            (first, false)
        );
        assert_eq!(patches[1].text, "diff --git a/b b/b\n");
        assert!(patches[1].is_truncated && patches[2].is_truncated);
        assert_eq!(patches[2].text.lines().count(), FILE_LINES_MAX);
        assert!(split_patches("").is_empty());
        let became_a_link = "diff --git a/l b/l\ndeleted file\ndiff --git a/l b/l\nnew file\n";
        let patches = split_patches(became_a_link);
        assert_eq!(
            (patches.len(), patches[0].text.as_str()),
            (1, became_a_link)
        );
    }

    #[test]
    fn counts_are_of_text_alone() {
        let file = counted_file(b"3\t0\ta\tb").unwrap();
        assert_eq!(
            (file.path.as_str(), file.n_added, file.n_removed),
            ("a\tb", Some(3), Some(0))
        );
        let binary = counted_file(b"-\t-\tx.png").unwrap();
        assert_eq!((binary.n_added, binary.n_removed), (None, None));
        assert!(counted_file(b"nonsense").is_none());
    }
}
