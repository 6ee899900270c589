//! API6, unrestricted access to sensitive business flows: mails to strangers in the name of an organisation, and of the
//! platform.

use axum::http::Method;
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_domain::planted_bug::PlantedBug;
use omoi_testkit::invariant::InvariantProof;
use serde_json::json;

use crate::sign_in_desk::{PASSWORD, SignInDesk};

both!(nobody_is_flooded_with_mails,);

/// Mails that one address is sent in an hour, and that one organisation has sent.
const TO_ADDRESS_MAX: usize = 3;
const OF_ORGANISATION_MAX: usize = 100;

/// Invitations that `org` has mailed of `addresses`.
async fn n_invited(
    desk: &SignInDesk,
    token: &str,
    addresses: impl IntoIterator<Item = String>,
) -> usize {
    let mut n_mailed = 0;
    let path = format!("/organizations/{}/invitations", OrgId::LOCAL);
    for address in addresses {
        let body = json!({ "email": address, "role_id": SystemRole::Viewer.role_id() });
        let (status, told) = desk
            .ask((Method::POST, &path), Some(token), Some(body))
            .await;
        match status {
            201 => n_mailed += 1,
            _ => assert_eq!(
                (status, &told["error"]),
                (429, &json!("rate_limited")),
                "{told}"
            ),
        }
    }
    n_mailed
}

async fn nobody_is_flooded_with_mails(desk: SignInDesk) {
    let owner = [(OrgId::LOCAL, SystemRole::Owner)];
    desk.add_user("ada@example.org", &owner).await;
    let proof = InvariantProof {
        id: "API6",
        counted: "mails beyond what an address and an organisation may be sent",
        n_cases: TO_ADDRESS_MAX + 2 + OF_ORGANISATION_MAX + 2,
        bug: PlantedBug::TryLimit,
    };
    proof
        .check(async || {
            // Another hour.
            desk.test.advance_clock(3_601);
            let ada = desk.sign_in("ada@example.org", PASSWORD).await.access_token;
            let same = (0..TO_ADDRESS_MAX + 2).map(|_| "vic@example.org".to_owned());
            let n_same = n_invited(&desk, &ada, same).await;
            let all = (0..OF_ORGANISATION_MAX).map(|n| format!("new-{n}@example.org"));
            let n_all = n_same + n_invited(&desk, &ada, all).await;
            (n_same - TO_ADDRESS_MAX) + (n_all - OF_ORGANISATION_MAX)
        })
        .await;
}
