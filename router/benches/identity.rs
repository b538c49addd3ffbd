//! What does it cost to know who asks: the first time a token is seen, and every further time?

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jsonwebtoken::{EncodingKey, Header, encode};
use router::measured::Tokens;
use serde_json::json;
use topology::spec::edge::identity::Algorithm;

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn verification(criterion: &mut Criterion) {
    for algorithm in Algorithm::ALL {
        let (tokens, token) = issued(algorithm);
        assert!(tokens.are_good(&token, NOW));
        criterion.bench_function(&format!("token/{}/first", algorithm.as_str()), |bencher| {
            let forget = || tokens.forget();
            let check = |()| assert!(tokens.are_good(black_box(&token), NOW));
            bencher.iter_batched(forget, check, BatchSize::PerIteration);
        });
    }
    let (tokens, token) = issued(Algorithm::Rs256);
    criterion.bench_function("token/RS256/again", |bencher| {
        bencher.iter(|| assert!(tokens.are_good(black_box(&token), NOW)));
    });
}

/// A router that trusts one key, and a token of it.
fn issued(algorithm: Algorithm) -> (Tokens, String) {
    let (key, public) = pair(algorithm);
    let head = Header::new(algorithm.as_str().parse().expect("an algorithm of both"));
    let claims = json!({"sub": "ada", "aud": "bench", "iss": "bench", "exp": NOW + 3600});
    let token = encode(&head, &claims, &key).expect("the key is one for this algorithm");
    (Tokens::trusting(algorithm, public).expect("the key is a good one"), token)
}

fn pair(algorithm: Algorithm) -> (EncodingKey, &'static str) {
    let (key, public) = match algorithm {
        Algorithm::Hs256 => (Ok(EncodingKey::from_secret(SECRET.as_bytes())), SECRET),
        Algorithm::Rs256 => (
            EncodingKey::from_rsa_pem(include_bytes!("../tests/keys/rs256.pem")),
            include_str!("../tests/keys/rs256.pub.pem"),
        ),
        Algorithm::Es256 => (
            EncodingKey::from_ec_pem(include_bytes!("../tests/keys/es256.pem")),
            include_str!("../tests/keys/es256.pub.pem"),
        ),
        Algorithm::EdDsa => (
            EncodingKey::from_ed_pem(include_bytes!("../tests/keys/eddsa.pem")),
            include_str!("../tests/keys/eddsa.pub.pem"),
        ),
    };
    (key.expect("the key is a good one"), public)
}

criterion_group!(benches, verification);
criterion_main!(benches);
