//! Server-sent events, from bytes.

mod stream;

pub use stream::{EventStream, NoStream};

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Message {
    pub id: Option<String>,
    pub event: String,
    pub data: String,
}

/// Puts lines together that arrive in pieces.
#[derive(Default)]
pub struct Parser {
    rest: Vec<u8>,
    message: Message,
}

impl Parser {
    /// Takes what has arrived and returns the events that are complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.rest.extend_from_slice(bytes);
        let mut complete = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            complete.extend(self.line(line.trim_end_matches(['\r', '\n'])));
        }
        complete
    }

    /// Returns how many bytes have arrived of what is not complete.
    pub(crate) fn pending(&self) -> usize {
        self.rest.len() + self.message.data.len()
    }

    /// Takes one line; an empty one ends an event.
    fn line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return (!message.data.is_empty()).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.message.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.message.event),
            "data" => {
                if !self.message.data.is_empty() {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            // Comments are signs of life; `retry` is ours to decide.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_however_they_arrive() {
        let stream = ": ping\n\nid: 7\nevent: steady\ndata: {\"cell\":\ndata: \"c1\"}\n\nid: 8\n";
        let expected = Message {
            id: Some("7".to_owned()),
            event: "steady".to_owned(),
            data: "{\"cell\":\n\"c1\"}".to_owned(),
        };
        for size in [1, 5, 1000] {
            let mut parser = Parser::default();
            let pieces = stream.as_bytes().chunks(size);
            let heard: Vec<Message> = pieces.flat_map(|piece| parser.push(piece)).collect();
            assert_eq!(heard, std::slice::from_ref(&expected), "in pieces of {size}");
        }
    }
}
