//! The authority: made once, readable by nobody else, and good for registries alone.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use omoi_egress::authority::{AuthorityError, EgressAuthority};
use omoi_runtime::clock::{Clock as _, SystemClock};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const HOST: &str = "registry.npmjs.org";

fn hosts() -> Vec<String> {
    vec![HOST.to_owned(), "pypi.org".to_owned()]
}

/// Whether a client that trusts the authority accepts its certificate for `host`.
async fn is_accepted(authority: &EgressAuthority, host: &'static str) -> bool {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority.certificate_path()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (client, server) = tokio::io::duplex(64 << 10);
    let config_of_host = authority.server_config(host, SystemClock.now()).unwrap();
    let acceptor = TlsAcceptor::from(config_of_host);
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(host).unwrap();
    let (accepted, connected) =
        tokio::join!(acceptor.accept(server), connector.connect(name, client));
    accepted.is_ok() && connected.is_ok()
}

#[tokio::test]
async fn it_is_good_for_the_hosts_of_registries_alone() {
    let folder = tempfile::tempdir().unwrap();
    let authority = EgressAuthority::open(folder.path(), &hosts(), SystemClock.now()).unwrap();
    assert!(is_accepted(&authority, HOST).await);
    assert!(is_accepted(&authority, "pypi.org").await);
    for other in [
        "example.com",
        "npmjs.org",
        "registry.npmjs.org.evil.net",
        "127.0.0.1",
        "::1",
    ] {
        assert!(!is_accepted(&authority, other).await, "{other}");
    }
}

#[tokio::test]
async fn the_key_is_made_once_and_the_certificate_follows_the_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemClock.now();
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    EgressAuthority::open(folder.path(), &hosts(), now).unwrap();
    let (key, certificate) = (read("authority.key"), read("authority.pem"));
    let mode = std::fs::metadata(folder.path().join("authority.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let later = now + Duration::from_secs(3600);
    let again = EgressAuthority::open(folder.path(), &hosts(), later).unwrap();
    assert_eq!(
        (read("authority.key"), read("authority.pem")),
        (key.clone(), certificate.clone())
    );
    assert!(is_accepted(&again, HOST).await);
    let mut more = hosts();
    more.push("npm.example.com".to_owned());
    let wider = EgressAuthority::open(folder.path(), &more, later).unwrap();
    assert_eq!(read("authority.key"), key);
    assert_ne!(read("authority.pem"), certificate);
    assert!(is_accepted(&wider, "npm.example.com").await);
    // Near its end the certificate is made again.
    let certificate = read("authority.pem");
    let old = later + Duration::from_secs(3600 * 24 * 3600);
    EgressAuthority::open(folder.path(), &more, old).unwrap();
    assert_ne!(read("authority.pem"), certificate);
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemClock.now();
    EgressAuthority::open(folder.path(), &hosts(), now).unwrap();
    let key = folder.path().join("authority.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = EgressAuthority::open(folder.path(), &hosts(), now)
        .err()
        .unwrap();
    assert!(
        matches!(refused, AuthorityError::OpenKey { mode: 0o640, .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("mode 0640"), "{refused}");
}
