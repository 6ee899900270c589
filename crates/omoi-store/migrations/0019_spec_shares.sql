-- Specs that people put away, and those that they show to whoever has a link.

alter table specs add column archived_at @time;

create table spec_shares (
    spec_id @uuid primary key references specs (id),
    org_id @uuid not null references organisations (id),
    -- SHA-256 of the token, which its holders alone know
    digest text not null unique,
    -- whether search engines may show the page
    is_listed @bool not null,
    n_views bigint not null,
    created_at @time not null
);

@tenant spec_shares
