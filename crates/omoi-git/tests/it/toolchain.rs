use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use omoi_git::survey::survey_dir;
use omoi_git::toolchain::{HostEnvironment, resolve_toolchain};

use crate::fixture::write;

/// A program that answers with `text` whatever it is asked.
fn program(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\ncat <<'EOF'\n{text}\nEOF\n")).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A host whose tools all live below its home, reached through shims as version managers do.
#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn finds_the_narrowest_roots_and_never_the_home() {
    let tmp = TempDir::new().unwrap();
    let home = tmp.path().canonicalize().unwrap().join("people/ann");
    let at = |path: &str| home.join(path);
    let text = |path: &str| at(path).display().to_string();

    program(
        &at(".rustup/toolchains/1.90.0-x86_64/bin/rustc"),
        "rustc 1.90.0",
    );
    program(
        &at(".rustup/toolchains/1.90.0-x86_64/bin/cargo"),
        "cargo 1.90.0",
    );
    program(
        &at(".cargo/bin/rustc"),
        &text(".rustup/toolchains/1.90.0-x86_64"),
    );
    program(&at(".cargo/bin/cargo"), "shim");
    program(&at(".pyenv/versions/3.12.1/bin/python3"), "real");
    let prefix = text(".pyenv/versions/3.12.1");
    program(
        &at(".pyenv/shims/python3"),
        &format!("{prefix}\n{prefix}\n3.12.1"),
    );
    program(&at(".nvm/v20/bin/npm"), "10");
    program(
        &at(".nvm/v20/bin/node"),
        &format!("{}\nv20.1.0", text(".nvm/v20/bin/node")),
    );
    program(&at("go/bin/go"), &format!("{}\ngo1.22", text("go")));
    program(&at(".cargo/bin/just"), "just 1");

    let repo = tmp.path().join("repo");
    write(
        &repo,
        &[
            ("Cargo.toml", "[package]\n"),
            ("rust-toolchain", "1.90.0\n"),
            ("a.rs", "x"),
            ("pyproject.toml", "[project]\n"),
            ("a.py", "x"),
            ("package.json", r#"{"scripts":{"test":"x"}}"#),
            ("go.mod", "module x\n"),
            ("justfile", "test: a\n"),
        ],
    );
    let survey = survey_dir(&repo).unwrap();
    let paths = [".cargo/bin", ".pyenv/shims", ".nvm/v20/bin", "go/bin"]
        .map(text)
        .join(":");
    let host = HostEnvironment {
        path: format!("{paths}:/usr/bin:/bin").into(),
        home: Some(home.clone()),
        variables: Vec::new(),
    };
    let found = resolve_toolchain(&survey, &host).await;
    let roots: Vec<_> = found
        .roots
        .iter()
        .map(|r| r.strip_prefix(&home).unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        roots,
        [
            ".nvm/v20",
            ".pyenv/versions/3.12.1",
            ".rustup/toolchains/1.90.0-x86_64",
            "go"
        ]
    );
    for entry in [
        ".nvm/v20/bin",
        ".pyenv/versions/3.12.1/bin",
        ".rustup/toolchains/1.90.0-x86_64/bin",
        "go/bin",
    ] {
        assert!(
            found.path_entries.contains(&at(entry)),
            "{:?}",
            found.path_entries
        );
    }
    // `just` can only be had together with the folder that holds cargo's credentials.
    assert_eq!(found.missing, ["just"]);
    assert!(
        found.notes.iter().any(|n| n.contains("credentials")),
        "{:?}",
        found.notes
    );
    assert!(
        found
            .env
            .contains(&("CARGO_HOME".into(), "/tmp/cargo".into()))
    );
    let version = |name: &str| {
        found
            .programs
            .iter()
            .find(|p| p.name == name)
            .and_then(|p| p.version.clone())
    };
    assert_eq!(version("rustc").as_deref(), Some("rustc 1.90.0"));
    assert_eq!(version("python3").as_deref(), Some("3.12.1"));
    assert_eq!(version("go").as_deref(), Some("go1.22"));

    // The home itself as prefix is refused, whatever a tool claims.
    program(
        &at(".pyenv/shims/python3"),
        &format!("{0}\n{0}\n3.12.1", home.display()),
    );
    let found = resolve_toolchain(&survey, &host).await;
    assert!(found.missing.contains(&"python3".to_owned()));
    assert!(!found.roots.contains(&home));

    let nothing = HostEnvironment::default();
    let found = resolve_toolchain(&survey, &nothing).await;
    assert!(found.roots.is_empty() && found.programs.is_empty());
    for name in [
        "cargo", "rustc", "python3", "node", "npm", "go", "cc", "just",
    ] {
        assert!(
            found.missing.iter().any(|m| m == name),
            "{name}: {:?}",
            found.missing
        );
    }
}
