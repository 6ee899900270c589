//! Downloads: packages of the npm registry and Node's wheel from the Python package index, over HTTPS with
//! the system's certificates.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use omoi_domain::config::mask_url;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha512};
use tokio::io::AsyncWriteExt as _;

use crate::error::AgentProgramError;
use crate::integrity::FileIntegrity;
use crate::pinned_list::{NodeWheel, PinnedPackage};

const NPM: &str = "https://registry.npmjs.org";
const PYPI: &str = "https://pypi.org/simple";
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// Between two pieces of an answer.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const REDIRECTS_MAX: usize = 5;
/// Bytes of a description or an index.
const TEXT_BYTES_MAX: u64 = 64 << 20;
/// How often a download is begun when the connection breaks or the registry is busy.
const TRIES: u32 = 3;

/// Where downloads come from.
#[derive(Clone, Debug)]
pub struct PackageRegistry {
    npm: String,
    pypi: String,
    client: Client,
}

/// Told of the bytes of a download that came since the last time.
pub(crate) type ByteCounter<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// Where a download goes.
pub(crate) struct DownloadTarget<'a> {
    /// Its file.
    pub(crate) path: &'a Path,
    /// Bytes that it has at most.
    pub(crate) bytes_max: u64,
    /// Who is told.
    pub(crate) on_bytes: ByteCounter<'a>,
}

impl PackageRegistry {
    /// The registries that `variable` names, as npm and pip look for them; else the public ones.
    ///
    /// # Errors
    /// [`AgentProgramError::Unreachable`] where the system's certificates cannot be read.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, AgentProgramError> {
        let first = |names: &[&str], usual: &str| {
            let named = names.iter().find_map(|name| variable(name));
            let url = named.filter(|url| !url.is_empty());
            url.map_or_else(
                || usual.to_owned(),
                |url| url.trim_end_matches('/').to_owned(),
            )
        };
        let npm = first(&["npm_config_registry", "NPM_CONFIG_REGISTRY"], NPM);
        let client = Client::builder()
            .connect_timeout(CONNECT_MAX)
            .read_timeout(SILENCE_MAX)
            .redirect(redirects())
            .user_agent(concat!("omoi/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| AgentProgramError::Unreachable {
                url: mask_url(&npm),
                source,
            })?;
        Ok(Self {
            npm,
            pypi: first(&["PIP_INDEX_URL"], PYPI),
            client,
        })
    }

    /// The address of a package's archive.
    fn tarball_url(&self, name: &str, version: &str) -> String {
        let file = name.rsplit('/').next().unwrap_or(name);
        format!("{}/{name}/-/{file}-{version}.tgz", self.npm)
    }

    /// Puts the archive of `package` at the place of `target` when it is the pinned one.
    pub(crate) async fn fetch_package(
        &self,
        package: &PinnedPackage,
        target: &DownloadTarget<'_>,
    ) -> Result<(), AgentProgramError> {
        let url = self.tarball_url(&package.name, &package.version);
        let found = self.fetch_file::<Sha512>(&url, target).await?;
        let found = FileIntegrity::of_hasher(found);
        match found == package.integrity {
            true => Ok(()),
            false => Err(AgentProgramError::WrongIntegrity {
                url: mask_url(&url),
                expected: package.integrity.to_string(),
                found: found.to_string(),
            }),
        }
    }

    /// Puts a wheel of the Python package `name` at the place of `target` when it is the pinned one.
    pub(crate) async fn fetch_wheel(
        &self,
        name: &str,
        wheel: &NodeWheel,
        target: &DownloadTarget<'_>,
    ) -> Result<(), AgentProgramError> {
        let page_url = format!("{}/{name}/", self.pypi);
        let page = self.get_text(&page_url).await?;
        let link = find_link(&page, &wheel.file).ok_or_else(|| AgentProgramError::NoWheel {
            url: mask_url(&page_url),
            file: wheel.file.clone(),
        })?;
        let url = resolve_link(&page_url, link);
        let found = self.fetch_file::<Sha256>(&url, target).await?;
        let found = hex::encode(found.finalize());
        match found == wheel.sha256 {
            true => Ok(()),
            false => Err(AgentProgramError::WrongIntegrity {
                url: mask_url(&url),
                expected: wheel.sha256.clone(),
                found,
            }),
        }
    }

    /// What the registry says about one version of a package.
    pub(crate) async fn describe_package(
        &self,
        name: &str,
        version: &str,
    ) -> Result<Value, AgentProgramError> {
        let url = format!("{}/{name}/{version}", self.npm);
        let text = self.get_text(&url).await?;
        serde_json::from_str(&text).map_err(|error| AgentProgramError::Description {
            package: name.to_owned(),
            what: error.to_string(),
        })
    }

    /// The list of a Python package's files.
    pub(crate) async fn list_wheels(&self, name: &str) -> Result<String, AgentProgramError> {
        self.get_text(&format!("{}/{name}/", self.pypi)).await
    }

    async fn get_text(&self, url: &str) -> Result<String, AgentProgramError> {
        let mut response = self.get(url).await?;
        let mut text = Vec::new();
        while let Some(piece) = next_piece(&mut response, url, text.len() as u64).await? {
            text.extend_from_slice(&piece);
            check_length(url, text.len() as u64, TEXT_BYTES_MAX)?;
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Downloads a file and hands back the digest of its bytes.
    async fn fetch_file<H: sha2::Digest>(
        &self,
        url: &str,
        target: &DownloadTarget<'_>,
    ) -> Result<H, AgentProgramError> {
        let mut tried = 1;
        loop {
            match self.try_file(url, target).await {
                Err(error) if tried < TRIES && is_passing(&error) => {
                    tracing::info!(url = mask_url(url), tried, "The download begins again");
                    tried += 1;
                }
                done => return done,
            }
        }
    }

    async fn try_file<H: sha2::Digest>(
        &self,
        url: &str,
        target: &DownloadTarget<'_>,
    ) -> Result<H, AgentProgramError> {
        let path = target.path;
        let mut response = self.get(url).await?;
        let length = response.content_length();
        check_length(url, length.unwrap_or_default(), target.bytes_max)?;
        let mut file = tokio::fs::File::create(path)
            .await
            .map_err(AgentProgramError::file_error("create", path))?;
        let (mut hasher, mut bytes) = (H::new(), 0);
        while let Some(piece) = next_piece(&mut response, url, bytes).await? {
            bytes += piece.len() as u64;
            check_length(url, bytes, target.bytes_max)?;
            hasher.update(&piece);
            file.write_all(&piece)
                .await
                .map_err(AgentProgramError::file_error("write", path))?;
            (target.on_bytes)(piece.len() as u64);
        }
        if length.is_some_and(|length| length != bytes) {
            return Err(AgentProgramError::Cut {
                url: mask_url(url),
                bytes,
                source: None,
            });
        }
        file.flush()
            .await
            .map_err(AgentProgramError::file_error("write", path))?;
        Ok(hasher)
    }

    async fn get(&self, url: &str) -> Result<Response, AgentProgramError> {
        let response = self.client.get(url).send().await;
        let response = response.map_err(|source| AgentProgramError::Unreachable {
            url: mask_url(url),
            source: source.without_url(),
        })?;
        match response.status() {
            StatusCode::OK => Ok(response),
            status => Err(AgentProgramError::Refused {
                url: mask_url(url),
                status: status.as_u16(),
            }),
        }
    }
}

async fn next_piece(
    response: &mut Response,
    url: &str,
    bytes: u64,
) -> Result<Option<Bytes>, AgentProgramError> {
    let piece = response.chunk().await;
    piece.map_err(|source| AgentProgramError::Cut {
        url: mask_url(url),
        bytes,
        source: Some(source),
    })
}

/// A registry sends what it likes, and its sum is known only at the end.
fn check_length(url: &str, bytes: u64, bytes_max: u64) -> Result<(), AgentProgramError> {
    match bytes > bytes_max {
        true => Err(AgentProgramError::TooLong {
            url: mask_url(url),
            bytes_max,
        }),
        false => Ok(()),
    }
}

/// Never from a protected connection to an open one.
fn redirects() -> Policy {
    Policy::custom(move |attempt| {
        if attempt.previous().len() > REDIRECTS_MAX {
            return attempt.error("too many redirects");
        }
        let mut passed = attempt.previous().iter();
        let is_protected = passed.any(|url| url.scheme() == "https");
        match is_protected && attempt.url().scheme() != "https" {
            true => attempt.error("a redirect to an address without TLS"),
            false => attempt.follow(),
        }
    })
}

/// Whether the same request may go well in a moment.
fn is_passing(error: &AgentProgramError) -> bool {
    match error {
        AgentProgramError::Cut { .. } => true,
        AgentProgramError::Unreachable { source, .. } => {
            !source.is_redirect() && !source.is_builder()
        }
        AgentProgramError::Refused { status, .. } => *status >= 500,
        _ => false,
    }
}

/// The target of the link to `file` on a page of the index.
pub(crate) fn find_link<'a>(page: &'a str, file: &str) -> Option<&'a str> {
    let mut links = page.split("href=\"").skip(1);
    links.find_map(|rest| {
        let link = rest.split('"').next()?;
        let path = link.split(['#', '?']).next()?;
        (path.rsplit('/').next() == Some(file)).then_some(link)
    })
}

/// The address behind a link, which may be relative to its page.
fn resolve_link(page: &str, link: &str) -> String {
    let link = link.split('#').next().unwrap_or(link);
    let joined = reqwest::Url::parse(page).and_then(|page| page.join(link));
    joined.map_or_else(|_| link.to_owned(), String::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    fn registry(variables: &'static [(&str, &str)]) -> PackageRegistry {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        PackageRegistry::from_environment(lookup).unwrap()
    }

    #[test]
    fn the_registry_is_the_one_that_npm_asks() {
        let check = |variables: &'static [(&str, &str)], expected: &str| {
            let url = registry(variables).tarball_url("@openai/codex", "1.2.3-linux-x64");
            assert_eq!(url, expected);
        };
        let usual = "https://registry.npmjs.org/@openai/codex/-/codex-1.2.3-linux-x64.tgz";
        check(&[], usual);
        check(&[("npm_config_registry", "")], usual);
        check(
            &[("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1/npm/")],
            "http://127.0.0.1:1/npm/@openai/codex/-/codex-1.2.3-linux-x64.tgz",
        );
    }

    #[test]
    fn links_of_an_index_are_found_by_file_and_may_be_relative() {
        let page = "<a href=\"../../packages/a/x-1.whl#sha256=00\">x-1.whl</a>\n\
                    <a href=\"https://files.example/x-1.whl.metadata\">y</a>\
                    <a href=\"https://files.example/x-2.whl?a=b#c\">y</a>";
        let link = |file| find_link(page, file).map(|l| resolve_link("https://a.b/simple/x/", l));
        assert_eq!(link("x-1.whl").unwrap(), "https://a.b/packages/a/x-1.whl");
        assert_eq!(
            link("x-2.whl").unwrap(),
            "https://files.example/x-2.whl?a=b"
        );
        assert_eq!(link("x-3.whl"), None);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let refused = |status| AgentProgramError::Refused {
            url: String::new(),
            status,
        };
        let cut = AgentProgramError::Cut {
            url: String::new(),
            bytes: 1,
            source: None,
        };
        assert!(is_passing(&cut) && is_passing(&refused(503)));
        assert!(!is_passing(&refused(404)) && !is_passing(&refused(401)));
    }
}
