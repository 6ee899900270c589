//! Files of tickets: kept once for an organisation, shown only where that is safe, and gone when nobody has them.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{
    AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::access::role::SystemRole;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::OrgId;
use omoi_domain::stored_file::{FILE_BYTES_MAX, ORGANISATION_FILE_BYTES_MAX};
use omoi_domain::time::Timestamp;
use omoi_store::stored_files::{self, ContentStage};
use omoi_store::{Tenant, Tx};

use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, refused};

both!(a_file_is_kept_once_and_goes_when_nobody_has_it);

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";
const EVE: &str = "eve@example.org";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand more";

/// One who gives files to a ticket.
struct Giver<'a> {
    desk: &'a SignInDesk,
    token: String,
    at: String,
}

impl Giver<'_> {
    async fn give(&self, name: &str, content: &[u8]) -> (u16, Value) {
        let head = format!(
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        );
        let form = [head.as_bytes(), content, b"\r\n--x--\r\n"].concat();
        self.post("multipart/form-data; boundary=x", form).await
    }

    async fn post(&self, media: &str, body: Vec<u8>) -> (u16, Value) {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/api/v1{}", self.at))
            .header(CONTENT_TYPE, media)
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        self.desk.send(request.body(body.into()).unwrap()).await
    }

    async fn read(&self, id: &str) -> (HeaderMap, Vec<u8>) {
        let request = Request::builder()
            .uri(format!("/api/v1{}/{id}/content", self.at))
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        let request = request.body(Body::empty()).unwrap();
        let response = self.desk.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let headers = response.headers().clone();
        let body = to_bytes(response.into_body(), 32 << 20).await.unwrap();
        (headers, body.to_vec())
    }

    async fn remove(&self, id: &str) -> u16 {
        let path = format!("{}/{id}", self.at);
        let removed = self
            .desk
            .ask((Method::DELETE, &path), Some(&self.token), None);
        removed.await.0
    }
}

async fn a_file_is_kept_once_and_goes_when_nobody_has_it(desk: SignInDesk) {
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    desk.add_user(ADA, &[(OrgId::LOCAL, SystemRole::Member)])
        .await;
    desk.add_user(BOB, &[(OrgId::LOCAL, SystemRole::Member)])
        .await;
    desk.add_user(EVE, &[(elsewhere, SystemRole::Owner)]).await;
    let ticket = desk.test.ticket.id;
    let giver = async |mail| Giver {
        desk: &desk,
        token: desk.sign_in(mail, PASSWORD).await.access_token,
        at: format!("/tickets/{ticket}/files"),
    };
    let (ada, bob, eve) = (giver(ADA).await, giver(BOB).await, giver(EVE).await);
    // More than one piece.
    let large: Vec<u8> = (0..5_u32 << 18).map(|n| n.to_le_bytes()[0]).collect();
    let (status, shot) = ada.give("Schuß 1.png", PNG).await;
    let found = (
        status,
        &shot["media_type"],
        &shot["file_bytes"],
        &shot["name"],
    );
    let expected = (
        201,
        &json!("image/png"),
        &json!(PNG.len()),
        &json!("Schuß 1.png"),
    );
    assert_eq!(found, expected, "{shot}");
    let (_, same) = bob.give("again.png", PNG).await;
    assert_eq!(same["digest"], shot["digest"]);
    let (status, long) = ada.give("long.bin", &large).await;
    assert_eq!(
        (status, &long["media_type"]),
        (201, &json!("application/octet-stream")),
        "{long}"
    );
    let (_, read) = bob.read(long["id"].as_str().unwrap()).await;
    assert!(read == large, "another content came back");
    is_shown_where_it_is_safe(&ada, &shot).await;
    is_refused_by_name(&ada, &eve, &shot).await;

    let listed = desk
        .ask((Method::GET, &ada.at), Some(&bob.token), None)
        .await
        .1;
    assert_eq!(listed["items"].as_array().unwrap().len(), 5, "{listed}");
    let [shot, same] = [shot, same].map(|file| file["id"].as_str().unwrap().to_owned());
    assert_eq!(bob.remove(&shot).await, 403, "it is not his");
    assert_eq!(
        (ada.remove(&shot).await, ada.remove(&shot).await),
        (204, 404)
    );
    let (_, read) = bob.read(&same).await;
    assert_eq!(read, PNG, "another file has the same content");
    contents_go_when_nobody_has_them(&desk, &bob, &same).await;
}

/// Pages show images; whatever else a file says it is, it is saved.
async fn is_shown_where_it_is_safe(ada: &Giver<'_>, shot: &Value) {
    let (headers, body) = ada.read(shot["id"].as_str().unwrap()).await;
    assert_eq!(body, PNG);
    assert_eq!(headers[CONTENT_TYPE], "image/png");
    assert_eq!(
        headers[CONTENT_DISPOSITION],
        "inline; filename*=UTF-8''Schu%C3%9F%201.png"
    );
    for (name, content) in [
        (
            "page.html",
            &b"<!doctype html><script>alert(1)</script>"[..],
        ),
        (
            "image.png",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>",
        ),
    ] {
        let (status, file) = ada.give(name, content).await;
        assert_eq!(
            (status, &file["media_type"]),
            (201, &json!("application/octet-stream"))
        );
        let (headers, body) = ada.read(file["id"].as_str().unwrap()).await;
        assert_eq!(body, content);
        assert_eq!(headers[CONTENT_TYPE], "application/octet-stream");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.ends_with("sandbox"), "{policy}");
        let how = headers[CONTENT_DISPOSITION].to_str().unwrap();
        assert!(how.starts_with("attachment; "), "{how}");
    }
}

async fn is_refused_by_name(ada: &Giver<'_>, eve: &Giver<'_>, shot: &Value) {
    let form = "multipart/form-data; boundary=x";
    let too_large = vec![0; usize::try_from(FILE_BYTES_MAX).unwrap() + 1];
    for (said, expected) in [
        (
            ada.give("../../etc/passwd", PNG).await,
            (422, "validation_failed"),
        ),
        (ada.give("..", PNG).await, (422, "validation_failed")),
        (
            ada.give("a\r\nset-cookie: b=c", PNG).await,
            (422, "validation_failed"),
        ),
        (ada.give("", PNG).await, (422, "validation_failed")),
        (ada.give("large", &too_large).await, (413, "too_large")),
        (
            ada.post(form, b"--x\r\n".to_vec()).await,
            (422, "validation_failed"),
        ),
        (
            ada.post("multipart/form-data", PNG.to_vec()).await,
            (422, "validation_failed"),
        ),
        (
            ada.post("image/png", PNG.to_vec()).await,
            (415, "unsupported_media_type"),
        ),
        (ada.post(form, vec![0; 26 << 20]).await, (413, "too_large")),
        (eve.give("a.png", PNG).await, (404, "not_found")),
    ] {
        let (status, told) = said;
        assert_eq!(
            (status, told["error"].as_str().unwrap()),
            expected,
            "{told}"
        );
    }
    let path = format!("{}/{}/content", eve.at, shot["id"].as_str().unwrap());
    let foreign = eve
        .desk
        .code_of((Method::GET, &path), &eve.token, None)
        .await;
    assert_eq!(foreign, refused(404, "not_found"));
}

async fn write<T>(
    tenant: &Tenant,
    act: impl AsyncFnOnce(&mut Tx) -> Result<T, omoi_store::StoreError>,
) -> T {
    tenant.write(CrashPoint::TicketChanged, act).await.unwrap()
}

/// What no file has goes after a day, and its room is free again; what is under way stays.
async fn contents_go_when_nobody_has_them(desk: &SignInDesk, bob: &Giver<'_>, same: &str) {
    let tenant = &desk.test.deployment.store;
    let clean = async |before: Timestamp| {
        write(tenant, async |tx| {
            stored_files::remove_unreferenced(tx, before, 100).await
        })
        .await
    };
    let now = async || write(tenant, async |tx| Ok(tx.now())).await;
    desk.test.advance_clock(60);
    assert_eq!(clean(now().await).await, 0, "all of them are of files");
    assert_eq!(bob.remove(same).await, 204);
    let begun = async |digest: &'static str, bytes: u64| {
        let bytes = i64::try_from(bytes).unwrap();
        write(tenant, async |tx| {
            stored_files::begin_content(tx, digest, bytes).await
        })
        .await
    };
    // All the room that is left but a little; who asks for more has none, and asks in vain twice.
    assert_eq!(
        begun("half", ORGANISATION_FILE_BYTES_MAX / 2).await,
        ContentStage::Partial
    );
    assert_eq!(
        begun("half", ORGANISATION_FILE_BYTES_MAX / 2).await,
        ContentStage::Partial
    );
    assert_eq!(
        begun("more", ORGANISATION_FILE_BYTES_MAX / 2).await,
        ContentStage::NoRoom
    );
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(clean(now().await - day).await, 0, "too soon");
    desk.test.advance_clock(25 * 60 * 60);
    assert_eq!(
        begun("half", ORGANISATION_FILE_BYTES_MAX / 2).await,
        ContentStage::Partial
    );
    let before = now().await - day;
    assert_eq!(clean(before).await, 1, "what is asked for again stays");
    // A sign-in of the day before is over.
    let again = Giver {
        token: desk.sign_in(BOB, PASSWORD).await.access_token,
        at: bob.at.clone(),
        desk,
    };
    let (status, _) = again.give("x.png", PNG).await;
    assert_eq!(status, 201, "its content is written anew");
    desk.test.advance_clock(25 * 60 * 60);
    assert_eq!(clean(now().await - day).await, 1);
    assert_eq!(
        begun("more", ORGANISATION_FILE_BYTES_MAX / 2).await,
        ContentStage::Partial
    );
}
