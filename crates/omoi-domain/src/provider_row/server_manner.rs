//! What a person says of the servers of a provider, where their address does not tell it.

use super::{BadProviderRow, is_variable, one_of};
use crate::dialect::Dialect;

crate::closed_set! {
    /// Whose ways a server has, where its address does not tell.
    ServerKinship {
        /// Anthropic's.
        Anthropic = "anthropic",
        /// OpenAI's.
        Openai = "openai",
        /// Those that servers have in common which are compatible with either.
        Compatible = "compatible",
    }
}

impl ServerKinship {
    /// Whether a server that speaks `dialect` can have these ways.
    const fn speaks(self, dialect: Dialect) -> bool {
        match self {
            Self::Anthropic => matches!(dialect, Dialect::Messages),
            Self::Openai => matches!(dialect, Dialect::ChatCompletions | Dialect::Responses),
            Self::Compatible => true,
        }
    }
}

crate::closed_set! {
    /// One thing that a server does otherwise than its kind.
    ServerQuirk {
        /// It reads `max_tokens`.
        MaxTokens = "max_tokens",
        /// It reads `max_completion_tokens`.
        MaxCompletionTokens = "max_completion_tokens",
        /// It has instructions in messages of role `system`.
        SystemRole = "system_role",
        /// It has instructions in messages of role `developer`.
        DeveloperRole = "developer_role",
        /// It refuses `parallel_tool_calls`.
        NoParallelCalls = "no_parallel_calls",
        /// It reads PDF documents.
        Documents = "documents",
        /// It refuses PDF documents.
        NoDocuments = "no_documents",
        /// It reads `prompt_cache_key`.
        CacheKey = "cache_key",
        /// It refuses `prompt_cache_key`.
        NoCacheKey = "no_cache_key",
    }
}

/// Headers that each call sets by itself.
const OWN_HEADERS: [&str; 11] = [
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
];

/// A header that a provider wants with each call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderHeader {
    /// Its name, in small letters.
    pub name: String,
    /// The variable or secret file that holds its value.
    pub variable: String,
}

/// What a person says of the servers of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerManner {
    /// Headers beside the one of the key.
    pub headers: Vec<ProviderHeader>,
    /// Whose ways they have; none tells them from their address.
    pub like: Option<ServerKinship>,
    /// What they do otherwise.
    pub quirks: Vec<ServerQuirk>,
}

impl ServerManner {
    /// Takes the value of the field `name`, as it is written in a row.
    pub(super) fn set_field(&mut self, name: &str, value: &str) -> Result<(), BadProviderRow> {
        let wrong = |field, must| Err(BadProviderRow::Value { field, must });
        match name {
            "headers" => self.headers = read_headers(value)?,
            "like" => {
                self.like = ServerKinship::parse(value);
                if self.like.is_none() {
                    let known = ServerKinship::ALL.iter().map(|like| like.as_str());
                    return wrong("like", one_of(known));
                }
            }
            "quirks" => {
                let quirks = value.split_whitespace().map(ServerQuirk::parse);
                match quirks.collect::<Option<Vec<_>>>() {
                    Some(quirks) if !quirks.is_empty() => self.quirks = quirks,
                    _ => {
                        let known = ServerQuirk::ALL.iter().map(|quirk| quirk.as_str());
                        return wrong("quirks", one_of(known));
                    }
                }
            }
            other => return Err(BadProviderRow::UnknownField(other.to_owned())),
        }
        Ok(())
    }

    /// Refuses ways that no server has which speaks `dialect`.
    pub(super) fn expect_dialect(&self, dialect: Dialect) -> Result<(), BadProviderRow> {
        match self.like {
            Some(like) if !like.speaks(dialect) => Err(BadProviderRow::Value {
                field: "like",
                must: format!("that of a server that speaks {}", dialect.as_str()),
            }),
            _ => Ok(()),
        }
    }
}

fn read_headers(value: &str) -> Result<Vec<ProviderHeader>, BadProviderRow> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let headers = value.split_whitespace().map(|written| {
        let (name, variable) = written.split_once(':')?;
        let name = name.to_ascii_lowercase();
        let is_open = !OWN_HEADERS.contains(&name.as_str());
        let is_header = is_open && !name.is_empty() && name.chars().all(plain);
        (is_header && is_variable(variable)).then(|| ProviderHeader {
            name,
            variable: variable.to_owned(),
        })
    });
    match headers.collect::<Option<Vec<_>>>() {
        Some(headers) if !headers.is_empty() => Ok(headers),
        _ => Err(BadProviderRow::Value {
            field: "headers",
            must: format!(
                "NAME:VARIABLE, such as api-key:AZURE_KEY, or several with spaces between; the value itself stands in the variable, and none is {}",
                OWN_HEADERS.join(", ")
            ),
        }),
    }
}
