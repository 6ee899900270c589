//! What an attempt may reach outside of its sandbox, and how clients in there are told of the way.

use crate::attempt::SubjectKind;

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

/// Files in which package managers write down what they installed.
const LOCK_FILES: [&str; 13] = [
    "Cargo.lock",
    "Pipfile.lock",
    "bun.lock",
    "bun.lockb",
    "go.sum",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "pdm.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "requirements.lock",
    "uv.lock",
    "yarn.lock",
];

impl EgressMode {
    /// The mode of an attempt at `subject` whose plan names `files`.
    ///
    /// Who plans, judges or checks reaches nothing: what it says must follow from what it was given. Who
    /// works on a task has what the cache holds; a plan that changes a lock file needs new packages.
    pub fn of_attempt(subject: SubjectKind, files: &[String]) -> Self {
        match subject {
            SubjectKind::Task if files.iter().any(|file| is_lock_file(file)) => Self::Registries,
            SubjectKind::Task => Self::Cached,
            SubjectKind::SpecPhase
            | SubjectKind::TaskChecks
            | SubjectKind::BaseSuite
            | SubjectKind::PlanProofs
            | SubjectKind::PlanOpinion
            | SubjectKind::HeadChecks
            | SubjectKind::Merge => Self::Closed,
        }
    }

    /// Whether the attempt has a way out at all.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Closed)
    }
}

/// Whether `path` is a file that says which versions of packages are installed.
pub fn is_lock_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    LOCK_FILES.contains(&name)
}

/// Variables that make package managers go through the proxy at `proxy` and trust the certificate at
/// `certificate`.
///
/// A machine's own settings may name another list of authorities, and some clients take that before their
/// usual variable: so npm has two. What clients ask by themselves, beside what they were told to install,
/// is switched off, since it would be refused.
pub fn client_variables(proxy: &str, certificate: &str) -> Vec<(&'static str, String)> {
    let proxies = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
    let certificates = [
        "NODE_EXTRA_CA_CERTS",
        "npm_config_cafile",
        "PIP_CERT",
        "CARGO_HTTP_CAINFO",
        // Go has no variable of its own.
        "SSL_CERT_FILE",
    ];
    let local = ["NO_PROXY", "no_proxy"];
    let settings = [
        // Toolchains are set up to ask nobody, as checks have nobody to ask: here there is somebody.
        ("CARGO_NET_OFFLINE", "false"),
        ("GOPROXY", "https://proxy.golang.org"),
        ("npm_config_audit", "false"),
        ("npm_config_update_notifier", "false"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ];
    let through = proxies.map(|name| (name, proxy.to_owned()));
    let trusting = certificates.map(|name| (name, certificate.to_owned()));
    let around = local.map(|name| (name, "127.0.0.1,localhost".to_owned()));
    let settings = settings.map(|(name, value)| (name, value.to_owned()));
    through
        .into_iter()
        .chain(trusting)
        .chain(around)
        .chain(settings)
        .collect()
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
    fn a_lock_file_is_known_by_its_whole_name() {
        for (path, expected) in [
            ("Cargo.lock", true),
            ("a/b/go.sum", true),
            ("uv.lock", true),
            ("Cargo.lock/notes.md", false),
            ("my-Cargo.lock", false),
            ("cargo.lock.bak", false),
            ("", false),
        ] {
            assert_eq!(is_lock_file(path), expected, "{path}");
        }
    }
}
