//! Every command that the program prints for people to type is one it takes.

use clap::Parser as _;

use super::Cli;

/// The sources that messages and help texts come from.
const SOURCES: &[&str] = &[
    include_str!("agents.rs"),
    include_str!("agents/install.rs"),
    include_str!("open.rs"),
    include_str!("owner_access.rs"),
    include_str!("command_context.rs"),
    include_str!("doctor.rs"),
    include_str!("doctor/agents.rs"),
    include_str!("doctor/checks.rs"),
    include_str!("egress.rs"),
    include_str!("error_report.rs"),
    include_str!("follow.rs"),
    include_str!("key.rs"),
    include_str!("login.rs"),
    include_str!("logs.rs"),
    include_str!("logs/process_log.rs"),
    include_str!("models.rs"),
    include_str!("models/list.rs"),
    include_str!("models/set.rs"),
    include_str!("org.rs"),
    include_str!("org/choice.rs"),
    include_str!("org/members.rs"),
    include_str!("org/provider_keys.rs"),
    include_str!("person_sign_in.rs"),
    include_str!("profile.rs"),
    include_str!("project.rs"),
    include_str!("remote_repository.rs"),
    include_str!("run.rs"),
    include_str!("scenario.rs"),
    include_str!("serve.rs"),
    include_str!("server_choice.rs"),
    include_str!("spec.rs"),
    include_str!("spec/export.rs"),
    include_str!("spec/fetch.rs"),
    include_str!("steer.rs"),
    include_str!("task.rs"),
    include_str!("thread.rs"),
    include_str!("ticket.rs"),
    include_str!("board.rs"),
    include_str!("approvals.rs"),
    include_str!("trace.rs"),
    include_str!("up.rs"),
    include_str!("../api_client.rs"),
    include_str!("../cli.rs"),
    include_str!("../view/summary.rs"),
    include_str!("../../../omoi-programs/src/error.rs"),
    include_str!("../../../omoi-planning/src/commands/error.rs"),
    include_str!("../../../omoi-planning/src/commands/spec_model.rs"),
    include_str!("../../../omoi-planning/src/planner/conclude.rs"),
    include_str!("../../../omoi-delivery/src/finisher.rs"),
    include_str!("../../../omoi-delivery/src/finisher/ablation.rs"),
    include_str!("../../../omoi-server/src/api/find.rs"),
    include_str!("../../../omoi-server/src/api/laptop/resolve_reference.rs"),
];

/// Commands in string literals: after `omoi `, up to what cannot be part of one.
fn printed_commands(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or(source);
    let mut found = Vec::new();
    for line in source.lines() {
        let line = line.trim();
        let is_comment = line.starts_with("//") && !line.starts_with("/// Such");
        if is_comment {
            continue;
        }
        for (at, _) in line.match_indices("omoi ") {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '/' || c == '_') {
                continue;
            }
            let command = leading_command(&line[at..]);
            if command.contains(' ') {
                found.push(command);
            }
        }
    }
    found
}

/// The command at the beginning of `text`, with a word in place of everything that is filled in.
fn leading_command(text: &str) -> String {
    let text = text.replace("\\\"", "\u{1}");
    let end = text.find(['`', '"', ';', ')', '\n']).unwrap_or(text.len());
    let text = &text[..end];
    // Help texts say behind two blanks what it does; a sentence goes on after a comma.
    let text = text.split("  ").next().unwrap_or(text);
    let text = text.split("\\n").next().unwrap_or(text);
    let text = text.split(" < ").next().unwrap_or(text);
    let text = text.split(", ").next().unwrap_or(text);
    text.trim_end_matches([':', ',', '\\', ' ']).to_owned()
}

/// The words of a command as a shell would hand them over.
pub(super) fn shell_words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = command;
    while let Some(start) = rest.find(|c: char| c != ' ') {
        rest = &rest[start..];
        let (word, after) = match rest.strip_prefix('\u{1}') {
            Some(quoted) => quoted.split_once('\u{1}').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        let word = match word {
            word if word.starts_with('<') => "x".to_owned(),
            word if word.starts_with("{id}") => "01930000-0000-7000-8000-000000000001".to_owned(),
            // Flags that lead to the same data.
            "{again}" => String::new(),
            word => {
                let mut filled = String::new();
                let mut depth = 0;
                for c in word.chars() {
                    match c {
                        '{' => {
                            depth += 1;
                            if depth == 1 && !word.starts_with("--") {
                                filled.push('1');
                            }
                        }
                        '}' => depth -= 1,
                        c if depth == 0 => filled.push(c),
                        _ => {}
                    }
                }
                filled
            }
        };
        if !word.is_empty() && word != "<" {
            words.push(word);
        }
        rest = after;
    }
    words
}

#[test]
fn every_printed_command_is_one_that_is_taken() {
    let mut n_taken = 0;
    for source in SOURCES {
        for command in printed_commands(source) {
            let words = shell_words(&command);
            if words.iter().any(|word| word == "…" || word == "|") {
                continue;
            }
            match Cli::try_parse_from(&words) {
                Ok(_) => n_taken += 1,
                // It is named only, or its last word is what a person fills in.
                Err(error) if is_only_named(&error) => n_taken += 1,
                Err(error) => panic!("`{command}` as {words:?}: {error}"),
            }
        }
    }
    assert!(n_taken > 60, "{n_taken}");
}

pub(super) fn is_only_named(error: &clap::Error) -> bool {
    use clap::error::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}
