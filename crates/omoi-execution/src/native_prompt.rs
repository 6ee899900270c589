//! What our own loop tells models of each family beside the orders, and which tools it offers them for changes.
//!
//! The text ends the system prompt, so it is the same in every request of an attempt. Its version is stored with the
//! attempt: who compares two runs sees whether they were told the same.

use omoi_domain::prompt_family::PromptFamily;
use omoi_protocol::worker::AgentTool;

/// What models of one family are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FamilyPrompt {
    family: PromptFamily,
    /// Goes up with every change of the text or of the orders around it.
    version: u32,
    text: &'static str,
}

impl FamilyPrompt {
    /// The present one of `family`.
    pub(crate) const fn of_family(family: PromptFamily) -> Self {
        let (version, text) = match family {
            PromptFamily::Claude => (3, include_str!("../prompts/family/claude.md")),
            PromptFamily::Gpt => (3, include_str!("../prompts/family/gpt.md")),
            PromptFamily::Gemini => (3, include_str!("../prompts/family/gemini.md")),
            PromptFamily::Open => (3, include_str!("../prompts/family/open.md")),
        };
        Self {
            family,
            version,
            text,
        }
    }

    /// Its name with its version, such as `claude-1`.
    pub(crate) fn version_id(&self) -> String {
        format!("{}-{}", self.family, self.version)
    }

    /// The system prompt of an attempt that changes files, where `tools` say that it does; a planner's is `system`.
    pub(crate) fn end_system(&self, system: &str, tools: &[AgentTool]) -> String {
        match tools.contains(&AgentTool::Edit) {
            true => format!("{}\n\n{}", system.trim_end(), self.text),
            false => system.to_owned(),
        }
    }

    /// `tools`, with the form of changes that the family was trained on.
    pub(crate) fn fit_tools(&self, mut tools: Vec<AgentTool>) -> Vec<AgentTool> {
        if self.family == PromptFamily::Gpt {
            for tool in &mut tools {
                if *tool == AgentTool::Edit {
                    *tool = AgentTool::ApplyPatch;
                }
            }
        }
        tools
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    const ORDERS: [&str; 2] = [
        include_str!("../prompts/system.md"),
        include_str!("../prompts/task.md"),
    ];

    /// First digits of the digest of what a family is told.
    fn told_digest(prompt: &FamilyPrompt) -> String {
        let mut digest = Sha256::new();
        for text in ORDERS.into_iter().chain([prompt.text]) {
            digest.update(text);
        }
        hex::encode(digest.finalize())[..12].to_owned()
    }

    /// A change of a text fails here until its version goes up and its digest is written down.
    #[test]
    fn a_version_says_exactly_what_a_family_is_told() {
        let told: Vec<(String, String)> = PromptFamily::ALL
            .iter()
            .map(|family| FamilyPrompt::of_family(*family))
            .map(|prompt| (prompt.version_id(), told_digest(&prompt)))
            .collect();
        let expected = [
            ("claude-3", "5bfd8485a0ac"),
            ("gpt-3", "8355a55ee531"),
            ("gemini-3", "2daeb6ba0e31"),
            ("open-3", "990193b94f83"),
        ];
        let expected = expected.map(|(version, digest)| (version.to_owned(), digest.to_owned()));
        assert_eq!(told, expected);
    }

    #[test]
    fn tools_for_changes_follow_the_family() {
        use AgentTool::{ApplyPatch, Edit, Read, Shell, SubmitItem};
        for (family, tools, fitted) in [
            (
                PromptFamily::Gpt,
                vec![Read, Edit, Shell],
                vec![Read, ApplyPatch, Shell],
            ),
            (
                PromptFamily::Gpt,
                vec![Read, SubmitItem],
                vec![Read, SubmitItem],
            ),
            (PromptFamily::Claude, vec![Read, Edit], vec![Read, Edit]),
            (PromptFamily::Gemini, vec![Read, Edit], vec![Read, Edit]),
            (PromptFamily::Open, vec![Read, Edit], vec![Read, Edit]),
        ] {
            let prompt = FamilyPrompt::of_family(family);
            let told = prompt.end_system("Orders.\n", &tools);
            assert_eq!(
                told.contains("How to work"),
                tools.contains(&Edit),
                "{family}"
            );
            assert_eq!(
                told.contains("`apply_patch`"),
                fitted.contains(&ApplyPatch),
                "{family}"
            );
            assert!(told.starts_with("Orders.\n"), "{told}");
            assert_eq!(prompt.fit_tools(tools), fitted, "{family}");
        }
    }
}
