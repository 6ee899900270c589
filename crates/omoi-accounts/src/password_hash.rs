//! How passwords are kept: argon2id, and the bcrypt of accounts that came from elsewhere.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use omoi_domain::access::password_rules::{PASSWORD_BYTES_MAX, normalise_password};

/// Memory of one hash, in blocks of 1 KiB: 19 MiB.
pub(crate) const MEMORY_BLOCKS: u32 = 19_456;
/// Passes over the memory.
const PASSES: u32 = 2;
/// Bytes of a salt.
pub(crate) const SALT_BYTES: usize = 16;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;
/// Most memory that a stored hash may ask for: what a pool keeps ready.
const STORED_BLOCKS_MAX: u32 = MEMORY_BLOCKS;
/// Most passes that a stored hash may ask for.
const STORED_PASSES_MAX: u32 = 10;
/// Highest cost of an imported bcrypt hash; one more doubles the time.
const BCRYPT_COST_MAX: u32 = 14;

/// The memory that hashes are made in, kept from one to the next.
pub(crate) struct HashMemory {
    blocks: Vec<Block>,
    /// Memory and passes of each hash that was made in it.
    #[cfg(test)]
    pub(crate) made: Vec<[u32; 2]>,
}

/// What a stored hash says of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordCheck {
    /// It is the one, and the hash is as strong as ours.
    Current,
    /// It is the one, and should be hashed anew.
    Outdated,
    /// It is another.
    Wrong,
}

/// The parts of a hash of ours.
struct StoredHash {
    params: Params,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl HashMemory {
    pub(crate) fn new() -> Self {
        Self {
            blocks: vec![Block::new(); MEMORY_BLOCKS as usize],
            #[cfg(test)]
            made: Vec::new(),
        }
    }

    /// Hashes `password` with `salt`, as a column keeps it.
    pub(crate) fn hash_password(
        &mut self,
        password: &str,
        salt: [u8; SALT_BYTES],
    ) -> Result<String, argon2::Error> {
        let params = Params::new(MEMORY_BLOCKS, PASSES, 1, Some(HASH_BYTES))?;
        let hash = self.argon2id(password, &salt, params, HASH_BYTES)?;
        let [salt, hash] = [&salt[..], &hash].map(|bytes| STANDARD_NO_PAD.encode(bytes));
        Ok(format!(
            "$argon2id$v=19$m={MEMORY_BLOCKS},t={PASSES},p=1${salt}${hash}"
        ))
    }

    /// Compares `password` with what a column keeps. A hash that nobody could have stored fits none.
    pub(crate) fn check_password(&mut self, password: &str, stored: &str) -> PasswordCheck {
        if password.len() > PASSWORD_BYTES_MAX {
            return PasswordCheck::Wrong;
        }
        if stored.starts_with("$2") {
            return check_bcrypt(password, stored);
        }
        let Some(stored) = StoredHash::parse(stored) else {
            return PasswordCheck::Wrong;
        };
        let is_ours = (stored.params.m_cost(), stored.params.t_cost()) == (MEMORY_BLOCKS, PASSES);
        let hash = self.argon2id(password, &stored.salt, stored.params, stored.hash.len());
        let is_equal = hash.is_ok_and(|hash| verify_slices_are_equal(&hash, &stored.hash).is_ok());
        match (is_equal, is_ours) {
            (true, true) => PasswordCheck::Current,
            (true, false) => PasswordCheck::Outdated,
            (false, _) => PasswordCheck::Wrong,
        }
    }

    fn argon2id(
        &mut self,
        password: &str,
        salt: &[u8],
        params: Params,
        n_bytes: usize,
    ) -> Result<Vec<u8>, argon2::Error> {
        let mut hash = vec![0; n_bytes];
        let password = normalise_password(password);
        #[cfg(test)]
        self.made.push([params.m_cost(), params.t_cost()]);
        let n_blocks = params.block_count().min(self.blocks.len());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let memory = &mut self.blocks[..n_blocks];
        argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut hash, memory)?;
        Ok(hash)
    }
}

impl StoredHash {
    /// Reads `$argon2id$v=19$m=…,t=…,p=1$salt$hash` within bounds.
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('$').collect();
        let ["", "argon2id", "v=19", costs, salt, hash] = parts[..] else {
            return None;
        };
        let mut costs = costs.split(',');
        let mut cost = |name: &str| -> Option<u32> {
            costs
                .next()?
                .strip_prefix(name)?
                .strip_prefix('=')?
                .parse()
                .ok()
        };
        let (memory, passes, lanes) = (cost("m")?, cost("t")?, cost("p")?);
        if memory > STORED_BLOCKS_MAX || passes > STORED_PASSES_MAX || lanes != 1 {
            return None;
        }
        let [salt, hash] = [salt, hash].map(|part| STANDARD_NO_PAD.decode(part).ok());
        let (salt, hash) = (salt?, hash?);
        let is_sized = (16..=64).contains(&hash.len());
        let params = Params::new(memory, passes, lanes, Some(hash.len())).ok()?;
        is_sized.then_some(Self { params, salt, hash })
    }
}

/// Imported hashes are of the bytes as they were typed, cut after 72 of them.
fn check_bcrypt(password: &str, stored: &str) -> PasswordCheck {
    let cost = stored.split('$').nth(2).and_then(|cost| cost.parse().ok());
    if cost.is_none_or(|cost: u32| cost > BCRYPT_COST_MAX) {
        return PasswordCheck::Wrong;
    }
    match bcrypt::verify(password, stored) {
        Ok(true) => PasswordCheck::Outdated,
        Ok(false) | Err(_) => PasswordCheck::Wrong,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    /// `Opal-Harbour-7`, by Python's `bcrypt` 5.0 with cost 4.
    const IMPORTED: &str = "$2b$04$h6rbIlJfk/D86fbUk7LfPOCLc.xfJocdmQR6eW74jo7/kQhqYl.6S";
    /// `Opal-Harbour-7`, by Python's `argon2-cffi` with 8 MiB, 1 pass, 1 lane.
    const WEAKER: &str = "$argon2id$v=19$m=8192,t=1,p=1$tCUnml46Tgi7axXiU9HOHA$TrCHHrs3olD1z+r40+3/bCixep8z7OpBJEGFgDmStQ0";

    #[test]
    fn a_password_is_known_by_its_hash_and_weak_ones_are_told() {
        let mut memory = HashMemory::new();
        let hash = memory
            .hash_password("Opal-Harbour-é7", [7; SALT_BYTES])
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let mut check = |password: &str, stored: &str| memory.check_password(password, stored);
        assert_eq!(check("Opal-Harbour-é7", &hash), PasswordCheck::Current);
        // The same letter from another keyboard.
        assert_eq!(
            check("Opal-Harbour-e\u{301}7", &hash),
            PasswordCheck::Current
        );
        assert_eq!(check("Opal-Harbour-e7", &hash), PasswordCheck::Wrong);
        for stored in [IMPORTED, WEAKER] {
            assert_eq!(
                check("Opal-Harbour-7", stored),
                PasswordCheck::Outdated,
                "{stored}"
            );
            assert_eq!(check("Opal-Harbour-8", stored), PasswordCheck::Wrong);
        }
    }

    #[test]
    fn every_byte_of_a_long_password_counts() {
        let mut memory = HashMemory::new();
        let common = "Aa1-".repeat(24);
        let hash = memory
            .hash_password(&format!("{common}abcd"), [1; SALT_BYTES])
            .unwrap();
        let other = format!("{common}abce");
        assert_eq!(memory.check_password(&other, &hash), PasswordCheck::Wrong);
    }

    #[test]
    fn a_stored_hash_cannot_ask_for_more_than_there_is() {
        let mut memory = HashMemory::new();
        let tail = "p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for stored in [
            format!("$argon2id$v=19$m=4194304,t=2,{tail}"),
            format!("$argon2id$v=19$m=19456,t=4294967295,{tail}"),
            format!("$argon2i$v=19$m=19456,t=2,{tail}"),
            "$argon2id$v=19$m=19456,t=2,p=1$c29t$".to_owned(),
            "$2b$31$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            "$2b$".to_owned(),
            String::new(),
        ] {
            assert_eq!(
                memory.check_password("x", &stored),
                PasswordCheck::Wrong,
                "{stored}"
            );
        }
    }
}
