//! What the tools of agent programs may do in this attempt: no more than the native ones that it offers.

use std::path::Path;

use omoi_protocol::worker::AgentTool;

/// What a tool of an agent program does, as far as the rules care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToolEffect {
    /// It looks at the files or below the folders at these paths.
    Read(Vec<String>),
    /// It changes the file at this path.
    Write(String),
    /// It runs this command.
    Shell(String),
    /// It is one of ours.
    Own,
    /// It is none that the driver knows.
    Unknown,
}

/// Why the tool `name` is not used, where the attempt does not offer what it does.
pub(crate) fn refuse_tool(
    offered: &[AgentTool],
    name: &str,
    effect: &ToolEffect,
) -> Option<String> {
    let offers = |tools: &[AgentTool]| tools.iter().any(|tool| offered.contains(tool));
    let is_read_only = !offers(&[AgentTool::Write, AgentTool::Edit, AgentTool::Shell]);
    let is_offered = match effect {
        // The server of our tools offers what the attempt does, and nothing else.
        ToolEffect::Own => true,
        ToolEffect::Read(_) => offers(&[AgentTool::Read, AgentTool::Glob, AgentTool::Grep]),
        ToolEffect::Write(_) => offers(&[AgentTool::Write, AgentTool::Edit]),
        ToolEffect::Shell(_) => offers(&[AgentTool::Shell]),
        ToolEffect::Unknown => false,
    };
    if is_offered {
        return None;
    }
    Some(match effect {
        ToolEffect::Write(_) | ToolEffect::Shell(_) if is_read_only => {
            format!("`{name}` is not offered: this workspace is read-only for you")
        }
        _ => format!("`{name}` is not offered in this sandbox; do it with the other tools"),
    })
}

/// The folder that a pattern looks in: its own may lead out of `folder`.
pub(crate) fn glob_root(folder: &str, pattern: &str) -> String {
    let fixed = |part: &&str| !part.contains(['*', '?', '[', '{']);
    let parts: Vec<_> = pattern.split('/').take_while(fixed).collect();
    let root = match parts.as_slice() {
        [""] => "/".to_owned(),
        parts => parts.join("/"),
    };
    match root.as_str() {
        "" => folder.to_owned(),
        root => Path::new(folder).join(root).display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_do_what_the_attempt_offers() {
        use AgentTool::{Edit, Read, Shell, SubmitItem, Write};
        let planner: &[AgentTool] = &[Read, SubmitItem];
        let implementer: &[AgentTool] = &[Read, Write, Edit, Shell];
        let write = ToolEffect::Write("a".to_owned());
        let read = ToolEffect::Read(vec!["a".to_owned()]);
        let shell = ToolEffect::Shell("ls".to_owned());
        let read_only = "is read-only for you";
        for (offered, effect, refusal) in [
            (planner, &read, None),
            (planner, &ToolEffect::Own, None),
            (planner, &write, Some(read_only)),
            (planner, &shell, Some(read_only)),
            (planner, &ToolEffect::Unknown, Some("with the other tools")),
            (implementer, &write, None),
            (implementer, &shell, None),
            (
                implementer,
                &ToolEffect::Unknown,
                Some("with the other tools"),
            ),
            (&[Read, Write][..], &shell, Some("with the other tools")),
        ] {
            let found = refuse_tool(offered, "Tool", effect);
            assert_eq!(found.is_some(), refusal.is_some(), "{offered:?} {effect:?}");
            assert!(
                found
                    .unwrap_or_default()
                    .contains(refusal.unwrap_or_default()),
                "{offered:?} {effect:?}"
            );
        }
    }
}
