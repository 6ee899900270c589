//! The package managers of Node and Python that tests run as clients of the proxy.

use std::path::PathBuf;

use anyhow::Result;

use crate::host;

/// Packages of npm, each without any other.
pub const NODE: &[&str] = &["yarn@1.22.22", "pnpm@9.15.9"];

/// Packages of PyPI, and all that they need, each in one version.
pub const PYTHON: &[&str] = &[
    "poetry==2.5.1",
    "uv==0.13.9",
    "anyio==4.16.0",
    "backports.tarfile==1.2.0",
    "backports_zstd==1.8.0",
    "build==1.6.1",
    "cachecontrol==0.14.4",
    "certifi==2026.10.19.post1",
    "cffi==2.1.1",
    "charset_normalizer==3.5.3",
    "cleo==2.1.0",
    "crashtest==0.4.1",
    "cryptography==50.0.2",
    "distlib==0.4.4",
    "dulwich==1.2.21",
    "fastjsonschema==2.22.3",
    "filelock==4.3.1",
    "findpython==0.8.0",
    "h11==0.16.0",
    "httpcore2==2.16.2",
    "httpx2==2.16.2",
    "idna==3.20",
    "importlib_metadata==10.2.0",
    "installer==1.1.0",
    "jaraco.classes==3.4.0",
    "jaraco_context==6.1.2",
    "jaraco_functools==4.6.0",
    "jeepney==0.9.0",
    "keyring==25.7.0",
    "lazy_importer==0.1.0",
    "more_itertools==11.2.1",
    "msgpack==1.2.4",
    "packaging==26.4",
    "pbs_installer==2026.10.25",
    "pkginfo==1.13.3",
    "platformdirs==4.14.8",
    "poetry_core==2.5.0",
    "pycparser==3.12",
    "pyproject_hooks==1.3.3",
    "python_discovery==1.9.6",
    "rapidfuzz==3.14.6",
    "requests==2.34.2",
    "requests_toolbelt==1.0.0",
    "secretstorage==3.5.0",
    "shellingham==1.5.4",
    "tomlkit==0.15.2",
    "trove_classifiers==2026.9.21.13",
    "truststore==0.10.5",
    "typing_extensions==4.16.0",
    "urllib3==2.8.0",
    "virtualenv==21.15.11",
    "zipp==4.1.2",
];

/// The folder outside the clone that they are installed in, Python's below `python`; other versions have another.
///
/// # Errors
/// Fails when the machine has no cache folder.
pub fn folder() -> Result<PathBuf> {
    let names = [NODE, &PYTHON[..2]].concat().join("-");
    let name = names.replace("==", "-").replace('@', "-");
    Ok(host::tools_folder()?.join(format!("package-clients-{name}")))
}
