//! Reading and writing the integers and slices that records are made of.
//!
//! Integers are LEB128: seven bits a byte, least significant first, the top bit says "more".

use super::Malformed;

pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_slice(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A cursor over a record's payload.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn integer(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// A place in a queue. None is near the end of the range, so that counting on never overflows.
    pub fn counter(&mut self) -> Result<u64, Malformed> {
        self.integer()
            .and_then(|value| if value > COUNTER_MAX { Err(Malformed) } else { Ok(value) })
    }

    /// A list: its length, then its elements. A length is not believed before the elements were
    /// read: each takes a byte at least, so it ends with the payload.
    pub fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let len = self.narrow::<usize>()?;
        let mut list = Vec::with_capacity(len.min(ROOM_MAX));
        for _ in 0..len {
            list.push(read(self)?);
        }
        Ok(list)
    }

    pub fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, Malformed> {
        T::try_from(self.integer()?).map_err(|_| Malformed)
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(first)
    }

    pub fn slice(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.narrow::<usize>()?;
        let (slice, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(slice)
    }

    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.slice()?).map_err(|_| Malformed)
    }
}

/// A million a second reach it after 290,000 years.
const COUNTER_MAX: u64 = u64::MAX >> 1;

/// Elements of a list that room is made for before any was read.
const ROOM_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_survive_and_a_missing_end_is_an_error() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(Reader(&out).integer(), Ok(value));
            assert_eq!(Reader(&out[..out.len() - 1]).integer(), Err(Malformed));
        }
    }
}
