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
}

const LANGUAGES: &[Language] = &[
    Language {
        manifest: (
            "pyproject.toml",
            "[project]\nname = \"part\"\nversion = \"1\"\n[tool.pytest.ini_options]\n",
        ),
        ending: "py",
        line: "value = compute(value, 1)",
    },
    Language {
        manifest: (
            "Cargo.toml",
            "[package]\nname = \"part\"\nversion = \"1.0.0\"\nedition = \"2024\"\n",
        ),
        ending: "rs",
        line: "let value = compute(value, 1);",
    },
    Language {
        manifest: (
            "package.json",
            "{ \"name\": \"part\", \"scripts\": { \"build\": \"tsc\", \"test\": \"node --test\" } }\n",
        ),
        ending: "ts",
        line: "const value = compute(value, 1);",
    },
    Language {
        manifest: ("go.mod", "module example.org/part\n\ngo 1.24\n"),
        ending: "go",
        line: "value := compute(value, 1)",
    },
];

/// Makes a bare repository at `path` whose `HEAD` has exactly `files` files.
pub(super) fn generate(path: &Path, files: usize) -> Result<PathBuf> {
    let mut init = command("git");
    init.args(["init", "--quiet", "--bare", "--initial-branch=main"]);
    process::run(init.arg(path))?;
    let mut import = command("git")
        .args(["fast-import", "--quiet"])
        .current_dir(path)
        .stdin(Stdio::piped())
        .spawn()
        .context("could not start `git fast-import`")?;
    let stream = import.stdin.take().context("git takes no input")?;
    let written = write(BufWriter::new(stream), files);
    let status = import.wait()?;
    if !status.success() {
        bail!("`git fast-import` ended with {status}");
    }
    written.context("could not write to `git fast-import`")?;
    Ok(path.to_owned())
}

fn write(mut stream: impl Write, files: usize) -> std::io::Result<()> {
    stream.write_all(b"commit refs/heads/main\n")?;
    stream.write_all(b"committer Bench <bench@localhost> 1700000000 +0000\ndata 4\nbase\n")?;
    for n in 0..files {
        let (path, text) = file(n);
        write!(
            stream,
            "M 100644 inline {path}\ndata {}\n{text}\n",
            text.len()
        )?;
    }
    stream.flush()
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
    let mut text = String::new();
    for line in 0..5 + n % 30 {
        let _ = writeln!(text, "{} {n} {line}", language.line);
    }
    let path = format!("{folder}/{place}unit{within:02}.{}", language.ending);
    (path, text)
}
