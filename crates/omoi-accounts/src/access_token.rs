//! Access tokens: JWT by HS256, good for fifteen minutes.

use std::collections::BTreeMap;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use omoi_domain::access::refresh::ACCESS_TOKEN_LIFE;
use omoi_domain::id::{SignInSessionId, UserId};
use omoi_domain::planted_bug::{PlantedBug, is_planted};
use omoi_domain::time::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::key_ring::{KeyPurpose, KeyRing};

/// How far clocks of two processes may differ.
const LEEWAY: Duration = Duration::from_secs(60);
/// The value of `typ` that says that a token is one of these.
const ACCESS: &str = "access";
/// Most characters of a token that is looked at.
const TOKEN_CHARS_MAX: usize = 2_048;

/// Signs access tokens and reads them.
pub struct AccessTokens {
    issuer: String,
    signing_kid: String,
    signing: EncodingKey,
    verifying: BTreeMap<String, DecodingKey>,
}

/// What an access token says, once it is known to be genuine and in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Whose it is.
    pub user: UserId,
    /// The sign-in that it came from.
    pub session: SignInSessionId,
    /// The user's epoch when it was made; a newer one ends it.
    pub epoch: i64,
}

/// What a good access token says, and how long it will be good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// What it says.
    pub claims: AccessClaims,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A text is no access token, or none that is good now. Why is told to nobody.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the access token is not valid")]
pub struct BadAccessToken;

/// No token can be signed.
#[derive(Debug, thiserror::Error)]
#[error("could not sign an access token")]
pub struct SigningError(#[from] jsonwebtoken::errors::Error);

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireClaims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SignInSessionId,
    epoch: i64,
    typ: String,
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl AccessTokens {
    /// Signs with the newest key of `ring`, as `issuer`, which is the audience too.
    ///
    /// # Errors
    /// When a key cannot be used.
    pub fn new(ring: &KeyRing, issuer: &str) -> Result<Self, SigningError> {
        let mut verifying = BTreeMap::new();
        for key in ring.verifying_keys() {
            let secret = key.derived_key(KeyPurpose::Access);
            verifying.insert(
                key.key_name().to_owned(),
                DecodingKey::from_secret(&secret)?,
            );
        }
        let newest = ring.signing_key();
        Ok(Self {
            issuer: issuer.to_owned(),
            signing_kid: newest.key_name().to_owned(),
            signing: EncodingKey::from_secret(&newest.derived_key(KeyPurpose::Access))?,
            verifying,
        })
    }

    /// A token that says `claims`, called `jti`, from `now` on.
    ///
    /// # Errors
    /// When the library refuses to sign.
    pub fn sign_token(
        &self,
        claims: &AccessClaims,
        jti: Uuid,
        now: Timestamp,
    ) -> Result<SecretString, SigningError> {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.signing_kid.clone());
        let wire = WireClaims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: claims.user,
            sid: claims.session,
            epoch: claims.epoch,
            typ: ACCESS.to_owned(),
            jti,
            iat: seconds_of(now),
            nbf: seconds_of(now),
            exp: seconds_of(now + ACCESS_TOKEN_LIFE),
        };
        Ok(jsonwebtoken::encode(&header, &wire, &self.signing)?.into())
    }

    /// What `token` says at `now`.
    ///
    /// # Errors
    /// [`BadAccessToken`] for anything but a genuine token in its time.
    pub fn verify_token(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<VerifiedToken, BadAccessToken> {
        if token.len() > TOKEN_CHARS_MAX {
            return Err(BadAccessToken);
        }
        // The header chooses among our keys and nothing else: the algorithm is fixed.
        let header = jsonwebtoken::decode_header(token).map_err(|_| BadAccessToken)?;
        let key = header
            .kid
            .and_then(|kid| self.verifying.get(&kid))
            .ok_or(BadAccessToken)?;
        let read = jsonwebtoken::decode::<WireClaims>(token, key, &self.validation());
        let claims = read.map_err(|_| BadAccessToken)?.claims;
        let leeway = LEEWAY.as_secs() as i64;
        let now = seconds_of(now);
        let is_in_time =
            claims.nbf <= now.saturating_add(leeway) && now < claims.exp.saturating_add(leeway);
        let is_timeless = is_planted(PlantedBug::TokenTime);
        if !(is_in_time || is_timeless) || claims.typ != ACCESS {
            return Err(BadAccessToken);
        }
        let expires_at = Timestamp::from_micros(claims.exp.saturating_mul(1_000_000));
        Ok(VerifiedToken {
            claims: AccessClaims {
                user: claims.sub,
                session: claims.sid,
                epoch: claims.epoch,
            },
            expires_at,
        })
    }

    /// The library compares instants with the system's clock; ours are compared by [`AccessTokens::verify_token`].
    fn validation(&self) -> Validation {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.set_audience(&[&self.issuer]);
        validation.set_issuer(&[&self.issuer]);
        validation
    }
}

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessTokens")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

const fn seconds_of(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use omoi_runtime::rng::Rng;
    use secrecy::ExposeSecret as _;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn claims() -> AccessClaims {
        AccessClaims {
            user: UserId::LOCAL,
            session: SignInSessionId::from_uuid(Uuid::from_u128(7)),
            epoch: 3,
        }
    }

    fn verified() -> VerifiedToken {
        VerifiedToken {
            claims: claims(),
            expires_at: after(900),
        }
    }

    fn sign(tokens: &AccessTokens) -> String {
        let token = tokens
            .sign_token(&claims(), Uuid::from_u128(9), NOW)
            .unwrap();
        token.expose_secret().to_owned()
    }

    fn after(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_is_good_for_its_time_and_issuer_and_key() {
        let rng = Rng::seeded(1);
        let (old, new) = (KeyRing::draw_text(&rng), KeyRing::draw_text(&rng));
        let both = format!("{},{}", new.expose_secret(), old.expose_secret());
        let tokens = |text: SecretString, issuer: &str| {
            AccessTokens::new(&KeyRing::parse(&text).unwrap(), issuer).unwrap()
        };
        let here = tokens(old.clone(), "https://omoi.example");
        let token = sign(&here);
        assert_eq!(here.verify_token(&token, NOW), Ok(verified()));
        assert_eq!(here.verify_token(&token, after(959)), Ok(verified()));
        assert_eq!(here.verify_token(&token, after(960)), Err(BadAccessToken));
        assert_eq!(
            here.verify_token(&token, NOW - Duration::from_secs(60)),
            Ok(verified())
        );
        assert_eq!(
            here.verify_token(&token, NOW - Duration::from_secs(61)),
            Err(BadAccessToken)
        );
        let rolled = tokens(both.into(), "https://omoi.example");
        assert_eq!(rolled.verify_token(&token, NOW), Ok(verified()));
        assert_eq!(here.verify_token(&sign(&rolled), NOW), Err(BadAccessToken));
        let elsewhere = tokens(old, "https://other.example");
        assert_eq!(elsewhere.verify_token(&token, NOW), Err(BadAccessToken));
    }

    #[test]
    fn no_header_makes_a_token_good() {
        let rng = Rng::seeded(1);
        let ring = KeyRing::parse(&KeyRing::draw_text(&rng)).unwrap();
        let tokens = AccessTokens::new(&ring, "omoi").unwrap();
        let token = sign(&tokens);
        let kid = ring.signing_key().key_name();
        let [_, body, mac] = token.split('.').collect::<Vec<_>>()[..] else {
            unreachable!("a token has three parts")
        };
        for (header, mac) in [
            (format!(r#"{{"alg":"none","kid":"{kid}"}}"#), ""),
            (format!(r#"{{"alg":"none","kid":"{kid}"}}"#), mac),
            (format!(r#"{{"alg":"HS512","kid":"{kid}"}}"#), mac),
            (format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#), mac),
            (r#"{"alg":"HS256","kid":"other"}"#.to_owned(), mac),
            (r#"{"alg":"HS256"}"#.to_owned(), mac),
        ] {
            let forged = format!("{}.{body}.{mac}", URL_SAFE_NO_PAD.encode(&header));
            assert_eq!(
                tokens.verify_token(&forged, NOW),
                Err(BadAccessToken),
                "{header}"
            );
        }
        for text in [
            "",
            "a.b.c",
            "..",
            &token[..token.len() - 1],
            &"x".repeat(5_000),
        ] {
            assert_eq!(tokens.verify_token(text, NOW), Err(BadAccessToken));
        }
    }
}
