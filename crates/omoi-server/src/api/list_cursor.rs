//! Cursors: where the next page of a list begins, as a text that nobody but this platform can make.
//!
//! **Invariant:** a cursor is read only by the list that gave it: its MAC covers the list, the organisation, the filters
//! and the order (`omoi-server/src/api/list_cursor.rs`).

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes of a MAC.
const MAC_BYTES: usize = 32;
/// Longest text that is looked at.
const CURSOR_CHARS_MAX: usize = 512;

/// What cursors are signed with: keys made for nothing else, the same in all processes.
#[derive(Clone, Debug)]
pub struct CursorKeys {
    signing: hmac::Key,
    earlier: Arc<[hmac::Key]>,
}

impl CursorKeys {
    /// `signing` signs; cursors by one of `earlier` are still read.
    pub fn new(signing: [u8; 32], earlier: impl IntoIterator<Item = [u8; 32]>) -> Self {
        let key = |bytes: [u8; 32]| hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        Self {
            signing: key(signing),
            earlier: earlier.into_iter().map(key).collect(),
        }
    }

    /// A digest of `bytes` that says nothing to whoever has not the keys; another one once they change.
    pub(super) fn secret_digest(&self, bytes: &[u8]) -> String {
        let mac = hmac::sign(&self.signing, &signed_bytes(b"body", bytes));
        URL_SAFE_NO_PAD.encode(mac)
    }

    /// The cursor of `place` in the list that `scope` tells from all others.
    pub(super) fn sign_place(&self, scope: &[u8], place: &[u8]) -> String {
        let mac = hmac::sign(&self.signing, &signed_bytes(scope, place));
        URL_SAFE_NO_PAD.encode([mac.as_ref(), place].concat())
    }

    /// The place that `cursor` names in the list of `scope`; none when it is no cursor of that list.
    pub(super) fn read_place(&self, scope: &[u8], cursor: &str) -> Option<Vec<u8>> {
        if cursor.len() > CURSOR_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (mac, place) = bytes.split_at_checked(MAC_BYTES)?;
        let signed = signed_bytes(scope, place);
        let mut keys = std::iter::once(&self.signing).chain(self.earlier.iter());
        let is_genuine = keys.any(|key| hmac::verify(key, &signed, mac).is_ok());
        is_genuine.then(|| place.to_vec())
    }
}

/// Both parts so that no other pair gives the same bytes.
fn signed_bytes(scope: &[u8], place: &[u8]) -> Vec<u8> {
    let length = (scope.len() as u64).to_be_bytes();
    [&length[..], scope, place].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_by_its_own_list_and_not_when_one_bit_of_it_is_another() {
        let keys = CursorKeys::new([1; 32], []);
        let cursor = keys.sign_place(b"list", b"place");
        let read = |keys: &CursorKeys, cursor: &str| keys.read_place(b"list", cursor);
        assert_eq!(read(&keys, &cursor).as_deref(), Some(&b"place"[..]));
        assert_eq!(keys.read_place(b"listp", &cursor), None);
        assert_eq!(keys.read_place(b"lis", &cursor), None);
        for at in 0..cursor.len() {
            let mut bytes = cursor.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(read(&keys, &forged), None, "{at}");
            assert_eq!(read(&keys, &cursor[..at]), None, "{at}");
        }
        for text in ["", "=", "é", &"A".repeat(600), &format!("{cursor}A")] {
            assert_eq!(read(&keys, text), None, "{text}");
        }
        // After a change of keys those of the key before are still read, and those of one that is gone are not.
        let changed = CursorKeys::new([2; 32], [[1; 32]]);
        assert!(read(&changed, &cursor).is_some());
        assert_ne!(changed.sign_place(b"list", b"place"), cursor);
        assert_eq!(read(&CursorKeys::new([2; 32], []), &cursor), None);
    }
}
