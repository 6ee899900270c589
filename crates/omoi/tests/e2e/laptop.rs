//! A laptop's server in a browser: one link signs it in, and nobody else gets in.

use serde_json::Value;

use omoi_testkit::browser::rendered_page;

use crate::processes::address;
use crate::world::World;

#[test]
fn one_link_shows_the_pages_signed_in() {
    let world = World::demo("scenario.yaml");
    let up = world.simulated(world.command(&["up", "--json", "--port", "0"]));
    let mut up = world.start(up);
    let address = address(&mut up).unwrap();
    let started = up.stdout();
    let started: Value = serde_json::from_str(started.lines().next().unwrap()).unwrap();
    let link = started["link"].as_str().unwrap();
    assert!(link.starts_with(&format!("{address}/open#")), "{link}");
    let page = rendered_page(link);
    let is_shown = page.contains("swagger-ui") && page.contains("/api/v1/specs");
    assert!(is_shown, "{page}");
    let page = rendered_page(link);
    assert!(page.contains("not good any more"), "{page}");
    let open = world.start(world.command(&["open"])).wait().exited(0);
    let page = rendered_page(open.stdout.trim());
    assert!(page.contains("/api/v1/specs"), "{page}");
    // Without a link a page says what to do.
    let page = rendered_page(&format!("{address}/sign-in"));
    assert!(page.contains("omoi open"), "{page}");
}
