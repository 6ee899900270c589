-- A project may name a command that shows that what was handed over is deployed. A ticket may be looked into and designed by itself
-- before it is built.

alter table projects add column deploy_check text;
alter table checks add column is_deploy @bool not null default false check (is_deploy in (false, true));

drop index tickets_to_begin;
alter table tickets add column begun_mode text check (begun_mode in ('quick', 'spec_driven', 'none'));
update tickets set begun_mode = workflow_mode;
alter table tickets drop column workflow_mode;
alter table tickets rename column begun_mode to workflow_mode;
create index tickets_to_begin on tickets (org_id, created_at, id)
    where workflow_mode is not null and spec_id is null and follows_spec_id is null;
create index tickets_deploying on tickets (org_id) where status = 'deploying';
