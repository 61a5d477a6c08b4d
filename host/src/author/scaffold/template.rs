//! Templates: `@name@` is a value, and lines are kept or repeated.
//!
//! ```text
//! @for object      what follows is there once for each object, with its values
//! @if create       kept where the unified API can create the object; outside of `@for`, any of them
//! @if own          kept where the folder is no member of a workspace (`@if member`: where it is)
//! @end             ends an `@if`; they do not nest
//! @end for
//! ```

/// Values by name.
pub(super) type Values = Vec<(&'static str, String)>;

/// What fills templates.
pub(super) struct Template {
    /// What is the same for the whole connector.
    pub(super) common: Values,
    /// What belongs to one object each; at least one.
    pub(super) objects: Vec<Part>,
    /// Whether the folder is its own workspace.
    pub(super) own: bool,
}

/// An object's part of the values.
pub(super) struct Part {
    pub(super) values: Values,
    pub(super) create: bool,
}

impl Part {
    /// The value of that name; empty where there is none.
    pub(super) fn value(&self, name: &str) -> &str {
        let mut values = self.values.iter();
        values
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value)
    }
}

impl Template {
    /// A text for the whole connector. Outside of `@for` the values are those of its first object.
    pub(super) fn fill(&self, text: &str) -> String {
        let any = self.objects.iter().any(|part| part.create);
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("@for object\n") {
            let (repeated, remaining) = after.split_once("@end for\n").unwrap_or((after, ""));
            filled.push_str(before);
            for part in &self.objects {
                let lines = self.kept(repeated, part.create);
                filled.push_str(&replaced(&lines, &part.values));
            }
            rest = remaining;
        }
        filled.push_str(rest);
        let mut text = self.kept(&filled, any);
        text = replaced(&text, &self.common);
        self.objects
            .first()
            .map_or_else(|| text.clone(), |part| replaced(&text, &part.values))
    }

    /// A text for one object.
    pub(super) fn fill_one(&self, text: &str, part: &Part) -> String {
        let lines = self.kept(text, part.create);
        replaced(&replaced(&lines, &part.values), &self.common)
    }

    fn kept(&self, text: &str, create: bool) -> String {
        let mut kept = String::new();
        let mut skipping = false;
        for line in text.split_inclusive('\n') {
            match line.trim_end() {
                "@if create" => skipping = !create,
                "@if own" => skipping = !self.own,
                "@if member" => skipping = self.own,
                "@end" => skipping = false,
                _ if skipping => {}
                _ => kept.push_str(line),
            }
        }
        kept
    }
}

fn replaced(text: &str, values: &Values) -> String {
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("@{name}@"), value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_repeated_kept_and_filled() {
        let part = |name: &str, create| Part {
            values: vec![("object", name.to_owned())],
            create,
        };
        let template = Template {
            common: vec![("slug", "acme".to_owned())],
            objects: vec![part("contact", true), part("stage", false)],
            own: true,
        };
        let text = "@slug@ @object@\n@for object\nread @object@ of @slug@\n@if create\nmake @object@\n@end\n@end for\n@if member\nno\n@end\n@if create\nyes\n@end\n";
        assert_eq!(
            template.fill(text),
            "acme contact\nread contact of acme\nmake contact\nread stage of acme\nyes\n"
        );
    }
}
