//! Clients of a stub registry, and what it hands out.

use omoi_programs::integrity::FileIntegrity;
use omoi_programs::registry::PackageRegistry;
use sha2::{Digest as _, Sha512};

/// A client of the registry and the index at `address`.
pub(crate) fn client_of(address: &str) -> PackageRegistry {
    let address = address.to_owned();
    let variable = move |name: &str| match name {
        "npm_config_registry" => Some(address.clone()),
        "PIP_INDEX_URL" => Some(format!("{address}/simple")),
        _ => None,
    };
    PackageRegistry::from_environment(variable).unwrap()
}

/// An archive of npm with these files.
pub(crate) fn tarball(files: &[(&str, &str)]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        builder
            .append_data(&mut header, format!("package/{name}"), text.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// The digest of `bytes` as npm writes it.
pub(crate) fn integrity_of(bytes: &[u8]) -> FileIntegrity {
    use base64::Engine as _;
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha512::digest(bytes));
    FileIntegrity::try_from(format!("sha512-{digest}")).unwrap()
}
