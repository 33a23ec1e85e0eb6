//! UTF-8 strings as MQTT wants them.
//!
//! Ill-formed UTF-8 and U+0000 are malformed [MQTT-1.5.4-1, -2]. Control characters and
//! non-characters, which the standard leaves to the receiver, are refused too: nothing sensible
//! contains them, and a log or a terminal is spared. U+FEFF is an ordinary character
//! [MQTT-1.5.4-3].

use crate::Error;

/// The string in `bytes`, if every character of it is allowed.
#[inline]
pub(crate) fn parse(bytes: &[u8]) -> Result<&str, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| ILL_FORMED)?;
    if any_word(bytes, has_unusual) {
        check(text)?;
    }
    Ok(text)
}

/// Whether `found` is not 0 for any eight bytes of `bytes`. Most strings are short, and looking at
/// eight bytes at once is several times faster than at each. Padding is the letter `p`.
#[inline]
pub(crate) fn any_word(bytes: &[u8], found: impl Fn(u64) -> u64) -> bool {
    let (words, tail) = bytes.as_chunks::<8>();
    let last = match bytes.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => tail.iter().fold(ONES * 0x70, |word, &byte| word << 8 | u64::from(byte)),
    };
    found(last) != 0 || words.iter().any(|word| found(u64::from_le_bytes(*word)) != 0)
}

/// Not 0 if a byte of `word` is anything but printable ASCII.
#[inline]
pub(crate) const fn has_unusual(word: u64) -> u64 {
    let above = word | word.wrapping_add(ONES);
    let below = word.wrapping_sub(ONES * 0x20) & !word;
    (above | below) & HIGH_BITS
}

/// Not 0 if a byte of `word` is `byte`.
#[inline]
pub(crate) const fn has_byte(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * byte as u64);
    difference.wrapping_sub(ONES) & !difference & HIGH_BITS
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGH_BITS: u64 = ONES * 0x80;

/// Looks at every character of a string that is not plain ASCII.
#[cold]
pub(crate) fn check(text: &str) -> Result<(), Error> {
    if text.chars().any(is_forbidden) {
        return Err(Error::Malformed("forbidden character in a string [MQTT-1.5.4-2]"));
    }
    Ok(())
}

fn is_forbidden(character: char) -> bool {
    let code = u32::from(character);
    character.is_control() || code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code)
}

pub(crate) const ILL_FORMED: Error = Error::Malformed("string is not UTF-8 [MQTT-1.5.4-1]");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_of_any_script_is_taken_as_it_is() {
        for text in ["", "a/b", "é/x", "温度", "\u{feff}bom", "🐇", "\u{e000}"] {
            assert_eq!(parse(text.as_bytes()), Ok(text));
        }
    }

    #[test]
    fn control_characters_and_non_characters_are_refused() {
        for text in ["a\0", "\u{1}", "\n", "\u{1f}", "\u{7f}", "\u{9f}", "\u{ffff}", "\u{1fffe}"] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parse("\u{fdd0}".as_bytes()).is_err());
    }

    #[test]
    fn every_byte_is_judged_alike_wherever_it_stands() {
        for (byte, len) in (0..=255).flat_map(|byte| (1..=17).map(move |len| (byte, len))) {
            for place in 0..len {
                let mut bytes = vec![b'x'; len];
                bytes[place] = byte;
                let is_unusual = !(0x20..0x7f).contains(&byte);
                assert_eq!(any_word(&bytes, has_unusual), is_unusual, "{byte} at {place}");
                assert_eq!(any_word(&bytes, |word| has_byte(word, b'+')), byte == b'+');
            }
        }
        assert!(!any_word(&[], has_unusual));
    }

    #[test]
    fn surrogates_and_broken_sequences_are_refused() {
        for bytes in [&[0xed, 0xa0, 0x80][..], &[0xc0, 0x80], &[0xff], &[0xe2, 0x82]] {
            assert_eq!(parse(bytes), Err(ILL_FORMED));
        }
    }
}
