//! What a check's command rests on: a program of the project, or only what anybody could say.

use std::collections::BTreeMap;

use crate::evaluate::tasks::purpose::{CommandPurpose, purpose_of, reads_text};
use crate::evaluate::tasks::shell::{CommandJoint, ShellCommand, read_shell};

/// Deepest script that is looked into.
const DEPTH_MAX: usize = 4;

/// What was found in a command and the scripts that it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandBasis {
    /// Programs whose end or output counts.
    pub(super) n_runs: usize,
    /// Programs whose end and output are thrown away.
    pub(super) n_thrown_away: usize,
    /// Compilers.
    pub(super) n_builds: usize,
    /// Looks at files and texts.
    pub(super) n_looks: usize,
    /// What makes good a program that failed, without running one.
    pub(super) second_arm: Option<String>,
    /// Whether it ends as passed before a program ran.
    pub(super) ends_early: bool,
    /// Whether texts are looked at, and not only whether files are there.
    pub(super) reads_text: bool,
    /// Code that is written into the command.
    pub(super) inline: Vec<String>,
    /// Whether a pipe ends as its first failing program does.
    pipefail: bool,
}

/// What `command` rests on; `laid` are the files the check brings along.
pub(super) fn basis_of(command: &str, laid: &BTreeMap<&str, &str>) -> CommandBasis {
    let is_set = |text: &str| text.contains("pipefail");
    let mut basis = CommandBasis {
        pipefail: is_set(command) || laid.values().any(|text| is_set(text)),
        ..CommandBasis::default()
    };
    read_script(command, laid, 0, &mut basis);
    basis
}

fn read_script(script: &str, laid: &BTreeMap<&str, &str>, depth: usize, basis: &mut CommandBasis) {
    let text = read_shell(script);
    let is_strict = text.commands.iter().any(is_errexit);
    let purposes: Vec<CommandPurpose> = text
        .commands
        .iter()
        .map(|command| match command.words.first() {
            Some(name) if text.functions.contains(name) => CommandPurpose::Fails,
            _ => purpose_of(command, laid),
        })
        .collect();
    let last = purposes
        .iter()
        .rposition(|p| *p != CommandPurpose::Idles || text.commands.len() == 1);
    for (n, purpose) in purposes.iter().enumerate() {
        let command = &text.commands[n];
        let is_swallowed = !basis.pipefail && ends_in_passer(n, &text.commands);
        let counts = !is_swallowed && decides_end(n, &text.commands, &purposes, is_strict, last);
        match purpose {
            CommandPurpose::Idles | CommandPurpose::Fails => {}
            CommandPurpose::Looks => {
                basis.n_looks += 1;
                basis.reads_text |= reads_text(command);
            }
            CommandPurpose::EndsWell => {
                let is_last = n + 1 == purposes.len();
                basis.ends_early |= basis.n_runs == 0 && !is_last;
            }
            CommandPurpose::Builds => basis.n_builds += usize::from(counts),
            CommandPurpose::Runs => note_run(counts, basis),
            CommandPurpose::Inline(code) => {
                note_run(counts, basis);
                basis.inline.push(code.clone());
            }
            CommandPurpose::Script(path) if counts && depth < DEPTH_MAX => {
                let script = laid.get(path.as_str()).copied().unwrap_or(path);
                read_script(script, laid, depth + 1, basis);
            }
            CommandPurpose::Script(_) => basis.n_thrown_away += 1,
        }
        let ran = matches!(
            purpose,
            CommandPurpose::Runs | CommandPurpose::Inline(_) | CommandPurpose::Script(_)
        );
        if ran && command.next == CommandJoint::Or && basis.second_arm.is_none() {
            basis.second_arm = second_arm(n, &text.commands, &purposes);
        }
    }
}

const fn note_run(counts: bool, basis: &mut CommandBasis) {
    if counts {
        basis.n_runs += 1;
    } else {
        basis.n_thrown_away += 1;
    }
}

/// `set -e` and its like.
fn is_errexit(command: &ShellCommand) -> bool {
    let [set, options @ ..] = command.words.as_slice() else {
        return false;
    };
    let short = |o: &String| o.starts_with('-') && !o.starts_with("--") && o.contains('e');
    set == "set" && options.iter().any(|o| short(o) || o == "errexit")
}

/// Whether how command `n` ends, or what it says, has a part in how the script ends.
fn decides_end(
    n: usize,
    commands: &[ShellCommand],
    purposes: &[CommandPurpose],
    is_strict: bool,
    last: Option<usize>,
) -> bool {
    let command = &commands[n];
    let after = commands.get(n + 1);
    if command.is_kept || command.is_condition {
        return true;
    }
    match command.next {
        CommandJoint::And => true,
        CommandJoint::Background => false,
        CommandJoint::Pipe => !matches!(purposes.get(n + 1), Some(CommandPurpose::Idles)),
        CommandJoint::Or => failure_arm(n, commands, purposes)
            .iter()
            .any(|p| !matches!(p, CommandPurpose::Idles | CommandPurpose::EndsWell)),
        CommandJoint::Sequence => {
            let decides = last == Some(n) && !follows_idle(n, purposes);
            is_strict || decides || after.is_some_and(|next| next.asks_status)
        }
    }
}

/// Whether command `n` is piped, at last, into a program that hands on what it gets and never fails.
fn ends_in_passer(n: usize, commands: &[ShellCommand]) -> bool {
    const PASSERS: &[&str] = &[
        "cat", "head", "nl", "sort", "tail", "tee", "tr", "uniq", "wc",
    ];
    let command = &commands[n];
    if command.next != CommandJoint::Pipe || command.is_kept {
        return false;
    }
    let end = commands[n + 1..]
        .iter()
        .find(|c| c.next != CommandJoint::Pipe);
    end.and_then(|c| c.words.first())
        .is_some_and(|name| PASSERS.contains(&name.as_str()))
}

/// Whether something that cannot fail decides the end in place of command `n`.
fn follows_idle(n: usize, purposes: &[CommandPurpose]) -> bool {
    matches!(purposes.get(n + 1..), Some([.., CommandPurpose::Idles]))
}

/// What is done when command `n` fails, up to the end of the group or of the line.
fn failure_arm(
    n: usize,
    commands: &[ShellCommand],
    purposes: &[CommandPurpose],
) -> Vec<CommandPurpose> {
    let mut found = Vec::new();
    let mut depth = 0_i32;
    for (command, purpose) in commands.iter().zip(purposes).skip(n + 1) {
        depth += i32::from(command.group.max(0));
        if command.is_assignment {
            found.push(CommandPurpose::Fails);
        } else if !command.words.is_empty() {
            found.push(purpose.clone());
        }
        depth -= i32::from(-command.group.min(0));
        if depth <= 0 && command.next != CommandJoint::And && command.next != CommandJoint::Or {
            break;
        }
    }
    found
}

/// The arm that passes without a program where command `n` failed.
fn second_arm(n: usize, commands: &[ShellCommand], purposes: &[CommandPurpose]) -> Option<String> {
    let arm = failure_arm(n, commands, purposes);
    let hands_on = arm.iter().any(|p| {
        matches!(
            p,
            CommandPurpose::Fails
                | CommandPurpose::Runs
                | CommandPurpose::Script(_)
                | CommandPurpose::Inline(_)
        )
    });
    let looks = arm.contains(&CommandPurpose::Looks);
    let next = commands.get(n + 1)?;
    (looks && !hands_on).then(|| next.words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis(command: &str) -> CommandBasis {
        let laid = BTreeMap::from([
            (
                "proof/run.sh",
                "set -eu\n./tool list >out\ngrep -q one out\n",
            ),
            (
                "proof/words.sh",
                "set -u\n./tool list >/dev/null 2>&1 || true\ngrep -q list tool.sh\n",
            ),
            ("proof/early.sh", "[ -f x ] || exit 0\n./tool list\n"),
        ]);
        basis_of(command, &laid)
    }

    #[test]
    fn programs_count_where_their_end_or_output_does() {
        for (command, n_runs, n_thrown_away) in [
            ("python3 -m unittest tests.test_a", 1, 0),
            ("make -s tool && sh proof/run.sh", 1, 0),
            ("sh proof/words.sh", 0, 1),
            ("cargo test --offline || true", 0, 1),
            ("cargo test; exit 0", 0, 1),
            ("go test ./... ; true", 0, 1),
            ("test \"$(./tool x)\" = 1", 1, 0),
            ("! ./tool x && ./tool y", 2, 0),
            ("if ./tool; then :; else exit 1; fi", 1, 0),
            ("./tool x | grep -q y", 1, 0),
            ("./tool x 2>said || code=$?; [ \"$code\" -eq 1 ]", 1, 0),
            ("./tool x || { echo no; exit 1; }", 1, 0),
            ("node -e 'require(\"./a\")'", 1, 0),
            ("timeout 10 ./tool", 1, 0),
            ("bundle exec rspec spec/proof_spec.rb", 1, 0),
            ("./gradlew test --tests ProofTest", 1, 0),
            ("mvn -q -Dtest=ProofTest test", 1, 0),
            ("npx vitest run test/a.test.ts", 1, 0),
            ("cd server && npm run test:unit", 1, 0),
            ("PYTHONPATH=. pytest -q tests/proof.py", 1, 0),
            ("docker compose run --rm app pytest", 1, 0),
            ("set -e; make build; ./run-tests", 1, 0),
            ("bash -euo pipefail -c './tool x | grep y'", 1, 0),
            ("go test ./a -run Proof 2>&1 | tail -5", 0, 1),
            ("./tool x | sort | head -1", 0, 1),
            ("set -o pipefail; go test ./a | tail -5", 1, 0),
            ("test \"$(./tool x | head -1)\" = y", 1, 0),
            ("./tool x | sort | diff - want.txt", 1, 0),
            ("python3 -m tool --version", 1, 0),
            ("./tool --version | grep -q 2.0", 1, 0),
            ("curl -sf http://localhost:8080/ | grep -q ok", 1, 0),
        ] {
            let found = basis(command);
            assert_eq!(
                (found.n_runs, found.n_thrown_away),
                (n_runs, n_thrown_away),
                "{command}: {found:?}"
            );
        }
    }

    #[test]
    fn commands_that_show_nothing_run_nothing() {
        for command in [
            "true",
            "python3 --version && git --version",
            "go version",
            ":",
            "exit 0",
            "echo ok",
            "test -f src/a.rs",
            "grep -q word README.md || grep -rq TSK-001 src",
            "if [ -f write.c ]; then :; else exit 1; fi",
            "test \"$(git rev-list --count HEAD)\" -gt 1",
            "cargo build",
            "cargo test --no-run",
            "pytest --collect-only tests",
            "cc -c a.c",
            "sh -c 'test -e a'",
        ] {
            assert_eq!(basis(command).n_runs, 0, "{command}");
        }
        let arm = basis("cargo test --test a || grep -q scan src/a.rs").second_arm;
        assert_eq!(arm.as_deref(), Some("grep -q scan src/a.rs"));
        assert_eq!(basis("./tool || { echo no; exit 1; }").second_arm, None);
        assert!(basis("sh proof/early.sh").ends_early);
        assert!(basis("cargo build").n_builds == 1 && basis("grep -q a b").reads_text);
    }
}
