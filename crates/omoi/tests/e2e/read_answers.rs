//! What commands answer that only read: the same without a server, beside `omoi up`, and on a server elsewhere.

use insta::{Settings, assert_snapshot};
use serde_json::Value;

use crate::binary::Said;
use crate::steady_json::assert_json;
use crate::world::World;

/// Somewhere that commands are typed, after the run of two tasks was delivered there.
pub(crate) struct ReadPlace<'a> {
    pub(crate) world: &'a World,
    /// The repository and its project as this place shows them: a server elsewhere knows no path.
    pub(crate) repo: &'a str,
    pub(crate) project: &'a str,
    /// The program with these words.
    pub(crate) run: &'a dyn Fn(&[&str]) -> Said,
}

/// Each command with the name of its snapshot.
const COMMANDS: [(&str, &[&str]); 8] = [
    ("spec_list", &["spec", "list"]),
    ("spec_show", &["spec", "show", "SPEC-1"]),
    ("task_list", &["task", "list"]),
    ("ticket_list", &["ticket", "list"]),
    ("ticket_show", &["ticket", "show", "TKT-001"]),
    ("board", &["board"]),
    ("approvals", &["approvals"]),
    ("trace", &["trace", "SPEC-1"]),
];

impl ReadPlace<'_> {
    /// Holds what every command says to its snapshot, which all places share.
    pub(crate) fn reads_as_everywhere(&self) {
        for (name, words) in COMMANDS {
            self.reads(name, words);
        }
        let specs = (self.run)(&["spec", "list", "--json"]).exited(0).stdout;
        let (repo, project) = (self.repo, self.project);
        let specs = specs
            .replace(&format!("\"{project}/SPEC-"), "\"[repo name]/SPEC-")
            .replace(&format!("\"repo\":\"{repo}\""), "\"repo\":\"[repo]\"");
        let specs: Value = serde_json::from_str(&specs).unwrap();
        assert_json(self.world, "json_spec_list", &specs);
    }

    /// Holds what a person reads of `words` to a snapshot, without what differs from run to run and machine to machine.
    pub(crate) fn reads(&self, name: &str, words: &[&str]) {
        let said = (self.run)(words).exited(0);
        self.steady()
            .bind(|| assert_snapshot!(name, format!("{}{}", said.stdout, said.stderr)));
    }

    fn steady(&self) -> Settings {
        let mut settings = Settings::clone_current();
        let (repo, project) = (self.repo, self.project);
        settings.add_filter(&format!("{project}/SPEC-"), "[repo name]/SPEC-");
        settings.add_filter(&format!(r"  {repo}\b"), "  [repo]");
        settings.add_filter(r"\b[0-9a-f]{7}\b", "[commit]");
        settings.add_filter(r"\d+\.\d s\b", "[took]");
        settings.add_filter(r"\bprocess \d+", "process [number]");
        settings.add_filter(r"\b\d+ permissions\b", "[number] permissions");
        settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[port]");
        // Where this machine keeps its Python, if that is no folder of the system.
        settings.add_filter(r"  sandboxes read: [^\n]*(\n  /[^\n]*)*\n", "");
        settings
    }
}
