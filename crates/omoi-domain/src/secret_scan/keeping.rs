//! Where people keep secrets: files by their names, settings by theirs, and passwords in addresses. What stands
//! there has no shape of its own.

use regex::Regex;

/// What stands for a value that each reader has to fill in.
const PLACEHOLDERS: [&str; 19] = [
    "change",
    "dev",
    "dummy",
    "example",
    "fake",
    "fixme",
    "insert",
    "password",
    "pass",
    "placeholder",
    "postgres",
    "replace",
    "root",
    "sample",
    "secret",
    "test",
    "todo",
    "xxx",
    "your",
];

crate::constant_patterns! {
    static SETTING = r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*[=:]\s*(.*)$";
    static SECRET_SETTING = r"(?i)(?:^|_)(?:API)?(?:KEY|SECRET|TOKEN|CREDENTIALS?)(?:_|$)|PASSWORD|PASSWD|APIKEY";
    static ADDRESS_PASSWORD = r#"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@"'`<>]*:([^\s/@"'`<>]+)@([^\s:/?#"'`<>,)]+)"#;
    static NPM_LOGIN = r"(?:^|:)_(?:authToken|auth|password)\s*=\s*(\S+)";
    static WEB_TOKEN = r"\beyJ[A-Za-z0-9_-]{8,}\.(eyJ[A-Za-z0-9_-]{8,})\.[A-Za-z0-9_-]{20,}";
}

/// What a file of this name keeps; none where it need not keep anything secret.
pub(super) fn kept_in(path: &str) -> Option<&'static str> {
    let name = file_name(path);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match name.as_str() {
        ".env" => Some("a file of settings that are secret"),
        ".netrc" | "_netrc" | ".pgpass" | ".git-credentials" | ".pypirc" | ".my.cnf" => {
            Some("a file of passwords")
        }
        "id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519" => Some("a private key"),
        _ if is_env_file(&name) && is_of_one_place(&name) => {
            Some("a file of settings that are secret")
        }
        _ if name.starts_with("service-account") && ending == "json" => {
            Some("a key of a service account")
        }
        _ if ["p12", "pfx", "jks", "kdbx"].contains(&ending) => Some("a store of private keys"),
        _ => None,
    }
}

/// What a line that is added to the file at `path` holds, beside what has a shape of its own.
pub(super) fn kept_on_line(path: &str, line: &str) -> Option<&'static str> {
    let name = file_name(path);
    if is_env_file(&name) && has_secret_setting(line) {
        return Some("a setting that is secret");
    }
    if name.ends_with("npmrc") && first_group(&NPM_LOGIN, line).is_some_and(|v| !is_stand_in(v)) {
        return Some("a password of a registry");
    }
    if has_address_password(line) {
        return Some("a password in an address");
    }
    if !line.contains(".eyJ") {
        return None;
    }
    // The one that stands in everybody's documentation names nobody.
    let is_anybodys = |payload: &str| payload.starts_with("eyJzdWIiOiIxMjM0NTY3ODkwI");
    match first_group(&WEB_TOKEN, line) {
        Some(payload) if !is_anybodys(payload) => Some("a web token"),
        _ => None,
    }
}

fn file_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.to_lowercase()
}

/// `.env`, `.env.local`, `keys.env`; not those that show which settings there are.
fn is_env_file(name: &str) -> bool {
    let is_shown = [
        "example", "sample", "template", "dist", "defaults", "schema",
    ]
    .iter()
    .any(|word| name.contains(word));
    let is_settings = name.starts_with(".env.") || name.rsplit('.').next() == Some("env");
    is_settings && name.contains('.') && !is_shown
}

/// Whether the settings are those of one machine or of what runs for customers.
fn is_of_one_place(name: &str) -> bool {
    name.split('.')
        .any(|word| ["local", "production", "prod", "staging"].contains(&word))
        && name.starts_with(".env.")
}

fn has_secret_setting(line: &str) -> bool {
    let Some(found) = SETTING.captures(line) else {
        return false;
    };
    let name = &found[1];
    SECRET_SETTING.is_match(name)
        && !name.to_ascii_uppercase().contains("PUBLIC")
        && !is_stand_in(&found[2])
}

/// Whether an address says a password for a host that others may reach too.
fn has_address_password(line: &str) -> bool {
    // Most lines hold no address, and a branch may add millions.
    line.contains("://")
        && ADDRESS_PASSWORD.captures_iter(line).any(|found| {
            let host = found[2].to_lowercase();
            let is_near = !host.contains('.')
                || host.starts_with("127.")
                || [".example", ".test", ".invalid", ".localhost", ".local"]
                    .iter()
                    .any(|end| host.ends_with(end))
                || host.split('.').any(|part| part == "example");
            !is_near && !is_stand_in(&found[1])
        })
}

fn first_group<'a>(pattern: &Regex, line: &'a str) -> Option<&'a str> {
    Some(pattern.captures(line)?.get(1)?.as_str())
}

/// Whether `value` is to be filled in, comes from elsewhere, or is none.
fn is_stand_in(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'']).trim();
    let lower = value.to_lowercase();
    let is_word = |word: &&str| lower.starts_with(*word);
    value.is_empty()
        || value.starts_with(['$', '<', '{', '%', '#', '*', '.'])
        || PLACEHOLDERS.iter().any(is_word)
        || ["true", "false", "none", "null"].contains(&lower.as_str())
        || lower.bytes().all(|byte| byte.is_ascii_digit()) && lower.len() < 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_keep_secrets_are_known_by_their_names() {
        for path in [
            ".env",
            "web/.env",
            ".ENV",
            ".env.local",
            ".env.development.local",
            ".env.production",
            "home/.netrc",
            ".pgpass",
            "keys/id_rsa",
            "deploy/service-account.json",
            "service-account-prod.json",
            "release.jks",
        ] {
            assert!(kept_in(path).is_some(), "{path}");
        }
        for path in [
            ".env.example",
            ".env.local.example",
            ".env.development",
            "src/env.rs",
            ".envrc",
            "id_rsa.pub",
            "src/id_rsa.rs",
            "account.json",
            "cert.pem",
            "production.env.ts",
            "",
        ] {
            assert_eq!(kept_in(path), None, "{path}");
        }
    }

    #[test]
    fn settings_and_passwords_are_found_and_what_stands_in_for_them_is_not() {
        let secret = [
            (".env", "DB_PASSWORD=hunter2"),
            ("config/keys.env", "export API_KEY='9f8a'"),
            (".env.development", "SECRET_KEY_BASE=ab12cd"),
            (".env", "GITHUB_TOKEN: abc123"),
            ("app.py", "db = 'postgres://app:tr0ub4dor@db.corp.net/x'"),
            ("a", "https://:k3y@registry.corp.net/simple"),
            (".npmrc", "//npm.corp.net/:_authToken=abcdef"),
            (".npmrc", "_password = YWJj"),
            (
                "a",
                "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoiYW5uYSJ9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1g",
            ),
        ];
        for (path, line) in secret {
            assert!(kept_on_line(path, line).is_some(), "{path}: {line}");
        }
        let plain = [
            (".env", "DB_PASSWORD="),
            (".env", "DB_PASSWORD=${DB_PASSWORD}"),
            (".env", "API_KEY=your-key-here"),
            (".env.test", "SECRET_KEY=test-key"),
            (".env", "KEYBOARD=us"),
            (".env", "STRIPE_PUBLIC_KEY=pk_1"),
            (".env", "TOKEN_TTL=3600"),
            (".env", "# SECRET=abc"),
            (".env.example", "DB_PASSWORD=hunter2"),
            ("app.py", "DB_PASSWORD=hunter2"),
            ("app.py", "'postgres://postgres:postgres@db.corp.net/x'"),
            ("a", "postgres://app:tr0ub4dor@localhost/x"),
            ("a", "http://user:hunter2@example.com/"),
            ("a", "http://user:hunter2@db:5432/"),
            ("a", "https://host.corp.net:443/a@b"),
            ("a", "redis://u:$PASS@cache.corp.net"),
            (".npmrc", "//npm.corp.net/:_authToken=${NPM_TOKEN}"),
            (
                "a",
                "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
            ),
        ];
        for (path, line) in plain {
            assert_eq!(kept_on_line(path, line), None, "{path}: {line}");
        }
    }
}
