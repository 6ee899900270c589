//! That a set-up failed for want of a credential: which host wanted it, and the line that gives it.

use std::fmt;

use omoi_egress::refusal::ClosedRegistry;

/// What package managers print of an answer that wants a credential.
const SIGNS: [&str; 8] = [
    "E401",
    "E403",
    "401 Unauthorized",
    "403 Forbidden",
    "401 Client Error",
    "403 Client Error",
    "got 401",
    "got 403",
];

/// A credential that a host wanted of a set-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededSecret {
    /// The host.
    pub host: String,
    /// The line of the configuration that gives it, where it is known what the host serves.
    pub line: Option<String>,
    /// Whether it was sent one, and did not take it.
    pub refused_one: bool,
}

impl NeededSecret {
    /// What the proxy saw of registries, or else what the commands printed.
    pub(super) fn find(closed: &[ClosedRegistry], printed: &str) -> Option<Self> {
        if let Some(registry) = closed.first() {
            return Some(Self {
                host: registry.host.clone(),
                line: Some(registry.credential_line()),
                refused_one: registry.refused_one,
            });
        }
        let told = printed
            .lines()
            // What the proxy refused has a reason of its own.
            .filter(|line| !line.starts_with("[refused: "))
            .filter(|line| SIGNS.iter().any(|sign| line.contains(sign)))
            .find_map(named_host)?;
        Some(Self {
            host: told.to_owned(),
            line: None,
            refused_one: false,
        })
    }
}

/// The host of the first address in `line`.
fn named_host(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("https://")?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
    let host = &rest[..end.unwrap_or(rest.len())];
    host.contains('.').then_some(host)
}

impl fmt::Display for NeededSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match self.refused_one {
            true => write!(f, "`{host}` did not take the credential that it was sent")?,
            false => write!(f, "`{host}` wants a credential")?,
        }
        match (&self.line, self.refused_one) {
            (Some(_), true) => f.write_str(
                "; write a valid value of `authorization` into its secret file (docs/packages.md)",
            ),
            (Some(line), false) => write!(
                f,
                "; add `{line}`, and write the value of `authorization` into the secret file NAME (docs/packages.md)"
            ),
            (None, _) => write!(
                f,
                "; if it is a registry, add it with `credential=NAME` to `egress.registries` (docs/packages.md)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use omoi_egress::registry::RegistrySite;

    use super::*;

    #[test]
    fn the_proxy_knows_and_else_the_tool_says() {
        let closed = |refused_one| ClosedRegistry {
            host: "npm.example.org".to_owned(),
            site: RegistrySite::Npm,
            refused_one,
        };
        let told = |closed: &[ClosedRegistry], printed: &str| {
            NeededSecret::find(closed, printed).map(|secret| secret.to_string())
        };
        assert_eq!(
            told(&[closed(false)], "").unwrap_or_default(),
            "`npm.example.org` wants a credential; add `egress.registries: [\"host=npm.example.org; site=npm; \
             credential=NAME\"]`, and write the value of `authorization` into the secret file NAME (docs/packages.md)"
        );
        let refused = told(&[closed(true)], "").unwrap_or_default();
        assert!(refused.contains("did not take the credential"), "{refused}");
        let printed = "npm error code E401\nnpm error 401 Unauthorized - GET https://npm.corp.example/own - no\n";
        let told_by_tool = told(&[], printed).unwrap_or_default();
        assert!(
            told_by_tool.starts_with("`npm.corp.example` wants a credential; if"),
            "{told_by_tool}"
        );
        for other in [
            "npm error 404 Not Found - GET https://npm.corp.example/own",
            "E401",
            "[refused: 403 Forbidden https://npm.corp.example/own]",
        ] {
            assert_eq!(told(&[], other), None, "{other}");
        }
    }
}
