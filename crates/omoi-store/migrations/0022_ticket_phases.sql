-- Phases of tickets, what each has to show, and the columns of boards: rows of each project, seeded where it begins. Projects
-- that there are get what `omoi-domain/data/workflow.json` held when this was written.

create table phases (
    project_id @uuid not null references projects (id),
    phase_id text not null check (phase_id in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE', 'PHASE_BLOCKED')),
    org_id @uuid not null references organisations (id),
    name text not null,
    sequence_order bigint not null,
    mode text check (mode in ('exploration', 'implementation', 'validation')),
    is_skippable @bool not null check (is_skippable in (false, true)),
    next_phases @json not null,
    seeds @json not null,
    done_definitions @json not null,
    expected_outputs @json not null,
    primary key (project_id, phase_id)
);

create table phase_gate_definitions (
    project_id @uuid not null references projects (id),
    phase_id text not null check (phase_id in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE', 'PHASE_BLOCKED')),
    artifact_type text not null check (artifact_type in ('requirements_document', 'design_document', 'code_changes',
        'test_coverage', 'packaging_bundle', 'handoff_documentation', 'test_results', 'test_evidence',
        'deployment_evidence')),
    org_id @uuid not null references organisations (id),
    sequence_order bigint not null,
    rule @json not null,
    primary key (project_id, phase_id, artifact_type)
);

create table board_columns (
    project_id @uuid not null references projects (id),
    column_key text not null,
    org_id @uuid not null references organisations (id),
    name text not null,
    description text,
    sequence_order bigint not null,
    phases @json not null,
    wip_limit bigint check (wip_limit > 0),
    is_terminal @bool not null check (is_terminal in (false, true)),
    auto_transition_to text,
    color_theme text,
    state_version bigint not null,
    primary key (project_id, column_key)
);

insert into phases (project_id, org_id, phase_id, name, sequence_order, mode, is_skippable, next_phases, seeds, done_definitions, expected_outputs)
    select p.id, p.org_id, v.phase_id, v.name, v.sequence_order, v.mode, v.is_skippable, v.next_phases, v.seeds, v.done_definitions, v.expected_outputs from projects p cross join (
        select 'PHASE_BACKLOG' as phase_id, 'Backlog' as name, 0 as sequence_order, 'exploration' as mode, true as is_skippable, cast('["PHASE_REQUIREMENTS", "PHASE_IMPLEMENTATION"]' as @json) as next_phases, cast('[]' as @json) as seeds, cast('[]' as @json) as done_definitions, cast('[]' as @json) as expected_outputs
        union all
        select 'PHASE_REQUIREMENTS', 'Requirements', 1, 'exploration', true, cast('["PHASE_DESIGN", "PHASE_IMPLEMENTATION"]' as @json), cast('["generate_prd", "analyze_requirements"]' as @json), cast('["requirements are written", "components are listed", "follow-up tasks name their ticket"]' as @json), cast('["a document with scope and acceptance criteria"]' as @json)
        union all
        select 'PHASE_DESIGN', 'Design', 2, 'exploration', true, cast('["PHASE_IMPLEMENTATION"]' as @json), cast('["create_design"]' as @json), cast('["the design is written"]' as @json), cast('["a design document"]' as @json)
        union all
        select 'PHASE_IMPLEMENTATION', 'Implementation', 3, 'implementation', false, cast('["PHASE_TESTING", "PHASE_REQUIREMENTS"]' as @json), cast('["implement_feature"]' as @json), cast('["the code is there", "its checks are there", "its checks pass"]' as @json), cast('["commits on the branch of each task"]' as @json)
        union all
        select 'PHASE_TESTING', 'Testing', 4, 'validation', false, cast('["PHASE_DEPLOYMENT", "PHASE_IMPLEMENTATION", "PHASE_DONE"]' as @json), cast('["run_tests", "write_tests"]' as @json), cast('["the checks ran on the merged tree", "each requirement was looked at"]' as @json), cast('["receipts of checks on the merged tree"]' as @json)
        union all
        select 'PHASE_DEPLOYMENT', 'Deployment', 5, 'implementation', true, cast('["PHASE_DONE"]' as @json), cast('["deploy"]' as @json), cast('["it is deployed", "it is looked at where it runs"]' as @json), cast('["the receipt of the deploy check"]' as @json)
        union all
        select 'PHASE_DONE', 'Done', 6, cast(null as text), false, cast('[]' as @json), cast('[]' as @json), cast('[]' as @json), cast('[]' as @json)
        union all
        select 'PHASE_BLOCKED', 'Blocked', 7, cast(null as text), false, cast('["PHASE_BACKLOG", "PHASE_REQUIREMENTS", "PHASE_DESIGN", "PHASE_IMPLEMENTATION", "PHASE_TESTING"]' as @json), cast('[]' as @json), cast('[]' as @json), cast('[]' as @json)
    ) v;

insert into phase_gate_definitions (project_id, org_id, phase_id, artifact_type, sequence_order, rule)
    select p.id, p.org_id, v.phase_id, v.artifact_type, v.sequence_order, v.rule from projects p cross join (
        select 'PHASE_REQUIREMENTS' as phase_id, 'requirements_document' as artifact_type, 0 as sequence_order, cast('{"kind": "document", "chars_min": 500, "sections": ["scope", "acceptance_criteria"]}' as @json) as rule
        union all
        select 'PHASE_DESIGN', 'design_document', 0, cast('{"kind": "document", "chars_min": 1, "sections": []}' as @json)
        union all
        select 'PHASE_IMPLEMENTATION', 'code_changes', 0, cast('{"kind": "present"}' as @json)
        union all
        select 'PHASE_IMPLEMENTATION', 'test_coverage', 1, cast('{"kind": "coverage", "percent_min": 80, "is_required": false}' as @json)
        union all
        select 'PHASE_IMPLEMENTATION', 'packaging_bundle', 2, cast('{"kind": "present"}' as @json)
        union all
        select 'PHASE_TESTING', 'test_results', 0, cast('{"kind": "all_passed"}' as @json)
        union all
        select 'PHASE_TESTING', 'test_evidence', 1, cast('{"kind": "present"}' as @json)
        union all
        select 'PHASE_DEPLOYMENT', 'deployment_evidence', 0, cast('{"kind": "all_passed"}' as @json)
    ) v;

insert into board_columns (project_id, org_id, state_version, column_key, name, description, sequence_order, phases, wip_limit, is_terminal, auto_transition_to, color_theme)
    select p.id, p.org_id, 0, v.column_key, v.name, v.description, v.sequence_order, v.phases, v.wip_limit, v.is_terminal, v.auto_transition_to, v.color_theme from projects p cross join (
        select 'backlog' as column_key, 'Backlog' as name, cast(null as text) as description, 0 as sequence_order, cast('["PHASE_BACKLOG"]' as @json) as phases, cast(null as bigint) as wip_limit, false as is_terminal, cast(null as text) as auto_transition_to, 'gray' as color_theme
        union all
        select 'analyzing', 'Analyzing', cast(null as text), 1, cast('["PHASE_REQUIREMENTS", "PHASE_DESIGN"]' as @json), cast(5 as bigint), false, cast(null as text), 'purple'
        union all
        select 'building', 'Building', cast(null as text), 2, cast('["PHASE_IMPLEMENTATION"]' as @json), cast(10 as bigint), false, 'testing', 'blue'
        union all
        select 'testing', 'Testing', cast(null as text), 3, cast('["PHASE_TESTING"]' as @json), cast(8 as bigint), false, cast(null as text), 'yellow'
        union all
        select 'deploying', 'Deploying', cast(null as text), 4, cast('["PHASE_DEPLOYMENT"]' as @json), cast(3 as bigint), false, 'done', 'orange'
        union all
        select 'done', 'Done', cast(null as text), 5, cast('["PHASE_DONE"]' as @json), cast(null as bigint), true, cast(null as text), 'green'
        union all
        select 'blocked', 'Blocked', cast(null as text), 6, cast('["PHASE_BLOCKED"]' as @json), cast(null as bigint), true, cast(null as text), 'red'
    ) v;

@tenant phases
@tenant phase_gate_definitions
@tenant board_columns
