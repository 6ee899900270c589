//! Files of a repository that agent programs, and editors with agents, follow: whoever opens the repository with one
//! of them runs what they say. So no agent's work may bring or change them.

use crate::agent_program::AgentProgram;

/// Paths from the root of a repository; what is below them belongs to them.
pub const AGENT_SETTINGS: [&str; 14] = [
    ".agents",
    ".aider.conf.yml",
    ".claude",
    ".codex",
    ".cursor",
    ".gemini",
    ".mcp.json",
    ".opencode",
    ".qwen",
    ".vscode",
    ".windsurf",
    ".zed",
    "opencode.json",
    "opencode.jsonc",
];

impl AgentProgram {
    /// Those of [`AGENT_SETTINGS`] that the program follows whatever it is told.
    pub const fn followed_settings(self) -> &'static [&'static str] {
        match self {
            // It starts plugins and servers of a repository although it is told not to.
            Self::AcpOpenCode => &[".opencode", "opencode.json", "opencode.jsonc"],
            // It trusts the folder, as in one that it does not trust it starts no server, and so offers none of our
            // tools.
            Self::AcpQwen => &[".qwen"],
            // What a declared agent follows is known to the person who declares it.
            Self::Native
            | Self::ClaudeCode
            | Self::Codex
            | Self::AcpClaude
            | Self::AcpDeclared(_) => &[],
        }
    }
}

/// Whether `path` is `folder` or below it. File systems of people may take other names for the same: in other case, with
/// characters that nobody sees, with a dot or blank at the end.
pub fn is_within(path: &str, folder: &str) -> bool {
    let mut names = path.split('/');
    folder.split('/').all(|part| {
        names
            .next()
            .is_some_and(|name| folded(name) == folded(part))
    })
}

/// `name` as the most forgiving of those file systems compares it.
fn folded(name: &str) -> String {
    let is_unseen = |c: &char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let seen = name.chars().filter(|c| !is_unseen(c));
    let lower: String = seen
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'ſ' { 's' } else { c })
        .collect();
    lower.trim_end_matches(['.', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_follows_is_protected() {
        for program in AgentProgram::BUILT_IN {
            for path in program.followed_settings() {
                assert!(AGENT_SETTINGS.contains(path), "{program}: {path}");
            }
        }
    }

    #[test]
    fn paths_are_found_however_they_are_written() {
        for path in [
            ".claude",
            ".claude/settings.json",
            ".CLAUDE/settings.json",
            ".cla\u{200d}ude/a",
            ".claude./a",
            ".claude /a",
        ] {
            assert!(is_within(path, ".claude"), "{path:?}");
        }
        assert!(is_within(".vſcode/tasks.json", ".vscode"));
        assert!(is_within(".\u{212a}ey", ".key"));
        for path in [
            "src/.claude/a",
            ".claude.md",
            "claude/a",
            "",
            ".claud",
            ".claudes",
        ] {
            assert!(!is_within(path, ".claude"), "{path:?}");
        }
    }
}
