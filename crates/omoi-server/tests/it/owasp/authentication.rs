//! API2, broken authentication: forged, stolen and ended credentials.

use axum::http::Method;
use omoi_accounts::access_token::AccessClaims;
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_domain::planted_bug::PlantedBug;
use omoi_runtime::clock::Clock as _;
use omoi_testkit::invariant::InvariantProof;

use crate::credentials::forge_tokens;
use crate::sign_in_desk::{PASSWORD, SignInDesk};

both!(no_credential_that_is_none_opens_anything,);

async fn no_credential_that_is_none_opens_anything(desk: SignInDesk) {
    let member = [(OrgId::LOCAL, SystemRole::Member)];
    let user = desk.add_user("ada@example.org", &member).await;
    let pair = desk.sign_in("ada@example.org", PASSWORD).await;
    let claims = AccessClaims {
        user,
        session: pair.session_id,
        epoch: 0,
    };
    let forge = || forge_tokens(&desk, &claims, desk.test.clock.now());
    let forged = forge();
    let routes = [
        (Method::GET, "/specs"),
        (Method::GET, "/auth/me"),
        (Method::GET, "/events/stream?once=true"),
        (Method::GET, "/organizations"),
    ];
    let proof = InvariantProof {
        id: "API2",
        counted: "answers to credentials that are none",
        n_cases: forged.bad.len() * routes.len(),
        bug: PlantedBug::TokenTime,
    };
    proof
        .check(async || {
            // What was looked up of sessions is not believed for longer.
            desk.test.advance_clock(6);
            let forged = forge();
            let mut let_in = Vec::new();
            for (method, path) in &routes {
                for (what, token) in &forged.bad {
                    let asked = desk.ask((method.clone(), path), Some(token), None).await;
                    if asked.0 != 401 {
                        let_in.push((*what, *path, asked.0));
                    }
                }
            }
            println!("{let_in:?}");
            let_in.len()
        })
        .await;
    let (status, told) = desk
        .ask((Method::GET, "/specs"), Some(&forged.good), None)
        .await;
    assert_eq!(status, 200, "{told}");
}
