//! Visitors, their cookies, and what other sites' pages may not do with these.

use super::*;

const OLDER: &str = "the older key, from before the last rotation";

#[test]
fn a_visitor_is_a_contact_with_an_id_that_nobody_else_has() {
    let identities = hosts(SECRET);
    let (one, two) = (admit(&identities, &[]), admit(&identities, &[]));
    assert_ne!(one["user"], two["user"]);
    let person = identities.check(one["token"].as_str().unwrap(), NOW).unwrap();
    let user = one["user"].as_str().unwrap();
    assert!(user.starts_with("visitor:"), "{user}");
    assert_eq!((person.user.as_bytes(), person.role), (user.as_bytes(), Role::Contact));
    assert_eq!(one["expires_at"], NOW + 30 * 24 * 3600);
}

#[test]
fn a_visitor_who_comes_back_in_time_stays_the_same_with_more_time() {
    let identities = hosts(SECRET);
    let first = admit(&identities, &[]);
    let token = first["token"].as_str().unwrap();
    let bearer = format!("Bearer {token}");
    let cookie = format!("theme=dark; bulkhead_visitor={token}");
    for headers in [
        vec![("authorization", bearer.as_str())],
        vec![("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")],
    ] {
        let again = admitted(&identities, &headers, NOW + 1000).unwrap();
        assert_eq!(again["user"], first["user"]);
        assert_eq!(again["expires_at"], NOW + 1000 + 30 * 24 * 3600);
    }
    let late = NOW + 31 * 24 * 3600;
    let same_origin = ("sec-fetch-site", "same-origin");
    let again = admitted(&identities, &[("cookie", &cookie), same_origin], late).unwrap();
    assert_ne!(again["user"], first["user"]);
    let told = admitted(&identities, &[("authorization", &bearer)], late);
    assert_eq!(told, Err(Unidentified::Expired));
    // Another site's page learns nothing of the visitor, and makes one of its own.
    let crossed = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    assert_ne!(admitted(&identities, &crossed, NOW).unwrap()["user"], first["user"]);
}

#[test]
fn an_older_key_still_counts_and_a_removed_one_does_not() {
    let token = admit(&hosts(OLDER), &[])["token"].as_str().unwrap().to_owned();
    assert!(hosts(&format!("{SECRET}\n{OLDER}\n")).check(&token, NOW).is_ok());
    assert_eq!(hosts(SECRET).check(&token, NOW), Err(Unidentified::Signature));
    let newer = admit(&hosts(&format!("{SECRET}\n{OLDER}\n")), &[]);
    assert!(hosts(SECRET).check(newer["token"].as_str().unwrap(), NOW).is_ok());
}

#[test]
fn nobody_but_the_routers_makes_visitors_and_these_are_nothing_else() {
    let identities = hosts(SECRET);
    for (claim, value, expected) in
        [("sub", json!("ada"), Unidentified::Subject), ("role", json!("agent"), Unidentified::Role)]
    {
        let mut claims = with(claim, value);
        claims["iss"] = json!(VISITOR_ISSUER);
        claims["aud"] = json!(visitor::AUDIENCE);
        if claim != "sub" {
            claims["sub"] = json!("visitor:1");
        }
        assert_eq!(identities.check(&token(&claims), NOW), Err(expected), "{claim}");
    }
}

#[test]
fn a_cookie_is_enough_to_read_and_for_the_same_origin_to_write() {
    let identities = hosts(SECRET);
    let token = admit(&identities, &[])["token"].as_str().unwrap().to_owned();
    let cookie = format!("bulkhead_visitor={token}");
    let ask = |method: &str, more: &[(&str, &str)]| {
        let request = Request::builder()
            .method(method)
            .uri("/v1/conversations")
            .header("host", "shop.example")
            .header("cookie", &cookie);
        let request =
            more.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let (head, ()) = request.body(()).unwrap().into_parts();
        identities.identify(&head, NOW).map(drop)
    };
    assert_eq!(ask("GET", &[("sec-fetch-site", "cross-site")]), Ok(()));
    assert_eq!(ask("POST", &[("sec-fetch-site", "same-origin")]), Ok(()));
    assert_eq!(ask("POST", &[("origin", "https://shop.example")]), Ok(()));
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(ask(method, &[]), Err(Unidentified::CrossSite), "{method}");
        let other = [("origin", "https://evil.example")];
        assert_eq!(ask(method, &other), Err(Unidentified::CrossSite), "{method}");
    }
    let socket = ("upgrade", "websocket");
    let evil = [socket, ("origin", "https://evil.example")];
    assert_eq!(ask("GET", &evil), Err(Unidentified::CrossSite));
    assert_eq!(ask("GET", &[socket, ("origin", "https://shop.example")]), Ok(()));
    let bearer = format!("Bearer {token}");
    let evil = ("origin", "https://evil.example");
    assert_eq!(ask("POST", &[("authorization", &bearer), evil]), Ok(()));
    // A bad bearer token is not made good by a cookie.
    let bad = [("authorization", "Bearer a.b.c")];
    assert_eq!(ask("GET", &bad), Err(Unidentified::Malformed));
}

#[test]
fn a_cookie_that_comes_twice_is_nobodys_and_goes_no_further() {
    let headers = |cookies: &[&str]| {
        let request = cookies
            .iter()
            .fold(Request::get("/"), |request, cookie| request.header("cookie", *cookie));
        request.body(()).unwrap().headers().clone()
    };
    let one = headers(&["a=1; bulkhead_visitor=x.y.z; b=2", "c=3"]);
    assert_eq!(visitor::token(&one), Some("x.y.z"));
    assert_eq!(visitor::without(&one).as_deref(), Some("a=1; b=2; c=3"));
    let two = headers(&["bulkhead_visitor=x.y.z", "bulkhead_visitor=z.y.x"]);
    assert_eq!(visitor::token(&two), None);
    assert_eq!(visitor::without(&two).as_deref(), Some(""));
    let none = headers(&["bulkhead_visitors=1; xbulkhead_visitor=2"]);
    assert_eq!((visitor::token(&none), visitor::without(&none)), (None, None));
}

#[test]
fn a_cookie_is_out_of_scripts_reach_and_secure_where_there_is_tls() {
    let pass = visitor::admit(&KeySet::secrets(SECRET).unwrap(), Some("visitor:1"), NOW).unwrap();
    let plain = pass.cookie(false);
    assert!(plain.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"), "{plain}");
    assert!(pass.cookie(true).ends_with("; HttpOnly; SameSite=Lax; Secure"));
}

/// A router that admits visitors with these keys.
fn hosts(keys: &str) -> Identities {
    let spec = own_issuer(VISITOR_ISSUER, visitor::AUDIENCE);
    let issuer = Issuer::new(&spec, Speaks::ForVisitors, Source::Secret("unused".into()));
    issuer.trust(KeySet::secrets(keys).unwrap());
    Identities { issuers: vec![issuer], verified: Verified::default() }
}

fn admit(identities: &Identities, headers: &[(&str, &str)]) -> Value {
    admitted(identities, headers, NOW).unwrap()
}

fn admitted(
    identities: &Identities,
    headers: &[(&str, &str)],
    now: u64,
) -> Result<Value, Unidentified> {
    let request = headers
        .iter()
        .fold(Request::post(visitor::PATH), |request, (name, value)| request.header(*name, *value));
    let (head, ()) = request.body(()).map_err(|_not| Unidentified::Malformed)?.into_parts();
    let pass = identities.admit_visitor(&head, now)?;
    Ok(serde_json::to_value(pass).unwrap_or_default())
}
