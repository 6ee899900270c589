//! Replays the tool cases kept as data: files as they are met, edits as models spoil them, and what has to
//! come of each.

use serde::Deserialize;

use super::*;

const CASES: &str = include_str!("../../../tests/data/tool_cases.jsonl");
const CASES_MIN: usize = 300;

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
    let mut forms = BTreeMap::new();
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
            (None, None) => !is_error,
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
    assert_eq!(bench.text("target.py"), "import sys\n");
}
