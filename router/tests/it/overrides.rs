//! A user who lives in another cell than their slot's.

use http::{Method, StatusCode};

use crate::site::{Act, Site};
use crate::world::World;

#[tokio::test]
async fn a_user_who_lives_apart_goes_there_and_nobody_else_does() {
    let (first, second) = (Site::start([]), Site::start([]));
    let mut world = World::with_two_cells("", first.address, second.address).await;
    let users: Vec<String> = world.users_of("c1").take(2).collect();
    world.publish_apart(&users[0], "c2").await;
    for (user, cell) in [(&users[0], "c2"), (&users[1], "c1")] {
        let answer = world.client().ask_as(user, Method::GET, &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["x-bulkhead-cell"], cell);
    }
    assert_eq!(first.seen()[0].headers["x-bulkhead-user"], users[1]);
    let apart = second.seen().remove(0);
    assert_eq!(apart.headers["x-bulkhead-user"], users[0]);
    assert_eq!(apart.headers["x-bulkhead-cell"], "c2");
    world.publish_apart(&users[0], "c1").await;
    let answer = world.client().ask_as(&users[0], Method::GET, &[]).await;
    assert_eq!(answer.headers["x-bulkhead-cell"], "c1");
}

#[tokio::test]
async fn a_request_that_a_cell_no_longer_takes_waits_until_its_user_is_elsewhere() {
    let (first, second) = (Site::start([Act::Misdirect]), Site::start([]));
    let mut world = World::with_two_cells("", first.address, second.address).await;
    let user = world.users_of("c1").next().unwrap();
    let client = world.client();
    let (answer, ()) = tokio::join!(client.ask_as(&user, Method::POST, &[]), async {
        world.held(1.0).await;
        world.publish_apart(&user, "c2").await;
    });
    assert_eq!(
        (answer.status, &answer.headers["x-bulkhead-cell"]),
        (StatusCode::OK, &"c2".parse().unwrap())
    );
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
}
