//! Who makes an account here.

crate::choice! {
    /// Who makes an account.
    RegistrationMode {
        /// Everybody. Organisations begin with a budget of 0.
        Open = "open",
        /// Whoever is invited to an organisation.
        Invite = "invite",
        /// Everybody, and staff of the platform lets them in.
        Waitlist = "waitlist",
    }
}

/// How an account is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationWay {
    /// With an invitation, whose link came to the address: it is verified by it.
    Invited,
    /// By showing that the address is theirs.
    Verified,
    /// The same, and then waiting for staff.
    Waiting,
}

/// Nobody makes an account without an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account is made here by an invitation alone")]
pub struct RegistrationClosed;

impl RegistrationMode {
    /// How somebody makes an account who brings an invitation, or none.
    ///
    /// # Errors
    /// [`RegistrationClosed`].
    pub const fn registration_way(
        self,
        is_invited: bool,
    ) -> Result<RegistrationWay, RegistrationClosed> {
        match (self, is_invited) {
            (_, true) => Ok(RegistrationWay::Invited),
            (Self::Open, false) => Ok(RegistrationWay::Verified),
            (Self::Waitlist, false) => Ok(RegistrationWay::Waiting),
            (Self::Invite, false) => Err(RegistrationClosed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_opens_every_server() {
        for (mode, without) in [
            (RegistrationMode::Open, Ok(RegistrationWay::Verified)),
            (RegistrationMode::Waitlist, Ok(RegistrationWay::Waiting)),
            (RegistrationMode::Invite, Err(RegistrationClosed)),
        ] {
            assert_eq!(mode.registration_way(true), Ok(RegistrationWay::Invited));
            assert_eq!(mode.registration_way(false), without);
        }
    }
}
