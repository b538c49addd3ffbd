//! Keys that an issuer publishes, and what becomes of its users when it is gone.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use http::{Method, StatusCode};
use jsonwebtoken::{Algorithm, Header, encode};
use serde_json::json;

use crate::client::{ada, code, token};
use crate::issuer::{key, set};
use crate::site::Site;
use crate::world::World;

const ISSUER: &str = "https://login.example";

#[tokio::test]
async fn users_of_an_issuer_are_known_while_it_is_gone_and_after_a_restart() {
    let site = Site::start([]);
    let issuer = Provider::start(&set("k1", Algorithm::EdDSA));
    let identity = trusting(issuer.address);
    let mut world = World::with_edge(|_| identity, |_| (), site.address).await;
    world
        .eventually("the keys are fetched", async || {
            (ask(&world, "ada").await.0 == StatusCode::OK).then_some(())
        })
        .await;
    issuer.is_gone.store(true, Ordering::Relaxed);
    world.restart_router_without_etcd().await;
    assert_eq!(ask(&world, "grace").await.0, StatusCode::OK);
    // With an issuer of one's own, the development issuer is nobody.
    let bearer = format!("Bearer {}", token(&ada()));
    let told =
        world.client().ask_as_is(Method::GET, "/v1/me", &[("authorization", &bearer)], "").await;
    assert_eq!((told.status, code(&told)), (StatusCode::UNAUTHORIZED, "token-issuer".to_owned()));
    assert_eq!(world.metric("router_development_issuer ").await, Some(0.0));
    assert_eq!(world.explain().await.unwrap()["development_issuer"], json!(false));
}

#[tokio::test]
async fn before_its_keys_have_come_an_issuers_users_are_asked_to_come_back() {
    let site = Site::start([]);
    let issuer = Provider::start("no keys");
    let identity = trusting(issuer.address);
    let world = World::with_edge(|_| identity, |_| (), site.address).await;
    assert_eq!(
        ask(&world, "ada").await,
        (StatusCode::SERVICE_UNAVAILABLE, "keys-unavailable".into())
    );
    *issuer.body.lock().unwrap() = set("k1", Algorithm::EdDSA);
    world
        .eventually("the keys are fetched", async || {
            (ask(&world, "ada").await.0 == StatusCode::OK).then_some(())
        })
        .await;
}

async fn ask(world: &World, user: &str) -> (StatusCode, String) {
    let now = runtime::clock::unix_millis() / 1000;
    let claims = json!({"sub": user, "aud": "us", "iss": ISSUER, "exp": now + 3600});
    let mut head = Header::new(Algorithm::EdDSA);
    head.kid = Some("k1".to_owned());
    let bearer = format!("Bearer {}", encode(&head, &claims, &key(Algorithm::EdDSA)).unwrap());
    let headers = [("authorization", bearer.as_str())];
    let answer = world.client().ask_as_is(Method::GET, "/v1/me", &headers, "").await;
    let code = if answer.status.is_success() { String::new() } else { code(&answer) };
    (answer.status, code)
}

fn trusting(provider: SocketAddr) -> String {
    format!(
        "identity: [{{issuer: '{ISSUER}', audience: us, algorithms: [EdDSA], \
         keys: {{jwks-url: 'http://{provider}/keys'}}}}]"
    )
}

/// An issuer that publishes what the test tells it to.
struct Provider {
    address: SocketAddr,
    body: Arc<Mutex<String>>,
    is_gone: Arc<AtomicBool>,
}

impl Provider {
    fn start(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let body = Arc::new(Mutex::new(body.to_owned()));
        let is_gone = Arc::new(AtomicBool::default());
        let (told, gone) = (Arc::clone(&body), Arc::clone(&is_gone));
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                if gone.load(Ordering::Relaxed) {
                    continue;
                }
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
                let body = told.lock().unwrap().clone();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        Self { address, body, is_gone }
    }
}
