//! What our side of a record has that the provider does not have yet: edits, and what both sides
//! last agreed on. A state machine without input or output: the store keeps it, the workers feed
//! it with what they read and what they were answered.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ConflictPolicy, Timestamp,
    conflict::{DELETED, FieldConflict, Fields, Side, Times, covers, merge, same},
};

/// A value that one of our applications set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// The value.
    pub value: Value,
    /// When.
    pub at: Timestamp,
    /// Who: the id of an API key, `conflict` or `undo`.
    #[serde(default)]
    pub by: Option<String>,
}

/// What is to be written to the provider.
#[derive(Clone, Debug, PartialEq)]
pub enum Push {
    /// Nothing, now.
    Nothing,
    /// These fields.
    Update(Fields),
    /// The whole record, which the provider has deleted: it will have a new id there.
    Create(Fields),
    /// That it is deleted.
    Delete,
}

/// What reading the provider did to a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Fields that changed here.
    pub taken: BTreeSet<String>,
    /// Fields whose edit gave way to the provider's change.
    pub lost: BTreeSet<String>,
    /// Fields whose edit the provider has now.
    pub arrived: BTreeSet<String>,
}

/// Who decides a conflict for which value.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// What our applications set.
    Ours,
    /// What the provider has.
    Theirs,
    /// Another one.
    Value(Value),
}

/// The difference of our side of a record to the provider's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// What both sides last agreed on; for fields in conflict, the last time that they did.
    pub base: Fields,
    /// What our applications set since, also what is in conflict.
    #[serde(default)]
    pub edits: BTreeMap<String, Edit>,
    /// That our applications deleted the record.
    #[serde(default)]
    pub deletion: Option<Edit>,
    /// The provider deleted the record. Where our edits won, it is to be created anew.
    #[serde(default)]
    pub anew: bool,
    /// What may have reached the provider: the fields of a push whose outcome is not known.
    #[serde(default)]
    pub sent: Fields,
    /// Whether a deletion may have reached the provider.
    #[serde(default)]
    pub sent_deletion: bool,
    /// What waits for a person.
    #[serde(default)]
    pub conflicts: BTreeMap<String, FieldConflict>,
}

impl Pending {
    /// Nothing yet, over what both sides have.
    #[must_use]
    pub fn over(base: Fields) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    /// Those of some fields that are set to another value than our side shows, or wait for a person.
    #[must_use]
    pub fn news(&self, fields: &Fields) -> Fields {
        let Side::Present(shown) = self.record() else {
            return fields.clone();
        };
        let named = fields.iter().filter(|(name, value)| {
            self.conflicts.contains_key(*name) || !same(shown.get(*name), Some(value))
        });
        named
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Our applications set fields.
    pub fn edit(&mut self, fields: &Fields, at: Timestamp, by: Option<&str>) {
        self.deletion = None;
        for (name, value) in fields {
            let edit = Edit {
                value: value.clone(),
                at,
                by: by.map(str::to_owned),
            };
            if let Some(conflict) = self.conflicts.get_mut(name) {
                (conflict.ours, conflict.ours_at) = (edit.value.clone(), at);
                conflict.ours_by.clone_from(&edit.by);
            }
            self.edits.insert(name.clone(), edit);
        }
        // Whoever decides sees what he decides about.
        if let (Some(conflict), Side::Present(record)) =
            (self.conflicts.get(DELETED).cloned(), self.record())
        {
            let conflict = FieldConflict {
                ours: Value::Object(record),
                ours_at: at,
                ours_by: by.map(str::to_owned),
                ..conflict
            };
            self.conflicts.insert(DELETED.to_owned(), conflict);
        }
    }

    /// Our applications deleted the record; what they had set before does not matter any more.
    /// What the provider had set does, where that was in conflict: it still is.
    pub fn delete(&mut self, at: Timestamp, by: Option<&str>) {
        let theirs_at = self
            .conflicts
            .values()
            .filter_map(|one| one.theirs_at)
            .max();
        let theirs = self.theirs();
        let undecided = !self.conflicts.is_empty();
        self.edits.clear();
        self.conflicts.clear();
        self.deletion = Some(Edit {
            value: Value::Null,
            at,
            by: by.map(str::to_owned),
        });
        if let (true, Side::Present(theirs)) = (undecided, theirs) {
            let conflict = FieldConflict {
                base: Value::Object(self.base.clone()),
                ours: Value::Null,
                theirs: Value::Object(theirs),
                ours_at: at,
                ours_by: by.map(str::to_owned),
                theirs_at,
            };
            self.conflicts.insert(DELETED.to_owned(), conflict);
        }
    }

    /// The record as our side shows it.
    #[must_use]
    pub fn record(&self) -> Side {
        if self.deletion.is_some() {
            return Side::Deleted;
        }
        let mut record = self.base.clone();
        for (name, edit) in &self.edits {
            record.insert(name.clone(), edit.value.clone());
        }
        Side::Present(record)
    }

    /// The record as the provider has it, as far as is known.
    #[must_use]
    pub fn theirs(&self) -> Side {
        match self.conflicts.get(DELETED).map(|conflict| &conflict.theirs) {
            Some(Value::Object(theirs)) => return Side::Present(theirs.clone()),
            Some(_) => return Side::Deleted,
            None if self.anew => return Side::Deleted,
            None => {}
        }
        let mut theirs = self.base.clone();
        for (name, conflict) in &self.conflicts {
            theirs.insert(name.clone(), conflict.theirs.clone());
        }
        Side::Present(theirs)
    }

    /// What is to be written to the provider now.
    #[must_use]
    pub fn to_push(&self) -> Push {
        if self.conflicts.contains_key(DELETED) {
            return Push::Nothing;
        }
        if self.deletion.is_some() {
            return if self.anew {
                Push::Nothing
            } else {
                Push::Delete
            };
        }
        if self.anew {
            // Sent again as it was sent first: that it is one creation is told by the key, and a
            // key goes with one document. Edits since then follow as an update.
            return match self.record() {
                _ if !self.sent.is_empty() => Push::Create(self.sent.clone()),
                Side::Present(record) => Push::Create(record),
                Side::Deleted => Push::Nothing,
            };
        }
        let edits = self.edits.iter();
        let free = edits.filter(|(name, _)| !self.conflicts.contains_key(*name));
        let fields: Fields = free
            .map(|(name, edit)| (name.clone(), edit.value.clone()))
            .collect();
        if fields.is_empty() {
            Push::Nothing
        } else {
            Push::Update(fields)
        }
    }

    /// Whether both sides are the same.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.conflicts.is_empty() && self.to_push() == Push::Nothing
    }

    /// A push is about to be sent: what it was may have arrived from now on, whatever happens.
    pub fn sending(&mut self, push: &Push) {
        match push {
            Push::Update(fields) | Push::Create(fields) => {
                let fields = fields.iter();
                self.sent
                    .extend(fields.map(|(name, value)| (name.clone(), value.clone())));
            }
            Push::Delete => self.sent_deletion = true,
            Push::Nothing => {}
        }
    }

    /// The provider answered a push: it has this now. `push` is what was sent; edits since then
    /// stay to be pushed. Where the provider changed the record too, that is settled by `policy`.
    pub fn pushed(
        &mut self,
        push: &Push,
        answer: &Side,
        theirs_at: Option<Timestamp>,
        policy: ConflictPolicy,
    ) -> Reconciled {
        let mut arrived = BTreeSet::new();
        if let (Push::Update(sent) | Push::Create(sent), Side::Present(answer)) = (push, answer) {
            self.anew = false;
            for (name, value) in sent {
                if self
                    .edits
                    .get(name)
                    .is_some_and(|edit| edit.value == *value)
                {
                    self.edits.remove(name);
                }
                // A value may come back in the provider's own form: it is ours all the same.
                let now = answer.get(name).cloned().unwrap_or_default();
                self.base.insert(name.clone(), now);
                arrived.insert(name.clone());
            }
        }
        self.sent.clear();
        self.sent_deletion = false;
        let mut reconciled = self.reconcile(answer, theirs_at, policy);
        reconciled.arrived.extend(arrived);
        reconciled
    }

    /// The provider was read: it has this now.
    pub fn reconcile(
        &mut self,
        theirs: &Side,
        theirs_at: Option<Timestamp>,
        policy: ConflictPolicy,
    ) -> Reconciled {
        let mut reconciled = Reconciled::default();
        match theirs {
            Side::Present(present) => {
                self.anew = false;
                reconciled.arrived = self.echoes(present);
            }
            // That was decided, and nothing is new.
            Side::Deleted if self.anew => return reconciled,
            Side::Deleted => {}
        }
        let mut ours_at: BTreeMap<String, Timestamp> = self
            .edits
            .iter()
            .map(|(name, edit)| (name.clone(), edit.at))
            .collect();
        if let Some(deletion) = &self.deletion {
            ours_at.insert(DELETED.to_owned(), deletion.at);
        }
        let times = Times {
            ours: &ours_at,
            theirs: theirs_at,
        };
        let merged = merge(&self.base, &self.record(), theirs, policy, &times);
        reconciled.taken = merged.take;
        reconciled.lost = merged.lost;
        self.conflicts = merged.conflicts;
        for (name, conflict) in &mut self.conflicts {
            let edit = self.edits.get(name).or(self.deletion.as_ref());
            conflict.ours_by = edit.and_then(|edit| edit.by.clone());
        }
        if self.conflicts.contains_key(DELETED) {
            // The base stays: a person compares with it.
            return reconciled;
        }
        match (theirs, merged.record) {
            (Side::Deleted, Side::Deleted) => {
                self.edits.clear();
                self.sent.clear();
                let at = theirs_at.unwrap_or(Timestamp::from_millis(0));
                self.deletion.get_or_insert(Edit {
                    value: Value::Null,
                    at,
                    by: None,
                });
                // There is nothing left to tell the provider.
                self.anew = true;
            }
            (Side::Deleted, Side::Present(_)) => {
                self.anew = true;
                self.sent.clear();
            }
            (Side::Present(present), record) => {
                let kept =
                    |name: &String| merged.push.contains(name) || self.conflicts.contains_key(name);
                self.edits.retain(|name, _| kept(name));
                if record != Side::Deleted {
                    self.deletion = None;
                }
                let mut base = present.clone();
                for name in self.conflicts.keys() {
                    let before = self.base.get(name).cloned().unwrap_or_default();
                    base.insert(name.clone(), before);
                }
                self.base = base;
            }
        }
        reconciled
    }

    /// What a push of unknown outcome sent and the provider has: both sides know it now.
    fn echoes(&mut self, theirs: &Fields) -> BTreeSet<String> {
        let mut arrived = BTreeSet::new();
        let mut sent = std::mem::take(&mut self.sent);
        sent.retain(|name, value| {
            let their = theirs.get(name);
            if !covers(their, value) || same(their, self.base.get(name)) {
                return true;
            }
            self.base
                .insert(name.clone(), their.cloned().unwrap_or_default());
            if self
                .edits
                .get(name)
                .is_some_and(|edit| edit.value == *value)
            {
                self.edits.remove(name);
            }
            arrived.insert(name.clone());
            false
        });
        self.sent = sent;
        arrived
    }

    /// A person decides fields that are in conflict; those that are not named stay.
    pub fn resolve(
        &mut self,
        decisions: &BTreeMap<String, Decision>,
        at: Timestamp,
        by: Option<&str>,
    ) {
        for (name, decision) in decisions {
            let Some(conflict) = self.conflicts.remove(name) else {
                continue;
            };
            if name == DELETED {
                self.resolve_deletion(&conflict, decision);
                continue;
            }
            self.base.insert(name.clone(), conflict.theirs);
            match decision {
                Decision::Ours => {}
                Decision::Theirs => {
                    self.edits.remove(name);
                }
                Decision::Value(value) => {
                    let edit = Edit {
                        value: value.clone(),
                        at,
                        by: by.map(str::to_owned),
                    };
                    self.edits.insert(name.clone(), edit);
                }
            }
        }
    }

    fn resolve_deletion(&mut self, conflict: &FieldConflict, decision: &Decision) {
        let ours_wins = matches!(decision, Decision::Ours);
        match &conflict.theirs {
            // Theirs is there, ours is deleted.
            Value::Object(theirs) => {
                self.base = theirs.clone();
                if !ours_wins {
                    self.deletion = None;
                    self.edits.clear();
                }
            }
            _ if ours_wins => {
                self.anew = true;
                self.sent.clear();
            }
            _ => {
                self.edits.clear();
                self.deletion = Some(Edit {
                    value: Value::Null,
                    at: conflict.ours_at,
                    by: None,
                });
                // The provider has deleted it already.
                self.anew = true;
            }
        }
    }
}

#[cfg(test)]
mod tests;
