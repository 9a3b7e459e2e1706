//! The word that was probably meant.

/// `did you mean "epochs"?`, or the words there are where none is near.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    let lower = word.to_lowercase();
    let best = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known))
        .min_by_key(|(distance, _)| *distance);
    match best {
        Some((distance, known)) if distance <= 1 + word.chars().count() / 3 => {
            format!("did you mean \"{known}\"?")
        }
        Some(_) => format!("there are {}", known.join(", ")),
        None => "leave it out".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn near_words_are_offered_and_far_ones_listed() {
        assert_eq!(hint("epoch", &["batch", "epochs"]), "did you mean \"epochs\"?");
        assert_eq!(hint("zzzzz", &["batch", "epochs"]), "there are batch, epochs");
    }
}
