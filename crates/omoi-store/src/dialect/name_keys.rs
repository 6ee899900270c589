//! Gives names of projects the keys that the program compares names by. The migration that made the keys let the database
//! lower letters, and databases do not agree on which letters have a lower case.

use std::collections::BTreeSet;

use omoi_domain::project::project_name_key;
use sqlx::{PgConnection, SqliteConnection};

/// A project as far as its name goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyedProject {
    id: String,
    org: String,
    name: String,
    name_key: String,
    is_archived: bool,
}

const ROWS: &str = "select cast(id as text), cast(org_id as text), name, name_key, status
    from projects order by created_at, id";
const SET_KEY: &str = "update projects set name_key = $1 where cast(id as text) = $2";

type NameColumns = (String, String, String, String, String);

/// Writes the keys that differ, in a file.
pub(super) async fn write_file_keys(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let rows: Vec<NameColumns> = sqlx::query_as(ROWS).fetch_all(&mut *conn).await?;
    for (id, key) in key_changes(rows) {
        let change = sqlx::query(SET_KEY).bind(key).bind(id);
        change.execute(&mut *conn).await?;
    }
    Ok(())
}

/// Writes the keys that differ, in the database of a server.
pub(super) async fn write_server_keys(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    let rows: Vec<NameColumns> = sqlx::query_as(ROWS).fetch_all(&mut *conn).await?;
    for (id, key) in key_changes(rows) {
        let change = sqlx::query(SET_KEY).bind(key).bind(id);
        change.execute(&mut *conn).await?;
    }
    Ok(())
}

/// The writes that bring all keys up to date, in their order: no two projects of an organisation that are not archived
/// have the same key at any time.
fn key_changes(rows: Vec<NameColumns>) -> Vec<(String, String)> {
    let rows = rows.into_iter().map(|(id, org, name, name_key, status)| {
        let is_archived = status == "archived";
        KeyedProject {
            id,
            org,
            name,
            name_key,
            is_archived,
        }
    });
    let mut taken = BTreeSet::new();
    let mut changes: Vec<(String, String)> = Vec::new();
    for row in rows {
        let key = free_key(&row, &taken);
        if !row.is_archived {
            taken.insert((row.org, key.clone()));
        }
        if key != row.name_key {
            changes.push((row.id, key));
        }
    }
    // A key that is wanted may still be another row's: all that change give theirs up first.
    let given_up = changes.iter().map(|(id, _)| (id.clone(), id.clone()));
    given_up.chain(changes.clone()).collect()
}

/// The key of a name, or one with the end of the row's id where an earlier project has it.
fn free_key(row: &KeyedProject, taken: &BTreeSet<(String, String)>) -> String {
    let key = project_name_key(&row.name);
    let is_taken = taken.contains(&(row.org.clone(), key.clone()));
    match row.is_archived || !is_taken {
        true => key,
        false => format!("{key} {}", &row.id[row.id.len().saturating_sub(8)..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_program() {
        let row = |id: &str, org: &str, name: &str, key: &str, status: &str| {
            [id, org, name, key, status].map(str::to_owned).into()
        };
        let rows = vec![
            row("project-00000001", "a", "École", "École", "active"),
            row("project-00000002", "a", "ÉCOLE", "École 00000002", "active"),
            row("project-00000003", "b", "ＴＯＤＯ", "todo", "active"),
            row("project-00000004", "b", "École", "École", "archived"),
        ];
        let changes = key_changes(rows);
        let expected = [
            ("project-00000001", "project-00000001"),
            ("project-00000002", "project-00000002"),
            ("project-00000004", "project-00000004"),
            ("project-00000001", "école"),
            ("project-00000002", "école 00000002"),
            ("project-00000004", "école"),
        ];
        assert_eq!(
            changes,
            expected.map(|(id, key)| (id.to_owned(), key.to_owned()))
        );
        assert_eq!(key_changes(Vec::new()), []);
    }
}
