//! Organisations: their members, invitations and keys.

use reqwest::Method;
use reqwest::header::IF_MATCH;

use omoi_domain::id::{ApiKeyId, InvitationId, MembershipId, OrgId, RoleId};
use omoi_llm::wire::headers::percent_encode;
use omoi_protocol::api::{
    ChangeMember, CreateOrganization, CreateOrganizationKey, InvitationView, InviteMember,
    IssuedOrganizationKey, MemberView, OrganizationKeyView, OrganizationView, ProviderKeyView,
    RoleView, SetProviderKey,
};

use super::{ApiClient, ClientError};

impl ApiClient {
    /// The organisations that the caller belongs to.
    pub(crate) async fn list_organizations(&self) -> Result<Vec<OrganizationView>, ClientError> {
        self.get_rows("/organizations").await
    }

    pub(crate) async fn get_organization(
        &self,
        org: OrgId,
    ) -> Result<OrganizationView, ClientError> {
        self.get_json(&format!("/organizations/{org}")).await
    }

    pub(crate) async fn create_organization(
        &self,
        body: &CreateOrganization,
    ) -> Result<OrganizationView, ClientError> {
        self.post_once("/organizations", body).await
    }

    /// Puts an organisation away.
    pub(crate) async fn archive_organization(&self, org: OrgId) -> Result<(), ClientError> {
        self.delete_row(&format!("/organizations/{org}")).await
    }

    /// Takes back one that was put away.
    pub(crate) async fn restore_organization(&self, org: OrgId) -> Result<(), ClientError> {
        let path = format!("/organizations/{org}/restore");
        let request = self.new_request(Method::POST, &path);
        self.send_request(request).await.map(drop)
    }

    pub(crate) async fn list_members(&self, org: OrgId) -> Result<Vec<MemberView>, ClientError> {
        self.get_rows(&format!("/organizations/{org}/members"))
            .await
    }

    /// Gives `member` another role, unless somebody did so since they were read.
    pub(crate) async fn change_member_role(
        &self,
        member: &MemberView,
        role_id: RoleId,
    ) -> Result<MemberView, ClientError> {
        let MemberView {
            organization_id,
            id,
            version,
            ..
        } = member;
        let path = format!("/organizations/{organization_id}/members/{id}");
        let request = self.new_request(Method::PATCH, &path);
        let request = request.header(IF_MATCH, format!("\"{version}\""));
        let request = request.json(&ChangeMember { role_id });
        Self::read_json(self.send_request(request).await?).await
    }

    pub(crate) async fn remove_member(
        &self,
        org: OrgId,
        member: MembershipId,
    ) -> Result<(), ClientError> {
        self.delete_row(&format!("/organizations/{org}/members/{member}"))
            .await
    }

    /// The roles of an organisation: those of every one, then its own.
    pub(crate) async fn list_roles(&self, org: OrgId) -> Result<Vec<RoleView>, ClientError> {
        self.get_rows(&format!("/organizations/{org}/roles")).await
    }

    /// Has a mail sent that invites whoever has the address.
    pub(crate) async fn invite_member(
        &self,
        org: OrgId,
        body: &InviteMember,
    ) -> Result<InvitationView, ClientError> {
        self.post_once(&format!("/organizations/{org}/invitations"), body)
            .await
    }

    pub(crate) async fn list_invitations(
        &self,
        org: OrgId,
    ) -> Result<Vec<InvitationView>, ClientError> {
        self.get_rows(&format!("/organizations/{org}/invitations"))
            .await
    }

    pub(crate) async fn revoke_invitation(
        &self,
        org: OrgId,
        invitation: InvitationId,
    ) -> Result<(), ClientError> {
        self.delete_row(&format!("/organizations/{org}/invitations/{invitation}"))
            .await
    }

    pub(crate) async fn list_organization_keys(
        &self,
        org: OrgId,
    ) -> Result<Vec<OrganizationKeyView>, ClientError> {
        self.get_rows(&format!("/organizations/{org}/api-keys"))
            .await
    }

    pub(crate) async fn create_organization_key(
        &self,
        org: OrgId,
        body: &CreateOrganizationKey,
    ) -> Result<IssuedOrganizationKey, ClientError> {
        self.post_json(&format!("/organizations/{org}/api-keys"), body)
            .await
    }

    pub(crate) async fn revoke_organization_key(
        &self,
        org: OrgId,
        key: ApiKeyId,
    ) -> Result<(), ClientError> {
        self.delete_row(&format!("/organizations/{org}/api-keys/{key}"))
            .await
    }

    /// The keys that an organisation brought for providers of models.
    pub(crate) async fn list_provider_keys(
        &self,
        org: OrgId,
    ) -> Result<Vec<ProviderKeyView>, ClientError> {
        self.get_rows(&format!("/organizations/{org}/provider-keys"))
            .await
    }

    /// Brings a key for `provider`.
    pub(crate) async fn set_provider_key(
        &self,
        org: OrgId,
        provider: &str,
        body: &SetProviderKey,
    ) -> Result<ProviderKeyView, ClientError> {
        let request = self.new_request(Method::PUT, &provider_key_path(org, provider));
        Self::read_json(self.send_request(request.json(body)).await?).await
    }

    /// Takes the key for `provider` away.
    pub(crate) async fn remove_provider_key(
        &self,
        org: OrgId,
        provider: &str,
    ) -> Result<(), ClientError> {
        self.delete_row(&provider_key_path(org, provider)).await
    }
}

fn provider_key_path(org: OrgId, provider: &str) -> String {
    let provider = percent_encode(provider);
    format!("/organizations/{org}/provider-keys/{provider}")
}
