//! The rows that examples of the API's description name: tests make a world of them, so that every example works.

/// Id of the example organisation: the one that every new database has.
pub const EXAMPLE_ORGANIZATION: &str = "01930000-0000-7000-8000-000000000001";
/// Id of the example member.
pub const EXAMPLE_MEMBER: &str = "01930000-0000-7000-8000-000000000003";
/// Id of the example person, whose account waits to be let in.
pub const EXAMPLE_USER: &str = "01930000-0000-7000-8000-00000000000c";
/// Id of the example role.
pub const EXAMPLE_ROLE: &str = "01930000-0000-7000-8000-000000000007";
/// Id of the example invitation.
pub const EXAMPLE_INVITATION: &str = "01930000-0000-7000-8000-000000000008";
/// Id of the example project.
pub const EXAMPLE_PROJECT: &str = "01930000-0000-7000-8000-000000000001";
/// Id of the example spec.
pub const EXAMPLE_SPEC: &str = "01930000-0000-7000-8000-000000000002";
/// Id of the example task.
pub const EXAMPLE_TASK: &str = "01930000-0000-7000-8000-000000000003";
/// Id of the example ticket.
pub const EXAMPLE_TICKET: &str = "01930000-0000-7000-8000-000000000006";
/// Id of the example comment.
pub const EXAMPLE_COMMENT: &str = "01930000-0000-7000-8000-000000000007";
/// Id of the example question to people.
pub const EXAMPLE_APPROVAL: &str = "01930000-0000-7000-8000-00000000000b";
/// Id of the example file.
pub const EXAMPLE_FILE: &str = "01930000-0000-7000-8000-00000000000d";
/// Id of the example notification.
pub const EXAMPLE_NOTIFICATION: &str = "01930000-0000-7000-8000-00000000000c";
/// Id of the example sign-in.
pub const EXAMPLE_SESSION: &str = "01930000-0000-7000-8000-000000000004";
/// Id of the example key.
pub const EXAMPLE_KEY: &str = "01930000-0000-7000-8000-000000000005";
/// Id of the example event.
pub const EXAMPLE_EVENT: &str = "01930000-0000-7000-8000-000000000008";
/// Id of the example budget.
pub const EXAMPLE_BUDGET: &str = "01930000-0000-7000-8000-000000000009";
/// Name of the example commit.
pub const EXAMPLE_COMMIT: &str = "4f2c1d0b9a8e7f6d5c4b3a29180f7e6d5c4b3a29";
/// The example repository on the disk of the process.
pub const EXAMPLE_REPOSITORY: &str = "/src/todo";
/// Id of a second task of the example spec, which the first may wait for.
pub const EXAMPLE_PREREQUISITE: &str = "01930000-0000-7000-8000-000000000009";
/// Id of the example operation.
pub const EXAMPLE_OPERATION: &str = "01930000-0000-7000-8000-00000000000a";
/// Id of the example requirement.
pub const EXAMPLE_REQUIREMENT: &str = "REQ-TODO-FUNC-001";
/// Id of the example attempt, which is an agent and its sandbox.
pub const EXAMPLE_ATTEMPT: &str = "01930000-0000-7000-8000-00000000000b";
/// Id of the example thread.
pub const EXAMPLE_THREAD: &str = "01930000-0000-7000-8000-00000000000e";
/// Id of the example message of a thread.
pub const EXAMPLE_THREAD_MESSAGE: &str = "01930000-0000-7000-8000-00000000000f";
/// Id of the example result of a ticket.
pub const EXAMPLE_WORKFLOW_RESULT: &str = "01930000-0000-7000-8000-000000000010";
