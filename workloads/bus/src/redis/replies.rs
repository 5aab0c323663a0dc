//! What scripts answer, read into types.

use std::collections::HashMap;

use klatch_domain::{Incarnation, Timestamp};
use redis::Value;

use super::keys::Nonce;
use crate::Load;

/// Redis answered something that no script of ours says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer of Redis cannot be read: {0}")]
pub(super) struct BadReply(pub(super) &'static str);

/// Where an entry says that a user is: a gateway, and the tenure it was made under.
pub(super) type Place = (Incarnation, Nonce);

type Pair = (Vec<u8>, Vec<u8>);

/// Living gateways and the tenures of their leases.
pub(super) type Living = HashMap<Incarnation, Nonce>;

/// What the lease script answers.
#[derive(Debug)]
pub(super) struct Leases {
    /// Since this registry was begun, milliseconds.
    pub(super) age_ms: i64,
    pub(super) begun_ms: i64,
    pub(super) version: Vec<u8>,
    /// `None`: as at the version asked with.
    pub(super) living: Option<Living>,
    /// The lease that was renewed was held before.
    pub(super) held: bool,
    pub(super) tenure: Option<Nonce>,
    /// Whose entries are to be cleared away.
    pub(super) lapsed: Option<(Incarnation, Nonce)>,
    /// Gateways that say which large rooms they hold, and under which tenure. `None`: as at the version asked with.
    pub(super) keeping: Option<Living>,
}

/// Who holds a large room.
#[derive(Debug)]
pub(super) enum Holders {
    Places(Vec<Place>),
    /// More than were asked for.
    Many,
}

/// A user's entry.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) gateways: Vec<Place>,
    pub(super) last_active: Option<Timestamp>,
}

pub(super) fn array(value: Value) -> Result<Vec<Value>, BadReply> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(BadReply("no array")),
    }
}

pub(super) fn bytes(value: Value) -> Result<Vec<u8>, BadReply> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(BadReply("no string")),
    }
}

pub(super) fn integer(value: &Value) -> Result<i64, BadReply> {
    match value {
        Value::Int(number) => Ok(*number),
        _ => Err(BadReply("no number")),
    }
}

fn id(bytes: &[u8]) -> Result<[u8; 16], BadReply> {
    bytes.try_into().map_err(|_| BadReply("an id has 16 bytes"))
}

fn decimal(bytes: &[u8]) -> Result<i64, BadReply> {
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or(BadReply("no decimal"))
}

/// The mark of a piece, and how many users and large rooms of a gateway it holds.
pub(super) fn piece(value: Value) -> Result<(Vec<u8>, i64, i64), BadReply> {
    let [mark, users, rooms] =
        <[Value; 3]>::try_from(array(value)?).map_err(|_| BadReply("a piece has three parts"))?;
    Ok((bytes(mark)?, integer(&users)?, integer(&rooms)?))
}

/// When a piece was begun, by its mark.
pub(super) fn begun_of(mark: &[u8]) -> Result<i64, BadReply> {
    decimal(mark.split(|byte| *byte == b' ').next().unwrap_or_default())
}

fn optional(value: Value) -> Option<Value> {
    (value != Value::Nil).then_some(value)
}

/// Names and values, one after the other.
fn pairs(values: Vec<Value>) -> Result<Vec<Pair>, BadReply> {
    let mut values = values.into_iter();
    let mut pairs = Vec::with_capacity(values.len() / 2);
    while let Some(name) = values.next() {
        let value = values.next().ok_or(BadReply("a name without a value"))?;
        pairs.push((bytes(name)?, bytes(value)?));
    }
    Ok(pairs)
}

pub(super) fn gateways(value: Value) -> Result<Vec<Place>, BadReply> {
    let read = |(gateway, tenure): Pair| Ok((Incarnation::from_bytes(id(&gateway)?), id(&tenure)?));
    pairs(array(value)?)?.into_iter().map(read).collect()
}

/// How many gateways have said how many connections they hold, and the sum. `None`: who asked holds no lease.
pub(super) fn load(value: Value) -> Result<Option<Load>, BadReply> {
    let values = array(value)?;
    if values.is_empty() {
        return Ok(None);
    }
    let [gateways, connections] = <[Value; 2]>::try_from(values).map_err(|_| BadReply("a load has two parts"))?;
    let number = |value: &Value| u64::try_from(integer(value)?).map_err(|_| BadReply("a load below nothing"));
    Ok(Some(Load { gateways: number(&gateways)?, connections: number(&connections)? }))
}

/// `None`: there is no registry of leases.
pub(super) fn leases(value: Value) -> Result<Option<Leases>, BadReply> {
    let values = array(value)?;
    if values.is_empty() {
        return Ok(None);
    }
    let [age, begun, version, living, held, tenure, lapsed, keeping] =
        <[Value; 8]>::try_from(values).map_err(|_| BadReply("leases have eight parts"))?;
    let tenures = |value| Ok(optional(value).map(gateways).transpose()?.map(|found| found.into_iter().collect()));
    let (living, keeping) = (tenures(living)?, tenures(keeping)?);
    let tenure = optional(tenure).map(bytes).transpose()?.map(|tenure| id(&tenure)).transpose()?;
    let lapsed = optional(lapsed).map(bytes).transpose()?.map(|lapsed| {
        let (gateway, tenure) = lapsed.split_at_checked(16).ok_or(BadReply("a lapsed gateway has 32 bytes"))?;
        Ok((Incarnation::from_bytes(id(gateway)?), id(tenure)?))
    });
    Ok(Some(Leases {
        age_ms: integer(&age)?,
        begun_ms: decimal(&bytes(begun)?)?,
        version: bytes(version)?,
        living,
        held: integer(&held)? == 1,
        tenure,
        lapsed: lapsed.transpose()?,
        keeping,
    }))
}

/// What a piece says of the rooms asked about.
#[derive(Debug)]
pub(super) struct HoldersOf {
    pub(super) mark: Vec<u8>,
    /// In the order asked.
    pub(super) holders: Vec<Holders>,
}

/// `None`: the piece is gone.
pub(super) fn holders(value: Value) -> Result<Option<HoldersOf>, BadReply> {
    let mut values = array(value)?.into_iter();
    let Some(mark) = values.next() else { return Ok(None) };
    let holders = values.map(|value| match value {
        Value::Int(_) => Ok(Holders::Many),
        value => gateways(value).map(Holders::Places),
    });
    Ok(Some(HoldersOf { mark: bytes(mark)?, holders: holders.collect::<Result<_, _>>()? }))
}

/// What a piece says of the users asked about.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) mark: Vec<u8>,
    /// In the order asked.
    pub(super) entries: Vec<Entry>,
}

/// `None`: the piece is gone.
pub(super) fn entries(value: Value) -> Result<Option<Entries>, BadReply> {
    let mut values = array(value)?.into_iter();
    let Some(mark) = values.next() else { return Ok(None) };
    Ok(Some(Entries { mark: bytes(mark)?, entries: values.map(entry).collect::<Result<_, _>>()? }))
}

fn entry(value: Value) -> Result<Entry, BadReply> {
    let mut entry = Entry::default();
    for (name, value) in pairs(array(value)?)? {
        if name == b"a" {
            entry.last_active = Some(Timestamp::from_millis(decimal(&value)?));
        } else {
            entry.gateways.push((Incarnation::from_bytes(id(&name)?), id(&value)?));
        }
    }
    Ok(entry)
}

/// What became of a user that was set: whether they were connected to the gateway before, and where else they are.
pub(super) type Change = (bool, Vec<Place>);

/// What follows the outcome of a call that changes a piece, once it is done.
fn done(value: Value) -> Result<std::vec::IntoIter<Value>, BadReply> {
    let mut values = array(value)?.into_iter();
    match values.next().map(bytes).transpose()?.as_deref() {
        Some(b"done") => Ok(values),
        Some(b"lost") => Err(BadReply("the registry is gone: renew first")),
        Some(b"overtaken") => Err(BadReply("a later call has overtaken this one")),
        _ => Err(BadReply("no outcome")),
    }
}

/// By how many a gateway's rooms in a piece have become more.
pub(super) fn more_rooms(value: Value) -> Result<i64, BadReply> {
    integer(&done(value)?.next().ok_or(BadReply("no count of rooms"))?)
}

/// In the order set.
pub(super) fn changes(value: Value) -> Result<Vec<Change>, BadReply> {
    let values = done(value)?;
    let change = |value| {
        let [was, others] = <[Value; 2]>::try_from(array(value)?).map_err(|_| BadReply("a change has two parts"))?;
        Ok((integer(&was)? == 1, gateways(others)?))
    };
    values.map(change).collect()
}

/// Members of a set of users or rooms.
pub(super) fn ids(value: Value) -> Result<Vec<[u8; 16]>, BadReply> {
    let values = match value {
        Value::Array(values) | Value::Set(values) => values,
        _ => return Err(BadReply("no set")),
    };
    values.into_iter().map(|member| id(&bytes(member)?)).collect()
}
