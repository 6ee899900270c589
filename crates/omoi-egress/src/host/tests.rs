#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use proptest::prelude::*;

use super::*;

fn decide(allow: &[&str], deny: &[&str], target: &str) -> HostDecision {
    let rules = HostRules::parse(allow, deny).unwrap();
    rules.decide(&EgressTarget::parse(target, 443).unwrap())
}

#[test]
fn every_spelling_of_a_host_is_one_host() {
    for (text, expected) in [
        ("Registry.NPMJS.org", "registry.npmjs.org"),
        ("registry.npmjs.org.", "registry.npmjs.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example"),
        ("ｅｘａｍｐｌｅ.com", "example.com"),
        ("example。com", "example.com"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7f.0.0.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("１２７.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ("[::ffff:7f00:1]", "127.0.0.1"),
        ("0xa9fea9fe", "169.254.169.254"),
    ] {
        assert_eq!(
            text.parse::<EgressHost>().unwrap().to_string(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn what_is_no_host_is_refused() {
    for text in [
        "",
        ".",
        "..",
        "a..b",
        ".example.com",
        "example.com..",
        "user@example.com",
        "user:secret@example.com",
        "example.com/path",
        "example.com\\@other.com",
        "exa mple.com",
        "example.com\n",
        "%65xample.com",
        "::1",
        "[::1",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "1.2.3.4.5",
        "256.1.1.1",
        "0x100000000",
        "*.example.com",
        "a?b",
        "a#b",
    ] {
        assert!(text.parse::<EgressHost>().is_err(), "{text}");
    }
    let long = format!("{}.com", "a.".repeat(130));
    assert!(long.parse::<EgressHost>().is_err());
}

#[test]
fn targets_carry_their_port() {
    for (text, host, port) in [
        ("example.com", "example.com", 443),
        ("example.com:8443", "example.com", 8443),
        ("EXAMPLE.com.:80", "example.com", 80),
        ("[::1]:80", "[::1]", 80),
        ("[2606:4700::1]", "[2606:4700::1]", 443),
    ] {
        let target = EgressTarget::parse(text, 443).unwrap();
        assert_eq!(
            (target.host.to_string().as_str(), target.port),
            (host, port)
        );
    }
    for text in [
        "example.com:",
        "example.com:0",
        "example.com:+80",
        "example.com:65536",
        "example.com:80:80",
        "a@b:80",
        "[::1]80",
        ":80",
    ] {
        assert!(EgressTarget::parse(text, 443).is_err(), "{text}");
    }
}

#[test]
fn patterns_match_what_they_say() {
    use HostDecision::{Allowed, Denied, NotListed, PortNotListed};
    for (allow, deny, target, expected) in [
        (&[][..], &[][..], "example.com", NotListed),
        (&["example.com"], &[], "example.com", Allowed),
        (&["example.com"], &[], "example.com:80", Allowed),
        (&["Example.COM."], &[], "example.com", Allowed),
        (&["example.com"], &[], "EXAMPLE.com.", Allowed),
        (&["example.com"], &[], "a.example.com", NotListed),
        (&["example.com"], &[], "badexample.com", NotListed),
        (&["example.com"], &[], "example.com.evil.net", NotListed),
        (&["*.example.com"], &[], "example.com", NotListed),
        (&["*.example.com"], &[], "a.example.com", Allowed),
        (&["*.example.com"], &[], "b.a.example.com", NotListed),
        (&["*.example.com"], &[], "badexample.com", NotListed),
        (&["**.example.com"], &[], "example.com", Allowed),
        (&["**.example.com"], &[], "b.a.example.com", Allowed),
        (&["**.example.com"], &[], "badexample.com", NotListed),
        (&["example.com"], &[], "example.com:22", PortNotListed),
        (&["example.com:22"], &[], "example.com:22", Allowed),
        (&["example.com:22"], &[], "example.com", PortNotListed),
        (
            &["example.com:22", "example.com"],
            &[],
            "example.com",
            Allowed,
        ),
        (
            &["**.example.com"],
            &["a.example.com"],
            "a.example.com",
            Denied,
        ),
        (
            &["**.example.com"],
            &["a.example.com"],
            "a.example.com:80",
            Denied,
        ),
        (
            &["**.example.com"],
            &["a.example.com:80"],
            "a.example.com",
            Allowed,
        ),
        (
            &["a.example.com"],
            &["**.example.com"],
            "a.example.com",
            Denied,
        ),
        (
            &["**.example.com"],
            &["**.example.com"],
            "x.example.com",
            Denied,
        ),
        (&["bücher.example"], &[], "xn--bcher-kva.example", Allowed),
        (&["10.0.0.1"], &[], "10.0.0.1", Allowed),
        (&["10.0.0.1"], &[], "167772161", Allowed),
        (&["::1"], &[], "[::1]", Allowed),
        (&["[::1]:8080"], &[], "[::1]:8080", Allowed),
        (&["**.com"], &[], "10.0.0.1", NotListed),
        (&["**.0.0.1.example"], &[], "10.0.0.1", NotListed),
    ] {
        assert_eq!(
            decide(allow, deny, target),
            expected,
            "{allow:?} {deny:?} {target}"
        );
    }
}

#[test]
fn entries_that_are_no_pattern_are_named() {
    for entry in [
        "",
        "*",
        "**",
        "*.",
        "a.*.b",
        "https://example.com",
        "*.10.0.0.1",
        "a:b",
        "***.a",
    ] {
        let error = entry.parse::<HostPattern>().unwrap_err();
        assert_eq!(error, InvalidPattern(entry.to_owned()));
    }
}

#[test]
fn an_address_is_listed_by_itself_and_its_port_alone() {
    let rules = HostRules::parse(&["example.com", "10.0.0.5", "10.0.0.7:8080"], &[]).unwrap();
    for (address, port, expected) in [
        ("10.0.0.5", 443, true),
        ("10.0.0.5", 80, true),
        ("10.0.0.5", 22, false),
        ("::ffff:10.0.0.5", 443, true),
        ("10.0.0.6", 443, false),
        ("10.0.0.7", 8080, true),
        ("10.0.0.7", 443, false),
    ] {
        let found = rules.lists_address(address.parse().unwrap(), port);
        assert_eq!(found, expected, "{address} {port}");
    }
}

proptest! {
    #[test]
    fn a_host_reads_back_as_itself(text in "\\PC{0,40}") {
        if let Ok(host) = text.parse::<EgressHost>() {
            prop_assert_eq!(host.to_string().parse::<EgressHost>().unwrap(), host);
        }
    }

    #[test]
    fn no_numeric_spelling_is_a_name(address: u32, radix in 0..3_u8) {
        let text = match radix {
            0 => address.to_string(),
            1 => format!("0x{address:x}"),
            _ => format!("0{address:o}"),
        };
        let expected = EgressHost::Address(std::net::Ipv4Addr::from(address).into());
        prop_assert_eq!(text.parse::<EgressHost>().unwrap(), expected);
    }

    #[test]
    fn deny_wins(label in "[a-z]{1,8}", port in 1..=u16::MAX) {
        let target = format!("{label}.example.com:{port}");
        let allow = [target.as_str(), "**.example.com", "example.com"];
        prop_assert_eq!(decide(&allow, &["*.example.com"], &target), HostDecision::Denied);
    }
}
