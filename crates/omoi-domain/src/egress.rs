//! What an attempt may reach outside of its sandbox, and how clients in there are told of the way.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::attempt::SubjectKind;
use crate::lock_file::LockFileKind;

crate::closed_set! {
    /// How far an attempt reaches the registries of packages. Hosts that a person lists are beside it, where
    /// an attempt reaches anything.
    EgressMode {
        /// It reaches nothing.
        Closed = "none",
        /// What was fetched before.
        Cached = "cached",
        /// What registries have.
        Registries = "registries",
    }
}

crate::closed_set! {
    /// What became of something that an attempt asked for.
    EgressOutcome {
        /// A file of a package came in.
        CameIn = "came_in",
        /// It was refused.
        Refused = "refused",
    }
}

/// How far an attempt reaches, with what decided it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EgressDecision {
    /// How far.
    pub mode: EgressMode,
    /// The lock file of the plan that opened the registries.
    pub lock_file: Option<String>,
}

impl EgressDecision {
    /// What holds for an attempt at `subject` whose plan names `files`.
    ///
    /// Who plans, judges or checks reaches nothing: what it says must follow from what it was given. Who
    /// works on a task has what the cache holds; a plan that changes a lock file needs new packages.
    pub fn of_attempt(subject: SubjectKind, files: &[String]) -> Self {
        let named = files.iter().find(|file| is_lock_file(file));
        let (mode, lock_file) = match (subject, named) {
            (SubjectKind::Task, Some(file)) => (EgressMode::Registries, Some(file.clone())),
            (SubjectKind::Task, None) => (EgressMode::Cached, None),
            (
                SubjectKind::SpecPhase
                | SubjectKind::TaskChecks
                | SubjectKind::BaseSuite
                | SubjectKind::PlanProofs
                | SubjectKind::PlanOpinion
                | SubjectKind::HeadChecks
                | SubjectKind::Merge,
                _,
            ) => (EgressMode::Closed, None),
        };
        Self { mode, lock_file }
    }
}

impl fmt::Display for EgressDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = self.mode;
        match (mode, &self.lock_file) {
            (EgressMode::Registries, Some(file)) => write!(f, "{mode}, the plan names `{file}`"),
            (EgressMode::Registries, None) => write!(f, "{mode}"),
            (EgressMode::Cached, _) => write!(f, "{mode}, the plan names no lock file"),
            (EgressMode::Closed, _) => write!(f, "{mode}, for who does not work on a task"),
        }
    }
}

impl EgressMode {
    /// The mode of an attempt at `subject` whose plan names `files`; see [`EgressDecision`].
    pub fn of_attempt(subject: SubjectKind, files: &[String]) -> Self {
        EgressDecision::of_attempt(subject, files).mode
    }

    /// The mode of a set-up in a checkout of somebody's work, for tasks whose plans name `files`: that of the
    /// farthest of their own agents, since what runs there is their work. The set-up of a base commit reaches the registries.
    pub fn of_work_setup(files: &[String]) -> Self {
        Self::of_attempt(SubjectKind::Task, files)
    }

    /// What an agent is told of its network, behind "your sandbox has".
    pub const fn network_words(self, lists_hosts: bool) -> &'static str {
        match (self, lists_hosts) {
            (Self::Closed, _) => "no network",
            (Self::Cached, false) => "no network but the cache of packages",
            (Self::Cached, true) => {
                "no network but the cache of packages and hosts that a person listed"
            }
            (Self::Registries, false) => {
                "no network but the registries of npm, PyPI, crates.io and Go"
            }
            (Self::Registries, true) => {
                "no network but the registries of npm, PyPI, crates.io and Go and hosts that a person listed"
            }
        }
    }

    /// Whether the attempt has a way out at all.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Closed)
    }
}

/// Whether `path` is a file that says which versions of packages are installed.
pub fn is_lock_file(path: &str) -> bool {
    LockFileKind::of_path(path).is_some()
}

/// What clients in a sandbox with a way out are told, beside the address of the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressLaunch {
    /// File of the certificates that they trust, as they see it.
    pub certificate: String,
    /// Hosts of private proxies of Go modules, asked before the public one.
    pub go_proxies: Vec<String>,
    /// Paths of Go modules whose names no public site may hear.
    pub private_modules: Vec<String>,
}

/// Variables that make package managers go through the proxy at `proxy`.
///
/// A machine's own settings may name another list of authorities, and some clients take that before their
/// usual variable: so npm has two. What clients ask by themselves, beside what they were told to install,
/// is switched off, since it would be refused.
pub fn client_variables(proxy: &str, launch: &EgressLaunch) -> Vec<(&'static str, String)> {
    let proxies = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
    let certificates = [
        "NODE_EXTRA_CA_CERTS",
        "npm_config_cafile",
        "PIP_CERT",
        "CARGO_HTTP_CAINFO",
        // Go has no variable of its own, nor has uv.
        "SSL_CERT_FILE",
        // Poetry and whatever else is made of Python's `requests` or of curl.
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ];
    let local = ["NO_PROXY", "no_proxy"];
    let go_proxies = launch.go_proxies.iter().map(String::as_str);
    let go_proxies: Vec<String> = go_proxies
        .chain(["proxy.golang.org"])
        .map(|host| format!("https://{host}"))
        .collect();
    let settings = [
        // Toolchains are set up to ask nobody, as checks have nobody to ask: here there is somebody.
        ("CARGO_NET_OFFLINE", "false"),
        ("npm_config_audit", "false"),
        ("npm_config_update_notifier", "false"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ];
    let through = proxies.map(|name| (name, proxy.to_owned()));
    let trusting = certificates.map(|name| (name, launch.certificate.clone()));
    let around = local.map(|name| (name, "127.0.0.1,localhost".to_owned()));
    let settings = settings.map(|(name, value)| (name, value.to_owned()));
    let mut variables: Vec<_> = through
        .into_iter()
        .chain(trusting)
        .chain(around)
        .chain(settings)
        .collect();
    variables.push(("GOPROXY", go_proxies.join(",")));
    if !launch.private_modules.is_empty() {
        // Without it the client looks their sums up where everybody's are.
        variables.push(("GONOSUMDB", launch.private_modules.join(",")));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_works_on_a_task_has_a_way_out() {
        let lock = ["web/package-lock.json".to_owned()];
        for subject in SubjectKind::ALL {
            let expected = match subject {
                SubjectKind::Task => [EgressMode::Cached, EgressMode::Registries],
                _ => [EgressMode::Closed, EgressMode::Closed],
            };
            let plans: [&[String]; 2] = [&[], &lock];
            let found = plans.map(|files| EgressMode::of_attempt(*subject, files));
            assert_eq!(found, expected, "{subject}");
            assert_eq!(
                found.map(EgressMode::is_open),
                [*subject == SubjectKind::Task; 2]
            );
        }
    }

    #[test]
    fn names_of_private_modules_are_not_looked_up_in_public() {
        let value = |launch: &EgressLaunch, name| {
            let variables = client_variables("http://127.0.0.1:1", launch);
            let mut found = variables.into_iter().filter(|(named, _)| *named == name);
            found.next().map(|(_, value)| value)
        };
        let mut launch = EgressLaunch::default();
        assert_eq!(
            value(&launch, "GOPROXY").as_deref(),
            Some("https://proxy.golang.org")
        );
        assert_eq!(value(&launch, "GONOSUMDB"), None);
        launch.go_proxies.push("go.corp.example".to_owned());
        launch.private_modules = vec!["corp.example".to_owned(), "git.example/team".to_owned()];
        let proxies = "https://go.corp.example,https://proxy.golang.org";
        assert_eq!(value(&launch, "GOPROXY").as_deref(), Some(proxies));
        let private = "corp.example,git.example/team";
        assert_eq!(value(&launch, "GONOSUMDB").as_deref(), Some(private));
    }

    #[test]
    fn an_agent_is_told_its_own_network() {
        for mode in EgressMode::ALL {
            let words = [false, true].map(|lists_hosts| mode.network_words(lists_hosts));
            assert_eq!(words[0] == "no network", !mode.is_open(), "{mode}");
            assert_eq!(words[1].contains("hosts"), mode.is_open(), "{mode}");
            assert!(words.iter().all(|words| words.starts_with("no network")));
        }
    }

    #[test]
    fn the_plan_of_a_task_opens_the_registries_and_says_by_what() {
        let of = |files: &[&str]| {
            let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
            EgressDecision::of_attempt(SubjectKind::Task, &files).to_string()
        };
        for (files, expected) in [
            (&["src/a.py"][..], "cached, the plan names no lock file"),
            (
                &["a.py", "requirements.txt"],
                "registries, the plan names `requirements.txt`",
            ),
            (
                &["api/requirements-dev.txt"],
                "registries, the plan names `api/requirements-dev.txt`",
            ),
            (&["package.json"], "cached, the plan names no lock file"),
        ] {
            assert_eq!(of(files), expected);
        }
        let closed = EgressDecision::of_attempt(SubjectKind::Merge, &["Cargo.lock".to_owned()]);
        assert_eq!(closed.to_string(), "none, for who does not work on a task");
    }
}
