//! Bad input gets an answer that says what is wrong, at the public endpoint.

use http::Method;
use serde_json::json;
use tests::{Platform, User};

#[tokio::test]
async fn bad_input_is_refused_with_the_reason() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let user = User::of(&platform, "ada")?;
    tokens(&platform, &user).await?;
    bodies(&user).await?;
    spoofed_headers(&user).await
}

async fn tokens(platform: &Platform, user: &User) -> anyhow::Result<()> {
    let now = runtime::clock::unix_millis() / 1000;
    let good = json!({
        "sub": "ada", "aud": "bulkhead", "iss": "bulkhead-development", "exp": now + 600,
    });
    let signed = |changed: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[changed] = value;
        platform.sign(&claims)
    };
    let (_, claims_and_signature) = user.token().split_once('.').unwrap_or_default();
    let (claims, _) = claims_and_signature.split_once('.').unwrap_or_default();
    let (body, _) = user.token().rsplit_once('.').unwrap_or_default();
    for (token, code) in [
        (None, "token-missing"),
        (Some("nonsense".to_owned()), "token-malformed"),
        (Some(format!("{body}.{}", "A".repeat(43))), "token-signature"),
        // {"alg":"none","typ":"JWT"}
        (Some(format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")), "token-unsigned"),
        (Some(signed("exp", json!(now - 3600))?), "token-expired"),
        (Some(signed("aud", json!("somebody-else"))?), "token-audience"),
        (Some(signed("iss", json!("somebody-else"))?), "token-issuer"),
        (Some(signed("sub", json!(""))?), "token-subject"),
    ] {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let answer = user.post_as("/v1/tickets", authorization.as_deref()).await?;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, code), "{answer:?}");
    }
    Ok(())
}

async fn bodies(user: &User) -> anyhow::Result<()> {
    let post = |body: String| async move {
        user.send(Method::POST, "/v1/tickets", &[("idempotency-key", "bad")], body).await
    };
    let answer = post("x".repeat(10 * 1024 * 1024)).await;
    // The router answers at once and closes: a client still sending may see only the closing.
    if let Ok(answer) = answer {
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (413, "payload-too-large"),
            "{answer:?}"
        );
    }
    for (body, pointer) in [
        ("{\"subject\": \"a\", ".to_owned(), ""),
        (json!({"subject": "a", "description": "b", "colour": 1}).to_string(), "/colour"),
        (json!({"subject": 7, "description": "b"}).to_string(), "/subject"),
    ] {
        let answer = post(body).await?;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, "validation-error"),
            "{answer:?}"
        );
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{answer:?}");
    }
    Ok(())
}

async fn spoofed_headers(user: &User) -> anyhow::Result<()> {
    let made = user.post("/v1/tickets", &json!({"subject": "mine", "description": "…"})).await?;
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/v1/tickets/{}", made.body["id"].as_str().unwrap_or_default());
    let spoofed = [
        ("x-bulkhead-user", "grace"),
        ("x-bulkhead-slot", "1"),
        ("x-bulkhead-cell", "c9"),
        ("x-bulkhead-epoch", "999"),
        ("x-bulkhead-route-version", "0"),
    ];
    let read = user.send(Method::GET, &path, &spoofed, "").await?;
    assert_eq!(read.status, 200, "{read:?}");
    assert_eq!(read.body["id"], made.body["id"]);
    assert_eq!(read.header("x-bulkhead-cell"), made.header("x-bulkhead-cell"));
    Ok(())
}
