//! Issues in the order of their last change.
//!
//! Redmine pages by offset. While a list is read, issues are changed and move to its end, and a plain offset would
//! then skip others. So every page asks anew for what was updated since the last issue of the page before; only
//! among issues of one and the same second it counts an offset, and it checks that the issue before is still where
//! it was.

use jackfield_sdk::{Failure, FetchRequest, Page, Raw, RemoteRecord, http, time};
use serde::{Deserialize, Serialize};

use crate::wire::{IssueKey, Issues};

/// The most that Redmine puts into a page.
const LARGEST: u32 = 100;

/// Where a walk stands; as JSON it is the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// Issues updated at or after this second, as Redmine writes and reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// How many of that second are done.
    #[serde(default)]
    offset: u64,
    /// The last of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    /// What is done of the issue that comes next, where it has more parts than fit into a page: issue and part.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<(u64, u64)>,
}

impl Position {
    fn of(request: &FetchRequest) -> Result<Self, Failure> {
        if let Some(cursor) = &request.cursor {
            return serde_json::from_str(cursor).map_err(|_| {
                Failure::invalid(format!("{cursor:?} is not a cursor of this connector"))
            });
        }
        let since = request
            .since
            .as_deref()
            .map(|since| whole_second(since).ok_or(since))
            .transpose();
        let since = since.map_err(|since| Failure::invalid(format!("{since:?} is no time")))?;
        Ok(Self {
            since,
            ..Self::default()
        })
    }

    fn cursor(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(Failure::unexpected)
    }
}

/// A page of issues.
pub(crate) struct Walk {
    start: Position,
    pub(crate) issues: Vec<Raw<IssueKey>>,
    more: bool,
    /// How many issues there are; only the first page knows.
    pub(crate) total: Option<u64>,
}

impl Walk {
    /// Reads at most so many issues from where the request's cursor stands. `include` is Redmine's parameter.
    pub(crate) fn read(
        request: &FetchRequest,
        most: u32,
        include: Option<&str>,
    ) -> Result<Self, Failure> {
        let mut start = Position::of(request)?;
        let most = most.clamp(1, LARGEST - 1);
        if let Some(last) = start.last {
            let mut page = list(&start, start.offset.saturating_sub(1), most + 1, include)?;
            if page.issues.first().is_some_and(|issue| issue.id == last) {
                page.issues.remove(0);
                return Ok(Self::new(start, page));
            }
            // The issue before was changed or deleted, and the others of that second have moved up.
            (start.offset, start.last) = (0, None);
        }
        let page = list(&start, 0, most, include)?;
        let total = request.cursor.is_none().then_some(page.total_count);
        Ok(Self {
            total,
            ..Self::new(start, page)
        })
    }

    fn new(start: Position, page: Issues) -> Self {
        let done = start.offset + page.issues.len() as u64;
        Self {
            more: !page.issues.is_empty() && done < page.total_count,
            total: None,
            start,
            issues: page.issues,
        }
    }

    /// The cursor of the next page.
    pub(crate) fn next(&self) -> Result<Option<String>, Failure> {
        self.more
            .then(|| self.after(self.issues.len()).cursor())
            .transpose()
    }

    /// One page of the parts of the issues: comments or attachments. `parts` gives those of an issue with their
    /// numbers, which must rise.
    pub(crate) fn parts(
        &self,
        limit: u32,
        mut parts: impl FnMut(&IssueKey) -> Result<Vec<(u64, RemoteRecord)>, Failure>,
    ) -> Result<Page, Failure> {
        let limit = usize::try_from(limit.max(1)).map_err(Failure::unexpected)?;
        let mut records = Vec::new();
        for (index, issue) in self.issues.iter().enumerate() {
            let mut done = self
                .start
                .part
                .filter(|(resumed, _)| *resumed == issue.id)
                .map(|(_, part)| part);
            for (number, record) in parts(issue)? {
                if done.is_some_and(|done| number <= done) {
                    continue;
                }
                if records.len() == limit {
                    let part = done.map(|done| (issue.id, done));
                    let position = Position {
                        part,
                        ..self.after(index)
                    };
                    return Ok(Page::new(records).next(Some(position.cursor()?)));
                }
                records.push(record);
                done = Some(number);
            }
        }
        Ok(Page::new(records).next(self.next()?))
    }

    /// The position after so many issues of the page.
    fn after(&self, count: usize) -> Position {
        let done = self.issues.iter().take(count);
        let Some(last) = done.clone().next_back() else {
            return self.start.clone();
        };
        let since = Some(last.updated_on.clone());
        let same = done
            .rev()
            .take_while(|issue| issue.updated_on == last.updated_on)
            .count() as u64;
        // In the order of change, a page that ends with the second it began with holds nothing else.
        let before = if since == self.start.since {
            self.start.offset
        } else {
            0
        };
        Position {
            since,
            offset: before + same,
            last: Some(last.id),
            part: None,
        }
    }
}

fn list(
    position: &Position,
    offset: u64,
    limit: u32,
    include: Option<&str>,
) -> Result<Issues, Failure> {
    // Without a status, Redmine lists open issues only.
    http::get("{api}/issues.json")
        .query("status_id", "*")
        .query("sort", "updated_on:asc,id:asc")
        .query_opt(
            "updated_on",
            position.since.as_ref().map(|since| format!(">={since}")),
        )
        .query_opt("include", include)
        .query("offset", offset)
        .query("limit", limit)
        .send()?
        .json()
}

/// Redmine's filter takes no fractions of a second.
fn whole_second(text: &str) -> Option<String> {
    let exact = time::normalise(text)?;
    Some(format!("{}Z", exact.get(..19)?))
}

#[cfg(test)]
mod tests {
    use jackfield_sdk::testing;

    use super::{Position, Walk};
    use crate::wire::Issues;

    #[test]
    fn a_position_counts_within_a_second_and_starts_anew_with_the_next() {
        let page = |seconds: &[u8]| -> Issues {
            let issues: Vec<_> = seconds
                .iter()
                .enumerate()
                .map(|(index, second)| serde_json::json!({ "id": index + 1, "updated_on": at(*second) }))
                .collect();
            serde_json::from_value(serde_json::json!({ "issues": issues, "total_count": 50 }))
                .unwrap()
        };
        let walk = Walk::new(Position::default(), page(&[1, 2, 2]));
        let next = walk.after(3);
        assert_eq!(
            (next.since, next.offset, next.last),
            (Some(at(2)), 2, Some(3))
        );

        let start = Position {
            since: Some(at(2)),
            offset: 2,
            last: Some(3),
            part: None,
        };
        assert_eq!(Walk::new(start.clone(), page(&[2, 2])).after(2).offset, 4);
        assert_eq!(Walk::new(start.clone(), page(&[2, 3])).after(2).offset, 1);
        assert_eq!(Walk::new(start.clone(), page(&[2, 3])).after(0), start);
    }

    #[test]
    fn since_loses_its_fraction_downwards() {
        let request = jackfield_sdk::FetchRequest {
            since: Some("2026-01-07T01:00:00.999Z".into()),
            ..testing::fetch("ticketing.ticket")
        };
        assert_eq!(
            Position::of(&request).unwrap().since.as_deref(),
            Some("2026-01-07T01:00:00Z")
        );
    }

    fn at(second: u8) -> String {
        format!("2026-01-07T01:00:{second:02}Z")
    }
}
