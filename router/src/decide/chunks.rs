//! Whether each chunk of a body begins with its size, on a line of its own (RFC 9112, section 7.1).
//!
//! The parser reads a size without a digit as 0, and so as the body's end: a site would get a part
//! of the body as the whole. Only the lines with sizes are looked at; everything else that may be
//! wrong with chunks is refused by the parser.

/// Where in a chunked body its sender is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// Before a size.
    #[default]
    Start,
    Size(u64),
    /// In what may follow a size on its line.
    Line(u64),
    /// Behind that line's carriage return.
    Returned(u64),
    /// So many bytes before the next size, the end of the line with them.
    Data(u64),
    /// Behind the last chunk.
    Last,
    /// There is no size, or its line does not end as lines do: where the body ends is anybody's guess.
    Ambiguous,
}

impl Chunks {
    /// Follows the body's next bytes.
    pub(crate) fn saw(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            let digit = char::from(*first).to_digit(16).map(u64::from);
            let mut taken = 0;
            *self = match (*self, digit) {
                (Self::Start, Some(digit)) => Self::Size(digit),
                (Self::Start, None) => Self::Ambiguous,
                // The parser refuses what does not fit.
                (Self::Size(size), Some(digit)) => {
                    Self::Size(size.saturating_mul(16).saturating_add(digit))
                }
                (Self::Size(size) | Self::Line(size), _) => match first {
                    b'\r' => Self::Returned(size),
                    b'\n' => Self::Ambiguous,
                    _ => Self::Line(size),
                },
                (Self::Returned(size), _) => match (first, size) {
                    (b'\n', 0) => Self::Last,
                    (b'\n', size) => Self::Data(size.saturating_add(2)),
                    _ => Self::Ambiguous,
                },
                (Self::Data(left), _) => {
                    let left = left - 1;
                    taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    match left - taken as u64 {
                        0 => Self::Start,
                        left => Self::Data(left),
                    }
                }
                (Self::Last | Self::Ambiguous, _) => return,
            };
            bytes = &rest[taken..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_that_does_not_begin_with_its_size_is_found_wherever_it_is() {
        for body in [
            "\r\nhello\r\n0\r\n\r\n",
            ";a=b\r\nhello\r\n0\r\n\r\n",
            " \r\nhello\r\n0\r\n\r\n",
            "5\r\nhello\r\n\r\n\r\n",
            "5;a=\"b\"\r\nhello\r\nA\r\n0123\r\n\r\n89\r\n;\r\n\r\n",
            "5\nhello\n0\n\n",
            "5\rhello\r\n0\r\n\r\n",
            "0;a\nb\r\n\r\n",
            "0;a\r\r\n\r\n",
        ] {
            assert_eq!(after(body), Chunks::Ambiguous, "{body:?}");
        }
    }

    #[test]
    fn what_follows_the_last_chunk_is_not_looked_at() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "00005 ;a=b\r\n\r\n0\r\n\r\n0;a\r\n\r\n",
            "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n000\r\nx: y\r\n\r\n",
            "0\r\n\r\n\r\nmore",
        ] {
            assert_eq!(after(body), Chunks::Last, "{body:?}");
        }
    }

    #[test]
    fn a_body_that_is_not_whole_is_waited_for() {
        for (body, expected) in [
            ("", Chunks::Start),
            ("1f", Chunks::Size(31)),
            ("5\r", Chunks::Returned(5)),
            ("5\r\nhel", Chunks::Data(4)),
            ("5\r\nhello\r\n", Chunks::Start),
            ("fffffffffffffffff\r\n", Chunks::Data(u64::MAX)),
        ] {
            assert_eq!(after(body), expected, "{body:?}");
        }
    }

    /// Follows a body, and once more byte by byte.
    #[track_caller]
    fn after(body: &str) -> Chunks {
        let (mut whole, mut bytewise) = (Chunks::default(), Chunks::default());
        whole.saw(body.as_bytes());
        body.bytes().for_each(|byte| bytewise.saw(&[byte]));
        assert_eq!(whole, bytewise, "{body:?} byte by byte");
        whole
    }
}
