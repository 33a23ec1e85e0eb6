//! Class 10, connection: the handshake, closing, connection.blocked and update-secret.

use bytes::BufMut;

use super::MethodId;
use crate::error::{Error, Exception};
use crate::table::{Table, TableLimits};
use crate::wire::{Reader, put_long_str, put_short_str};

pub(crate) const START: MethodId = MethodId::new(10, 10);
pub(crate) const START_OK: MethodId = MethodId::new(10, 11);
pub(crate) const TUNE: MethodId = MethodId::new(10, 30);
pub(crate) const TUNE_OK: MethodId = MethodId::new(10, 31);
/// connection.open
pub const OPEN: MethodId = MethodId::new(10, 40);
pub(crate) const OPEN_OK: MethodId = MethodId::new(10, 41);
pub(crate) const CLOSE: MethodId = MethodId::new(10, 50);
pub(crate) const CLOSE_OK: MethodId = MethodId::new(10, 51);
pub(crate) const BLOCKED: MethodId = MethodId::new(10, 60);
pub(crate) const UNBLOCKED: MethodId = MethodId::new(10, 61);
/// connection.update-secret
pub const UPDATE_SECRET: MethodId = MethodId::new(10, 70);
pub(crate) const UPDATE_SECRET_OK: MethodId = MethodId::new(10, 71);

/// connection.update-secret: new credentials for a running connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpdateSecret<'a> {
    /// The new password or token.
    pub new_secret: &'a [u8],
    /// Why, for logs.
    pub reason: &'a str,
}

impl<'a> UpdateSecret<'a> {
    pub(crate) fn parse(fields: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self { new_secret: fields.long_str()?, reason: fields.short_str()? })
    }
}

pub(crate) struct StartOk<'a> {
    pub(crate) client_properties: Table<'a>,
    pub(crate) mechanism: &'a str,
    pub(crate) response: &'a [u8],
}

impl<'a> StartOk<'a> {
    pub(crate) fn parse(arguments: &'a [u8], limits: TableLimits) -> Result<Self, Error> {
        let mut fields = Reader::new(arguments);
        let start_ok = Self {
            client_properties: fields.table(limits)?,
            mechanism: fields.short_str()?,
            response: fields.long_str()?,
        };
        fields.short_str()?; // locale
        fields.finish()?;
        Ok(start_ok)
    }
}

/// connection.tune and connection.tune-ok have the same fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tune {
    pub(crate) channel_max: u16,
    pub(crate) frame_max: u32,
    /// Seconds.
    pub(crate) heartbeat: u16,
}

impl Tune {
    pub(crate) fn parse(arguments: &[u8]) -> Result<Self, Error> {
        let mut fields = Reader::new(arguments);
        let tune = Self {
            channel_max: fields.short()?,
            frame_max: fields.long()?,
            heartbeat: fields.short()?,
        };
        fields.finish()?;
        Ok(tune)
    }

    pub(crate) fn put(&self, out: &mut impl BufMut) {
        out.put_u16(self.channel_max);
        out.put_u32(self.frame_max);
        out.put_u16(self.heartbeat);
    }
}

/// The virtual host of connection.open. Its reserved fields may hold anything, or be absent.
pub(crate) fn parse_open(arguments: &[u8]) -> Result<&str, Error> {
    Reader::new(arguments).short_str()
}

/// connection.close and channel.close have the same fields.
pub(crate) struct Close<'a> {
    pub(crate) reply_code: u16,
    pub(crate) reply_text: &'a str,
}

impl<'a> Close<'a> {
    pub(crate) fn parse(arguments: &'a [u8]) -> Result<Self, Error> {
        let mut fields = Reader::new(arguments);
        let close = Self { reply_code: fields.short()?, reply_text: fields.short_str()? };
        fields.long()?; // failing class and method
        fields.finish()?;
        Ok(close)
    }
}

pub(crate) fn put_close(out: &mut impl BufMut, exception: &Exception) {
    out.put_u16(exception.code.code());
    put_short_str(out, &exception.reply_text());
    out.put_slice(&exception.method.encoded());
}

pub(crate) fn put_start(out: &mut impl BufMut, server_properties: &[u8], mechanisms: &str) {
    out.put_slice(&[0, 9]);
    put_long_str(out, server_properties);
    put_long_str(out, mechanisms.as_bytes());
    put_long_str(out, b"en_US");
}
