//! What somebody may have meant.

/// The known word that is nearest to one that is not known, where it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let most = (word.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|one| (distance(&word, &one.to_lowercase()), one))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, one)| one)
}

/// How many letters are to be changed, added or taken away; two neighbours in the wrong order are
/// two changes.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut before = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (known, above) in other.iter().zip(row.iter().skip(1)) {
            let changed = before + usize::from(letter != *known);
            left = changed.min(left + 1).min(above + 1);
            before = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_mistakes_are_understood_and_other_words_are_not() {
        let objects = ["crm.contact", "crm.company", "hris.company"];
        assert_eq!(nearest("crm.contacts", objects), Some("crm.contact"));
        assert_eq!(nearest("CRM.Compnay", objects), Some("crm.company"));
        assert_eq!(nearest("crm.spaceship", objects), None);
        assert_eq!(
            nearest("operatons", ["operations", "fields"]),
            Some("operations")
        );
        assert_eq!(nearest("x", ["id"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
