-- What lies between rows says whose it is, as the rows do.

--@ sqlite
create table new_ticket_dependencies (
    ticket_id @uuid not null references tickets (id),
    depends_on_id @uuid not null references tickets (id),
    org_id @uuid not null references organisations (id),
    primary key (ticket_id, depends_on_id)
);
insert into new_ticket_dependencies
    select e.ticket_id, e.depends_on_id, r.org_id from ticket_dependencies e join tickets r on r.id = e.ticket_id;
drop table ticket_dependencies;
alter table new_ticket_dependencies rename to ticket_dependencies;
create index ticket_dependencies_reverse on ticket_dependencies (depends_on_id);

create table new_task_dependencies (
    task_id @uuid not null references tasks (id),
    depends_on_id @uuid not null references tasks (id),
    org_id @uuid not null references organisations (id),
    primary key (task_id, depends_on_id)
);
insert into new_task_dependencies
    select e.task_id, e.depends_on_id, r.org_id from task_dependencies e join tasks r on r.id = e.task_id;
drop table task_dependencies;
alter table new_task_dependencies rename to task_dependencies;
create index task_dependencies_reverse on task_dependencies (depends_on_id);

create table new_task_capabilities (
    task_id @uuid not null references tasks (id),
    capability text not null,
    org_id @uuid not null references organisations (id),
    primary key (task_id, capability)
);
insert into new_task_capabilities
    select e.task_id, e.capability, r.org_id from task_capabilities e join tasks r on r.id = e.task_id;
drop table task_capabilities;
alter table new_task_capabilities rename to task_capabilities;

create table new_check_criteria (
    check_id @uuid not null,
    check_kind text not null default 'proof' check (check_kind = 'proof'),
    criterion_id @uuid not null references criteria (id),
    org_id @uuid not null references organisations (id),
    primary key (check_id, criterion_id),
    foreign key (check_id, check_kind) references checks (id, kind)
);
insert into new_check_criteria
    select e.check_id, e.check_kind, e.criterion_id, r.org_id from check_criteria e join checks r on r.id = e.check_id;
drop table check_criteria;
alter table new_check_criteria rename to check_criteria;
create index check_criteria_reverse on check_criteria (criterion_id);

--@ postgres
alter table ticket_dependencies add column org_id @uuid references organisations (id);
update ticket_dependencies e set org_id = r.org_id from tickets r where r.id = e.ticket_id;
alter table ticket_dependencies alter column org_id set not null;

alter table task_dependencies add column org_id @uuid references organisations (id);
update task_dependencies e set org_id = r.org_id from tasks r where r.id = e.task_id;
alter table task_dependencies alter column org_id set not null;

alter table task_capabilities add column org_id @uuid references organisations (id);
update task_capabilities e set org_id = r.org_id from tasks r where r.id = e.task_id;
alter table task_capabilities alter column org_id set not null;

alter table check_criteria add column org_id @uuid references organisations (id);
update check_criteria e set org_id = r.org_id from checks r where r.id = e.check_id;
alter table check_criteria alter column org_id set not null;
