use std::net::TcpStream;

use super::*;

#[tokio::test]
async fn a_sibling_shares_the_users_sockets_and_nothing_ends() {
    let meeting = Place::new("share");
    let first = share(&[USERS.parse().unwrap()], &meeting.of(1)).unwrap();
    let users = address_of(&first);
    let giving = Giving::start(&meeting.of(1), first, Listening::new()).unwrap();
    let (replaced, second) = tokio::join!(
        timeout(SAY, giving.until_replaced()),
        tokio::task::spawn_blocking({
            let sibling = meeting.of(2);
            move || ask(&sibling.siblings[0], SHARE).unwrap().0
        })
    );
    assert!(replaced.is_err(), "it goes on");
    let listener = second.unwrap().remove(&USERS.parse().unwrap()).unwrap();
    assert_eq!(listener.local_addr().unwrap(), users);
    let client = TcpStream::connect(users).unwrap();
    assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
}

#[tokio::test]
async fn a_successor_gets_every_socket_and_replaces_when_it_serves() {
    let meeting = Place::new("succeed");
    let users = share(&[USERS.parse().unwrap()], &meeting.of(1)).unwrap();
    let admin = Listening::from([("127.0.0.1:1".parse().unwrap(), bind_any())]);
    let giving = Giving::start(&meeting.of(1), users, admin).unwrap();
    let place = meeting.of(1);
    let successor = tokio::task::spawn_blocking(move || {
        // One that dies before it serves changes nothing.
        drop(succeed(&place).unwrap());
        let (sockets, predecessor) = succeed(&place).unwrap();
        assert_eq!(sockets.len(), 2);
        predecessor
    });
    let (replaced, dismissed) = tokio::join!(
        async {
            let outcome = giving.until_replaced().await;
            drop(giving);
            outcome
        },
        async {
            let predecessor = successor.await.unwrap();
            tokio::task::spawn_blocking(|| predecessor.dismiss()).await.unwrap()
        }
    );
    assert!(replaced.is_ok() && dismissed.is_ok(), "{replaced:?} {dismissed:?}");
}

#[test]
fn what_a_dead_router_left_behind_is_nobody() {
    let meeting = Place::new("stale");
    std::fs::write(&meeting.of(1).own, "").unwrap();
    assert!(succeed(&meeting.of(1)).is_err());
    assert_eq!(share(&[USERS.parse().unwrap()], &meeting.of(2)).unwrap().len(), 1);
}

#[test]
fn an_address_in_use_is_named() {
    let meeting = Place::new("taken");
    let taken = bind_any();
    let address = taken.local_addr().unwrap();
    let refused = share(&[address], &meeting.of(1)).unwrap_err();
    assert!(refused.to_string().contains("is another process using it"), "{refused:#}");
}

/// The kernel chooses a port: these tests run beside others.
const USERS: &str = "127.0.0.1:0";

fn bind_any() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn address_of(sockets: &Listening) -> SocketAddr {
    sockets.values().next().unwrap().local_addr().unwrap()
}

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("bulkhead-sockets-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn of(&self, number: u16) -> Meeting {
        let path = |number: u16| self.0.join(number.to_string());
        Meeting {
            own: path(number),
            siblings: (1..=2).filter(|n| *n != number).map(path).collect(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}
