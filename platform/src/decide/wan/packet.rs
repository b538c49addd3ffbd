//! What matters of an IP packet: whence, whereto, and whether it opens a connection.

const TCP: u8 = 6;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The first half of the addresses it comes from and goes to: a network each.
    pub(crate) from: [u8; 2],
    pub(crate) to: [u8; 2],
    pub(crate) bytes: usize,
    /// Of TCP; of a fragment that is not the first, none is known.
    pub(crate) ports: Option<[u16; 2]>,
    pub(crate) opens: bool,
}

impl Packet {
    /// Returns what an IPv4 packet says of itself; `None` if it is none.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<20>()?;
        if header[0] >> 4 != 4 {
            return None;
        }
        let length = usize::from(header[0] & 0x0f) * 4;
        let is_first = [header[6] & 0x1f, header[7]] == [0, 0];
        let tcp = (header[9] == TCP && is_first).then(|| bytes.get(length..length + 14)).flatten();
        let port = |tcp: &[u8], at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
        Some(Self {
            from: [header[12], header[13]],
            to: [header[16], header[17]],
            bytes: bytes.len(),
            ports: tcp.map(|tcp| [port(tcp, 0), port(tcp, 2)]),
            opens: tcp.is_some_and(|tcp| tcp[13] & (SYN | ACK) == SYN),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_packet_of_a_connection_is_known_and_its_answer_is_not_taken_for_one() {
        let mut bytes = tcp([127, 1, 0, 1], [127, 2, 3, 1], [40_000, 5432], SYN);
        let packet = Packet::read(&bytes).unwrap();
        assert_eq!((packet.from, packet.to), ([127, 1], [127, 2]));
        assert_eq!((packet.ports, packet.opens, packet.bytes), (Some([40_000, 5432]), true, 40));
        bytes[33] = SYN | ACK;
        assert!(!Packet::read(&bytes).unwrap().opens);
    }

    #[test]
    fn what_is_cut_short_or_of_another_kind_is_no_mistake() {
        let bytes = tcp([127, 1, 0, 1], [127, 2, 3, 1], [1, 2], SYN);
        assert_eq!(Packet::read(&bytes[..19]), None);
        assert_eq!(Packet::read(&bytes[..30]).unwrap().ports, None);
        assert_eq!(Packet::read(&[0x60; 40]), None);
        let mut fragment = bytes;
        fragment[7] = 1;
        assert!(!Packet::read(&fragment).unwrap().opens);
    }

    fn tcp(from: [u8; 4], to: [u8; 4], ports: [u16; 2], flags: u8) -> Vec<u8> {
        let mut bytes = vec![0; 40];
        bytes[0] = 0x45;
        bytes[9] = TCP;
        bytes[12..16].copy_from_slice(&from);
        bytes[16..20].copy_from_slice(&to);
        bytes[20..22].copy_from_slice(&ports[0].to_be_bytes());
        bytes[22..24].copy_from_slice(&ports[1].to_be_bytes());
        bytes[33] = flags;
        bytes
    }
}
