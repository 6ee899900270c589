//! A person puts a spec away.

use super::SpecRefusal;
use crate::spec::SpecStatus;

/// Refuses to put away a spec that is worked on, or that may go on by itself, as one that waits for room in a budget.
///
/// # Errors
/// [`SpecRefusal::AtWork`]: it is cancelled first.
pub fn expect_archivable(status: SpecStatus) -> Result<(), SpecRefusal> {
    match status {
        SpecStatus::Draft
        | SpecStatus::Completed
        | SpecStatus::Delivered
        | SpecStatus::Failed
        | SpecStatus::Cancelled => Ok(()),
        SpecStatus::Executing | SpecStatus::Working | SpecStatus::Blocked => {
            Err(SpecRefusal::AtWork)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_not_put_away() {
        use SpecStatus::{Blocked, Executing, Working};
        for status in SpecStatus::ALL.iter().copied() {
            let expected = match status {
                Executing | Working | Blocked => Err(SpecRefusal::AtWork),
                _ => Ok(()),
            };
            assert_eq!(expect_archivable(status), expected, "{status}");
        }
    }
}
