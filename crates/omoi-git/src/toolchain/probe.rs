//! Asking the toolchains themselves where they are, past any version manager.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{HostEnvironment, HostProgram, HostToolchain, plain_programs};
use crate::process::{find_program, probe_program};
use crate::survey::ToolchainKind;

/// Adds everything `kind` needs; `version` is what the project asks for.
pub(super) async fn add_toolchain(
    toolchain: &mut HostToolchain,
    host: &HostEnvironment,
    kind: ToolchainKind,
    version: Option<&str>,
) {
    match kind {
        ToolchainKind::Python => probe_python(toolchain, host, version).await,
        ToolchainKind::Rust => probe_rust(toolchain, host, version).await,
        ToolchainKind::Node => probe_node(toolchain, host).await,
        ToolchainKind::Go => probe_go(toolchain, host).await,
        ToolchainKind::Jvm => probe_jvm(toolchain, host),
        ToolchainKind::Ruby => probe_ruby(toolchain, host).await,
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
        toolchain.add_program(host, program);
    }
}

/// The environment a probe runs in. No version manager may install anything.
fn probe_environment(host: &HostEnvironment, extra: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
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
async fn ask_program(
    host: &HostEnvironment,
    name: &str,
    args: &[&str],
    extra: &[(&str, &str)],
) -> Option<Vec<String>> {
    let program = find_program(&host.path, name)?;
    let answer = probe_program(&program, args, &probe_environment(host, extra)).await?;
    Some(answer.lines().map(str::to_owned).collect())
}

fn record_program(toolchain: &mut HostToolchain, name: &str, path: &Path, version: Option<&str>) {
    toolchain.add_path(path.parent().unwrap_or(Path::new("/")));
    toolchain.programs.push(HostProgram {
        name: name.to_owned(),
        path: path.to_path_buf(),
        version: version.map(|v| v.trim().to_owned()),
    });
}

async fn probe_python(
    toolchain: &mut HostToolchain,
    host: &HostEnvironment,
    version: Option<&str>,
) {
    const ASK: &str = "import platform, sys; print(sys.prefix); print(sys.base_prefix); print(platform.python_version())";
    let exact = version.filter(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    let mut answer = None;
    if let Some(version) = exact {
        answer = ask_program(host, "python3", &["-c", ASK], &[("PYENV_VERSION", version)]).await;
        if answer.is_none() {
            toolchain.notes.push(format!(
                "Python {version} is asked for and not installed; the default is used."
            ));
        }
    }
    if answer.is_none() {
        answer = ask_program(host, "python3", &["-c", ASK], &[]).await;
    }
    let lines = answer.unwrap_or_default();
    let [prefix, base, reported] = lines.as_slice() else {
        toolchain.missing.push("python3".to_owned());
        return;
    };
    // A virtual environment needs the installation it was made from.
    if !(toolchain.add_root(host, Path::new(base)) && toolchain.add_root(host, Path::new(prefix))) {
        toolchain.missing.push("python3".to_owned());
        return;
    }
    record_program(
        toolchain,
        "python3",
        &Path::new(prefix).join("bin/python3"),
        Some(reported),
    );
    // Tests that ran must not leave files behind that look like work.
    toolchain.set_variable("PYTHONDONTWRITEBYTECODE", "1");
}

async fn probe_rust(toolchain: &mut HostToolchain, host: &HostEnvironment, version: Option<&str>) {
    let asked = version.filter(|v| !v.starts_with('>'));
    let pinned = asked.filter(|v| installed_toolchain(host, v));
    if let (Some(version), None) = (asked, pinned) {
        toolchain.notes.push(format!(
            "Rust {version} is asked for; the default toolchain is used."
        ));
    }
    let extra: Vec<(&str, &str)> = pinned.iter().map(|v| ("RUSTUP_TOOLCHAIN", *v)).collect();
    let sysroot = ask_program(host, "rustc", &["--print", "sysroot"], &extra).await;
    let Some(sysroot) = sysroot.and_then(|lines| lines.into_iter().next()) else {
        toolchain
            .missing
            .extend(["cargo".to_owned(), "rustc".to_owned()]);
        return;
    };
    let sysroot = PathBuf::from(sysroot);
    if !toolchain.add_root(host, &sysroot) {
        toolchain
            .missing
            .extend(["cargo".to_owned(), "rustc".to_owned()]);
        return;
    }
    let bin = sysroot.join("bin");
    let reported = probe_program(
        &bin.join("rustc"),
        &["--version"],
        &probe_environment(host, &[]),
    )
    .await;
    record_program(toolchain, "rustc", &bin.join("rustc"), reported.as_deref());
    if bin.join("cargo").is_file() {
        record_program(toolchain, "cargo", &bin.join("cargo"), None);
    } else {
        toolchain.add_program(host, "cargo");
    }
    toolchain.set_variable("CARGO_HOME", "/tmp/cargo");
    toolchain.set_variable("CARGO_NET_OFFLINE", "true");
    toolchain.notes.push(
        "Checks have no registry: crates come from the repository itself (vendored or by path)."
            .to_owned(),
    );
}

/// Whether rustup has toolchain `channel`; asking rustup itself could download it.
fn installed_toolchain(host: &HostEnvironment, channel: &str) -> bool {
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

async fn probe_node(toolchain: &mut HostToolchain, host: &HostEnvironment) {
    let ask = ask_program(
        host,
        "node",
        &["-p", "process.execPath + '\\n' + process.version"],
        &[],
    );
    let lines = ask.await.unwrap_or_default();
    let [program, reported] = lines.as_slice() else {
        toolchain.missing.push("node".to_owned());
        return;
    };
    let program = Path::new(program);
    let prefix = program
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("/"));
    if !toolchain.add_root(host, prefix) {
        toolchain.missing.push("node".to_owned());
        return;
    }
    record_program(toolchain, "node", program, Some(reported));
    toolchain.set_variable("npm_config_cache", "/tmp/npm");
    toolchain.set_variable("npm_config_update_notifier", "false");
}

async fn probe_go(toolchain: &mut HostToolchain, host: &HostEnvironment) {
    let lines = ask_program(
        host,
        "go",
        &["env", "GOROOT", "GOVERSION"],
        &[("GOCACHE", "/tmp/go-cache")],
    )
    .await;
    let lines = lines.unwrap_or_default();
    let [root, reported] = lines.as_slice() else {
        toolchain.missing.push("go".to_owned());
        return;
    };
    if !toolchain.add_root(host, Path::new(root)) {
        toolchain.missing.push("go".to_owned());
        return;
    }
    record_program(
        toolchain,
        "go",
        &Path::new(root).join("bin/go"),
        Some(reported),
    );
    for (name, value) in [
        ("GOROOT", root.as_str()),
        ("GOPATH", "/tmp/go"),
        ("GOCACHE", "/tmp/go-cache"),
        ("GOTOOLCHAIN", "local"),
        ("GOPROXY", "off"),
    ] {
        toolchain.set_variable(name, value);
    }
    toolchain.notes.push(
        "Checks have no module cache: Go modules come from the repository itself (vendored)."
            .to_owned(),
    );
}

/// A Java home is where the real `java` is; its configuration may be linked from `/etc`.
fn probe_jvm(toolchain: &mut HostToolchain, host: &HostEnvironment) {
    let real = find_program(&host.path, "java").and_then(|p| p.canonicalize().ok());
    let home = real
        .as_deref()
        .and_then(Path::parent)
        .and_then(Path::parent);
    let (Some(java), Some(home)) = (&real, home) else {
        toolchain.missing.push("java".to_owned());
        return;
    };
    if !toolchain.add_root(host, home) {
        toolchain.missing.push("java".to_owned());
        return;
    }
    for dir in linked_from_etc(home) {
        toolchain.add_root(host, &dir);
    }
    record_program(toolchain, "java", java, None);
    toolchain.set_variable("JAVA_HOME", &home.to_string_lossy());
    toolchain.notes.push(
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

async fn probe_ruby(toolchain: &mut HostToolchain, host: &HostEnvironment) {
    const ASK: &str = "puts RbConfig.ruby, RUBY_VERSION, RbConfig::CONFIG['prefix'], *Gem.path";
    let lines = ask_program(host, "ruby", &["-e", ASK], &[])
        .await
        .unwrap_or_default();
    let [program, reported, prefix, gems @ ..] = lines.as_slice() else {
        toolchain.missing.push("ruby".to_owned());
        return;
    };
    if !toolchain.add_root(host, Path::new(prefix)) {
        toolchain.missing.push("ruby".to_owned());
        return;
    }
    for dir in gems.iter().filter(|dir| Path::new(dir).is_dir()) {
        toolchain.add_root(host, Path::new(dir));
    }
    record_program(toolchain, "ruby", Path::new(program), Some(reported));
}
