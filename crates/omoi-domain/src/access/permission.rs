//! The names of what a caller may be allowed to do.

crate::closed_set! {
    /// One thing that a role, a grant or the scope of a key allows.
    ///
    /// Systems that do not exist yet have their names already, so that a custom role or a key made today keeps its
    /// meaning when they come.
    Permission {
        /// See an organisation.
        OrgRead = "org:read",
        /// Change the name and settings of an organisation.
        OrgWrite = "org:write",
        /// Archive an organisation.
        OrgDelete = "org:delete",
        /// Hand an organisation to another owner.
        OrgTransfer = "org:transfer",
        /// Change how much an organisation may run at once.
        OrgLimitsWrite = "org:limits:write",
        /// See who belongs to an organisation.
        OrgMembersRead = "org:members:read",
        /// Invite members and change their roles.
        OrgMembersWrite = "org:members:write",
        /// Remove members.
        OrgMembersDelete = "org:members:delete",
        /// Make and change custom roles.
        OrgRolesWrite = "org:roles:write",
        /// Make and revoke keys of an organisation.
        OrgKeysWrite = "org:keys:write",
        /// Read the audit log of an organisation.
        OrgAuditRead = "org:audit:read",
        /// See what an organisation's plan includes.
        BillingSummaryRead = "billing:summary:read",
        /// See invoices and payments.
        BillingRead = "billing:read",
        /// Change the plan and how it is paid.
        BillingWrite = "billing:write",
        /// Buy a plan without end.
        BillingLifetime = "billing:lifetime",
        /// See projects.
        ProjectRead = "project:read",
        /// Make and change projects.
        ProjectWrite = "project:write",
        /// Change the settings of a project.
        ProjectSettingsWrite = "project:settings:write",
        /// Archive a project.
        ProjectArchive = "project:archive",
        /// Write to branches of a project.
        ProjectGitWrite = "project:git:write",
        /// See specs.
        SpecRead = "spec:read",
        /// Make and edit specs.
        SpecWrite = "spec:write",
        /// Have a spec planned and worked on.
        SpecExecute = "spec:execute",
        /// Show a spec to the public.
        SpecShare = "spec:share",
        /// Approve the requirements, design and plan of a spec.
        SpecApprove = "spec:approve",
        /// See tickets.
        TicketRead = "ticket:read",
        /// Make and edit tickets.
        TicketWrite = "ticket:write",
        /// Move a ticket against its rules.
        TicketForce = "ticket:force",
        /// Delete tickets.
        TicketDelete = "ticket:delete",
        /// Approve and reject tickets.
        TicketApprove = "ticket:approve",
        /// See tasks.
        TaskRead = "task:read",
        /// Make and edit tasks.
        TaskWrite = "task:write",
        /// Cancel tasks.
        TaskCancel = "task:cancel",
        /// Report a task as done.
        TaskCompleteExecute = "task:complete:execute",
        /// See agents.
        AgentRead = "agent:read",
        /// Write to a running agent.
        AgentMessage = "agent:message",
        /// Change agents.
        AgentWrite = "agent:write",
        /// See sandboxes and what happens in them.
        SandboxRead = "sandbox:read",
        /// Store events of a sandbox.
        SandboxWrite = "sandbox:write",
        /// End a sandbox.
        SandboxTerminate = "sandbox:terminate",
        /// Search what was learnt.
        MemoryRead = "memory:read",
        /// Add to what was learnt.
        MemoryWrite = "memory:write",
        /// Correct and remove what was learnt.
        MemoryCurate = "memory:curate",
        /// See supervision.
        MonitorRead = "monitor:read",
        /// Step in through supervision.
        MonitorIntervene = "monitor:intervene",
        /// Change how supervision works.
        MonitorConfigure = "monitor:configure",
        /// Take note of an alert.
        AlertAck = "alert:ack",
        /// See what work cost.
        CostRead = "cost:read",
        /// Change budgets.
        CostWrite = "cost:write",
        /// See tools of others.
        McpRead = "mcp:read",
        /// Call tools of others.
        McpInvoke = "mcp:invoke",
        /// Add and remove tools of others.
        McpAdmin = "mcp:admin",
        /// Read the documents of a spec.
        DocumentRead = "document:read",
        /// Write the documents of a spec.
        DocumentWrite = "document:write",
    }
}

impl Permission {
    /// Whether it lets a caller see something and change nothing.
    pub fn is_read(self) -> bool {
        self.as_str().ends_with(":read")
    }

    /// The permission to see rows of the kind that this one is about, if there is one.
    pub fn row_sight(self) -> Option<Self> {
        let kind = self.as_str().split(':').next()?;
        Self::parse(&format!("{kind}:read"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_changes_a_row_sees_it_by_the_permission_of_its_kind() {
        for (permission, sight) in [
            (Permission::TicketApprove, Some(Permission::TicketRead)),
            (
                Permission::ProjectSettingsWrite,
                Some(Permission::ProjectRead),
            ),
            (Permission::SpecRead, Some(Permission::SpecRead)),
            (
                Permission::DocumentWrite,
                Permission::parse("document:read"),
            ),
        ] {
            assert_eq!(permission.row_sight(), sight, "{permission:?}");
        }
    }

    #[test]
    fn there_are_fifty_four_and_their_names_have_two_or_three_parts() {
        assert_eq!(Permission::ALL.len(), 54);
        for permission in Permission::ALL {
            let name = permission.as_str();
            let parts = name.split(':').count();
            assert!((2..=3).contains(&parts), "{name}");
            assert_eq!(Permission::parse(name), Some(*permission));
        }
    }
}
