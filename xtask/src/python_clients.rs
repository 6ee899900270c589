//! Where the vendors' Python clients are that tests run against the gateway and the simulated model.

use std::path::PathBuf;

use anyhow::Result;

use crate::host;

/// The clients and all that they need, each in one version.
pub const PACKAGES: &[&str] = &[
    "anthropic==2.14.0",
    "openai==3.57.0",
    "annotated-types==0.8.0",
    "anyio==4.16.0",
    "docstring_parser==0.18.0",
    "h11==0.16.0",
    "httpcore2==2.16.2",
    "httpx2==2.16.2",
    "idna==3.20",
    "jiter==0.19.0",
    "opentelemetry-api==1.45.2",
    "pydantic==2.14.4",
    "pydantic_core==2.50.5",
    "sniffio==1.3.1",
    "truststore==0.10.5",
    "typing-inspection==0.4.5",
    "typing_extensions==4.16.0",
];

/// The folder outside the clone that `PYTHONPATH` names; other versions have another.
///
/// # Errors
/// Fails when the machine has no cache folder.
pub fn folder() -> Result<PathBuf> {
    let name = format!("python-clients-{}-{}", PACKAGES[0], PACKAGES[1]);
    Ok(host::tools_folder()?.join(name.replace("==", "-")))
}
