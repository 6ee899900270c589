-- Files that people give with tickets. A content is kept once for an organisation, in pieces, whichever files have it.

alter table organisations add column file_bytes bigint not null default 0 check (file_bytes >= 0);

create table file_contents (
    org_id @uuid not null references organisations (id),
    digest text not null,
    content_bytes bigint not null,
    -- whether all of it is here
    is_whole @bool not null,
    -- when a file with it was last written or removed
    touched_at @time not null,
    primary key (org_id, digest)
);
create index file_contents_touched on file_contents (org_id, touched_at);

create table file_chunks (
    org_id @uuid not null references organisations (id),
    digest text not null,
    chunk_no bigint not null,
    data @bytes not null,
    primary key (org_id, digest, chunk_no)
);

create table stored_files (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    ticket_id @uuid not null references tickets (id),
    name text not null,
    media_type text not null check (media_type in ('image/png', 'image/jpeg', 'image/gif', 'image/webp', 'application/octet-stream')),
    file_bytes bigint not null,
    digest text not null,
    -- who gave it
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    created_at @time not null
);
create index stored_files_ticket on stored_files (org_id, ticket_id, id);
create index stored_files_digest on stored_files (org_id, digest);

@tenant file_contents
@tenant file_chunks
@tenant stored_files
