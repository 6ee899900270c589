//! Passwords and tokens within addresses: masked where an address is shown, listed for the log's mask.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::secret_mask::MASK;

/// Whether a login without a password is one itself. Databases take a name alone, and others ask for
/// its password, or for none.
fn is_lone_login_secret(scheme: &str) -> bool {
    matches!(scheme, "http" | "https" | "redis" | "rediss")
}

/// Replaces the password of an address, in front of the host or among its options; text that is
/// no address comes back as it is.
pub fn mask_url(text: &str) -> String {
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
pub(crate) fn url_secrets(text: &str) -> Vec<String> {
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
        }
    }
}
