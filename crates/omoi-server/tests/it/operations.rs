//! Work that a request asks for and does not wait for.

use serde_json::json;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::operation::OperationKind;
use omoi_execution::commands::{
    begin_operation, end_left_operation, end_operation, renew_operation,
};
use omoi_store::operations::OperationEnding;

use crate::api::{bench, told};

#[tokio::test]
async fn an_operation_ends_once_by_whoever_did_it_or_when_nobody_does() {
    let (test, router) = bench().await;
    let rows = test.build_part::<omoi_server::api::ApiParts>().store;
    let (project, kind) = (test.spec.project_id, OperationKind::SetUpRepository);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let begun = begin_operation(&rows, project, kind).await.unwrap();
        ids.push(begun.id);
    }
    let done = OperationEnding::Done(json!({ "n": 1 }));
    end_operation(&rows, ids[0], done.clone()).await.unwrap();
    test.advance_clock(40);
    renew_operation(&rows, ids[1]).await.unwrap();
    test.advance_clock(40);
    // The second gave a sign of life, the third did not.
    for id in &ids {
        end_left_operation(&rows, *id).await.unwrap();
    }
    let refused = OperationEnding::Failed {
        code: ErrorCode::BadRepository,
        message: "no".to_owned(),
        hint: None,
    };
    end_operation(&rows, ids[1], refused).await.unwrap();
    // What is over stays as it ended.
    end_operation(&rows, ids[2], done).await.unwrap();
    for (id, status, result, code) in [
        (ids[0], "succeeded", json!({ "n": 1 }), json!(null)),
        (ids[1], "failed", json!(null), json!("bad_repository")),
        (ids[2], "failed", json!(null), json!("not_ready")),
    ] {
        let (_, _, shown) = told(&router, &format!("/operations/{id}")).await;
        assert_eq!(shown["status"], status, "{shown}");
        assert_eq!(
            (&shown["result"], &shown["error"]["error"]),
            (&result, &code)
        );
    }
    let (_, _, events) = told(&router, "/events?event_type=operation.*&sort=seq").await;
    let items = events["items"].as_array().unwrap();
    let finished = items
        .iter()
        .filter(|one| one["event_type"] == "operation.finished");
    assert_eq!((items.len(), finished.count()), (6, 3), "{events}");
    let unknown = told(&router, "/operations/01930000-0000-7000-8000-0000000000ff").await;
    assert_eq!((unknown.0, unknown.1.as_str()), (404, "not_found"));
}
