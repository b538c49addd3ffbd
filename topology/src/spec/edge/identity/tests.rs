use super::*;
use crate::Spec;

#[test]
fn without_the_section_the_development_issuer_is_trusted() {
    assert_eq!(Spec::parse(&spec("")).unwrap().edge.identity, Trust::Development);
}

#[test]
fn each_kind_of_key_is_read() {
    let trust = read(
        "- {issuer: a, audience: us, algorithms: [HS256], keys: {secret: secrets/a.keys}}
         - {issuer: b, audience: us, algorithms: [RS256, EdDSA], keys: {pem: [one.pem, two.pem]}}
         - {issuer: c, audience: us, algorithms: [HS256, ES256], keys: {jwks: set.json}, leeway: 30s}
         - {issuer: d, audience: us, algorithms: [RS256], keys: {jwks-url: 'https://d.example/k?v=1'}}",
    );
    let issuer = |name: &str, algorithms: &[Algorithm], keys, seconds| Issuer {
        name: name.to_owned(),
        audience: "us".to_owned(),
        algorithms: algorithms.to_vec(),
        keys,
        leeway: Duration::from_secs(seconds),
    };
    let url = KeyUrl { is_tls: true, host: "d.example".into(), port: 443, path: "/k?v=1".into() };
    let pem = vec![PathBuf::from("one.pem"), PathBuf::from("two.pem")];
    let expected = vec![
        issuer("a", &[Algorithm::Hs256], Keys::Secret("secrets/a.keys".into()), 5),
        issuer("b", &[Algorithm::Rs256, Algorithm::EdDsa], Keys::Pem(pem), 5),
        issuer("c", &[Algorithm::Hs256, Algorithm::Es256], Keys::Jwks("set.json".into()), 30),
        issuer("d", &[Algorithm::Rs256], Keys::Url(url), 5),
    ];
    assert_eq!(trust, Trust::Issuers(expected));
}

#[test]
fn each_mistake_about_an_issuer_is_a_finding() {
    check(
        "- {issuer: a, audience: us, algorithms: [RS512], keys: {pem: [one.pem]}}
         - {issuer: b, algorithms: [RS256], keys: {pem: [one.pem], jwks: set.json}}
         - {issuer: c, audience: us, algorithms: [HS256, RS256], keys: {pem: [one.pem]}}
         - {issuer: d, audience: us, algorithms: [RS256], keys: {secret: a.key}, leeway: 1h}
         - {issuer: d, audience: us, algorithms: [ES256], keys: {pem: one.pem}}
         - {issuer: d, audience: us, algorithms: [ES256], keys: {jwks: set.json}}
         - {issuer: bulkhead-visitor, audience: us, algorithms: [ES256], keys: {jwks: set.json}}",
        "line 15: edge.identity[0].algorithms: expected some of HS256, RS256, ES256 and EdDSA, found [RS512]
         line 16: edge.identity[1]: audience is missing
         line 16: edge.identity[1].keys: expected one of secret, pem, jwks and jwks-url, found [pem, jwks]
         line 17: edge.identity[2].algorithms: HS256, RS256 is out of range: a public key is not for HS256
         line 18: edge.identity[3].algorithms: RS256 is out of range: a secret is for HS256 only
         line 18: edge.identity[3].leeway: 3600s is out of range: at most 5 minutes
         line 19: edge.identity[4].keys.pem: expected a list of files, found \"one.pem\"
         line 20: edge.identity[5].issuer: issuer d is listed twice
         line 21: edge.identity[6].issuer: bulkhead-visitor is out of range: the routers' own",
    );
}

#[test]
fn keys_are_fetched_with_tls_or_from_this_machine() {
    for (text, expected) in [
        ("http://127.0.0.1:8000/keys", Ok("http://127.0.0.1:8000/keys")),
        ("https://login.example", Ok("https://login.example:443/")),
        (
            "http://login.example/keys",
            Err("a URL that begins with https://, for it is not on this machine"),
        ),
        ("ftp://login.example/keys", Err("a URL that begins with https://")),
        ("https://", Err("a URL with a host's name or IPv4 address")),
        ("https://me@login.example/", Err("a URL with a host's name or IPv4 address")),
        ("https://login.example:x/", Err("a URL with a valid port")),
        ("https://login.example/a b", Err("a URL whose path is printable ASCII without #")),
    ] {
        let url = text.parse::<KeyUrl>().map(|url| url.to_string());
        assert_eq!(url, expected.map(str::to_owned), "{text}");
    }
}

fn read(issuers: &str) -> Trust {
    Spec::parse(&spec(issuers)).unwrap().edge.identity
}

#[track_caller]
fn check(issuers: &str, expected: &str) {
    let findings = Spec::parse(&spec(issuers)).unwrap_err();
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(lines, expected);
}

/// The list begins in line 15.
fn spec(issuers: &str) -> String {
    let identity = if issuers.is_empty() {
        String::new()
    } else {
        format!("  identity:\n    {}", issuers.replace("\n         ", "\n    "))
    };
    format!(
        "version: 1
regions:
  - {{id: east, name: 华东, network: 127.1.0.0/16}}
  - {{id: north, name: 华北, network: 127.2.0.0/16}}
  - {{id: south, name: 华南, network: 127.3.0.0/16}}
cells:
  - {{id: c1, weight: 1, home: east, standbys: [north, south]}}
lease: {{renew: 500ms, right: 1600ms, patience: 2s}}
messages: weak
edge:
  listen: '127.0.0.1:8080'
  admin: '127.0.0.1:9080'
  routers: 2
{identity}
"
    )
}
