-- Where people put tickets in the columns of a board: apart from the tickets, so that a column is numbered anew without them.

create table board_positions (
    ticket_id @uuid primary key references tickets (id),
    org_id @uuid not null references organisations (id),
    -- a rank counts in the column that it was given in
    column_key text not null,
    rank bigint not null
);

@tenant board_positions
