//! What an HTTP/1 request's bytes say that its parser does not pass on.
//!
//! The parser writes a request's first line anew where that has spaces or quotation marks in its
//! target, and reads a chunk without a size as the last one. Nobody can tell afterwards; who sees
//! the bytes first can.
//!
//! Each request's head begins with a read of its own: what is read beyond a request ends its
//! connection, and so does an answer before the body is whole.

use super::chunks::Chunks;

/// Between a head and its body.
const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// What the parser has made something else of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corrected {
    Target,
    ChunkSize,
}

/// How far a client is with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Head(Head),
    /// A body in chunks.
    Chunked(Chunks),
    /// Nothing is to be seen here: another body, or another protocol.
    Other,
}

/// A head, and what has come with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    bytes: usize,
    /// Something else than the empty lines that a head may have before it (RFC 9112, section 2.2).
    has_begun: bool,
    /// The last bytes of it, in which a blank line may have begun.
    last: [u8; BLANK_LINE.len() - 1],
    /// Whole as of the last read: how long it is, and what a body in chunks begins with.
    whole: Option<(usize, Chunks)>,
}

impl Arrival {
    /// Returns where a request begins.
    pub(crate) fn first() -> Self {
        Self::Head(Head::default())
    }

    /// Follows what has been read.
    pub(crate) fn saw(&mut self, bytes: &[u8]) {
        match self {
            Self::Head(head) => head.saw(bytes),
            Self::Chunked(chunks) => chunks.saw(bytes),
            Self::Other => {}
        }
    }

    /// Notes that the parser has found a head of so many bytes, and whether a body in chunks follows; an
    /// error where that is not what has come.
    pub(crate) fn parsed(&mut self, bytes: usize, is_chunked: bool) -> Result<(), Corrected> {
        // A head is parsed once.
        let Self::Head(head) = self else { return Ok(()) };
        let whole = head.whole.filter(|(length, _)| *length == bytes);
        let Some((_, chunks)) = whole else { return Err(Corrected::Target) };
        *self = if is_chunked { Self::Chunked(chunks) } else { Self::Other };
        if self.is_ambiguous() { Err(Corrected::ChunkSize) } else { Ok(()) }
    }

    /// Whether the parser is about to take a part of the body for the whole.
    pub(crate) fn is_ambiguous(&self) -> bool {
        *self == Self::Chunked(Chunks::Ambiguous)
    }
}

impl Head {
    fn saw(&mut self, mut bytes: &[u8]) {
        if !self.has_begun {
            let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
            self.bytes += begin.unwrap_or(bytes.len());
            let Some(begin) = begin else { return };
            bytes = &bytes[begin..];
            self.has_begun = true;
        }
        // The blank line may be in two reads.
        let mut both = [0; 2 * (BLANK_LINE.len() - 1)];
        let (before, begin) = both.split_at_mut(self.last.len());
        before.copy_from_slice(&self.last);
        let few = bytes.len().min(begin.len());
        begin[..few].copy_from_slice(&bytes[..few]);
        let known = before.len();
        let end = behind_blank_line(&both[..known + few])
            .map(|end| end - known)
            .or_else(|| behind_blank_line(bytes));
        self.whole = end.map(|end| {
            let mut chunks = Chunks::default();
            chunks.saw(&bytes[end..]);
            (self.bytes + end, chunks)
        });
        self.bytes += bytes.len();
        match bytes.last_chunk() {
            Some(last) => self.last = *last,
            None => self.last.copy_from_slice(&both[few..known + few]),
        }
    }
}

/// Returns where the first blank line ends. Steps over what cannot be one: each request's head comes
/// by here.
fn behind_blank_line(bytes: &[u8]) -> Option<usize> {
    let mut at = BLANK_LINE.len() - 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\n' if bytes[..=at].ends_with(BLANK_LINE) => return Some(at + 1),
            b'\n' => at += 2,
            b'\r' => at += 1,
            _ => at += BLANK_LINE.len(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST /a HTTP/1.1\r\nhost: a\r\n\r\n";

    #[test]
    fn a_body_in_chunks_is_followed_from_its_first_byte() {
        for (body, expected) in [
            ("", Ok(())),
            ("5\r\nhello\r\n0\r\n\r\n", Ok(())),
            ("\r\nhello\r\n0\r\n\r\n", Err(Corrected::ChunkSize)),
            ("5\r\nhello\r\n\r\n\r\n", Err(Corrected::ChunkSize)),
        ] {
            let whole = format!("{HEAD}{body}");
            // In one read, and in two, wherever these part.
            for at in 0..whole.len() {
                let (first, second) = whole.split_at(at);
                let mut arrival = Arrival::first();
                let mut said = Ok(());
                for (read, is_whole) in [(first, at >= HEAD.len()), (second, true)] {
                    arrival.saw(read.as_bytes());
                    if is_whole {
                        said = said.and(arrival.parsed(HEAD.len(), true));
                    }
                }
                if arrival.is_ambiguous() {
                    said = Err(Corrected::ChunkSize);
                }
                assert_eq!(said, expected, "{body:?} parted at {at}");
            }
        }
    }

    #[test]
    fn a_body_of_another_kind_is_not_looked_at() {
        let mut arrival = Arrival::first();
        arrival.saw(format!("{HEAD}\r\nhello").as_bytes());
        assert_eq!(arrival.parsed(HEAD.len(), false), Ok(()));
        assert_eq!(arrival, Arrival::Other);
    }

    #[test]
    fn a_head_that_the_parser_has_made_longer_is_not_what_was_sent() {
        for body in ["", "hello"] {
            let mut arrival = Arrival::first();
            arrival.saw(format!("{HEAD}{body}").as_bytes());
            assert_eq!(arrival.parsed(HEAD.len() + 2, false), Err(Corrected::Target), "{body:?}");
        }
    }

    #[test]
    fn empty_lines_before_a_head_are_no_end_of_it_in_however_many_reads() {
        for empty in ["\r\n", "\r\n\r\n", "\r\n\r\n\r\n"] {
            let whole = format!("{empty}{HEAD}5\r\nhello\r\n");
            for at in 0..empty.len() + HEAD.len() {
                let (first, second) = whole.split_at(at);
                let mut arrival = Arrival::first();
                arrival.saw(first.as_bytes());
                arrival.saw(second.as_bytes());
                let length = empty.len() + HEAD.len();
                assert_eq!(arrival.parsed(length, true), Ok(()), "{empty:?} parted at {at}");
                assert_eq!(arrival, Arrival::Chunked(Chunks::Start));
            }
        }
    }

    #[test]
    fn what_has_not_come_as_a_head_is_none() {
        for text in ["", "\r\n", "GET /a HTTP/1.1\r\nhost: a\r\n"] {
            let mut arrival = Arrival::first();
            arrival.saw(text.as_bytes());
            assert_eq!(arrival.parsed(text.len(), false), Err(Corrected::Target), "{text:?}");
        }
    }

    #[test]
    fn the_first_blank_line_is_found_wherever_it_is() {
        for (text, expected) in [
            ("", None),
            ("\r\n\r", None),
            ("\r\n\r\n", Some(4)),
            ("a\r\n\r\n", Some(5)),
            ("ab\r\n\r\n\r\n", Some(6)),
            ("abc\r\n\n\r\n\r\r\n\r\n.\r\n\r\n", Some(13)),
            ("\n\n\r\r\n", None),
        ] {
            assert_eq!(behind_blank_line(text.as_bytes()), expected, "{text:?}");
        }
    }
}
