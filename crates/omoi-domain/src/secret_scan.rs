//! Looks for secrets in what is to leave: values that this process knows, shapes of tokens, and places where people
//! keep secrets.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

use crate::secret_mask::{MASK, SecretMask};

mod keeping;

/// Findings of one scan that are told: of known values, and as many of what only looks like one.
const FINDINGS_MAX: usize = 100;
/// Digits by which a finding names its commit.
const COMMIT_CHARS: usize = 12;

/// Place in a history that is to leave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretPlace {
    /// A line that a commit adds.
    FileLine {
        /// The file, without what looks like a secret in its name.
        path: String,
        /// Its number.
        line: u64,
    },
    /// The name of a file that a commit adds, masked likewise.
    FileName(String),
    /// The commit itself: its message, who made it.
    CommitText,
}

/// A secret in a history, or what looks like one. The secret itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFinding {
    /// The commit, shortened.
    pub commit: String,
    /// Line, name or message.
    pub place: SecretPlace,
    /// What it looks like.
    pub kind: &'static str,
    /// Whether it is a value that this process knows as a secret.
    pub is_known: bool,
}

impl fmt::Display for SecretFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commit, kind, .. } = self;
        match &self.place {
            SecretPlace::FileLine { path, line } => {
                write!(f, "`{path}:{line}` of commit {commit} ({kind})")
            }
            SecretPlace::FileName(name) => {
                write!(f, "the file name `{name}` of commit {commit} ({kind})")
            }
            SecretPlace::CommitText => write!(f, "the text of commit {commit} ({kind})"),
        }
    }
}

crate::constant_patterns! {
    static PRIVATE_KEY = r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----";
    static ANTHROPIC = r"\bsk-ant-[A-Za-z0-9_-]{20,}";
    static OPENAI = r"\bsk-(?:proj-|svcacct-|admin-|or-v1-)?[A-Za-z0-9_-]{32,}";
    static GITHUB = r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})";
    static GITLAB = r"\bglpat-[A-Za-z0-9_-]{20,}";
    static AWS = r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b";
    static GOOGLE = r"\bAIza[A-Za-z0-9_-]{35}";
    static SLACK = r"\bxox[abprs]-[A-Za-z0-9-]{20,}";
    static NPM = r"\bnpm_[A-Za-z0-9]{36}\b";
    static PYPI = r"\bpypi-AgE[A-Za-z0-9_-]{50,}";
    static HUGGING_FACE = r"\bhf_[A-Za-z0-9]{34,}";
    static STRIPE = r"\b[rs]k_live_[A-Za-z0-9]{24,}";
    static CRATES = r"\bcio[A-Za-z0-9]{32}\b";
    static DOCKER = r"\bdckr_pat_[A-Za-z0-9_-]{20,}";
}

/// Shapes of tokens; the first that matches names a line.
static SHAPES: &[(&str, &LazyLock<Regex>)] = &[
    ("a private key", &PRIVATE_KEY),
    ("a key of Anthropic", &ANTHROPIC),
    ("a key of OpenAI or OpenRouter", &OPENAI),
    ("a token of GitHub", &GITHUB),
    ("a token of GitLab", &GITLAB),
    ("a key of AWS", &AWS),
    ("a key of Google", &GOOGLE),
    ("a token of Slack", &SLACK),
    ("a token of npm", &NPM),
    ("a token of PyPI", &PYPI),
    ("a token of Hugging Face", &HUGGING_FACE),
    ("a key of Stripe", &STRIPE),
    ("a token of crates.io", &CRATES),
    ("a token of Docker", &DOCKER),
];

/// One search of a history. A line that several commits add, as merges do, is found once, in the oldest.
pub struct SecretScan<'a> {
    mask: &'a SecretMask,
    found: Vec<SecretFinding>,
    /// Lines and names that were found, with their files.
    seen: HashSet<(String, String)>,
}

/// Where a reader of patches stands.
#[derive(Default)]
struct PatchPlace<'a> {
    commit: &'a str,
    /// Both names of the file, as in `a/x b/x`.
    names: &'a str,
    path: &'a str,
    line: u64,
    is_in_hunk: bool,
}

impl<'a> SecretScan<'a> {
    /// A search for what `mask` knows, and for shapes of tokens.
    pub fn new(mask: &'a SecretMask) -> Self {
        Self {
            mask,
            found: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// What was found; the first hundred known values, and the first hundred of the others.
    pub fn into_findings(self) -> Vec<SecretFinding> {
        self.found
    }

    /// Searches a commit itself: `object` is its text as it is stored.
    pub fn add_commit(&mut self, commit: &str, object: &str) {
        for line in object.lines() {
            self.search(commit, line, keeping::kept_on_line("", line), |_| {
                SecretPlace::CommitText
            });
        }
    }

    /// Searches what commits add: unified patches, those of a commit behind a line `commit NAME`. No line of a
    /// file is taken for one of those, since each has a sign before it.
    pub fn add_patches(&mut self, patches: &str) {
        let mut at = PatchPlace::default();
        for text in patches.split('\n') {
            if let Some(commit) = text.strip_prefix("commit ") {
                at = PatchPlace {
                    commit,
                    ..PatchPlace::default()
                };
            } else if let Some(names) = text.strip_prefix("diff --git ") {
                at = PatchPlace {
                    commit: at.commit,
                    names,
                    ..PatchPlace::default()
                };
            } else if text.starts_with("new file mode ") {
                self.search_name(at.commit, second_name(at.names));
            } else if let Some(name) = text.strip_prefix("rename to ") {
                self.search_name(at.commit, name);
            } else if !at.is_in_hunk
                && let Some(named) = text.strip_prefix("+++ ")
            {
                at.path = path_of(named);
            } else if let Some(range) = text.strip_prefix("@@ ") {
                at.is_in_hunk = true;
                at.line = first_added(range);
            } else if let Some(added) = text.strip_prefix('+').filter(|_| at.is_in_hunk) {
                self.search_line(&at, added);
                at.line += 1;
            } else if at.is_in_hunk && text.starts_with(' ') {
                at.line += 1;
            }
        }
    }

    fn search_name(&mut self, commit: &str, name: &str) {
        self.search(commit, name, keeping::kept_in(name), |scan| {
            SecretPlace::FileName(scan.hide(name))
        });
    }

    fn search_line(&mut self, at: &PatchPlace<'_>, added: &str) {
        // Of text in two bytes per character, every other one of which is zero.
        let text = match added.contains('\0') {
            true => Cow::Owned(added.replace('\0', "")),
            false => Cow::Borrowed(added),
        };
        let kept = keeping::kept_on_line(at.path, &text);
        self.search(at.commit, &text, kept, |scan| SecretPlace::FileLine {
            path: scan.hide(at.path),
            line: at.line,
        });
    }

    /// Notes what `text` holds; `kept` is what such a place keeps, where nothing in it has a shape of its own.
    fn search(
        &mut self,
        commit: &str,
        text: &str,
        kept: Option<&'static str>,
        place: impl FnOnce(&Self) -> SecretPlace,
    ) {
        let shaped = secret_kind(text, self.mask);
        let Some((kind, is_known)) = shaped.or(kept.map(|kind| (kind, false))) else {
            return;
        };
        // What only looks like a secret never hides one.
        let alike = self.found.iter().filter(|one| one.is_known == is_known);
        if alike.count() >= FINDINGS_MAX {
            return;
        }
        let place = place(self);
        let file = match &place {
            SecretPlace::FileLine { path, .. } => path.clone(),
            SecretPlace::FileName(_) => String::new(),
            SecretPlace::CommitText => commit.to_owned(),
        };
        if self.seen.insert((file, text.to_owned())) {
            self.found.push(SecretFinding {
                commit: commit.chars().take(COMMIT_CHARS).collect(),
                place,
                kind,
                is_known,
            });
        }
    }

    /// `name` without what looks like a secret.
    fn hide(&self, name: &str) -> String {
        let mut hidden = self.mask.mask_text(name).into_owned();
        for (_, shape) in SHAPES {
            hidden = shape.replace_all(&hidden, MASK).into_owned();
        }
        hidden
    }
}

/// The path of `+++ b/PATH`, behind which git writes a tab where it holds a space.
fn path_of(named: &str) -> &str {
    let named = named.trim_end_matches('\t');
    named.strip_prefix("b/").unwrap_or(named)
}

/// The second of `a/PATH b/PATH`, which are equally long.
fn second_name(names: &str) -> &str {
    let second = names.get(names.len().div_ceil(2)..);
    path_of(second.unwrap_or(names))
}

/// The line that a hunk `-a,b +c,d @@` begins at.
fn first_added(range: &str) -> u64 {
    let added = range.split('+').nth(1).unwrap_or_default();
    let digits = added.split([',', ' ']).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

/// What kind of secret `text` holds, and whether this process knows it.
fn secret_kind(text: &str, mask: &SecretMask) -> Option<(&'static str, bool)> {
    if mask.holds_secret(text) {
        return Some(("a secret of this deployment", true));
    }
    let mut shapes = SHAPES.iter();
    let (kind, _) = shapes.find(|(_, shape)| shape.is_match(text))?;
    Some((kind, false))
}

#[cfg(test)]
mod tests;
