//! From the text of any layer to a typed value.

use std::borrow::Cow;
use std::time::Duration;

use omoi_domain::money::{NanoUsd, PriceRow};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

/// What a key holds and which values it takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`; also `yes`, `no`, `on`, `off`, `1`, `0`.
    Bool,
    /// A whole number within bounds.
    Int {
        /// Least.
        min: i64,
        /// Most.
        max: i64,
    },
    /// A number within bounds.
    Float {
        /// Least.
        min: f64,
        /// Most.
        max: f64,
    },
    /// An amount of money in US dollars, 0 or more.
    Usd {
        /// Most, in whole dollars.
        max: i64,
    },
    /// A length of time: seconds, or a number with `ms`, `s`, `m`, `h` or `d`.
    Seconds {
        /// Least, in seconds.
        min: u64,
        /// Most, in seconds.
        max: u64,
    },
    /// A size: bytes, or a number with `KiB`, `MiB`, `GiB` or `TiB`.
    Bytes {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// Any text; empty means not set.
    Text,
    /// One word of a closed set.
    Choice(&'static [&'static str]),
    /// A list: a sequence in YAML, separated by commas elsewhere.
    List(Items),
    /// A path; a leading `~/` is the home folder. Empty means not set.
    Path,
    /// An address of one of these schemes; empty means not set. Its password is a secret.
    Url(&'static [&'static str]),
    /// Never shown, never in YAML; empty means not set.
    Secret,
}

/// What a list takes.
#[derive(Clone, Copy, Debug)]
pub enum Items {
    /// Words of a closed set.
    Words(&'static [&'static str]),
    /// Absolute paths; a leading `~/` is the home folder.
    Paths,
    /// Prices of models, `MODEL=INPUT/OUTPUT` in US dollars for a million tokens.
    Prices,
}

/// A value as a layer wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    Scalar(String),
    List(Vec<String>),
}

/// A checked value. Whatever prints it masks secrets.
#[derive(Clone)]
pub enum Value {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Int`].
    Int(i64),
    /// Of [`Kind::Float`].
    Float(f64),
    /// Of [`Kind::Usd`].
    Usd(NanoUsd),
    /// Of [`Kind::Seconds`].
    Seconds(Duration),
    /// Of [`Kind::Bytes`].
    Bytes(u64),
    /// Of [`Kind::Text`], [`Kind::Choice`], [`Kind::Path`] and [`Kind::Url`].
    Text(String),
    /// Of [`Kind::List`].
    List(Vec<String>),
    /// Of [`Kind::Secret`].
    Secret(SecretString),
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
        /// The word.
        word: String,
        /// The set.
        allowed: &'static [&'static str],
    },
    /// A path that must not depend on the current folder does.
    #[error("`{0}` must be an absolute path")]
    Relative(String),
    /// `~/` without a known home.
    #[error("`~` stands for the home folder, but HOME is not set")]
    NoHome,
}

pub(super) use omoi_domain::secret_mask::MASK;

impl Kind {
    /// Reads `raw` as a value of this kind. `home` is what `~` stands for.
    pub(super) fn parse(&self, raw: &Raw, home: Option<&str>) -> Result<Value, BadValue> {
        if let Self::List(items) = self {
            return parse_list(*items, raw, home).map(Value::List);
        }
        let Raw::Scalar(text) = raw else {
            return Err(BadValue::NotA("a single value, not a list"));
        };
        match *self {
            Self::Text => Ok(Value::Text(text.clone())),
            Self::Secret => Ok(Value::Secret(text.clone().into())),
            Self::Path => expand(text, home).map(Value::Text),
            Self::Choice(allowed) => one_of(text, allowed).map(Value::Text),
            Self::Url(schemes) => parse_url(text, schemes).map(Value::Text),
            Self::Bool => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(Value::Bool(true)),
                "false" | "no" | "off" | "0" => Ok(Value::Bool(false)),
                _ => Err(BadValue::NotA("true or false")),
            },
            Self::Int { min, max } => {
                let number = text.parse().map_err(|_| BadValue::NotA("a whole number"))?;
                within(number, min, max, |n| n.to_string())?;
                Ok(Value::Int(number))
            }
            Self::Float { min, max } => {
                let number: f64 = text.parse().map_err(|_| BadValue::NotA("a number"))?;
                within(number, min, max, |n| n.to_string())?;
                Ok(Value::Float(number))
            }
            Self::Usd { max } => {
                let usd: f64 = text.parse().map_err(|_| BadValue::NotA("US dollars"))?;
                within(usd, 0.0, max as f64, |n| format!("{n} USD"))?;
                Ok(Value::Usd(NanoUsd::from_usd(usd)))
            }
            Self::Seconds { min, max } => {
                let time = parse_seconds(text)
                    .ok_or(BadValue::NotA("seconds, or a number with ms, s, m, h or d"))?;
                let bounds = (Duration::from_secs(min), Duration::from_secs(max));
                within(time, bounds.0, bounds.1, |t| format!("{} s", t.as_secs()))?;
                Ok(Value::Seconds(time))
            }
            Self::Bytes { min, max } => {
                let size = parse_bytes(text).ok_or(BadValue::NotA(
                    "bytes, or a number with KiB, MiB, GiB or TiB",
                ))?;
                within(size, min, max, |n| format!("{n} bytes"))?;
                Ok(Value::Bytes(size))
            }
            Self::List(_) => Err(BadValue::NotA("a list")),
        }
    }

    /// Whether `raw` may not stand in a file that is not kept secret.
    pub(super) fn holds_secret(&self, raw: &Raw) -> bool {
        match (self, raw) {
            (Self::Secret, Raw::Scalar(text)) => !text.is_empty(),
            (Self::Url(_), Raw::Scalar(text)) => mask_url(text) != *text,
            _ => false,
        }
    }

    /// `raw` as it may be shown.
    pub(super) fn show(&self, raw: &Raw) -> String {
        match (self, raw) {
            (Self::Secret, _) => MASK.to_owned(),
            (Self::Url(_), Raw::Scalar(text)) => mask_url(text),
            (_, Raw::Scalar(text)) => text.clone(),
            (_, Raw::List(items)) => items.join(","),
        }
    }
}

impl Value {
    /// The value as JSON, secrets masked.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Usd(value) => value.as_usd().into(),
            Self::Seconds(value) if value.subsec_nanos() == 0 => value.as_secs().into(),
            Self::Seconds(value) => value.as_secs_f64().into(),
            Self::Bytes(value) => (*value).into(),
            Self::Text(value) => mask_url(value).into(),
            Self::List(values) => values.clone().into(),
            Self::Secret(value) if value.expose_secret().is_empty() => serde_json::Value::Null,
            Self::Secret(_) => MASK.into(),
        }
    }
}

/// The value for people: bare text, lists with commas, secrets masked.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::List(values) => f.write_str(&values.join(",")),
            Self::Text(value) => f.write_str(&mask_url(value)),
            Self::Secret(value) if value.expose_secret().is_empty() => Ok(()),
            Self::Secret(_) => f.write_str(MASK),
            other => write!(f, "{}", other.to_json()),
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

fn parse_list(items: Items, raw: &Raw, home: Option<&str>) -> Result<Vec<String>, BadValue> {
    let texts = match raw {
        Raw::List(texts) => texts.clone(),
        Raw::Scalar(text) => text
            .split(',')
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect(),
    };
    let check = |text: String| match items {
        Items::Words(allowed) => one_of(&text, allowed),
        Items::Paths => match expand(&text, home)? {
            path if path.starts_with('/') => Ok(path),
            path => Err(BadValue::Relative(path)),
        },
        Items::Prices => match text.parse::<PriceRow>() {
            Ok(_) => Ok(text),
            Err(_) => Err(BadValue::NotA(PriceRow::SHAPE)),
        },
    };
    texts.into_iter().map(check).collect()
}

fn one_of(text: &str, allowed: &'static [&'static str]) -> Result<String, BadValue> {
    if allowed.contains(&text) {
        return Ok(text.to_owned());
    }
    let word = text.to_owned();
    Err(BadValue::NotOneOf { word, allowed })
}

fn within<T: PartialOrd>(
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

fn expand(text: &str, home: Option<&str>) -> Result<String, BadValue> {
    match (text.strip_prefix("~/"), home) {
        (None, _) => Ok(text.to_owned()),
        (Some(rest), Some(home)) => Ok(format!("{home}/{rest}")),
        (Some(_), None) => Err(BadValue::NoHome),
    }
}

/// Whether a login without a password is one itself. Databases take a name alone, and others ask for
/// its password, or for none.
fn is_lone_login_secret(scheme: &str) -> bool {
    matches!(scheme, "http" | "https" | "redis" | "rediss")
}

/// Replaces the password of an address, in front of the host or among its options; text that is
/// no address comes back as it is.
fn mask_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            None if is_lone_login_secret(scheme) && !login.is_empty() => format!("{MASK}@{host}"),
            None => authority.to_owned(),
        },
        // `user:pa/ss@host`: the password ended the authority early. It will not work, and must
        // not be shown for that.
        None if rest.contains('@') && has_odd_port(authority) => {
            return format!("{scheme}://{MASK}");
        }
        None => authority.to_owned(),
    };
    let Some((path, options)) = after.split_once('?') else {
        return format!("{scheme}://{authority}{after}");
    };
    let options: Vec<_> = options
        .split('&')
        .map(|option| match option.split_once('=') {
            Some((name, value)) if is_secret_option(name) && !value.is_empty() => {
                format!("{name}={MASK}")
            }
            _ => option.to_owned(),
        })
        .collect();
    format!("{scheme}://{authority}{path}?{}", options.join("&"))
}

fn is_secret_option(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("pass") || name.contains("token") || name.contains("key")
}

/// The passwords within an address, in front of the host or among its options: as they are written,
/// and as a server that is shown them decoded repeats them.
pub(super) fn url_secrets(text: &str) -> Vec<String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Vec::new();
    };
    let (front, options) = rest.split_once('?').unwrap_or((rest, ""));
    // The last `@` ends the login: a password may hold one, or a slash.
    let login = front.rsplit_once('@').map(|(login, _)| login);
    let password = login.and_then(|login| login.split_once(':'));
    let password = password.map(|(_, password)| password);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let lone = authority.rsplit_once('@').map(|(login, _)| login);
    let lone = lone.filter(|login| is_lone_login_secret(scheme) && !login.contains(':'));
    let options = options
        .split('&')
        .filter_map(|option| option.split_once('='));
    let options = options.filter(|(name, _)| is_secret_option(name));
    let written = password.into_iter().chain(lone);
    let written = written.chain(options.map(|(_, value)| value));
    let mut secrets = Vec::new();
    for secret in written.filter(|secret| !secret.is_empty()) {
        secrets.push(secret.to_owned());
        if let Ok(Cow::Owned(decoded)) = percent_decode_str(secret).decode_utf8() {
            secrets.push(decoded);
        }
    }
    secrets
}

fn has_odd_port(authority: &str) -> bool {
    let port = authority.split_once(':').map(|(_, port)| port);
    !authority.starts_with('[')
        && port.is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(kind: Kind, text: &str) -> String {
        match kind.parse(&Raw::Scalar(text.to_owned()), Some("/home/ada")) {
            Ok(value) => value.to_string(),
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table of cases")]
    fn texts_become_values_or_say_why_not() {
        let int = Kind::Int { min: 1, max: 9 };
        let weight = Kind::Float { min: 0.0, max: 1.0 };
        let time = Kind::Seconds { min: 1, max: 7200 };
        let size = Kind::Bytes {
            min: 1024,
            max: 1 << 40,
        };
        let word = Kind::Choice(&["live", "simulated"]);
        let words = Kind::List(Items::Words(&["files", "network"]));
        let paths = Kind::List(Items::Paths);
        let url = Kind::Url(&["http", "https"]);
        for (kind, text, expected) in [
            (Kind::Bool, "Yes", "true"),
            (Kind::Bool, "0", "false"),
            (Kind::Bool, "", "! it must be true or false"),
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
            (Kind::Path, "~/x", "/home/ada/x"),
            (Kind::Path, "~ada/x", "~ada/x"),
            (url, "", ""),
            (url, "https://host/v1", "https://host/v1"),
            (url, "ftp://host", "! `ftp` must be one of: http, https"),
            (url, "host", "! it must be an address like scheme://host"),
            (Kind::Secret, "hunter2", MASK),
            (Kind::Secret, "", ""),
        ] {
            assert_eq!(parsed(kind, text), expected, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn passwords_in_addresses_are_found() {
        for (url, expected) in [
            ("postgres://u:p%40ss@host/db", &["p%40ss", "p@ss"][..]),
            ("postgres://u:p%c3%a9@host/db", &["p%c3%a9", "pé"]),
            ("postgres://u:100%@host/db", &["100%"]),
            ("postgres://u:p%ff@host/db", &["p%ff"]),
            ("postgres:///db?user=u&password=p%26q", &["p%26q", "p&q"]),
            ("https://ghp%5Fabc@host/v1", &["ghp%5Fabc", "ghp_abc"]),
            ("redis://only@host:6379/0", &["only"]),
            ("https://host:8080/v1/me@here", &["8080/v1/me"]),
            ("sqlite://a@b.db", &[]),
            (
                "postgres://u:p/a@s@host/db?sslpassword=x&mode=rw",
                &["p/a@s", "x"],
            ),
            ("redis://:only@host", &["only"]),
            ("postgres://u@host/db", &[]),
            ("sqlite:///srv/a.db?mode=rwc", &[]),
            ("", &[]),
        ] {
            assert_eq!(url_secrets(url), expected, "{url}");
        }
    }

    #[test]
    fn passwords_in_addresses_are_masked() {
        for (text, expected) in [
            ("postgres://ada@host/db", "postgres://ada@host/db"),
            ("https://ghp_abc@host/v1", "https://****@host/v1"),
            ("rediss://hunter2@host:6379", "rediss://****@host:6379"),
            ("https://@host/v1", "https://@host/v1"),
            (
                "postgres://ada:hunter2@host:5432/db",
                "postgres://ada:****@host:5432/db",
            ),
            ("redis://:hunter2@host", "redis://:****@host"),
            (
                "postgres://ada:hun@ter2@host/db",
                "postgres://ada:****@host/db",
            ),
            ("postgres://ada:hun/ter2@host/db", "postgres://****"),
            ("postgres://ada:hun?ter2@host/db", "postgres://****"),
            ("https://host:8080/@scope/x", "https://host:8080/@scope/x"),
            ("https://[::1]/@scope/x", "https://[::1]/@scope/x"),
            (
                "redis+unix:///run/r.sock?db=1&pass=hunter2",
                "redis+unix:///run/r.sock?db=1&pass=****",
            ),
            (
                "postgres:///db?host=/run&sslPassword=hunter2",
                "postgres:///db?host=/run&sslPassword=****",
            ),
            ("sqlite:///a/b@c:d.db", "sqlite:///a/b@c:d.db"),
            ("plain: text@x", "plain: text@x"),
        ] {
            assert_eq!(mask_url(text), expected);
            let secret = Kind::Url(&[]).holds_secret(&Raw::Scalar(text.to_owned()));
            assert_eq!(secret, text != expected, "{text}");
        }
    }
}
