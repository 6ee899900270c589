//! Servers that this person signed in to: their addresses in one file, the key to each in a file of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{ApiKeyId, OrgId};
use omoi_runtime::files;
use reqwest::Url;
use rustix::fs::OFlags;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// The name that stands for the data folder of this machine; no server is called so.
pub(crate) const LOCAL_PROFILE: &str = "local";
/// Characters of a profile's name, at most.
const NAME_CHARS_MAX: usize = 64;
/// The file with the addresses.
const PROFILES: &str = "profiles.json";
/// The folder with the keys.
const CREDENTIALS: &str = "credentials";

/// Why servers that this person signed in to cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    /// A file or folder cannot be read or made.
    #[error("`{}` cannot be used", path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not what this program wrote.
    #[error("`{}` does not list profiles", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A file could not be stored.
    #[error("a profile could not be stored")]
    NotStored(#[from] files::ReplaceError),
    /// No server is called so.
    #[error("there is no profile `{0}`")]
    Unknown(String),
    /// A name that could be no file's, or is the data folder's.
    #[error(
        "`{0}` is no name of a profile: up to 64 letters, digits, `.`, `-` and `_`, and not `local`"
    )]
    Name(String),
    /// The key is for another address: a sign-in was cut short.
    #[error("the key of the profile `{0}` is for another address")]
    OtherAddress(String),
    /// Others may read the key.
    #[error("the key in `{}` is not this person's alone: it must be a plain file of theirs, of mode 0600", path.display())]
    Exposed {
        /// The file with the key.
        path: PathBuf,
    },
}

/// Why a text is no address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// It is none at all.
    #[error("`{0}` is no address of a server, such as https://omoi.example.org")]
    Unreadable(String),
    /// A key would cross a network as it is.
    #[error("`{0}` is reached over plain http, which shows keys to the network")]
    Exposed(String),
}

/// An address of a server that credentials may be sent to: `https`, or this machine's loopback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ServerAddress(Url);

impl ServerAddress {
    /// The host with its port where it is not the usual one, as the name of a profile.
    pub(crate) fn profile_name(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']).replace(':', "_");
        match self.0.port() {
            Some(port) => format!("{host}-{port}"),
            None => host,
        }
    }

    /// The address without a slash at its end.
    pub(crate) fn base_text(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Whether it is reached over TLS; else it is on this machine.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether only this machine reaches it.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreadable = || AddressError::Unreadable(text.to_owned());
        let url = Url::parse(text).map_err(|_| unreadable())?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_plain || url.host_str().is_none_or(str::is_empty) {
            return Err(unreadable());
        }
        let scheme = url.scheme().to_owned();
        let address = Self(url);
        match scheme.as_str() {
            "https" => Ok(address),
            "http" if address.is_loopback() => Ok(address),
            "http" => Err(AddressError::Exposed(text.to_owned())),
            _ => Err(unreadable()),
        }
    }
}

impl TryFrom<String> for ServerAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ServerAddress> for String {
    fn from(address: ServerAddress) -> Self {
        address.base_text().to_owned()
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base_text())
    }
}

/// A server that this person signed in to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerProfile {
    /// Where it answers.
    pub(crate) url: ServerAddress,
    /// Who signed in, as the server calls them.
    pub(crate) account: String,
    /// Row id of the key there, where this program made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_id: Option<ApiKeyId>,
    /// The organisation that commands act in there, where one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<OrgId>,
}

/// A key with the one address that it is sent to: both are replaced in one step.
#[derive(Serialize, Deserialize)]
struct AddressedKey {
    url: ServerAddress,
    key: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct ProfileFile {
    /// The one in use; none for the data folder of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    profiles: BTreeMap<String, ServerProfile>,
}

/// The profiles of one person.
#[derive(Debug)]
pub(crate) struct ServerProfiles {
    folder: PathBuf,
    file: ProfileFile,
}

impl ServerProfiles {
    /// Reads the profiles in `folder`; where nobody signed in yet, there are none.
    pub(crate) fn load_from(folder: &Path) -> Result<Self, ProfileError> {
        let path = folder.join(PROFILES);
        let file = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| ProfileError::Damaged { path, source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => ProfileFile::default(),
            Err(source) => return Err(ProfileError::Unusable { path, source }),
        };
        Ok(Self {
            folder: folder.to_owned(),
            file,
        })
    }

    /// The name of the one in use; none for the data folder of this machine.
    pub(crate) fn current_name(&self) -> Option<&str> {
        self.file.current.as_deref()
    }

    /// Every profile, by name.
    pub(crate) fn list_profiles(&self) -> impl Iterator<Item = (&str, &ServerProfile)> {
        self.file
            .profiles
            .iter()
            .map(|(name, profile)| (name.as_str(), profile))
    }

    /// The profile called `name`.
    pub(crate) fn find_profile(&self, name: &str) -> Result<&ServerProfile, ProfileError> {
        let unknown = || ProfileError::Unknown(name.to_owned());
        self.file.profiles.get(name).ok_or_else(unknown)
    }

    /// The key to the server called `name`.
    pub(crate) fn read_key(&self, name: &str) -> Result<SecretString, ProfileError> {
        let profile = self.find_profile(name)?;
        let path = self.key_path(name);
        let unusable = |source| ProfileError::Unusable {
            path: path.clone(),
            source,
        };
        // A link could lead to a file that others write.
        let no_links = OFlags::NOFOLLOW.bits() as i32;
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(no_links)
            .open(&path)
            .map_err(unusable)?;
        let about = file.metadata().map_err(unusable)?;
        let is_own = about.uid() == rustix::process::geteuid().as_raw();
        if !about.is_file() || about.mode() & 0o077 != 0 || !is_own {
            return Err(ProfileError::Exposed { path });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unusable)?;
        let stored: AddressedKey =
            serde_json::from_str(&text).map_err(|source| ProfileError::Damaged { path, source })?;
        match stored.url == profile.url {
            true => Ok(stored.key.into()),
            false => Err(ProfileError::OtherAddress(name.to_owned())),
        }
    }

    /// Stores a server with the key to it, and uses it from now on. Whoever signs in again acts in the organisation that
    /// they chose before.
    pub(crate) fn store_profile(
        folder: &Path,
        name: &str,
        mut profile: ServerProfile,
        key: &SecretString,
    ) -> Result<(), ProfileError> {
        check_name(name)?;
        let _lock = lock_folder(folder)?;
        let mut all = Self::load_from(folder)?;
        if let Ok(earlier) = all.find_profile(name)
            && (&earlier.url, &earlier.account) == (&profile.url, &profile.account)
        {
            profile.organization = profile.organization.or(earlier.organization);
        }
        make_folder(&folder.join(CREDENTIALS))?;
        let path = all.key_path(name);
        let stored = AddressedKey {
            url: profile.url.clone(),
            key: key.expose_secret().to_owned(),
        };
        let damaged = |source| ProfileError::Damaged {
            path: path.clone(),
            source,
        };
        let line = serde_json::to_vec(&stored).map_err(damaged)?;
        files::replace_file(CrashPoint::FileReplaced, &path, &line, 0o600)?;
        all.file.profiles.insert(name.to_owned(), profile);
        all.file.current = Some(name.to_owned());
        all.write_file()
    }

    /// Uses the server called `name` from now on, or the data folder of this machine.
    pub(crate) fn use_profile(folder: &Path, name: &str) -> Result<(), ProfileError> {
        let _lock = lock_folder(folder)?;
        let mut all = Self::load_from(folder)?;
        all.file.current = match name {
            LOCAL_PROFILE => None,
            name => {
                all.find_profile(name)?;
                Some(name.to_owned())
            }
        };
        all.write_file()
    }

    /// Has commands act in `organization` of the server called `name` from now on.
    pub(crate) fn use_organization(
        folder: &Path,
        name: &str,
        organization: OrgId,
    ) -> Result<(), ProfileError> {
        let _lock = lock_folder(folder)?;
        let mut all = Self::load_from(folder)?;
        let unknown = || ProfileError::Unknown(name.to_owned());
        let profile = all.file.profiles.get_mut(name).ok_or_else(unknown)?;
        profile.organization = Some(organization);
        all.write_file()
    }

    /// Forgets the server called `name`, and the key to it.
    pub(crate) fn remove_profile(folder: &Path, name: &str) -> Result<(), ProfileError> {
        let _lock = lock_folder(folder)?;
        let mut all = Self::load_from(folder)?;
        all.find_profile(name)?;
        all.file.profiles.remove(name);
        if all.current_name() == Some(name) {
            all.file.current = None;
        }
        all.write_file()?;
        let path = all.key_path(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(ProfileError::Unusable { path, source }),
        }
    }

    fn key_path(&self, name: &str) -> PathBuf {
        self.folder.join(CREDENTIALS).join(name)
    }

    fn write_file(&self) -> Result<(), ProfileError> {
        let path = self.folder.join(PROFILES);
        let damaged = |source| ProfileError::Damaged {
            path: path.clone(),
            source,
        };
        let mut text = serde_json::to_vec_pretty(&self.file).map_err(damaged)?;
        text.push(b'\n');
        Ok(files::replace_file(
            CrashPoint::FileReplaced,
            &path,
            &text,
            0o600,
        )?)
    }
}

/// Refuses a name that could lead out of the folder of keys.
pub(crate) fn check_name(name: &str) -> Result<(), ProfileError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_short = (1..=NAME_CHARS_MAX).contains(&name.len());
    match is_short && name.chars().all(is_word) && !name.starts_with('.') && name != LOCAL_PROFILE {
        true => Ok(()),
        false => Err(ProfileError::Name(name.to_owned())),
    }
}

fn make_folder(path: &Path) -> Result<(), ProfileError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| ProfileError::Unusable {
        path: path.to_owned(),
        source,
    })
}

/// Keeps other commands from changing profiles until it is dropped.
fn lock_folder(folder: &Path) -> Result<File, ProfileError> {
    make_folder(folder)?;
    let unusable = |source| ProfileError::Unusable {
        path: folder.to_owned(),
        source,
    };
    let lock = File::open(folder).map_err(unusable)?;
    lock.lock().map_err(unusable)?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn profile() -> ServerProfile {
        ServerProfile {
            url: "https://omoi.example.org".parse().unwrap(),
            account: "ada@example.org".to_owned(),
            key_id: None,
            organization: None,
        }
    }

    #[test]
    fn credentials_go_over_https_or_stay_on_this_machine() {
        for (text, name) in [
            ("https://omoi.example.org/", "omoi.example.org"),
            (
                "https://omoi.example.org:8443/team",
                "omoi.example.org-8443",
            ),
            ("http://127.0.0.1:8000", "127.0.0.1-8000"),
            ("http://localhost:8000", "localhost-8000"),
            ("http://[::1]:8000", "__1-8000"),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert_eq!(address.profile_name(), name);
            check_name(name).unwrap();
        }
        for text in [
            "http://omoi.example.org",
            "http://10.0.0.1:8000",
            "http://localhost.example.org",
        ] {
            let refused = text.parse::<ServerAddress>().unwrap_err();
            assert_eq!(refused, AddressError::Exposed(text.to_owned()));
        }
        for text in [
            "omoi.example.org",
            "ftp://omoi",
            "https://ada:pw@omoi.example.org",
            "https://omoi/?token=1",
            "",
        ] {
            let refused = text.parse::<ServerAddress>().unwrap_err();
            assert_eq!(refused, AddressError::Unreadable(text.to_owned()));
        }
    }

    #[test]
    fn a_key_is_read_only_where_nobody_else_reads_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("omoios");
        let key = SecretString::from("sk_live_1");
        ServerProfiles::store_profile(&folder, "team", profile(), &key).unwrap();
        let all = ServerProfiles::load_from(&folder).unwrap();
        assert_eq!(all.current_name(), Some("team"));
        assert_eq!(all.read_key("team").unwrap().expose_secret(), "sk_live_1");
        let path = folder.join(CREDENTIALS).join("team");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            all.read_key("team"),
            Err(ProfileError::Exposed { .. })
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&path, home.path().join("elsewhere")).unwrap();
        symlink(home.path().join("elsewhere"), &path).unwrap();
        assert!(all.read_key("team").is_err());
    }

    #[test]
    fn a_key_goes_to_its_own_address_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        let key = SecretString::from("sk_live_1");
        ServerProfiles::store_profile(folder, "team", profile(), &key).unwrap();
        let profiles = fs::read(folder.join(PROFILES)).unwrap();
        let moved = ServerProfile {
            url: "https://elsewhere.example".parse().unwrap(),
            ..profile()
        };
        ServerProfiles::store_profile(folder, "team", moved, &key).unwrap();
        // As where the second file of a sign-in was not written any more.
        fs::write(folder.join(PROFILES), profiles).unwrap();
        let all = ServerProfiles::load_from(folder).unwrap();
        let refused = all.read_key("team");
        assert!(matches!(refused, Err(ProfileError::OtherAddress(_))));
    }

    #[test]
    fn a_chosen_organisation_stays_when_the_same_account_signs_in_again() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        let key = SecretString::from("sk_live_1");
        let chosen = || {
            let all = ServerProfiles::load_from(folder).unwrap();
            all.find_profile("team").unwrap().organization
        };
        ServerProfiles::store_profile(folder, "team", profile(), &key).unwrap();
        assert!(ServerProfiles::use_organization(folder, "nobody", OrgId::LOCAL).is_err());
        ServerProfiles::use_organization(folder, "team", OrgId::LOCAL).unwrap();
        ServerProfiles::store_profile(folder, "team", profile(), &key).unwrap();
        assert_eq!(chosen(), Some(OrgId::LOCAL));
        let another = ServerProfile {
            account: "bob@example.org".to_owned(),
            ..profile()
        };
        ServerProfiles::store_profile(folder, "team", another, &key).unwrap();
        assert_eq!(chosen(), None);
    }

    #[test]
    fn profiles_are_chosen_and_forgotten_by_name() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        let key = SecretString::from("sk_live_1");
        for name in ["local", "", "..", ".team", "a/b", "a b"] {
            let refused = ServerProfiles::store_profile(folder, name, profile(), &key);
            assert!(matches!(refused, Err(ProfileError::Name(_))), "{name}");
        }
        for name in ["team", "staging"] {
            ServerProfiles::store_profile(folder, name, profile(), &key).unwrap();
        }
        let current = || {
            let all = ServerProfiles::load_from(folder).unwrap();
            all.current_name().map(ToOwned::to_owned)
        };
        assert_eq!(current().as_deref(), Some("staging"));
        assert!(ServerProfiles::use_profile(folder, "nobody").is_err());
        ServerProfiles::use_profile(folder, LOCAL_PROFILE).unwrap();
        assert_eq!(current(), None);
        ServerProfiles::use_profile(folder, "team").unwrap();
        ServerProfiles::remove_profile(folder, "team").unwrap();
        assert_eq!(current(), None);
        assert!(!folder.join(CREDENTIALS).join("team").exists());
        let all = ServerProfiles::load_from(folder).unwrap();
        assert_eq!(all.list_profiles().count(), 1);
        fs::write(folder.join(PROFILES), "{").unwrap();
        assert!(matches!(
            ServerProfiles::load_from(folder),
            Err(ProfileError::Damaged { .. })
        ));
    }
}
