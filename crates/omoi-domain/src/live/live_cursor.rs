//! How far a receiver has come, in one organisation or in several.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::id::OrgId;

/// Most organisations that a cursor names.
pub const CURSOR_ORGANISATIONS_MAX: usize = 100;

/// The last event a receiver knows. Written `SEQ`, where it listens to one organisation, or `ORG=SEQ,ORG=SEQ`:
/// every organisation counts its own events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveCursor {
    /// In the only organisation it listens to.
    Single(i64),
    /// In each organisation.
    ByOrganisation(BTreeMap<OrgId, i64>),
}

/// A cursor is not one of ours, or does not say which organisation it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It is not written as cursors are.
    #[error("the cursor is neither a number nor a list of ORGANISATION=NUMBER")]
    Malformed,
    /// It is one number, and the receiver listens to several organisations.
    #[error(
        "the cursor is one number, and you listen to several organisations: write ORGANISATION=NUMBER for each"
    )]
    Ambiguous,
    /// It names an organisation that the receiver does not listen to.
    #[error("the cursor names an organisation that you do not listen to")]
    UnknownOrganisation,
}

impl LiveCursor {
    /// The last event known in each of `organisations`; those that the cursor leaves out are missing.
    ///
    /// # Errors
    /// When the cursor is ambiguous among them or names another.
    pub fn positions_in(
        &self,
        organisations: &BTreeSet<OrgId>,
    ) -> Result<BTreeMap<OrgId, i64>, CursorError> {
        match self {
            Self::Single(seq) => {
                let mut ids = organisations.iter();
                match (ids.next(), ids.next()) {
                    (Some(only), None) => Ok(BTreeMap::from([(*only, *seq)])),
                    _ => Err(CursorError::Ambiguous),
                }
            }
            Self::ByOrganisation(positions) => {
                let is_known = positions.keys().all(|org| organisations.contains(org));
                is_known
                    .then(|| positions.clone())
                    .ok_or(CursorError::UnknownOrganisation)
            }
        }
    }
}

impl FromStr for LiveCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if !text.contains('=') {
            return Ok(Self::Single(parse_seq(text)?));
        }
        let mut positions = BTreeMap::new();
        for part in text.split(',') {
            let (org, seq) = part.split_once('=').ok_or(CursorError::Malformed)?;
            let org: OrgId = org.parse().map_err(|_| CursorError::Malformed)?;
            let is_repeated = positions.insert(org, parse_seq(seq)?).is_some();
            if is_repeated || positions.len() > CURSOR_ORGANISATIONS_MAX {
                return Err(CursorError::Malformed);
            }
        }
        Ok(Self::ByOrganisation(positions))
    }
}

/// Digits alone: no sign, no blank.
fn parse_seq(text: &str) -> Result<i64, CursorError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seq = is_number.then(|| text.parse().ok()).flatten();
    seq.ok_or(CursorError::Malformed)
}

impl fmt::Display for LiveCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(seq) => seq.fmt(f),
            Self::ByOrganisation(positions) => {
                let mut separator = "";
                for (org, seq) in positions {
                    write!(f, "{separator}{org}={seq}")?;
                    separator = ",";
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn org(n: u128) -> OrgId {
        OrgId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let one = LiveCursor::Single(42);
        let many = LiveCursor::ByOrganisation(BTreeMap::from([(org(1), 7), (org(2), 0)]));
        for cursor in [one, many] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        let first = org(1);
        for text in [
            "",
            "-1",
            "+1",
            " 1",
            "1x",
            "99999999999999999999",
            "=",
            "x=1",
            "1=1",
            ",",
            &format!("{first}=1,{first}=2"),
            &format!("{first}=1,"),
            &format!("{first}=-1"),
        ] {
            let read: Result<LiveCursor, CursorError> = text.parse();
            assert_eq!(read, Err(CursorError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_number_alone_is_of_the_only_organisation() {
        let (one, two) = (BTreeSet::from([org(1)]), BTreeSet::from([org(1), org(2)]));
        let single = LiveCursor::Single(7);
        assert_eq!(single.positions_in(&one), Ok(BTreeMap::from([(org(1), 7)])));
        assert_eq!(single.positions_in(&two), Err(CursorError::Ambiguous));
        assert_eq!(
            single.positions_in(&BTreeSet::new()),
            Err(CursorError::Ambiguous)
        );
        let of_first = LiveCursor::ByOrganisation(BTreeMap::from([(org(1), 7)]));
        assert_eq!(
            of_first.positions_in(&two),
            Ok(BTreeMap::from([(org(1), 7)]))
        );
        let foreign = of_first.positions_in(&BTreeSet::from([org(2)]));
        assert_eq!(foreign, Err(CursorError::UnknownOrganisation));
    }
}
