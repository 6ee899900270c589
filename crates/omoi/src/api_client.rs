//! Asks the process that owns the data folder, over its socket, or a server over HTTP.

mod account;
mod admin;
mod events;
mod laptop;
mod later;
mod organizations;
mod projects;
mod specs;
mod tasks;
mod threads;
mod tickets;
mod uploads;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::OrgId;
use omoi_llm::wire::headers::percent_encode;
use omoi_protocol::api::{
    ListPage, PAGE_LIMIT_MAX, ReferenceKind, ReferenceUse, ResolvedReference,
};
use omoi_protocol::error::ErrorBody;
use omoi_runtime::clock::{Clocked, SystemClock};
use omoi_runtime::rng::{NoEntropy, Rng};

use crate::server_profiles::ServerAddress;

/// The header that names a request.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header that says which organisation a request is about, where it names no row.
const ORGANIZATION: &str = "x-organization-id";
/// What to do where a credential belongs to several organisations and none was chosen.
const SEVERAL_ORGANISATIONS: &str =
    "choose one: omoi org use NAME; which there are: omoi org list; for one command: --org NAME";
const CONNECT: Duration = Duration::from_secs(10);

/// Where the owner answers.
#[derive(Clone, Debug)]
pub(crate) enum ClientEndpoint {
    /// A socket in the data folder.
    Socket(PathBuf),
    /// A port of this machine.
    Loopback(SocketAddr),
    /// A server at this address.
    Server(ServerAddress),
}

/// Why an answer did not come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The owner refused, and said why.
    #[error("{message}")]
    Refused {
        /// Stable code of the refusal, such as `not_found`.
        code: String,
        /// What happened and where, for people.
        message: String,
        /// What to do about it, where that is known.
        hint: Option<String>,
        /// Id that the log of the process has the failure under, where it is one of its own.
        request_id: Option<String>,
    },
    /// No process answers at the endpoint.
    #[error("no answer from the process that owns the data")]
    Unreachable(#[source] reqwest::Error),
    /// The request could not be named.
    #[error("could not name the request, so that it is done once")]
    NoKey(#[source] NoEntropy),
    /// The answer is longer than is taken.
    #[error("the answer has more than {bytes_max} bytes")]
    LongAnswer {
        /// The longest that is taken.
        bytes_max: usize,
    },
    /// The answer does not read as what was asked for.
    #[error("the answer could not be read; is the other process of the same version?")]
    Answer(#[source] serde_json::Error),
}

impl ClientError {
    /// Whether the owner refused with `code`.
    pub(crate) fn has_code(&self, code: ErrorCode) -> bool {
        matches!(self, Self::Refused { code: refused, .. } if refused == code.as_str())
    }

    /// What to do about it.
    pub(crate) fn refusal_hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => hint.as_deref(),
            Self::Unreachable(_) => {
                Some("start it again with `omoi up`, or wait until it has stopped")
            }
            Self::NoKey(_) | Self::Answer(_) | Self::LongAnswer { .. } => None,
        }
    }

    /// Id that the log of the process has the failure under.
    pub(crate) fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { request_id, .. } => request_id.as_deref(),
            Self::Unreachable(_) | Self::NoKey(_) | Self::Answer(_) | Self::LongAnswer { .. } => {
                None
            }
        }
    }
}

pub(crate) use self::tasks::LogPosition;

/// A client of one owner.
#[derive(Clone, Debug)]
pub(crate) struct ApiClient {
    http: reqwest::Client,
    base: String,
    /// What opens the API; none before somebody signed in.
    token: Option<SecretString>,
    /// The repository that commands are typed in.
    here: Option<String>,
    /// The folder of that repository, by which a server that does not see it knows the project.
    folder_name: Option<String>,
    /// The organisation that requests are about, where they name no row.
    organization: Option<OrgId>,
    /// Waits where the server asks to come back later.
    clock: Clocked,
}

impl ApiClient {
    /// A client of the owner at `endpoint`.
    pub(crate) fn new(
        endpoint: &ClientEndpoint,
        token: Option<SecretString>,
    ) -> Result<Self, ClientError> {
        // A redirect would take a password or a key to an address that nobody named.
        let no_redirect = reqwest::redirect::Policy::none;
        let builder = || {
            let builder = reqwest::Client::builder().connect_timeout(CONNECT);
            builder.redirect(no_redirect())
        };
        // Nothing is encrypted on this machine: its root certificates stay unread.
        let here = || builder().no_proxy().tls_certs_only([]);
        let (builder, base) = match endpoint {
            ClientEndpoint::Socket(path) => {
                let base = "http://omoi".to_owned();
                (here().unix_socket(path.clone()), base)
            }
            ClientEndpoint::Loopback(address) => (here(), format!("http://{address}")),
            ClientEndpoint::Server(url) if url.is_encrypted() => {
                (builder().https_only(true), url.to_string())
            }
            ClientEndpoint::Server(url) => (here(), url.to_string()),
        };
        let http = builder.build().map_err(ClientError::Unreachable)?;
        Ok(Self {
            http,
            base,
            token,
            here: None,
            folder_name: None,
            organization: None,
            clock: Arc::new(SystemClock),
        })
    }

    /// The same client, asking from the repository at `here`.
    #[must_use]
    pub(crate) fn asking_from(mut self, here: Option<&Path>) -> Self {
        self.here = here.and_then(Path::to_str).map(ToOwned::to_owned);
        self
    }

    /// The same client of a server that does not see the repository at `here`, whose project is called as its folder.
    #[must_use]
    pub(crate) fn asking_from_elsewhere(mut self, here: Option<&Path>) -> Self {
        let folder = here.and_then(Path::file_name);
        self.folder_name = folder.map(|name| name.to_string_lossy().into_owned());
        self
    }

    /// The same client, acting in `organization`; where none is given, in whichever it acts in already.
    #[must_use]
    pub(crate) fn acting_in(mut self, organization: Option<OrgId>) -> Self {
        self.organization = organization.or(self.organization);
        self
    }

    /// The organisation that was chosen for this client.
    pub(crate) const fn acts_in(&self) -> Option<OrgId> {
        self.organization
    }

    /// The same client with another credential.
    #[must_use]
    pub(crate) fn with_token(&self, token: SecretString) -> Self {
        Self {
            token: Some(token),
            ..self.clone()
        }
    }

    /// The same client by another clock.
    #[cfg(test)]
    fn with_clock(self, clock: Clocked) -> Self {
        Self { clock, ..self }
    }

    fn new_request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self
            .http
            .request(method, format!("{}/api/v1{path}", self.base));
        if let Some(organization) = self.organization {
            request = request.header(ORGANIZATION, organization.to_string());
        }
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    async fn send_request(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let sent = later::send_until_let_in(&self.clock, request).await;
        let response = sent.map_err(ClientError::Unreachable)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.map_err(ClientError::Unreachable)?;
        Err(match serde_json::from_str::<ErrorBody>(&text) {
            Ok(body) => ClientError::Refused {
                request_id: body
                    .has_code(ErrorCode::Internal)
                    .then_some(body.request_id),
                hint: match body.fields.iter().any(|field| field.path == ORGANIZATION) {
                    true => Some(SEVERAL_ORGANISATIONS.to_owned()),
                    false => body.hint,
                },
                code: body.error,
                message: body.message,
            },
            Err(_) => ClientError::Refused {
                code: status.as_u16().to_string(),
                message: format!("{status}: {text}"),
                hint: None,
                request_id: None,
            },
        })
    }

    async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        Self::read_json(
            self.send_request(self.new_request(Method::GET, path))
                .await?,
        )
        .await
    }

    /// Every row of a list, page by page.
    async fn get_rows<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ClientError> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let first = format!("{path}{joint}limit={PAGE_LIMIT_MAX}");
        let mut page = self.get_json::<ListPage<T>>(&first).await?;
        let mut rows = std::mem::take(&mut page.items);
        while let Some(cursor) = page.next_cursor {
            let next = format!("{first}&cursor={}", percent_encode(&cursor));
            page = self.get_json::<ListPage<T>>(&next).await?;
            rows.append(&mut page.items);
        }
        Ok(rows)
    }

    async fn post_json<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        Self::read_json(
            self.send_request(self.new_request(Method::POST, path).json(body))
                .await?,
        )
        .await
    }

    /// Posts what is to be done once: where the line breaks before the answer has come, it is sent again with the same key.
    async fn post_once<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        let mut bytes = [0; 16];
        let rng = Rng::from_os().map_err(ClientError::NoKey)?;
        rng.fill_bytes(&mut bytes);
        let key = Uuid::from_bytes(bytes).to_string();
        let post = || {
            let request = self.new_request(Method::POST, path);
            self.send_request(request.header(IDEMPOTENCY_KEY, &key).json(body))
        };
        let response = match post().await {
            // Whoever was never reached has done nothing.
            Err(ClientError::Unreachable(error)) if !error.is_connect() => post().await?,
            answered => answered?,
        };
        Self::read_json(response).await
    }

    async fn read_json<T: DeserializeOwned>(response: Response) -> Result<T, ClientError> {
        let text = response.text().await.map_err(ClientError::Unreachable)?;
        serde_json::from_str(&text).map_err(ClientError::Answer)
    }

    /// Changes what is at `path` as `body` says.
    async fn patch_json<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        let request = self.new_request(Method::PATCH, path).json(body);
        Self::read_json(self.send_request(request).await?).await
    }

    /// Removes what is at `path`, which tells nothing more.
    async fn delete_row(&self, path: &str) -> Result<(), ClientError> {
        let request = self.new_request(Method::DELETE, path);
        self.send_request(request).await.map(drop)
    }

    /// A change that needs no words: its path says it all.
    async fn post_empty<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        Self::read_json(
            self.send_request(self.new_request(Method::POST, path))
                .await?,
        )
        .await
    }

    /// The row that `text` means where the command was typed.
    async fn resolve_text(
        &self,
        kind: ReferenceKind,
        text: &str,
        usage: ReferenceUse,
    ) -> Result<Uuid, ClientError> {
        match text.parse::<Uuid>() {
            Ok(id) => Ok(id),
            Err(_) => self.resolve(kind, Some(text), usage).await,
        }
    }

    /// A number of the repository here, with the name by which a server that does not see it knows the project.
    async fn named_here(&self, number: &str) -> Result<Option<String>, ClientError> {
        let project = self.project_of_folder().await?;
        Ok(project.map(|project| format!("{}/{number}", project.key)))
    }

    /// The row of a reference; without one, the newest there is.
    async fn resolve(
        &self,
        kind: ReferenceKind,
        text: Option<&str>,
        usage: ReferenceUse,
    ) -> Result<Uuid, ClientError> {
        let mut path = format!("/resolve?kind={kind}&use={usage}");
        let named = match text {
            Some(text) if !text.contains('/') => self.named_here(text).await?,
            _ => None,
        };
        let text = named.as_deref().or(text);
        for (name, value) in [("ref", text), ("repo_path", self.here.as_deref())] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", percent_encode(value)));
            }
        }
        Ok(self.get_json::<ResolvedReference>(&path).await?.id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::collections::BTreeMap;

    use axum::extract::Query;
    use axum::routing::get;
    use axum::{Json, Router};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    /// Three pages of a list; a request that is not for the next of them is answered without rows.
    async fn page_of(Query(asked): Query<BTreeMap<String, String>>) -> Json<ListPage<u32>> {
        let is_first = asked["limit"] == "200" && asked["status"] == "failed";
        let (items, next) = match asked.get("cursor").map(String::as_str) {
            None if is_first => (vec![1, 2], Some("a+b=&c")),
            Some("a+b=&c") if is_first => (vec![3], Some("d")),
            Some("d") if is_first => (vec![4], None),
            _ => (Vec::new(), None),
        };
        Json(ListPage {
            next_cursor: next.map(ToOwned::to_owned),
            ..ListPage::whole_list(items)
        })
    }

    #[tokio::test]
    async fn what_is_done_once_is_sent_again_with_its_key() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = ClientEndpoint::Loopback(listener.local_addr().unwrap());
        let client = ApiClient::new(&endpoint, None).unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut keys = Vec::new();
            for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n7"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = vec![0; 4096];
                let n_bytes = stream.read(&mut head).await.unwrap();
                let head = String::from_utf8_lossy(&head[..n_bytes]).into_owned();
                let key = head.split("idempotency-key: ").nth(1).unwrap();
                keys.push(key[..36].to_owned());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            keys
        });
        let answered: u32 = client.post_once("/specs/launch", &"body").await.unwrap();
        assert_eq!(answered, 7);
        let keys = serving.join_next().await.unwrap().unwrap();
        assert_eq!(keys[0], keys[1]);
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_last_page() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/api/v1/specs", get(page_of));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        let endpoint = ClientEndpoint::Loopback(address);
        let client = ApiClient::new(&endpoint, None).unwrap();
        let rows = client.get_rows::<u32>("/specs?status=failed").await;
        assert_eq!(rows.unwrap(), [1, 2, 3, 4]);
    }
}
