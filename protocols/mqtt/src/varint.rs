//! Variable byte integers: seven bits per byte, least significant first, at most four bytes.
//!
//! The encoding is unique: a receiver refuses a longer form than needed [MQTT-1.5.5-1].

use bytes::BufMut;

use crate::Error;

/// The largest value that four bytes can carry.
pub(crate) const MAX: u32 = 268_435_455;

/// The value at the start of `bytes` and its length, or `None` while bytes are missing.
#[inline]
pub(crate) fn read(bytes: &[u8]) -> Result<Option<(u32, usize)>, Error> {
    match bytes.first() {
        None => Ok(None),
        Some(&byte) if byte < 0x80 => Ok(Some((u32::from(byte), 1))),
        Some(_) => read_long(bytes),
    }
}

fn read_long(bytes: &[u8]) -> Result<Option<(u32, usize)>, Error> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(LEN_MAX).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte == 0 {
            return Err(Error::Malformed("integer is longer than needed [MQTT-1.5.5-1]"));
        }
        if byte < 0x80 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() < LEN_MAX {
        return Ok(None);
    }
    Err(Error::Malformed("integer has more than four bytes [MQTT-1.5.5-1]"))
}

/// How many bytes `value` takes; values above [`MAX`] count as four.
#[inline]
pub(crate) const fn len(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x001f_ffff => 3,
        _ => 4,
    }
}

/// Appends `value`, which is at most [`MAX`].
#[inline]
pub(crate) fn write(out: &mut impl BufMut, value: usize) {
    debug_assert!(value <= MAX as usize);
    let mut rest = value;
    while rest > 0x7f {
        out.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

const LEN_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_boundary_survives_a_round_trip() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, MAX] {
            let mut bytes = Vec::new();
            write(&mut bytes, value as usize);
            assert_eq!(bytes.len(), len(value as usize));
            assert_eq!(read(&bytes), Ok(Some((value, bytes.len()))));
            assert_eq!(read(&bytes[..bytes.len() - 1]), Ok(None));
        }
    }

    #[test]
    fn a_fifth_byte_is_refused_as_soon_as_the_fourth_asks_for_it() {
        assert!(matches!(read(&[0xff, 0xff, 0xff, 0xff]), Err(Error::Malformed(_))));
        assert!(matches!(read(&[0x80, 0x80, 0x80, 0x80, 0x01]), Err(Error::Malformed(_))));
    }

    #[test]
    fn a_longer_form_than_needed_is_refused() {
        assert!(matches!(read(&[0x80, 0x00]), Err(Error::Malformed(_))));
        assert!(matches!(read(&[0x81, 0x80, 0x00]), Err(Error::Malformed(_))));
    }
}
