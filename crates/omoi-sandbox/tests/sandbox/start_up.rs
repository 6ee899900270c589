//! What a start costs, printed and never judged.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::Platform;

const ROUNDS: usize = 40;

/// Prints the medians of bare bubblewrap and of ours around `true`, from call to clean end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_up_time() {
    let started = Instant::now();
    let platform = Platform::new().await;
    let probed = started.elapsed();
    let bare = median(|| {
        let mut command = Command::new("/usr/bin/bwrap");
        command.args(["--ro-bind", "/", "/", "true"]);
        assert!(command.status().unwrap().success());
    });
    let mut times = Vec::new();
    let mut ended = Vec::new();
    let launch = platform.launch(["/bin/true"]);
    for round in 0..ROUNDS {
        let mut launch = launch.clone();
        launch.name = format!("{}-start-{round}", launch.name);
        let at = Instant::now();
        let running = platform.provider.launch(launch).await.unwrap();
        times.push(at.elapsed());
        assert!(running.wait().await.unwrap().has_succeeded());
        ended.push(at.elapsed());
    }
    times.sort();
    ended.sort();
    let (ours, whole) = (times[ROUNDS / 2], ended[ROUNDS / 2]);
    println!(
        "medians: probe {probed:.1?}; bare bwrap true {bare:.2?}; ours launched {ours:.2?}, ended and \
         cleared {whole:.2?}, added {:.2?}; best of ours {:.2?}",
        whole.saturating_sub(bare),
        ended[0],
    );
    let many = Instant::now();
    let mut together = tokio::task::JoinSet::new();
    for n in 0..32 {
        let mut launch = launch.clone();
        launch.name = format!("{}-many-{n}", launch.name);
        let provider = std::sync::Arc::clone(&platform.provider);
        together.spawn(async move { provider.launch(launch).await.unwrap().wait().await.unwrap() });
    }
    for exit in together.join_all().await {
        assert!(exit.has_succeeded());
    }
    println!("32 at once {:.1?}", many.elapsed());
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let at = Instant::now();
            run();
            at.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}
