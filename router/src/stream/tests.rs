use http::Request;

use super::*;

#[test]
fn streams_are_told_by_what_is_asked_for() {
    let kind = |name, value| {
        let (head, ()) = Request::get("/").header(name, value).body(()).unwrap().into_parts();
        Kind::of(&head)
    };
    assert_eq!(kind("accept", "text/event-stream, */*"), Some(Kind::Events));
    assert_eq!(kind("upgrade", "WebSocket"), Some(Kind::Socket));
    assert_eq!(kind("accept", "application/json"), None);
}

#[test]
fn events_end_only_between_two_whole_ones() {
    for (seen, may_end) in [
        ("", true),
        ("id: 1\ndata: a\n\n", true),
        ("id: 1\r\ndata: a\r\n\r\n", true),
        (": ping\n\n", true),
        ("id: 1\ndata: a\n\nid: 2\nda", false),
        ("id: 1\ndata: a\n", false),
    ] {
        let mut whole = Carried::new(Kind::Events);
        whole.saw(seen.as_bytes());
        assert_eq!(whole.last_words().is_some(), may_end, "{seen:?}");
        let mut bytewise = Carried::new(Kind::Events);
        seen.bytes().for_each(|byte| bytewise.saw(&[byte]));
        assert_eq!(bytewise.last_words().is_some(), may_end, "{seen:?} byte by byte");
    }
}

#[test]
fn a_socket_ends_only_between_two_whole_messages() {
    let long = [&[0x81, 126, 1, 0][..], &[b'a'; 256]].concat();
    let longest = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &vec![0; 65_536]].concat();
    for (seen, may_end) in [
        (&b""[..], true),
        (&[0x81, 2, b'h', b'i'], true),
        (&[0x81, 2, b'h'], false),
        (&[0x81], false),
        (&long, true),
        (&long[..long.len() - 1], false),
        (&long[..3], false),
        (&longest, true),
        (&longest[..longest.len() - 1], false),
        // A message in two frames, with a ping in between.
        (&[0x01, 1, b'h', 0x89, 0], false),
        (&[0x01, 1, b'h', 0x89, 0, 0x80, 1, b'i'], true),
        // The site has said goodbye itself.
        (&[0x88, 2, 3, 0xf4], false),
    ] {
        let mut whole = Carried::new(Kind::Socket);
        whole.saw(seen);
        assert_eq!(whole.last_words().is_some(), may_end, "{:?}", &seen[..seen.len().min(12)]);
        let mut bytewise = Carried::new(Kind::Socket);
        for byte in seen {
            bytewise.saw(&[*byte]);
        }
        assert_eq!(bytewise.last_words().is_some(), may_end, "byte by byte");
    }
}

#[test]
fn a_sockets_last_words_are_a_message_and_the_end() {
    let said = Carried::new(Kind::Socket).last_words().unwrap();
    let text = br#"{"type":"moved"}"#;
    assert_eq!(said[..2], [0x81, 16]);
    assert_eq!(&said[2..18], text);
    assert_eq!(said[18..], [0x88, 2, 0x03, 0xf4]);
}
