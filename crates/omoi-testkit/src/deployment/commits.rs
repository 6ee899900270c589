//! Commits in the mirror of a test deployment.

use omoi_execution::repository_folders::RepositoryFolders;
use omoi_git::mirror::{CommitMeta, FileChange, Identity, Mirror};
use omoi_git::object::{ObjectId, RepoPath};

use super::{START, TestDeployment};

/// The tree without files; git knows it without being given it.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

impl TestDeployment {
    /// The mirror of the spec's project.
    pub async fn project_mirror(&self) -> Mirror {
        let folders: RepositoryFolders = self.build_part();
        folders.project_mirror(self.spec.project_id).await.unwrap()
    }

    /// A commit on top of the task's base that changes one file.
    pub async fn commit_work(&self, path: &str) -> ObjectId {
        let mirror = self.project_mirror().await;
        let change = FileChange {
            path: RepoPath::new(path).unwrap(),
            content: Some(b"new\n".to_vec()),
        };
        mirror
            .commit_files(&self.base, &[change], &meta("Work"))
            .await
            .unwrap()
    }

    /// A commit on top of `parent` where `path` holds `text`; none removes it.
    pub async fn commit_on(&self, parent: &ObjectId, path: &str, text: Option<&str>) -> ObjectId {
        let mirror = self.project_mirror().await;
        let change = FileChange {
            path: RepoPath::new(path).unwrap(),
            content: text.map(|text| text.as_bytes().to_vec()),
        };
        mirror
            .commit_files(parent, &[change], &meta(path))
            .await
            .unwrap()
    }

    /// A merge commit of `parents` with the tree of `like`.
    pub async fn merge_commit(&self, parents: &[&ObjectId], like: &ObjectId) -> ObjectId {
        let mirror = self.project_mirror().await;
        let tree = mirror.tree_of(like).await.unwrap();
        let parents: Vec<_> = parents.iter().map(|p| (*p).clone()).collect();
        mirror
            .commit_tree(&tree, &parents, &meta("Merge"))
            .await
            .unwrap()
    }

    /// Where a branch of the mirror stands.
    pub async fn branch_head(&self, name: &str) -> Option<ObjectId> {
        let mirror = self.project_mirror().await;
        let name = omoi_git::refname::RefName::from_branch(name).unwrap();
        mirror.read_ref(&name).await.unwrap()
    }
}

fn meta(message: &str) -> CommitMeta {
    CommitMeta {
        message: message.to_owned(),
        trailers: Vec::new(),
        author: Identity::platform(),
        time: START,
    }
}

/// The commit everything starts from.
pub async fn start_commit(mirror: &Mirror) -> ObjectId {
    let empty = ObjectId::parse(EMPTY_TREE).unwrap();
    mirror
        .commit_tree(&empty, &[], &meta("Start"))
        .await
        .unwrap()
}
