//! How many connections a listener holds: of one address, and of all together.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use omoi_domain::access::sign_in_limit::counted_address;

/// How many connections are held at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressCaps {
    /// Of all addresses.
    pub(crate) all: usize,
    /// Of one address, or of one network of 64 bits.
    pub(crate) address: usize,
}

/// The connections of a listener. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct AddressSeats {
    caps: AddressCaps,
    table: Arc<Mutex<AddressTable>>,
}

#[derive(Debug, Default)]
struct AddressTable {
    n_taken: usize,
    by_address: HashMap<String, usize>,
}

/// The place of one connection, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct AddressSeat {
    seats: AddressSeats,
    /// None of a proxy, whose connections are those of many.
    address: Option<String>,
}

/// No place is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrowdedListener {
    /// For nobody.
    All,
    /// For an address that holds as many as it may.
    Address {
        /// As many as it may hold.
        connections_max: usize,
    },
}

impl fmt::Display for CrowdedListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("this server holds as many connections as it may"),
            Self::Address {
                connections_max: max,
            } => write!(f, "your address holds {max} connections, as many as it may"),
        }
    }
}

impl AddressSeats {
    pub(crate) fn new(caps: AddressCaps) -> Self {
        Self {
            caps,
            table: Arc::default(),
        }
    }

    /// A place for a connection of `peer`. A proxy of ours brings those of others, and is held to the sum alone.
    ///
    /// # Errors
    /// [`CrowdedListener`].
    pub(crate) fn take_seat(
        &self,
        peer: IpAddr,
        is_proxy: bool,
    ) -> Result<AddressSeat, CrowdedListener> {
        let mut table = self.lock_table();
        if table.n_taken >= self.caps.all {
            return Err(CrowdedListener::All);
        }
        let address = (!is_proxy).then(|| counted_address(peer));
        if let Some(address) = &address {
            let held = table.by_address.entry(address.clone()).or_default();
            if *held >= self.caps.address {
                return Err(CrowdedListener::Address {
                    connections_max: self.caps.address,
                });
            }
            *held += 1;
        }
        table.n_taken += 1;
        drop(table);
        Ok(AddressSeat {
            seats: self.clone(),
            address,
        })
    }

    fn lock_table(&self) -> MutexGuard<'_, AddressTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressSeat {
    fn drop(&mut self) {
        let mut table = self.seats.lock_table();
        table.n_taken -= 1;
        let Some(address) = &self.address else {
            return;
        };
        if let Some(held) = table.by_address.get_mut(address) {
            *held -= 1;
            if *held == 0 {
                table.by_address.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn an_address_leaves_room_for_others_and_a_proxy_has_the_whole() {
        let seats = AddressSeats::new(AddressCaps { all: 4, address: 2 });
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut held = Vec::new();
        for address in ["2001:db8::1", "2001:db8::2"] {
            held.push(seats.take_seat(at(address), false).unwrap());
        }
        // Whoever has one address of a network has the others.
        let refused = seats.take_seat(at("2001:db8::3"), false).unwrap_err();
        assert_eq!(refused, CrowdedListener::Address { connections_max: 2 });
        for _ in 0..2 {
            held.push(seats.take_seat(at("10.0.0.1"), true).unwrap());
        }
        let refused = seats.take_seat(at("192.0.2.1"), false).unwrap_err();
        assert_eq!(refused, CrowdedListener::All);
        drop(held);
        assert!(seats.take_seat(at("2001:db8::3"), false).is_ok());
        let table = seats.lock_table();
        assert_eq!(table.n_taken, 0);
        assert!(table.by_address.is_empty());
    }
}
