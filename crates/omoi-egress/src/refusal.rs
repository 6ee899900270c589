//! What the proxy refuses, why, and which line of the configuration would let it through.

use std::fmt;

use http::StatusCode;

use crate::project_hosts::host_line;
use crate::registry::RegistrySite;

/// The header of an answer that carries the reason.
pub const REASON_HEADER: &str = "omoi-egress-reason";
/// The key of the configuration that lists hosts.
pub const HOSTS_KEY: &str = "egress.hosts";
/// The key of the configuration that lists versions which may come in whatever their age.
pub const VERSIONS_KEY: &str = "egress.versions";

omoi_domain::closed_set! {
    /// Why a request was refused.
    RefusalReason {
        /// The attempt has no network.
        EgressOff = "egress_off",
        /// What was asked for is no host and port.
        BadTarget = "bad_target",
        /// No list names the host.
        HostNotListed = "host_not_listed",
        /// A person denied the host.
        HostDenied = "host_denied",
        /// Other ports of the host are listed.
        PortNotListed = "port_not_listed",
        /// The name has no address.
        NameNotResolved = "name_not_resolved",
        /// The name leads into a network that is not public.
        AddressNotPublic = "address_not_public",
        /// The host did not take the connection.
        HostUnreachable = "host_unreachable",
        /// The client spoke something else than TLS in a tunnel.
        NotTls = "not_tls",
        /// TLS without the name of a server.
        ServerNameMissing = "server_name_missing",
        /// TLS for another server than the tunnel was opened to.
        ServerNameDiffers = "server_name_differs",
        /// The client does not accept the certificate of this deployment's authority.
        CertificateRefused = "certificate_refused",
        /// A registry was asked without TLS.
        RegistryWithoutTls = "registry_without_tls",
        /// Something else than reading.
        MethodNotAllowed = "method_not_allowed",
        /// A request for reading that carries a body.
        BodyNotAllowed = "body_not_allowed",
        /// Not one of the addresses that a registry serves packages at.
        PathNotAllowed = "path_not_allowed",
        /// Search sends what the client thinks of, not what it needs.
        SearchRefused = "search_refused",
        /// An audit sends the list of everything installed.
        AuditRefused = "audit_refused",
        /// Publishing and accounts.
        PublishRefused = "publish_refused",
        /// The cache does not have it, and this attempt may use nothing else.
        NotCached = "not_cached",
        /// Too many names were asked for that no registry knows.
        UnknownNames = "unknown_names",
        /// A private name was asked for at a public site.
        PrivateName = "private_name",
        /// The version was published too short a time ago.
        VersionTooYoung = "version_too_young",
        /// Neither the registry nor the file says when it was published.
        AgeUnknown = "age_unknown",
        /// What came is not what the registry's sum says.
        SumDiffers = "sum_differs",
        /// The registry gives no sum to check against.
        SumMissing = "sum_missing",
        /// The registry sent the client elsewhere.
        RedirectRefused = "redirect_refused",
        /// An artefact or a document beyond the limit of one.
        TooLarge = "too_large",
        /// The registry did not answer at all.
        RegistryUnreachable = "registry_unreachable",
        /// The registry begins too late, falls silent, or is not done in time.
        RegistrySlow = "registry_slow",
        /// The registry answered with an error or with something that is not its format.
        RegistryAnswer = "registry_answer",
        /// The registry gives this to nobody without a credential, or not to the one it was sent.
        CredentialNeeded = "credential_needed",
        /// The cache could not be written.
        CacheFailed = "cache_failed",
        /// More was sent than an attempt may send.
        UploadCap = "upload_cap",
        /// More was received than an attempt may receive.
        DownloadCap = "download_cap",
        /// More connections than an attempt may hold.
        ConnectionCap = "connection_cap",
        /// More requests within a minute than an attempt may make.
        RequestRate = "request_rate",
        /// More files of packages than a receipt can name.
        ArrivalCap = "arrival_cap",
        /// It could not be written down that the file came in.
        ArrivalNotKept = "arrival_not_kept",
    }
}

/// A registry that wants a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedRegistry {
    /// Its host.
    pub host: String,
    /// What it serves.
    pub site: RegistrySite,
    /// Whether it was sent a credential, and did not take it.
    pub refused_one: bool,
}

impl ClosedRegistry {
    /// The line of the configuration that gives it a credential.
    pub fn credential_line(&self) -> String {
        let (host, site) = (&self.host, self.site);
        format!("egress.registries: [\"host={host}; site={site}; credential=NAME\"]")
    }
}

/// One refused request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// The host with its port, or the package with its version.
    pub subject: String,
    /// What a person needs beside reason and subject; may be empty.
    pub detail: String,
    /// The project whose list would let it through.
    pub project: Option<String>,
    /// The registry that wants a credential, where that is the reason.
    pub closed: Option<ClosedRegistry>,
}

impl Refusal {
    /// Refuses `subject` for `reason`.
    pub fn new(reason: RefusalReason, subject: impl fmt::Display) -> Self {
        Self {
            reason,
            subject: subject.to_string(),
            detail: String::new(),
            project: None,
            closed: None,
        }
    }

    /// Refuses `subject`, which `registry` gave to nobody.
    pub fn of_closed_registry(registry: ClosedRegistry, subject: impl fmt::Display) -> Self {
        Self {
            closed: Some(registry),
            ..Self::new(RefusalReason::CredentialNeeded, subject)
        }
    }

    /// Says which project's list would let it through.
    #[must_use]
    pub fn in_project(mut self, project: Option<&str>) -> Self {
        self.project = project.map(str::to_owned);
        self
    }

    /// Adds what a person needs to know beside reason and subject.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// The status of the answer. Only what is worth another try is not a 403.
    pub const fn status_code(&self) -> StatusCode {
        match self.reason {
            RefusalReason::RequestRate => StatusCode::TOO_MANY_REQUESTS,
            RefusalReason::RegistryUnreachable | RefusalReason::HostUnreachable => {
                StatusCode::BAD_GATEWAY
            }
            RefusalReason::RegistrySlow => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::FORBIDDEN,
        }
    }

    /// The line to add to the configuration, where a line would let the request through.
    pub fn remedy_line(&self) -> Option<String> {
        let key = match self.reason {
            RefusalReason::HostNotListed
            | RefusalReason::PortNotListed
            | RefusalReason::EgressOff => HOSTS_KEY,
            RefusalReason::VersionTooYoung | RefusalReason::AgeUnknown => VERSIONS_KEY,
            RefusalReason::CredentialNeeded => {
                return self.closed.as_ref().map(ClosedRegistry::credential_line);
            }
            _ => return None,
        };
        let entry = self.subject.strip_suffix(":443").unwrap_or(&self.subject);
        let line = match key == HOSTS_KEY {
            true => host_line(self.project.as_deref(), entry),
            false => entry.to_owned(),
        };
        Some(format!("{key}: [\"{line}\"]"))
    }

    /// The whole answer as text: what, why, next step.
    pub fn full_text(&self) -> String {
        let mut text = format!("omoi refused this request: {}\n", self.sentence());
        if let Some(line) = self.remedy_line() {
            text.push_str(&format!(
                "hint: to allow it, add this to the configuration of the deployment and start omoi again: {line}\n"
            ));
        }
        text
    }

    fn sentence(&self) -> String {
        let subject = &self.subject;
        let mut sentence = format!("`{subject}`: {}", self.reason.explain_reason());
        if !self.detail.is_empty() {
            sentence.push_str(&format!(" ({})", self.detail));
        }
        sentence
    }
}

impl RefusalReason {
    /// The reason in words, to stand behind the name of what was asked for.
    pub const fn explain_reason(self) -> &'static str {
        match self {
            Self::EgressOff => "this attempt has no network",
            Self::BadTarget => "not a host and port",
            Self::HostNotListed => "the host is not on the list of this attempt",
            Self::HostDenied => "the host is denied by the configuration",
            Self::PortNotListed => "this port of the host is not listed",
            Self::NameNotResolved => "the name has no address",
            Self::AddressNotPublic => "the name leads to an address that is not public",
            Self::HostUnreachable => "the host did not take the connection",
            Self::NotTls => "a tunnel carries TLS and nothing else",
            Self::ServerNameMissing => "the TLS greeting names no server",
            Self::ServerNameDiffers => "the TLS greeting names another server than the tunnel",
            Self::CertificateRefused => {
                "the client does not accept the certificate of this deployment, which registries are reached through"
            }
            Self::RegistryWithoutTls => "a registry is reached by https only",
            Self::MethodNotAllowed => "only reading is allowed here",
            Self::BodyNotAllowed => "a request for reading carries no body",
            Self::PathNotAllowed => "not an address that packages are served at",
            Self::SearchRefused => "searching a registry is refused",
            Self::AuditRefused => "an audit would send the list of everything installed",
            Self::PublishRefused => "publishing and accounts are refused",
            Self::NotCached => "not in the cache, and this attempt may use nothing else",
            Self::UnknownNames => "too many names that the registry does not know were asked for",
            Self::PrivateName => "a public site does not hear the names of private packages",
            Self::VersionTooYoung => "this version was published too short a time ago",
            Self::AgeUnknown => "nothing says when this version was published",
            Self::SumDiffers => "what came is not what the sum of the registry says",
            Self::SumMissing => "the registry gives no sum to check it against",
            Self::RedirectRefused => "the registry redirects elsewhere",
            Self::TooLarge => "larger than the limit",
            Self::RegistryUnreachable => "the registry does not answer",
            Self::RegistrySlow => "the registry is too slow",
            Self::RegistryAnswer => "the registry answers with an error or in another format",
            Self::CredentialNeeded => "the registry wants a credential",
            Self::CacheFailed => "the cache of packages could not be written",
            Self::UploadCap => "this attempt has sent as much as it may",
            Self::DownloadCap => "this attempt has received as much as it may",
            Self::ConnectionCap => "this attempt holds as many connections as it may",
            Self::RequestRate => "this attempt makes too many requests a minute",
            Self::ArrivalCap => "this attempt was given as many files as its receipt can name",
            Self::ArrivalNotKept => "it could not be written down that the file came in",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_why_and_the_line_to_add() {
        let refusal = Refusal::new(RefusalReason::HostNotListed, "api.example.com:443");
        assert_eq!(refusal.status_code(), StatusCode::FORBIDDEN);
        assert_eq!(
            refusal.full_text(),
            "omoi refused this request: `api.example.com:443`: the host is not on the list of this attempt\n\
             hint: to allow it, add this to the configuration of the deployment and start omoi again: egress.hosts: [\"api.example.com\"]\n"
        );
        let in_project = refusal.in_project(Some("todo"));
        assert_eq!(
            in_project.remedy_line().as_deref(),
            Some("egress.hosts: [\"project=todo; host=api.example.com\"]")
        );
        let young = Refusal::new(RefusalReason::VersionTooYoung, "npm:left-pad@1.3.0")
            .with_detail("published 2026-11-29, allowed from 2026-12-02");
        assert_eq!(
            young.remedy_line().as_deref(),
            Some("egress.versions: [\"npm:left-pad@1.3.0\"]")
        );
        assert!(young.full_text().contains("allowed from 2026-12-02"));
        let other_port = Refusal::new(RefusalReason::PortNotListed, "db.example.com:5432");
        assert_eq!(
            other_port.remedy_line().as_deref(),
            Some("egress.hosts: [\"db.example.com:5432\"]")
        );
        assert_eq!(
            Refusal::new(RefusalReason::SumDiffers, "x").remedy_line(),
            None
        );
        let closed = ClosedRegistry {
            host: "npm.example.org".to_owned(),
            site: RegistrySite::Npm,
            refused_one: false,
        };
        assert_eq!(
            Refusal::of_closed_registry(closed, "npm:own@1.0.0")
                .remedy_line()
                .as_deref(),
            Some("egress.registries: [\"host=npm.example.org; site=npm; credential=NAME\"]")
        );
    }

    #[test]
    fn only_what_is_worth_another_try_is_not_forbidden() {
        for reason in RefusalReason::ALL {
            let expected = match reason {
                RefusalReason::RequestRate => 429,
                RefusalReason::RegistryUnreachable | RefusalReason::HostUnreachable => 502,
                RefusalReason::RegistrySlow => 504,
                _ => 403,
            };
            assert_eq!(
                Refusal::new(*reason, "x").status_code().as_u16(),
                expected,
                "{reason}"
            );
        }
    }
}
