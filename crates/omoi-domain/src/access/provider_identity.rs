//! Signing in by an account at another provider: which account of ours it opens, and when it may not.

use std::time::Duration;

use crate::id::UserId;

crate::closed_set! {
    /// A provider by which people sign in.
    IdentityProvider {
        /// GitHub.
        GitHub = "github",
        /// Google.
        Google = "google",
    }
}

crate::closed_set! {
    /// How far a person is on the way to a provider and back.
    FlowStage {
        /// On the way there, to sign in.
        SignIn = "sign_in",
        /// On the way there, to link the identity to the account that they are signed in to.
        Link = "link",
        /// Back, and known: the browser still has to fetch the tokens.
        Returned = "returned",
    }
}

/// How long a person may be away at a provider. Source: 06-api-auth §7.5.
pub const AWAY_MAX: Duration = Duration::from_secs(600);
/// How long the code is good that a browser fetches its tokens with. Source: 06-api-auth §7.5.
pub const EXCHANGE_MAX: Duration = Duration::from_secs(60);

/// What is known when a person comes back from a provider.
///
/// An identity is the provider with its own id of the person; a mail address only helps to find an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityFacts {
    /// The account that this identity belongs to.
    pub linked_to: Option<UserId>,
    /// Whether the provider names an address and vouches for it.
    pub has_vouched_address: bool,
    /// The account with that address.
    pub account: Option<MatchedAccount>,
}

/// An account that has the address which a provider vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchedAccount {
    /// Whose it is.
    pub user: UserId,
    /// Whether its owner has shown that the address is theirs.
    pub is_verified: bool,
}

/// What follows from coming back to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentitySignIn {
    /// The account that the identity belongs to is opened.
    SignIn(UserId),
    /// The identity is added to this account, which is opened.
    LinkAndSignIn(UserId),
    /// There is no such account: one is made with the vouched address, where registration allows it.
    Register,
    /// An account has the address and nobody has shown that it is theirs: its password is asked for first, else
    /// whoever registered with a stranger's address would be given the stranger's identity.
    AskPassword(UserId),
    /// The provider vouches for no address, so no account can be found or made.
    NoAddress,
}

/// What follows from coming back to link an identity to the account that one is signed in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityLink {
    /// The identity is added to the account.
    Link,
    /// It belongs to the account already.
    Linked,
    /// It belongs to another account.
    OfAnother,
}

/// An identity is the only way into its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that is the only way to sign in to this account; set a password first")]
pub struct LastWayIn;

impl IdentityFacts {
    /// Decides which account a person who signs in gets.
    pub fn decide_sign_in(&self) -> IdentitySignIn {
        match (self.linked_to, self.account) {
            (Some(user), _) => IdentitySignIn::SignIn(user),
            (None, _) if !self.has_vouched_address => IdentitySignIn::NoAddress,
            (None, None) => IdentitySignIn::Register,
            (None, Some(account)) if account.is_verified => {
                IdentitySignIn::LinkAndSignIn(account.user)
            }
            (None, Some(account)) => IdentitySignIn::AskPassword(account.user),
        }
    }

    /// Decides whether `user`, who is signed in, gets the identity. Addresses do not matter: the person has shown both
    /// that the account and that the identity is theirs.
    pub fn decide_link(&self, user: UserId) -> IdentityLink {
        match self.linked_to {
            None => IdentityLink::Link,
            Some(owner) if owner == user => IdentityLink::Linked,
            Some(_) => IdentityLink::OfAnother,
        }
    }
}

/// Whether one of `n_identities` of an account may be taken from it.
///
/// # Errors
/// [`LastWayIn`] where nothing else opens the account.
pub fn may_unlink(has_password: bool, n_identities: usize) -> Result<(), LastWayIn> {
    if has_password || n_identities > 1 {
        Ok(())
    } else {
        Err(LastWayIn)
    }
}

/// Where a browser goes after signing in: a path of this server, or an address below one of `origins`, such as
/// `https://omoi.example`.
///
/// `None` for everything else, above all for what browsers read as an address of another host: `//host`, `/\host`, and
/// both with tabs or line ends in them, which browsers drop.
pub fn allowed_return<'a>(return_to: &'a str, origins: &[&str]) -> Option<&'a str> {
    let is_plain = return_to
        .chars()
        .all(|c| !c.is_control() && !c.is_whitespace() && c != '\\');
    let is_path = return_to.starts_with('/') && !return_to.starts_with("//");
    let is_below = |origin: &&str| {
        let rest = return_to.strip_prefix(*origin);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    };
    (is_plain && (is_path || origins.iter().any(is_below))).then_some(return_to)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn user(number: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn an_identity_opens_its_account_and_no_other() {
        let (ada, eve) = (user(1), user(2));
        let account = |user, is_verified| Some(MatchedAccount { user, is_verified });
        let check = |linked_to, has_vouched_address, account, expected| {
            let facts = IdentityFacts {
                linked_to,
                has_vouched_address,
                account,
            };
            assert_eq!(facts.decide_sign_in(), expected, "{facts:?}");
        };
        check(Some(ada), false, None, IdentitySignIn::SignIn(ada));
        // The address changed hands; the identity did not.
        check(
            Some(ada),
            true,
            account(eve, true),
            IdentitySignIn::SignIn(ada),
        );
        check(None, false, None, IdentitySignIn::NoAddress);
        check(None, true, None, IdentitySignIn::Register);
        check(
            None,
            true,
            account(ada, true),
            IdentitySignIn::LinkAndSignIn(ada),
        );
        check(
            None,
            true,
            account(eve, false),
            IdentitySignIn::AskPassword(eve),
        );
    }

    #[test]
    fn an_identity_is_linked_to_one_account() {
        let (ada, eve) = (user(1), user(2));
        let decide = |linked_to, account| {
            let facts = IdentityFacts {
                linked_to,
                has_vouched_address: true,
                account,
            };
            facts.decide_link(ada)
        };
        let account_of_eve = Some(MatchedAccount {
            user: eve,
            is_verified: true,
        });
        assert_eq!(decide(None, None), IdentityLink::Link);
        assert_eq!(decide(None, account_of_eve), IdentityLink::Link);
        assert_eq!(decide(Some(ada), None), IdentityLink::Linked);
        assert_eq!(decide(Some(eve), None), IdentityLink::OfAnother);
    }

    #[test]
    fn the_last_way_in_stays() {
        assert_eq!(may_unlink(true, 1), Ok(()));
        assert_eq!(may_unlink(false, 2), Ok(()));
        assert_eq!(may_unlink(false, 1), Err(LastWayIn));
    }

    #[test]
    fn nobody_is_sent_abroad() {
        let origins = ["https://omoi.example", "http://localhost:3000"];
        for good in [
            "/",
            "/board?project=1#top",
            "https://omoi.example",
            "https://omoi.example/board",
            "https://omoi.example?x=1",
            "http://localhost:3000/board",
            "/a//b",
        ] {
            assert_eq!(allowed_return(good, &origins), Some(good), "{good}");
        }
        for bad in [
            "",
            "board",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "https://evil.example",
            "https://omoi.example.evil.example",
            "https://omoi.example@evil.example",
            "https://omoi.example:8443/",
            "http://omoi.example/",
            "https:/omoi.example",
            "javascript:alert(1)",
            "data:text/html,x",
            " /board",
        ] {
            assert_eq!(allowed_return(bad, &origins), None, "{bad:?}");
        }
    }
}
