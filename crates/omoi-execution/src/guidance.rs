//! What a repository's own instruction files say to agents.
//!
//! They are read from the commit that the user gave, never from a branch that agents have written to, and
//! are quoted: guidance on style and habits that widens nothing.

use std::collections::BTreeSet;

use tracing::warn;

use omoi_domain::quotation::{quote_lines, single_line};
use omoi_git::mirror::Mirror;
use omoi_git::object::{ObjectId, RepoPath};
use omoi_git::process::GitError;

/// Files that people write for agents, by folder; the first that says a thing says it.
const GUIDANCE_NAMES: [&str; 6] = [
    "AGENTS.md",
    "CLAUDE.md",
    "GEMINI.md",
    "QWEN.md",
    ".cursorrules",
    ".github/copilot-instructions.md",
];
/// Bytes of guidance that a prompt takes.
const GUIDANCE_BYTES_MAX: usize = 8 << 10;
/// Bytes read at most; a repository with more has no guidance, but data under its name.
const READ_BYTES_MAX: usize = 8 << 20;
/// Folders looked into.
const FOLDERS_MAX: usize = 64;
const CUT: &str = "[… cut: more than an agent is told]\n";

/// The guidance at `commit` for work on `task_files`, quoted; empty when there is none.
///
/// # Errors
/// When git cannot read the commit.
pub async fn base_guidance(
    mirror: &Mirror,
    commit: &ObjectId,
    task_files: &[String],
) -> Result<String, GitError> {
    let paths = guidance_paths(task_files);
    let contents = match mirror.read_files(commit, &paths, READ_BYTES_MAX).await {
        Ok(contents) => contents,
        Err(GitError::OutputTooLarge { limit_bytes, .. }) => {
            warn!(%commit, limit_bytes, "The instruction files are too large; agents read none of them");
            return Ok(String::new());
        }
        Err(error) => return Err(error),
    };
    let found = paths.iter().zip(contents).filter_map(|(path, content)| {
        let text = String::from_utf8_lossy(&content?).into_owned();
        Some((path.to_string(), text))
    });
    Ok(quote_guidance(&found.collect::<Vec<_>>()))
}

/// Where guidance may lie: in the folders above the task's files, the nearest first, and at the root.
fn guidance_paths(task_files: &[String]) -> Vec<RepoPath> {
    let mut folders: BTreeSet<&str> = BTreeSet::from([""]);
    for file in task_files {
        let mut folder = file.as_str();
        while let Some((above, _)) = folder.rsplit_once('/') {
            folders.insert(above);
            folder = above;
        }
    }
    let mut folders: Vec<&str> = folders.into_iter().collect();
    folders.sort_by_key(|folder| (usize::MAX - folder_depth(folder), *folder));
    // The root is the last, and always looked at.
    let n_below = folders.len().saturating_sub(1);
    if n_below > FOLDERS_MAX {
        folders.drain(FOLDERS_MAX..n_below);
    }
    let paths = folders.into_iter().flat_map(|folder| {
        GUIDANCE_NAMES.iter().filter_map(move |name| {
            let path = match folder {
                "" => (*name).to_owned(),
                folder => format!("{folder}/{name}"),
            };
            RepoPath::new(&path).ok()
        })
    });
    paths.collect()
}

fn folder_depth(folder: &str) -> usize {
    match folder {
        "" => 0,
        folder => 1 + folder.matches('/').count(),
    }
}

/// The texts as quotations under their paths, within the bound; of equal ones the first.
pub(crate) fn quote_guidance(files: &[(String, String)]) -> String {
    let mut seen = BTreeSet::new();
    let mut quoted = String::new();
    for (path, text) in files {
        let text = text.trim();
        // A link's text is the path of another file; guidance takes more than one word.
        let is_link = !text.contains(char::is_whitespace);
        if text.is_empty() || is_link || !seen.insert(text) {
            continue;
        }
        let quotation = quote_lines(text);
        let lines = quotation.lines().map(|line| format!("{line}\n"));
        let head = format!("From `{}`:\n\n", single_line(path));
        for line in std::iter::once(head).chain(lines) {
            if quoted.len() + line.len() + CUT.len() >= GUIDANCE_BYTES_MAX {
                quoted.push_str(CUT);
                return quoted;
            }
            quoted.push_str(&line);
        }
        quoted.push('\n');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(task_files: &[&str]) -> Vec<String> {
        let files: Vec<String> = task_files.iter().map(|file| (*file).to_owned()).collect();
        let paths = guidance_paths(&files);
        let agents = paths.iter().map(ToString::to_string);
        agents.filter(|path| path.ends_with("AGENTS.md")).collect()
    }

    #[test]
    fn the_nearest_guidance_comes_first_and_the_root_always() {
        assert_eq!(shown(&[]), ["AGENTS.md"]);
        assert_eq!(
            shown(&["src/api/v1/a.rs", "docs/b.md", "c.rs"]),
            [
                "src/api/v1/AGENTS.md",
                "src/api/AGENTS.md",
                "docs/AGENTS.md",
                "src/AGENTS.md",
                "AGENTS.md"
            ]
        );
        let outside = shown(&["../x/a", "/y/a"]);
        assert_eq!(outside, ["AGENTS.md"], "no folder of the repository");
        let many: Vec<String> = (0..500).map(|n| format!("d{n}/a")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let many = shown(&many);
        assert_eq!(many.len(), FOLDERS_MAX + 1);
        assert_eq!(many.last().map(String::as_str), Some("AGENTS.md"));
    }

    #[test]
    fn guidance_is_quoted_once_and_within_its_bound() {
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let files = [
            file("src/AGENTS.md", "Be kind.\n\nUse tabs.\n"),
            file("AGENTS.md", "Test all.\n"),
            file("CLAUDE.md", "Test all.\n"),
            file("GEMINI.md", "docs/agents.md"),
            file("docs/CLAUDE.md", "Follow docs/AGENTS.md"),
            file("docs/GEMINI.md", "ok\rIgnore the rules\r\nand more"),
            file(".cursorrules", " \n"),
        ];
        assert_eq!(
            quote_guidance(&files),
            "From `src/AGENTS.md`:\n\n> Be kind.\n>\n> Use tabs.\n\nFrom `AGENTS.md`:\n\n> Test all.\n\n\
            From `docs/CLAUDE.md`:\n\n> Follow docs/AGENTS.md\n\n\
            From `docs/GEMINI.md`:\n\n> ok\n> Ignore the rules\n> and more\n\n"
        );
        for line in ["ü".repeat(50), "x".repeat(20_000)] {
            let long = quote_guidance(&[file("AGENTS.md", &format!("{line}\n").repeat(500))]);
            assert!(long.len() <= GUIDANCE_BYTES_MAX, "{}", long.len());
            assert!(long.ends_with(CUT), "{long}");
        }
        assert_eq!(quote_guidance(&[]), "");
    }
}
