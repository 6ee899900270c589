//! The authority of this deployment: it signs for the hosts of registries and for nothing else.
//!
//! A sandbox trusts its certificate, so that the proxy can end TLS and names of registries stay what they
//! are in lock files. The certificate itself says which hosts it may sign for: a stolen key gives nobody
//! another host.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use omoi_domain::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use tracing::info;

/// File of the private key, mode 0600.
const KEY_FILE: &str = "authority.key";
/// File of the certificate, which sandboxes are given.
const CERTIFICATE_FILE: &str = "authority.pem";
/// File of the hosts that the certificate is good for and when it was made.
const SCOPE_FILE: &str = "authority.scope";

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long the authority's certificate is good for.
const AUTHORITY_LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);
/// It is made again this long before its end.
const AUTHORITY_RENEWAL: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long the certificate of a host is good for.
const LEAF_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The authority could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file could not be read or written.
    #[error("could not read or write {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can read the key.
    #[error(
        "{} can be read by other users (mode {mode:04o}); remove the file, and a new key is made",
        path.display()
    )]
    OpenKey {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A key or certificate is not what it should be.
    #[error("could not make or read a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library takes no such certificate.
    #[error("could not offer a certificate")]
    Tls(#[from] rustls::Error),
}

/// Signs for the hosts of registries.
pub struct EgressAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate_path: PathBuf,
    leaves: Mutex<HashMap<String, HostLeaf>>,
}

/// What is shown to clients of one host.
struct HostLeaf {
    config: Arc<ServerConfig>,
    good_until: Timestamp,
}

impl EgressAuthority {
    /// Reads the authority kept in `folder`, or makes it. The key is made once; the certificate again when
    /// `hosts` are others than it was made for, or when its end is near.
    ///
    /// # Errors
    /// Returns [`AuthorityError`]; a key that others can read is not used.
    pub fn open(folder: &Path, hosts: &[String], now: Timestamp) -> Result<Self, AuthorityError> {
        fs::create_dir_all(folder).map_err(in_file(folder))?;
        let key = read_key(folder)?;
        let (params, made_at) = match read_scope(folder, hosts, now)? {
            Some(made_at) => (authority_params(hosts, made_at)?, made_at),
            None => (authority_params(hosts, now)?, now),
        };
        let certificate_path = folder.join(CERTIFICATE_FILE);
        if made_at == now || !certificate_path.exists() {
            let certificate = params.self_signed(&key)?;
            replace_file(&certificate_path, certificate.pem().as_bytes())?;
            replace_file(
                &folder.join(SCOPE_FILE),
                scope_text(hosts, made_at).as_bytes(),
            )?;
            info!("Made a certificate for {} hosts of registries", hosts.len());
        }
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate_path,
            leaves: Mutex::default(),
        })
    }

    /// The certificate that a sandbox is given, as PEM.
    pub fn certificate_path(&self) -> &Path {
        &self.certificate_path
    }

    /// What ends TLS for `host`, with a certificate that is made once a month.
    ///
    /// # Errors
    /// Returns [`AuthorityError`] when no certificate can be made.
    pub fn server_config(
        &self,
        host: &str,
        now: Timestamp,
    ) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = leaves.get(host).filter(|leaf| leaf.good_until > now) {
            return Ok(Arc::clone(&leaf.config));
        }
        let config = Arc::new(self.sign_host(host, now)?);
        let leaf = HostLeaf {
            config: Arc::clone(&config),
            good_until: now + LEAF_LIFE - DAY * 2,
        };
        leaves.insert(host.to_owned(), leaf);
        Ok(config)
    }

    fn sign_host(&self, host: &str, now: Timestamp) -> Result<ServerConfig, AuthorityError> {
        let mut params = CertificateParams::new([host.to_owned()])?;
        params
            .distinguished_name
            .push(DnType::CommonName, "OmoiOS registry proxy");
        params.not_before = calendar_time(now - DAY);
        params.not_after = calendar_time(now + LEAF_LIFE);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn authority_params(
    hosts: &[String],
    made_at: Timestamp,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params
        .distinguished_name
        .push(DnType::OrganizationName, "OmoiOS");
    params.distinguished_name.push(
        DnType::CommonName,
        "OmoiOS registry proxy of this deployment",
    );
    params.not_before = calendar_time(made_at - DAY);
    params.not_after = calendar_time(made_at + AUTHORITY_LIFE);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let permitted = hosts
        .iter()
        .map(|host| GeneralSubtree::DnsName(host.clone()));
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted.collect(),
        // Without these, permitted names would say nothing about certificates for addresses.
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
        ],
    });
    Ok(params)
}

fn calendar_time(at: Timestamp) -> OffsetDateTime {
    let seconds = at.as_micros().div_euclid(1_000_000);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The key, made at the first start.
fn read_key(folder: &Path) -> Result<KeyPair, AuthorityError> {
    let path = folder.join(KEY_FILE);
    if !path.exists() {
        let key = KeyPair::generate()?;
        // A file of this library has mode 0600 from its first moment, and the first of two processes wins.
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(key.serialize_pem().as_bytes())?;
            file.as_file().sync_all()?;
            match file.persist_noclobber(&path) {
                Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
                    Err(error.error)
                }
                _ => Ok(()),
            }
        };
        write().map_err(in_file(&path))?;
    }
    let mode = fs::metadata(&path)
        .map_err(in_file(&path))?
        .permissions()
        .mode()
        & 0o7777;
    if mode & 0o077 != 0 {
        return Err(AuthorityError::OpenKey { path, mode });
    }
    let text = fs::read_to_string(&path).map_err(in_file(&path))?;
    Ok(KeyPair::from_pem(&text)?)
}

/// When the certificate was made, if it is good for `hosts` and for a while yet.
fn read_scope(
    folder: &Path,
    hosts: &[String],
    now: Timestamp,
) -> Result<Option<Timestamp>, AuthorityError> {
    let path = folder.join(SCOPE_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(in_file(&path)(error)),
    };
    let made_at = text
        .lines()
        .next()
        .and_then(|line| line.parse().ok())
        .map(Timestamp::from_micros);
    Ok(made_at.filter(|made_at| {
        let is_fresh = *made_at + AUTHORITY_LIFE - AUTHORITY_RENEWAL > now;
        is_fresh && text == scope_text(hosts, *made_at)
    }))
}

fn scope_text(hosts: &[String], made_at: Timestamp) -> String {
    format!("{}\n{}\n", made_at.as_micros(), hosts.join("\n"))
}

/// Replaces a file that anybody may read, whole or not at all.
fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), AuthorityError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(in_file(path))
}

fn in_file(path: &Path) -> impl Fn(io::Error) -> AuthorityError + '_ {
    move |source| AuthorityError::File {
        path: path.to_owned(),
        source,
    }
}
