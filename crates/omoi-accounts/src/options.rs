//! What can be configured of accounts.

use omoi_domain::access::password_rules::PasswordRules;
use omoi_domain::config::{Config, ConfigKey, ValueKind};
use omoi_domain::config_keys;
use secrecy::SecretString;

config_keys! {
    /// Keys of accounts.
    AUTH_KEYS of AUTH = "auth", "AUTH_";

    /// What tokens are signed with, as `name:secret`; while one key follows another, `new:secret,old:secret`. Empty uses a key that is made once, in the data folder. All processes of a deployment need the same.
    AUTH_SIGNING_KEYS: Option<SecretString> = ConfigKey::new(&AUTH, "keys", ValueKind::Secret, "")
        .closed_to_repository();
    /// Fewest characters of a password.
    AUTH_PASSWORD_LENGTH: u32 =
        ConfigKey::new(&AUTH, "password_min_length", ValueKind::int_range(8, 100), "8")
            .closed_to_repository();
}

/// How people sign in.
#[derive(Clone, Debug)]
pub struct AccountOptions {
    /// What tokens are signed with, unless the data folder's key is used.
    pub signing_keys: Option<SecretString>,
    /// What a password must be.
    pub password_rules: PasswordRules,
}

impl AccountOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        let chars_min = config.get(&AUTH_PASSWORD_LENGTH) as usize;
        Self {
            signing_keys: config.get(&AUTH_SIGNING_KEYS),
            password_rules: PasswordRules { chars_min },
        }
    }
}
