//! Lists: pages whose rows come in meanwhile, cursors that are not theirs, and what cannot be listed.

use std::collections::BTreeMap;
use std::ops::Range;

use axum::Router;
use serde_json::{Value, json};

use omoi_server::ApiDoor;
use omoi_server::api::{CursorKeys, router};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::raw_connection::RawConnection;

use crate::api::{bench, router_of, second_project, surface_of, told};

omoi_testkit::on_both_databases!(a_long_list_is_read_once_while_it_grows_on);

/// How many rows the long list has, where it is not [`ROWS`].
const ROWS_VARIABLE: &str = "OMOI_LIST_ROWS";
const ROWS: i64 = 2_000;
/// Rows that come in between two pages of 200: a tenth of the list by its end.
const ROWS_BETWEEN: i64 = 20;

/// The ids of a page, and the cursor of the next one.
async fn page(router: &Router, path: &str) -> (Vec<String>, Option<String>) {
    let (status, _, told) = told(router, path).await;
    assert_eq!(status, 200, "{path}: {told}");
    let items = told["items"].as_array().unwrap().iter();
    let ids = items.map(|row| row["id"].as_str().unwrap().to_owned());
    let next = told["next_cursor"].as_str().map(ToOwned::to_owned);
    (ids.collect(), next)
}

/// All of a list in pages of two; between them `grow` adds to it.
async fn walk(router: &Router, path: &str, mut grow: impl AsyncFnMut()) -> Vec<String> {
    let (mut seen, mut next) = page(router, path).await;
    while let Some(cursor) = next {
        grow().await;
        let (more, after) = page(router, &format!("{path}&cursor={cursor}")).await;
        assert!(!more.is_empty() && more.len() <= 2, "{path}");
        seen.extend(more);
        next = after;
    }
    seen
}

#[tokio::test]
async fn a_list_is_read_by_its_cursors_whatever_comes_in_between() {
    let (mut test, router) = bench().await;
    let mut number = 1;
    for _ in 0..6 {
        number += 1;
        test.next_spec(number).await;
        test.add_task(number, &[]).await;
    }
    // All of one instant: the clock of the test stands still.
    for path in [
        "/specs?limit=2",
        "/specs?limit=2&sort=created_at",
        "/specs?limit=2&sort=updated_at,-number",
        "/tasks?limit=2",
        "/tasks?limit=2&sort=-priority,number",
    ] {
        let (before, _) = page(&router, &path.replace("limit=2", "limit=200")).await;
        assert!(before.len() >= 6);
        let mut seen = walk(&router, path, async || {
            number += 1;
            test.next_spec(number).await;
            test.add_task(number, &[]).await;
        })
        .await;
        seen.retain(|id| before.contains(id));
        assert_eq!(seen, before, "{path}");
    }
    let (all, next) = page(&router, "/specs").await;
    let expected = usize::try_from(number.min(50)).unwrap();
    assert_eq!((all.len(), next.is_some()), (expected, number > 50));
}

/// Copies of the spec of a test: of the same instant, with ids in another order than their numbers.
struct SpecCopies {
    conn: RawConnection,
    /// The columns, and what a copy has in each.
    columns: String,
    values: String,
    /// The numbers that there are, as a table `n (number)` between two that are put in.
    numbers: &'static str,
}

impl SpecCopies {
    async fn of_test(test: &TestDeployment) -> Self {
        let mut conn = RawConnection::open(test.database_url()).await.unwrap();
        let (names, id, numbers) = match conn {
            RawConnection::Sqlite(_) => (
                "select name from pragma_table_xinfo('specs') where hidden = 0",
                "printf('01930000-0000-7000-8000-%012x', n.number * 2654435761 % 1099511627776)",
                "(with recursive n(number) as (select FIRST union all select number + 1 from n where number < LAST)
                  select number from n)",
            ),
            RawConnection::Postgres(_) => (
                "select column_name::text from information_schema.columns
                 where table_schema = 'public' and table_name = 'specs' and is_generated = 'NEVER'",
                "('01930000-0000-7000-8000-' ||
                  lpad(to_hex(n.number * 2654435761 % 1099511627776), 12, '0'))::uuid",
                "generate_series(FIRST::bigint, LAST::bigint)",
            ),
        };
        let columns = conn.texts(names).await.unwrap();
        let values = columns.iter().map(|column| match column.as_str() {
            "id" => id.to_owned(),
            "number" => "n.number".to_owned(),
            other => format!("s.{other}"),
        });
        Self {
            values: values.collect::<Vec<_>>().join(", "),
            columns: columns.join(", "),
            numbers,
            conn,
        }
    }

    async fn add(&mut self, test: &TestDeployment, numbers: Range<i64>) {
        let Self {
            columns, values, ..
        } = self;
        let counted = self.numbers.replace("FIRST", &numbers.start.to_string());
        let counted = counted.replace("LAST", &(numbers.end - 1).to_string());
        let source = match self.conn {
            RawConnection::Sqlite(_) => format!("{counted} n"),
            RawConnection::Postgres(_) => format!("{counted} n(number)"),
        };
        let spec = test.spec.id;
        let sql = format!(
            "insert into specs ({columns}) select {values} from specs s, {source} where s.id = '{spec}'"
        );
        self.conn.execute(&sql).await.unwrap();
    }
}

/// How long the list is.
#[expect(
    clippy::disallowed_methods,
    reason = "how much a test takes is no configuration"
)]
fn asked_rows() -> i64 {
    let asked = std::env::var(ROWS_VARIABLE).ok();
    asked.map_or(ROWS, |asked| asked.parse().unwrap())
}

async fn a_long_list_is_read_once_while_it_grows_on(database: TestDatabase) {
    let test = TestDeployment::on_database(database, |_| {}).await;
    let router = router_of(&test);
    let mut copies = SpecCopies::of_test(&test).await;
    let n_rows = asked_rows();
    // The spec that there was is one of them.
    copies.add(&test, 2..n_rows + 1).await;
    let before = copies.conn.texts("select id from specs").await.unwrap();
    assert_eq!(i64::try_from(before.len()), Ok(n_rows));
    let (mut number, mut seen) = (n_rows + 1, BTreeMap::<String, u32>::new());
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let (ids, after) = page(&router, &format!("/specs?limit=200{cursor}")).await;
        for id in ids {
            *seen.entry(id).or_default() += 1;
        }
        copies.add(&test, number..number + ROWS_BETWEEN).await;
        number += ROWS_BETWEEN;
        next = after.map(|after| format!("&cursor={after}"));
    }
    let twice = seen.values().filter(|times| **times > 1).count();
    let missing = before.iter().filter(|id| !seen.contains_key(*id)).count();
    assert_eq!((twice, missing), (0, 0), "of {n_rows}");
    // Others came in between, some of them where the list was read already.
    let added = number - n_rows - 1;
    assert!(added >= n_rows / 10, "{added}");
    let told = i64::try_from(seen.len()).unwrap() - n_rows;
    assert!(told > 0 && told < added, "{told} of {added}");
}

fn router_with(test: &TestDeployment, keys: CursorKeys) -> Router {
    let mut surface = surface_of(test);
    surface.cursor_keys = keys;
    router(surface, ApiDoor::Folder)
}

#[tokio::test]
async fn a_cursor_is_read_by_the_list_that_gave_it_alone() {
    let (mut test, router) = bench().await;
    let first = test.spec.id;
    test.next_spec(2).await;
    test.add_task(1, &[]).await;
    let project = test.spec.project_id;
    let list = format!("/specs?project_id={project}&sort=-number&include_total=true");
    let (_, next) = page(&router, &format!("{list}&limit=1")).await;
    let given = next.unwrap();
    let cursor = given.as_str();
    let changed = router_with(&test, CursorKeys::new([8; 32], [[7; 32]]));
    let same = format!("/specs?sort=-number&limit=7&project_id={project}");
    for (router, path) in [(&router, &list), (&router, &same), (&changed, &list)] {
        let (ids, next) = page(router, &format!("{path}&cursor={cursor}")).await;
        assert_eq!((ids, next), (vec![first.to_string()], None), "{path}");
    }
    let new_keys = router_with(&test, CursorKeys::new([8; 32], []));
    let turned: String = cursor.chars().rev().collect();
    let cut = &cursor[..cursor.len() - 1];
    for (router, path, cursor) in [
        (&router, "/specs?sort=-number".to_owned(), cursor),
        (&router, format!("/specs?project_id={project}"), cursor),
        (&router, format!("{list}&status=draft"), cursor),
        (&router, format!("{list}&q=tags"), cursor),
        (
            &router,
            format!("{list}&created_after=2000-01-01T00:00:00Z"),
            cursor,
        ),
        (
            &router,
            format!("/specs?project_id={project}&sort=number"),
            cursor,
        ),
        (
            &router,
            format!("/specs/project/{project}?sort=-number"),
            cursor,
        ),
        (
            &router,
            format!("/tasks?project_id={project}&sort=-number"),
            cursor,
        ),
        (&router, list.clone(), turned.as_str()),
        (&router, list.clone(), cut),
        (&router, list.clone(), ""),
        (&router, list.clone(), "..%2F%00"),
        (&new_keys, list.clone(), cursor),
    ] {
        let path = format!("{path}&cursor={cursor}");
        let (status, code, said) = told(router, &path).await;
        assert_eq!((status, code.as_str()), (400, "invalid_cursor"), "{path}");
        assert_eq!(said["fields"][0]["path"], "cursor", "{said}");
    }
}

#[tokio::test]
async fn what_a_list_cannot_do_is_refused_by_the_name_of_its_parameter() {
    let (test, router) = bench().await;
    test.add_task(1, &[]).await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=4294967296", "limit"),
        ("limit=1&limit=2", "limit"),
        ("offset=10001", "offset"),
        ("sort=title", "sort"),
        ("sort=", "sort"),
        ("sort=number,number,number,number,number", "sort"),
        ("sort=id%3B%20drop%20table%20specs", "sort"),
        ("include_total=maybe", "include_total"),
        ("created_after=yesterday", "created_after"),
        ("status=failed&status=nonsense", "status"),
        ("project_id=1", "project_id"),
    ] {
        for list in ["/specs", "/tasks"] {
            let (status, code, said) = told(&router, &format!("{list}?{query}")).await;
            assert_eq!(
                (status, code.as_str()),
                (422, "validation_failed"),
                "{query}: {said}"
            );
            assert_eq!(said["fields"][0]["path"], field, "{query}: {said}");
        }
    }
    let many = "status=failed&".repeat(51);
    let (status, code, _) = told(&router, &format!("/specs?{many}limit=1")).await;
    assert_eq!((status, code.as_str()), (422, "validation_failed"));
    for (path, expected) in [
        ("/specs?org_id=1", (422, "unknown_field")),
        ("/specs?q=a&search=b", (422, "validation_failed")),
        ("/tasks?spec_id=TSK-001", (422, "validation_failed")),
        ("/tasks?spec_id=SPEC-9", (404, "not_found")),
        (
            "/specs/project/01930000-0000-7000-8000-0000000000ff?limit=1",
            (404, "not_found"),
        ),
    ] {
        let (status, code, said) = told(&router, path).await;
        assert_eq!((status, code.as_str()), expected, "{said}");
    }
}

#[tokio::test]
async fn filters_are_alternatives_of_one_name_and_conditions_of_several() {
    let (test, router) = bench().await;
    let (shop, task) = second_project(&test).await;
    let after = test.add_task(2, &[]).await;
    let depends = test.add_task(3, &[after.id]).await;
    let numbers = async |query: &str| {
        let path = format!("/tasks?sort=number,created_at&include_total=true&{query}");
        let (status, _, said) = told(&router, &path).await;
        assert_eq!(status, 200, "{said}");
        let items = said["items"].as_array().unwrap().clone();
        assert_eq!(said["total"], json!(items.len()), "{said}");
        assert!(said.get("total_is_lower_bound").is_none(), "{said}");
        let names = items
            .iter()
            .map(|row| row["name"].as_str().unwrap().to_owned());
        (names.collect::<Vec<_>>(), items)
    };
    let home = test.spec.project_id;
    let (all, rows) = numbers("").await;
    assert_eq!(all.len(), 4, "{all:?}");
    let waits: Vec<&Value> = rows
        .iter()
        .filter(|row| row["id"] == json!(depends.id))
        .collect();
    assert_eq!(waits[0]["depends_on"], json!(["TSK-002"]), "{waits:?}");
    let (both, _) = numbers(&format!("project_id={home}&project_id={}", shop.project_id)).await;
    assert_eq!(both, all);
    let of_shop = numbers(&format!("project_id={}", shop.project_id)).await.1;
    assert_eq!(of_shop.len(), 1);
    assert_eq!(
        (&of_shop[0]["id"], &of_shop[0]["spec_name"]),
        (&json!(task.id), &json!("shop/SPEC-1"))
    );
    // A reference is that of the project which is named.
    let of_spec = numbers(&format!("project_id={home}&spec_id=SPEC-1&q=task%202"))
        .await
        .1;
    assert_eq!(of_spec.len(), 1);
    assert_eq!(of_spec[0]["id"], json!(after.id));
    assert_eq!(
        told(&router, "/tasks?spec_id=SPEC-1").await.1,
        "unclear_reference"
    );
    assert_eq!(
        numbers("status=pending&status=failed&search=TASK").await.0,
        all
    );
    assert!(numbers("status=failed&status=cancelled").await.0.is_empty());
    assert!(
        numbers(&format!(
            "project_id={home}&spec_id={}&priority=LOW",
            test.spec.id
        ))
        .await
        .0
        .is_empty()
    );
    let (_, _, page) = told(&router, "/tasks?limit=1&offset=3&sort=number,created_at").await;
    assert_eq!(page["items"][0]["id"], json!(depends.id), "{page}");
    assert_eq!(
        (&page["next_cursor"], page.get("total")),
        (&Value::Null, None)
    );
}
