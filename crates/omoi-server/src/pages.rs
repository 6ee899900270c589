//! The few pages of the server itself, until a dashboard takes their place: what links of mails and of the command line
//! lead to. They hold no secret and ask the API like everybody; what they are about stands behind `#` of their address,
//! which no server is told.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::api::ApiSurface;
use crate::options::ServerMode;

/// Nothing from elsewhere, and nothing written into the page.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PAGE: &str = include_str!("../pages/page.html");
const SCRIPT: &str = include_str!("../pages/pages.js");
const STYLE: &str = include_str!("../pages/pages.css");

/// A page: its path, what it is called, and what it says before its script does.
struct ServerPage {
    path: &'static str,
    title: &'static str,
    says: &'static str,
}

const PAGES: [ServerPage; 7] = [
    ServerPage {
        path: "/open",
        title: "Open",
        says: "Signing in this browser …",
    },
    ServerPage {
        path: "/sign-in",
        title: "Sign in",
        says: "One moment …",
    },
    ServerPage {
        path: "/verify",
        title: "Verify a mail address",
        says: "One moment …",
    },
    ServerPage {
        path: "/reset",
        title: "Set a new password",
        says: "One moment …",
    },
    ServerPage {
        path: "/unlock",
        title: "Open a locked account",
        says: "One moment …",
    },
    ServerPage {
        path: "/invite",
        title: "Accept an invitation",
        says: "One moment …",
    },
    ServerPage {
        path: "/device",
        title: "Let a command line in",
        says: "One moment …",
    },
];

/// The pages, and what they load.
pub(crate) fn page_routes() -> Router<ApiSurface> {
    let files = Router::new()
        .route(
            "/pages/pages.js",
            get(|| async { file(SCRIPT, "text/javascript") }),
        )
        .route(
            "/pages/pages.css",
            get(|| async { file(STYLE, "text/css") }),
        );
    PAGES.iter().fold(files, |router, page| {
        let answer = async move |State(surface): State<ApiSurface>| {
            let text = page.render(surface.site.server_mode());
            file(text, "text/html; charset=utf-8")
        };
        router.route(page.path, get(answer))
    })
}

impl ServerPage {
    fn render(&self, mode: ServerMode) -> String {
        PAGE.replace("{title}", self.title)
            .replace("{page}", self.path.trim_start_matches('/'))
            .replace("{mode}", mode.as_str())
            .replace("{says}", self.says)
    }
}

fn file(text: impl IntoResponse, kind: &'static str) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}
