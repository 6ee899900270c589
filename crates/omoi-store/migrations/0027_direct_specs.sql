-- Tickets that are worked on by themselves: what is begun for one, the commands that show that it is done, the spec that
-- it follows; and specs whose plan is a ticket.

alter table specs add column kind text not null default 'planned' check (kind in ('planned', 'direct'));
alter table tickets add column workflow_mode text check (workflow_mode in ('quick', 'spec_driven'));
alter table tickets add column check_commands @json not null default '[]';
alter table tickets add column follows_spec_id @uuid references specs (id);
create index tickets_to_begin on tickets (org_id, created_at, id)
    where workflow_mode is not null and spec_id is null and follows_spec_id is null;
create index tickets_following on tickets (follows_spec_id) where follows_spec_id is not null;
