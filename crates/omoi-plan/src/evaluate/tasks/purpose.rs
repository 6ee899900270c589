//! What a simple command is there for: to run the project, to look, to build, or for nothing.

use std::collections::BTreeMap;

use crate::evaluate::tasks::shell::ShellCommand;

/// Programs that look at files and texts, and run nothing of the project.
const UTILITIES: &[&str] = &[
    "[",
    "[[",
    "awk",
    "basename",
    "cat",
    "cd",
    "chmod",
    "chown",
    "cksum",
    "cmp",
    "comm",
    "command",
    "cp",
    "cut",
    "date",
    "diff",
    "dirname",
    "du",
    "egrep",
    "expr",
    "fgrep",
    "file",
    "find",
    "git",
    "grep",
    "gzip",
    "head",
    "id",
    "install",
    "join",
    "jq",
    "kill",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mktemp",
    "mv",
    "od",
    "paste",
    "pwd",
    "read",
    "readlink",
    "realpath",
    "rg",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sha1sum",
    "sha256sum",
    "shasum",
    "sleep",
    "sort",
    "stat",
    "tac",
    "tail",
    "tar",
    "tee",
    "test",
    "touch",
    "tr",
    "type",
    "uniq",
    "wait",
    "wc",
    "which",
    "xxd",
    "yes",
    "zcat",
];

/// Builtins and programs that decide nothing.
const IDLE: &[&str] = &[
    ":", "echo", "eval", "export", "local", "printf", "readonly", "set", "shift", "trap", "true",
    "umask", "ulimit", "unset",
];

/// Programs that start another one.
const STARTERS: &[&str] = &[
    "command", "env", "exec", "nice", "nohup", "stdbuf", "sudo", "timeout", "xargs",
];

/// Compilers and their like.
const COMPILERS: &[&str] = &[
    "ar", "c++", "cc", "clang", "clang++", "cmake", "g++", "gcc", "javac", "kotlinc", "ld",
    "rustc", "swiftc", "tsc", "zig",
];

/// Other tools that come with a language.
const TOOLS: &[&str] = &[
    "bun", "cargo", "deno", "docker", "dotnet", "go", "gradle", "java", "make", "mvn", "node",
    "npm", "npx", "perl", "php", "pip", "pip3", "pnpm", "pytest", "ruby", "yarn",
];

/// What a command is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CommandPurpose {
    /// Nothing that could fail.
    Idles,
    /// Fails, or hands a failure on.
    Fails,
    /// Looks at files and texts.
    Looks,
    /// Compiles.
    Builds,
    /// Runs a program or a test.
    Runs,
    /// Runs a script that the check brings along.
    Script(String),
    /// Runs code that is written into the command.
    Inline(String),
    /// Ends the script as passed.
    EndsWell,
}

/// Whether a look is at what stands in a file, and not only at whether it is there.
pub(super) fn reads_text(command: &ShellCommand) -> bool {
    const READERS: &[&str] = &[
        "awk", "cat", "cmp", "diff", "egrep", "fgrep", "grep", "head", "jq", "rg", "sed", "tail",
        "wc",
    ];
    command
        .words
        .first()
        .is_some_and(|name| READERS.contains(&name.as_str()))
}

/// What `command` is there for; `laid` are the files the check brings along.
pub(super) fn purpose_of(command: &ShellCommand, laid: &BTreeMap<&str, &str>) -> CommandPurpose {
    let mut words: &[String] = &command.words;
    while let [first, rest @ ..] = words
        && STARTERS.contains(&base_name(first))
        && !rest.is_empty()
    {
        let is_own = |word: &&String| {
            word.starts_with('-')
                || word.contains('=')
                || word.starts_with(|c: char| c.is_ascii_digit())
        };
        let n_own = rest.iter().take_while(is_own).count();
        words = &rest[n_own..];
    }
    let [program, arguments @ ..] = words else {
        return CommandPurpose::Idles;
    };
    let name = base_name(program);
    let argument = |n: usize| arguments.get(n).map_or("", String::as_str);
    match name {
        "exit" | "return" => match argument(0) {
            "0" | "" => CommandPurpose::EndsWell,
            _ => CommandPurpose::Fails,
        },
        "false" => CommandPurpose::Fails,
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "." | "source" => shell_run(arguments, laid),
        _ if program.contains('/') && laid_path(program, laid).is_some() => {
            laid_run(laid_path(program, laid).unwrap_or_default(), laid)
        }
        _ if program.starts_with("./") => CommandPurpose::Runs,
        _ if IDLE.contains(&name) => CommandPurpose::Idles,
        _ if UTILITIES.contains(&name) => CommandPurpose::Looks,
        _ => tool_run(name, arguments),
    }
}

fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// The laid file that `path` means.
fn laid_path<'a>(path: &str, laid: &BTreeMap<&'a str, &'a str>) -> Option<&'a str> {
    let path = path.trim_start_matches("./");
    laid.get_key_value(path).map(|(path, _)| *path)
}

/// A laid file is looked into where it is a script of the shell.
fn laid_run(path: &str, laid: &BTreeMap<&str, &str>) -> CommandPurpose {
    let text = laid.get(path).copied().unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let is_other = first.starts_with("#!") && !first.contains("sh");
    if is_other {
        CommandPurpose::Runs
    } else {
        CommandPurpose::Script(path.to_owned())
    }
}

/// `sh -c TEXT`, `sh FILE`, `. FILE`.
fn shell_run(arguments: &[String], laid: &BTreeMap<&str, &str>) -> CommandPurpose {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument.starts_with('-') {
            if argument.ends_with('c') {
                return rest.next().map_or(CommandPurpose::Idles, |text| {
                    CommandPurpose::Script(text.clone())
                });
            }
            continue;
        }
        return laid_path(argument, laid).map_or(CommandPurpose::Runs, |path| {
            CommandPurpose::Script(path.to_owned())
        });
    }
    CommandPurpose::Idles
}

/// Whether a tool only builds, installs or formats with these arguments.
fn builds_only(name: &str, arguments: &[String]) -> bool {
    let has = |word: &str| arguments.iter().any(|a| a == word);
    let plain = arguments
        .iter()
        .find(|a| !a.starts_with(['-', '+']))
        .map_or("", String::as_str);
    match name {
        _ if COMPILERS.contains(&name) => true,
        "cargo" => matches!(
            plain,
            "build" | "check" | "clippy" | "fmt" | "doc" | "b" | "c"
        ),
        "go" => matches!(plain, "build" | "vet" | "fmt" | "install" | "mod" | "list"),
        "dotnet" => matches!(plain, "build" | "restore" | "format"),
        "make" | "gmake" | "ninja" | "just" => {
            let shows = ["test", "check", "verify", "proof", "run", "spec", "accept"];
            !arguments
                .iter()
                .any(|a| shows.iter().any(|s| a.contains(s)))
        }
        "npm" | "yarn" | "pnpm" | "bun" | "npx" => {
            let builds = [
                "build", "lint", "compile", "install", "ci", "tsc", "format", "eslint", "prettier",
            ];
            arguments
                .iter()
                .filter(|a| a.as_str() != "run" && !a.starts_with('-'))
                .take(1)
                .any(|a| {
                    builds
                        .iter()
                        .any(|b| a == b || a.starts_with(&format!("{b}:")))
                })
        }
        "mvn" | "gradle" | "gradlew" => has("compile") || has("assemble") || has("-DskipTests"),
        _ if name.starts_with("python") => has("py_compile") || has("compileall"),
        "node" => has("--check"),
        "php" => has("-l"),
        "ruby" | "perl" => has("-c"),
        _ => false,
    }
}

/// Test runners, interpreters, build tools and everything else.
fn tool_run(name: &str, arguments: &[String]) -> CommandPurpose {
    let has = |word: &str| arguments.iter().any(|a| a == word);
    // Languages and their tools say which they are, whatever the project does.
    let asks_version = !arguments.is_empty()
        && arguments
            .iter()
            .all(|a| ["--help", "--version", "-V", "version"].contains(&a.as_str()));
    let is_tool = COMPILERS.contains(&name) || TOOLS.contains(&name) || name.starts_with("python");
    if asks_version && is_tool {
        return CommandPurpose::Looks;
    }
    // Whatever the runner, no test is run.
    let runs_none = [
        "--collect-only",
        "--dry-run",
        "--list",
        "--no-run",
        "--passWithNoTests",
    ];
    if runs_none.iter().any(|option| has(option)) {
        return CommandPurpose::Builds;
    }
    if builds_only(name, arguments) {
        return CommandPurpose::Builds;
    }
    let takes_code = name.starts_with("python")
        || matches!(name, "node" | "deno" | "bun" | "ruby" | "perl" | "php");
    let flags: &[&str] = if name.starts_with("python") {
        &["-c"]
    } else {
        &["-e", "-r", "-p", "--eval", "--print", "eval"]
    };
    let inline = arguments
        .windows(2)
        .find(|pair| takes_code && flags.contains(&pair[0].as_str()))
        .map(|pair| pair[1].clone());
    inline.map_or(CommandPurpose::Runs, CommandPurpose::Inline)
}
