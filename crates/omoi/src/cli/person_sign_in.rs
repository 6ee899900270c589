//! Acts that no key may do: whoever asks signs in for them by their password.

use secrecy::ExposeSecret as _;

use omoi_domain::error_code::ErrorCode;
use omoi_protocol::api::SignInRequest;

use super::error_report::UsageError;
use super::terminal::read_secret_line;
use crate::ErrorHint;
use crate::api_client::{ApiClient, ClientError};

/// How a command that no key may do is allowed.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct PersonSignIn {
    /// Sign in with your password for this one command, which a server lets no key do
    #[arg(long)]
    pub(super) password: bool,
}

impl PersonSignIn {
    /// Does `act` as the person: with the client's own credential, or with a sign-in that ends again.
    ///
    /// # Errors
    /// Those of `act`, and where the sign-in fails; what no key may do is refused with the flag that helps.
    pub(super) async fn act_as_person<T>(
        self,
        client: &ApiClient,
        act: impl AsyncFnOnce(&ApiClient) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if !self.password {
            return act(client).await.map_err(with_sign_in_hint);
        }
        let Some(email) = client.get_account().await?.email else {
            let none = "this account has no password: it is the one of this machine";
            let hint = ErrorHint("leave --password away".to_owned());
            return Err(anyhow::Error::new(UsageError(none.to_owned())).context(hint));
        };
        let password = read_secret_line("Password: ").await?;
        let request = SignInRequest {
            email,
            password: password.expose_secret().to_owned(),
        };
        let pair = client.sign_in(&request).await?;
        let person = client.with_token(pair.access_token.into());
        let done = act(&person).await;
        // The session is of no more use either way, and ends by itself where this fails.
        let _ = person.sign_out().await;
        done
    }
}

fn with_sign_in_hint(error: anyhow::Error) -> anyhow::Error {
    let refused = error.downcast_ref::<ClientError>();
    match refused.is_some_and(|refused| refused.has_code(ErrorCode::InsufficientScope)) {
        true => error.context(ErrorHint(
            "sign in for this one command: add --password".to_owned(),
        )),
        false => error,
    }
}
