//! Sets of permissions.

use std::fmt;

use super::permission::Permission;

/// A set of permissions, one bit for each name.
///
/// Never stored: columns hold names and patterns, because the order of the names may change.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct PermissionSet {
    bits: u64,
}

const _: () = assert!(
    Permission::ALL.len() <= 64,
    "a set has one bit for each permission"
);

impl PermissionSet {
    /// Nothing is allowed.
    pub const EMPTY: Self = Self { bits: 0 };

    /// Everything is allowed.
    pub const FULL: Self = Self::of_permissions(Permission::ALL);

    /// Holds exactly `permissions`.
    pub const fn of_permissions(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < permissions.len() {
            bits |= 1 << permissions[at] as u64;
            at += 1;
        }
        Self { bits }
    }

    /// Every permission that only lets a caller see.
    pub fn of_reads() -> Self {
        Permission::ALL
            .iter()
            .copied()
            .filter(|permission| permission.is_read())
            .collect()
    }

    /// Whether `permission` is allowed.
    pub const fn contains(self, permission: Permission) -> bool {
        self.bits & (1 << permission as u64) != 0
    }

    /// What either set allows.
    pub const fn union_with(self, other: Self) -> Self {
        Self {
            bits: self.bits | other.bits,
        }
    }

    /// What both sets allow.
    pub const fn common_with(self, other: Self) -> Self {
        Self {
            bits: self.bits & other.bits,
        }
    }

    /// What this set allows and `other` does not.
    pub const fn without_set(self, other: Self) -> Self {
        Self {
            bits: self.bits & !other.bits,
        }
    }

    /// Whether `other` allows everything that this set does.
    pub const fn is_within(self, other: Self) -> bool {
        self.bits & !other.bits == 0
    }

    /// The permissions of the set, in the order of their declaration.
    pub fn list_permissions(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .iter()
            .copied()
            .filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions
            .into_iter()
            .fold(Self::EMPTY, |set, permission| {
                set.union_with(Self::of_permissions(&[permission]))
            })
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.list_permissions().map(Permission::as_str))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_they_are_made_of() {
        let reads = PermissionSet::of_reads();
        assert!(reads.contains(Permission::OrgAuditRead));
        assert!(!reads.contains(Permission::OrgWrite));
        assert_eq!(
            PermissionSet::FULL.list_permissions().count(),
            Permission::ALL.len()
        );
        let writes = PermissionSet::FULL.without_set(reads);
        assert_eq!(writes.common_with(reads), PermissionSet::EMPTY);
        assert_eq!(writes.union_with(reads), PermissionSet::FULL);
        assert!(reads.is_within(PermissionSet::FULL) && !reads.is_within(writes));
        assert_eq!(reads.list_permissions().collect::<PermissionSet>(), reads);
    }
}
