//! The console as somebody meets it who would misuse it: with forged forms, guessed tokens and old sessions.

use crate::forms::{field, form, get, sign_in, token, url};
use crate::platform::{OPERATOR, Platform, VIEWER};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_for_somebody_who_is_signed_in() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let own = url(platform, "");
        let signed_in = form(platform, "/console/sign-in", &own, "", &token(OPERATOR)).await;
        assert_eq!(signed_in.status, 303);
        let cookie = signed_in.headers["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap();

        // A proxy in front has TLS.
        let with_tls = own.replace("http://", "https://");
        let signed_in = form(platform, "/console/sign-in", &with_tls, "", &token(OPERATOR)).await;
        let secure = signed_in.headers["set-cookie"].to_str().unwrap();
        assert!(secure.ends_with("; SameSite=Strict; Secure"), "{secure}");

        let page = get(platform, "/console/cells/c1/switchover?to=south", cookie).await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        let (form_token, etag) = (field(&text, "form_token"), field(&text, "etag"));

        let path = "/console/cells/c1/switchover";
        let body = |form_token: &str, etag: &str| {
            // A key of its own for each plan: a key that was used is answered as it was.
            let epoch = etag.trim_matches('"');
            format!("to=south&key=plan-{epoch}&etag=%22{epoch}%22&form_token={form_token}")
        };
        let genuine = body(&form_token, &etag);
        for (origin, cookie, body, expected) in [
            // Another site's page; none that says where it is from; no session; another's form; and a
            // plan for an epoch that is over.
            ("https://evil.example", cookie, &genuine, 403),
            ("", cookie, &genuine, 403),
            (&own, "", &genuine, 303),
            (&own, cookie, &body("0000", &etag), 403),
            (&own, cookie, &body(&form_token, "\"7\""), 412),
        ] {
            let answer = form(platform, path, origin, cookie, body).await;
            assert_eq!(answer.status, expected, "{origin} {cookie} {body}");
        }
        let stored = platform.cell().await.unwrap();
        assert_eq!(stored.activation.to_string(), "epoch 1, steady in east");

        let moved = form(platform, path, &own, cookie, &genuine).await;
        assert_eq!(moved.headers["location"], "/console/cells/c1");
        platform.until_cell_is("epoch 3, steady in south").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_not_guessed_at_will() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let own = url(platform, "");
        let mut answers = Vec::new();
        for _ in 0..12 {
            let answer = form(platform, "/console/sign-in", &own, "", &token("wrong")).await;
            answers.push(answer.status.as_u16());
        }
        assert_eq!(answers[..10], [403; 10]);
        assert_eq!(answers.last(), Some(&429));
        let right = form(platform, "/console/sign-in", &own, "", &token(OPERATOR)).await;
        assert_eq!(right.status, 429);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_token() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let cookie = sign_in(platform, VIEWER).await;
        assert_eq!(get(platform, "/console", &cookie).await.status, 200);
        platform.write_callers(&format!("otto operator {}\n", "0".repeat(64)));
        let ended = platform.until(async || get(platform, "/console", &cookie).await.status == 303);
        assert!(ended.await, "the session goes on without its token");
    })
    .await;
}
