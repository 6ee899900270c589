-- Members and roles that people change, ownership that is offered, and staff who enter an organisation.

alter table memberships add column state_version bigint not null default 0;
alter table roles add column description text;
alter table roles add column state_version bigint not null default 0;

create table ownership_offers (
    org_id @uuid primary key references organisations (id),
    to_user_id @uuid not null references users (id),
    offered_by_id @uuid not null references users (id),
    expires_at @time not null
);

create table staff_entries (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    user_id @uuid not null references users (id),
    reason text not null,
    entered_at @time not null,
    expires_at @time not null,
    left_at @time
);
create index staff_entries_user on staff_entries (user_id, expires_at);
create index staff_entries_org on staff_entries (org_id, entered_at);

@tenant ownership_offers
@global staff_entries
