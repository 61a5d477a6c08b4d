use super::*;

#[test]
fn the_document_can_be_made() {
    assert!(document("http://localhost:3000").is_object());
}
