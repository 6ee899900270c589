//! Asking the toolchains themselves where they are, past any version manager.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Host, HostToolchain, Program, plain_programs};
use crate::process::{find_program, probe};
use crate::survey::ToolchainKind;

/// Adds everything `kind` needs; `version` is what the project asks for.
pub(super) async fn add(
    found: &mut HostToolchain,
    host: &Host,
    kind: ToolchainKind,
    version: Option<&str>,
) {
    match kind {
        ToolchainKind::Python => python(found, host, version).await,
        ToolchainKind::Rust => rust(found, host, version).await,
        ToolchainKind::Node => node(found, host).await,
        ToolchainKind::Go => go(found, host).await,
        ToolchainKind::Jvm => jvm(found, host),
        ToolchainKind::Ruby => ruby(found, host).await,
        ToolchainKind::Native
        | ToolchainKind::Deno
        | ToolchainKind::Php
        | ToolchainKind::Dotnet
        | ToolchainKind::Elixir
        | ToolchainKind::Swift
        | ToolchainKind::Zig
        | ToolchainKind::Shell => {}
    }
    for program in plain_programs(kind) {
        found.add_program(host, program);
    }
}

/// The environment a probe runs in. No version manager may install anything.
fn environment(host: &Host, extra: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let mut env = vec![
        ("PATH".into(), host.path.clone()),
        ("LANG".into(), "C.UTF-8".into()),
        ("RUSTUP_AUTO_INSTALL".into(), "0".into()),
        ("GOTOOLCHAIN".into(), "local".into()),
    ];
    env.extend(
        host.home
            .iter()
            .map(|home| ("HOME".into(), home.clone().into())),
    );
    env.extend(host.variables.iter().cloned());
    env.extend(extra.iter().map(|(k, v)| (k.into(), v.into())));
    env
}

/// Runs `name` of the host's path; its answer's lines.
async fn ask(
    host: &Host,
    name: &str,
    args: &[&str],
    extra: &[(&str, &str)],
) -> Option<Vec<String>> {
    let program = find_program(&host.path, name)?;
    let answer = probe(&program, args, &environment(host, extra)).await?;
    Some(answer.lines().map(str::to_owned).collect())
}

fn record(found: &mut HostToolchain, name: &str, path: &Path, version: Option<&str>) {
    found.add_path(path.parent().unwrap_or(Path::new("/")));
    found.programs.push(Program {
        name: name.to_owned(),
        path: path.to_path_buf(),
        version: version.map(|v| v.trim().to_owned()),
    });
}

async fn python(found: &mut HostToolchain, host: &Host, version: Option<&str>) {
    const ASK: &str = "import platform, sys; print(sys.prefix); print(sys.base_prefix); print(platform.python_version())";
    let exact = version.filter(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    let mut answer = None;
    if let Some(version) = exact {
        answer = ask(host, "python3", &["-c", ASK], &[("PYENV_VERSION", version)]).await;
        if answer.is_none() {
            found.notes.push(format!(
                "Python {version} is asked for and not installed; the default is used."
            ));
        }
    }
    if answer.is_none() {
        answer = ask(host, "python3", &["-c", ASK], &[]).await;
    }
    let lines = answer.unwrap_or_default();
    let [prefix, base, said] = lines.as_slice() else {
        found.missing.push("python3".to_owned());
        return;
    };
    // A virtual environment needs the installation it was made from.
    if !(found.add_root(host, Path::new(base)) && found.add_root(host, Path::new(prefix))) {
        found.missing.push("python3".to_owned());
        return;
    }
    record(
        found,
        "python3",
        &Path::new(prefix).join("bin/python3"),
        Some(said),
    );
    // Tests that ran must not leave files behind that look like work.
    found.set("PYTHONDONTWRITEBYTECODE", "1");
}

async fn rust(found: &mut HostToolchain, host: &Host, version: Option<&str>) {
    let asked = version.filter(|v| !v.starts_with('>'));
    let pinned = asked.filter(|v| installed_toolchain(host, v));
    if let (Some(version), None) = (asked, pinned) {
        found.notes.push(format!(
            "Rust {version} is asked for; the default toolchain is used."
        ));
    }
    let extra: Vec<(&str, &str)> = pinned.iter().map(|v| ("RUSTUP_TOOLCHAIN", *v)).collect();
    let sysroot = ask(host, "rustc", &["--print", "sysroot"], &extra).await;
    let Some(sysroot) = sysroot.and_then(|lines| lines.into_iter().next()) else {
        found
            .missing
            .extend(["cargo".to_owned(), "rustc".to_owned()]);
        return;
    };
    let sysroot = PathBuf::from(sysroot);
    if !found.add_root(host, &sysroot) {
        found
            .missing
            .extend(["cargo".to_owned(), "rustc".to_owned()]);
        return;
    }
    let bin = sysroot.join("bin");
    let said = probe(&bin.join("rustc"), &["--version"], &environment(host, &[])).await;
    record(found, "rustc", &bin.join("rustc"), said.as_deref());
    if bin.join("cargo").is_file() {
        record(found, "cargo", &bin.join("cargo"), None);
    } else {
        found.add_program(host, "cargo");
    }
    found.set("CARGO_HOME", "/tmp/cargo");
    found.set("CARGO_NET_OFFLINE", "true");
    found.notes.push(
        "Crates come from the repository itself (vendored or by path); no registry is shown."
            .to_owned(),
    );
}

/// Whether rustup has toolchain `channel`; asking rustup itself could download it.
fn installed_toolchain(host: &Host, channel: &str) -> bool {
    let set = host
        .variables
        .iter()
        .find(|(name, _)| name == "RUSTUP_HOME");
    let at = set.map(|(_, value)| PathBuf::from(value));
    let Some(rustup) = at.or_else(|| Some(host.home.as_ref()?.join(".rustup"))) else {
        return false;
    };
    let Ok(entries) = std::fs::read_dir(rustup.join("toolchains")) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|n| n.strip_prefix(channel));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

async fn node(found: &mut HostToolchain, host: &Host) {
    let ask = ask(
        host,
        "node",
        &["-p", "process.execPath + '\\n' + process.version"],
        &[],
    );
    let lines = ask.await.unwrap_or_default();
    let [program, said] = lines.as_slice() else {
        found.missing.push("node".to_owned());
        return;
    };
    let program = Path::new(program);
    let prefix = program
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("/"));
    if !found.add_root(host, prefix) {
        found.missing.push("node".to_owned());
        return;
    }
    record(found, "node", program, Some(said));
    found.set("npm_config_cache", "/tmp/npm");
    found.set("npm_config_update_notifier", "false");
}

async fn go(found: &mut HostToolchain, host: &Host) {
    let lines = ask(
        host,
        "go",
        &["env", "GOROOT", "GOVERSION"],
        &[("GOCACHE", "/tmp/go-cache")],
    )
    .await;
    let lines = lines.unwrap_or_default();
    let [root, said] = lines.as_slice() else {
        found.missing.push("go".to_owned());
        return;
    };
    if !found.add_root(host, Path::new(root)) {
        found.missing.push("go".to_owned());
        return;
    }
    record(found, "go", &Path::new(root).join("bin/go"), Some(said));
    for (name, value) in [
        ("GOROOT", root.as_str()),
        ("GOPATH", "/tmp/go"),
        ("GOCACHE", "/tmp/go-cache"),
        ("GOTOOLCHAIN", "local"),
        ("GOPROXY", "off"),
    ] {
        found.set(name, value);
    }
    found.notes.push(
        "Go modules come from the repository itself (vendored); no module cache is shown."
            .to_owned(),
    );
}

/// A Java home is where the real `java` is; its configuration may be linked from `/etc`.
fn jvm(found: &mut HostToolchain, host: &Host) {
    let real = find_program(&host.path, "java").and_then(|p| p.canonicalize().ok());
    let home = real
        .as_deref()
        .and_then(Path::parent)
        .and_then(Path::parent);
    let (Some(java), Some(home)) = (&real, home) else {
        found.missing.push("java".to_owned());
        return;
    };
    if !found.add_root(host, home) {
        found.missing.push("java".to_owned());
        return;
    }
    for dir in linked_from_etc(home) {
        found.add_root(host, &dir);
    }
    record(found, "java", java, None);
    found.set("JAVA_HOME", &home.to_string_lossy());
    found.notes.push(
        "Java libraries come from the repository itself; no Maven or Gradle cache is shown."
            .to_owned(),
    );
}

/// The folders `/etc/<name>` that links in `dir` and the folders in it lead to.
fn linked_from_etc(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut look = vec![dir.to_path_buf(), dir.join("lib"), dir.join("conf")];
    while let Some(dir) = look.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let target = entry.path().canonicalize().unwrap_or_default();
            let mut parts = target.components().skip(1);
            if parts.next().is_some_and(|p| p.as_os_str() == "etc")
                && let Some(name) = parts.next()
            {
                let top = Path::new("/etc").join(name);
                if top.is_dir() && !found.contains(&top) {
                    found.push(top);
                }
            }
        }
    }
    found.sort();
    found
}

async fn ruby(found: &mut HostToolchain, host: &Host) {
    const ASK: &str = "puts RbConfig.ruby, RUBY_VERSION, RbConfig::CONFIG['prefix'], *Gem.path";
    let lines = ask(host, "ruby", &["-e", ASK], &[])
        .await
        .unwrap_or_default();
    let [program, said, prefix, gems @ ..] = lines.as_slice() else {
        found.missing.push("ruby".to_owned());
        return;
    };
    if !found.add_root(host, Path::new(prefix)) {
        found.missing.push("ruby".to_owned());
        return;
    }
    for dir in gems.iter().filter(|dir| Path::new(dir).is_dir()) {
        found.add_root(host, Path::new(dir));
    }
    record(found, "ruby", Path::new(program), Some(said));
}
