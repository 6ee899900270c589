//! A repository of a given size, the same on every machine: several languages, a manifest per project.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use xtask::process::{self, command};

/// Files of one project, its manifest included.
const PROJECT_FILES: usize = 100;

/// A language as its projects show it.
struct Language {
    manifest: (&'static str, &'static str),
    ending: &'static str,
    line: &'static str,
    /// What opens and closes a function of these lines; `#` is a number.
    function: [&'static str; 2],
}

const LANGUAGES: &[Language] = &[
    Language {
        manifest: (
            "pyproject.toml",
            "[project]\nname = \"part\"\nversion = \"1\"\n[tool.pytest.ini_options]\n",
        ),
        ending: "py",
        line: "value = compute(value, 1)",
        function: ["def step#(value):", ""],
    },
    Language {
        manifest: (
            "Cargo.toml",
            "[package]\nname = \"part\"\nversion = \"1.0.0\"\nedition = \"2024\"\n",
        ),
        ending: "rs",
        line: "let value = compute(value, 1);",
        function: ["pub fn step#(value: u64) {", "}"],
    },
    Language {
        manifest: (
            "package.json",
            "{ \"name\": \"part\", \"scripts\": { \"build\": \"tsc\", \"test\": \"node --test\" } }\n",
        ),
        ending: "ts",
        line: "const value = compute(value, 1);",
        function: ["export function step#(value: number) {", "}"],
    },
    Language {
        manifest: ("go.mod", "module example.org/part\n\ngo 1.24\n"),
        ending: "go",
        line: "value := compute(value, 1)",
        function: ["func step#(value int) {", "}"],
    },
];

/// Makes a bare repository at `path` whose `HEAD` has exactly `files` files.
pub(super) fn generate(path: &Path, files: usize) -> Result<PathBuf> {
    let mut init = command("git");
    init.args(["init", "--quiet", "--bare", "--initial-branch=main"]);
    process::run(init.arg(path))?;
    import(path, |stream| {
        commit_head(stream)?;
        (0..files).try_for_each(|n| {
            let (path, text) = file(n);
            commit_file(stream, &path, &text)
        })
    })?;
    Ok(path.to_owned())
}

/// Commits another text of the first `changed` sources.
pub(super) fn change_files(path: &Path, changed: usize) -> Result<()> {
    import(path, |stream| {
        commit_head(stream)?;
        stream.write_all(b"from refs/heads/main^0\n")?;
        // The first file of a project is its manifest.
        (1..=changed).try_for_each(|n| {
            let (path, text) = file(n);
            commit_file(stream, &path, &format!("{text}\n{text}"))
        })
    })
}

fn import(path: &Path, write: impl Fn(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let mut import = command("git")
        .args(["fast-import", "--quiet"])
        .current_dir(path)
        .stdin(Stdio::piped())
        .spawn()
        .context("could not start `git fast-import`")?;
    let stream = import.stdin.take().context("git takes no input")?;
    let mut stream = BufWriter::new(stream);
    let written = write(&mut stream).and_then(|()| stream.flush());
    drop(stream);
    let status = import.wait()?;
    if !status.success() {
        bail!("`git fast-import` ended with {status}");
    }
    written.context("could not write to `git fast-import`")
}

fn commit_head(stream: &mut dyn Write) -> std::io::Result<()> {
    stream.write_all(b"commit refs/heads/main\n")?;
    stream.write_all(b"committer Bench <bench@localhost> 1700000000 +0000\ndata 4\nbase\n")
}

fn commit_file(stream: &mut dyn Write, path: &str, text: &str) -> std::io::Result<()> {
    write!(
        stream,
        "M 100644 inline {path}\ndata {}\n{text}\n",
        text.len()
    )
}

/// The path and the text of file `n`; no two texts are equal but those of manifests.
fn file(n: usize) -> (String, String) {
    let (project, within) = (n / PROJECT_FILES, n % PROJECT_FILES);
    let language = &LANGUAGES[project % LANGUAGES.len()];
    let folder = format!("group{:02}/part{project:03}", project % 20);
    let (name, text) = language.manifest;
    if within == 0 {
        return (format!("{folder}/{name}"), text.to_owned());
    }
    let place = if within % 5 == 0 {
        "tests/test_"
    } else {
        "src/"
    };
    let text = source_text(language, n);
    let path = format!("{folder}/{place}unit{within:02}.{}", language.ending);
    (path, text)
}

/// A function of its own, whose lines use the function of another file of the project.
fn source_text(language: &Language, n: usize) -> String {
    let [open, close] = language.function;
    let mut text = open.replace('#', &n.to_string());
    text.push('\n');
    let other = n - n % PROJECT_FILES + (n * 7) % PROJECT_FILES;
    for line in 0..5 + n % 30 {
        let used = language.line.replace("compute", &format!("step{other}"));
        let _ = writeln!(text, "    {used} {n} {line}");
    }
    text.push_str(close);
    text.push('\n');
    text
}
