//! A cursor over the fields of one packet. Whatever is not there is malformed, never a panic.

use crate::{Error, string, varint};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    #[inline]
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u32, Error> {
        let (value, len) = varint::read(self.rest)?.ok_or(TRUNCATED)?;
        self.rest = &self.rest[len..];
        Ok(value)
    }

    /// Bytes behind a two-byte length.
    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Error> {
        let len = self.u16()?;
        self.bytes(usize::from(len))
    }

    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a str, Error> {
        string::parse(self.binary()?)
    }

    /// A packet identifier, which is never 0 [MQTT-2.2.1-3].
    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<u16, Error> {
        match self.u16()? {
            0 => Err(Error::Protocol("packet identifier is 0 [MQTT-2.2.1-3]")),
            id => Ok(id),
        }
    }

    /// The bytes of a property section, without its length.
    #[inline]
    pub(crate) fn section(&mut self) -> Result<&'a [u8], Error> {
        let len = self.varint()?;
        self.bytes(len as usize)
            .map_err(|_| Error::Malformed("property length is larger than the packet"))
    }

    /// Makes sure that nothing is left over.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        Err(Error::Malformed("bytes after the last field of a packet"))
    }
}

const TRUNCATED: Error = Error::Malformed("packet ends inside a field");
