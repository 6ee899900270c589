//! The role that every statement of a server is run as, which row security binds.
//!
//! The connecting user owns the tables and brings schemas up to date; its connections become this role before they
//! serve.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use crate::error::StoreError;

/// Run on each connection before it serves. The schemas stay those of the connecting user: `"$user"` in a search path
/// would mean the role from then on.
pub(super) const BECOME: &str = "
    select set_config('search_path', (
        select string_agg(quote_ident(name), ', ' order by place)
        from unnest(current_schemas(false)) with ordinality as path (name, place)
    ), false);
    set role omoi_app";

/// The migration that makes the role, and grants it to the connecting user.
const ROLE_MADE_BY: i64 = 5;

/// A role that `omoi_app` is or may become, and that sees rows of every organisation.
const MAY_BYPASS: &str = "
    select r.rolname::text,
        case when r.rolsuper then 'is a superuser'
             when r.rolbypassrls then 'has BYPASSRLS'
             else 'owns tables' end
    from pg_roles r
    where (r.rolname = 'omoi_app' or pg_has_role('omoi_app', r.oid, 'member'))
    and (r.rolsuper or r.rolbypassrls or exists (
        select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relowner = r.oid and c.relkind in ('r', 'p') and n.nspname = current_schema()))
    order by r.rolname <> 'omoi_app' limit 1";

/// Refuses a server on which row security would bind nobody, or on which this user may not become the role.
pub(super) async fn expect_bound(options: &PgConnectOptions) -> Result<(), StoreError> {
    let mut conn = PgConnection::connect_with(options).await?;
    let found = sqlx::query_as::<_, (String, String)>(MAY_BYPASS);
    if let Some((role, why)) = found.fetch_optional(&mut conn).await? {
        return Err(StoreError::RoleMayBypass { role, why });
    }
    let became = sqlx::raw_sql(BECOME).execute(&mut conn).await;
    became.map_err(|source| StoreError::NoRight {
        version: ROLE_MADE_BY,
        source,
    })?;
    Ok(conn.close().await?)
}
