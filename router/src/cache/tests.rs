use super::*;

#[test]
fn an_answer_is_kept_as_it_says_and_no_longer() {
    for (control, expected) in [
        ("max-age=60", "60 s"),
        ("public, max-age=60, s-maxage=90", "90 s"),
        ("max-age=60, stale-while-revalidate=30, stale-if-error=600", "60 s, 30 s, 600 s"),
        ("max-age=60, must-revalidate, stale-if-error=600", "60 s"),
        ("max-age=60, no-cache", "0 s"),
        ("public", "not kept"),
        ("", "not kept"),
        ("no-store, max-age=60", "not kept"),
        ("private, max-age=60", "not kept"),
        ("max-age=banana", "not kept"),
    ] {
        assert_eq!(kept("", &[("cache-control", control)]), expected, "{control}");
    }
}

#[test]
fn what_is_or_may_be_somebodys_own_is_never_kept() {
    let long = ("cache-control", "public, max-age=60");
    assert_eq!(kept("", &[long]), "60 s");
    assert_eq!(kept("cookie", &[long]), "not kept");
    assert_eq!(kept("authorization", &[long]), "not kept");
    assert_eq!(kept("", &[long, ("set-cookie", "a=b")]), "not kept");
    assert_eq!(kept("", &[long, ("vary", "accept, *")]), "not kept");
    assert_eq!(kept("", &[long, ("content-length", "1048577")]), "not kept");
}

#[test]
fn only_answers_that_mean_the_same_to_everybody_are_kept() {
    for status in [200, 301, 308, 404, 410] {
        assert!(keeps(&get(""), &answer(status)).is_cacheable(), "{status}");
    }
    for status in [206, 302, 304, 401, 403, 421, 500, 503] {
        assert!(!keeps(&get(""), &answer(status)).is_cacheable(), "{status}");
    }
}

#[test]
fn a_variant_is_told_by_the_headers_that_vary_names_and_by_no_other() {
    let meta = |vary: &str| {
        let mut head = answer(200);
        head.append_header("vary", vary.to_owned()).unwrap();
        keeps(&get(""), &head).unwrap_meta()
    };
    let asks = |name: &'static str, value: &str| {
        let mut request = get("");
        request.insert_header(name, value.to_owned()).unwrap();
        request
    };
    let language = meta("Accept-Language");
    let of = |name, value| variant(&language, &asks(name, value));
    assert_ne!(of("accept-language", "zh"), of("accept-language", "en"));
    assert_ne!(of("accept-language", "zh"), variant(&language, &get("")));
    assert_eq!(of("accept-encoding", "gzip"), variant(&language, &get("")));
    assert_eq!(variant(&keeps(&get(""), &answer(200)).unwrap_meta(), &get("")), None);
}

/// Returns how long an answer is kept, and served stale while it is refreshed, and on errors.
fn kept(asked_with: &'static str, headers: &[(&'static str, &str)]) -> String {
    let mut response = ResponseHeader::build(200, None).unwrap();
    for (name, value) in headers {
        response.append_header(*name, (*value).to_owned()).unwrap();
    }
    let RespCacheable::Cacheable(meta) = keeps(&get(asked_with), &response) else {
        return "not kept".to_owned();
    };
    let stale = [meta.stale_while_revalidate_sec(), meta.stale_if_error_sec()];
    let mut times = vec![format!("{} s", meta.fresh_sec())];
    times.extend(stale.into_iter().filter(|time| *time > 0).map(|time| format!("{time} s")));
    times.join(", ")
}

fn get(asked_with: &'static str) -> RequestHeader {
    let mut request = RequestHeader::build("GET", b"/widget/", None).unwrap();
    if !asked_with.is_empty() {
        request.insert_header(asked_with, "a=b").unwrap();
    }
    request
}

fn answer(status: u16) -> ResponseHeader {
    let mut response = ResponseHeader::build(status, None).unwrap();
    response.insert_header("cache-control", "max-age=60").unwrap();
    response
}
