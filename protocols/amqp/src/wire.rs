//! The elementary domains of AMQP 0-9-1 §4.2.5: integers in network order, short and long strings.
//!
//! [`Reader`] is a cursor over borrowed octets; it never allocates and never panics. The writing
//! side is a few functions over any [`BufMut`].

use bytes::BufMut;

use crate::error::Error;
use crate::table::{Table, TableLimits};

/// A cursor over the fields of a method, a table or a property list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (chunk, rest) = self.rest.split_first_chunk::<N>().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(*chunk)
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn octet(&mut self) -> Result<u8, Error> {
        self.chunk::<1>().map(|[octet]| octet)
    }

    #[inline]
    pub(crate) fn short(&mut self) -> Result<u16, Error> {
        self.chunk().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn long(&mut self) -> Result<u32, Error> {
        self.chunk().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn long_long(&mut self) -> Result<u64, Error> {
        self.chunk().map(u64::from_be_bytes)
    }

    #[inline]
    pub(crate) fn short_bytes(&mut self) -> Result<&'a [u8], Error> {
        let len = self.octet()?;
        self.take(usize::from(len))
    }

    #[inline]
    pub(crate) fn short_str(&mut self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.short_bytes()?).map_err(|_| Error::NotUtf8)
    }

    #[inline]
    pub(crate) fn long_str(&mut self) -> Result<&'a [u8], Error> {
        let len = self.long()?;
        self.take(len as usize)
    }

    pub(crate) fn table(&mut self, limits: TableLimits) -> Result<Table<'a>, Error> {
        Table::parse(self.long_str()?, limits)
    }

    /// Everything that is left.
    #[inline]
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Checks that nothing follows the last field.
    #[inline]
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.rest.len() {
            0 => Ok(()),
            len => Err(Error::Trailing(len)),
        }
    }
}

/// The longest beginning of `text` that fits a short string, cut between characters.
#[inline]
pub(crate) fn cut(text: &str) -> &str {
    if text.len() <= SHORT_STR_MAX {
        return text;
    }
    &text[..text.floor_char_boundary(SHORT_STR_MAX)]
}

/// Writes a short string; what does not fit its 255 octets is cut off.
#[inline]
pub(crate) fn put_short_str(out: &mut impl BufMut, text: &str) {
    let text = cut(text);
    out.put_u8(text.len() as u8);
    out.put_slice(text.as_bytes());
}

/// Writes a long string: one of ours, so it is never near the 4 GiB that its length can say.
pub(crate) fn put_long_str(out: &mut impl BufMut, octets: &[u8]) {
    out.put_u32(octets.len() as u32);
    out.put_slice(octets);
}

pub(crate) const SHORT_STR_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "é".repeat(200);
        let mut out = Vec::new();
        put_short_str(&mut out, &text);
        assert_eq!(out[0], 254);
        assert_eq!(Reader::new(&out).short_str(), Ok("é".repeat(127).as_str()));
    }

    #[test]
    fn a_field_longer_than_the_rest_is_an_error_and_not_a_panic() {
        assert_eq!(Reader::new(&[5, b'a']).short_str(), Err(Error::Truncated));
        assert_eq!(Reader::new(&[0xFF, 0xFF, 0xFF, 0xFF]).long_str(), Err(Error::Truncated));
        assert_eq!(Reader::new(&[1, 0xFF]).short_str(), Err(Error::NotUtf8));
    }
}
