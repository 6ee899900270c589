-- Lists are read in pages, newest first: of an organisation, and of one project.

create index specs_created on specs (org_id, created_at, id);
create index specs_project_created on specs (org_id, project_id, created_at, id);
create index tasks_created on tasks (org_id, created_at, id);
create index tasks_project_created on tasks (org_id, project_id, created_at, id);
