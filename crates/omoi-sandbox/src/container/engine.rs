//! What is asked of a container engine, over the HTTP interface of Docker, which Podman speaks too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::Value;

/// For everything but the wait for an end and the output until then.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Of an error text.
const MESSAGE_CHARS_MAX: usize = 500;

/// An engine behind a Unix socket.
#[derive(Clone, Debug)]
pub(crate) struct ContainerEngine {
    socket: PathBuf,
    client: Client,
}

/// A container engine did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody answers at the socket.
    #[error("the container engine at `{}` does not answer", socket.display())]
    Away {
        /// The engine's socket.
        socket: PathBuf,
        /// Error of the connection.
        #[source]
        source: reqwest::Error,
    },
    /// It refused.
    #[error("the container engine refused to {action} ({status}): {message}")]
    Refused {
        /// What it was to do.
        action: &'static str,
        /// Status of its answer.
        status: u16,
        /// What it said.
        message: String,
    },
    /// Its answer says nothing of what was asked.
    #[error("the container engine's answer to the request to {action} cannot be read")]
    Answer {
        /// What it was to do.
        action: &'static str,
    },
}

impl EngineError {
    pub(crate) fn refusal_status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Away { .. } | Self::Answer { .. } => None,
        }
    }
}

/// Body of a request.
enum RequestBody {
    Nothing,
    Json(Value),
    Tar(reqwest::Body),
}

/// One request.
struct EngineCall {
    action: &'static str,
    method: Method,
    path: String,
    body: RequestBody,
    is_bounded: bool,
}

impl EngineCall {
    fn get(action: &'static str, path: String) -> Self {
        Self {
            action,
            method: Method::GET,
            path,
            body: RequestBody::Nothing,
            is_bounded: true,
        }
    }

    fn post(action: &'static str, path: String, body: RequestBody) -> Self {
        Self {
            method: Method::POST,
            body,
            ..Self::get(action, path)
        }
    }
}

impl ContainerEngine {
    /// The engine at `socket`.
    pub(crate) fn at_socket(socket: &Path) -> Result<Self, EngineError> {
        // Nothing is encrypted on a socket: the root certificates of this machine stay unread.
        let client = Client::builder()
            .unix_socket(socket)
            .no_proxy()
            .tls_certs_only([])
            .build();
        Ok(Self {
            socket: socket.into(),
            client: client.map_err(|source| EngineError::Away {
                socket: socket.into(),
                source,
            })?,
        })
    }

    pub(crate) fn socket_path(&self) -> &Path {
        &self.socket
    }

    /// Its name and version, and those of its parts.
    pub(crate) async fn version_parts(&self) -> Result<Value, EngineError> {
        self.answer(EngineCall::get("tell its version", "version".into()))
            .await
    }

    /// What it can do on this host.
    pub(crate) async fn engine_info(&self) -> Result<Value, EngineError> {
        self.answer(EngineCall::get("tell about itself", "info".into()))
            .await
    }

    pub(crate) async fn has_image(&self, name: &str) -> Result<bool, EngineError> {
        let call = EngineCall::get("look for an image", format!("images/{name}/json"));
        match self.answer(call).await {
            Ok(_) => Ok(true),
            Err(error) if error.refusal_status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes the image `repo:tag` of the files in `tar`.
    pub(crate) async fn import_image(
        &self,
        repo: &str,
        tag: &str,
        tar: reqwest::Body,
    ) -> Result<(), EngineError> {
        let action = "make an image";
        let path = "images/create?fromSrc=-".to_owned();
        let call = EngineCall {
            is_bounded: false,
            ..EngineCall::post(action, path, RequestBody::Tar(tar))
        };
        let told = self.send(call).await?.text().await;
        let told = told.map_err(|_| EngineError::Answer { action })?;
        let line = told.trim().lines().last().unwrap_or_default();
        let id = serde_json::from_str::<Value>(line).ok();
        let id = id.as_ref().and_then(|line| line.get("status")?.as_str());
        let id = id.ok_or(EngineError::Answer { action })?;
        let path = format!("images/{id}/tag?repo={repo}&tag={tag}");
        let call = EngineCall::post("name an image", path, RequestBody::Nothing);
        self.send(call).await.map(drop)
    }

    /// Makes the container `name`; one that an earlier life left under it goes first.
    pub(crate) async fn create_container(
        &self,
        name: &str,
        spec: &Value,
    ) -> Result<(), EngineError> {
        let call = || {
            let body = RequestBody::Json(spec.clone());
            EngineCall::post(
                "make a container",
                format!("containers/create?name={name}"),
                body,
            )
        };
        match self.send(call()).await {
            Err(error) if error.refusal_status() == Some(409) => {
                self.remove_container(name).await?;
                self.send(call()).await.map(drop)
            }
            made => made.map(drop),
        }
    }

    /// Both output streams of a container that is about to start.
    pub(crate) async fn attach_output(&self, name: &str) -> Result<Response, EngineError> {
        let path = format!("containers/{name}/attach?stream=1&stdout=1&stderr=1");
        let call = EngineCall {
            is_bounded: false,
            ..EngineCall::post("attach to a container", path, RequestBody::Nothing)
        };
        self.send(call).await
    }

    pub(crate) async fn start_container(&self, name: &str) -> Result<(), EngineError> {
        let path = format!("containers/{name}/start");
        let call = EngineCall::post("start a container", path, RequestBody::Nothing);
        self.send(call).await.map(drop)
    }

    /// Waits for its end and returns its exit code.
    pub(crate) async fn wait_container(&self, name: &str) -> Result<i32, EngineError> {
        let action = "wait for a container";
        let call = EngineCall {
            is_bounded: false,
            ..EngineCall::post(
                action,
                format!("containers/{name}/wait"),
                RequestBody::Nothing,
            )
        };
        let ended = self.answer(call).await?;
        let code = ended.get("StatusCode").and_then(Value::as_i64);
        let code = code.ok_or(EngineError::Answer { action })?;
        i32::try_from(code).map_err(|_| EngineError::Answer { action })
    }

    /// The state of a container: its first process, and whether memory ran out.
    pub(crate) async fn container_state(&self, name: &str) -> Result<Value, EngineError> {
        let action = "look at a container";
        let call = EngineCall::get(action, format!("containers/{name}/json"));
        let found = self.answer(call).await?;
        found
            .get("State")
            .cloned()
            .ok_or(EngineError::Answer { action })
    }

    /// The file at `path` of a container, in an archive of its own; none where nothing is there.
    pub(crate) async fn container_file(
        &self,
        name: &str,
        path: &Path,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let action = "read a file of an image";
        let path = format!("containers/{name}/archive?path={}", path.display());
        match self.send(EngineCall::get(action, path)).await {
            Ok(response) => {
                let bytes = response.bytes().await;
                let bytes = bytes.map_err(|_| EngineError::Answer { action })?;
                Ok(Some(bytes.into()))
            }
            Err(error) if error.refusal_status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Kills and removes a container; true when it was there.
    pub(crate) async fn remove_container(&self, name: &str) -> Result<bool, EngineError> {
        let call = EngineCall {
            method: Method::DELETE,
            ..EngineCall::get(
                "remove a container",
                format!("containers/{name}?force=true&v=true"),
            )
        };
        match self.send(call).await {
            Ok(_) => Ok(true),
            Err(error) if error.refusal_status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn answer(&self, call: EngineCall) -> Result<Value, EngineError> {
        let action = call.action;
        let response = self.send(call).await?;
        let text = response.text().await;
        let text = text.map_err(|_| EngineError::Answer { action })?;
        serde_json::from_str(&text).map_err(|_| EngineError::Answer { action })
    }

    async fn send(&self, call: EngineCall) -> Result<Response, EngineError> {
        let url = format!("http://engine/{}", call.path);
        let mut request = self.client.request(call.method, url);
        if call.is_bounded {
            request = request.timeout(ANSWER_TIMEOUT);
        }
        request = match call.body {
            RequestBody::Nothing => request,
            RequestBody::Json(body) => request.json(&body),
            RequestBody::Tar(tar) => request
                .header("content-type", "application/x-tar")
                .body(tar),
        };
        let response = request.send().await.map_err(|source| EngineError::Away {
            socket: self.socket.clone(),
            source,
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        let said = serde_json::from_str::<Value>(&text).ok();
        let said = said.as_ref().and_then(|body| body.get("message")?.as_str());
        Err(EngineError::Refused {
            action: call.action,
            status: status.as_u16(),
            message: said
                .unwrap_or(&text)
                .chars()
                .take(MESSAGE_CHARS_MAX)
                .collect(),
        })
    }
}

/// Kills and removes the container `name` from a thread without a runtime; true when it was there.
pub(crate) fn remove_blocking(socket: &Path, name: &str) -> std::io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let engine = ContainerEngine::at_socket(socket).map_err(std::io::Error::other)?;
        let removed = engine.remove_container(name).await;
        removed.map_err(std::io::Error::other)
    })
}
