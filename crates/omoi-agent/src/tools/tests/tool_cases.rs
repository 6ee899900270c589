//! Replays the tool cases kept as data: files as they are met, edits as models spoil them, and what has to
//! come of each.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::*;

const CASES: &str = include_str!("../../../tests/data/tool_cases.jsonl");
const CASES_MIN: usize = 300;
/// Of the calls that are no plain edit, those that differ in tool or input.
const OTHER_CALLS_MIN: usize = 18;

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum CaseLine {
    Form {
        form: String,
        text: String,
        /// Lines put behind it, to make it large.
        padding_lines: usize,
    },
    Case(ToolCase),
    Call(ToolCall),
}

/// A call of any tool on a file in one of the forms, or with a text of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolCall {
    case: String,
    form: Option<String>,
    text: Option<String>,
    tool: String,
    input: Value,
    /// What the file holds afterwards.
    want: Option<String>,
    /// What a refusal says, which leaves the file as it was.
    says: Option<String>,
    /// What the answer shows.
    shows: Option<String>,
}

/// Files by the name of their form: a text, and what stands behind it.
type FileForms = BTreeMap<String, (String, String)>;

impl ToolCall {
    /// Makes the call; tells what came of it where that is wrong.
    async fn fault(&self, bench: &mut Bench, forms: &FileForms) -> Option<String> {
        let (text, behind) = match (&self.form, &self.text) {
            (Some(form), None) => forms[form].clone(),
            (_, text) => (text.clone().unwrap_or_default(), String::new()),
        };
        let before = format!("{text}{behind}");
        bench.put("case.py", &before);
        let (told, is_error) = bench.call(&self.tool, self.input.clone()).await;
        bench.events();
        let now = bench.text("case.py");
        let wanted = match &self.want {
            // What stands behind is large, and has the form's own words in no line.
            Some(want) if self.tool == "write" => want.clone(),
            Some(want) => format!("{want}{behind}"),
            None => before,
        };
        let told_right = match (&self.want, &self.says, &self.shows) {
            (Some(_), None, None) => !is_error,
            (None, Some(says), None) => is_error && told.contains(says),
            (None, None, Some(shows)) => !is_error && told.contains(shows),
            _ => panic!("{}: it asks for one thing", self.case),
        };
        let is_right = told_right && now == wanted;
        (!is_right).then(|| format!("{}: {told}", self.case))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolCase {
    case: String,
    form: Option<String>,
    path: Option<String>,
    old: String,
    new: String,
    want: Option<String>,
    says: Option<String>,
}

fn padding(lines: usize) -> String {
    (0..lines)
        .map(|n| format!("# padding line number {n:>8} of a large file, told apart\n"))
        .collect()
}

/// The files that cases name by their path.
fn put_special_files(bench: &Bench) {
    let work = bench.dir.path().join("work");
    bench.put("binary", b"a\0b");
    bench.put("latin1", b"gr\xfc\xdfe a\n");
    bench.put("target.py", "import os\n");
    symlink("target.py", work.join("link_in")).unwrap();
    symlink(bench.dir.path().join("outside"), work.join("link_out")).unwrap();
    symlink("nowhere", work.join("dangling")).unwrap();
    fs::create_dir(work.join("folder")).unwrap();
    let huge = fs::File::create(work.join("huge")).unwrap();
    huge.set_len(200 << 20).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, work.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
}

#[tokio::test]
async fn the_tool_cases_come_out_as_they_must() {
    let mut bench = Bench::new();
    put_special_files(&bench);
    let mut forms = FileForms::new();
    let mut others = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut n_cases = 0;
    for line in CASES.lines() {
        let case = match serde_json::from_str(line).unwrap() {
            CaseLine::Form {
                form,
                text,
                padding_lines,
            } => {
                forms.insert(form, (text, padding(padding_lines)));
                continue;
            }
            CaseLine::Case(case) => case,
            CaseLine::Call(call) => {
                others.insert(format!("{} {}", call.tool, call.input));
                wrong.extend(call.fault(&mut bench, &forms).await);
                n_cases += 1;
                continue;
            }
        };
        n_cases += 1;
        let path = case.path.as_deref().unwrap_or("case.py");
        let mut behind = "";
        if let Some(form) = &case.form {
            let (text, padding) = &forms[form];
            behind = padding;
            bench.put(path, format!("{text}{padding}"));
        }
        let input = json!({"path": path, "old": case.old, "new": case.new});
        let (text, is_error) = bench.call("edit", input).await;
        // Its queue is bounded.
        bench.events();
        let is_right = match (&case.want, &case.says) {
            (Some(want), _) => !is_error && bench.text(path) == format!("{want}{behind}"),
            (None, Some(says)) => is_error && text.contains(says),
            (None, None) => panic!("{}: it asks for nothing", case.case),
        };
        if !is_right {
            wrong.push(format!("{}: {text}", case.case));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(n_cases >= CASES_MIN, "{n_cases} cases");
    assert!(
        others.len() >= OTHER_CALLS_MIN,
        "{} other calls",
        others.len()
    );
    assert_eq!(bench.text("target.py"), "import sys\n");
}
