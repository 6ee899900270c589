//! Looks for secrets in what is to leave: values that this process knows, and shapes of tokens.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

use crate::secret_mask::SecretMask;

/// Findings of one scan that are told.
const FINDINGS_MAX: usize = 100;

/// A line that holds a secret, or what looks like one. The secret itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFinding {
    /// The file.
    pub path: String,
    /// The line in it.
    pub line: u64,
    /// What it looks like.
    pub kind: &'static str,
    /// Whether it is a value that this process knows as a secret.
    pub is_known: bool,
}

impl fmt::Display for SecretFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}:{}` ({})", self.path, self.line, self.kind)
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

/// The secrets in the lines that `diff`, a unified one, adds; the first hundred.
pub fn scan_added_lines(diff: &str, mask: &SecretMask) -> Vec<SecretFinding> {
    let (mut path, mut line, mut found) = (String::new(), 0, Vec::new());
    let mut is_in_hunk = false;
    for text in diff.lines() {
        if text.starts_with("diff --git ") {
            is_in_hunk = false;
        } else if !is_in_hunk && let Some(named) = text.strip_prefix("+++ ") {
            path = named.strip_prefix("b/").unwrap_or(named).to_owned();
        } else if let Some(range) = text.strip_prefix("@@ ") {
            is_in_hunk = true;
            line = first_added(range);
        } else if let Some(added) = text.strip_prefix('+').filter(|_| is_in_hunk) {
            if let Some((kind, is_known)) = secret_kind(added, mask)
                && found.len() < FINDINGS_MAX
            {
                found.push(SecretFinding {
                    path: path.clone(),
                    line,
                    kind,
                    is_known,
                });
            }
            line += 1;
        } else if is_in_hunk && text.starts_with(' ') {
            line += 1;
        }
    }
    found
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
mod tests {
    use super::*;

    fn found(line: &str, mask: &SecretMask) -> Option<(&'static str, bool)> {
        let diff = format!("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+{line}\n");
        let found = scan_added_lines(&diff, mask).pop();
        found.map(|found| (found.kind, found.is_known))
    }

    #[test]
    fn shapes_of_tokens_are_found_and_plain_text_is_not() {
        let mask = SecretMask::default();
        let long = "aB3".repeat(30);
        for (shape, expected) in [
            (
                "-----BEGIN RSA PRIVATE KEY-----".to_owned(),
                Some("a private key"),
            ),
            (
                "-----BEGIN PRIVATE KEY-----".to_owned(),
                Some("a private key"),
            ),
            (
                format!("KEY=sk-ant-api03-{long}"),
                Some("a key of Anthropic"),
            ),
            (
                format!("sk-proj-{long}"),
                Some("a key of OpenAI or OpenRouter"),
            ),
            (
                format!("token: ghp_{}", &long[..36]),
                Some("a token of GitHub"),
            ),
            (format!("github_pat_{long}"), Some("a token of GitHub")),
            (format!("glpat-{}", &long[..20]), Some("a token of GitLab")),
            ("AKIAIOSFODNN7EXAMPLE".to_owned(), Some("a key of AWS")),
            (format!("AIza{}", &long[..35]), Some("a key of Google")),
            (format!("xoxb-{}", &long[..24]), Some("a token of Slack")),
            (
                format!("//registry/:_authToken=npm_{}", &long[..36]),
                Some("a token of npm"),
            ),
            (
                format!("pypi-AgEIcHlwaS5vcmc{long}"),
                Some("a token of PyPI"),
            ),
            (
                format!("hf_{}", &long[..34]),
                Some("a token of Hugging Face"),
            ),
            (format!("sk_live_{}", &long[..24]), Some("a key of Stripe")),
            (format!("cio{}", &long[..32]), Some("a token of crates.io")),
            (
                format!("dckr_pat_{}", &long[..27]),
                Some("a token of Docker"),
            ),
            ("-----BEGIN PUBLIC KEY-----".to_owned(), None),
            ("sk-local".to_owned(), None),
            ("let ghp_token = read();".to_owned(), None),
            (format!("sha512-{long}"), None),
            (format!("task-{long}"), None),
            (String::new(), None),
        ] {
            assert_eq!(
                found(&shape, &mask).map(|(kind, _)| kind),
                expected,
                "{shape}"
            );
        }
    }

    #[test]
    fn known_values_are_found_however_they_are_written() {
        let mask = SecretMask::new(["my own/key-1"]);
        for line in [
            "x=my own/key-1;",
            "x=my%20own%2Fkey-1",
            "bXkgb3duL2tleS0x",
            "{\"k\": \"my own/key-1\"}",
        ] {
            assert_eq!(
                found(line, &mask),
                Some(("a secret of this deployment", true)),
                "{line}"
            );
        }
        assert_eq!(found("my own key", &mask), None);
    }

    #[test]
    fn only_what_is_added_counts_with_its_place() {
        let key = "AKIAIOSFODNN7EXAMPLE";
        let diff = format!(
            "diff --git a/old b/old\n--- a/old\n+++ b/old\n@@ -3,2 +3 @@ fn {key}\n-{key}\n context {key}\n\
             diff --git a/a b.txt b/a b.txt\nnew file mode 100644\n--- /dev/null\n+++ b/a b.txt\n@@ -0,0 +1,3 @@\n+one\n\
             ++++ b/not-a-file\n+{key}\n@@ -9 +12,2 @@\n same\n+{key}\n"
        );
        let found = scan_added_lines(&diff, &SecretMask::default());
        let places: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            places,
            ["`a b.txt:3` (a key of AWS)", "`a b.txt:13` (a key of AWS)"]
        );
        assert!(!format!("{found:?}").contains(key));
    }
}
