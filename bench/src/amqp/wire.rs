//! The few frames and methods that a client needs, written and read. This is not the broker's codec:
//! the two would share their mistakes.
//!
//! ```text
//!  0      1         3         7            7+size
//!  ┌──────┬─────────┬─────────┬────────────┬──────┐
//!  │ kind │ channel │ size    │ payload    │ 0xCE │   AMQP 0-9-1 §4.2.3
//!  └──────┴─────────┴─────────┴────────────┴──────┘
//! ```

use crate::error::Error;

/// What an AMQP connection begins with.
pub const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// The largest frame that is agreed to, in octets.
pub const FRAME_MAX: usize = 131_072;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const END: u8 = 0xCE;
/// Kind, channel, size, and the octet at the end.
const OVERHEAD: usize = 8;

/// Class and method.
pub type MethodId = (u16, u16);

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A method, and its arguments.
    Method(MethodId, Arguments<'a>),
    /// The header of a content: how long its body is.
    Header(u64),
    /// A part of a body.
    Body(&'a [u8]),
    /// A sign of life.
    Heartbeat,
}

/// Reads the first frame of an input, and says how long it is; nothing if it is not all there.
pub fn frame(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Error> {
    let Some((head, rest)) = input.split_first_chunk::<7>() else { return Ok(None) };
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    if size > FRAME_MAX {
        let is_header = input.starts_with(b"AMQP");
        let what = if is_header { "it speaks another version" } else { "a frame is too large" };
        return Err(protocol(what));
    }
    let Some(end) = rest.get(size) else { return Ok(None) };
    if *end != END {
        return Err(protocol("a frame does not end where it says"));
    }
    let payload = &rest[..size];
    let frame = match head[0] {
        METHOD => {
            let mut arguments = Arguments(payload);
            let id = (arguments.short()?, arguments.short()?);
            Frame::Method(id, arguments)
        }
        HEADER => {
            let mut arguments = Arguments(payload);
            arguments.take(4)?;
            Frame::Header(arguments.long_long()?)
        }
        BODY => Frame::Body(payload),
        HEARTBEAT => Frame::Heartbeat,
        _ => return Err(protocol("a frame of no known kind")),
    };
    Ok(Some((frame, size + OVERHEAD)))
}

/// Arguments of a method that are still to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arguments<'a>(&'a [u8]);

impl<'a> Arguments<'a> {
    /// So many octets.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let split = self.0.split_at_checked(count);
        let (taken, rest) = split.ok_or(protocol("arguments of a method are missing"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let taken = self.take(N)?;
        Ok(*taken.first_chunk().expect("it is that long"))
    }

    /// An octet.
    pub fn octet(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    /// 16 bits.
    pub fn short(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// 32 bits.
    pub fn long(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// 64 bits.
    pub fn long_long(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A short string.
    pub fn short_string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.octet()?;
        self.take(length.into())
    }

    /// A long string, or a table.
    pub fn long_string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.long()?;
        self.take(length as usize)
    }
}

/// The strings at the top of a table; whatever else is there ends the search.
pub fn strings(table: &[u8]) -> Vec<(String, String)> {
    let mut arguments = Arguments(table);
    let mut found = Vec::new();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    while let (Ok(name), Ok(kind)) = (arguments.short_string(), arguments.octet()) {
        match kind {
            b'S' => match arguments.long_string() {
                Ok(value) => found.push((text(name), text(value))),
                Err(_) => break,
            },
            b'F' if arguments.long_string().is_ok() => {}
            b't' if arguments.octet().is_ok() => {}
            _ => break,
        }
    }
    found
}

/// Writes a frame with a method.
pub fn method(out: &mut Vec<u8>, channel: u16, id: MethodId, arguments: impl FnOnce(&mut Vec<u8>)) {
    write_frame(out, METHOD, channel, |out| {
        out.extend(id.0.to_be_bytes());
        out.extend(id.1.to_be_bytes());
        arguments(out);
    });
}

/// Writes the header and the body of a content of class `basic`, and says where the body begins.
/// There are no properties but, for a persistent message, the delivery mode.
pub fn content(
    out: &mut Vec<u8>,
    channel: u16,
    body: &[u8],
    (persistent, frame_max): (bool, usize),
) -> usize {
    write_frame(out, HEADER, channel, |out| {
        out.extend([0, 60, 0, 0]);
        out.extend((body.len() as u64).to_be_bytes());
        match persistent {
            true => out.extend([0x10, 0x00, 2]),
            false => out.extend([0, 0]),
        }
    });
    let start = out.len() + OVERHEAD - 1;
    for part in body.chunks(frame_max - OVERHEAD) {
        write_frame(out, BODY, channel, |out| out.extend_from_slice(part));
    }
    start
}

fn write_frame(out: &mut Vec<u8>, kind: u8, channel: u16, payload: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    out.extend(channel.to_be_bytes());
    sized(out, payload);
    out.push(END);
}

/// Writes a short string. Longer ones are refused where the options are read.
pub fn short_string(out: &mut Vec<u8>, text: &str) {
    let octets = &text.as_bytes()[..text.len().min(255)];
    out.push(octets.len() as u8);
    out.extend_from_slice(octets);
}

/// Writes a long string.
pub fn long_string(out: &mut Vec<u8>, octets: &[u8]) {
    sized(out, |out| out.extend_from_slice(octets));
}

/// Writes a table.
pub fn table(out: &mut Vec<u8>, entries: &[(String, Value)]) {
    sized(out, |out| {
        for (name, value) in entries {
            short_string(out, name);
            value.write(out);
        }
    });
}

/// A value in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Truth(bool),
    /// A table.
    Table(Vec<(String, Value)>),
}

impl Value {
    /// What an argument of the command line stands for.
    pub fn parse(text: &str) -> Value {
        match (text.parse(), text.parse()) {
            (Ok(number), _) => Value::Number(number),
            (_, Ok(truth)) => Value::Truth(truth),
            _ => Value::Text(text.to_owned()),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Text(text) => {
                out.push(b'S');
                long_string(out, text.as_bytes());
            }
            Value::Number(number) => {
                out.push(b'l');
                out.extend(number.to_be_bytes());
            }
            Value::Truth(truth) => out.extend([b't', u8::from(*truth)]),
            Value::Table(entries) => {
                out.push(b'F');
                table(out, entries);
            }
        }
    }
}

/// Writes something behind its own size.
fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    write(out);
    let size = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// An error of the broker's.
pub fn protocol(what: &'static str) -> Error {
    Error::Protocol { protocol: "AMQP", what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_read_as_it_was_written_and_not_before_it_is_all_there() {
        let mut out = Vec::new();
        method(&mut out, 7, (60, 40), |out| {
            short_string(out, "q");
            long_string(out, b"text");
            out.extend(1u64.to_be_bytes());
        });
        for end in 0..out.len() {
            assert_eq!(frame(&out[..end]).unwrap(), None, "{end}");
        }
        let (Frame::Method(id, mut arguments), used) = frame(&out).unwrap().unwrap() else {
            panic!()
        };
        assert_eq!((id, used), ((60, 40), out.len()));
        assert_eq!(arguments.short_string().unwrap(), b"q");
        assert_eq!(arguments.long_string().unwrap(), b"text");
        assert_eq!(arguments.long_long().unwrap(), 1);
        assert!(arguments.octet().is_err());
    }

    #[test]
    fn a_long_body_is_cut_into_frames_and_found_again() {
        let body: Vec<u8> = (0..1_000).map(|i| i as u8).collect();
        let mut out = Vec::new();
        let start = content(&mut out, 1, &body, (true, 108));
        assert_eq!(out[start..start + 100], body[..100]);
        let (mut rest, mut found, mut sizes) = (&out[..], Vec::new(), Vec::new());
        while let Some((frame, used)) = frame(rest).unwrap() {
            match frame {
                Frame::Header(size) => sizes.push(size),
                Frame::Body(part) => found.extend_from_slice(part),
                other => panic!("{other:?}"),
            }
            assert!(used <= 108, "{used}");
            rest = &rest[used..];
        }
        assert_eq!((sizes, found, rest.len()), (vec![1_000], body, 0));
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        assert!(frame(b"\x01\0\0\0\0\0\x04\0\x0a\0\x0a!").is_err());
        assert!(frame(b"\x01\0\0\xff\xff\xff\xff").is_err());
        assert!(frame(PROTOCOL_HEADER).unwrap_err().to_string().ends_with("another version"));
        assert!(frame(b"\x07\0\0\0\0\0\0\xce").is_err());
        assert!(frame(b"\x01\0\0\0\0\0\x01\0\xce").is_err());
    }

    #[test]
    fn strings_of_a_table_are_found_beside_other_values() {
        let entries = [
            ("capabilities".to_owned(), Value::Table(vec![("a".to_owned(), Value::Truth(true))])),
            ("product".to_owned(), Value::Text("Broker".to_owned())),
            ("number".to_owned(), Value::Number(1)),
        ];
        let mut out = Vec::new();
        table(&mut out, &entries);
        assert_eq!(strings(&out[4..]), [("product".to_owned(), "Broker".to_owned())]);
    }

    #[test]
    fn arguments_are_numbers_truths_or_text() {
        let parsed = ["12", "true", "quorum"].map(Value::parse);
        let text = Value::Text("quorum".to_owned());
        assert_eq!(parsed, [Value::Number(12), Value::Truth(true), text]);
    }
}
