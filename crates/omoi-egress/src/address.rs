//! Which addresses are public: the only ones a name may lead to unless a person lists the address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use omoi_domain::planted_bug::{PlantedBug, is_planted};

/// A block of IPv4 addresses: its first address and the length of its prefix.
struct V4Block(Ipv4Addr, u32);
/// The same of IPv6.
struct V6Block(Ipv6Addr, u32);

/// Blocks inside IPv4 that lead nowhere public.
const NOT_PUBLIC_V4: &[V4Block] = &[
    V4Block(Ipv4Addr::UNSPECIFIED, 8),
    V4Block(Ipv4Addr::new(10, 0, 0, 0), 8),
    // Carrier-grade address translation; one cloud keeps its metadata here.
    V4Block(Ipv4Addr::new(100, 64, 0, 0), 10),
    V4Block(Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, where most clouds keep their metadata.
    V4Block(Ipv4Addr::new(169, 254, 0, 0), 16),
    // A cloud's wire server, with an address that looks public.
    V4Block(Ipv4Addr::new(168, 63, 129, 16), 32),
    V4Block(Ipv4Addr::new(172, 16, 0, 0), 12),
    V4Block(Ipv4Addr::new(192, 0, 0, 0), 24),
    V4Block(Ipv4Addr::new(192, 0, 2, 0), 24),
    V4Block(Ipv4Addr::new(192, 88, 99, 0), 24),
    V4Block(Ipv4Addr::new(192, 168, 0, 0), 16),
    V4Block(Ipv4Addr::new(198, 18, 0, 0), 15),
    V4Block(Ipv4Addr::new(198, 51, 100, 0), 24),
    V4Block(Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, and what was kept for later, with broadcast at its end.
    V4Block(Ipv4Addr::new(224, 0, 0, 0), 4),
    V4Block(Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The block that is given out to networks; all else is local, multicast or a mapping of IPv4.
const GLOBAL_V6: V6Block = V6Block(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Blocks inside it that carry an IPv4 address or are examples.
const NOT_PUBLIC_V6: &[V6Block] = &[
    V6Block(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    V6Block(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    V6Block(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    V6Block(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether `address` is one that anybody on the internet could reach.
///
/// Forms that carry an IPv4 address in an IPv6 one are not, whichever address they carry.
pub fn is_public(address: IpAddr) -> bool {
    if is_planted(PlantedBug::PublicAddress) {
        return true;
    }
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|block| block.contains(address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(address)
                && !NOT_PUBLIC_V6.iter().any(|block| block.contains(address))
        }
    }
}

impl V4Block {
    fn contains(&self, address: Ipv4Addr) -> bool {
        (self.0.to_bits() ^ address.to_bits()).leading_zeros() >= self.1
    }
}

impl V6Block {
    fn contains(&self, address: Ipv6Addr) -> bool {
        (self.0.to_bits() ^ address.to_bits()).leading_zeros() >= self.1
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for (text, expected) in [
            ("1.1.1.1", true),
            ("8.8.8.8", true),
            ("104.16.0.1", true),
            ("172.15.255.255", true),
            ("172.32.0.0", true),
            ("100.63.255.255", true),
            ("100.128.0.0", true),
            ("168.63.129.17", true),
            ("198.20.0.0", true),
            ("223.255.255.255", true),
            ("2606:4700::1", true),
            ("2a00:1450::1", true),
            ("2001:200::1", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("100.100.100.200", false),
            ("127.0.0.1", false),
            ("127.255.255.255", false),
            ("168.63.129.16", false),
            ("169.254.0.1", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.170", false),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("198.19.255.255", false),
            ("198.51.100.1", false),
            ("203.0.113.1", false),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:8.8.8.8", false),
            ("::ffff:127.0.0.1", false),
            ("::8.8.8.8", false),
            ("64:ff9b::808:808", false),
            ("64:ff9b:1::1", false),
            ("100::1", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("2002:7f00:1::", false),
            ("3fff::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(text.parse().unwrap()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_form_that_carries_another_address_is_public(carried: u32) {
            let [a, b] = [(carried >> 16) as u16, carried as u16];
            for address in [
                Ipv4Addr::from(carried).to_ipv6_mapped(),
                Ipv4Addr::from(carried).to_ipv6_compatible(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b),
                Ipv6Addr::new(0x2002, a, b, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, a, b, 0, 0, 0, 1),
            ] {
                prop_assert!(!is_public(address.into()), "{address}");
            }
        }

        #[test]
        fn what_the_library_calls_local_is_not_public(bits: u32) {
            let address = Ipv4Addr::from(bits);
            let is_local = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_documentation() || address.is_broadcast()
                || address.is_unspecified();
            prop_assert!(!(is_local && is_public(address.into())));
        }
    }
}
