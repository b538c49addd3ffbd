use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use pingora_core::protocols::l4::socket::SocketAddr as PeerAddr;
use pingora_core::protocols::l4::stream::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;
use topology::snapshot::RoutedCell;
use topology::{Activation, Epoch, Phase, Placement, Version};

use super::*;
use crate::decide::retry::Repeatable;

#[tokio::test]
async fn connections_outlive_an_election_and_end_when_a_later_epoch_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let table = Table::new(None);
    apply(&table, 7, steady(), address);
    let mut repeatable = connect(&table, Repeatable::Safe).await;
    let (mut site, _) = listener.accept().await.unwrap();
    let mut bytes = [0; 1];

    apply(&table, 8, Phase::Electing { predecessor: None }, address);
    site.write_all(b"a").await.unwrap();
    assert_eq!(repeatable.read(&mut bytes).await.unwrap(), 1);

    apply(&table, 9, steady(), address);
    let read = timeout(Duration::from_secs(5), repeatable.read(&mut bytes)).await;
    assert_eq!(read.expect("the connection has ended").unwrap(), 0);
}

#[tokio::test]
async fn a_request_that_may_not_be_repeated_goes_on_waiting_for_its_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let table = Table::new(None);
    apply(&table, 7, steady(), address);
    let mut once = connect(&table, Repeatable::Never).await;
    let (mut site, _) = listener.accept().await.unwrap();
    apply(&table, 9, steady(), address);
    site.write_all(b"a").await.unwrap();
    assert_eq!(once.read(&mut [0; 1]).await.unwrap(), 1);
}

#[tokio::test]
async fn the_same_epoch_keeps_its_site_and_the_cell_its_memory() {
    let address = "127.0.0.1:9".parse().unwrap();
    let table = Table::new(None);
    apply(&table, 7, steady(), address);
    let before = table.current().unwrap();
    apply(&table, 7, steady(), address);
    let after = table.current().unwrap();
    let cell = |applied: &Applied| applied.find(own()).unwrap().1.clone();
    assert!(Arc::ptr_eq(&cell(&before).memory, &cell(&after).memory));
    assert!(Arc::ptr_eq(&cell(&before).site.unwrap(), &cell(&after).site.unwrap()));
}

#[tokio::test]
async fn what_a_site_says_of_a_later_epoch_holds_until_etcd_says_as_much() {
    let table = Table::new(None);
    let address = "127.0.0.1:9".parse().unwrap();
    apply(&table, 7, steady(), address);
    let cell: CellId = "c1".parse().unwrap();
    let hear = |epoch, region: &str| {
        let hint = Hint { epoch: Epoch(epoch), region: region.parse().unwrap() };
        table.hear(&cell, hint, Instant::now());
    };
    let epoch = || table.current().unwrap().find(own()).unwrap().0.epoch.0;
    hear(7, "east");
    assert_eq!((epoch(), table.heard().len()), (7, 0));
    hear(9, "nowhere");
    assert_eq!((epoch(), table.heard().len()), (7, 0));
    hear(9, "east");
    assert_eq!(epoch(), 9);
    // Late, and said again by etcd.
    apply(&table, 8, Phase::Electing { predecessor: None }, address);
    assert_eq!(epoch(), 9);
    assert!(table.current().unwrap().find(own()).unwrap().0.has_site);
    apply(&table, 10, Phase::Electing { predecessor: None }, address);
    assert_eq!((epoch(), table.heard().len()), (10, 0));
}

async fn connect(table: &Table, repeatable: Repeatable) -> Stream {
    let site = table.current().unwrap().find(own()).unwrap().1.site.clone().unwrap();
    let lines = site.peer(repeatable, None).options.custom_l4.unwrap();
    lines.connect(&PeerAddr::Inet(site.gateway)).await.unwrap()
}

fn own() -> Whose<'static> {
    static ADA: LazyLock<(Aim, HeaderValue)> =
        LazyLock::new(|| (Aim::Own(topology::Slot::of("ada")), HeaderValue::from_static("ada")));
    Whose { aim: &ADA.0, user: &ADA.1 }
}

fn steady() -> Phase {
    Phase::Steady { active: "east".parse().unwrap() }
}

fn apply(table: &Table, epoch: u64, phase: Phase, gateway: SocketAddr) {
    let activation = Activation {
        epoch: Epoch(epoch),
        phase,
        voters: [].into(),
        retired: [].into(),
        acks: 1,
        system: None,
        elected_at: None,
        cause: None,
        reason: String::new(),
    };
    let gateways = [("east".parse().unwrap(), gateway)].into();
    let cell: CellId = "c1".parse().unwrap();
    let snapshot = Snapshot {
        version: Version(epoch),
        placement: Placement::plan(&[(cell.clone(), 1)].into(), Version(1)),
        cells: [(cell, RoutedCell { activation, gateways })].into(),
    };
    let followed = Followed { snapshot: Arc::new(snapshot), stale: false, rolled_back: None };
    table.apply(&followed, Instant::now());
}
