//! What agents find of the files that people gave with their ticket.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use omoi_execution::commands::store_file;
use omoi_execution::copied_files::{WorkspaceCopies, lay_copies};
use omoi_execution::ticket_files::{add_ticket_files, file_lines};
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::repo::TestRepo;

#[tokio::test]
async fn agents_find_the_files_of_their_ticket_and_git_does_not() {
    let it = TestDeployment::new().await;
    let (store, ticket) = (&it.deployment.store, it.ticket.id);
    let large = vec![b'x'; (1 << 20) + 7];
    for (name, content) in [("notes.txt", &b"first"[..]), ("notes.txt", &large)] {
        store_file(store, ticket, name, content).await.unwrap();
    }
    let mut copies = WorkspaceCopies::default();
    add_ticket_files(store, ticket, &mut copies).await.unwrap();
    let repo = TestRepo::with_files(&[("a", "1")]);
    let told = lay_copies(&copies, repo.path()).unwrap().unwrap();
    let lines = file_lines(&mut it.read_tx().await, ticket).await.unwrap();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, content) in lines.iter().zip([&b"first"[..], &large]) {
        let path = line.split('`').nth(1).unwrap();
        assert!(path.starts_with(".omoi_os/ticket-files/") && path.ends_with("-notes.txt"));
        assert!(told.contains(path), "{told}");
        let file = repo.path().join(path);
        assert!(fs::read(&file).unwrap() == content, "{path}");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444, "{path}");
    }
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}
