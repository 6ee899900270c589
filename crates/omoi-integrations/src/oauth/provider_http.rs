//! Requests to sign-in providers: no redirects, deadlines, bounded answers, TLS but on this machine.

use std::net::IpAddr;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response};
use oauth2::AsyncHttpClient;
use url::{Host, Url};

use super::ProviderError;

const CONNECT_MAX: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Why a request to a provider brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProviderHttpError {
    /// The provider sent us to an address that is not to be trusted.
    #[error("the provider names `{url}`, which is no https address")]
    UnsafeAddress {
        /// The address, without its query.
        url: String,
    },
    /// Nobody answered in time, or the line broke.
    #[error("no answer within {} s", ANSWER_MAX.as_secs())]
    TimedOut,
    /// The line was not there or broke.
    #[error("the request failed")]
    Broken(#[source] reqwest::Error),
    /// Too many bytes for an answer of this kind.
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
}

/// The client of all providers.
#[derive(Clone, Debug)]
pub(super) struct ProviderHttp(reqwest::Client);

impl ProviderHttp {
    pub(super) fn new() -> Result<Self, ProviderError> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("OmoiOS/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(ProviderError::Client)
    }

    /// Sends one request and reads the whole answer.
    pub(super) async fn send_request(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, ProviderHttpError> {
        let request = reqwest::Request::try_from(request).map_err(send_error)?;
        if !is_safe(request.url()) {
            let mut url = request.url().clone();
            url.set_query(None);
            return Err(ProviderHttpError::UnsafeAddress { url: url.into() });
        }
        let mut response = self.0.execute(request).await.map_err(send_error)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(send_error)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(ProviderHttpError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        let mut whole = Response::new(body);
        *whole.status_mut() = response.status();
        *whole.headers_mut() = response.headers().clone();
        Ok(whole)
    }
}

impl<'c> AsyncHttpClient<'c> for ProviderHttp {
    type Error = ProviderHttpError;
    type Future = BoxFuture<'c, Result<Response<Vec<u8>>, ProviderHttpError>>;

    fn call(&'c self, request: Request<Vec<u8>>) -> Self::Future {
        self.send_request(request).boxed()
    }
}

/// An address of the configuration, when it can be used.
pub(super) fn safe_url(text: &str) -> Result<Url, ProviderError> {
    let url = Url::parse(text).ok().filter(is_safe);
    url.ok_or_else(|| ProviderError::UnsafeAddress {
        url: text.to_owned(),
    })
}

/// Https, or http on this machine.
fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

/// Addresses hold codes, so an error never shows one.
fn send_error(error: reqwest::Error) -> ProviderHttpError {
    match error.is_timeout() {
        true => ProviderHttpError::TimedOut,
        false => ProviderHttpError::Broken(error.without_url()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_for_this_machine_only() {
        for good in [
            "https://github.com/login",
            "http://localhost:1/x",
            "http://127.0.0.1:1/x",
            "http://[::1]:1/x",
        ] {
            assert!(safe_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://github.com/login",
            "http://localhost.example/x",
            "http://10.0.0.1/x",
            "ftp://localhost/x",
            "github.com",
            "",
        ] {
            assert!(safe_url(bad).is_err(), "{bad}");
        }
    }
}
