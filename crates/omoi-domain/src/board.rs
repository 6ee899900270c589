//! The board of a project: which column shows a ticket, where in it, and how many it takes.

use crate::workflow::{ColumnDefinition, PhaseId};

/// Distance between the ranks of neighbours when a column is numbered anew.
const RANK_GAP: i64 = 1 << 20;
/// Columns of a board at most.
const COLUMNS_MAX: usize = 20;
/// The greatest limit of a column.
const WIP_LIMIT_MAX: u32 = 10_000;
/// Characters of a column's key and name at most.
const NAME_CHARS_MAX: usize = 80;
/// Characters of a column's description at most.
const DESCRIPTION_CHARS_MAX: usize = 1_000;

/// The phase under which a ticket is shown.
pub const fn shown_phase(phase: PhaseId, is_blocked: bool) -> PhaseId {
    match is_blocked {
        true => PhaseId::Blocked,
        false => phase,
    }
}

/// The column that shows tickets of `phase`.
pub fn column_of_phase(columns: &[ColumnDefinition], phase: PhaseId) -> Option<&ColumnDefinition> {
    columns.iter().find(|column| column.phases.contains(&phase))
}

/// More tickets than a column takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{column}` takes {limit} tickets and has {current}")]
pub struct WipExceeded {
    /// The column.
    pub column: String,
    /// What it takes.
    pub limit: u32,
    /// What it has without the one that is moved.
    pub current: u32,
}

/// Refuses one more ticket in a column that has `current` others.
///
/// # Errors
/// [`WipExceeded`] where the limit is reached.
pub fn check_wip_limit(column: &ColumnDefinition, current: u32) -> Result<(), WipExceeded> {
    match column.wip_limit {
        Some(limit) if current >= limit => Err(WipExceeded {
            column: column.key.clone(),
            limit,
            current,
        }),
        _ => Ok(()),
    }
}

/// Where a ticket goes in its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RankPlan {
    /// It takes this rank, and nothing else changes.
    Take(i64),
    /// There is no room: these take new ranks, named by their index among the others, with the ticket as `None`. Those
    /// before them stay as they are.
    Renumber(Vec<(Option<usize>, i64)>),
}

/// The rank of a ticket at `place` among the others of its column, whose ranks are `others` in their order; one that
/// nobody has put anywhere has none.
pub fn plan_rank(others: &[Option<i64>], place: usize) -> RankPlan {
    let place = place.min(others.len());
    let before = place.checked_sub(1).map(|index| others[index]);
    let after = others.get(place).copied();
    let taken = match (before, after) {
        // Those that nobody has put anywhere come first, so that the end is free however many the platform brought there.
        (None | Some(None), None) => Some(0),
        (None | Some(None), Some(Some(first))) => first.checked_sub(RANK_GAP),
        (Some(Some(last)), None) => last.checked_add(RANK_GAP),
        (Some(Some(low)), Some(Some(high))) => {
            let middle = low.midpoint(high);
            (low < middle && middle < high).then_some(middle)
        }
        (_, Some(None)) => None,
    };
    match taken {
        Some(rank) => RankPlan::Take(rank),
        None => RankPlan::Renumber(numbered_anew(others, place)),
    }
}

fn numbered_anew(others: &[Option<i64>], place: usize) -> Vec<(Option<usize>, i64)> {
    let n_unranked = others.iter().filter(|rank| rank.is_none()).count();
    let before = (n_unranked.min(place)..place).map(Some);
    let after = (place..others.len()).map(Some);
    let in_order = before.chain([None]).chain(after);
    let ranks = (0..).map(|n: i64| n * RANK_GAP);
    in_order.zip(ranks).collect()
}

/// Why columns make no board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadColumns {
    /// None, or too many.
    #[error("a board has 1 to {COLUMNS_MAX} columns")]
    Count,
    /// A key that cannot be used, or a name that cannot be shown.
    #[error(
        "column {0}: a key is of a-z, 0-9 and `-`, a name has 1 to {NAME_CHARS_MAX} characters, a description \
         {DESCRIPTION_CHARS_MAX} at most"
    )]
    Name(usize),
    /// Two columns have one key.
    #[error("two columns are called `{0}`")]
    KeyTwice(String),
    /// A phase that no column shows, or that several do.
    #[error("{0} is in {1} columns: each phase is in one")]
    Phase(PhaseId, usize),
    /// A column that shows nothing.
    #[error("`{0}` shows no phase")]
    NoPhase(String),
    /// A limit that lets nothing in, or means nothing.
    #[error("`{0}`: a limit is 1 to {WIP_LIMIT_MAX}")]
    Limit(String),
    /// Tickets would go on to a column that is not there, or is the same.
    #[error("`{column}` goes on to `{next}`, which is no other column of this board")]
    Next {
        /// The column.
        column: String,
        /// Where its tickets would go.
        next: String,
    },
}

/// Whether `columns` make a board: each phase is shown by exactly one of them.
///
/// # Errors
/// [`BadColumns`] says what is wrong.
pub fn check_columns(columns: &[ColumnDefinition]) -> Result<(), BadColumns> {
    if !(1..=COLUMNS_MAX).contains(&columns.len()) {
        return Err(BadColumns::Count);
    }
    for (index, column) in columns.iter().enumerate() {
        check_column(columns, index, column)?;
    }
    for phase in PhaseId::ALL {
        let shown = columns.iter().flat_map(|column| &column.phases);
        let n = shown.filter(|shown| *shown == phase).count();
        if n != 1 {
            return Err(BadColumns::Phase(*phase, n));
        }
    }
    Ok(())
}

fn check_column(
    columns: &[ColumnDefinition],
    index: usize,
    column: &ColumnDefinition,
) -> Result<(), BadColumns> {
    let is_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let has_key =
        (1..=NAME_CHARS_MAX).contains(&column.key.len()) && column.key.bytes().all(is_key);
    let shown = [
        Some(&column.name),
        column.description.as_ref(),
        column.color_theme.as_ref(),
    ];
    let bounds = [
        1..=NAME_CHARS_MAX,
        0..=DESCRIPTION_CHARS_MAX,
        0..=NAME_CHARS_MAX,
    ];
    let mut texts = shown.into_iter().zip(bounds);
    let fits = texts.all(|(text, bound)| {
        text.is_none_or(|text| {
            bound.contains(&text.chars().count()) && !text.chars().any(char::is_control)
        })
    });
    if !has_key || !fits {
        return Err(BadColumns::Name(index + 1));
    }
    if columns[..index].iter().any(|other| other.key == column.key) {
        return Err(BadColumns::KeyTwice(column.key.clone()));
    }
    if column.phases.is_empty() {
        return Err(BadColumns::NoPhase(column.key.clone()));
    }
    if column
        .wip_limit
        .is_some_and(|limit| !(1..=WIP_LIMIT_MAX).contains(&limit))
    {
        return Err(BadColumns::Limit(column.key.clone()));
    }
    match &column.auto_transition_to {
        Some(next) if *next == column.key || columns.iter().all(|other| other.key != *next) => {
            Err(BadColumns::Next {
                column: column.key.clone(),
                next: next.clone(),
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::seeded_workflow;

    /// A change of sound columns, and what it breaks.
    type BrokenBoard = (fn(&mut Vec<ColumnDefinition>), BadColumns);

    #[test]
    fn a_board_that_hides_or_doubles_a_phase_is_refused() {
        let cases: [BrokenBoard; 10] = [
            (Vec::clear, BadColumns::Count),
            (
                |columns| columns[1].phases.clear(),
                BadColumns::NoPhase(seeded_workflow().columns[1].key.clone()),
            ),
            (
                |columns| drop(columns.pop()),
                BadColumns::Phase(PhaseId::Blocked, 0),
            ),
            (
                |columns| columns[0].phases.push(PhaseId::Done),
                BadColumns::Phase(PhaseId::Done, 2),
            ),
            (
                |columns| columns[1].key = "backlog".to_owned(),
                BadColumns::KeyTwice("backlog".to_owned()),
            ),
            (
                |columns| columns[1].key = "A b".to_owned(),
                BadColumns::Name(2),
            ),
            (|columns| columns[2].name.clear(), BadColumns::Name(3)),
            (
                |columns| columns[2].name = "a\u{1b}[2J".to_owned(),
                BadColumns::Name(3),
            ),
            (
                |columns| columns[3].wip_limit = Some(0),
                BadColumns::Limit("testing".to_owned()),
            ),
            (
                |columns| columns[3].auto_transition_to = Some("testing".to_owned()),
                BadColumns::Next {
                    column: "testing".to_owned(),
                    next: "testing".to_owned(),
                },
            ),
        ];
        for (change, expected) in cases {
            let mut columns = seeded_workflow().columns.clone();
            change(&mut columns);
            assert_eq!(check_columns(&columns), Err(expected));
        }
    }

    #[test]
    fn a_column_takes_as_many_as_its_limit_says() {
        let columns = &seeded_workflow().columns;
        let testing = column_of_phase(columns, shown_phase(PhaseId::Testing, false));
        let testing = testing.cloned().unwrap_or_else(|| columns[0].clone());
        assert_eq!(check_wip_limit(&testing, 7), Ok(()));
        let refused = check_wip_limit(&testing, 8).err();
        assert_eq!(
            refused.map(|error| (error.limit, error.current)),
            Some((8, 8))
        );
        let blocked = column_of_phase(columns, shown_phase(PhaseId::Testing, true));
        assert_eq!(blocked.map(|column| column.key.as_str()), Some("blocked"));
        assert_eq!(check_wip_limit(&columns[0], u32::MAX), Ok(()));
    }

    /// The order of a column's tickets by their ranks, as names.
    fn order_of(ranked: &[(usize, Option<i64>)]) -> Vec<usize> {
        let mut sorted = ranked.to_vec();
        sorted.sort_by_key(|(name, rank)| (rank.is_some(), *rank, *name));
        sorted.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_move_to_the_end_changes_one_place_however_many_are_before_it() {
        for (others, place, n_changed) in [
            (vec![None; 2_000], 2_000, 1),
            ([vec![None; 2_000], vec![Some(0)]].concat(), 2_001, 1),
            ([vec![None; 2_000], vec![Some(0)]].concat(), 2_000, 1),
            ([vec![None; 2_000], vec![Some(0)]].concat(), 1_999, 3),
        ] {
            let changed = match plan_rank(&others, place) {
                RankPlan::Take(_) => 1,
                RankPlan::Renumber(all) => all.len(),
            };
            assert_eq!(changed, n_changed, "{place}");
        }
    }

    #[test]
    fn a_thousand_moves_keep_the_order_that_was_asked_for() {
        // A column that nobody has ordered yet, and moves that crowd one place.
        let mut ranked: Vec<(usize, Option<i64>)> = (0..7).map(|name| (name, None)).collect();
        let mut expected: Vec<usize> = (0..7).collect();
        let (mut n_renumbered, mut picks) = (0, 7_usize);
        for n in 0..1_000_usize {
            picks = picks
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let moved = expected[(picks >> 33) % 7];
            let place = if n % 3 == 0 { (picks >> 40) % 9 } else { 1 };
            expected.retain(|name| *name != moved);
            expected.insert(place.min(6), moved);
            let order = order_of(&ranked);
            let rank_of = |name: usize| {
                ranked
                    .iter()
                    .find(|(other, _)| *other == name)
                    .and_then(|row| row.1)
            };
            let others: Vec<usize> = order.into_iter().filter(|name| *name != moved).collect();
            let ranks: Vec<Option<i64>> = others.iter().map(|name| rank_of(*name)).collect();
            let changes = match plan_rank(&ranks, place) {
                RankPlan::Take(rank) => vec![(moved, rank)],
                RankPlan::Renumber(all) => {
                    n_renumbered += 1;
                    let all = all.into_iter();
                    all.map(|(index, rank)| (index.map_or(moved, |index| others[index]), rank))
                        .collect()
                }
            };
            for (name, rank) in changes {
                if let Some(row) = ranked.iter_mut().find(|(other, _)| *other == name) {
                    row.1 = Some(rank);
                }
            }
            assert_eq!(
                order_of(&ranked),
                expected,
                "move {n} of {moved} to {place}"
            );
        }
        assert!((1..200).contains(&n_renumbered), "{n_renumbered}");
    }
}
