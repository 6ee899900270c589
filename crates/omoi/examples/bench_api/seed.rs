//! The tickets that are read: written past the store, as nobody waits for a million requests.

use omoi_testkit::raw_connection::RawConnection;
use serde_json::json;

use crate::Fallible;
use crate::platform::BenchedServer;

/// Ids of projects, by how many tickets each has.
pub(crate) struct SeededProjects {
    /// 1,000.
    pub(crate) small: String,
    /// 5,000, spread over the board.
    pub(crate) board: String,
    /// 1,000,000.
    pub(crate) large: String,
}

/// Begins the projects and fills them.
pub(crate) async fn seed_projects(server: &BenchedServer) -> Fallible<SeededProjects> {
    let mut made = Vec::new();
    for (name, count) in [("small", 1_000), ("board", 5_000), ("large", 1_000_000)] {
        let project = server
            .post_json("/projects", &json!({ "name": name }))
            .await?;
        let project = project["id"].as_str().ok_or("no project")?.to_owned();
        let ticket =
            json!({ "title": "Export todos as CSV", "description": "With all their tags." });
        let path = format!("/tickets?project_id={project}");
        let ticket = server.post_json(&path, &ticket).await?;
        let ticket = ticket["id"].as_str().ok_or("no ticket")?.to_owned();
        copy_ticket(&server.database_url, &ticket, made.len(), count).await?;
        made.push(project);
    }
    let [small, board, large] = made.try_into().map_err(|_| "three projects are expected")?;
    Ok(SeededProjects {
        small,
        board,
        large,
    })
}

/// Writes `count` tickets like `ticket`: other ids, numbers, titles and times, a third each waiting, built and done.
async fn copy_ticket(url: &str, ticket: &str, nth: usize, count: u32) -> Fallible<()> {
    let mut db = RawConnection::open(url).await?;
    let is_sqlite = matches!(db, RawConnection::Sqlite(_));
    let columns = db
        .texts(match is_sqlite {
            true => "select name from pragma_table_info('tickets') order by cid",
            false => {
                "select column_name from information_schema.columns
                 where table_name = 'tickets' and table_schema = current_schema()
                 order by ordinal_position"
            }
        })
        .await?;
    let (id, earlier, numbers) = match is_sqlite {
        true => (
            format!("printf('%08x-0000-7000-8000-%012x', {}, g.n)", nth + 1),
            "t.created_at - g.n * 1000000",
            format!(
                "(with recursive g (n) as (select 1 union all select n + 1 from g where n < {count})
                  select n from g)"
            ),
        ),
        false => (
            format!(
                "(lpad(to_hex({}), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(g.n), 12, '0'))::uuid",
                nth + 1
            ),
            "t.created_at - g.n * interval '1 second'",
            format!("(select generate_series(1, {count}) as n)"),
        ),
    };
    let values = columns.iter().map(|column| match column.as_str() {
        "id" => id.clone(),
        "number" => "t.number + g.n".to_owned(),
        "ordinal" => "t.ordinal + g.n".to_owned(),
        "local_id" => "'TKT-' || (t.number + g.n)".to_owned(),
        "title" => "t.title || ' ' || g.n".to_owned(),
        "created_at" | "updated_at" => earlier.to_owned(),
        "phase_id" => spread(["PHASE_BACKLOG", "PHASE_IMPLEMENTATION", "PHASE_DONE"]),
        "status" => spread(["backlog", "building", "done"]),
        other => format!("t.{other}"),
    });
    let (names, values) = (columns.join(", "), values.collect::<Vec<_>>().join(", "));
    let copy = format!(
        "insert into tickets ({names}) select {values} from tickets t cross join {numbers} g
         where t.id = '{ticket}'"
    );
    db.execute(&copy).await?;
    // As a server does by itself after a while.
    db.execute("analyze tickets").await?;
    db.close().await?;
    Ok(())
}

/// One of three values, in turn.
fn spread([first, second, third]: [&str; 3]) -> String {
    format!("case g.n % 3 when 0 then '{first}' when 1 then '{second}' else '{third}' end")
}
