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

    /// Why the program is not started in a repository with the files and folders `present` at its root, with the next
    /// step; none where it follows none of them.
    pub fn settings_refusal<'a>(
        self,
        present: impl IntoIterator<Item = &'a str>,
    ) -> Option<String> {
        let followed = self.followed_settings();
        let mut found = present.into_iter();
        let path = found.find(|path| followed.contains(path))?;
        Some(format!(
            "it would run what `{path}` of this repository says; choose another agent, or take the file out of the \
             repository"
        ))
    }
}

/// Every path that some program follows.
pub fn all_followed_settings() -> Vec<&'static str> {
    let programs = AgentProgram::BUILT_IN.iter();
    let followed = programs.flat_map(|program| program.followed_settings());
    followed.copied().collect()
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
                assert!(all_followed_settings().contains(path));
            }
        }
    }

    #[test]
    fn a_program_is_refused_for_settings_that_it_follows_alone() {
        let planted = [".claude", ".opencode", ".qwen"];
        for (program, path) in [
            (AgentProgram::AcpOpenCode, Some("`.opencode`")),
            (AgentProgram::AcpQwen, Some("`.qwen`")),
            (AgentProgram::ClaudeCode, None),
        ] {
            let refused = program.settings_refusal(planted);
            assert_eq!(refused.is_some(), path.is_some(), "{program}");
            assert!(
                refused
                    .unwrap_or_default()
                    .contains(path.unwrap_or_default())
            );
        }
        assert_eq!(AgentProgram::AcpOpenCode.settings_refusal([".qwen"]), None);
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
