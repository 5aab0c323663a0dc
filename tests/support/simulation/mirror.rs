//! What a user interface would show: built from the changes a core tells, and from nothing else.

use std::collections::BTreeMap;

use klatch_client_sdk::core::Change;
use klatch_domain::{Entry, RoomId, Seq};

/// Rows of one room as told.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) rows: BTreeMap<Seq, Entry>,
    /// Where the next entry is due; unknown until the first one comes.
    end: Option<Seq>,
}

/// All rooms as told.
#[derive(Debug, Clone, Default)]
pub(super) struct Mirror {
    pub(super) rooms: BTreeMap<RoomId, Shown>,
}

impl Mirror {
    /// Takes a change; says what is wrong with it.
    pub(super) fn take(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::Joined { room } => match self.rooms.insert(*room, Shown::default()) {
                None => Ok(()),
                Some(_) => Err(format!("joined {room:?} twice")),
            },
            Change::Left { room } => match self.rooms.remove(room) {
                Some(_) => Ok(()),
                None => Err(format!("left {room:?} without being in it")),
            },
            Change::Restarted { room, position } => {
                let shown = self.shown(*room)?;
                *shown = Shown { rows: BTreeMap::new(), end: Some(position.seq) };
                Ok(())
            }
            Change::Appended { room, entries } => {
                let shown = self.shown(*room)?;
                for entry in entries {
                    let seq = entry.position.seq;
                    if shown.end.is_some_and(|end| end.next() != seq) || entry.prev_seq.next() != seq {
                        return Err(format!("{room:?}: {seq:?} was told after {:?}", shown.end));
                    }
                    shown.end = Some(seq);
                    shown.rows.insert(seq, entry.clone());
                }
                Ok(())
            }
            Change::Older { room, entries } => {
                let shown = self.shown(*room)?;
                for entry in entries.iter().rev() {
                    let seq = entry.position.seq;
                    // A client that let rows go may load them again.
                    let fits =
                        shown.rows.is_empty() || shown.rows.contains_key(&seq) || shown.rows.contains_key(&seq.next());
                    if !fits {
                        return Err(format!("{room:?}: older {seq:?} does not join what is shown"));
                    }
                    shown.rows.insert(seq, entry.clone());
                    shown.end = shown.end.max(Some(seq));
                }
                Ok(())
            }
            Change::Updated { room, entry } => {
                let seq = entry.position.seq;
                match self.shown(*room)?.rows.get_mut(&seq) {
                    Some(row) => {
                        *row = (**entry).clone();
                        Ok(())
                    }
                    None => Err(format!("{room:?}: {seq:?} changed without being shown")),
                }
            }
            _ => Ok(()),
        }
    }

    fn shown(&mut self, room: RoomId) -> Result<&mut Shown, String> {
        self.rooms.get_mut(&room).ok_or_else(|| format!("{room:?} changed, which we are not in"))
    }
}
