//! How clients in a sandbox are told of the proxy and of the authority.

/// Variables that make package managers go through the proxy at `proxy` and trust the certificate at
/// `certificate`.
///
/// A machine's own settings may name another list of authorities, and some clients take that before their
/// usual variable: so npm has two. What clients ask by themselves, beside what they were told to install,
/// is switched off, since it would be refused.
pub fn client_variables(proxy: &str, certificate: &str) -> Vec<(&'static str, String)> {
    let proxies = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
    let certificates = [
        "NODE_EXTRA_CA_CERTS",
        "npm_config_cafile",
        "PIP_CERT",
        "CARGO_HTTP_CAINFO",
        // Go has no variable of its own.
        "SSL_CERT_FILE",
    ];
    let local = ["NO_PROXY", "no_proxy"];
    let quiet = [
        ("npm_config_audit", "false"),
        ("npm_config_update_notifier", "false"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ];
    let through = proxies.map(|name| (name, proxy.to_owned()));
    let trusting = certificates.map(|name| (name, certificate.to_owned()));
    let around = local.map(|name| (name, "127.0.0.1,localhost".to_owned()));
    let quiet = quiet.map(|(name, value)| (name, value.to_owned()));
    through
        .into_iter()
        .chain(trusting)
        .chain(around)
        .chain(quiet)
        .collect()
}
