//! The mode of a file, as `chmod` takes it in octal.

/// Permissions of owner, group and others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl std::str::FromStr for FileMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o777 => Ok(FileMode(mode)),
            _ => Err("expected an octal file mode of at most 777".to_owned()),
        }
    }
}

impl std::fmt::Display for FileMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:o}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_and_has_no_special_bits() {
        assert_eq!("660".parse(), Ok(FileMode(0o660)));
        assert_eq!("0600".parse(), Ok(FileMode(0o600)));
        assert_eq!(FileMode(0o777).to_string(), "777");
        for text in ["1777", "8", "rw", "", "-1"] {
            assert!(text.parse::<FileMode>().is_err(), "{text}");
        }
    }
}
