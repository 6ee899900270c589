//! From the text of any layer to a checked value.

use std::time::Duration;

use omoi_domain::acp_agent_row::{AcpAgentRow, BadAcpAgent};
use omoi_domain::agent_rule::{AgentRule, BadAgentRule};
use omoi_domain::config::{ConfigValue, ListItems, ValueKind, mask_url};
use omoi_domain::copied_file::{BadCopyRow, CopyRow};
use omoi_domain::model_price::PriceRow;
use omoi_domain::model_route::AnswerTimes;
use omoi_domain::money::NanoUsd;
use omoi_domain::provider_row::{BadProviderRow, ProviderRow};
use omoi_domain::role_settings::RoleSettingsRow;
use omoi_domain::secret_mask::MASK;

/// A value as a layer wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RawValue {
    Scalar(String),
    List(Vec<String>),
}

/// Why a text is not a value of its key.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadValue {
    /// The text is of another kind.
    #[error("it must be {0}")]
    NotA(&'static str),
    /// The number is out of bounds.
    #[error("it must be between {min} and {max}")]
    Range {
        /// Least, with its unit.
        min: String,
        /// Most, with its unit.
        max: String,
    },
    /// The word is not in the set.
    #[error("`{word}` must be one of: {}", allowed.join(", "))]
    NotOneOf {
        /// Word that was given.
        word: String,
        /// Words that are allowed.
        allowed: &'static [&'static str],
    },
    /// A path that must not depend on the current folder does.
    #[error("`{0}` must be an absolute path")]
    Relative(String),
    /// A provider of models that cannot be.
    #[error(transparent)]
    Provider(#[from] BadProviderRow),
    /// An agent that cannot be declared so.
    #[error(transparent)]
    Agent(#[from] BadAcpAgent),
    /// A rule for agents that cannot be.
    #[error(transparent)]
    Rule(#[from] BadAgentRule),
    /// A file to copy that cannot be.
    #[error(transparent)]
    Copy(#[from] BadCopyRow),
    /// `~/` without a known home.
    #[error("`~` stands for the home folder, but HOME is not set")]
    NoHome,
}

/// Whether `raw` may not stand in a file that is not kept secret.
pub(super) fn holds_secret(kind: &ValueKind, raw: &RawValue) -> bool {
    match (kind, raw) {
        (ValueKind::Secret, RawValue::Scalar(text)) => !text.is_empty(),
        (ValueKind::Url(_), RawValue::Scalar(text)) => mask_url(text) != *text,
        _ => false,
    }
}

/// `raw` as it may be shown.
pub(super) fn masked_text(kind: &ValueKind, raw: &RawValue) -> String {
    match (kind, raw) {
        // A key may have been pasted where its name belongs.
        (
            ValueKind::Secret | ValueKind::List(ListItems::Providers | ListItems::Registries(_)),
            _,
        ) => MASK.to_owned(),
        (ValueKind::Url(_), RawValue::Scalar(text)) => mask_url(text),
        (_, RawValue::Scalar(text)) => text.clone(),
        (_, RawValue::List(items)) => items.join(","),
    }
}

/// Reads `raw` as a value of `kind`. `home` is what `~` stands for.
pub(super) fn parse_value(
    kind: &ValueKind,
    raw: &RawValue,
    home: Option<&str>,
) -> Result<ConfigValue, BadValue> {
    if let ValueKind::List(items) = kind {
        return parse_list(*items, raw, home).map(ConfigValue::List);
    }
    let RawValue::Scalar(text) = raw else {
        return Err(BadValue::NotA("a single value, not a list"));
    };
    match *kind {
        ValueKind::Text => Ok(ConfigValue::Text(text.clone())),
        ValueKind::Secret => Ok(ConfigValue::Secret(text.clone().into())),
        ValueKind::Path => expand_home(text, home).map(ConfigValue::Text),
        ValueKind::Choice(allowed) => one_of(text, allowed).map(ConfigValue::Text),
        ValueKind::Url(schemes) => parse_url(text, schemes).map(ConfigValue::Text),
        ValueKind::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(ConfigValue::Bool(true)),
            "false" | "no" | "off" | "0" => Ok(ConfigValue::Bool(false)),
            _ => Err(BadValue::NotA("true or false")),
        },
        ValueKind::Int { min, max } => {
            let number = text.parse().map_err(|_| BadValue::NotA("a whole number"))?;
            check_bounds(number, min, max, |n| n.to_string())?;
            Ok(ConfigValue::Int(number))
        }
        ValueKind::Float { min, max } => {
            let number: f64 = text.parse().map_err(|_| BadValue::NotA("a number"))?;
            check_bounds(number, min, max, |n| n.to_string())?;
            Ok(ConfigValue::Float(number))
        }
        ValueKind::Usd { max } => {
            let usd: f64 = text.parse().map_err(|_| BadValue::NotA("US dollars"))?;
            check_bounds(usd, 0.0, max as f64, |n| format!("{n} USD"))?;
            Ok(ConfigValue::Usd(NanoUsd::from_usd(usd)))
        }
        ValueKind::Seconds { min, max } => {
            let time = parse_seconds(text)
                .ok_or(BadValue::NotA("seconds, or a number with ms, s, m, h or d"))?;
            let bounds = (Duration::from_secs(min), Duration::from_secs(max));
            check_bounds(time, bounds.0, bounds.1, |t| format!("{} s", t.as_secs()))?;
            Ok(ConfigValue::Seconds(time))
        }
        ValueKind::Bytes { min, max } => {
            let size = parse_bytes(text).ok_or(BadValue::NotA(
                "bytes, or a number with KiB, MiB, GiB or TiB",
            ))?;
            check_bounds(size, min, max, |n| format!("{n} bytes"))?;
            Ok(ConfigValue::Bytes(size))
        }
        ValueKind::List(_) => Err(BadValue::NotA("a list")),
    }
}

fn parse_list(
    items: ListItems,
    raw: &RawValue,
    home: Option<&str>,
) -> Result<Vec<String>, BadValue> {
    let texts = match raw {
        RawValue::List(texts) => texts.clone(),
        RawValue::Scalar(text) => text
            .split(',')
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect(),
    };
    let check = |text: String| match items {
        ListItems::Words(allowed) => one_of(&text, allowed),
        ListItems::Paths => match expand_home(&text, home)? {
            path if path.starts_with('/') => Ok(path),
            path => Err(BadValue::Relative(path)),
        },
        ListItems::Models if text.chars().any(|c| c.is_whitespace() || c.is_control()) => {
            Err(BadValue::NotA("the name of a model, without blanks"))
        }
        ListItems::Models => Ok(text),
        ListItems::Entries(shape) | ListItems::Registries(shape) => {
            match text.contains(char::is_control) {
                true => Err(BadValue::NotA(shape)),
                false => Ok(text),
            }
        }
        ListItems::Providers => match text.parse::<ProviderRow>() {
            Ok(_) => Ok(text),
            Err(source) => Err(BadValue::Provider(source)),
        },
        ListItems::AcpAgents => {
            let text = expand_folder(&text, home)?;
            match text.parse::<AcpAgentRow>() {
                Ok(_) => Ok(text),
                Err(source) => Err(BadValue::Agent(source)),
            }
        }
        ListItems::AgentRules => match text.parse::<AgentRule>() {
            Ok(_) => Ok(text),
            Err(source) => Err(BadValue::Rule(source)),
        },
        ListItems::CopyRows => match text.parse::<CopyRow>() {
            Ok(_) => Ok(text),
            Err(source) => Err(BadValue::Copy(source)),
        },
        ListItems::Prices => match text.parse::<PriceRow>() {
            Ok(_) => Ok(text),
            Err(_) => Err(BadValue::NotA(PriceRow::SHAPE)),
        },
        ListItems::AnswerTimes => match text.parse::<AnswerTimes>() {
            Ok(_) => Ok(text),
            Err(_) => Err(BadValue::NotA(AnswerTimes::SHAPE)),
        },
        ListItems::RoleSettings => match text.parse::<RoleSettingsRow>() {
            Ok(_) => Ok(text),
            Err(_) => Err(BadValue::NotA(RoleSettingsRow::SHAPE)),
        },
    };
    texts.into_iter().map(check).collect()
}

/// The row of an agent with its folder's `~` expanded.
fn expand_folder(row: &str, home: Option<&str>) -> Result<String, BadValue> {
    let parts = row
        .split(';')
        .map(|part| match part.trim().split_once('=') {
            Some((name, folder)) if name.trim() == "folder" => {
                let folder = expand_home(folder.trim(), home)?;
                Ok(format!("folder={folder}"))
            }
            _ => Ok(part.trim().to_owned()),
        });
    Ok(parts.collect::<Result<Vec<_>, BadValue>>()?.join("; "))
}

fn one_of(text: &str, allowed: &'static [&'static str]) -> Result<String, BadValue> {
    if allowed.contains(&text) {
        return Ok(text.to_owned());
    }
    let word = text.to_owned();
    Err(BadValue::NotOneOf { word, allowed })
}

fn check_bounds<T: PartialOrd>(
    value: T,
    min: T,
    max: T,
    show: impl Fn(T) -> String,
) -> Result<(), BadValue> {
    // Written so that NaN, which compares with nothing, is out of bounds.
    if value >= min && value <= max {
        return Ok(());
    }
    let (min, max) = (show(min), show(max));
    Err(BadValue::Range { min, max })
}

fn parse_seconds(text: &str) -> Option<Duration> {
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let number: f64 = number.trim_end().parse().ok()?;
    Duration::try_from_secs_f64(number * factor).ok()
}

fn parse_bytes(text: &str) -> Option<u64> {
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    let number: u64 = number.trim_end().parse().ok()?;
    number.checked_mul(1 << shift)
}

fn parse_url(text: &str, schemes: &'static [&'static str]) -> Result<String, BadValue> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(BadValue::NotA("an address like scheme://host"));
    };
    if rest.is_empty() {
        return Err(BadValue::NotA("an address with something after `://`"));
    }
    one_of(scheme, schemes).map(|_| text.to_owned())
}

fn expand_home(text: &str, home: Option<&str>) -> Result<String, BadValue> {
    match (text.strip_prefix("~/"), home) {
        (None, _) => Ok(text.to_owned()),
        (Some(rest), Some(home)) => Ok(format!("{home}/{rest}")),
        (Some(_), None) => Err(BadValue::NoHome),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(kind: ValueKind, text: &str) -> String {
        match parse_value(&kind, &RawValue::Scalar(text.to_owned()), Some("/home/ada")) {
            Ok(value) => value.to_string(),
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table of cases")]
    fn texts_become_values_or_say_why_not() {
        let int = ValueKind::Int { min: 1, max: 9 };
        let weight = ValueKind::Float { min: 0.0, max: 1.0 };
        let time = ValueKind::Seconds { min: 1, max: 7200 };
        let size = ValueKind::Bytes {
            min: 1024,
            max: 1 << 40,
        };
        let word = ValueKind::Choice(&["live", "simulated"]);
        let words = ValueKind::List(ListItems::Words(&["files", "network"]));
        let paths = ValueKind::List(ListItems::Paths);
        let url = ValueKind::Url(&["http", "https"]);
        for (kind, text, expected) in [
            (ValueKind::Bool, "Yes", "true"),
            (ValueKind::Bool, "0", "false"),
            (ValueKind::Bool, "", "! it must be true or false"),
            (int, "9", "9"),
            (int, "0", "! it must be between 1 and 9"),
            (int, "1.0", "! it must be a whole number"),
            (weight, "1e-1", "0.1"),
            (weight, "NaN", "! it must be between 0 and 1"),
            (time, "90", "90"),
            (time, "1500ms", "1.5"),
            (time, "1.5 h", "5400"),
            (time, "0", "! it must be between 1 s and 7200 s"),
            (
                time,
                "-1",
                "! it must be seconds, or a number with ms, s, m, h or d",
            ),
            (
                time,
                "1w",
                "! it must be seconds, or a number with ms, s, m, h or d",
            ),
            (size, "4 GiB", "4294967296"),
            (size, "2048", "2048"),
            (
                size,
                "1",
                "! it must be between 1024 bytes and 1099511627776 bytes",
            ),
            (
                size,
                "4GB",
                "! it must be bytes, or a number with KiB, MiB, GiB or TiB",
            ),
            (
                size,
                "99999999999 TiB",
                "! it must be bytes, or a number with KiB, MiB, GiB or TiB",
            ),
            (word, "live", "live"),
            (word, "Live", "! `Live` must be one of: live, simulated"),
            (words, " files, network,", "files,network"),
            (
                words,
                "files,nets",
                "! `nets` must be one of: files, network",
            ),
            (words, "", ""),
            (paths, "~/go,/opt/node", "/home/ada/go,/opt/node"),
            (paths, "go", "! `go` must be an absolute path"),
            (ValueKind::Path, "~/x", "/home/ada/x"),
            (ValueKind::Path, "~ada/x", "~ada/x"),
            (url, "", ""),
            (url, "https://host/v1", "https://host/v1"),
            (url, "ftp://host", "! `ftp` must be one of: http, https"),
            (url, "host", "! it must be an address like scheme://host"),
            (ValueKind::Secret, "hunter2", MASK),
            (ValueKind::Secret, "", ""),
        ] {
            assert_eq!(parsed(kind, text), expected, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_a_secret() {
        for (kind, text, expected) in [
            (ValueKind::Url(&[]), "postgres://ada:hunter2@host/db", true),
            (ValueKind::Url(&[]), "postgres://ada@host/db", false),
            (ValueKind::Secret, "hunter2", true),
            (ValueKind::Secret, "", false),
            (ValueKind::Text, "ada:hunter2@host", false),
        ] {
            let raw = RawValue::Scalar(text.to_owned());
            assert_eq!(holds_secret(&kind, &raw), expected, "{text}");
            let shown = masked_text(&kind, &raw);
            assert_eq!(
                shown.contains("hunter2"),
                text.contains("hunter2") && !expected,
                "{text}"
            );
        }
    }
}
