-- What an organisation or a project may spend on models in a calendar month, and which of these budgets hold what an
-- open call may cost.

create table month_budgets (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    -- none of the organisation's own
    project_id @uuid references projects (id),
    limit_nanousd bigint not null check (limit_nanousd >= 0),
    month_start @time not null,
    spent_nanousd bigint not null,
    held_nanousd bigint not null check (held_nanousd >= 0),
    level_reached text not null check (level_reached in ('normal', 'warning', 'critical', 'exceeded')),
    is_hard @bool not null check (is_hard in (false, true)),
    state_version bigint not null
);
create unique index month_budgets_organisation on month_budgets (org_id) where project_id is null;
create unique index month_budgets_project on month_budgets (project_id) where project_id is not null;

alter table open_calls add column project_budget_id @uuid references month_budgets (id);
alter table open_calls add column organisation_budget_id @uuid references month_budgets (id);

@tenant month_budgets
