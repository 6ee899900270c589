//! Which server a command asks, if it asks one at all.

use std::path::{Path, PathBuf};

use omoi_domain::id::OrgId;
use secrecy::{ExposeSecret as _, SecretString};

use super::CommandContext;
use super::error_report::UsageError;
use crate::ErrorHint;
use crate::server_profiles::{LOCAL_PROFILE, ServerAddress, ServerProfiles};

/// Address of the server to ask.
const API_URL: &str = "OMOI_API_URL";
/// The key for it.
const API_KEY: &str = "OMOI_API_KEY";
/// Variables that name data of this machine.
const LOCAL_DATA: [&str; 2] = ["OMOI_DATA_DIR", "DATABASE_URL"];
/// Characters of the token of a data folder, all of them hexadecimal; credentials of accounts are written otherwise.
const FOLDER_TOKEN_CHARS: usize = 64;

/// A server, and what opens it.
#[derive(Clone, Debug)]
pub(crate) struct ChosenServer {
    pub(crate) url: ServerAddress,
    pub(crate) key: SecretString,
    /// The profile it comes from; none where the environment names it.
    pub(crate) profile: Option<String>,
    /// The organisation to act in there, where one was chosen.
    pub(crate) organization: Option<OrgId>,
}

impl ChosenServer {
    /// Whether paths of this machine mean something there: on this machine, to the token of a data folder.
    pub(crate) fn shares_paths(&self) -> bool {
        let key = self.key.expose_secret();
        let is_folder_token =
            key.len() == FOLDER_TOKEN_CHARS && key.chars().all(|c| c.is_ascii_hexdigit());
        self.url.is_loopback() && is_folder_token
    }
}

impl CommandContext {
    /// The folder with the servers that this person signed in to.
    ///
    /// # Errors
    /// When there is no home folder.
    pub(crate) fn profiles_folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.config_folder();
        folder.ok_or_else(|| {
            UsageError("set HOME or XDG_CONFIG_HOME: profiles are kept below it".to_owned()).into()
        })
    }

    /// The server to ask; none for the data folder of this machine. First wins: `--profile`, flags that name data of this
    /// machine, `OMOI_API_URL`, variables that name data of this machine, the profile in use.
    ///
    /// # Errors
    /// When what is named cannot be used.
    pub(crate) fn chosen_server(&self) -> anyhow::Result<Option<ChosenServer>> {
        if let Some(name) = self.profile_flag() {
            return match name {
                LOCAL_PROFILE => Ok(None),
                name => server_of_profile(&self.profiles_folder()?, name).map(Some),
            };
        }
        if self.flags_name_local_data() {
            return Ok(None);
        }
        let variable = |name: &str| {
            let value = self.environment_variable(name)?;
            Some(value.to_string_lossy().into_owned())
        };
        match (variable(API_URL), variable(API_KEY)) {
            (Some(url), Some(key)) => {
                return Ok(Some(ChosenServer {
                    url: parse_address(&url)?,
                    key: key.into(),
                    profile: None,
                    organization: None,
                }));
            }
            (Some(_), None) => return Err(missing_half(API_URL, API_KEY)),
            (None, Some(_)) => return Err(missing_half(API_KEY, API_URL)),
            (None, None) => {}
        }
        let Some(folder) = self.config_folder() else {
            return Ok(None);
        };
        if LOCAL_DATA.iter().any(|name| variable(name).is_some()) {
            return Ok(None);
        }
        match ServerProfiles::load_from(&folder)?.current_name() {
            Some(name) => server_of_profile(&folder, name).map(Some),
            None => Ok(None),
        }
    }
}

fn server_of_profile(folder: &Path, name: &str) -> anyhow::Result<ChosenServer> {
    let all = ServerProfiles::load_from(folder)?;
    let find = || {
        let found = all.find_profile(name)?;
        let (url, organization) = (found.url.clone(), found.organization);
        Ok::<_, crate::server_profiles::ProfileError>((url, organization, all.read_key(name)?))
    };
    let (url, organization, key) = find().map_err(|error| {
        let hint = "which there are: omoi profile list; sign in again: omoi login URL";
        anyhow::Error::new(error).context(ErrorHint(hint.to_owned()))
    })?;
    Ok(ChosenServer {
        url,
        key,
        profile: Some(name.to_owned()),
        organization,
    })
}

/// The address in `text`, for people.
///
/// # Errors
/// When it is none, or one that credentials may not be sent to.
pub(super) fn parse_address(text: &str) -> anyhow::Result<ServerAddress> {
    text.parse().map_err(|error| {
        let hint = "name it with https, or a port of this machine with http";
        anyhow::Error::new(UsageError(format!("{error}"))).context(ErrorHint(hint.to_owned()))
    })
}

fn missing_half(set: &str, missing: &str) -> anyhow::Error {
    let error = UsageError(format!("{set} is set and {missing} is not"));
    let hint = format!("set both, or neither: {API_URL} is the address, {API_KEY} the key for it");
    anyhow::Error::new(error).context(ErrorHint(hint))
}
