//! The studies that come with the program.

use sequela_core::Location;

use crate::Error;

/// Name and text of each.
pub(super) const ALL: &[(&str, &str)] = &[
    ("simulated", include_str!("../../../../studies/heart-rate-simulated.toml")),
    ("article", include_str!("../../../../studies/article.toml")),
    ("mitbih", include_str!("../../../../studies/heart-rate-mitbih.toml")),
    ("nni", include_str!("../../../../studies/heart-rate-nni.toml")),
];

/// The text of a study.
pub(super) fn find(name: &str) -> Result<&'static str, Error> {
    if let Some((_, text)) = ALL.iter().find(|(known, _)| *known == name) {
        return Ok(text);
    }
    let known: Vec<&str> = ALL.iter().map(|(known, _)| *known).collect();
    Err(Error::Study {
        location: Location::default().field(name).into(),
        what: "there is no built-in study of this name".into(),
        hint: super::nearest::hint(name, &known),
    })
}
