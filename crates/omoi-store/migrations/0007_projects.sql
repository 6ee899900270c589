-- A project need not have a repository on the server's disk, has a name of its own among those of its organisation, and
-- may be paused or put away.

--@ sqlite
create table new_projects (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    name text not null,
    name_key text not null,
    -- none where the repository lies elsewhere
    repo_path text,
    description text,
    status text not null default 'active' check (status in ('active', 'paused', 'completed', 'archived')),
    autonomous @bool not null check (autonomous in (false, true)),
    next_spec_no bigint not null default 1,
    next_ticket_no bigint not null default 1,
    next_task_no bigint not null default 1,
    slots_used bigint not null default 0 check (slots_used >= 0),
    created_at @time not null,
    updated_at @time not null,
    archived_at @time,
    state_version bigint not null default 0,
    unique (org_id, repo_path),
    check ((status = 'archived') = (archived_at is not null))
);
-- Folders repeat their names: later ones are told apart by the end of their ids.
insert into new_projects (id, org_id, name, name_key, repo_path, autonomous, next_spec_no, next_ticket_no,
        next_task_no, slots_used, created_at, updated_at)
    select p.id, p.org_id, p.name,
        lower(p.name) || case when exists (select 1 from projects e
            where e.org_id = p.org_id and lower(e.name) = lower(p.name) and e.id < p.id)
            then ' ' || substr(p.id, 29) else '' end,
        p.repo_path, p.autonomous, p.next_spec_no, p.next_ticket_no, p.next_task_no, p.slots_used, p.created_at,
        p.created_at
    from projects p;
drop table projects;
alter table new_projects rename to projects;

--@ postgres
alter table projects add column name_key text;
alter table projects alter column repo_path drop not null;
alter table projects add column description text;
alter table projects add column status text not null default 'active'
    check (status in ('active', 'paused', 'completed', 'archived'));
alter table projects add column updated_at @time;
alter table projects add column archived_at @time;
alter table projects add column state_version bigint not null default 0;
update projects p set updated_at = created_at, name_key =
    lower(p.name) || case when exists (select 1 from projects e
        where e.org_id = p.org_id and lower(e.name) = lower(p.name) and e.id < p.id)
        then ' ' || substr(p.id::text, 29) else '' end;
alter table projects alter column name_key set not null;
alter table projects alter column updated_at set not null;
alter table projects add check ((status = 'archived') = (archived_at is not null));

--@ both
create unique index projects_name on projects (org_id, name_key) where status <> 'archived';
