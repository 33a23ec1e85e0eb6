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
    if bytes.iter().fold(false, |found, &byte| found | is_unusual(byte)) {
        check(text)?;
    }
    Ok(text)
}

/// Whether `byte` is anything but printable ASCII, and so needs a look at its character.
#[inline]
pub(crate) const fn is_unusual(byte: u8) -> bool {
    byte.wrapping_sub(0x20) >= 0x5f
}

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
    fn surrogates_and_broken_sequences_are_refused() {
        for bytes in [&[0xed, 0xa0, 0x80][..], &[0xc0, 0x80], &[0xff], &[0xe2, 0x82]] {
            assert_eq!(parse(bytes), Err(ILL_FORMED));
        }
    }
}
