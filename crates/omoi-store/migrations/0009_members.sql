-- Who belongs to which organisation, and with which role.

create table roles (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    name text not null,
    name_key text not null,
    permissions @json not null,
    inherits_from_id @uuid,
    unique (org_id, name_key)
);

create table memberships (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    user_id @uuid not null references users (id),
    role text not null check (role in ('owner', 'admin', 'member', 'viewer', 'agent_executor', 'custom')),
    custom_role_id @uuid references roles (id),
    joined_at @time,
    unique (org_id, user_id),
    check ((role = 'custom') = (custom_role_id is not null))
);
create index memberships_user on memberships (user_id);

create table project_grants (
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    membership_id @uuid not null references memberships (id),
    permission text not null check (permission in ('spec:approve', 'ticket:approve')),
    primary key (org_id, project_id, membership_id, permission)
);

create table invitations (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    email text not null,
    role text not null check (role in ('owner', 'admin', 'member', 'viewer', 'agent_executor', 'custom')),
    custom_role_id @uuid references roles (id),
    digest text not null unique,
    expires_at @time not null,
    accepted_at @time,
    revoked_at @time,
    check ((role = 'custom') = (custom_role_id is not null))
);
create index invitations_email on invitations (org_id, email);

-- The laptop's user owns its organisation.
insert into memberships (id, org_id, user_id, role)
values ('01930000-0000-7000-8000-000000000003', '01930000-0000-7000-8000-000000000001',
    '01930000-0000-7000-8000-000000000002', 'owner');

@tenant roles
@tenant project_grants
@global memberships
@global invitations
