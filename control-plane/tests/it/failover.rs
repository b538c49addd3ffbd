use control_plane::decide::first_start;
use topology::snapshot::RoutedCell;
use topology::wire::key;

use crate::platform::{Platform, REGIONS};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_writes_placement_and_cells_once() {
    Platform::run(&REGIONS, async |platform| {
        platform.until_cell_is("epoch 1, steady in east").await;
        let placement = platform.client.read(&[key::PLACEMENT]).await.unwrap();
        assert_eq!(placement.len(), 1);
        let stored = platform.cell().await.unwrap();
        let first = first_start::cell(&platform.spec, &platform.spec.cells[0]);
        assert_eq!(stored.gateways, first.gateways);
        assert_eq!(stored.activation.voters, first.activation.voters);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_active_site_is_followed_by_the_furthest_voter_under_one_election() {
    // Three control planes see it die, and one of them moves the cell.
    Platform::run(&REGIONS, async |platform| {
        known_everywhere(platform).await;
        platform.agent("south").told(|south| south.lsn = 1200);
        platform.agent("east").told(|east| east.dead = true);
        platform.until_cell_is("epoch 3, steady in south").await;
        let stored = platform.cell().await.unwrap();
        let voters: Vec<&str> =
            stored.activation.voters.iter().map(topology::RegionId::as_str).collect();
        assert_eq!(voters, ["east", "north"]);
        for region in ["north", "south"] {
            let asked = platform.agent(region).told(|voter| voter.votes.clone());
            assert_eq!(asked, [(2, false)], "{region}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_willing_voter_too_few_moves_nothing() {
    Platform::run(&["north", "south"], async |platform| {
        known_everywhere_but_east(platform).await;
        platform.agent("south").told(|south| south.unwilling = true);
        platform.agent("east").told(|east| east.dead = true);
        let asked = platform.until(async || platform.agent("south").told(|south| south.dry > 3));
        assert!(asked.await, "the voters were not asked");
        let stored = platform.cell().await.unwrap();
        assert_eq!(stored.activation.to_string(), "epoch 1, steady in east");
        let votes = platform.agent("north").told(|north| north.votes.clone());
        assert_eq!(votes, []);

        // And then it does move, once there is one more.
        platform.agent("south").told(|south| south.unwilling = false);
        platform.until_cell_is("epoch 3, steady in north").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn voters_far_away_are_asked_before_a_take_over_is_due_and_not_again() {
    let far = |text: String| text.replace("patience: 1s", "patience: 4s") + "round-trip: 500ms\n";
    let platform = Platform::prepare_spec(&["east"], far);
    let run = platform.start(&["north"], async |platform| {
        platform.until_known("north").await;
        platform.agent("east").told(|east| east.dead = true);
        platform.until_cell_is("epoch 3, steady in north").await;
        for region in ["north", "south"] {
            let asked =
                platform.agent(region).told(|voter| (voter.ahead_ms.clone(), voter.votes.clone()));
            assert_eq!(asked, (vec![1000], vec![(2, false)]), "{region}");
        }
    });
    run.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_election_with_too_few_votes_goes_on_under_new_epochs_until_there_are_enough() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        platform.agent("south").told(|south| south.unwilling = true);
        platform.agent("east").told(|east| east.dead = true);
        elect(platform).await;
        let voted =
            platform.until(async || platform.agent("north").told(|north| north.votes.len() >= 2));
        assert!(voted.await, "no second round");
        let epochs = platform.agent("north").told(|north| north.votes.clone());
        assert!(epochs.is_sorted_by(|a, b| a.0 < b.0), "{epochs:?}");
        platform.agent("south").told(|south| south.unwilling = false);
        let opened = platform.until(async || {
            platform.cell().await.is_some_and(|cell| cell.activation.serving().is_some())
        });
        assert!(opened.await, "the election never ended");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_gives_its_right_up_itself_is_followed_at_once() {
    Platform::run(&REGIONS, async |platform| {
        known_everywhere(platform).await;
        platform.agent("south").told(|south| south.lsn = 1200);
        elect(platform).await;
        // Epoch 2 is the site's own; the control plane that picks it up begins epoch 3.
        platform.until_cell_is("epoch 4, steady in south").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_move_that_nobody_drives_any_more_is_brought_to_an_end() {
    Platform::run(&["south"], async |platform| {
        platform.until_known("south").await;
        let south = "south".parse().unwrap();
        platform
            .write(|cell| RoutedCell {
                activation: cell.activation.switch(&south, "by one that died").unwrap(),
                gateways: cell.gateways.clone(),
            })
            .await;
        // East has everything, and the voters are no further: a tie goes to a voter.
        platform.until_cell_is("epoch 4, steady in north").await;
        let asked = platform.agent("east").told(|east| east.votes.clone());
        assert!(asked.iter().all(|(epoch, predecessor)| (*epoch, *predecessor) == (3, true)));
    })
    .await;
}

/// Writes what an agent writes that gives up.
async fn elect(platform: &Platform) {
    platform
        .write(|cell| RoutedCell {
            activation: cell.activation.elect("given up by the agent"),
            gateways: cell.gateways.clone(),
        })
        .await;
}

async fn known_everywhere(platform: &Platform) {
    platform.until_known("east").await;
    known_everywhere_but_east(platform).await;
}

async fn known_everywhere_but_east(platform: &Platform) {
    platform.until_known("north").await;
    platform.until_known("south").await;
}
