//! When a command fails because the machine lacks something, not because the code is wrong.

use std::sync::LazyLock;

use regex::Regex;

use crate::block::SpecBlock;

/// Something a sandbox does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingPart {
    /// A program that is not on the program path.
    Program(String),
    /// A package of a language.
    Package {
        /// `python`, `node` or `rust`.
        language: &'static str,
        /// Its name, as the code asks for it.
        name: String,
    },
}

impl MissingPart {
    /// Name of the program or package.
    pub fn name(&self) -> &str {
        match self {
            Self::Program(name) | Self::Package { name, .. } => name,
        }
    }

    /// What it is, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Program(name) => format!("the program `{name}`"),
            Self::Package { language, name } => format!("the {language} package `{name}`"),
        }
    }

    /// How to give it to the sandbox, where `setup_failure` says why packages were not installed, if that was tried.
    pub fn remedy(&self, setup_failure: Option<&str>) -> String {
        let show = "name its folder in `sandbox.read_only` of your own configuration";
        if let (Self::Package { .. }, Some(failure)) = (self, setup_failure) {
            return format!("{failure}; mend that; `omoi setup` tries it again");
        }
        let elsewhere = match self {
            Self::Program(name) => return format!("install `{name}` and {show}"),
            Self::Package { language, name } => match *language {
                "python" => format!(
                    "install `{name}` into a folder, {show}, and start the suite with it: \
                     --suite 'PYTHONPATH=<folder> …'"
                ),
                "node" => format!(
                    "install the packages into a folder `node_modules`, {show}, and start the suite \
                     with it: --suite 'ln -s <folder>/node_modules . && …'"
                ),
                _ => format!(
                    "put the crates into a folder with `cargo vendor`, {show}, and start the suite \
                     with it: --suite 'cargo --config <folder>/config.toml …'"
                ),
            },
        };
        format!(
            "name the commands that install it in `setup:` of `.omoi.yaml`, or lock it where a set-up finds it; or \
             {elsewhere}"
        )
    }
}

crate::constant_patterns! {
    static PYTHON = r"(?m)^(?:E\s+)?ModuleNotFoundError: No module named '([\w.]+)'|^\S*python\S*: No module named ([\w.]+)";
    static NODE = r"Cannot find module '([^'./][^']*)'|Cannot find package '([^'./][^']*)'";
    static RUST = r"no matching package named `([^`]+)` found|failed to (?:get|load source for dependency) `([^`]+)`|failed to download `([^` ]+)[^`]*`";
    static SHELL = r"(?m)^(?:\S*sh: (?:line )?\d+: |\S*sh: )([\w.+/-]+): (?:command )?not found|env: ‘?'?([\w.+-]+)'?’?: No such file";
}

/// Where a message names what is missing: the language, and a pattern whose first group that matched
/// is the name.
static MESSAGES: &[(&str, &LazyLock<Regex>)] = &[
    ("python", &PYTHON),
    ("node", &NODE),
    ("rust", &RUST),
    ("", &SHELL),
];

/// Begins the output of a command that ran without its packages.
const PACKAGES_MISSING: &str = "[packages are missing: ";

/// The first line of the output of a command that ran without its packages, since their set-up failed for `why`.
pub fn missing_packages_line(why: &str) -> String {
    format!("{PACKAGES_MISSING}{}]\n", why.replace(['\n', '\r'], " "))
}

/// Why the packages of a command were missing that printed `output`, if they were.
pub fn missing_packages_reason(output: &str) -> Option<&str> {
    let (first, _) = output.split_once('\n')?;
    first.strip_prefix(PACKAGES_MISSING)?.strip_suffix(']')
}

/// Names what a failed command says is missing; none when it failed for another reason.
pub fn missing_part(output: &str) -> Option<MissingPart> {
    MESSAGES.iter().find_map(|(language, pattern)| {
        let groups = pattern.captures(output)?;
        let name = groups.iter().skip(1).flatten().next()?.as_str().to_owned();
        Some(match *language {
            "" => MissingPart::Program(name),
            language => MissingPart::Package { language, name },
        })
    })
}

/// Whether what is missing is the machine's to have: a program that is no file of the repository, or
/// a package that a manifest of it names. A package nobody declared is the author's mistake.
pub fn is_environment_fault(missing: &MissingPart, tracked: &[String], manifests: &str) -> bool {
    let top = |name: &str| {
        let end = name.find(['.', '/']).filter(|_| !name.starts_with('@'));
        name[..end.unwrap_or(name.len())].to_owned()
    };
    match missing {
        MissingPart::Program(name) => {
            !name.contains('/') && !tracked.iter().any(|path| path.ends_with(name.as_str()))
        }
        MissingPart::Package { name, .. } => {
            let wanted = normalise_package(&top(name));
            let own = |path: &String| {
                let mut parts = path.split('/');
                let first = parts.next().unwrap_or_default();
                normalise_package(first.trim_end_matches(".py")) == wanted
            };
            !tracked.iter().any(own)
                && manifests
                    .split(|c: char| !(c.is_alphanumeric() || "-_@/.".contains(c)))
                    .any(|word| normalise_package(word) == wanted)
        }
    }
}

/// Package names ignore case and take `-`, `_` and `.` for one another.
fn normalise_package(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

/// What a person is told when the suite does not pass on the base commit.
pub fn base_refusal(command: &str, ending: &str, output: &str, acceptable: bool) -> String {
    let mut refusal = format!(
        "{}: `{command}` does not pass on the base commit ({ending})",
        SpecBlock::SuiteRed
    );
    if let Some(missing) = missing_part(output) {
        refusal.push_str(&format!(
            "; it lacks {}: {}",
            missing.describe(),
            missing.remedy(missing_packages_reason(output))
        ));
    }
    let accept = if acceptable {
        "; --accept-red goes on and counts new failures only"
    } else {
        "; its failures cannot be told apart by name, so --accept-red cannot help"
    };
    refusal.push_str("; --suite CMD runs another command, --suite none none");
    refusal.push_str(accept);
    refusal
}
