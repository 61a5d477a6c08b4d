//! How the pages of a project look.

use crate::model::{Branding, Project};

/// What the pages call the integrator.
pub(super) fn name<'a>(branding: &'a Branding, project: &'a Project) -> &'a str {
    branding.name.as_deref().unwrap_or(&project.name)
}

/// The integrator's colour on buttons, in light and in dark; nothing where none was chosen. Links
/// and marks keep the pages' own colours, whose contrast is known.
pub(super) fn css(branding: &Branding) -> String {
    let Some(color) = branding.primary_color else {
        return String::new();
    };
    let (light, dark) = (color.on_light(), color.on_dark());
    format!(
        ":root{{--brand:light-dark({light},{dark});--on-brand:light-dark({},{})}}\
         .button.primary{{background:var(--brand);border-color:var(--brand);color:var(--on-brand)}}",
        light.text(),
        dark.text()
    )
}

#[cfg(test)]
mod tests {
    use super::css;
    use crate::model::Branding;

    #[test]
    fn a_colour_becomes_a_pair_for_light_and_dark() {
        assert_eq!(css(&Branding::default()), "");
        let branding = Branding::parse(None, None, Some("#1a237e")).expect("it is dark");
        let css = css(&branding);
        assert!(css.contains("light-dark(#1a237e,#"), "{css}");
        assert!(
            !css.contains("#1a237e,#1a237e"),
            "it is lighter in the dark: {css}"
        );
    }
}
