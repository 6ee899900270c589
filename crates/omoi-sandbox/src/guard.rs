//! Places of the machine that no configuration may show to a sandbox.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// Entries of a folder that are looked through for sockets.
const ENTRIES_MAX: usize = 1_000_000;

/// Folders every sandbox has; an account's home there is no home of a person.
const SYSTEM: [&str; 8] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/dev", "/proc",
];

/// Outside of homes: passwords, keys, and where services listen or keep what they know.
const PLACES: [&str; 17] = [
    "/boot",
    "/dev",
    "/etc/gshadow",
    "/etc/shadow",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/proc",
    "/run",
    "/sys",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/run",
    "/var/spool/cron",
];

/// Below a home: credentials and what programs remember of a person.
const PRIVATE: [&str; 26] = [
    ".aws",
    ".azure",
    ".bash_history",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".claude",
    ".codex",
    ".config",
    ".docker",
    ".gem/credentials",
    ".git-credentials",
    ".gnupg",
    ".kube",
    ".local/share/keyrings",
    ".m2/settings.xml",
    ".mozilla",
    ".netrc",
    ".npmrc",
    ".password-store",
    ".pgpass",
    ".pki",
    ".pypirc",
    ".ssh",
    ".thunderbird",
    ".vault-token",
    ".zsh_history",
];

/// Who asked for a folder to be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// The person, in their own configuration.
    Person,
    /// The file of a repository, with the yes of a person.
    Repository,
}

/// Why a path may not be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be shown to a sandbox: {reason}", path.display())]
pub struct GuardRefusal {
    /// The path as it was listed.
    pub path: PathBuf,
    /// Rule that the path breaks, for people.
    pub reason: String,
}

/// Places of this machine that no mount may show. All paths are without symbolic links.
#[derive(Clone, Debug, Default)]
pub struct GuardedPlaces {
    /// Home of the person this process works for.
    own_homes: Vec<PathBuf>,
    /// Homes of all other accounts.
    homes: Vec<PathBuf>,
    /// What nobody may show.
    places: Vec<PathBuf>,
}

impl GuardedPlaces {
    /// The places of this machine: every home of its accounts, and `private` folders of the platform.
    pub fn of_machine(own_home: Option<&Path>, private: &[PathBuf]) -> Self {
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let uid = rustix::process::getuid().as_raw();
        let mut guarded = Self::default();
        if let Some(home) = own_home {
            guarded.own_homes.push(resolve_links(home));
        }
        for (owner, home) in account_homes(&accounts) {
            match owner == uid {
                true => guarded.own_homes.push(resolve_links(&home)),
                false => guarded.homes.push(resolve_links(&home)),
            }
        }
        guarded.homes.push(resolve_links(Path::new("/root")));
        for folder in ["/home", "/Users"] {
            let listed = fs::read_dir(folder).into_iter().flatten().flatten();
            guarded
                .homes
                .extend(listed.map(|entry| resolve_links(&entry.path())));
        }
        let own = guarded.own_homes.clone();
        guarded.homes.retain(|home| !own.contains(home));
        let places = PLACES.iter().map(Path::new);
        guarded.places = places.map(resolve_links).collect();
        guarded.places.extend(PLACES.iter().map(PathBuf::from));
        guarded
            .places
            .extend(private.iter().map(|path| resolve_links(path)));
        guarded
    }

    /// Refuses `path` where it is, holds or lies in a guarded place, is no file or folder, or holds a
    /// socket. Symbolic links are followed first.
    ///
    /// # Errors
    /// [`GuardRefusal`].
    pub fn check_mount(&self, path: &Path, source: MountSource) -> Result<(), GuardRefusal> {
        let refused = |reason: String| GuardRefusal {
            path: path.to_owned(),
            reason,
        };
        let real = fs::canonicalize(path).map_err(|error| refused(error.to_string()))?;
        if let Some(reason) = self.refusal_reason(&real, source) {
            return Err(refused(reason));
        }
        let kind = fs::metadata(&real).map_err(|error| refused(error.to_string()))?;
        if !(kind.is_dir() || kind.is_file()) {
            let reason = "it is a socket or device, not a file or folder";
            return Err(refused(reason.to_owned()));
        }
        match socket_in(&real, ENTRIES_MAX) {
            Ok(None) => Ok(()),
            Ok(Some(socket)) => Err(refused(format!(
                "it holds the socket `{}`, through which a program outside could be reached",
                socket.display()
            ))),
            Err(reason) => Err(refused(reason)),
        }
    }

    /// The rule: `real` has no symbolic links in it.
    fn refusal_reason(&self, real: &Path, source: MountSource) -> Option<String> {
        let touches = |place: &Path| place.starts_with(real) || real.starts_with(place);
        if let Some(place) = self.places.iter().find(|place| touches(place)) {
            return Some(format!("it is, holds or lies in `{}`", place.display()));
        }
        if let Some(home) = self.homes.iter().find(|home| touches(home)) {
            let home = home.display();
            return Some(format!("it is, holds or lies in the home folder `{home}`"));
        }
        for home in &self.own_homes {
            if home.starts_with(real) {
                return Some("it is or holds your home folder".to_owned());
            }
            if !real.starts_with(home) {
                continue;
            }
            if source == MountSource::Repository {
                return Some("it lies in your home folder; list it in your own file".to_owned());
            }
            let mut private = PRIVATE.iter().map(|name| home.join(name));
            if let Some(secret) = private.find(|secret| touches(secret)) {
                let secret = secret.display();
                return Some(format!("it is, holds or lies in `{secret}`"));
            }
        }
        None
    }
}

/// Uid and home of every account whose home is a person's or a service's own folder.
fn account_homes(accounts: &str) -> Vec<(u32, PathBuf)> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let (uid, home) = (fields.get(2)?.parse().ok()?, PathBuf::from(fields.get(5)?));
        let is_own = home.is_absolute()
            && home != Path::new("/")
            && home != Path::new("/nonexistent")
            && !SYSTEM.iter().any(|system| home.starts_with(system));
        is_own.then_some((uid, home))
    };
    accounts.lines().filter_map(parse).collect()
}

fn resolve_links(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The first socket below `root`; links are not followed, since they lead nowhere inside.
fn socket_in(root: &Path, entries_max: usize) -> Result<Option<PathBuf>, String> {
    let mut open = vec![root.to_owned()];
    let mut left = entries_max;
    while let Some(folder) = open.pop() {
        if !folder.is_dir() {
            continue;
        }
        // What cannot be listed by us is listed by no sandbox: its user has fewer rights.
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            left = left.checked_sub(1).ok_or_else(|| {
                format!("it has more than {entries_max} entries to look through for sockets; list the folders below it that are needed")
            })?;
            if kind.is_socket() {
                return Ok(Some(entry.path()));
            }
            if kind.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    const ACCOUNTS: &str = "root:x:0:0:root:/root:/bin/bash\n\
        daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
        nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
        sys:x:3:3:sys:/dev:/usr/sbin/nologin\n\
        postgres:x:105:110::/var/lib/postgresql:/bin/bash\n\
        ada:x:1000:1000::/srv/people/ada:/bin/bash\n\
        broken\n";

    #[test]
    fn accounts_have_homes() {
        let homes: Vec<_> = account_homes(ACCOUNTS)
            .into_iter()
            .map(|(_, home)| home)
            .collect();
        let expected = ["/root", "/var/lib/postgresql", "/srv/people/ada"];
        assert_eq!(homes, expected.map(PathBuf::from));
    }

    fn guarded() -> GuardedPlaces {
        GuardedPlaces {
            own_homes: vec!["/home/own".into()],
            homes: vec!["/root".into(), "/srv/people/ada".into()],
            places: PLACES
                .iter()
                .copied()
                .chain(["/home/own/.local/share/omoios"])
                .map(PathBuf::from)
                .collect(),
        }
    }

    #[test]
    fn homes_and_secrets_are_shown_to_nobody() {
        use MountSource::{Person, Repository};
        let refused =
            |path: &str, source| guarded().refusal_reason(Path::new(path), source).is_some();
        for path in [
            "/",
            "/home",
            "/home/own",
            "/home/own/.ssh",
            "/home/own/.ssh/id_ed25519",
            "/home/own/.cargo",
            "/home/own/.local/share",
            "/home/own/.local/share/omoios/mirrors",
            "/root",
            "/root/x",
            "/srv",
            "/srv/people",
            "/srv/people/ada/src",
            "/etc",
            "/etc/shadow",
            "/var",
            "/run",
            "/run/docker.sock",
            "/run/user/1000/podman/podman.sock",
            "/proc/1",
        ] {
            for source in [Person, Repository] {
                assert!(refused(path, source), "{path} for {source:?}");
            }
        }
        for path in ["/home/own/.cargo/bin", "/home/own/venv"] {
            assert!(!refused(path, Person), "{path}");
            assert!(refused(path, Repository), "{path}");
        }
        for path in ["/opt/tools", "/srv/x", "/etc/ssl/certs"] {
            assert!(!refused(path, Repository), "{path}");
        }
    }

    #[test]
    fn links_are_followed_and_sockets_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let guarded = GuardedPlaces {
            places: vec![real.join("secret")],
            ..GuardedPlaces::default()
        };
        for name in ["secret", "plain/deep", "listens/deep"] {
            fs::create_dir_all(real.join(name)).unwrap();
        }
        symlink(real.join("secret"), real.join("link")).unwrap();
        let _socket = UnixListener::bind(real.join("listens/deep/s")).unwrap();
        let check = |name: &str| guarded.check_mount(&real.join(name), MountSource::Person);
        check("plain").unwrap();
        for (name, reason) in [
            ("link", "lies in"),
            ("listens", "holds the socket"),
            ("listens/deep/s", "is a socket or device"),
            ("gone", "No such file"),
        ] {
            let refused = check(name).unwrap_err().to_string();
            assert!(refused.contains(reason), "{name}: {refused}");
        }
        assert!(socket_in(&real, 2).is_err());
    }
}
