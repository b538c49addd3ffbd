//! What the agent hears and says where PostgreSQL takes it for a server: who wants in, and that nobody may.

use anyhow::{Context as _, ensure};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use postgres_protocol::message::backend::ERROR_RESPONSE_TAG;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Version 3.0, the only one there is.
const VERSION: u32 = 3 << 16;
/// Longest first message that PostgreSQL takes itself.
const STARTUP_MAX: usize = 10_000;

/// Hears, as a server does, under which name somebody wants to replicate.
pub(super) async fn name_asked(client: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<String> {
    let length = client.read_u32().await.context("hear how long the first message is")? as usize;
    ensure!((8..=STARTUP_MAX).contains(&length), "a first message of {length} bytes");
    let mut message = vec![0; length - 4];
    client.read_exact(&mut message).await.context("hear the first message")?;
    let mut message = message.as_slice();
    let version = message.get_u32();
    ensure!(version == VERSION, "another protocol than 3.0: {version:#x}");
    let texts: Vec<&[u8]> = message.split(|byte| *byte == 0).collect();
    let name = texts.chunks_exact(2).find(|pair| pair[0] == b"application_name");
    let name = name.context("the first message names nobody")?[1];
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// Returns what a server says that lets nobody in.
pub(super) fn refusal(reason: &str) -> Bytes {
    let reason = reason.replace('\0', " ");
    let mut fields = BytesMut::new();
    for (code, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', "08006"), (b'M', reason.as_str())]
    {
        fields.put_u8(code);
        fields.put_slice(text.as_bytes());
        fields.put_u8(0);
    }
    fields.put_u8(0);
    let mut message = BytesMut::new();
    message.put_u8(ERROR_RESPONSE_TAG);
    message.put_u32(u32::try_from(fields.len() + 4).unwrap_or(u32::MAX));
    message.put_slice(&fields);
    message.freeze()
}

#[cfg(test)]
mod tests {
    use fallible_iterator::FallibleIterator as _;
    use postgres_protocol::message::backend::Message;
    use postgres_protocol::message::frontend::startup_message;

    use super::*;

    #[tokio::test]
    async fn who_wants_in_says_a_name() {
        let who = [("user", "replicator"), ("options", ""), ("application_name", "c1_south_e9")];
        let mut message = BytesMut::new();
        startup_message(who, &mut message).unwrap();
        assert_eq!(name_asked(&mut &message[..]).await.unwrap(), "c1_south_e9");
    }

    #[tokio::test]
    async fn what_is_no_first_message_is_told_apart() {
        let with_version = |length: u32, version: u32, rest: &[u8]| {
            [&length.to_be_bytes()[..], &version.to_be_bytes(), rest].concat()
        };
        for (message, expected) in [
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "a first message of 1195725856 bytes"),
            (with_version(7, VERSION, b""), "a first message of 7 bytes"),
            (with_version(8, 80_877_103, b""), "another protocol than 3.0: 0x4d2162f"),
            (with_version(8, VERSION, b""), "the first message names nobody"),
            (with_version(20, VERSION, b"user\0ada\0\0"), "hear the first message"),
            (with_version(19, VERSION, b"user\0ada\0\0x"), "the first message names nobody"),
            (Vec::new(), "hear how long the first message is"),
        ] {
            let told = name_asked(&mut &message[..]).await.unwrap_err();
            assert_eq!(told.to_string(), expected, "{message:?}");
        }
    }

    #[test]
    fn a_refusal_is_understood_with_its_reason() {
        let mut said = BytesMut::from(&refusal("log in to 127.0.0.1:1:\0 nobody there")[..]);
        let Ok(Some(Message::ErrorResponse(told))) = Message::parse(&mut said) else {
            panic!("no complaint");
        };
        let fields: Vec<(u8, Vec<u8>)> = told
            .fields()
            .map(|field| Ok((field.type_(), field.value_bytes().to_vec())))
            .collect()
            .unwrap();
        assert!(fields.contains(&(b'S', b"FATAL".to_vec())));
        assert!(fields.contains(&(b'M', b"log in to 127.0.0.1:1:  nobody there".to_vec())));
        assert!(said.is_empty());
    }
}
