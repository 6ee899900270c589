//! The OpenID provider of the tests: discovery, keys, PKCE, one-use codes, a client with a secret.

use xtask::servers::openid;

use crate::server::SharedServer;

/// Where the provider is and the client that it knows.
///
/// The query parameter `account` of its authorization address says who signs in: a JSON object of claims for the ID
/// token. A claim such as `aud`, `exp` or `nonce` replaces the right one.
#[derive(Clone, Debug)]
pub struct OpenIdProvider {
    /// Its address, over http on `localhost`.
    pub issuer: String,
    /// The client that it knows.
    pub client_id: String,
    /// The secret of that client.
    pub client_secret: String,
}

/// The provider of this run; tests share it and keep nothing in it.
///
/// # Panics
/// When there is no provider, with the package to install.
#[expect(
    clippy::panic,
    reason = "a test that needs the provider fails without it"
)]
pub fn openid_provider() -> OpenIdProvider {
    static SERVER: SharedServer = SharedServer::new(openid::URL_VARIABLE, openid::start);
    let url = SERVER.url();
    read_url(url).unwrap_or_else(|| panic!("{url} is no address of an OpenID provider"))
}

fn read_url(url: &str) -> Option<OpenIdProvider> {
    let (client_id, rest) = url.strip_prefix("http://")?.split_once(':')?;
    let (client_secret, address) = rest.split_once('@')?;
    Some(OpenIdProvider {
        issuer: format!("http://{address}"),
        client_id: client_id.to_owned(),
        client_secret: client_secret.to_owned(),
    })
}
