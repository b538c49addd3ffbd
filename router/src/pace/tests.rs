use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::connections::Seat;

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_closed_when_its_time_is_over() {
    let (_client, mut paced) = connection();
    let begun = Instant::now();
    assert_eq!(paced.read(&mut [0; 16]).await.unwrap(), 0);
    assert_eq!(begun.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_byte_each_second_is_too_slow_and_a_steady_rate_is_not() {
    let (mut client, mut paced) = connection();
    let begun = Instant::now();
    let trickle = async {
        loop {
            client.write_all(b"x").await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let error = tokio::select! {
        error = read_to_error(&mut paced) => error,
        () = trickle => unreachable!("it goes on for ever"),
    };
    assert_eq!((error, begun.elapsed().as_secs()), (io::ErrorKind::TimedOut, 5));

    let (mut client, mut paced) = connection();
    let begun = Instant::now();
    let (read, ()) = tokio::join!(
        async {
            let mut bytes = vec![0; 30 * 1024];
            paced.read_exact(&mut bytes).await.map(|_| begun.elapsed().as_secs())
        },
        async {
            for _ in 0..30 {
                client.write_all(&[b'x'; 1024]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    );
    assert_eq!(read.unwrap(), 29);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_its_answer_may_be_silent() {
    let (mut client, mut paced) = connection();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(paced.read(&mut [0; 64]).await.unwrap(), 18);
    paced.phase(|phase| *phase = Phase::Quiet);
    let hour = Duration::from_hours(1);
    assert!(tokio::time::timeout(hour, paced.read(&mut [0; 64])).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_http_2_is_left_to_its_protocol_once_it_has_begun() {
    let (mut client, mut paced) = connection();
    paced.phase(|phase| *phase = Phase::first(Some(&ALPN::H2)));
    for part in [&PREFACE[..9], &PREFACE[9..]] {
        client.write_all(part).await.unwrap();
        assert_eq!(paced.read(&mut [0; 64]).await.unwrap(), part.len());
    }
    let hour = Duration::from_hours(1);
    assert!(tokio::time::timeout(hour, paced.read(&mut [0; 64])).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn http_2_that_does_not_begin_is_given_the_time_of_a_head() {
    for said in [0, 1, PREFACE.len() - 1] {
        let (mut client, mut paced) = connection();
        paced.phase(|phase| *phase = Phase::first(Some(&ALPN::H2)));
        let begun = Instant::now();
        client.write_all(&PREFACE[..said]).await.unwrap();
        let hour = Duration::from_hours(1);
        let error = tokio::time::timeout(hour, read_to_error(&mut paced)).await;
        assert_eq!(error.ok(), Some(io::ErrorKind::TimedOut), "{said}");
        assert_eq!(begun.elapsed().as_secs(), 5, "{said}");
    }
}

/// Without TLS nobody has agreed on HTTP/2: its first words are a request like any other.
#[tokio::test(start_paused = true)]
async fn the_first_words_of_http_2_keep_no_plain_connection_open() {
    let (mut client, mut paced) = connection();
    client.write_all(PREFACE).await.unwrap();
    let begun = Instant::now();
    let error = read_to_error(&mut paced).await;
    assert_eq!((error, begun.elapsed().as_secs()), (io::ErrorKind::TimedOut, 5));
}

async fn read_to_error(paced: &mut Paced) -> io::ErrorKind {
    loop {
        match paced.read(&mut [0; 16]).await {
            Ok(count) => assert!(count > 0, "it was closed without an error"),
            Err(err) => return err.kind(),
        }
    }
}

fn connection() -> (DuplexStream, Paced) {
    let (client, router) = duplex(64 * 1024);
    (client, Paced::new(Box::new(router), &Limits::default(), Seat::default()))
}
