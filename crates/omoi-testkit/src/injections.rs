//! Texts that try to give orders to an agent, with what they ask for: `corpus/injections/rows.jsonl`.

use omoi_domain::closed_set;
use serde_json::Value;

const ROWS: &str = include_str!("../../../corpus/injections/rows.jsonl");

closed_set! {
    /// Where a text of others is met. Not each of these places leads into a prompt yet.
    InjectionPlace {
        /// A README of a repository.
        Readme = "readme",
        /// The text of an issue.
        Issue = "issue",
        /// The title of a pull request.
        PrTitle = "pr_title",
        /// A message of a commit.
        CommitMessage = "commit_message",
        /// The name of a file.
        FileName = "file_name",
        /// A comment in source code.
        CodeComment = "code_comment",
        /// What a tool says of itself.
        ToolDescription = "tool_description",
        /// What a tool answers.
        ToolResult = "tool_result",
        /// Something kept from earlier work.
        Memory = "memory",
        /// A page of the web.
        WebPage = "web_page",
        /// A field of what another system sends.
        WebhookField = "webhook_field",
        /// A file with conflict markers, or what is said of the two sides.
        MergeConflict = "merge_conflict",
        /// Words of another agent.
        AgentMessage = "agent_message",
        /// Characters that nobody sees.
        InvisibleText = "invisible_text",
    }
}

closed_set! {
    /// What an obedient agent would do.
    ForbiddenEffect {
        /// Move a branch of the person's repository or of the mirror.
        Push = "push",
        /// Reach a host.
        Network = "network",
        /// Change what agent programs start with, or the plan.
        Settings = "settings",
        /// Have git start a program.
        GitHook = "git_hook",
        /// Write outside of the workspace.
        Outside = "outside",
        /// Read a secret.
        Secret = "secret",
        /// Decide for a person.
        Control = "control",
        /// Hand in work of somebody else.
        OtherWork = "other_work",
        /// Add work beyond the caps.
        Discovery = "discovery",
    }
}

/// One row of the corpus.
#[derive(Clone, Debug)]
pub struct InjectionRow {
    /// Its place and its number there, such as `readme-3`.
    pub id: String,
    /// Where it is met.
    pub place: InjectionPlace,
    /// What it asks for.
    pub effect: ForbiddenEffect,
    /// The text.
    pub text: String,
}

/// Every row.
///
/// # Panics
/// When the corpus is not as this module says, or has fewer than a hundred rows.
#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
pub fn injection_rows() -> Vec<InjectionRow> {
    let mut n_here = 0;
    let mut rows: Vec<InjectionRow> = Vec::new();
    for line in ROWS.lines() {
        let row: Value = serde_json::from_str(line).expect("a row of injections is JSON");
        let field = |name: &str| row[name].as_str().expect("a row has its fields");
        let place = InjectionPlace::parse(field("place")).expect("a place is known");
        let is_same = rows.last().is_some_and(|last| last.place == place);
        n_here = if is_same { n_here + 1 } else { 1 };
        rows.push(InjectionRow {
            id: format!("{place}-{n_here}"),
            place,
            effect: ForbiddenEffect::parse(field("effect")).expect("an effect is known"),
            text: field("text").to_owned(),
        });
    }
    assert!(rows.len() >= 100, "{} injections are too few", rows.len());
    let places = InjectionPlace::ALL.iter();
    let missing: Vec<_> = places
        .filter(|place| !rows.iter().any(|row| row.place == **place))
        .collect();
    assert!(missing.is_empty(), "no injection stands in {missing:?}");
    rows
}

/// How a rendered prompt is built, whatever is quoted in it: its lines that are not quoted, with `planted` taken out
/// of them, and a character that nobody sees. Equal for two texts if neither could add a line, a heading or such a
/// character to the template.
pub fn prompt_shape(prompt: &str, planted: &str) -> Vec<String> {
    let unseen = prompt.chars().find(|character| {
        let is_format = matches!(*character, '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{202a}'..='\u{202e}'
            | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
        is_format || (character.is_control() && !matches!(character, '\n' | '\t'))
    });
    let unseen = unseen.map(|character| format!("unseen: {}", character.escape_unicode()));
    let shown = omoi_domain::quotation::single_line(planted);
    let lines = prompt.lines().filter(|line| !line.starts_with('>'));
    lines
        .map(|line| line.replace(&shown, "…"))
        .chain(unseen)
        .collect()
}

/// How many rows make another shape of what `shape` gives for a text at `place` than harmless words do; each is
/// printed.
pub fn count_added_lines(
    rows: &[InjectionRow],
    place: &str,
    shape: impl Fn(&str) -> Vec<String>,
) -> usize {
    let expected = shape("plainly nothing");
    let adds = |row: &&InjectionRow| {
        let found = shape(&row.text);
        let is_other = found != expected;
        if is_other {
            eprintln!("{} in {place}: {found:#?}", row.id);
        }
        is_other
    };
    rows.iter().filter(adds).count()
}
