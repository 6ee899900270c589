use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Instant;

use omoi_git::survey::{Survey, survey_commit, survey_dir, texts_of_commit, texts_of_dir};

use crate::fixture::{self, Fixture, commit, git, git_stdin, write};

async fn survey(files: &[(&str, &str)]) -> Survey {
    let f = Fixture::new(files).await;
    let of_commit = survey_commit(&f.mirror, &f.base).await.unwrap();
    let of_dir = survey_dir(&f.user).unwrap();
    assert_eq!(of_commit, of_dir, "a commit and its checkout look the same");
    assert_eq!(survey_commit(&f.mirror, &f.base).await.unwrap(), of_commit);
    of_commit
}

fn commands(survey: &Survey) -> String {
    let mut text = String::new();
    for t in &survey.toolchains {
        let version = t.version.as_ref().map_or("any", |v| v.value.as_str());
        let manifest = t.manifest.as_deref().unwrap_or("-");
        let _ = writeln!(text, "{:?} {version} [{manifest}] {:?}", t.kind, t.programs);
    }
    for (what, hints) in [("build", &survey.build), ("test", &survey.test)] {
        for hint in hints {
            let _ = writeln!(
                text,
                "{what}: {} ({}: {})",
                hint.at_root(),
                hint.found_in,
                hint.because
            );
        }
    }
    text
}

/// One small repository per kind, and what is found in it.
#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn every_kind_of_project_tells_how_it_is_built_and_tested() {
    const UNITTEST: &str = "import unittest\n\nclass T(unittest.TestCase):\n    pass\n";
    let projects: &[(&str, &[(&str, &str)])] = &[
        (
            "python, unittest, no manifest",
            &[
                ("todo/__init__.py", ""),
                ("todo/core.py", "x = 1\n"),
                ("tests/__init__.py", ""),
                ("tests/test_core.py", UNITTEST),
            ],
        ),
        (
            "python, unittest without package",
            &[
                ("core.py", "x = 1\n"),
                ("tests/test_core.py", UNITTEST),
                (
                    "pyproject.toml",
                    "[project]\nname = \"x\"\nrequires-python = \">=3.10\"\n",
                ),
            ],
        ),
        (
            "python, pytest, src layout",
            &[
                ("src/app/__init__.py", ""),
                ("src/app/a.py", "x = 1\n"),
                ("tests/test_a.py", "def test_a():\n    pass\n"),
                (
                    "pyproject.toml",
                    "[project]\nname = \"x\"\n[tool.pytest.ini_options]\n[project.scripts]\napp = \"app.a:main\"\n",
                ),
                (".python-version", "3.11.4\n"),
            ],
        ),
        (
            "python, requirements",
            &[
                ("app.py", "x = 1\n"),
                ("test_app.py", "import app\n"),
                ("requirements-dev.txt", "pytest==8\n"),
                ("requirements.txt", "flask\n"),
            ],
        ),
        (
            "python, django",
            &[
                ("manage.py", "x = 1\n"),
                ("shop/tests.py", "from django.test import TestCase\n"),
                ("requirements.txt", "django\n"),
            ],
        ),
        (
            "python, odd test names",
            &[("lib/a.py", "x=1\n"), ("lib/a_test.py", UNITTEST)],
        ),
        (
            "rust",
            &[
                (
                    "Cargo.toml",
                    "[package]\nname = \"x\"\nedition = \"2024\"\nrust-version = \"1.85\"\n",
                ),
                ("src/lib.rs", "pub fn a() {}\n"),
                ("src/bin/tool.rs", "fn main() {}\n"),
            ],
        ),
        (
            "rust workspace",
            &[
                ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n"),
                ("rust-toolchain.toml", "[toolchain]\nchannel = \"1.90.0\"\n"),
                ("crates/a/Cargo.toml", "[package]\n"),
                ("crates/a/src/main.rs", "fn main() {}\n"),
            ],
        ),
        (
            "node, npm",
            &[
                (
                    "package.json",
                    r#"{"scripts":{"test":"node --test","build":"tsc"},"engines":{"node":">=20"},"bin":{"x":"cli.js"}}"#,
                ),
                ("index.js", "1\n"),
            ],
        ),
        (
            "node, pnpm monorepo",
            &[
                ("package.json", r#"{"scripts":{"test":"vitest run"}}"#),
                ("pnpm-lock.yaml", "lockfileVersion: 9\n"),
                ("packages/a/package.json", r#"{"scripts":{"test":"x"}}"#),
                ("packages/a/src/a.ts", "export {}\n"),
            ],
        ),
        (
            "node, no script",
            &[
                (
                    "package.json",
                    r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"},"devDependencies":{"jest":"29"}}"#,
                ),
                ("a.js", "1\n"),
            ],
        ),
        (
            "node, yarn",
            &[
                (
                    "package.json",
                    r#"{"packageManager":"yarn@4.1.0","scripts":{"test":"jest"}}"#,
                ),
                (".nvmrc", "20\n"),
                ("a.js", "1\n"),
            ],
        ),
        (
            "node, built-in runner",
            &[
                ("package.json", "{}"),
                ("a.test.js", "import test from 'node:test'\n"),
            ],
        ),
        (
            "node, broken manifest",
            &[("package.json", "{ not json"), ("a.js", "1\n")],
        ),
        (
            "go",
            &[
                ("go.mod", "module x\n\ngo 1.22\n"),
                ("main.go", "package main\n"),
                ("a_test.go", "package main\n"),
            ],
        ),
        (
            "java, maven with wrapper",
            &[
                (
                    "pom.xml",
                    "<project><properties><maven.compiler.release>17</maven.compiler.release></properties></project>",
                ),
                ("mvnw", "#!/bin/sh\n"),
                ("src/main/java/App.java", "class App {}\n"),
            ],
        ),
        (
            "kotlin, gradle",
            &[
                (
                    "build.gradle.kts",
                    "kotlin { jvmToolchain { languageVersion.set(JavaLanguageVersion.of(21)) } }\n",
                ),
                ("src/main/kotlin/Main.kt", "fun main() {}\n"),
            ],
        ),
        (
            "c, make",
            &[
                (
                    "Makefile",
                    "CC = cc\nall: a\n\tcc a.c\n\ntest: all\n\t./a\n",
                ),
                ("a.c", "int main() {}\n"),
            ],
        ),
        (
            "c++, cmake",
            &[
                (
                    "CMakeLists.txt",
                    "project(x)\nenable_testing()\nadd_test(NAME a COMMAND a)\n",
                ),
                ("src/main.cpp", "int main() {}\n"),
            ],
        ),
        (
            "c, autotools",
            &[
                ("configure.ac", "AC_INIT\n"),
                ("Makefile.am", ""),
                ("a.c", "int main() {}\n"),
            ],
        ),
        (
            "c, meson",
            &[
                ("meson.build", "project('x', 'c')\n"),
                ("a.c", "int main() {}\n"),
            ],
        ),
        (
            "ruby, rspec",
            &[
                ("Gemfile", "gem 'rspec'\n"),
                ("spec/a_spec.rb", "describe 1\n"),
                ("lib/a.rb", "1\n"),
                (".ruby-version", "3.3.0\n"),
            ],
        ),
        (
            "ruby, rake",
            &[
                ("Rakefile", "Rake::TestTask.new\n"),
                ("test/test_a.rb", "1\n"),
                ("lib/a.rb", "1\n"),
            ],
        ),
        (
            "php",
            &[
                (
                    "composer.json",
                    r#"{"require-dev":{"phpunit/phpunit":"^11"}}"#,
                ),
                ("src/A.php", "<?php\n"),
            ],
        ),
        (
            "elixir",
            &[("mix.exs", "defmodule X\n"), ("lib/a.ex", "x\n")],
        ),
        (
            "dotnet",
            &[
                ("x.sln", ""),
                ("src/x/x.csproj", ""),
                ("src/x/Program.cs", "x\n"),
            ],
        ),
        (
            "make alone",
            &[("Makefile", "test:\n\t./run\n"), ("run", "x")],
        ),
        (
            "backend and frontend",
            &[
                ("api/pyproject.toml", "[tool.pytest]\n"),
                ("api/app.py", "x = 1\nx = 1\nx = 1\n"),
                ("api/tests/test_a.py", "x"),
                ("web ui/package.json", r#"{"scripts":{"test":"vitest"}}"#),
                ("web ui/a.ts", "1\n"),
                ("Makefile", "check: a\n"),
            ],
        ),
        (
            "a script helps a rust project",
            &[
                ("Cargo.toml", "[package]\n"),
                (
                    "src/main.rs",
                    "fn main() { println!(\"many bytes of rust\"); }\n",
                ),
                ("tools/gen.py", "1\n"),
            ],
        ),
        (
            "vendored and example manifests are not the project",
            &[
                ("go.mod", "module x\n"),
                ("vendor/y/package.json", "{}"),
                ("examples/z/Cargo.toml", "[package]\n"),
                ("main.go", "package main\n"),
            ],
        ),
        ("documents only", &[("README.md", "# Hi\n")]),
    ];
    let mut text = String::new();
    for (name, files) in projects {
        let dir = tempfile::TempDir::new().unwrap();
        write(dir.path(), files);
        let _ = writeln!(
            text,
            "== {name}\n{}",
            commands(&survey_dir(dir.path()).unwrap())
        );
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_whole_survey() {
    let survey = survey(&[
        ("README.md", "# Todo\n"),
        ("AGENTS.md", "Be kind.\n"),
        ("LICENSE", "x\n"),
        ("pyproject.toml", "[project]\nname = \"todo\"\n[project.scripts]\ntodo = \"todo.cli:main\"\n[tool.ruff]\nline-length = 100\n"),
        (".github/workflows/ci.yml", "on: push\n"),
        ("todo/__init__.py", ""),
        ("todo/__main__.py", "print(1)\n"),
        ("todo/cli.py", "def main():\n    pass\n"),
        ("todo/store.py", "import json\n\n\ndef load():\n    return json.load(open('x'))\n"),
        ("tests/__init__.py", ""),
        ("tests/test_store.py", "import unittest\n"),
        ("web/app.js", "console.log(1)\n"),
        (".gitattributes", "*.bin filter=lfs\n"),
        ("vendor/lib/x.js", "var x = 1\n"),
    ])
    .await;
    insta::assert_json_snapshot!(survey);
}

/// Names that are no text, a huge file, binaries, links, nothing at all.
#[tokio::test]
async fn odd_repositories_are_surveyed_too() {
    let f = Fixture::new(&[
        ("a.py", "x = 1\n"),
        ("new\nline.py", "x\n"),
        ("setup.py", "\0\0binary"),
    ])
    .await;
    let odd = f.user.join(OsStr::from_bytes(b"bad\xff\xfename.py"));
    std::fs::write(&odd, "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", f.user.join("package.json")).unwrap();
    let huge = std::fs::File::create(f.user.join("huge.bin")).unwrap();
    huge.set_len(64 << 20).unwrap();
    commit(&f.user, "Odd");
    // A submodule's commit is of another repository.
    let link = format!("160000,{},sub", f.base);
    git(&f.user, &["update-index", "--add", "--cacheinfo", &link]);
    git(&f.user, &["commit", "-q", "-m", "Sub"]);
    let head = fixture::fetch(&f.git, &f.mirror, &f.user).await;
    let survey = survey_commit(&f.mirror, &head).await.unwrap();
    assert_eq!(survey.files, 6);
    insta::assert_snapshot!(survey.notes.join("\n"));

    // The same as a folder; 200 MB cost nothing when they are not read.
    huge.set_len(200 << 20).unwrap();
    std::fs::create_dir_all(f.user.join("ignored")).unwrap();
    write(
        &f.user,
        &[(".gitignore", "ignored/\n"), ("ignored/x.py", "x")],
    );
    let fifo = f.user.join("Makefile");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let survey = survey_dir(&f.user).unwrap();
    assert_eq!(survey.files, 7);
    assert!(
        survey
            .notes
            .iter()
            .any(|n| n.contains("huge.bin (200 MiB)")),
        "{:?}",
        survey.notes
    );
    assert!(survey_dir(&f.path("absent")).is_err());

    let empty = Fixture::new(&[]).await;
    let survey = survey_commit(&empty.mirror, &empty.base).await.unwrap();
    assert_eq!((survey.files, survey.suite_command()), (0, None));
}

#[tokio::test]
async fn fifty_thousand_files() {
    let f = Fixture::new(&[]).await;
    let mut stream = String::from("commit refs/heads/main\ncommitter A <a@b> 1 +0000\ndata 0\n");
    for n in 0..50_000 {
        let text = format!("x = {n}\n");
        let _ = write!(
            stream,
            "M 100644 inline pkg{}/mod{}/file{n}.py\ndata {}\n{text}\n",
            n % 40,
            n % 500,
            text.len()
        );
    }
    stream.push_str("M 100644 inline pyproject.toml\ndata 14\n[tool.pytest]\n\n");
    stream.push_str("M 100644 inline tests/test_a.py\ndata 2\n1\n\n");
    let (ok, _, err) = git_stdin(
        &f.user,
        &["fast-import", "--quiet", "--force"],
        stream.as_bytes(),
    );
    assert!(ok, "{err}");
    let head = fixture::fetch(&f.git, &f.mirror, &f.user).await;
    let start = Instant::now();
    let survey = survey_commit(&f.mirror, &head).await.unwrap();
    println!("survey of 50,000 files: {:?}", start.elapsed());
    assert_eq!(survey.files, 50_002);
    assert_eq!(survey.languages[0].files, 50_001);
    assert_eq!(
        survey.suite_command().unwrap().command,
        "python3 -m pytest -q"
    );
}

#[tokio::test]
async fn texts_of_a_commit_and_of_its_checkout_are_the_same() {
    let f = Fixture::new(&[
        ("src/a.py", "def one(): pass\n"),
        ("logo.bin", "a\0b"),
        ("README.md", "# Words\n"),
    ])
    .await;
    let of_commit = texts_of_commit(&f.mirror, &f.base).await.unwrap();
    let of_dir = texts_of_dir(&f.user).unwrap();
    assert_eq!(of_commit.files, of_dir.files);
    let paths: Vec<&str> = of_commit.files.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(paths, ["README.md", "src/a.py"]);
    assert!(of_commit.is_complete && of_dir.is_complete);

    // Code that is left out is said, so that nobody takes a missing name for one that is nowhere.
    let long = "x = 1\n".repeat(50_000);
    for (path, is_complete) in [("b.py", false), ("b.lock", true), ("vendor/b.py", true)] {
        let f = Fixture::new(&[("a.py", "x = 1\n"), (path, &long)]).await;
        let texts = texts_of_commit(&f.mirror, &f.base).await.unwrap();
        assert_eq!(texts.files.len(), 1, "{path}");
        assert_eq!(texts.is_complete, is_complete, "{path}");
    }
}
