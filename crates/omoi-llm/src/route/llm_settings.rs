//! What people set of models and their servers.

use std::collections::BTreeMap;

use secrecy::SecretString;

use omoi_domain::dialect::Dialect;
use omoi_domain::model_route::RouteName;
use omoi_domain::provider_row::ProviderRow;
use omoi_domain::role_settings::RoleSettingsRow;

use crate::catalogue::provider_at;

use super::{AwaitedKey, ProviderKey};

/// Configuration of one model server.
#[derive(Clone, Debug, Default)]
pub struct ModelServer {
    /// Its address; the vendor's own when empty.
    pub base_url: Option<String>,
    /// API key of that server.
    pub key: ProviderKey,
    /// The model to ask there.
    pub model: Option<String>,
    /// The most tokens of one answer there.
    pub max_tokens: u32,
}

/// Configuration of models and their servers.
///
/// Each key stays with its address: a key is never sent to the server of another.
#[derive(Clone, Debug, Default)]
pub struct LlmSettings {
    /// The one server to ask, in OpenAI's format; the vendors are not asked where it has an address.
    pub own: ModelServer,
    /// Anthropic or a server that speaks its format.
    pub anthropic: ModelServer,
    /// OpenAI or a server that speaks its format; an address without a key means one that wants none.
    pub openai: ModelServer,
    /// The model to ask, whoever answers; wins over a server's own.
    pub model: Option<String>,
    /// The model that gives second opinions; the one of all other questions where none is named.
    pub judge_model: Option<String>,
    /// Providers of the person's own list; they come before the vendors.
    pub providers: Vec<ListedProvider>,
    /// Models by preference for kinds of questions, each as `MODEL` or `PROVIDER/MODEL`.
    pub choices: BTreeMap<RouteName, Vec<String>>,
    /// How models of a role are to answer.
    pub role_settings: Vec<RoleSettingsRow>,
}

/// A provider of the person's own list.
#[derive(Clone, Debug)]
pub struct ListedProvider {
    /// What was written.
    pub row: ProviderRow,
    /// Its key, where it names one and that is here.
    pub key: Option<SecretString>,
    /// Those of its further keys that are here.
    pub more_keys: Vec<SecretString>,
    /// Those of its headers whose values are here, by name.
    pub headers: BTreeMap<String, SecretString>,
}

impl ListedProvider {
    /// The variable that has to be set before it can be asked.
    pub fn missing_key(&self) -> Option<&str> {
        let key = self.row.key_variable.as_deref();
        let mut headers = self.row.manner.headers.iter();
        let header = headers.find(|header| !self.headers.contains_key(&header.name));
        key.filter(|_| self.key.is_none())
            .or_else(|| Some(header?.variable.as_str()))
    }
}

impl ListedProvider {
    /// Its key, where that alone is missing, so that the one of an organisation can stand in for it.
    pub(super) fn awaited_key(&self) -> Option<AwaitedKey> {
        let variable = self.row.key_variable.as_deref()?;
        let awaits = self.missing_key() == Some(variable) && self.row.only_program.is_none();
        let mut headers = self.row.manner.headers.iter();
        let has_headers = headers.all(|header| self.headers.contains_key(&header.name));
        (awaits && has_headers).then(|| AwaitedKey {
            variable: variable.to_owned(),
            is_bearer: self.row.dialect != Dialect::Messages,
        })
    }
}

impl LlmSettings {
    /// The providers that can be asked with what is here, by the names of `models.json`.
    pub fn providers_with_key(&self) -> Vec<&'static str> {
        let named = |server: &ModelServer, vendor: Option<&'static str>| match &server.base_url {
            Some(url) => provider_at(url),
            None => vendor,
        };
        let keyed = |server: &ModelServer| !server.key.is_none();
        let own = named(&self.own, None);
        let anthropic = named(&self.anthropic, Some("anthropic"));
        let openai = named(&self.openai, Some("openai"));
        let all = [
            own.filter(|_| keyed(&self.own)),
            anthropic.filter(|_| keyed(&self.anthropic)),
            openai.filter(|_| keyed(&self.openai)),
        ];
        let listed = self
            .providers
            .iter()
            .filter(|one| one.missing_key().is_none());
        let listed = listed.filter_map(|one| provider_at(&one.row.address));
        let mut names: Vec<_> = all.into_iter().flatten().chain(listed).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
