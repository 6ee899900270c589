//! Accounts: signing in, and the keys of machines.

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use omoi_domain::id::ApiKeyId;
use omoi_protocol::api::{
    AccountView, ApiKeyView, CreateApiKey, DeviceLoginRequest, DeviceLoginView, DeviceToken,
    IssuedApiKey, LocalLinkView, SignInRequest, TokenPair,
};

use super::{ApiClient, ClientError};

/// What `GET /health` says.
#[derive(Deserialize)]
struct ServerHealth {
    version: String,
}

impl ApiClient {
    /// The version of the server that answers.
    pub(crate) async fn server_version(&self) -> Result<String, ClientError> {
        let request = self.http.get(format!("{}/health", self.base));
        let health: ServerHealth = Self::read_json(self.send_request(request).await?).await?;
        Ok(health.version)
    }

    pub(crate) async fn sign_in(&self, request: &SignInRequest) -> Result<TokenPair, ClientError> {
        self.post_json("/auth/login", request).await
    }

    /// A link that signs in a browser of this machine.
    pub(crate) async fn create_local_link(&self) -> Result<LocalLinkView, ClientError> {
        self.post_empty("/auth/local-link").await
    }

    /// Lets this machine wait for a person's yes.
    pub(crate) async fn begin_device_login(
        &self,
        machine: &DeviceLoginRequest,
    ) -> Result<DeviceLoginView, ClientError> {
        self.post_json("/auth/device", machine).await
    }

    /// The key of this machine, once somebody said yes.
    pub(crate) async fn ask_device_login(
        &self,
        token: &DeviceToken,
    ) -> Result<Option<IssuedApiKey>, ClientError> {
        let request = self.new_request(Method::POST, "/auth/device/token");
        let response = self.send_request(request.json(token)).await?;
        match response.status() {
            StatusCode::ACCEPTED => Ok(None),
            _ => Self::read_json(response).await.map(Some),
        }
    }

    /// Ends the session of this client.
    pub(crate) async fn sign_out(&self) -> Result<(), ClientError> {
        let request = self.new_request(Method::POST, "/auth/logout");
        self.send_request(request).await.map(drop)
    }

    pub(crate) async fn get_account(&self) -> Result<AccountView, ClientError> {
        self.get_json("/auth/me").await
    }

    pub(crate) async fn create_api_key(
        &self,
        new: &CreateApiKey,
    ) -> Result<IssuedApiKey, ClientError> {
        self.post_json("/auth/api-keys", new).await
    }

    pub(crate) async fn revoke_api_key(&self, id: ApiKeyId) -> Result<(), ClientError> {
        self.delete_row(&format!("/auth/api-keys/{id}")).await
    }

    /// The keys of whoever signed in; no key may ask.
    pub(crate) async fn list_own_keys(&self) -> Result<Vec<ApiKeyView>, ClientError> {
        self.get_rows("/auth/api-keys").await
    }
}
