//! The little `MessagePack` that sessions and login attempts are made of (wire-formats, section 3).
//!
//! The reader borrows from its input, is bounded in depth, and allocates nothing for lengths that are only
//! claimed. It is as tolerant as the reference about widths, and about which of text and bytes is used.

use doorward_core::Timestamp;
use rmp::{Marker, encode};
use serde_json::{Map, Number, Value};

use crate::codec::{Unencodable, Unsealable};
use crate::session::go_time_text;

type Read<T> = Result<T, Unsealable>;
type Write = Result<(), Unencodable>;

pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Everything has been read.
    pub(crate) fn finish(&self) -> Read<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(Unsealable) }
    }

    /// Entries of the map that follows. An empty array stands for an empty map.
    pub(crate) fn map(&mut self) -> Read<usize> {
        match self.marker()? {
            Marker::FixMap(length) => Ok(length.into()),
            Marker::Map16 => self.length16(),
            Marker::Map32 => self.length32(),
            Marker::FixArray(0) => Ok(0),
            _ => Err(Unsealable),
        }
    }

    /// Whose the map is that follows, if that is said: then it is the second half of a pair.
    pub(crate) fn owner(&mut self) -> Read<Option<&'a str>> {
        let Some((&PAIR, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        match self.text()? {
            "" => Err(Unsealable),
            owner => Ok(Some(owner)),
        }
    }

    /// Text; nil is empty text.
    pub(crate) fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Unsealable)
    }

    /// Bytes; nil is none.
    pub(crate) fn bytes(&mut self) -> Read<&'a [u8]> {
        let marker = self.marker()?;
        self.bytes_after(marker)
    }

    /// A list of texts; nil is an empty one.
    pub(crate) fn texts(&mut self) -> Read<Vec<String>> {
        let length = match self.marker()? {
            Marker::Null => 0,
            marker => self.array_length(marker)?,
        };
        // Each text takes a byte at least, so a claimed length cannot ask for more than is there.
        let mut texts = Vec::with_capacity(length.min(self.rest.len()));
        for _ in 0..length {
            texts.push(self.text()?.to_owned());
        }
        Ok(texts)
    }

    /// A time in any of the three forms of the timestamp extension, as RFC 3339 text, or as an array of seconds
    /// and nanoseconds. Nil and the zero time of the year 1 are none. A bare number is refused.
    pub(crate) fn time(&mut self) -> Read<Option<Timestamp>> {
        let at = match self.marker()? {
            Marker::Null => return Ok(None),
            marker @ (Marker::FixExt4 | Marker::FixExt8 | Marker::Ext8 | Marker::Ext16 | Marker::Ext32) => {
                self.timestamp(marker)?
            }
            marker @ (Marker::FixArray(2) | Marker::Array16 | Marker::Array32) => {
                if self.array_length(marker)? != 2 {
                    return Err(Unsealable);
                }
                let seconds = self.integer()?;
                Timestamp { seconds, nanos: u32::try_from(self.integer()?).map_err(|_| Unsealable)? }
            }
            marker => {
                let text = std::str::from_utf8(self.bytes_after(marker)?).map_err(|_| Unsealable)?;
                let time: jiff::Timestamp = text.parse().map_err(|_| Unsealable)?;
                // Before 1970 the two parts are both negative; the format counts nanoseconds upwards.
                let nanos = time.subsec_nanosecond();
                let borrow = i64::from(nanos < 0);
                let nanos = if nanos < 0 { nanos + 1_000_000_000 } else { nanos };
                Timestamp {
                    seconds: time.as_second() - borrow,
                    nanos: u32::try_from(nanos).map_err(|_| Unsealable)?,
                }
            }
        };
        match at {
            Timestamp { nanos: 1_000_000_000.., .. } => Err(Unsealable),
            ZERO_TIME => Ok(None),
            at => Ok(Some(at)),
        }
    }

    /// Any value, as JSON.
    pub(crate) fn value(&mut self) -> Read<Value> {
        self.value_within(MAX_DEPTH)
    }

    /// Passes over any value.
    pub(crate) fn skip(&mut self) -> Read<()> {
        self.skip_within(MAX_DEPTH)
    }

    fn value_within(&mut self, depth: u8) -> Read<Value> {
        let inner = depth.checked_sub(1).ok_or(Unsealable)?;
        Ok(match self.marker()? {
            Marker::Null => Value::Null,
            Marker::True => Value::Bool(true),
            Marker::False => Value::Bool(false),
            Marker::F32 => Number::from_f64(f32::from_be_bytes(self.array()?).into()).into(),
            Marker::F64 => Number::from_f64(f64::from_be_bytes(self.array()?)).into(),
            Marker::U64 => u64::from_be_bytes(self.array()?).into(),
            marker @ (Marker::FixArray(_) | Marker::Array16 | Marker::Array32) => {
                let length = self.array_length(marker)?;
                (0..length).map(|_| self.value_within(inner)).collect::<Read<Vec<Value>>>()?.into()
            }
            marker @ (Marker::FixMap(_) | Marker::Map16 | Marker::Map32) => {
                let mut map = Map::new();
                for _ in 0..self.map_length(marker)? {
                    let name = self.text()?.to_owned();
                    map.insert(name, self.value_within(inner)?);
                }
                map.into()
            }
            marker @ (Marker::FixExt4 | Marker::FixExt8 | Marker::Ext8 | Marker::Ext16 | Marker::Ext32) => {
                go_time_text(self.timestamp(marker)?).into()
            }
            marker => match self.integer_after(marker) {
                Ok(number) => number.into(),
                Err(Unsealable) => {
                    std::str::from_utf8(self.bytes_after(marker)?).map_err(|_| Unsealable)?.into()
                }
            },
        })
    }

    fn skip_within(&mut self, depth: u8) -> Read<()> {
        let inner = depth.checked_sub(1).ok_or(Unsealable)?;
        let length = match self.marker()? {
            Marker::Null | Marker::True | Marker::False | Marker::FixPos(_) | Marker::FixNeg(_) => 0,
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 | Marker::FixExt1 => 2,
            Marker::FixExt2 => 3,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::FixExt4 => 5,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            Marker::FixExt8 => 9,
            Marker::FixExt16 => 17,
            Marker::Ext8 => self.length8()? + 1,
            Marker::Ext16 => self.length16()? + 1,
            Marker::Ext32 => self.length32()?.checked_add(1).ok_or(Unsealable)?,
            marker @ (Marker::FixArray(_) | Marker::Array16 | Marker::Array32) => {
                for _ in 0..self.array_length(marker)? {
                    self.skip_within(inner)?;
                }
                0
            }
            marker @ (Marker::FixMap(_) | Marker::Map16 | Marker::Map32) => {
                for _ in 0..self.map_length(marker)? {
                    self.skip_within(inner)?;
                    self.skip_within(inner)?;
                }
                0
            }
            Marker::Reserved => return Err(Unsealable),
            marker => {
                self.bytes_after(marker)?;
                0
            }
        };
        self.take(length).map(drop)
    }

    fn timestamp(&mut self, marker: Marker) -> Read<Timestamp> {
        let length = match marker {
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::Ext8 => self.length8()?,
            Marker::Ext16 => self.length16()?,
            Marker::Ext32 => self.length32()?,
            _ => return Err(Unsealable),
        };
        if i8::from_be_bytes(self.array()?) != TIMESTAMP_TYPE {
            return Err(Unsealable);
        }
        match length {
            4 => Ok(Timestamp::from_seconds(u32::from_be_bytes(self.array()?).into())),
            8 => {
                let both = u64::from_be_bytes(self.array()?);
                let seconds = i64::try_from(both & (SECONDS_34_BITS - 1)).map_err(|_| Unsealable)?;
                Ok(Timestamp { seconds, nanos: u32::try_from(both >> 34).map_err(|_| Unsealable)? })
            }
            12 => {
                let nanos = u32::from_be_bytes(self.array()?);
                Ok(Timestamp { seconds: i64::from_be_bytes(self.array()?), nanos })
            }
            _ => Err(Unsealable),
        }
    }

    fn integer(&mut self) -> Read<i64> {
        let marker = self.marker()?;
        self.integer_after(marker)
    }

    fn integer_after(&mut self, marker: Marker) -> Read<i64> {
        Ok(match marker {
            Marker::FixPos(number) => number.into(),
            Marker::FixNeg(number) => number.into(),
            Marker::U8 => u8::from_be_bytes(self.array()?).into(),
            Marker::U16 => u16::from_be_bytes(self.array()?).into(),
            Marker::U32 => u32::from_be_bytes(self.array()?).into(),
            Marker::U64 => i64::try_from(u64::from_be_bytes(self.array()?)).map_err(|_| Unsealable)?,
            Marker::I8 => i8::from_be_bytes(self.array()?).into(),
            Marker::I16 => i16::from_be_bytes(self.array()?).into(),
            Marker::I32 => i32::from_be_bytes(self.array()?).into(),
            Marker::I64 => i64::from_be_bytes(self.array()?),
            _ => return Err(Unsealable),
        })
    }

    fn bytes_after(&mut self, marker: Marker) -> Read<&'a [u8]> {
        let length = match marker {
            Marker::Null => 0,
            Marker::FixStr(length) => length.into(),
            Marker::Str8 | Marker::Bin8 => self.length8()?,
            Marker::Str16 | Marker::Bin16 => self.length16()?,
            Marker::Str32 | Marker::Bin32 => self.length32()?,
            _ => return Err(Unsealable),
        };
        self.take(length)
    }

    fn array_length(&mut self, marker: Marker) -> Read<usize> {
        match marker {
            Marker::FixArray(length) => Ok(length.into()),
            Marker::Array16 => self.length16(),
            Marker::Array32 => self.length32(),
            _ => Err(Unsealable),
        }
    }

    fn map_length(&mut self, marker: Marker) -> Read<usize> {
        match marker {
            Marker::FixMap(length) => Ok(length.into()),
            Marker::Map16 => self.length16(),
            Marker::Map32 => self.length32(),
            _ => Err(Unsealable),
        }
    }

    fn marker(&mut self) -> Read<Marker> {
        let [byte] = self.array()?;
        Ok(Marker::from_u8(byte))
    }

    fn length8(&mut self) -> Read<usize> {
        Ok(u8::from_be_bytes(self.array()?).into())
    }

    fn length16(&mut self) -> Read<usize> {
        Ok(u16::from_be_bytes(self.array()?).into())
    }

    fn length32(&mut self) -> Read<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| Unsealable)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Unsealable)?;
        self.rest = rest;
        Ok(*head)
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Unsealable)?;
        self.rest = rest;
        Ok(head)
    }
}

/// The header of an array of two.
const PAIR: u8 = 0x92;

/// Writes with the shortest header each.
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Begins a pair of this name and the map that is written next; without a name nothing.
    pub(crate) fn owner(&mut self, owner: Option<&str>) -> Write {
        let Some(owner) = owner else { return Ok(()) };
        self.bytes.push(PAIR);
        self.text(owner)
    }

    pub(crate) fn map(&mut self, entries: usize) -> Write {
        encode::write_map_len(&mut self.bytes, length(entries)?).map_err(|_| Unencodable).map(drop)
    }

    pub(crate) fn text(&mut self, text: &str) -> Write {
        length(text.len())?;
        encode::write_str(&mut self.bytes, text).map_err(|_| Unencodable)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Write {
        length(bytes.len())?;
        encode::write_bin(&mut self.bytes, bytes).map_err(|_| Unencodable)
    }

    pub(crate) fn texts(&mut self, texts: &[String]) -> Write {
        encode::write_array_len(&mut self.bytes, length(texts.len())?).map_err(|_| Unencodable)?;
        texts.iter().try_for_each(|text| self.text(text))
    }

    pub(crate) fn time(&mut self, at: Timestamp) -> Write {
        let extension = |bytes: &mut Vec<u8>, length| {
            encode::write_ext_meta(bytes, length, TIMESTAMP_TYPE).map_err(|_| Unencodable)
        };
        match (u32::try_from(at.seconds), u64::try_from(at.seconds)) {
            (Ok(seconds), _) if at.nanos == 0 => {
                extension(&mut self.bytes, 4)?;
                self.bytes.extend_from_slice(&seconds.to_be_bytes());
            }
            (_, Ok(seconds)) if seconds < SECONDS_34_BITS => {
                extension(&mut self.bytes, 8)?;
                let both = u64::from(at.nanos) << 34 | seconds;
                self.bytes.extend_from_slice(&both.to_be_bytes());
            }
            _ => {
                extension(&mut self.bytes, 12)?;
                self.bytes.extend_from_slice(&at.nanos.to_be_bytes());
                self.bytes.extend_from_slice(&at.seconds.to_be_bytes());
            }
        }
        Ok(())
    }

    /// Any JSON value. Numbers are written as text, as the reference does it.
    pub(crate) fn value(&mut self, value: &Value) -> Write {
        // One level less than is read, for the map of claims around this.
        self.value_within(value, MAX_DEPTH - 1)
    }

    fn value_within(&mut self, value: &Value, depth: u8) -> Write {
        match (value, depth) {
            // Deeper than we would read again: keep it as JSON text.
            (Value::Array(_) | Value::Object(_), 0 | 1) => self.text(&value.to_string()),
            (Value::Null, _) => encode::write_nil(&mut self.bytes).map_err(|_| Unencodable),
            (Value::Bool(value), _) => encode::write_bool(&mut self.bytes, *value).map_err(|_| Unencodable),
            (Value::Number(number), _) => self.text(&number.to_string()),
            (Value::String(text), _) => self.text(text),
            (Value::Array(values), _) => {
                encode::write_array_len(&mut self.bytes, length(values.len())?).map_err(|_| Unencodable)?;
                values.iter().try_for_each(|value| self.value_within(value, depth - 1))
            }
            (Value::Object(map), _) => {
                self.map(map.len())?;
                map.iter().try_for_each(|(name, value)| {
                    self.text(name)?;
                    self.value_within(value, depth - 1)
                })
            }
        }
    }
}

fn length(length: usize) -> Result<u32, Unencodable> {
    u32::try_from(length).map_err(|_| Unencodable)
}

const TIMESTAMP_TYPE: i8 = -1;
const SECONDS_34_BITS: u64 = 1 << 34;
/// The zero value of Go's time, the first instant of the year 1.
const ZERO_TIME: Timestamp = Timestamp::from_seconds(-62_135_596_800);
const MAX_DEPTH: u8 = 16;

#[cfg(test)]
mod tests;
