//! What a client says inside a tunnel to a registry: names, media types, and why its handshake failed.

use http::header::{ACCEPT, HOST};
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use rustls::{AlertDescription, Error as TlsError};

use crate::document::simple_index::JSON_TYPE;
use crate::host::EgressTarget;
use crate::refusal::{Refusal, RefusalReason};

/// The name in the greeting and the one in the request must both be the tunnel's.
pub(crate) fn check_names(
    request: &Request<Incoming>,
    server_name: Option<&str>,
    host: &str,
) -> Result<(), Refusal> {
    let is_host = |name: &str| {
        let target = EgressTarget::parse(name, 443);
        target.is_ok_and(|target| target.host.as_name() == Some(host) && target.port == 443)
    };
    let differs =
        |name: &str| Refusal::new(RefusalReason::ServerNameDiffers, host).with_detail(name);
    if let Some(name) = server_name.filter(|name| !is_host(name)) {
        return Err(differs(name));
    }
    let named = request
        .headers()
        .get(HOST)
        .and_then(|named| named.to_str().ok());
    match named {
        Some(named) if is_host(named) => Ok(()),
        Some(named) => Err(differs(named)),
        None => Err(differs("no host at all")),
    }
}

/// Why a handshake failed, as far as the client says.
pub(crate) fn handshake_refusal(host: &str, error: &std::io::Error) -> Refusal {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>());
    let reason = match tls {
        Some(TlsError::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
        ))
        | None => RefusalReason::CertificateRefused,
        Some(_) => RefusalReason::NotTls,
    };
    Refusal::new(reason, host).with_detail(error)
}

/// Whether the client reads the simple index as JSON: it says so, or else it is an old one.
pub(crate) fn takes_json(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|media_type| {
            let media_type = media_type.split(';').next().unwrap_or_default().trim();
            media_type.eq_ignore_ascii_case(JSON_TYPE)
        })
}
