//! The columns of a project's board. All of them carry the version of the board.

use omoi_domain::id::{OrgId, ProjectId};
use omoi_domain::workflow::{ColumnDefinition, PhaseId};

use crate::args;
use crate::column::{Args, Json};
use crate::error::StoreError;
use crate::row::{Row as _, row};
use crate::tx::Tx;

row! {
    /// A column of a board.
    BoardColumn in "board_columns" as "board column" {
        /// The project whose board it is.
        project_id: ProjectId,
        /// Its name in requests.
        column_key: String,
        /// Its organisation.
        org_id: OrgId,
        /// Its name for people.
        name: String,
        /// What belongs into it.
        description: Option<String>,
        /// Its place on the board.
        sequence_order: i64,
        /// The phases whose tickets it shows.
        phases: Json<Vec<PhaseId>>,
        /// Tickets that people may have in it at once.
        wip_limit: Option<u32>,
        /// Whether tickets stay in it.
        is_terminal: bool,
        /// The column that tickets go on to by themselves.
        auto_transition_to: Option<String>,
        /// The colour that it is shown in.
        color_theme: Option<String>,
        /// Grows with each change of the board.
        state_version: i64,
    }
}

/// The columns of a board as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardColumns {
    /// Grows with each change of them.
    pub version: i64,
    /// The columns in their order.
    pub columns: Vec<ColumnDefinition>,
}

/// The columns of a project's board.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_project(tx: &mut Tx, project: ProjectId) -> Result<BoardColumns, StoreError> {
    let rows: Vec<BoardColumn> = tx
        .all("project_id = $2 order by sequence_order", args![project])
        .await?;
    Ok(BoardColumns {
        version: rows.first().map_or(0, |row| row.state_version),
        columns: rows.into_iter().map(definition_of).collect(),
    })
}

fn definition_of(row: BoardColumn) -> ColumnDefinition {
    ColumnDefinition {
        key: row.column_key,
        name: row.name,
        description: row.description,
        phases: row.phases.0,
        wip_limit: row.wip_limit,
        is_terminal: row.is_terminal,
        auto_transition_to: row.auto_transition_to,
        color_theme: row.color_theme,
    }
}

/// Writes the columns of a board; those of the same key are changed where they stand, so that whoever waits for the row of
/// one holds it afterwards.
pub(crate) async fn write_columns(
    tx: &mut Tx,
    project: ProjectId,
    board: &BoardColumns,
) -> Result<(), StoreError> {
    let changed: Vec<String> = BoardColumn::columns()
        .iter()
        .filter(|column| !["project_id", "column_key", "org_id"].contains(column))
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let sql = format!(
        "{} on conflict (project_id, column_key) do update set {} returning column_key",
        BoardColumn::insert(),
        changed.join(", ")
    );
    for (sequence_order, column) in (0..).zip(&board.columns) {
        let row = BoardColumn {
            project_id: project,
            column_key: column.key.clone(),
            org_id: tx.org(),
            name: column.name.clone(),
            description: column.description.clone(),
            sequence_order,
            phases: Json(column.phases.clone()),
            wip_limit: column.wip_limit,
            is_terminal: column.is_terminal,
            auto_transition_to: column.auto_transition_to.clone(),
            color_theme: column.color_theme.clone(),
            state_version: board.version,
        };
        let mut args = Args::default();
        row.bind(&mut args)?;
        tx.built_raw(sql.clone(), args).await?;
    }
    Ok(())
}

/// Removes the columns of a board that are none of `kept`.
async fn remove_others(
    tx: &mut Tx,
    project: ProjectId,
    kept: &[ColumnDefinition],
) -> Result<(), StoreError> {
    let mut args = args![project];
    let mut marks = Vec::with_capacity(kept.len());
    for column in kept {
        args.push(&column.key)?;
        marks.push(format!("${}", args.0.len() + 1));
    }
    let sql = format!(
        "delete from board_columns where org_id = $1 and project_id = $2 and column_key not in ({})
         returning column_key",
        marks.join(", ")
    );
    tx.built_rows(sql, args).await?;
    Ok(())
}

/// Puts `columns` in the place of those of version `meant`, and gives the new version. Whoever moves a ticket waits
/// meanwhile.
///
/// # Errors
/// [`StoreError::Conflict`] when the board is of another version.
pub async fn replace_columns(
    tx: &mut Tx,
    project: ProjectId,
    meant: i64,
    columns: Vec<ColumnDefinition>,
) -> Result<BoardColumns, StoreError> {
    hold_board(tx, project).await?;
    if of_project(tx, project).await?.version != meant {
        return Err(StoreError::Conflict {
            what: "board",
            key: project.to_string(),
        });
    }
    remove_others(tx, project, &columns).await?;
    let board = BoardColumns {
        version: meant + 1,
        columns,
    };
    write_columns(tx, project, &board).await?;
    Ok(board)
}

/// Lets nobody else move tickets of a project on its board until the transaction ends. Columns are locked after tickets
/// and before the project: see `docs/decisions/claims.md`.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_board(tx: &mut Tx, project: ProjectId) -> Result<(), StoreError> {
    tx.locked_rows(
        "select column_key from board_columns where org_id = $1 and project_id = $2 order by column_key",
        args![project],
    )
    .await?;
    Ok(())
}

/// The same for those who move tickets into one column alone.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_column(tx: &mut Tx, project: ProjectId, column: &str) -> Result<(), StoreError> {
    tx.locked_rows(
        "select column_key from board_columns where org_id = $1 and project_id = $2 and column_key = $3",
        args![project, column],
    )
    .await?;
    Ok(())
}
