-- What an organisation is called, who owns it, and how many of its tasks may be at work at once; and how many of all
-- organisations are. Whoever takes slots moves the deployment's counter too: its row is there before a folder is named.

--@ sqlite
create table new_organisations (
    id @uuid primary key,
    name text not null,
    event_seq bigint not null default 0,
    owner_fence bigint not null default 0,
    slots_used bigint not null default 0 check (slots_used >= 0),
    slug text not null unique,
    description text,
    owner_id @uuid not null references users (id),
    billing_email text,
    -- without one the deployment's limit alone holds
    max_concurrent_agents bigint check (max_concurrent_agents > 0),
    created_at @time,
    archived_at @time,
    state_version bigint not null default 0
);
insert into new_organisations (id, name, event_seq, owner_fence, slots_used, slug, owner_id)
    select id, name, event_seq, owner_fence, slots_used,
        case id when '01930000-0000-7000-8000-000000000001' then 'local' else id end,
        '01930000-0000-7000-8000-000000000002' from organisations;
drop table organisations;
alter table new_organisations rename to organisations;

create table new_deployment (
    id bigint primary key check (id = 1),
    folder_id text,
    place text,
    -- of the models that answered last; none before the first
    models_digest text,
    slots_used bigint not null default 0 check (slots_used >= 0)
);
insert into new_deployment (id, folder_id, place, models_digest)
    select id, folder_id, place, models_digest from deployment;
drop table deployment;
alter table new_deployment rename to deployment;

--@ postgres
alter table organisations add column slug text;
update organisations set slug =
    case id when '01930000-0000-7000-8000-000000000001' then 'local' else id::text end;
alter table organisations alter column slug set not null;
alter table organisations add unique (slug);
alter table organisations add column description text;
alter table organisations add column owner_id @uuid references users (id);
update organisations set owner_id = '01930000-0000-7000-8000-000000000002';
alter table organisations alter column owner_id set not null;
alter table organisations add column billing_email text;
alter table organisations add column max_concurrent_agents bigint check (max_concurrent_agents > 0);
alter table organisations add column created_at @time;
alter table organisations add column archived_at @time;
alter table organisations add column state_version bigint not null default 0;

alter table deployment alter column folder_id drop not null;
alter table deployment alter column place drop not null;
alter table deployment add column slots_used bigint not null default 0 check (slots_used >= 0);

--@ both
-- Limits that a provider tells of are those of a credential, whoever's work met them.
create table new_closed_credentials (
    credential text primary key,
    open_at @time not null
);
insert into new_closed_credentials (credential, open_at)
    select credential, max(open_at) from closed_credentials group by credential;
drop table closed_credentials;
alter table new_closed_credentials rename to closed_credentials;
@global closed_credentials

create index organisations_owner on organisations (owner_id);
insert into deployment (id) values (1) on conflict (id) do nothing;
update deployment set slots_used = (select coalesce(sum(slots_used), 0) from organisations);
