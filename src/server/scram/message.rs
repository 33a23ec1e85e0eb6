//! What a SCRAM client says, taken apart (RFC 5802 §7).

use std::str;

use super::ScramError;

/// `n,,n=user,r=nonce`.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// Everything up to and with the second comma.
    pub header: &'a str,
    /// Everything after it.
    pub bare: &'a str,
    pub user: String,
    pub nonce: &'a str,
}

/// `c=biws,r=nonce,p=proof`.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFinal<'a> {
    /// The base64 of the header.
    pub header: &'a str,
    pub nonce: &'a str,
    /// Everything before the comma and the proof.
    pub without_proof: &'a str,
    /// In base64.
    pub proof: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let message = text(message)?;
        let mut parts = message.splitn(3, ',');
        let (binding, identity) = (parts.next(), parts.next());
        let bare = parts.next().ok_or(ScramError::Message("there is no header"))?;
        match binding {
            Some("n" | "y") => (),
            Some(_) => return Err(ScramError::Message("channel binding is not offered")),
            None => return Err(ScramError::Message("there is no header")),
        }
        if identity != Some("") {
            return Err(ScramError::Message("nobody may act for somebody else"));
        }
        let mut attributes = bare.split(',');
        let user = user_name(attribute(attributes.next(), "n=")?)?;
        let nonce = attribute(attributes.next(), "r=")?;
        if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ScramError::Message("nonce is empty or not printable"));
        }
        Ok(ClientFirst { header: &message[..message.len() - bare.len()], bare, user, nonce })
    }
}

impl<'a> ClientFinal<'a> {
    pub fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let message = text(message)?;
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or(ScramError::Message("there is no proof"))?;
        let mut attributes = without_proof.split(',');
        let header = attribute(attributes.next(), "c=")?;
        let nonce = attribute(attributes.next(), "r=")?;
        Ok(ClientFinal { header, nonce, without_proof, proof })
    }
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > LEN_MAX {
        return Err(ScramError::Message("longer than 4096 bytes"));
    }
    str::from_utf8(message).map_err(|_| ScramError::Message("not UTF-8"))
}

/// The value of the attribute that has to stand here. That an extension must be understood, `m=`,
/// stands in front of all others.
fn attribute<'a>(part: Option<&'a str>, name: &str) -> Result<&'a str, ScramError> {
    let part = part.ok_or(ScramError::Message("an attribute is missing"))?;
    if part.starts_with("m=") {
        return Err(ScramError::Message("no extension is known"));
    }
    part.strip_prefix(name).ok_or(ScramError::Message("attributes are not in their order"))
}

/// In a user name, `=2C` is a comma and `=3D` an equals sign; no other `=` may be there.
fn user_name(value: &str) -> Result<String, ScramError> {
    let mut pieces = value.split('=');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (sign, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(ScramError::Message("user name has an = that is not =2C or =3D")),
        };
        name.push(sign);
        name.push_str(rest);
    }
    if name.is_empty() {
        return Err(ScramError::Message("user name is empty"));
    }
    Ok(name)
}

const LEN_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_message_is_taken_apart() {
        let first = ClientFirst::parse(b"y,,n=a=2Cb=3Dc,r=abc,x=ext").unwrap();
        assert_eq!((first.header, first.bare), ("y,,", "n=a=2Cb=3Dc,r=abc,x=ext"));
        assert_eq!((first.user.as_str(), first.nonce), ("a,b=c", "abc"));
    }

    #[test]
    fn a_first_message_that_is_none_is_refused() {
        for message in [
            &b""[..],
            b"n",
            b"n,",
            b"n,,",
            b"n,,n=u",
            b"n,,n=,r=abc",
            b"n,,r=abc,n=u",
            b"n,,n=u,r=",
            b"n,,n=u,r=a b",
            b"n,,n=u=2,r=abc",
            b"n,,n=u=2c,r=abc",
            b"n,,m=x,n=u,r=abc",
            b"n,a=other,n=u,r=abc",
            b"p=tls-exporter,,n=u,r=abc",
            b"n,,n=\xff,r=abc",
        ] {
            let refused = ClientFirst::parse(message);
            assert!(matches!(refused, Err(ScramError::Message(_))), "{message:?}");
        }
    }

    #[test]
    fn a_final_message_is_taken_apart_or_refused() {
        let last = ClientFinal::parse(b"c=biws,r=abc,x=ext,p=cA==").unwrap();
        assert_eq!((last.header, last.nonce, last.proof), ("biws", "abc", "cA=="));
        assert_eq!(last.without_proof, "c=biws,r=abc,x=ext");
        for message in [&b""[..], b"c=biws,r=abc", b"r=abc,c=biws,p=cA==", b"c=biws,p=cA=="] {
            assert!(ClientFinal::parse(message).is_err(), "{message:?}");
        }
    }

    #[test]
    fn a_message_has_a_longest_length() {
        let message = |len: usize| [b"n,,n=u,r=", &vec![b'x'; len - 9][..]].concat();
        assert!(ClientFirst::parse(&message(4096)).is_ok());
        assert!(ClientFirst::parse(&message(4097)).is_err());
    }
}
