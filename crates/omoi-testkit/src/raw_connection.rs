//! Statements past the store, on either database.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

/// A connection of a test's own, which knows nothing of rows and types.
pub enum RawConnection {
    /// A connection to a SQLite file.
    Sqlite(SqliteConnection),
    /// A connection to a PostgreSQL server.
    Postgres(PgConnection),
}

impl RawConnection {
    /// Connects to the database at `url`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn open(url: &str) -> Result<Self, sqlx::Error> {
        Ok(if url.starts_with("sqlite:") {
            Self::Sqlite(SqliteConnection::connect(url).await?)
        } else {
            Self::Postgres(PgConnection::connect(url).await?)
        })
    }

    /// Runs statements.
    ///
    /// # Errors
    /// When the database refuses one.
    pub async fn execute(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let statements = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Sqlite(conn) => statements.execute(conn).await.map(drop),
            Self::Postgres(conn) => statements.execute(conn).await.map(drop),
        }
    }

    /// The rows of a query, each value as the database writes it as text.
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, sqlx::Error> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Sqlite(conn) => {
                let rows = query.fetch_all(conn).await?;
                rows.iter().map(sqlite_texts).collect()
            }
            Self::Postgres(conn) => {
                let rows = query.fetch_all(conn).await?;
                rows.iter().map(postgres_texts).collect()
            }
        }
    }

    /// The first column of a query; absent values are left out.
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn texts(&mut self, sql: &str) -> Result<Vec<String>, sqlx::Error> {
        let rows = self.rows(sql).await?;
        let first = |row: Vec<Option<String>>| row.into_iter().next().flatten();
        Ok(rows.into_iter().filter_map(first).collect())
    }

    /// Every row of every table, full-text indexes included, a line each: bytes as digits of base 16.
    ///
    /// # Errors
    /// When the database refuses to show one.
    pub async fn dump_rows(&mut self) -> Result<String, sqlx::Error> {
        let tables = match self {
            Self::Sqlite(_) => {
                "select name, (select group_concat('quote(\"' || name || '\")', ' || ''|'' || ')
                     from pragma_table_info(t.name))
                 from pragma_table_list t where schema = 'main' and type in ('table', 'shadow')"
            }
            Self::Postgres(_) => {
                "select table_name::text, 't::text' from information_schema.tables
                 where table_schema = 'public' and table_type = 'BASE TABLE'"
            }
        };
        let mut lines = Vec::new();
        for row in self.rows(tables).await? {
            let [Some(table), Some(line)] = &row[..] else {
                continue;
            };
            let all = format!("select {line} from \"{table}\" t");
            lines.extend(self.texts(&all).await?);
        }
        Ok(lines.join("\n"))
    }

    /// Ends the connection.
    ///
    /// # Errors
    /// When the other side has ended it.
    pub async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(conn) => conn.close().await,
            Self::Postgres(conn) => conn.close().await,
        }
    }
}

fn sqlite_texts(row: &SqliteRow) -> Result<Vec<Option<String>>, sqlx::Error> {
    (0..row.len()).map(|n| row.try_get_unchecked(n)).collect()
}

/// Statements that are not prepared are answered in text.
fn postgres_texts(row: &PgRow) -> Result<Vec<Option<String>>, sqlx::Error> {
    let text = |n| row.try_get_unchecked::<Option<String>, _>(n);
    (0..row.len()).map(text).collect()
}
