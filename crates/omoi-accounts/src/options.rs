//! What can be configured of accounts.

use omoi_domain::access::password_rules::PasswordRules;
use omoi_domain::access::registration::RegistrationMode;
use omoi_domain::config::{Config, ConfigKey, ValueKind};
use omoi_domain::config_keys;
use omoi_domain::money::NanoUsd;
use secrecy::SecretString;

use crate::mail_options::registration_mode;

config_keys! {
    /// Keys of accounts.
    AUTH_KEYS of AUTH = "auth", "AUTH_";

    /// What tokens are signed with, as `name:secret`; while one key follows another, `new:secret,old:secret`. Empty uses a key that is made once, in the data folder. All processes of a deployment need the same.
    AUTH_SIGNING_KEYS: Option<SecretString> = ConfigKey::new(&AUTH, "keys", ValueKind::Secret, "")
        .closed_to_repository();
    /// What keys of organisations for providers of models are encrypted with, as `name:secret`; while one key follows another, `new:secret,old:secret`. Empty uses a key that is made once, in the data folder; a team's server then keeps none. All processes of a deployment need the same.
    AUTH_ENCRYPTION_KEYS: Option<SecretString> =
        ConfigKey::new(&AUTH, "encryption_keys", ValueKind::Secret, "").closed_to_repository();
    /// Fewest characters of a password.
    AUTH_PASSWORD_LENGTH: u32 =
        ConfigKey::new(&AUTH, "password_min_length", ValueKind::int_range(8, 100), "8")
            .closed_to_repository();
}

config_keys! {
    /// Keys of what organisations may spend.
    COSTS_KEYS of COSTS = "costs", "COSTS_";

    /// What an organisation that is made from now on may spend on models in a calendar month, until somebody sets another budget. The organisation of a laptop has no such budget. Where everybody registers (`accounts.registration` is `open`), it is 0 instead.
    COSTS_ORGANIZATION_MONTH: NanoUsd =
        ConfigKey::new(&COSTS, "organization_month_usd", ValueKind::BUDGET, "100")
            .closed_to_repository();
}

/// How people sign in, and what the organisations that they make begin with.
#[derive(Clone, Debug)]
pub struct AccountOptions {
    /// What tokens are signed with, unless the data folder's key is used.
    pub signing_keys: Option<SecretString>,
    /// What secrets of organisations are encrypted with, unless the data folder's key is used.
    pub encryption_keys: Option<SecretString>,
    /// What a password must be.
    pub password_rules: PasswordRules,
    /// What a new organisation may spend on models in a calendar month.
    pub organization_month: NanoUsd,
    /// Who makes an account.
    pub registration: RegistrationMode,
}

impl AccountOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        let chars_min = config.get(&AUTH_PASSWORD_LENGTH) as usize;
        let registration = registration_mode(config);
        // A stranger spends nothing of the operator's.
        let organization_month = match registration {
            RegistrationMode::Open => NanoUsd::ZERO,
            RegistrationMode::Invite | RegistrationMode::Waitlist => {
                config.get(&COSTS_ORGANIZATION_MONTH)
            }
        };
        Self {
            signing_keys: config.get(&AUTH_SIGNING_KEYS),
            encryption_keys: config.get(&AUTH_ENCRYPTION_KEYS),
            password_rules: PasswordRules { chars_min },
            organization_month,
            registration,
        }
    }
}
