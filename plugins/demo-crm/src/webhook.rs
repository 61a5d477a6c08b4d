//! What the demo CRM sends by itself: a batch of changes, signed with the connection's secret.

use jackfield_sdk::models::crm::{Company, Contact, Deal, Note, Stage, Task, User};
use jackfield_sdk::webhooks::{Change, Incoming, Notice, Receipt, Rejection, Signature, Webhooks};

use crate::DemoCrm;
use crate::wire;

/// Seconds that a request may be old.
const TOLERANCE: u64 = 300;

impl Webhooks for DemoCrm {
    fn receive(request: &Incoming) -> Result<Receipt, Rejection> {
        let time = request.header("x-demo-time");
        let mut signed = time.unwrap_or_default().as_bytes().to_vec();
        signed.push(b'.');
        signed.extend_from_slice(&request.body);
        Signature::hex(request.header("x-demo-signature"))?
            .fresh(request, time, TOLERANCE)?
            .verify("webhook_secret", &signed)?;
        let batch: wire::Changes = request.json()?;
        let notices = batch.changes.into_iter().filter_map(|change| {
            let notice = Notice::new(object(&change.collection)?)
                .record(change.id)
                .at_account(&batch.account_id);
            Some(notice.change(match change.change.as_str() {
                "created" => Change::Created,
                "changed" => Change::Updated,
                "deleted" => Change::Deleted,
                _ => Change::Unknown,
            }))
        });
        Ok(Receipt::of(notices))
    }
}

/// The object of a collection; none for what this connector does not read.
fn object(collection: &str) -> Option<&'static str> {
    Some(match collection {
        "companies" => Company::KIND,
        "people" => Contact::KIND,
        "deals" => Deal::KIND,
        "notes" => Note::KIND,
        "stages" => Stage::KIND,
        "tasks" => Task::KIND,
        "users" => User::KIND,
        _ => return None,
    })
}
