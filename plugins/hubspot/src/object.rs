//! What requests need to know about an object of HubSpot.

use jackfield_sdk::Connection;

/// An object of HubSpot's CRM.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its name in paths, `contacts`.
    pub(crate) path: &'static str,
    /// The property with the modification date.
    pub(crate) modified: &'static str,
    /// The properties that the mapping reads.
    pub(crate) properties: &'static [&'static str],
    /// The associations that the mapping reads and writes.
    pub(crate) targets: &'static [Target],
    /// The text before the ids of this object in `remote_id`, where several
    /// objects of HubSpot are one unified object.
    pub(crate) prefix: &'static str,
    /// Whether HubSpot refuses a record without `hs_timestamp`.
    pub(crate) needs_timestamp: bool,
}

/// An association, seen from the object that has it.
#[derive(Debug)]
pub(crate) struct Target {
    /// The other object's name in paths.
    pub(crate) path: &'static str,
    /// What v3 calls the association.
    pub(crate) name: &'static str,
    /// HubSpot's id of the association type to write.
    pub(crate) kind: u32,
    /// Whether that type is the primary one among several of the pair.
    pub(crate) primary: bool,
}

impl Object {
    /// The values of `properties` in a request: those of the mapping, the
    /// modification date and what the connection's settings add.
    pub(crate) fn properties<'a>(
        &'a self,
        connection: &'a Connection,
        more: impl Iterator<Item = &'a str>,
    ) -> Vec<&'a str> {
        let settings = connection.setting("properties").unwrap_or_default();
        let further = settings
            .split([',', ' ', '\n', '\r', ';'])
            .filter(|name| !name.is_empty());
        let mut names: Vec<&str> = self.properties.to_vec();
        for name in [self.modified].into_iter().chain(further).chain(more) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The names of the associated objects, for `associations` of a request.
    pub(crate) fn associated(&self) -> Option<String> {
        let paths: Vec<&str> = self.targets.iter().map(|target| target.path).collect();
        (!paths.is_empty()).then(|| paths.join(","))
    }

    /// The id that the host knows a record by.
    pub(crate) fn remote_id(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }

    /// HubSpot's id in such an id.
    pub(crate) fn id<'a>(&self, remote_id: &'a str) -> Option<&'a str> {
        remote_id.strip_prefix(self.prefix)
    }
}
